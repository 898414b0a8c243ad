"""Cutting in one run against fresh runs, networks that count their points, and degenerate networks."""

import copy
import logging

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import DEVICE, at, mlp
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from partitions import (
    SQUARE,
    Corners,
    affine,
    assert_same,
    assert_tiled,
    axes,
    by_code,
    codes_at,
    map_at,
    outputs,
    random_points,
    tiling,
)
from torch import nn
from torch.nn import Hardtanh, Linear, ReLU, Sequential
from zoo import ZOO, Net, build, drawn, points

import mad_max_lib as mm
from mad_max_lib.plane.cutting import Cut, CutAnew
from mad_max_lib.plane.regions import partition_by

few = settings(max_examples=40, deadline=None)


# ---------------------------------------------------------------- two ways of cutting


def in_a_plane(name):
    """A network of the zoo, a plane through random inputs, and a rectangle."""
    model, shape = build(name)
    origin, u, v = points(shape)
    bounds = (-0.2, 0.2, -0.1, 0.2) if name == "residual conv net" else SQUARE
    return model, mm.Plane(origin / 2, u, v), bounds


KEEPS_SHAPE = [  # networks that bear new points on the way
    name for name in ZOO if name != "relu in place on a part" and not name.startswith("rnn, ")
]


@pytest.mark.parametrize("name", KEEPS_SHAPE)
def test_points_may_join_on_the_way(name):
    model, plane, bounds = in_a_plane(name)
    joined, anew = (partition_by(way, tiling(model, plane, bounds)) for way in (Cut, CutAnew))
    assert_same(by_code(joined), by_code(anew))
    assert joined.codes.names == anew.codes.names
    order, other = (sorted(range(len(p)), key=p.codes.all().tolist().__getitem__) for p in (joined, anew))
    np.testing.assert_allclose(joined.A[order], anew.A[other], rtol=0, atol=1e-11 * abs(anew.A).max())
    np.testing.assert_allclose(joined.b[order], anew.b[other], rtol=0, atol=1e-11 * abs(anew.A).max())


@pytest.mark.parametrize("name", ZOO)
def test_every_network_of_the_zoo_is_partitioned(name):
    model, plane, bounds = in_a_plane(name)
    p = mm.partition(model, plane, bounds)
    corners = Corners(p)
    assert_tiled(p, corners)
    own = outputs(p, p.vertices)
    there = map_at(p, corners.face, p.vertices[corners.here])
    np.testing.assert_allclose(there, own[corners.here], rtol=0, atol=1e-10 * abs(own).max())
    p.check()
    np.testing.assert_array_equal(p.codes.all(), codes_at(p, p.centers))
    some = random_points(bounds, 500)
    np.testing.assert_array_equal(p.codes.all()[p.locate(some)], codes_at(p, some))


def viewed(n, x):
    N = len(x)
    h = F.relu(n.a(x)).view(N, 3, 2).amax(1)
    return n.out(F.relu(n.b(h.repeat(1, 3)).reshape(N, -1)))


def with_zero_state(n, x):
    h = x.new_zeros(x.shape[0], 6)
    for _ in range(3):
        h = F.relu(n.a(x) + n.b(h))
    return n.out(h)


def expanded(n, x):
    N = x.size(0)
    return n.out(F.relu(n.a(x)) + F.relu(n.b(F.relu(n.a(x)))) + n.out.weight[:1].expand(N, 6))


def with_ones(n, x):
    one = torch.ones(len(x), 1).to(x)
    return n.out(F.relu(torch.cat([F.relu(n.a(x))[:, :5], one], 1) @ n.b.weight))


def with_alias(n, x):
    h = n.a(x)
    half = h[:, :3]
    h.relu_()  # and half with it
    return n.out(torch.cat([h, F.relu(half - 0.5)], 1)[:, 3:])


def part_in_place(n, x):
    h = n.a(x)
    h[:, 1:4].relu_()
    return n.out(F.relu(n.b(h)))


def indexed(n, x):
    rows = torch.arange(len(x), device=x.device)
    return n.out(F.relu(n.b(F.relu(n.a(x))[rows])))


