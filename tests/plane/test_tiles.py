"""Partitions in tiles: the same regions whatever the tiles, the bound on memory, many processors, a bar."""

import os
import subprocess
import sys

import joblib
import numpy as np
import pytest
import torch
from helpers import mlp
from hypothesis import given, settings
from hypothesis import strategies as st
from partitions import (
    SQUARE,
    Corners,
    affine,
    assert_same,
    assert_tiled,
    axes,
    by_code,
    map_at,
    outputs,
    plane_for,
    tiling,
)
from rational import PLANE, in_torch, layer, regions
from test_cutting import in_a_plane
from test_exact_regions import KINDS, network
from torch.nn import ReLU, Sequential
from zoo import LARGER, ZOO, drawn

import mad_max_lib as mm
from mad_max_lib.plane import tiles
from mad_max_lib.plane.cutting import Cut, CutAnew
from mad_max_lib.plane.joining import join
from mad_max_lib.plane.regions import partition_by

few = settings(max_examples=12, deadline=None)


@pytest.fixture
def count(monkeypatch):
    """How many tiles were joined."""
    counts = []
    monkeypatch.setattr(tiles, "join", lambda cuts, bounds: counts.append(len(cuts)) or join(cuts, bounds))
    return counts


def in_tiles(model, plane=None, bounds=SQUARE, rows=16, way=Cut):
    """The partition with at most so many points in flight."""
    cutting = tiling(model, axes() if plane is None else plane, bounds)
    cutting.rows = rows
    return partition_by(way, cutting)


def assert_equal(tiled, whole):
    """The same codes, areas, outputs and neighbours, and no vertex too many."""
    tiled.check()
    assert_same(by_code(tiled), by_code(whole), rel=1e-11)
    order, other = (sorted(range(len(p)), key=p.codes.all().tolist().__getitem__) for p in (tiled, whole))
    size = 1e-10 * max(abs(whole.A).max(), abs(whole.values).max(), 1e-3)
    np.testing.assert_allclose(tiled.A[order], whole.A[other], rtol=0, atol=size)
    np.testing.assert_allclose(tiled.b[order], whole.b[other], rtol=0, atol=size)
    pairs, expected = (
        {tuple(sorted(pair)) for pair in np.argsort(order)[p.neighbours].tolist()}
        for p, order in ((tiled, order), (whole, other))
    )
    assert pairs == expected
    assert len(tiled.vertices) <= len(whole.vertices) and len(tiled.mesh.ends) <= len(whole.mesh.ends)


# ---------------------------------------------------------------- the same regions


