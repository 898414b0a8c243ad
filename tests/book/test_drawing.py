"""Drawings of partitions, read back from their pixels."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from helpers import mlp
from matplotlib.colors import to_rgb
from partitions import Corners, outputs

import mad_max_lib as mm
from mad_max_lib.book.figures import CLASSES


def drawing(p, **how):
    """The pixels of a drawing, (400, 400, 3), and the points of the plane in their middles."""
    fig = plt.figure(figsize=(4, 4), dpi=100)
    ax = fig.add_axes([0, 0, 1, 1])
    mm.figures.draw_partition(ax, p, **how)
    assert ax.get_xlim() + ax.get_ylim() == p.bounds and ax.get_aspect() == 1
    ax.axis("off")
    fig.canvas.draw()
    pixels = np.asarray(fig.canvas.buffer_rgba())[::-1, :, :3].astype(int)
    plt.close(fig)
    return pixels, mm.figures.grid(p.bounds, 400).reshape(400, 400, 2)


def distances(points, segments):
    """How far each point is from the nearest segment."""
    a, b = segments[:, 0], segments[:, 1]
    share = ((points[:, None] - a) * (b - a)).sum(2) / ((b - a) ** 2).sum(1)
    nearest = a + share.clip(0, 1)[..., None] * (b - a)
    return np.linalg.norm(points[:, None] - nearest, axis=2).min(1)


def pale(color):
    return np.round(255 * (1 - 0.45 * (1 - np.array(to_rgb(color)))))


@pytest.mark.parametrize("sizes", [(2, 8, 8, 3), (2, 8, 8, 2), (2, 8, 8, 1)])
def test_the_drawing_has_the_colour_of_the_class(sizes):
    p = mm.partition(mlp(*sizes, seed=1), bounds=(-2.0, 2.0, -3.0, 1.0))
    pixels, points = drawing(p)
    some = np.random.default_rng(0).integers(400, size=(2, 2_000))
    corners = Corners(p)
    edges = p.vertices[np.concatenate([corners.inner, corners.frame])]
    away = distances(points[*some], np.concatenate([edges, p.boundary()])) > 0.03  # three pixels
    own = outputs(p, points[*some])
    classes = own.argmax(1) if own.shape[1] > 1 else (own[:, 0] > 0).astype(int)
    expected = np.array([pale(color) for color in CLASSES])[classes]
    assert away.sum() > 1_000 and len(set(classes[away].tolist())) > 1
    assert abs(pixels[*some] - expected)[away].max() <= 1


def test_the_drawing_has_a_line_along_every_edge():
    p = mm.partition(mlp(2, 5, 5, 2, seed=1), bounds=(-2.0, 2.0, -2.0, 2.0))
    pixels, _ = drawing(p, labels=np.zeros(len(p), int), lw=2)
    edges = p.vertices[Corners(p).inner]
    middle = edges.mean(1)
    column, row = ((middle + 2) * 100).astype(int).T
    assert (pixels[row, column].sum(1) < 0.6 * pale(CLASSES[0]).sum()).all() and len(edges) > 10


@pytest.mark.parametrize("as_array", [list, np.array, torch.tensor])
def test_regions_are_drawn_in_the_colours_of_labels_in_turns(as_array):
    p, colors = (
        mm.partition(mlp(2, 6, 6, 1), bounds=(-2.0, 2.0, -2.0, 2.0)),
        ["red", "#0f0", "C0", "0.5", "k"],
    )
    labels = [f % 7 for f in range(len(p))]
    pixels, points = drawing(p, labels=as_array(labels), colors=colors, lw=0)
    some = np.random.default_rng(0).integers(400, size=(2, 1_000))
    away = distances(points[*some], p.vertices[Corners(p).inner]) > 0.02
    face = p.locate(points[*some])
    expected = np.array([pale(color) for color in colors])[np.array(labels)[face] % 5]
    assert abs(pixels[*some] - expected)[away].max() <= 1 and away.sum() > 500 and len(p) > 20


@pytest.mark.parametrize("labels", [[0], [0, 1, 2, -1], [0.5, 0, 0, 0], [[0, 0, 0, 0]]])
def test_wrong_labels_are_named(labels):
    with pytest.raises((ValueError, TypeError), match="labels must"):
        mm.figures.draw_partition(plt.figure().add_subplot(), mm.partition(torch.relu), labels=labels)
