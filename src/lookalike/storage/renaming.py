"""Gives all files of a catalog other keys, as when a folder has moved."""

import time
from collections.abc import Callable

from lookalike.storage.records import FiledImage, MissingImage
from lookalike.storage.transaction import Transaction


def rename_all(transaction: Transaction, new_key: Callable[[str], str], is_elsewhere: Callable[[str], bool]) -> None:
    """Gives every image and every skipped file the key that a function returns for its present one.

    Two images may come under one key: one that was where the folder is now, and one from where the folder was. If their
    files have the same contents, they become one. Else the one whose file is there stays, and the other is missing.

    Args:
        transaction: the one that does it.
        new_key: the key that is to replace a key.
        is_elsewhere: whether a present key is of a file where the folder was.
    """
    for image in transaction.images():
        if (key := new_key(image.key)) != image.key:
            if there := transaction.image_at(key):
                moved, stays = (image, there) if is_elsewhere(image.key) else (there, image)
                _unite(transaction, moved, stays, key)
            else:
                transaction.move(image, key, image.row, image.status)
    for missing in transaction.missing.all():
        if (key := new_key(missing.key)) != missing.key:
            _rename_missing(transaction, missing, key)
    for skipped in transaction.skipped_keys():
        if (key := new_key(skipped)) != skipped:
            transaction.rename_skipped(skipped, key)


def _unite(transaction: Transaction, moved: FiledImage, stays: FiledImage, key: str) -> None:
    if moved.row == stays.row:
        transaction.absorb(moved, stays)
        transaction.move(moved, key, stays.row, stays.status)
    else:
        transaction.missing.set_aside([moved.key], time.time_ns())
        transaction.missing.rename(moved.id, key)
        transaction.move(stays, key, stays.row, stays.status)


def _rename_missing(transaction: Transaction, missing: MissingImage, key: str) -> None:
    there = transaction.image_at(key)
    if there is None or transaction.hash_of(there.row) != missing.hash:
        transaction.missing.rename(missing.id, key)
        return
    transaction.bring_back(missing, missing.key, there.row, there.status)
    image = FiledImage(missing.id, missing.key, there.row, there.status)
    transaction.absorb(image, there)
    transaction.move(image, key, there.row, there.status)