def with_states(n, x):
    """Time first, two layers: torch makes a state for each point that came in."""
    return n.out(n.rnn(x[:, :, None].transpose(0, 1))[0][-1])


def assured(n, x):
    h = F.relu(n.a(x))
    assert h.shape == (len(x), 6)
    return n.out(F.relu(n.b(h)))


def assured_before(n, x):
    N = len(x)
    h = F.relu(n.a(x))
    assert h.shape == (N, 6), "the points became more"
    return n.out(F.relu(n.b(h)))


def raises_itself(n, x):
    N = len(x)
    h = F.relu(n.a(x))
    if len(h) != N:
        raise ValueError("the points became more")
    return n.out(F.relu(n.b(h)))


COUNTING = [viewed, with_zero_state, expanded, with_ones, with_alias, part_in_place, indexed, with_states,
            assured, assured_before, raises_itself]  # fmt: skip


@pytest.mark.parametrize("function", COUNTING)
def test_a_network_may_count_its_points_by_hand(function):
    parts = {"a": Linear(2, 6), "b": Linear(6, 6), "out": Linear(6, 3), "rnn": nn.RNN(1, 6, 2, "relu")}
    model, bounds = drawn(Net(function, **parts), seed=3), (-3, 3, -2, 4)
    p, anew = mm.partition(model, bounds=bounds), partition_by(CutAnew, tiling(model, axes(), bounds))
    p.check()
    assert_same(by_code(p), by_code(anew))
    assert len(p) > 6
    some = random_points(p.bounds, 1_000)
    np.testing.assert_array_equal(p.codes.all()[p.locate(some)], codes_at(p, some))


def test_why_points_could_not_join_is_logged(caplog):
    model = drawn(Net(raises_itself, a=Linear(2, 6), b=Linear(6, 6), out=Linear(6, 3)))
    with caplog.at_level(logging.INFO, logger="mad_max_lib"):
        mm.partition(mlp(2, 6, 2))
        assert not caplog.records
        mm.partition(model)
    (record,) = caplog.records
    assert "the points became more" in record.getMessage()


def test_points_join_in_one_run():
    runs = []
    model = mlp(2, 6, 6, 6, 6, 6, 2)
    p = mm.partition(lambda x: runs.append(len(x)) or model(x))
    assert (
        len(runs) == 4 and runs[:2] == [25, 4] and runs[3] == 1
    )  # one to learn the sizes, one to cut, two to compare at centres
    anew = tiling(lambda x: runs.append(len(x)) or model(x), axes(), SQUARE)
    runs.clear()
    partition_by(CutAnew, anew)
    assert len(runs) == 8 and runs[0] == 4 and sorted(runs[:-2]) == runs[:-2]
    assert len(p) == len(mm.partition(model))


# ---------------------------------------------------------------- degenerate networks


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.cat([x[:, :0].relu(), x.relu()], 1),
        lambda x: x[:, :0].relu() @ torch.zeros(0, 3).to(x),
    ],
    ids=["part", "layer"],
)  # fmt: skip
def test_a_layer_may_be_empty(function):
    p = mm.partition(function)
    p.check()
    assert len(p) in (1, 4) and p.A.shape[1] in (2, 3)


def test_a_network_without_nonlinear_calls_has_one_region():
    W, b = [[1, 2], [3, -4], [0, 1]], [1, 0, -1]
    p = mm.partition(affine(W, b), bounds=(0, 2, 0, 3))
    assert len(p) == 1 and p.areas.tolist() == [6] and p.codes.names == [] and len(p.codes) == 0
    assert p.A.tolist() == [W] and p.b.tolist() == [b] and p.neighbours.shape == (0, 2)
    assert p.centers.tolist() == [[1, 1.5]]


def test_a_partition_without_nonlinear_calls_can_be_used():
    p = mm.partition(affine([[1, 2]]))
    p.check()
    assert p.locate([[0, 0], [1, 2], [1, -1]]).tolist() == [0, -1, 0] and p.codes.all().shape == (1, 0)
    assert len(p.boundary()) == 1


