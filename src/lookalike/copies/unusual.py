"""Says how unusual it is for an edit to lay one picture over another as a map does.

Two photographs of one place overlap in parts, and their perspectives differ. An edit leaves one picture whole, and
scales it alike in both directions, unless it stretches the whole picture.
"""

from lookalike.copies.registration import Affine

# Chosen with the thresholds of `verification`, on the same copies.
_WHOLE, _WHOLE_TURNED = 0.985, 0.88  # the share of one of the pictures, which an edit leaves in the other
_SAME_FRAME = 0.95  # the share of both from which on the whole picture may be stretched
_FREE_SKEW, _SKEW_COUNTS = 0.03, 2.0  # logarithm of the ratio of the scales in two directions


def unusual(affine: Affine, of_first: float, of_second: float) -> float:
    """What the correlation of two pictures is too high by, for them to be a picture and its copy.

    Args:
        affine: the map from the first picture to the second.
        of_first: the share of the first picture that lies in the second, in [0, 1].
        of_second: the share of the second picture that lies in the first.

    Returns:
        0 or more.
    """
    whole = _WHOLE if affine.is_upright() else _WHOLE_TURNED
    missing = max(0.0, whole - max(of_first, of_second))
    if min(of_first, of_second) > _SAME_FRAME:
        return missing
    return missing + _SKEW_COUNTS * max(0.0, affine.skew() - _FREE_SKEW)
