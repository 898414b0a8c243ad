"""Captions and their numbers, grids, drawings of regions and of partitions read back from their pixels."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from helpers import mlp
from matplotlib.colors import to_rgb, to_rgba_array
from partitions import Corners, outputs

import mad_max_lib as mm
from mad_max_lib.book import figures

CAPTION = "Every caption states in a sentence what the reader should see."


@pytest.fixture
def ax():
    fig, ax = plt.subplots()
    yield ax
    plt.close(fig)


@pytest.mark.parametrize("caption", ["", "A plot of z against u", "One two three four five six seven"])
def test_a_caption_is_a_sentence(caption):
    with pytest.raises(ValueError, match="at least eight words"):
        figures.numbered(caption)


def test_figure_numbers_count_up_and_stay_when_a_cell_is_run_again():
    figures.setup(7)
    other = CAPTION.replace("Every", "Any")
    said = [figures.numbered(caption) for caption in (CAPTION, other, CAPTION)]
    assert said == [f"**Figure 7.1.** {CAPTION}", f"**Figure 7.2.** {other}", f"**Figure 7.1.** {CAPTION}"]
    figures.setup(8)
    assert figures.numbered(other).startswith("**Figure 8.1.**")


def test_setup_says_the_versions_in_use(capsys):
    figures.setup(3)
    said = f"Chapter 3, with mad_max_lib {mm.__version__}, numpy {np.__version__}, torch "
    assert capsys.readouterr().out.startswith(said)


def test_show_displays_the_picture_then_the_caption_and_closes_the_figure(monkeypatch):
    shown = []
    monkeypatch.setattr(figures, "display", shown.append)
    figures.setup(1)
    fig, _ = plt.subplots(figsize=(3, 2))
    figures.show(fig, CAPTION)
    picture, caption = shown
    assert picture.data.startswith(b"\x89PNG") and caption.data == f"**Figure 1.1.** {CAPTION}"
    assert not plt.fignum_exists(fig.number)


@pytest.mark.parametrize("look", [{"dpi": 200}, {"facecolor": "black"}, {"layout": "none"}])
def test_pictures_have_one_size_and_a_white_face(look):
    fig = plt.figure(figsize=(4, 3), **look)
    data = np.frombuffer(figures.png(fig)[16:24], ">u4")  # width and height in the PNG's header
    assert tuple(data) == (4 * figures.DPI, 3 * figures.DPI)
    assert (np.asarray(fig.canvas.buffer_rgba()) == 255).all()
    plt.close(fig)


def test_grid_runs_along_rows_from_the_bottom_left(ax):
    points = figures.grid((-1, 1, 10, 14), 4)
    assert points.shape == (16, 2)
    first = [[-0.75, 10.5], [-0.25, 10.5], [0.25, 10.5], [0.75, 10.5], [-0.75, 11.5]]
    np.testing.assert_allclose(points[:5], first)
    # drawn as an image, each value lands where its point is
    image = ax.imshow((points[:, 0] > 0).reshape(4, 4), extent=(-1, 1, 10, 14), origin="lower")
    assert image.get_array()[0].tolist() == [False, False, True, True]


def test_borders_are_drawn_exactly_where_codes_change(ax):
    rng = np.random.default_rng(0)
    n, bounds = 12, (-2, 2, -1, 3)
    codes = (figures.grid(bounds, n) @ rng.normal(size=(2, 4)) > rng.normal(size=4)).astype(int)
    classes = rng.integers(4, size=n * n)
    figures.draw_regions(ax, codes, classes, bounds)
    (image,) = ax.images
    pale = 1 - 0.45 * (1 - to_rgba_array(figures.CLASSES)[classes, :3].reshape(n, n, 3))

    picture = codes.reshape(n, n, 4)
    for i in range(n):
        for j in range(n):
            after = [picture[i + di, j + dj] for di, dj in ((1, 0), (0, 1)) if i + di < n and j + dj < n]
            changes = any((picture[i, j] != code).any() for code in after)
            colour = pale[i, j] * (0.45 if changes else 1)
            np.testing.assert_allclose(image.get_array()[i, j] / 255, colour, atol=1 / 255)
    assert image.get_extent() == list(bounds) and image.origin == "lower"


def test_one_region_has_no_border(ax):
    figures.draw_regions(ax, np.zeros((25, 3), int), np.zeros(25, int), (0, 1, 0, 1))
    assert len(np.unique(ax.images[0].get_array().reshape(25, 3), axis=0)) == 1


def test_regions_of_pieces_take_the_colours_given(ax):
    labels = np.arange(4)
    colors = ["white", "black", "red", "blue"]
    figures.draw_regions(ax, np.zeros((4, 1), int), labels, (0, 1, 0, 1), colors)
    shown = ax.images[0].get_array().reshape(4, 3)
    assert shown.tolist() == [[255, 255, 255], [140, 140, 140], [255, 140, 140], [140, 140, 255]]


def test_each_class_has_its_colour_and_its_marker(ax):
    x, y = np.arange(8.0).reshape(4, 2), np.array([3, 0, 3, 1])
    figures.draw_points(ax, x, y)
    groups = [np.asarray(group.get_offsets()).tolist() for group in ax.collections]
    assert groups == [x[y == c].tolist() for c in (0, 1, 3)]
    shapes = {group.get_paths()[0].vertices.tobytes() for group in ax.collections}
    assert len(shapes) == 3


def test_signed_images_share_a_scale_around_zero(ax):
    figures.draw_image(ax, np.array([[-3.0, 1.0]]), title="A", signed=True)
    assert ax.images[0].get_clim() == (-3, 3) and ax.get_title() == "A" and len(ax.get_xticks()) == 0


# ---------------------------------------------------------------- partitions


def drawing(p, **how):
    """The pixels of a drawing, (400, 400, 3), and the points of the plane in their middles."""
    fig = plt.figure(figsize=(4, 4), dpi=100, layout="none")
    ax = fig.add_axes([0, 0, 1, 1])
    figures.draw_partition(ax, p, **how)
    assert ax.get_xlim() + ax.get_ylim() == p.bounds and ax.get_aspect() == 1
    ax.axis("off")
    fig.canvas.draw()
    pixels = np.asarray(fig.canvas.buffer_rgba())[::-1, :, :3].astype(int)
    plt.close(fig)
    return pixels, figures.grid(p.bounds, 400).reshape(400, 400, 2)


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
    expected = np.array([pale(color) for color in figures.CLASSES])[classes]
    assert away.sum() > 1_000 and len(set(classes[away].tolist())) > 1
    assert abs(pixels[*some] - expected)[away].max() <= 1


def test_the_drawing_has_a_line_along_every_edge():
    p = mm.partition(mlp(2, 5, 5, 2, seed=1), bounds=(-2.0, 2.0, -2.0, 2.0))
    pixels, _ = drawing(p, labels=np.zeros(len(p), int), lw=2)
    edges = p.vertices[Corners(p).inner]
    middle = edges.mean(1)
    column, row = ((middle + 2) * 100).astype(int).T
    assert (pixels[row, column].sum(1) < 0.6 * pale(figures.CLASSES[0]).sum()).all() and len(edges) > 10


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
        figures.draw_partition(plt.figure().add_subplot(), mm.partition(torch.relu), labels=labels)
