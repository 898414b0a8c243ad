"""A rectangle cut in tiles, so that only so many points are in flight at once; side by side on joblib."""

import copy
import math
import re
from numbers import Real

import joblib
import torch
from tqdm.auto import tqdm

from .cutting import Sizes
from .joining import join
from .mesh import TooLarge

FAST = 2**28  # bytes in flight while a tile is cut: more make nothing faster,
FASTEST = 2**24  # and so many where points only pass
MANY = 512  # points in a tile, if they fit the memory: of fewer, too many lie on the tile's own border
COPIES = 3  # how often the numbers of a run are in memory: old and new, and those that make up a cut
FEWEST = 64  # points that a tile must be able to hold
UNITS = {"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}


class MemoryTooSmall(ValueError):
    """The ``memory`` that was given does not hold even a small tile."""


def check_memory(memory):
    """The number of bytes that ``"500 MB"`` or a number of bytes stands for."""
    words = re.fullmatch(r"\s*([\d.]+)\s*([KMGT]?B)\s*", memory, re.I) if isinstance(memory, str) else None
    try:
        number = float(words[1]) * UNITS[words[2].upper()] if words else memory
    except ValueError:
        number = None
    if isinstance(number, Real) and not isinstance(number, bool) and 1 <= number < float("inf"):
        return number
    raise ValueError(f'memory must be a text like "2 GB" or a number of bytes of at least 1, got {memory!r}')


class Tiling:
    """How a network is cut in a rectangle.

    Attributes
    ----------
    rows : int, how many points may be in flight at once in a tile
    chunk : int, how many points are given to the network where nothing is cut
    expected : float, how many there would be in the whole rectangle, by the tile before
    """

    def __init__(self, model, plane, bounds, memory, n_jobs, progress):
        self.model, self.plane, self.bounds = model, plane, bounds
        self.n_jobs, self.progress = n_jobs, progress
        self.sizes = Sizes(model, plane, bounds)
        one, workers = COPIES * self.sizes.bytes, joblib.effective_n_jobs(n_jobs) if n_jobs != 1 else 1
        self.most = int(memory / workers / one)
        self.rows = min(self.most, max(MANY, FAST // self.sizes.bytes))
        self.chunk = min(self.most, max(16, FASTEST // self.sizes.bytes))
        if self.most < FEWEST:
            needed = math.ceil(FEWEST * workers * one / 1e6)
            raise MemoryTooSmall(
                f"memory must be at least {needed} MB for this network, got {memory / 1e6:.3g} MB"
            )

    def cut(self, way):
        """The rectangle, cut: in one tile, if it fits, or in four with as many as it takes in each."""
        self.expected = 0
        try:
            return self._cut(way, self.bounds, 0)
        except TooLarge:
            pass
        for middle in (0.5, 0.4621, 0.5347):  # others, should rounding tear a region at a border
            try:
                return join(self._in_tiles(way, middle), self.bounds)
            except RuntimeError as error:
                torn = error
                if "do not join" not in str(error):
                    raise
        raise torn

    @torch.no_grad()  # in every worker
    def _cut(self, way, bounds, depth):
        """A tile in one go; ``TooLarge``, perhaps at once, by what the tile before had in its area."""
        limit = min(self.most, self.rows << max(0, depth - 5))  # very many regions may meet in one point
        if self.expected > limit * 4**depth and depth < 6:
            self.expected *= 0.9  # but look again from time to time
            raise TooLarge
        self.expected = limit * 4**depth
        cut = way(self.plane, bounds, self.sizes, limit).run(self.model)
        self.expected = len(cut.mesh.xy) * 4**depth
        return cut

    def _in_tiles(self, way, middle):
        tiles = quarters(self.bounds, middle)
        if self.n_jobs != 1:
            tiles = [part for tile in tiles for part in quarters(tile, middle)]
        delay = 0 if self.progress else 3
        form, quiet = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}", self.progress is False
        bar = tqdm(total=100, desc="area cut", bar_format=form, delay=delay, disable=quiet, leave=False)
        with bar:
            if self.n_jobs == 1:
                return [cut for tile in tiles for cut in self._leaves(way, middle, tile, 1, bar.update)]
            parallel = joblib.Parallel(self.n_jobs, batch_size=1)
            parallel.print_progress = lambda: bar.update(100 / len(tiles))
            return parallel(joblib.delayed(self._joined)(way, middle, tile) for tile in tiles)

    def _joined(self, way, middle, bounds):
        alone = copy.copy(self)  # threads share it, and it counts on
        return join(alone._leaves(way, middle, bounds, 2), bounds)

    def _leaves(self, way, middle, bounds, depth, tell=lambda percent: None):
        """The cuts of a tile, or of the tiles in it, where it does not fit."""
        try:
            cuts = [self._cut(way, bounds, depth)]
        except TooLarge:
            if depth > 24:
                raise MemoryTooSmall(
                    f"memory must be more than {self.most * COPIES * self.sizes.bytes / 1e6:.0f} MB "
                    f"for the regions that meet at {bounds[0]}, {bounds[2]}"
                ) from None
            parts = quarters(bounds, middle)
            return [cut for part in parts for cut in self._leaves(way, middle, part, depth + 1, tell)]
        tell(100 / 4**depth)
        return cuts


def quarters(bounds, middle):
    """The four parts of a rectangle."""
    left, right, bottom, top = bounds
    x, y = left + middle * (right - left), bottom + middle * (top - bottom)
    return [(left, x, bottom, y), (x, right, bottom, y), (left, x, y, top), (x, right, y, top)]