@pytest.mark.parametrize("name", [name for name in LARGER if name != "2-64-64-64-1"])
def test_tiles_do_not_change_the_regions(name, count):
    make, shape, half = LARGER[name]
    model, plane, bounds = (
        drawn(make()),
        plane_for(shape) or axes(),
        (-half / 3, half / 2, -0.3 * half, half / 4),
    )
    whole = mm.partition(model, plane, bounds)
    tiled = in_tiles(model, plane, bounds, max(64, len(whole.mesh.xy) // 6))
    assert sum(count) >= 4 or len(whole.mesh.xy) < 64
    assert_equal(tiled, whole)
    corners = Corners(tiled)
    assert_tiled(tiled, corners)
    own = outputs(tiled, tiled.vertices)
    there = map_at(tiled, corners.face, tiled.vertices[corners.here])
    np.testing.assert_allclose(there, own[corners.here], rtol=0, atol=1e-10 * abs(own).max())


@pytest.mark.parametrize("name", list(ZOO)[::3])
def test_every_network_may_be_cut_in_tiles(name):
    model, plane, bounds = in_a_plane(name)
    whole = mm.partition(model, plane, bounds)
    way = Cut if name != "relu in place on a part" and not name.startswith("rnn, ") else CutAnew
    assert_equal(in_tiles(model, plane, bounds, max(40, len(whole.mesh.xy) // 3), way), whole)


@few
@given(st.integers(0, 999), st.integers(2, 12), st.integers(2, 12), st.integers(20, 60))
def test_tiles_of_random_networks(seed, first, second, rows):
    model, bounds = mlp(2, first, second, 2, seed=seed), (-3, 2, -1, 4)
    assert_equal(in_tiles(model, bounds=bounds, rows=rows), mm.partition(model, bounds=bounds))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [12, 20])
def test_tiles_of_degenerate_networks_give_the_exact_regions(kind, rows, count):
    """Tiles meet in the middle of lattices: kinks lie on their borders, and many meet in their corners."""
    for seed in range(100, 103):
        layers, bounds, inputs = network(kind, seed)
        u, v, origin = torch.tensor(inputs.astype(float).T)
        plane = axes() if inputs is PLANE else mm.Plane(origin, u, v)
        exact = regions(layers, bounds, inputs)
        model, bounds = in_torch(layers), tuple(map(float, bounds))
        tiled = in_tiles(model, plane, bounds, rows)
        codes = zip(*(map(tuple, c.tolist()) for c in tiled.codes), strict=True)
        areas = {code: float(region.area) for code, region in exact.items()}
        assert_same(dict(zip(codes, tiled.areas, strict=True)), areas, rel=1e-11)
        assert_equal(tiled, mm.partition(model, plane, bounds))
    assert sum(count) > 4 or kind in ("dead", "cancelling")


@pytest.mark.parametrize("shift", [0, 1e-13, -1e-13, 3e-16])
def test_kinks_along_the_borders_of_tiles(shift, count):
    """Lines along all borders of a grid of tiles, and others that cross them there."""
    lines = [[1, 0, c] for c in (-0.5, 0, 0.5)] + [[0, -1, c] for c in (-0.5, 0, 0.25, 0.5)]
    lines = np.array([*lines, [1, 1, 0], [1, -1, 0.5], [-2, 0, 0], [1, 1, 0]], float)
    model = Sequential(affine(lines[:, :2], lines[:, 2] + shift), ReLU())
    whole, tiled = mm.partition(model), in_tiles(model, rows=9)
    assert sum(count) >= 7
    assert_equal(tiled, whole)
    exact = regions([layer("relu", (lines[:, :2] * 4).astype(int), (lines[:, 2] * 4).astype(int))], SQUARE)
    assert len(tiled) == len(exact) and len(tiled.vertices) == len(whole.vertices)


def test_a_region_that_many_tiles_cut_is_one():
    """A closed unit's region is the whole; the others cut one corner into many."""
    W, b = np.tile([[1.0, 1.0]], (30, 1)), np.linspace(-2, -1.6, 32)[1:-1]
    tiled = in_tiles(Sequential(affine(W, b), ReLU()), rows=12)
    assert len(tiled) == 31 and max(len(face) for face in tiled.faces) == 5
    assert_tiled(tiled, Corners(tiled))


def test_tiles_far_from_the_origin():
    model, far = mlp(2, 10, 10, 2), 2.0**20
    with torch.no_grad():
        model[0].bias -= model[0].weight @ torch.tensor([far, -far]).to(model[0].weight)
    bounds = (far - 1, far + 1, -far - 1, -far + 1)
    whole, tiled = mm.partition(model, bounds=bounds), in_tiles(model, bounds=bounds, rows=20)
    assert_same(by_code(tiled), by_code(whole), rel=1e-7)
    assert len(tiled.vertices) == len(whole.vertices)


def test_cutting_anew_in_tiles():
    model = mlp(2, 10, 10, 2)
    assert_equal(in_tiles(model, rows=30, way=CutAnew), mm.partition(model))


def test_where_rounding_tears_a_region_other_tiles_are_tried(monkeypatch):
    tried = []

    def torn_once(cuts, bounds):
        tried.append(bounds)
        if len(tried) == 1:
            raise RuntimeError("faces of one label do not join to convex ones")
        return join(cuts, bounds)

    monkeypatch.setattr(tiles, "join", torn_once)
    model = mlp(2, 10, 10, 2)
    assert_equal(in_tiles(model, rows=30), mm.partition(model))
    assert len(tried) == 2
    monkeypatch.setattr(tiles, "join", lambda cuts, bounds: tried.clear() or torn_once(cuts, bounds))
    with pytest.raises(RuntimeError, match="do not join"):
        in_tiles(model, rows=30)


# ---------------------------------------------------------------- memory


def test_no_more_points_than_fit_are_in_flight():
    model, seen = mlp(2, 40, 40, 2), []
    p = mm.partition(lambda x: seen.append(len(x)) or model(x), bounds=(-3, 3, -3, 3), memory=2_000_000)
    most = 2_000_000 / (3 * 8 * (2 + 4 * 40 + 2))
    assert len(p) > 2 * most
    p.check(), p.A, p.locate(np.zeros((5_000, 2)))
    assert max(seen) <= most and len(seen) > 10


def test_memory_in_words_and_in_bytes():
    for memory in ("2 GB", "1.5GB", "200 mb", "900000 KB", "50000000 B", 50_000_000, 1e9):
        assert len(mm.partition(torch.relu, memory=memory)) == 4


@pytest.mark.parametrize(
    "memory", ["much", "2 XB", "GB", "", "-1 GB", "1.2.3 GB", 0, -5, None, True, np.nan, np.inf]
)
def test_wrong_memory_is_named(memory):
    with pytest.raises(ValueError, match='memory must be a text like "2 GB" or a number of bytes'):
        mm.partition(torch.relu, memory=memory)


def test_too_little_memory_says_how_much_is_needed():
    model = mlp(2, 1000, 2)
    with pytest.raises(
        ValueError, match=r"memory must be at least (\d+) MB for this network, got 1 MB"
    ) as error:
        mm.partition(model, memory="1 MB")
    enough = str(error.value).split("at least ")[1].split(" for")[0]
    mm.partition(model, memory=enough, bounds=(-0.02, 0.02, -0.02, 0.02))


def test_regions_that_all_meet_in_one_point_must_fit():
    angles = np.linspace(0, np.pi, 200, endpoint=False) + 0.01
    model = Sequential(affine(np.stack([np.cos(angles), np.sin(angles)], 1)), ReLU())
    with pytest.raises(ValueError, match="memory must be more than .* for the regions that meet at"):
        mm.partition(model, memory=3 * 8 * 402 * 100)
    assert len(mm.partition(model, memory="100 MB")) == len(in_tiles(model, rows=80)) == 400


PEAK = """
import sys, numpy as np, torch
from pathlib import Path
import mad_max_lib as mm
def peak(): return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1000
model = mm.mlp([2, 200, 200, 200, 1], np.random.default_rng(0))
mm.partition(model, bounds=(-.1, .1, -.1, .1)).check()
before = peak()
p = mm.partition(model, bounds=(-2, 2, -2, 2), memory=sys.argv[1], progress=False)
p.check()
print(len(p), peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="no such file tells the peak")
def test_the_peak_is_within_the_memory():
    def run(memory):
        command = [sys.executable, "-c", PEAK, memory]
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
        return map(int, done.stdout.split())

    (many, small), (regions_, large) = run("60 MB"), run("2 GB")
    assert many == regions_ > 10_000
    assert small < 60 + many * 600 / 1e6 and large > 1.5 * small  # MB


# ---------------------------------------------------------------- side by side


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_many_workers_find_the_same(backend):
    model, bounds = mlp(2, 60, 60, 2), (-2, 2.5, -2, 2)
    whole = mm.partition(model, bounds=bounds)
    with joblib.parallel_config(backend):
        tiled = mm.partition(model, bounds=bounds, memory="10 MB", n_jobs=2)
        again = mm.partition(lambda x: model(x), bounds=bounds, memory="10 MB", n_jobs=2)
    assert len(whole) > 3_000
    assert_equal(tiled, whole)
    assert (tiled.vertices == again.vertices).all() and (tiled.codes.rows == again.codes.rows).all()


def test_many_workers_on_a_dask_cluster():
    distributed = pytest.importorskip(
        "dask.distributed", reason="the optional package dask.distributed is not installed"
    )
    model, bounds = mlp(2, 60, 60, 2), (-2, 2.5, -2, 2)
    setup = dict(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None)
    with distributed.LocalCluster(**setup) as cluster, distributed.Client(cluster):
        with joblib.parallel_config("dask"):
            tiled = mm.partition(model, bounds=bounds, memory="10 MB", n_jobs=2)
    assert_equal(tiled, mm.partition(model, bounds=bounds))


@pytest.mark.parametrize("n_jobs", [0, -2, 1.5, None, True, "two"])
def test_wrong_numbers_of_jobs_are_named(n_jobs):
    with pytest.raises(ValueError, match="n_jobs must be a whole number of at least 1"):
        mm.partition(torch.relu, n_jobs=n_jobs)


def test_a_worker_that_dies_is_one_clear_error():
    here, model = os.getpid(), mlp(2, 60, 60, 2)

    def dies(x):
        if os.getpid() != here:
            os._exit(1)
        return model(x)

    with pytest.raises(RuntimeError, match="a worker of n_jobs=2 died, perhaps for lack of memory"):
        mm.partition(dies, bounds=(-2, 2, -2, 2), memory="10 MB", n_jobs=2)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_what_stops_a_run_is_not_tried_again(error):
    model, runs = mlp(2, 60, 60, 2), []

    def stopped(x):
        runs.append(len(x))
        if len(runs) == 4:
            raise error
        return model(x)

    with pytest.raises(error):
        mm.partition(stopped, bounds=(-2, 2, -2, 2), memory="10 MB")
    assert len(runs) <= 5


def test_a_function_that_is_refused_is_met_once():
    runs = []
    with pytest.raises(mm.NotPiecewiseAffineError, match="sigmoid"):
        mm.partition(lambda x: runs.append(len(x)) or torch.sigmoid(x))
    assert len(runs) == 1


# ---------------------------------------------------------------- progress


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_bar_shows_the_share_of_the_area(capsys, n_jobs):
    model = mlp(2, 60, 60, 2)
    how = dict(bounds=(-2, 2, -2, 2), memory="10 MB", n_jobs=n_jobs)
    for progress, shown in [(True, True), (False, False), (None, False)]:  # it takes less than three seconds
        mm.partition(model, **how, progress=progress)
        said = capsys.readouterr().err
        assert ("area cut" in said) == shown and (shown or not said)
