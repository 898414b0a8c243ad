"""The codes of many regions in little memory: a bit for each unit that has two pieces."""

import numpy as np
import torch

from ..tracing.codes import RegionCodes


def words(array):
    """The rows of an array (N, n) as 64-bit words, filled up with zeros."""
    rows = np.ascontiguousarray(array).view(np.uint8)
    full = np.zeros((len(rows), -(-rows.shape[1] // 8)), np.uint64)
    full.view(np.uint8)[:, : rows.shape[1]] = rows
    return full


def unpacked(bits, U):
    """The first U bits of each row of words: (N, U) of 0 and 1."""
    return np.unpackbits(bits.view(np.uint8), axis=1, count=U, bitorder="little")


def numbered(rows):
    """Equal numbers for equal rows of words, (N, n), from 0: (N,).

    Rows are sorted by one random sum each; those that agree in it are compared word by word.
    """
    sums = rows @ np.random.default_rng(0).integers(2**63, size=rows.shape[1], dtype=np.uint64)
    _, first, number = np.unique(sums, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[number] != np.arange(len(rows)))
    if (rows[again] == rows[first[number[again]]]).all():
        return number
    return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)  # two rows have one sum


def kind_of(count):
    """How the codes of units with so many pieces are kept: None for bits, or a dtype."""
    return None if count == 2 else np.dtype(np.uint8 if count <= 256 else np.int64)


def pack(codes, kind):
    """The codes (N, U) of one call as words."""
    if kind is None:
        return words(np.packbits(codes.astype(bool), axis=1, bitorder="little"))
    return words(codes.astype(kind, copy=False))


class PackedCodes(RegionCodes):
    """Region codes that are unpacked when they are looked at, each time anew.

    Attributes
    ----------
    rows : (N, n) words, equal where the codes are equal
    layout : list of (units, kind) a call
    """

    def __init__(self, names, layout, rows):
        self.names, self.layout, self.rows = list(names), list(layout), rows
        self._none = torch.zeros(len(rows), 0, dtype=torch.uint8)

    def __len__(self):
        return len(self.layout)

    def __getitem__(self, layer):
        if isinstance(layer, slice):
            return self._layers[layer]
        layer = range(len(self))[layer]
        sizes = [-(-U // 64) if kind is None else -(-U * kind.itemsize // 8) for U, kind in self.layout]
        (U, kind), begin = self.layout[layer], sum(sizes[:layer])
        part = np.ascontiguousarray(self.rows[:, begin : begin + sizes[layer]])
        return torch.from_numpy(
            unpacked(part, U) if kind is None else np.ascontiguousarray(part.view(kind)[:, :U])
        )

    @property
    def _layers(self):
        return [self[layer] for layer in range(len(self))]

    def of(self, faces):
        """The codes of some of the regions."""
        return PackedCodes(self.names, self.layout, self.rows[faces])
