"""Compares descriptions of corners in the eight ways in which a picture can be mirrored and turned, all at once.

The ways are a group, that of the square, and permute the numbers of a description. In coordinates in which these
permutations fall apart into their irreducible representations, four of dimension 1 and copies of one of dimension 2
(Serre, Linear Representations of Finite Groups, 1977, 2.6, 2.7 and 5.3), eight small products give the cosines in all
eight ways, with a fifth of the multiplications.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

WAYS = tuple((mirrored, quarters) for mirrored in (False, True) for quarters in range(4))
"""Whether left and right are exchanged, and by how many quarters is turned clockwise after that."""

CELLS = np.array([-6.0, -2.0, 2.0, 6.0])  # along x and along y, pixels from the corner
DIRECTIONS = 8  # in each cell, in equal steps clockwise from that of the x axis
DIMENSIONS = len(CELLS) ** 2 * DIRECTIONS

Matrix = NDArray[np.float32]


def turned_order(mirrored: bool, quarters: int) -> NDArray[np.int64]:
    """How a description is permuted when its picture is mirrored, if so, and then turned clockwise by quarters.

    Returns:
        Shape (128,): `descriptions[:, turned_order(...)]` are those of the turned picture.
    """
    cells = CELLS[None, :] + 1j * CELLS[:, None]  # x + iy; the y axis points down, so that i turns clockwise
    directions = np.exp(2j * np.pi * np.arange(DIRECTIONS) / DIRECTIONS)
    back = (-1j) ** quarters

    def before(turned: NDArray[np.complex128]) -> NDArray[np.complex128]:
        turned = turned * back
        return -turned.conj() if mirrored else turned

    source = before(cells)
    columns = np.rint((source.real - CELLS[0]) / 4).astype(np.int64)
    rows = np.rint((source.imag - CELLS[0]) / 4).astype(np.int64)
    turns = np.rint(np.angle(before(directions)) / (2 * np.pi / DIRECTIONS)).astype(np.int64) % DIRECTIONS
    order: NDArray[np.int64] = ((rows * 4 + columns)[:, :, None] * DIRECTIONS + turns).reshape(-1)
    return order


def coordinates(descriptions: Matrix) -> Matrix:
    """Descriptions in the coordinates that `cosines` needs; lengths and angles stay the same.

    Args:
        descriptions: shape (n, 128).
    """
    found: Matrix = descriptions @ _tables().basis
    return found


def cosines(first: Matrix, second: Matrix) -> Matrix:
    """The cosines of the descriptions of one picture, mirrored and turned in each of `WAYS`, and those of another.

    Args:
        first: the `coordinates` of n descriptions of length 1.
        second: those of m descriptions.

    Returns:
        Shape (8, n, m).
    """
    tables, products = _tables(), np.empty((len(WAYS), len(first), len(second)), np.float32)
    for product, (ours, theirs) in zip(products, tables.products, strict=True):
        np.matmul(first[:, ours], second[:, theirs].T, out=product)
    found: Matrix = (tables.shares @ products.reshape(len(WAYS), -1)).reshape(products.shape)
    return found


def _permutations() -> NDArray[np.float64]:
    """What each of `WAYS` does to a row, as a matrix by which it is multiplied: shape (8, 128, 128)."""
    return np.stack([np.eye(DIMENSIONS)[:, turned_order(*way)] for way in WAYS])


def _parts(permutations: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Orthonormal columns that span the parts: four that each way keeps or negates, two that the ways mix."""
    parts = []
    for of_mirror in (1, -1):
        for of_turn in (1, -1):
            signs = np.array([of_mirror**mirrored * of_turn**quarters for mirrored, quarters in WAYS])
            parts.append(_image(np.tensordot(signs, permutations, 1) / 8))
    mixed = np.array([0 if quarters % 2 else (1 - quarters) * (-1) ** mirrored for mirrored, quarters in WAYS])
    one = _image(np.tensordot(mixed, permutations, 1) / 4)
    quarter_turn = permutations[WAYS.index((False, 1))]
    return [*parts, one, quarter_turn @ one]


def _image(projection: NDArray[np.float64]) -> NDArray[np.float64]:
    """Orthonormal columns that span what an orthogonal projection keeps."""
    kept, vectors = np.linalg.eigh(projection)
    return np.asarray(vectors[:, kept > 0.5])


@dataclass(frozen=True, eq=False)
class _Tables:
    """What is computed once, in some milliseconds.

    Attributes:
        basis: the columns that descriptions are multiplied by, shape (128, 128).
        products: which coordinates of the first description are multiplied with which of the second, eight times.
        shares: by how much each product counts in each of `WAYS`, shape (8, 8).
    """

    basis: Matrix
    products: tuple[tuple[slice, slice], ...]
    shares: Matrix


@lru_cache(maxsize=1)
def _tables() -> _Tables:
    permutations = _permutations()
    parts = _parts(permutations)
    basis, ends = np.concatenate(parts, axis=1), np.cumsum([part.shape[1] for part in parts])
    columns = [slice(end - part.shape[1], end) for part, end in zip(parts, ends.tolist(), strict=True)]
    which = [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (4, 5), (5, 4), (5, 5)]
    products = tuple((columns[i], columns[j]) for i, j in which)
    # What a way does within a product is a multiple of the identity, so that one element tells it.
    elements = [(basis[:, ours.start], basis[:, theirs.start]) for ours, theirs in products]
    shares = np.stack([permutations @ other @ one for one, other in elements], axis=1)
    return _Tables(basis.astype(np.float32), products, shares.astype(np.float32))
