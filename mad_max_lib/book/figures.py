"""Figures: the book's colours and style, numbered captions, drawings of regions, points and images."""

import gc
import io
import platform

import matplotlib.pyplot as plt
import numpy as np
import PIL.Image
import torch
from IPython.display import Image, Markdown, display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb, to_rgba_array
from matplotlib.patches import PathPatch
from matplotlib.path import Path

# Okabe-Ito colours. One colour, one meaning, in every chapter.
BLACK, GREY = "#000000", "#6E6E6E"  # data and targets; helper lines
VERMILION, BLUE = "#D55E00", "#0072B2"  # hard (max, ReLU, the spline); soft
SKY, ORANGE, GREEN, PURPLE, YELLOW = "#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442"
PIECES = [SKY, ORANGE, GREEN, PURPLE, YELLOW, VERMILION, GREY, BLUE]  # piece 0, 1, 2, ...
CLASSES = [ORANGE, SKY, GREEN, PURPLE]  # class 0, 1, 2, 3
MARKERS = "osD^"  # the same classes, told without colour
DPI = 90

_figures = {"chapter": None, "numbers": {}}


def setup(chapter=None):
    """Begin a chapter, or a page without number: set the figure style and print the versions in use.

    Figure numbers start anew.

    Examples
    --------
    >>> setup(1)  # doctest: +ELLIPSIS
    Chapter 1, with mad_max_lib ...

    Used from chapter 00 on.
    """
    from .. import __version__

    plt.rcParams.update({
        "figure.dpi": DPI, "figure.facecolor": "white", "savefig.facecolor": "white",
        "figure.figsize": (6, 4), "figure.constrained_layout.use": True,
        "axes.spines.top": False, "axes.spines.right": False, "axes.grid": False,
        "font.size": 11, "axes.titlesize": 12, "axes.labelsize": 11, "legend.frameon": False,
        "lines.linewidth": 2, "image.cmap": "viridis",
        "axes.prop_cycle": plt.cycler(color=[BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK]),
    })  # fmt: skip
    _figures.update(chapter=chapter, numbers={})
    page = "A page" if chapter is None else f"Chapter {chapter}"
    print(
        f"{page}, with mad_max_lib {__version__}, numpy {np.__version__}, "
        f"torch {torch.__version__.split('+')[0]}, Python {platform.python_version()}"
    )


def numbered(caption):
    """The caption with its figure number; the same caption keeps its number when a cell is run again.

    Raises
    ------
    ValueError
        Fewer than eight words: a caption states what the figure shows, not what it plots.

    Used from chapter 00 on.
    """
    if len(caption.split()) < 8:
        raise ValueError(f"a caption states the finding in at least eight words, got {caption!r}")
    number = _figures["numbers"].setdefault(caption, len(_figures["numbers"]) + 1)
    chapter = "" if _figures["chapter"] is None else f"{_figures['chapter']}."
    return f"**Figure {chapter}{number}.** {caption}"


def png(fig):
    """The figure as PNG bytes at the book's fixed size.

    Used from chapter 00 on.
    """
    buffer = io.BytesIO()
    fig.set(dpi=DPI, facecolor="white")
    canvas = fig.canvas if isinstance(fig.canvas, FigureCanvasAgg) else FigureCanvasAgg(fig)
    canvas.draw()
    picture = PIL.Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    picture.quantize(256).save(buffer, "PNG")  # 256 colours are enough, in a third of the bytes
    return buffer.getvalue()


def show(fig, caption):
    """Display a figure with a visible sentence that states what it shows, then close it.

    Used from chapter 00 on.
    """
    text = numbered(caption)
    display(Image(png(fig), alt=caption))
    display(Markdown(text))
    plt.close(fig)
    gc.collect()  # a figure is full of cycles; this frees its memory before the next one


def grid(bounds, n):
    """Centres of an n x n grid of pixels: (n * n, 2), rows from the bottom up.

    Examples
    --------
    >>> grid((0, 2, 0, 2), 2)
    array([[0.5, 0.5],
           [1.5, 0.5],
           [0.5, 1.5],
           [1.5, 1.5]])

    Used from chapter 01 on.
    """
    left, right, bottom, top = bounds
    s = left + (np.arange(n) + 0.5) * (right - left) / n
    t = bottom + (np.arange(n) + 0.5) * (top - bottom) / n
    return np.stack(np.meshgrid(s, t), axis=-1).reshape(-1, 2)


