"""Gives all files of a catalog other keys, as when a folder has moved."""

import time
from collections.abc import Callable

from lookalike.storage.missing import MissingImage
from lookalike.storage.transaction import FiledImage, Transaction


def rename_all(transaction: Transaction, new_key: Callable[[str], str]) -> None:
    """Gives every image and every skipped file the key that a function returns for its present one.

    If there is an image under the new key already, and its file has the same contents, the two become one. If it has
    others, that image stays, and the renamed one is missing.
    """
    for image in transaction.images():
        if (key := new_key(image.key)) != image.key:
            _rename_image(transaction, image, key)
    for missing in transaction.missing.all():
        if (key := new_key(missing.key)) != missing.key:
            _rename_missing(transaction, missing, key)
    for skipped in transaction.skipped_keys():
        if (key := new_key(skipped)) != skipped:
            transaction.rename_skipped(skipped, key)


def _rename_image(transaction: Transaction, image: FiledImage, key: str) -> None:
    there = transaction.image_at(key)
    if there is None:
        transaction.move(image, key, image.row, image.status)
    elif there.row == image.row:
        transaction.absorb(image, there)
        transaction.move(image, key, there.row, there.status)
    else:
        transaction.missing.set_aside([image.key], time.time_ns())
        transaction.missing.rename(image.id, key)


def _rename_missing(transaction: Transaction, missing: MissingImage, key: str) -> None:
    there = transaction.image_at(key)
    if there is None or transaction.hash_of(there.row) != missing.hash:
        transaction.missing.rename(missing.id, key)
        return
    transaction.bring_back(missing, missing.key, there.row, there.status)
    image = FiledImage(missing.id, missing.key, there.row, there.status)
    transaction.absorb(image, there)
    transaction.move(image, key, there.row, there.status)