def test_a_call_may_have_one_number_for_each_point():
    p = mm.partition(lambda x: torch.stack([x[:, 0].relu(), x[:, 1]], 1))
    p.check()
    assert len(p) == 2 and p.codes[0].shape == (2, 1)


@pytest.mark.parametrize("constant", [0.0, 2.0, -3.0])
def test_a_constant_network_has_one_region(constant):
    p = mm.partition(Sequential(affine(np.zeros((4, 2)), constant), ReLU(), affine(np.ones((2, 4)))))
    assert len(p) == 1 and not p.A.any() and (p.b == 4 * max(constant, 0)).all()
    assert max(p.check().values()) == 0 and (p.codes[0] == (constant > 0)).all()
    assert p.locate([[0, 0], [1, 1], [2, 0]]).tolist() == [0, 0, -1]


def dyadic(*sizes, seed=0):
    """A network whose weights are multiples of 1/64, and how many times 1/64 they are at most."""
    model = mlp(*sizes, seed=seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_((64 * parameter).round() / 64)
    return model


def with_bias(model, layer, unit, bias, unused=False):
    model = copy.deepcopy(model)
    with torch.no_grad():
        model[layer].bias[unit] = bias
        if unused:
            model[layer + 2].weight[:, unit] = 0
    return model


HUGE = pytest.mark.xfail(
    strict=True, reason="1e-12 of the largest number so far, here of this unit, counts as zero for all"
)


@pytest.mark.parametrize("layer", [0, 2])
def test_a_closed_unit_with_a_huge_bias_does_not_blur_the_others(layer):
    model = mlp(2, 12, 12, 2)
    closed, huge = (
        mm.partition(with_bias(model, layer, 3, bias), bounds=(-2, 2, -2, 2)) for bias in (-99, -1e12)
    )
    assert_same(by_code(huge), by_code(closed), rel=1e-12)
    assert huge.check()["jump"] < 1e-13


@pytest.mark.parametrize(
    "bias, layer", [(1e6, 0), (1e12, 2), *(pytest.param(bias, 0, marks=HUGE) for bias in (1e9, 1e12))]
)
def test_an_open_unit_with_a_huge_bias_that_nobody_uses_does_not_blur_the_others(bias, layer):
    model = mlp(2, 12, 12, 2)
    open_, huge = (
        mm.partition(with_bias(model, layer, 3, b, unused=True), bounds=(-2, 2, -2, 2)) for b in (99, bias)
    )
    assert_same(by_code(huge), by_code(open_), rel=1e-9)
    huge.check()


TINY = pytest.mark.xfail(
    strict=True, reason="1e-12 of the largest number so far, here the inputs, counts as zero"
)


@pytest.mark.parametrize(
    "power", [3, 10, 20, 40, 200, -3, *(pytest.param(power, marks=TINY) for power in (-10, -20, -40))]
)
def test_the_size_of_the_weights_does_not_matter(power):
    """All weights of each layer times a power of two, and biases to match: nothing is rounded otherwise."""
    model = mlp(2, 10, 10, 10, 2)
    scaled, factor = copy.deepcopy(model), 1.0
    with torch.no_grad():
        for linear in scaled[::2]:
            factor *= 2.0**power
            linear.weight *= 2.0**power
            linear.bias *= factor
    p, q = mm.partition(model, bounds=(-2, 2, -2, 2)), mm.partition(scaled, bounds=(-2, 2, -2, 2))
    assert_same(by_code(q), by_code(p), rel=1e-12)
    assert np.allclose(q.A / factor, p.A, rtol=1e-9)


@pytest.mark.parametrize("size", [1, 1e4, 1e9, 1e-4])
def test_many_lines_through_one_point_whatever_the_size_of_the_weights(size):
    angles = np.linspace(0, np.pi, 12, endpoint=False) + 0.1
    W = size * np.stack([np.cos(angles), np.sin(angles)], 1)
    for function in (ReLU(), Hardtanh(0, size), Net(lambda n, h: torch.maximum(h, -h))):
        p = mm.partition(Sequential(affine(W, -W @ [0.3, 0.1]), function), bounds=(-0.5, 0.6, -0.5, 0.6))
        assert len(p) == 24 and p.codes[0].max() == 1
        p.check()


@pytest.mark.parametrize("depth", [2, 4, pytest.param(6, marks=TINY), pytest.param(8, marks=TINY)])
def test_small_first_weights(depth):
    """Weights of standard deviation 0.01 without biases: each layer makes its input 20 times smaller."""
    model = mlp(2, *[64] * depth, 2)
    with torch.no_grad():
        for linear in model[::2]:
            linear.weight.normal_(0, 0.01, generator=torch.Generator(DEVICE).manual_seed(depth))
            linear.bias.zero_()
    p = mm.partition(model)
    p.check()
    assert len(p) > 100


@pytest.mark.parametrize("power", [-30, -10, 10, 20, pytest.param(40, marks=TINY)])
@pytest.mark.parametrize("way", ["plane", "bounds"])
def test_the_size_of_the_rectangle_does_not_matter(power, way):
    """The first layer takes it back, so that all units see the same numbers."""
    model, size = mlp(2, 10, 10, 2), 2.0**power
    scaled = copy.deepcopy(model)
    with torch.no_grad():
        scaled[0].weight /= size
    u, v = size * at([1, 0]), size * at([0, 1])
    plane, bounds = (
        (mm.Plane(0 * u, u, v), SQUARE) if way == "plane" else (None, tuple(size * b for b in SQUARE))
    )
    p, q = mm.partition(model), mm.partition(scaled, plane, bounds)
    unit = 1 if way == "plane" else size**2
    assert_same({code: area / unit for code, area in by_code(q).items()}, by_code(p), rel=1e-12)


@pytest.mark.parametrize("far", [2**10, 2**20])
@pytest.mark.parametrize("way", ["plane", "bounds"])
def test_inputs_may_be_far_away(far, way):
    model = dyadic(2, 10, 10, 2)
    moved = copy.deepcopy(model)
    with torch.no_grad():  # exact, for numbers with few digits
        moved[0].bias -= model[0].weight @ at([far, -far])
    p = mm.partition(model)
    if way == "plane":
        q = mm.partition(moved, axes(2, at([far, -far])))
    else:
        q = mm.partition(moved, bounds=(far - 1, far + 1, -far - 1, -far + 1))
    assert_same(by_code(q), by_code(p), rel=1e-11 * far)
    q.check()


@pytest.mark.parametrize("far", [1, 1e3, 1e6])
def test_maps_far_from_the_origin_of_the_plane(far):
    model = mlp(2, 10, 10, 2)
    with torch.no_grad():
        model[0].bias -= model[0].weight @ at([far, -far])
    p = mm.partition(model, bounds=(far - 1, far + 1, -far - 1, -far + 1))
    assert len(p) > 30
    there = map_at(p, np.arange(len(p)), p.centers)
    np.testing.assert_allclose(there, outputs(p, p.centers), rtol=0, atol=1e-14 * far)
    p.check()


@pytest.mark.parametrize("K", [63, 64, 65, 70, 128, 129])
def test_units_beyond_a_word_of_64_bits(K):
    """The last unit alone cuts, wherever it stands among closed and open ones; and two kinks each."""
    W, b = np.zeros((K, 2)), np.resize([5.0, -5.0, 7.0], K)
    W[-1], b[-1] = [1, 1], 0.5
    p = mm.partition(Sequential(affine(W, b), ReLU()))
    assert len(p) == 2 and p.codes[0].shape == (2, K)
    assert (p.codes[0][:, :-1] == torch.from_numpy(b[:-1] > 0)).all() and p.codes[0][:, -1].sum() == 1
    q = mm.partition(Sequential(affine(W, b / 10), Hardtanh(-0.6, 0.6)))
    assert len(q) == 3 and sorted(q.codes[0][:, -1].tolist()) == [0, 1, 2]
    assert q.codes[0][0, :3].tolist() == [1, 1, 2] and max(q.check()["jump"], p.check()["jump"]) < 1e-14


def test_parallel_lines_of_many_units():
    """100 units along s, 70 along t, in mixed order."""
    s, t = np.linspace(-0.99, 0.97, 100), np.linspace(-0.98, 0.99, 70)
    W = np.repeat([[1.0, 0], [0, -1]], [100, 70], 0)
    order = np.random.default_rng(0).permutation(170)
    p = mm.partition(Sequential(affine(W[order], np.concatenate([-s, t])[order]), ReLU()))
    assert len(p) == 101 * 71 and p.areas.min() == pytest.approx(0.01 * 0.01, rel=0.5)
    assert max(len(face) for face in p.faces) == 4
    p.check()


@pytest.mark.parametrize(
    "pool, code",
    [
        (lambda h: F.max_pool1d(h[:, :, None].repeat(1, 1, 4), 4).flatten(1), 0),
        (lambda h: F.max_pool1d(h[:, :, None].repeat(1, 1, 4), 3, 2, 1).flatten(1), None),
        (lambda h: F.adaptive_max_pool1d(h[:, :, None].repeat(1, 1, 7), 3).flatten(1), None),
        (lambda h: torch.maximum(h, h), 0),
        (lambda h: torch.stack([h] * 300, 2).amax(2), 0),
        (lambda h: F.max_pool1d((h - 9).relu()[:, None], 3).flatten(1), None),
    ],
)
def test_of_a_window_of_ties_the_first_wins(pool, code):
    p = mm.partition(
        Sequential(affine(np.random.default_rng(0).normal(size=(3, 2))), Net(lambda n, h: pool(h)))
    )
    p.check()
    np.testing.assert_array_equal(p.codes.all(), codes_at(p, p.centers))
    if code is not None:
        assert len(p) == 1 and (p.codes[-1] == code).all()


@pytest.mark.parametrize("R", [255, 256, 257, 300])
def test_units_with_very_many_pieces(R):
    """The maximum of R tangents of a parabola: the strips between their kinks, in order."""
    r = np.arange(R)
    lines = affine(np.stack([2 * r, 0 * r], 1), -(r**2))
    p = mm.partition(Net(lambda n, x: n.lines(x).amax(1, keepdim=True), lines=lines), bounds=(0, R - 1, 0, 1))
    assert len(p) == R and p.codes[0].dtype == (torch.uint8 if R <= 256 else torch.int64)
    order = np.argsort(p.centers[:, 0])
    assert p.codes[0][order, 0].tolist() == r.tolist()
    np.testing.assert_allclose(p.areas[order], [0.5, *[1] * (R - 2), 0.5], rtol=1e-9)
    p.check()


@few
@given(st.integers(0, 999), st.sampled_from([1e-9, 1e-7, 1e-3]))
def test_kinks_that_almost_coincide_are_two(seed, gap):
    """Two kinks that far apart leave a sliver between them; 1e-13 apart they are one."""
    rng = np.random.default_rng(seed)
    w, b = rng.normal(size=2), rng.uniform(-0.3, 0.3)
    assume(chord(w, b) > 0.5)
    W = np.stack([w, w, rng.normal(size=2)])
    p = mm.partition(Sequential(affine(W, [b, b + gap, 0.1]), ReLU()))
    one = mm.partition(Sequential(affine(W[:2], [b, b + 1e-13]), ReLU()))
    codes = p.codes[0].numpy()
    assert (codes[:, 0] != codes[:, 1]).sum() in (1, 2) and len(one) == 2
    sliver = p.areas[codes[:, 0] != codes[:, 1]].sum()
    assert sliver == pytest.approx(gap * chord(w, b) / np.linalg.norm(w), rel=0.01)
    p.check()


def chord(w, b):
    """The length of the line ``w x + b = 0`` in the square."""
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    along = np.array([-w[1], w[0]]) / np.linalg.norm(w)
    values, ends = corners @ w + b, []
    for n in range(4):
        if values[n - 1] * values[n] < 0:
            share = values[n - 1] / (values[n - 1] - values[n])
            ends.append(((1 - share) * corners[n - 1] + share * corners[n]) @ along)
    return max(ends, default=0) - min(ends, default=0)
