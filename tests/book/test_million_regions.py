"""The plane with a million regions: what is stored is what is found anew, in parts and in a small case."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import mad_max_lib as mm
from mad_max_lib.book import million_regions
from mad_max_lib.book.million_regions import corners_in_tiles, layer_of_edges, load


@pytest.fixture(scope="module")
def million():
    return load()


def test_the_stored_network_has_learned_its_classes(million):
    x, y = mm.data.moons_and_circles(400, np.random.default_rng(0))
    with torch.no_grad():
        assert (million.model(torch.from_numpy(x).to(mm.device())).argmax(1).cpu().numpy() == y).all()


@pytest.mark.parametrize("i, j", [(2, 12), (14, 3)])
def test_a_part_found_anew_has_the_stored_corners(million, i, j):
    left, bottom = -2 + i / 4, -2 + j / 4
    part = mm.partition(million.model, bounds=(left, left + 0.25, bottom, bottom + 0.25))
    x, y = part.vertices.T
    inside = (left < x) & (x < left + 0.25) & (bottom < y) & (y < bottom + 0.25)
    assert inside.sum() == million.corners[i, j] > 100


def test_the_stored_numbers_fit_together(million):
    """In a plane cut by lines of which no three meet, each crossing adds one region."""
    assert million.regions > 1_000_000
    assert 0.99 < million.corners.sum() / million.regions < 1.01
    assert (np.diff(million.sizes) > 0).all() and million.sizes[-1] < 1


def test_the_layer_of_an_edge_is_where_the_codes_differ():
    model = mm.mlp([2, 70, 9, 5, 2], np.random.default_rng(0))
    regions = mm.partition(model, bounds=(-1, 1, -1, 1))
    layer, sides = layer_of_edges(regions), regions.mesh.sides()
    inner = (sides >= 0).all(1)
    assert (layer[~inner] == -1).all() and set(layer[inner]) == {0, 1, 2}
    for number in range(3):
        codes = regions.codes[number].cpu().numpy()
        differ = (codes[sides[inner, 0]] != codes[sides[inner, 1]]).any(1)
        assert (differ == (layer[inner] == number)).all()


def test_the_script_stores_what_load_reads(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(million_regions, "IMAGES", tmp_path)
    monkeypatch.setattr(million_regions, "SIZES", [2, 8, 8, 4])
    million_regions.main()
    stored = load()
    again = mm.partition(stored.model, bounds=million_regions.SQUARE)
    assert f"{len(again):,} regions" in capsys.readouterr().out
    assert stored.regions == len(again) and (stored.corners == corners_in_tiles(again)).all()
    assert np.allclose(stored.sizes, np.quantile(again.areas, [0, 0.25, 0.5, 0.75, 1]), rtol=1e-6, atol=0)
    assert stored.picture.shape == (1000, 1000, 3) and len(np.unique(stored.picture)) > 20
    assert Image.open(tmp_path / "million_regions.png").mode == "P"


def test_squares_have_their_corners():
    regions = mm.partition(nn.ReLU(), bounds=(-2, 2, -2, 2))
    assert len(regions) == 4 and corners_in_tiles(regions, tiles=4).sum() == 9
