"""The ids of images in many collections: that of the shard, and that of the image in its shard, in one number.

The id of an image is 2^32 times the number of its shard, plus its id there. A shard keeps its number as long as it is
in the manifest, and no other shard ever gets it, so that ids are stable. The ids of shard 0 are those that it has by
itself. All ids are below 2^53: JavaScript, and whoever else has only floating-point numbers, can hold them.
"""

from lookalike.errors import CorruptError

_IMAGES = 2**32  # that a shard may have had
MOST_SHARDS = 2**21


def whole_id(number: int, image_id: int) -> int:
    """The id of an image in the whole.

    Args:
        number: of its shard.
        image_id: in that.

    Raises:
        CorruptError: the shard has given out more ids than there is room for.
    """
    if not 0 < image_id < _IMAGES:
        raise CorruptError(f"shard {number}: the id {image_id} of an image is over {_IMAGES - 1:,}; index it again")
    return number * _IMAGES + image_id


def parts_of(image_id: int) -> tuple[int, int]:
    """The number of the shard that an image is in, and its id there, which is 0 or less for no image."""
    if image_id <= 0:
        return 0, 0
    return divmod(image_id, _IMAGES)
