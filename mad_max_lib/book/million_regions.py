"""A plane with a million regions of a trained network: computed once, drawn, and stored for chapter 17.

    python -m mad_max_lib.book.million_regions

trains a network with six layers of 256 ReLUs on the moons and circles of chapter 04, finds all of its
regions in the square from -2 to 2 (three minutes, 2 GB), and writes ``million_regions.png`` and
``million_regions.npz`` beside this file. With ``load`` a reader has the same network, and can find
the regions of a part of the square anew and compare.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

from ..lab.data import moons_and_circles
from ..lab.models import mlp
from ..lab.training import fit
from ..plane.regions import partition
from .figures import VERMILION

IMAGES = Path(__file__).parent
SIZES = [2, *[256] * 6, 4]
SQUARE = (-2, 2, -2, 2)


class Million(NamedTuple):
    """What is stored of the plane: the network, the number of its regions, and the picture.

    Attributes
    ----------
    model : the trained network, on the book's device
    regions : int, the number of regions in the square from -2 to 2
    corners : (16, 16) integers, how many corners of regions lie in each tile of the square: ``corners[i, j]``
        is the tile with x_1 from -2 + i / 4 to -2 + (i + 1) / 4 and x_2 from -2 + j / 4 (tiles at the frame
        count the corners on the frame, too)
    sizes : (5,) array, the areas that 0, 25, 50, 75 and 100 % of the regions do not exceed
    picture : (1000, 1000, 3) array of bytes, the borders of all regions; row 0 is the top
    """

    model: nn.Module
    regions: int
    corners: np.ndarray
    sizes: np.ndarray
    picture: np.ndarray


def load():
    """The stored plane, a `Million`.

    >>> million = load()
    >>> million.regions > 10**6, million.corners.shape, million.picture.shape
    (True, (16, 16), (1000, 1000, 3))

    Used in chapter 17.
    """
    with np.load(IMAGES / "million_regions.npz") as stored:
        found = dict(stored)
    picture = np.array(Image.open(IMAGES / "million_regions.png").convert("RGB"))
    model = mlp(SIZES, np.random.default_rng(0))
    nn.utils.vector_to_parameters(torch.from_numpy(found["weights"]).to(model[0].weight), model.parameters())
    return Million(model, int(found["regions"]), found["corners"], found["sizes"], picture)


def corners_in_tiles(regions, bounds=SQUARE, tiles=16):
    """How many corners of regions lie in each of ``tiles`` by ``tiles`` parts of a rectangle.

    >>> corners_in_tiles(partition(nn.ReLU(), bounds=SQUARE), tiles=2)  # 4 squares with 9 corners
    array([[1, 2],
           [2, 4]])
    """
    left, right, bottom, top = bounds
    frame = [(left, right), (bottom, top)]
    return np.histogram2d(*regions.vertices.T, bins=tiles, range=frame)[0].astype(int)


def layer_of_edges(regions):
    """The layer whose unit changes its piece across each edge, from 0; -1 where there is no region beyond.

    For networks whose units all have two pieces: codes then differ in bits.
    """
    sides, rows = regions.mesh.sides(), regions.codes.rows
    layer = np.repeat(np.arange(len(regions.codes)), [-(-units // 64) for units, _ in regions.codes.layout])
    found, inner = np.full(len(sides), -1), np.flatnonzero((sides >= 0).all(1))
    for some in np.split(inner, range(100_000, len(inner), 100_000)):
        differ = rows[sides[some, 0]] != rows[sides[some, 1]]
        found[some] = layer[differ.argmax(1)]
    return found


def draw_borders(ax, regions, lw=0.8, alpha=0.8):
    """Draw the borders of regions, from purple for layer 1 to yellow for the last, and the decision boundary.

    Used in chapter 17.
    """
    layer, ends = layer_of_edges(regions), regions.mesh.xy[regions.mesh.ends]
    tones = colormaps["viridis"](np.linspace(0, 0.9, len(regions.codes)))
    for number, tone in reversed(list(enumerate(tones))):
        ax.add_collection(LineCollection(ends[layer == number], colors=[tone], linewidths=lw, alpha=alpha))
    ax.add_collection(LineCollection(regions.boundary(), colors=VERMILION, linewidths=1.5))
    left, right, bottom, top = regions.bounds
    ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")


def trained():
    """The network, its weights rounded to half precision, so that they are stored as they are."""
    rng = np.random.default_rng(0)
    x, y = moons_and_circles(400, rng)
    model = mlp(SIZES, rng)
    fit(model, x, y, epochs=40, rng=rng)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(weight.half())
    return model


def painted(regions):
    """The borders of all regions, 1000 by 1000 pixels in 256 colours."""
    figure = Figure(figsize=(10, 10), dpi=100, layout="none")
    ax = figure.add_axes([0, 0, 1, 1])
    draw_borders(ax, regions, lw=0.3, alpha=0.3)
    ax.axis("off")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    return picture.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


def main():
    model = trained()
    regions = partition(model, bounds=SQUARE)
    weights = nn.utils.parameters_to_vector(model.parameters()).detach().cpu().numpy().astype(np.float16)
    sizes = np.quantile(regions.areas, [0, 0.25, 0.5, 0.75, 1])
    np.savez_compressed(IMAGES / "million_regions.npz", weights=weights, regions=len(regions),
                        corners=corners_in_tiles(regions), sizes=sizes)  # fmt: skip
    painted(regions).save(IMAGES / "million_regions.png", optimize=True)
    print(f"{len(regions):,} regions, the middle one of area {sizes[2]:.1e}")


if __name__ == "__main__":
    main()