def draw_regions(ax, codes, labels, bounds, colors=CLASSES):
    """Draw the regions of a fine grid of points, coloured by label, borders where the code changes.

    Parameters
    ----------
    ax : matplotlib axis
    codes : (n * n, units) integer array
        Code of each point of ``grid(bounds, n)``.
    labels : (n * n,) integer array
        Which colour each point gets: a class, or a winning piece.
    bounds : (left, right, bottom, top)
    colors : list of colours

    Used from chapter 01 on.
    """
    n = round(len(codes) ** 0.5)
    codes, labels = codes.reshape(n, n, -1), labels.reshape(n, n)
    border = np.zeros((n, n), bool)
    border[:-1] |= (codes[1:] != codes[:-1]).any(-1)
    border[:, :-1] |= (codes[:, 1:] != codes[:, :-1]).any(-1)
    image = (1 - 0.45 * (1 - to_rgba_array(colors)[:, :3]))[labels]  # pale, so that points stand out
    image[border] *= 0.45
    pixels = (255 * image).astype(np.uint8)  # one picture of bytes is drawn faster than two layers
    ax.imshow(pixels, extent=bounds, origin="lower", interpolation="nearest")
    ax.set(aspect="equal", xlabel="$x_1$", ylabel="$x_2$")


def draw_partition(ax, partition, labels=None, colors=CLASSES, lw=0.6):
    """Draw the regions of a partition, filled by class (the largest output) or by a label of your own.

    Parameters
    ----------
    ax : matplotlib axis
    partition : Partition, made by ``mm.partition``
    labels : (F,) integers from 0, optional
        Which colour each region gets; by default the class, borders of classes inside regions included.
    colors : list of colours, used in turns
    lw : float, the width of the borders

    Raises
    ------
    ValueError
        Labels that are not one whole number from 0 for each region.

    Used from chapter 00 on.
    """
    mesh, labels = partition.decided if labels is None else (partition.mesh, np.asarray(labels))
    if labels.shape != (len(mesh.start) - 1,) or labels.dtype.kind not in "iub" or labels.min() < 0:
        regions = len(partition)
        raise ValueError(
            f"labels must hold a whole number from 0 for each of {regions} regions, got {labels}"
        )
    codes = np.full(len(mesh.vertex), Path.LINETO)
    codes[mesh.start[:-1]] = Path.MOVETO  # a fill closes each region by itself
    for label in np.unique(labels):  # all regions of a label as one path: much faster than one by one
        mine = np.repeat(labels == label, np.diff(mesh.start))
        pale = 1 - 0.45 * (1 - np.array(to_rgb(colors[label % len(colors)])))
        path = Path(mesh.xy[mesh.vertex[mine]], codes[mine])
        ax.add_artist(PathPatch(path, facecolor=pale, lw=0, antialiased=False))
    ends = partition.mesh.xy[partition.mesh.ends].reshape(-1, 2)
    lines = Path(ends, np.tile([Path.MOVETO, Path.LINETO], len(ends) // 2))
    ax.add_artist(PathPatch(lines, fill=False, edgecolor="black", alpha=0.6, lw=lw))
    left, right, bottom, top = partition.bounds
    ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")


def draw_points(ax, x, y, size=14):
    """Draw labelled points of the plane; marker and colour both tell the class.

    Used from chapter 00 on.
    """
    for c in np.unique(y):
        ax.scatter(*x[y == c].T, s=size, marker=MARKERS[c], color=CLASSES[c], edgecolor="black", lw=0.5)
    ax.set(aspect="equal", xlabel="$x_1$", ylabel="$x_2$")


def draw_image(ax, image, title="", signed=False, limit=None):
    """Draw one image without ticks: ink is dark; a signed image is red above zero and blue below.

    ``limit`` is the value that gets the full colour; by default the largest of the image.

    Used from chapter 03 on.
    """
    limit = np.abs(image).max() if limit is None else limit
    ax.imshow(image, cmap="RdBu_r" if signed else "gray_r", vmin=-limit if signed else 0, vmax=limit)
    ax.set(title=title, xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color=GREY, linewidth=0.8)
