"""Exact partitions of larger networks against the networks themselves, and all that a partition can do.

Small degenerate networks are compared with exact fractions in ``test_partition_exact.py``.
"""

import copy
from fractions import Fraction
from functools import lru_cache
from itertools import combinations

import contourpy
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from networks import ZOO, Net, build, flat, recurrent
from networks import points as inputs_like
from torch import nn
from torch.nn import (
    BatchNorm2d,
    Conv2d,
    Hardtanh,
    LeakyReLU,
    Linear,
    MaxPool1d,
    MaxPool2d,
    PReLU,
    ReLU,
    Sequential,
)

import mad_max_lib as mm
from mad_max_lib.plane.cutting import Cut, CutAnew
from mad_max_lib.book.figures import CLASSES
from mad_max_lib.plane.mesh import Mesh
from mad_max_lib.plane.regions import Partition

few = settings(max_examples=40, deadline=None)
DEVICE = mm.device()
SQUARE = (-1, 1, -1, 1)


def known(reason):
    return pytest.mark.xfail(strict=True, reason=reason)


def at(x):
    return torch.as_tensor(x, dtype=torch.float64).to(DEVICE)


def refuses(match=None):
    return pytest.raises(mm.NotPiecewiseAffineError, match=match)


def drawn(model, seed=0):
    """The model in float64 and evaluation mode, with random weights, biases and batch statistics."""
    rng = np.random.default_rng(seed)
    for name, p in [*model.named_parameters(), *model.named_buffers()]:
        if p.dim() > 1:
            p.data.copy_(torch.from_numpy(rng.normal(0, (2 / p[0].numel()) ** 0.5, p.shape)))
        elif p.dim() == 1:
            low, high = (0.5, 1.5) if "var" in name else (-0.5, 0.5)
            p.data.copy_(torch.from_numpy(rng.uniform(low, high, p.shape)))
    return model.to(DEVICE, torch.float64).eval()


def mlp(*sizes, seed=0):
    return mm.mlp(list(sizes), np.random.default_rng(seed))


def affine(W, b=0.0):
    """A linear layer with these weights and biases."""
    W = at(W)
    linear = Linear(*W.T.shape, dtype=torch.float64, device=DEVICE)
    with torch.no_grad():
        linear.weight.copy_(W)
        linear.bias.copy_(at(b).expand(len(W)))
    return linear


def plane_for(shape, seed=0):
    """A plane through random inputs of this shape; None for the network's own plane."""
    rng, D = np.random.default_rng([1, seed]), np.prod(shape)
    return None if shape == (2,) else mm.Plane(*(at(rng.normal(0, n / D**0.5, shape)) for n in (2, 1, 1)))


def axes(D=2, origin=0.0):
    """The plane of the first two of D coordinates."""
    u, v = at(torch.eye(D))[:2]
    return mm.Plane(origin + 0 * u, u, v)


def outputs(p, points):
    """What the model itself gives at points of the plane: (N, C)."""
    with torch.no_grad():
        return p.model(p.plane.points(points)).flatten(1).cpu().numpy()


def codes_at(p, points):
    """The codes of the model itself at points of the plane: (N, all units)."""
    return mm.region_codes(p.model, p.plane.points(points)).all().cpu().numpy()


def map_at(p, face, points):
    """What the map of region ``face[n]`` gives at point n: (N, C)."""
    return np.einsum("ncs,ns->nc", p.A[face], points) + p.b[face]


def by_code(p):
    """The area of each region by its code."""
    return dict(zip(map(tuple, p.codes.all().tolist()), p.areas, strict=True))


def assert_same(found, expected, rel=1e-9):
    """The same codes with the same areas."""
    assert found.keys() == expected.keys()
    pairs = np.array([(found[code], area) for code, area in expected.items()])
    np.testing.assert_allclose(*pairs.T, rtol=0, atol=rel * pairs[:, 1].sum())


def random_points(bounds, N, seed=0):
    left, right, bottom, top = bounds
    return np.random.default_rng(seed).uniform((left, bottom), (right, top), (N, 2))


class Corners:
    """All corners of all regions: whose they are, which vertex each is, and the next two around it."""

    def __init__(self, p):
        self.face = np.repeat(np.arange(len(p)), [len(face) for face in p.faces])
        self.here, self.next, self.after = (
            np.concatenate([np.roll(f, -k) for f in p.faces]) for k in range(3)
        )
        pairs = zip(self.here.tolist(), self.next.tolist(), strict=True)
        self.left = dict(zip(pairs, self.face.tolist(), strict=True))  # the region to the left of each edge
        inner = [(a, b) for a, b in self.left if a < b and (b, a) in self.left]
        self.inner = np.array(inner, int).reshape(
            -1, 2
        )  # edges with a region on both sides, and these regions
        self.sides = np.array([(self.left[a, b], self.left[b, a]) for a, b in inner], int).reshape(-1, 2)
        self.frame = np.array([edge for edge in self.left if edge[::-1] not in self.left])


def crosses(u, v):
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]


def assert_tiled(p, corners):
    """Convex polygons, counter-clockwise, edge to edge, that fill the rectangle."""
    left, right, bottom, top = p.bounds
    assert len(corners.left) == len(corners.face), "an edge has two regions on one side"
    here, there, after = (p.vertices[i] for i in (corners.here, corners.next, corners.after))
    turn = crosses(there - here, after - there)
    assert (turn >= -1e-10 * np.linalg.norm(after - here, axis=1)).all()
    first = p.vertices[[face[0] for face in p.faces]][corners.face]
    areas = np.bincount(corners.face, crosses(here - first, there - first)) / 2
    np.testing.assert_allclose(p.areas, areas, rtol=1e-12, atol=0)
    assert areas.min() > 0 and areas.sum() == pytest.approx((right - left) * (top - bottom), rel=1e-12)
    angles = np.arctan2(turn, ((there - here) * (after - there)).sum(1))
    np.testing.assert_allclose(np.bincount(corners.face, angles), 2 * np.pi, rtol=1e-9)  # once around
    means = [p.vertices[face].mean(0) for face in p.faces]
    np.testing.assert_allclose(p.centers, means, rtol=1e-12, atol=1e-12 * (right - left))
    # edge to edge, and what has no neighbour goes around the rectangle once
    V, E = len(p.vertices), len(corners.inner) + len(corners.frame)
    assert V - E + len(p) == 1
    assert V == len(np.unique(p.vertices, axis=0)) and set(corners.here.tolist()) == set(range(V))
    a, b = p.vertices[corners.frame.T]
    assert ((a == b) & ((a == (left, bottom)) | (a == (right, top)))).any(1).all()
    assert abs(a - b).sum() == pytest.approx(2 * (right - left + top - bottom), rel=1e-12)
    assert set(map(tuple, p.neighbours.tolist())) == {tuple(sorted(pair)) for pair in corners.sides.tolist()}


# ---------------------------------------------------------------- larger networks


def residual(n, x):
    h = n.stem(x)
    for first, second in ((n.a, n.b), (n.c, n.d)):
        inner = second(F.relu_(first(h)))
        inner += h
        h = F.relu(inner, inplace=True)
    return n.out(h)


def larger_halves(n, x):
    return n.out(torch.maximum(*n.b(torch.max(*n.a(x).chunk(2, 1))).chunk(2, 1)))


def cnn(*between):
    first, last = Conv2d(1, 3, 3, padding=1), Conv2d(3, 4, 3, padding=1)
    return flat(36, first, *between[:2], last, *between[2:])


# fmt: off
# name: (a function that makes it, the shape of one input, half the width of the rectangle)
NETS = {
    "2-32-32-3": (lambda: mlp(2, 32, 32, 3), (2,), 2),
    "2-64-64-64-1": (lambda: mlp(2, 64, 64, 64, 1), (2,), 1),
    "plane of 64 dimensions": (lambda: mlp(64, 64, 32, 10), (64,), 4),
    "plane of 784 dimensions": (lambda: mlp(784, 48, 48, 10), (784,), 6),
    "hard tanh": (
        lambda: Sequential(Linear(2, 20), Hardtanh(), Linear(20, 20), Hardtanh(-0.3, 0.6), Linear(20, 2)),
        (2,), 3),
    "prelu": (
        lambda: Sequential(Linear(2, 24), PReLU(24), Linear(24, 24), LeakyReLU(-0.4), Linear(24, 3)),
        (2,), 2),
    "clamp": (
        lambda: Net(lambda n, x: n.out(n.b(n.a(x).clamp(-0.5, 1)).clamp(max=0.2).abs()),
                    a=Linear(2, 20), b=Linear(20, 20), out=Linear(20, 3)), (2,), 2),
    "maxout": (
        lambda: Sequential(Linear(2, 48), MaxPool1d(3), Linear(16, 48), MaxPool1d(3), Linear(16, 2)),
        (2,), 2),
    "maximum": (lambda: Net(larger_halves, a=Linear(2, 40), b=Linear(20, 40), out=Linear(20, 3)), (2,), 2),
    "residual": (
        lambda: Net(residual, stem=Linear(2, 16), out=Linear(16, 3), **{k: Linear(16, 16) for k in "abcd"}),
        (2,), 2),
    "pooling 2x2": (lambda: cnn(ReLU(), MaxPool2d(2), ReLU(True), MaxPool2d(2)), (1, 12, 12), 0.5),
    "pooling 3x3 with overlap and padding": (
        lambda: cnn(MaxPool2d(3, 2, 1), BatchNorm2d(3), ReLU(), MaxPool2d(3, 2, 1)), (1, 12, 12), 1),
    "adaptive pooling": (
        lambda: cnn(nn.AdaptiveMaxPool2d((5, 4)), ReLU(), LeakyReLU(0.1), nn.AdaptiveMaxPool2d(3)),
        (1, 8, 8), 1),
    "recurrent": (lambda: recurrent(4, batch_first=True), (4, 3), 3),
}
# fmt: on
every_net = pytest.mark.parametrize("name", NETS)


@lru_cache
def partitioned(name):
    make, shape, half = NETS[name]
    return mm.partition(drawn(make()), plane_for(shape), (-1.3 * half, half, -0.9 * half, 1.1 * half))


@lru_cache
def corners_of(name):
    return Corners(partitioned(name))


@every_net
def test_regions_tile_the_rectangle(name):
    assert_tiled(partitioned(name), corners_of(name))


@every_net
def test_codes_are_those_of_the_model_in_the_middle_and_next_to_all_corners(name):
    """With convex regions and a convex set of points for each code, this leaves no room for other regions."""
    p, corners = partitioned(name), corners_of(name)
    codes = p.codes.all().numpy()
    own = mm.region_codes(p.model, p.plane.points(p.centers))
    assert p.codes.names == own.names and len(p.codes) == len(own)
    for ours, theirs in zip(p.codes, own, strict=True):
        assert ours.dtype == theirs.dtype and torch.equal(ours, theirs.cpu())
    assert len(np.unique(codes, axis=0)) == len(p)
    inside = p.vertices[corners.here] + 1e-3 * (p.centers[corners.face] - p.vertices[corners.here])
    np.testing.assert_array_equal(codes[corners.face], codes_at(p, inside))


@every_net
def test_a_point_has_the_code_and_the_output_of_the_region_that_locate_finds(name):
    p = partitioned(name)
    points = random_points(p.bounds, 20_000 if p.plane.origin.shape == (2,) else 3_000)
    found = p.locate(points)
    assert found.dtype.kind == "i" and found.min() >= 0
    np.testing.assert_array_equal(p.codes.all().numpy()[found], codes_at(p, points))
    own = outputs(p, points)
    np.testing.assert_allclose(map_at(p, found, points), own, rtol=0, atol=1e-12 * abs(own).max())


@every_net
def test_maps_are_those_of_the_model_along_the_plane(name):
    p = partitioned(name)
    some = np.random.default_rng(0).permutation(len(p))[:200]
    A, b = mm.affine_map(p.model, p.plane.points(p.centers[some]))
    along = [(A * direction).flatten(2).sum(2).cpu().numpy() for direction in p.plane]
    assert p.A.shape == (len(p), b.shape[1], 2) and p.b.shape == b.shape[:0] + (len(p), b.shape[1])
    assert p.A.dtype == p.b.dtype == np.float64
    np.testing.assert_allclose(p.A[some], np.stack(along[1:], -1), rtol=0, atol=1e-12 * abs(p.A).max())
    np.testing.assert_allclose(p.b[some], along[0] + b.cpu().numpy(), rtol=0, atol=1e-12 * abs(p.b).max())


@every_net
def test_all_regions_around_a_vertex_give_the_output_of_the_model_there(name):
    p, corners = partitioned(name), corners_of(name)
    own = outputs(p, p.vertices)
    there = map_at(p, corners.face, p.vertices[corners.here])
    np.testing.assert_allclose(there, own[corners.here], rtol=0, atol=1e-11 * abs(own).max())
    for end in corners.inner.T:
        one, other = (map_at(p, face, p.vertices[end]) for face in corners.sides.T)
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-11 * abs(own).max())


@every_net
def test_the_proof_holds(name):
    errors = partitioned(name).check()
    assert errors["repeated codes"] == 0
    assert max(errors["area"], errors["wrong pieces"], errors["jump"]) < 1e-11


# fmt: off
LAYERS = {  # K lines each, or 2 K
    "relu": (ReLU(), [0]), "abs": (torch.abs, [0]), "leaky relu": (LeakyReLU(0.2), [0]),
    "hard tanh": (Hardtanh(-1, 0.5), [-1, 0.5]), "clamp": (lambda u: u.clamp(max=0.25), [0.25]),
}
# fmt: on


def counts(lines, bounds):
    """Lines ``a s + b t + c = 0`` that cross the rectangle, and where inside it two of them meet."""
    left, right, bottom, top = bounds
    corners = np.array([[left, bottom, 1], [right, bottom, 1], [right, top, 1], [left, top, 1]])
    above = (corners @ lines.T > 0).sum(0)
    lines = lines[(above > 0) & (above < 4)]
    i, j = np.triu_indices(len(lines), 1)
    x, y, w = np.cross(lines[i], lines[j]).T
    with np.errstate(divide="ignore", invalid="ignore"):
        meet = (x / w > left) & (x / w < right) & (y / w > bottom) & (y / w < top)
    return len(lines), meet.sum()


@pytest.mark.parametrize("D", [2, 5])
@pytest.mark.parametrize("K", [1, 2, 7, 32, 63, 64, 65, 70, 129])
@pytest.mark.parametrize("kind", LAYERS)
def test_one_layer_has_as_many_regions_as_its_lines_make(kind, K, D):
    function, kinks = LAYERS[kind]
    linear, plane, bounds = drawn(Linear(D, K), seed=K), plane_for((D,), seed=K), (-2, 3, -1.5, 2.5)
    p = mm.partition(Net(lambda n, x: function(n.linear(x)), linear=linear), plane, bounds)
    with torch.no_grad():
        at_0, at_s, at_t = linear(p.plane.points([[0, 0], [1, 0], [0, 1]])).cpu().numpy()
    lines = [np.stack([at_s - at_0, at_t - at_0, at_0 - kink], 1) for kink in kinks]
    crossing, meeting = counts(np.concatenate(lines), bounds)
    assert len(p) == 1 + crossing + meeting
    assert len(p.vertices) == 4 + 2 * crossing + meeting


def test_a_convolution_cuts_along_the_lines_of_its_units():
    conv, plane = drawn(Conv2d(2, 3, 2)), plane_for((2, 4, 4))
    p = mm.partition(Net(lambda n, x: n.conv(x).relu(), conv=conv), plane, (-9, 9, -9, 9))
    with torch.no_grad():
        at_0, at_s, at_t = conv(plane.points([[0, 0], [1, 0], [0, 1]])).flatten(1).cpu().numpy()
    crossing, meeting = counts(np.stack([at_s - at_0, at_t - at_0, at_0], 1), p.bounds)
    assert len(p) == 1 + crossing + meeting > 100


@pytest.mark.parametrize("pool", [False, True])
def test_each_layer_subdivides_the_one_before(pool):
    if pool:
        model, plane, bounds = drawn(NETS["pooling 2x2"][0]()), plane_for((1, 12, 12)), (-0.2, 0.3, -0.3, 0.2)
    else:
        model, plane, bounds = mlp(2, 16, 12, 8, 2), None, SQUARE
    coarse = mm.partition(model[:2], plane, bounds)
    for depth in range(3, len(model) + 1):
        fine = mm.partition(model[:depth], plane, bounds)
        around = coarse.locate(fine.centers)
        units = coarse.codes.all().shape[1]
        assert torch.equal(fine.codes.all()[:, :units], coarse.codes.all()[around])
        np.testing.assert_allclose(np.bincount(around, fine.areas, len(coarse)), coarse.areas, rtol=1e-9)
        coarse = fine


# ---------------------------------------------------------------- two ways of cutting


def by(way, model, plane, bounds=SQUARE):
    plane = plane or axes()
    with torch.no_grad():
        return Partition(model, plane, bounds, way(plane, bounds))


def zoo(name):
    model, shape = build(name)
    origin, u, v = inputs_like(shape)
    return (
        model,
        mm.Plane(origin / 2, u, v),
        (-0.2, 0.2, -0.1, 0.2) if name == "residual conv net" else SQUARE,
    )


KEEPS_SHAPE = [  # networks that bear new points on the way
    name for name in ZOO if name != "relu in place on a part" and not name.startswith("rnn, ")
]


@pytest.mark.parametrize("name", KEEPS_SHAPE)
def test_points_may_join_on_the_way(name):
    model, plane, bounds = zoo(name)
    joined, anew = by(Cut, model, plane, bounds), by(CutAnew, model, plane, bounds)
    assert_same(by_code(joined), by_code(anew))
    assert joined.codes.names == anew.codes.names
    order, other = (sorted(range(len(p)), key=p.codes.all().tolist().__getitem__) for p in (joined, anew))
    np.testing.assert_allclose(joined.A[order], anew.A[other], rtol=0, atol=1e-11 * abs(anew.A).max())
    np.testing.assert_allclose(joined.b[order], anew.b[other], rtol=0, atol=1e-11 * abs(anew.A).max())


@pytest.mark.parametrize("name", ZOO)
def test_every_network_of_the_zoo_is_partitioned(name):
    model, plane, bounds = zoo(name)
    p = mm.partition(model, plane, bounds)
    corners = Corners(p)
    assert_tiled(p, corners)
    own = outputs(p, p.vertices)
    there = map_at(p, corners.face, p.vertices[corners.here])
    np.testing.assert_allclose(there, own[corners.here], rtol=0, atol=1e-10 * abs(own).max())
    p.check()
    np.testing.assert_array_equal(p.codes.all(), codes_at(p, p.centers))
    points = random_points(bounds, 500)
    np.testing.assert_array_equal(p.codes.all()[p.locate(points)], codes_at(p, points))


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


RESHAPES = "the fresh runs are tried after a RuntimeError only, not after other exceptions"


@pytest.mark.parametrize(
    "function",
    [
        viewed, with_zero_state, expanded, with_ones, with_alias, part_in_place, indexed, with_states,
        *(pytest.param(f) for f in (assured, assured_before, raises_itself)),
    ],
)  # fmt: skip
def test_a_network_may_count_its_points_by_hand(function):
    parts = {"a": Linear(2, 6), "b": Linear(6, 6), "out": Linear(6, 3), "rnn": nn.RNN(1, 6, 2, "relu")}
    model = drawn(Net(function, **parts), seed=3)
    p, anew = mm.partition(model, bounds=(-3, 3, -2, 4)), by(CutAnew, model, None, (-3, 3, -2, 4))
    p.check()
    assert_same(by_code(p), by_code(anew))
    assert len(p) > 6
    points = random_points(p.bounds, 1_000)
    np.testing.assert_array_equal(p.codes.all()[p.locate(points)], codes_at(p, points))


def test_points_join_in_one_run():
    runs = []
    model = mlp(2, 6, 6, 6, 6, 6, 2)
    p = mm.partition(lambda x: runs.append(len(x)) or model(x))
    assert len(runs) == 4 and runs[:2] == [2, 4] and runs[3] == 1  # a trial, one to cut, two to compare at centres
    runs.clear()
    by(CutAnew, lambda x: runs.append(len(x)) or model(x), None)
    assert len(runs) == 8 and runs[0] == 4 and sorted(runs[:-2]) == runs[:-2]
    assert len(p) == len(mm.partition(model))


# ---------------------------------------------------------------- planes, bounds, types


def test_points_of_a_plane():
    plane = mm.Plane(at([[1, 2, 3], [4, 5, 6]]), at(torch.ones(2, 3)), at([[0, 1, 0], [0, 0, 2]]))
    points = plane.points(np.array([[0, 0], [2, 0], [0.5, -1]]))
    assert points.dtype == torch.float64 and points.device.type == DEVICE.type
    assert points.tolist() == [
        [[1, 2, 3], [4, 5, 6]],
        [[3, 4, 5], [6, 7, 8]],
        [[1.5, 1.5, 3.5], [4.5, 5.5, 4.5]],
    ]
    for st_ in ([[0.5, -1]], torch.tensor([[0.5, -1]]), np.float32([[0.5, -1]])):
        assert torch.equal(plane.points(st_), points[2:])
    assert plane.points(np.zeros((0, 2))).shape == (0, 2, 3)


def test_a_plane_through_three_inputs():
    x0, x1, x2 = at(np.random.default_rng(0).normal(size=(3, 2, 4)))
    plane = mm.Plane.through(x0, x1, x2)
    torch.testing.assert_close(plane.points([[0, 0], [1, 0], [0, 1]]), torch.stack([x0, x1, x2]))
    assert plane.u.shape == (2, 4) and isinstance(plane, mm.Plane)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int64])
def test_a_plane_of_any_type_is_read_in_float64(dtype):
    model = mlp(3, 8, 2)
    x = torch.tensor([[0, 1, 2], [1, 0, 1], [-1, 1, 0]], dtype=dtype, device=DEVICE)
    p, q = mm.partition(model, mm.Plane(*x)), mm.partition(model, mm.Plane(*x.double()))
    assert (
        (p.A == q.A).all() and (p.areas == q.areas).all() and (p.locate(p.centers) == np.arange(len(p))).all()
    )


def test_the_default_plane_is_the_input_space_itself():
    model = mlp(2, 12, 3)
    p, q = mm.partition(model), mm.partition(model, axes(), SQUARE)
    assert (
        p.bounds == SQUARE and (p.vertices == q.vertices).all() and (p.A == q.A).all() and (p.b == q.b).all()
    )
    own, (A, b) = outputs(p, p.centers), mm.affine_map(model, at(p.centers))
    np.testing.assert_allclose(p.A, A.cpu(), atol=1e-13)
    np.testing.assert_allclose(p.b, b.cpu(), atol=1e-13)
    np.testing.assert_allclose(map_at(p, np.arange(len(p)), p.centers), own, atol=1e-13)


@pytest.mark.parametrize(
    "bounds",
    [[-1, 2, 0, 1], np.array([-1, 2, 0, 1]),
     pytest.param(torch.tensor([-1.0, 2, 0, 1]))],
)  # fmt: skip
def test_bounds_may_be_any_four_numbers(bounds):
    p = mm.partition(mlp(2, 5, 1), bounds=bounds)
    p.check()
    assert (
        p.areas.sum() == pytest.approx(3)
        and (p.locate([[2, 1], [-1, 0], [2.1, 1], [0, -0.1]]) < 0).sum() == 2
    )


def test_two_halves_of_a_rectangle_make_the_whole():
    model = mlp(2, 10, 10, 2)
    parts = [by_code(mm.partition(model, bounds=bounds)) for bounds in ((-2, 0.3, -1, 2), (0.3, 1, -1, 2))]
    added = {code: sum(part.get(code, 0) for part in parts) for code in parts[0] | parts[1]}
    assert_same(added, by_code(mm.partition(model, bounds=(-2, 1, -1, 2))))


def test_a_plane_seen_in_other_coordinates():
    """Turned, stretched and shifted coordinates change the areas by one factor and leave the codes."""
    model, plane = mlp(6, 12, 12, 2), plane_for((6,))
    p = mm.partition(model, plane, (-1, 1, -2, 2))
    turned = mm.Plane(plane.origin + plane.u, 4 * plane.v, -plane.u)
    q = mm.partition(model, turned, (-0.5, 0.5, 0, 2))
    assert_same({code: 4 * area for code, area in by_code(q).items()}, by_code(p))


def test_a_flat_plane_is_cut_along_parallels():
    model = mlp(3, 10, 1)
    u = at([1, 2, -1])
    p = mm.partition(model, mm.Plane(at([0, 0.1, 0]), u, 0 * u))
    p.check()
    assert len(p) == len(p.vertices) / 2 - 1 and set(p.vertices[:, 1]) == {-1, 1}


def test_a_float32_model_is_read_in_float64():
    model = mlp(2, 16, 16, 2).float()
    p, q = mm.partition(model), mm.partition(copy.deepcopy(model).double())
    assert p.A.dtype == p.b.dtype == p.areas.dtype == p.vertices.dtype == np.float64
    assert (p.A == q.A).all() and (p.vertices == q.vertices).all()
    assert torch.equal(p.codes.all(), q.codes.all())
    assert all(
        t.dtype == torch.float32 and t.grad is None for t in model.parameters()
    )  # the caller's is as it was
    assert p.check()["jump"] < 1e-13


def test_a_partition_is_a_snapshot():
    model = mlp(2, 16, 16, 3)
    expected, p = mm.partition(copy.deepcopy(model)), mm.partition(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 1
    assert (p.A == expected.A).all() and (p.b == expected.b).all()
    p.check()
    points = random_points(SQUARE, 100)
    assert (p.locate(points) == expected.locate(points)).all()
    assert len(mm.partition(model)) != len(p)


def test_a_partition_changes_nothing():
    model = mlp(2, 8, 8, 3).train()
    state = copy.deepcopy(model.state_dict())
    torch.manual_seed(0)
    np.random.seed(0)
    expected = torch.rand(1), np.random.rand()
    torch.manual_seed(0)
    np.random.seed(0)
    plane, bounds = axes(), [-1, 1, -1, 1]
    p = mm.partition(model, plane, bounds)
    p.check(), p.boundary(), p.A, p.locate([[0, 0]])
    assert (torch.rand(1), np.random.rand()) == expected  # takes no random numbers of yours
    assert model.training and all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    assert torch.is_grad_enabled() and bounds == [-1, 1, -1, 1]
    assert torch.equal(plane.u, at([1, 0]))
    again = mm.partition(model, plane, bounds)
    assert (p.vertices == again.vertices).all() and torch.equal(p.codes.all(), again.codes.all())


def test_using_a_partition_does_not_change_it():
    p = mm.partition(mlp(2, 10, 3))
    before = copy.deepcopy((p.vertices, *p.faces, p.A, p.b, p.areas, p.neighbours))
    boundary = p.boundary()
    mm.figures.draw_partition(plt.figure().add_subplot(), p)
    plt.close("all")
    p.check(), p.locate(p.vertices)
    q = copy.deepcopy(p)
    for key in ("vertices", "faces", "areas", "centers", "neighbours", "_affine", "_decided"):
        q.__dict__.pop(key, None)  # worked out again
    after = (q.vertices, *q.faces, q.A, q.b, q.areas, q.neighbours)
    assert len(before) == len(after) and all(map(np.array_equal, before, after))
    assert np.array_equal(boundary, q.boundary()) and np.array_equal(boundary, p.boundary())


@pytest.mark.parametrize("gradients", [False, True])
def test_functions_are_as_good_as_modules(gradients):
    model = mlp(2, 8, 8, 3)
    u, v = at([1, 0]).requires_grad_(gradients), at([0, 1])
    with torch.set_grad_enabled(gradients):
        p = mm.partition(lambda x: model(x), mm.Plane(0 * v, u, v))
        p.check()
    assert_same(by_code(p), by_code(mm.partition(model)))
    assert isinstance(p.A, np.ndarray)


def test_more_axes_of_the_output_are_flattened():
    p = mm.partition(lambda x: torch.stack([x.relu(), -x.relu()], 1))
    assert len(p) == 4 and p.A.shape == (4, 4, 2) and p.b.shape == (4, 4)
    p.check()


def test_it_says_how_many_regions_it_has():
    assert repr(mm.partition(torch.abs)) == "Partition into 4 regions"


# ---------------------------------------------------------------- wrong arguments and refusals

E3 = torch.eye(3, dtype=torch.float64, device=DEVICE)
WRONG = {
    "bounds reversed": (dict(bounds=(1, -1, -1, 1)), r"bounds must be \(left, right, bottom, top\)"),
    "bounds upside down": (dict(bounds=(-1, 1, 2, 1)), "bounds must be .* bottom < top, got .*2, 1"),
    "bounds without area": (dict(bounds=(-1, 1, 1, 1)), "bounds must be"),
    "bounds without width": (dict(bounds=(1, 1, -1, 1)), "bounds must be"),
    "bounds with NaN": (dict(bounds=(-1, 1, -1, np.nan)), "bounds must be"),
    "bounds without end": (dict(bounds=(-np.inf, 1, -1, 1)), "bounds must be"),
    "plane of three tensors": (dict(plane=tuple(E3)), "plane must be a Plane"),
    "bounds in the place of the plane": (dict(plane=SQUARE), "plane must be a Plane"),
    "plane of two shapes": (
        dict(plane=mm.Plane(E3[0], E3[1], E3[2, :2])),
        "plane must be .* the shape of one",
    ),
    "plane of two shapes, one an origin": (dict(plane=mm.Plane(E3[0, :2], E3[1], E3[2])), "plane must be"),
}
UNHELPFUL = {  # the same, but the error is one of torch's or NumPy's, or of what comes later
    "three bounds": (dict(bounds=(-1, 1, -1)), "bounds must be"),
    "five bounds": (dict(bounds=(-1, 1, -1, 1, 0)), "bounds must be"),
    "pairs of bounds": (dict(bounds=((-1, 1), (-1, 1))), "bounds must be"),
    "one bound": (dict(bounds=2), "bounds must be"),
    "bounds in words": (dict(bounds="abcd"), "bounds must be"),
    "no bounds": (dict(bounds=None), "bounds must be"),
    "plane of one array": (dict(plane=np.eye(3)), "plane must be a Plane"),
    "plane of one tensor": (dict(plane=E3), "plane must be a Plane"),
    "plane of arrays": (dict(plane=mm.Plane(*np.eye(3))), "plane must"),
    "plane of lists": (dict(plane=mm.Plane([0, 0, 0], [1, 0, 0], [0, 1, 0])), "plane must"),
    "plane of numbers": (dict(plane=mm.Plane(*E3[0])), "points of plane"),
    "plane of another space": (dict(plane=mm.Plane(*torch.eye(4).to(E3)[:3])), "plane"),
    "no plane where one is needed": (dict(), "plane"),
    "plane with NaN in its origin": (dict(plane=mm.Plane(E3[0] * np.nan, E3[1], E3[2])), "plane .*finite"),
    "plane with NaN in u": (dict(plane=mm.Plane(E3[0], E3[1] * np.nan, E3[2])), "plane .*finite"),
    "plane without end": (dict(plane=mm.Plane(E3[0], E3[1], E3[2] / 0)), "plane .*finite"),
    "plane of complex numbers": (dict(plane=mm.Plane(*E3.to(torch.complex128))), "plane"),
}


@pytest.mark.parametrize(
    "what",
    [*WRONG, *(pytest.param(key) for key in UNHELPFUL)],
)
@pytest.mark.filterwarnings("ignore:Casting complex")
def test_wrong_arguments_are_named(what):
    arguments, message = (WRONG | UNHELPFUL)[what]
    with pytest.raises((ValueError, TypeError), match=message):
        mm.partition(mlp(3, 4, 2), **arguments)


def test_the_bounds_that_were_given_are_in_the_message():
    with pytest.raises(ValueError, match=r"left < right, bottom < top, got \(1, -1, -1, 1\)$"):
        mm.partition(torch.relu, bounds=(1, -1, -1, 1))


@pytest.mark.parametrize(
    "points",
    [[0.0, 0.0], [[0.0, 0.0, 0.0]], [[np.nan, 0.0]], [[0.0, np.inf]]],
    ids=["one", "3-D", "NaN", "inf"],
)
def test_wrong_points_are_named(points):
    with pytest.raises(ValueError, match="points must"):
        mm.partition(torch.relu).locate(points)


def test_no_points_lie_nowhere():
    assert mm.partition(torch.relu).locate(np.zeros((0, 2))).shape == (0,)


@pytest.mark.parametrize(
    "model", [lambda x: x.relu().sum(1), lambda x: x.relu().sum()], ids=["one each", "one"]
)
def test_an_output_without_a_second_axis_is_taken_or_refused_in_words(model):
    try:
        assert len(mm.partition(model)) == 4
    except ValueError as error:
        assert "output" in str(error)


def test_a_function_with_float32_weights_is_refused_in_words():
    model = mlp(2, 4, 2).float()
    with pytest.raises((ValueError, TypeError), match="float64"):
        mm.partition(lambda x: model(x))


NORM, DROPOUT = nn.BatchNorm1d(4).to(DEVICE), nn.Dropout(0.5)
REFUSED = {  # a function of (N, 4) inputs, the function that is refused, nonlinear calls before it
    "sigmoid": (lambda x: torch.sigmoid(x.relu()), "sigmoid", 1),
    "tanh": (lambda x: x.tanh(), "tanh", 0),
    "gelu": (F.gelu, "gelu", 0),
    "softmax": (lambda x: F.softmax(x.abs().relu(), 1), "softmax", 2),
    "square": (lambda x: x.relu() * x, "mul", 1),
    "power": (lambda x: x**2, "__?pow__|pow", 0),
    "layer norm": (lambda x: F.layer_norm(x, (4,)), "layer_norm", 0),
    "batch statistics": (Sequential(ReLU(), NORM), "batch_norm", 1),
    "dropout": (Sequential(ReLU(), ReLU(), DROPOUT), "dropout", 2),
    "sort": (lambda x: x.relu().sort(1).values, "sort", 1),
    "step": (lambda x: torch.where(x > 0, x, x - 1), "gt", 0),
    "largest of all points": (lambda x: x - x.relu().amax(0), "amax", 1),
    "product with itself": (lambda x: x.relu() @ x.abs().T, "matmul|__matmul__", 2),
}
ONE_NUMBER = {  # of one point, on no axis
    "branch": (lambda x: x if x[0, 0] > 0 else -x, "gt", 0),
    "truth": (lambda x: x if x.relu()[0, 0] else -x, "__bool__", 1),
    "item": (lambda x: x * x[0, 0].item(), "item", 0),
    "float": (lambda x: x * float(x[0, 0]), "__float__", 0),
}
PLANE4 = plane_for((4,))


@pytest.mark.parametrize(
    "what",
    [*REFUSED, *(pytest.param(key) for key in ONE_NUMBER),
     pytest.param("largest of all points, told twice")],
)  # fmt: skip
def test_refused_with_the_name_of_the_function_once(what):
    function, name, before = (REFUSED | ONE_NUMBER)[what.removesuffix(", told twice")]
    said = rf"^({name}) \(function number \d+ after the input, nonlinear calls before it: {before}\) \w"
    with refuses(said) as error:
        mm.partition(function, PLANE4)
    assert str(error.value).count("function number") == 1 and str(error.value).count("nonlinear calls") == 1
    if what != "largest of all points":
        assert error.value.__context__ is None and error.value.__cause__ is None  # one error, not a chain


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning", "ignore:The .grad")
def test_compiled_models_are_refused(nested):
    model = torch.jit.script(Sequential(Linear(2, 3), ReLU()))
    with refuses("model is or holds a compiled"):
        mm.partition(Sequential(model) if nested else model)


@pytest.mark.parametrize(
    "model",
    [lambda x: (x, x), lambda x: torch.ones(len(x), 2, dtype=x.dtype), lambda x: None, lambda x: {"out": x}],
)
def test_the_output_must_be_one_tensor_that_comes_from_x(model):
    with refuses("model must return one tensor that is seen to come from x, got a"):
        mm.partition(model)


@pytest.mark.parametrize("model", [None, "relu", 3.0])
def test_a_model_must_be_callable(model):
    with pytest.raises(TypeError, match="not callable"):
        mm.partition(model)


SLICE = (-1.3, 1, -0.9, 1.1)
MIXED = {
    "minus the sum": lambda x: x.relu() - x.relu().sum(0),
    "running sum": lambda x: x.cumsum(0).relu(),
    "flipped": lambda x: x.flip(0).relu(),
    "rolled": lambda x: x.roll(1, 0).relu(),
}


@pytest.mark.parametrize("what", MIXED)
def test_points_must_not_depend_on_each_other(what):
    with refuses("not affine on a region, by .*one point's output depends on another"):
        mm.partition(MIXED[what], bounds=SLICE)


def test_points_must_not_depend_on_their_mean():
    with refuses():
        mm.partition(lambda x: (x - x.mean(0)).relu(), bounds=SLICE)


@pytest.mark.parametrize(
    "D", [3, 4, 5]
)
def test_points_must_stay_on_the_first_axis(D):
    with refuses("not affine on a region" if D == 4 else "does not keep the points on the first axis"):
        mm.partition(lambda x: x.T.relu().T, plane_for((D,)), SLICE)  # four inputs look like four corners


@pytest.mark.parametrize(
    "D", [3, 4, 5]
)
def test_points_may_leave_the_first_axis_in_between(D):
    plane = plane_for((D,))
    p = mm.partition(lambda x: (2 * x.relu().T - 1).T.relu(), plane, (-3, 3, -3, 3))
    p.check()
    assert_same(by_code(p), by_code(mm.partition(lambda x: (2 * x.relu() - 1).relu(), plane, (-3, 3, -3, 3))))


@pytest.mark.parametrize("slip", [1e-8, 1.0])
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_what_cannot_be_seen_is_caught(slip):
    hidden = torch.jit.script(hidden_relu)
    with refuses("not affine on a region, by .*could not be seen"):
        mm.partition(lambda x: x.relu() + slip * hidden(x[:, :1] + x[:, 1:] - 0.3).detach())


def hidden_relu(x: torch.Tensor):
    return torch.relu(x)


# ---------------------------------------------------------------- the decision boundary


def crossings(a, b, p, q):
    """Whether segment a b crosses segment p q, for all pairs: (N, M)."""
    a, b = a[:, None], b[:, None]
    on_both_sides = crosses(b - a, p - a) * crosses(b - a, q - a) < 0
    return on_both_sides & (crosses(q - p, a - p) * crosses(q - p, b - p) < 0)


DECIDED = [
    "2-32-32-3",
    "2-64-64-64-1",
    "hard tanh",
    "prelu",
    "maximum",
    "plane of 64 dimensions",
    "recurrent",
]


@pytest.mark.parametrize("name", DECIDED)
def test_on_the_boundary_the_two_largest_outputs_tie(name):
    p = partitioned(name)
    segments = p.boundary()
    assert segments.shape == (len(segments), 2, 2) and len(segments) > 10
    assert np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1).min() > 0
    for share in (0, 0.1, 0.5, 0.83, 1):
        own = np.sort(outputs(p, (1 - share) * segments[:, 0] + share * segments[:, 1]), 1)
        gap = own[:, -1] - own[:, -2] if own.shape[1] > 1 else own[:, -1]
        assert abs(gap).max() < 1e-10 * abs(p._values).max()


@pytest.mark.parametrize("name", DECIDED)
def test_each_piece_of_the_boundary_lies_in_one_region(name):
    p, corners = partitioned(name), corners_of(name)
    segments = p.boundary()
    middle = segments.mean(1)
    face = p.locate(middle)
    for end in segments.transpose(1, 0, 2):
        values = np.sort(map_at(p, face, end), 1)
        gap = values[:, -1] - values[:, -2] if values.shape[1] > 1 else values[:, -1]
        assert abs(gap).max() < 1e-10 * abs(p._values).max()
    here, step = p.vertices[corners.here], p.vertices[corners.next] - p.vertices[corners.here]
    for f, ends in zip(face, segments, strict=True):
        mine = corners.face == f
        heights = crosses(step[mine][:, None], ends - here[mine][:, None]).min(1)
        assert (heights > -1e-9 * np.linalg.norm(step[mine], axis=1)).all()


@pytest.mark.parametrize("name", DECIDED)
def test_the_class_changes_where_the_boundary_is_crossed(name):
    """With two classes: on the way to a point of the other class, an odd number of times."""
    p = partitioned(name)
    a, b = random_points(p.bounds, 1_000), random_points(p.bounds, 1_000, seed=1)
    b = a + 0.1 * (b - a)
    one, other = (
        own.argmax(1) if own.shape[1] > 1 else own[:, 0] > 0 for own in (outputs(p, a), outputs(p, b))
    )
    crossed = crossings(a, b, *p.boundary().transpose(1, 0, 2)).sum(1)
    assert (crossed[one != other] > 0).all() and (one != other).sum() > 20
    if p.b.shape[1] <= 2:
        np.testing.assert_array_equal(crossed % 2, one != other)


@pytest.mark.parametrize("sizes", [(2, 12, 12, 1), (2, 12, 12, 2)])
def test_the_boundary_is_as_long_as_the_contour_of_a_fine_grid(sizes):
    p = mm.partition(mlp(*sizes, seed=2), bounds=(-3, 2, -2, 3))
    x = np.linspace(-3, 2, 501)
    own = outputs(p, np.stack(np.meshgrid(x, x + 1), -1).reshape(-1, 2))
    z = (own[:, 0] - own[:, 1] if own.shape[1] > 1 else own[:, 0]).reshape(501, 501)
    lines = contourpy.contour_generator(x, x + 1, z).lines(0)
    expected = sum(np.linalg.norm(np.diff(line, axis=0), axis=1).sum() for line in lines)
    segments = p.boundary()
    assert np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1).sum() == pytest.approx(expected, rel=5e-3)
    assert expected > 3


def test_boundaries_found_by_hand():
    first = mm.partition(affine([[1, 0], [0, 1]])).boundary()  # s = t
    assert np.sort(first[:, :, 0], 1).tolist() == np.sort(first[:, :, 1], 1).tolist() == [[-1, 1]]
    three = mm.partition(affine([[1, 0], [0, 1], [0, 0]])).boundary()  # 0 where both are negative
    rays = sorted(np.sort(np.round(segment, 12), 0).tolist() for segment in three)
    assert rays == [[[-1, 0], [0, 0]], [[0, -1], [0, 0]], [[0, 0], [1, 1]]]
    sign = mm.partition(affine([[2, 0]], -1)).boundary()
    assert np.sort(sign[0], 0).tolist() == [[0.5, -1], [0.5, 1]] and len(sign) == 1
    corner = mm.partition(lambda x: x.relu().sum(1, keepdim=True)).boundary()  # zero on a whole quadrant
    assert sorted(np.sort(s, 0).tolist() for s in corner) == [[[-1, 0], [0, 0]], [[0, -1], [0, 0]]]


@pytest.mark.parametrize(
    "model",
    [
        lambda x: x.relu().sum(1, keepdim=True) + 1,
        lambda x: x.relu() * 0,
        lambda x: torch.cat([x[:, :1].relu()] * 3, 1),
        lambda x: torch.cat([x.relu(), x + 5], 1),
        lambda x: -x.abs().sum(1, keepdim=True),
    ],
    ids=["positive", "zero", "equal outputs", "one largest", "never above zero"],
)
def test_a_network_without_a_boundary(model):
    p = mm.partition(model)
    assert p.boundary().shape == (len(p.boundary()), 2, 2)
    classes = np.unique(outputs(p, random_points(SQUARE, 500)).argmax(1))
    assert len(p.boundary()) == 0 or len(classes) > 1


# ---------------------------------------------------------------- drawing


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
def test_regions_are_drawn_in_the_colours_of_labels(as_array):
    p, colors = (
        mm.partition(mlp(2, 6, 6, 1), bounds=(-2.0, 2.0, -2.0, 2.0)),
        ["red", "#0f0", "C0", "0.5", "k"],
    )
    labels = [f % 5 for f in range(len(p))]
    pixels, points = drawing(p, labels=as_array(labels), colors=colors, lw=0)
    some = np.random.default_rng(0).integers(400, size=(2, 1_000))
    away = distances(points[*some], p.vertices[Corners(p).inner]) > 0.02
    face = p.locate(points[*some])
    expected = np.array([pale(color) for color in colors])[np.array(labels)[face]]
    assert abs(pixels[*some] - expected)[away].max() <= 1 and away.sum() > 500 and len(p) > 20


def test_more_classes_than_colours_can_be_drawn():
    p = mm.partition(mlp(2, 8, 10, seed=1))
    try:
        drawing(p)
    except ValueError as error:
        assert "colors" in str(error)


@pytest.mark.parametrize("labels", [[0], [0, 1, 2, -1], [0.5, 0, 0, 0], [[0, 0, 0, 0]]])
def test_wrong_labels_are_named(labels):
    with pytest.raises((ValueError, TypeError), match="labels must"):
        mm.figures.draw_partition(plt.figure().add_subplot(), mm.partition(torch.relu), labels=labels)


# ---------------------------------------------------------------- finding regions


def test_a_border_belongs_to_the_lowest_piece():
    p = mm.partition(torch.relu)
    codes = p.codes[0].tolist()
    places = {(0, 0): [0, 0], (0, 0.5): [0, 1], (0, -0.5): [0, 0], (0.5, 0): [1, 0], (1e-9, 0): [1, 0],
              (1, 1): [1, 1], (-1, 1): [0, 1], (-1, 0): [0, 0], (1, 0): [1, 0]}  # fmt: skip
    assert [codes[f] for f in p.locate(list(places))] == list(places.values())


def test_points_outside_are_in_no_region():
    p = mm.partition(torch.relu, bounds=(-1, 2, 0, 1))
    inside = [[-1, 0], [2, 1], [-1, 1], [2, 0], [0.5, 0.5]]
    outside = [[-1.001, 0.5], [2.001, 0.5], [0, -0.001], [0, 1.001], [5, 5], [-1e9, 0.5]]
    assert (p.locate(inside) >= 0).all() and p.locate(outside).tolist() == [-1] * 6
    assert p.locate(inside + outside).shape == (11,) and (p.locate(inside + outside)[5:] == -1).all()


@pytest.mark.parametrize(
    "W", [[[1, 0], [0, 1], [-1, -1]], [[1, 0], [-1, 0], [1, 0]], [[1, 1], [-1, -1], [1, -1], [-1, 1]]]
)
def test_where_no_region_has_all_the_lowest_pieces_one_that_touches_is_found(W):
    p = mm.partition(Sequential(affine(W), ReLU()))
    points = np.array([[0, 0], [0, 0.5], [0, -0.25], [0.5, 0.5], [0.5, -0.5], [0, 1]])
    found = p.locate(points)
    for point, face in zip(points, found, strict=True):
        polygon = p.vertices[p.faces[face]]
        assert crosses(np.roll(polygon, -1, 0) - polygon, point - polygon).min() >= -1e-15


@pytest.mark.parametrize("name", ["2-32-32-3", "maxout", "hard tanh"])
def test_a_vertex_is_found_in_one_of_the_regions_around_it(name):
    p, corners = partitioned(name), corners_of(name)
    around = [set() for _ in p.vertices]
    for vertex, face in zip(corners.here, corners.face, strict=True):
        around[vertex].add(face)
    found = p.locate(p.vertices)
    lost = [v for v, face in enumerate(found) if face not in around[v]]
    for v in lost:  # next to another region, by rounding
        polygon = p.vertices[p.faces[found[v]]]
        step = np.roll(polygon, -1, 0) - polygon
        assert (crosses(step, p.vertices[v] - polygon) / np.linalg.norm(step, axis=1)).min() > -1e-12
    assert len(lost) < 0.01 * len(p.vertices)


def test_neighbours_found_by_hand():
    p = mm.partition(torch.relu)
    codes = p.codes[0].tolist()
    pairs = sorted(sorted((codes[f], codes[g])) for f, g in p.neighbours)
    assert pairs == [[[0, 0], [0, 1]], [[0, 0], [1, 0]], [[0, 1], [1, 1]], [[1, 0], [1, 1]]]
    assert (p.neighbours[:, 0] < p.neighbours[:, 1]).all()
    assert mm.partition(lambda x: (x + 5).relu()).neighbours.shape == (0, 2)


@pytest.mark.parametrize("name", ["2-32-32-3", "plane of 64 dimensions", "hard tanh"])
def test_neighbours_differ_in_one_piece(name):
    p = partitioned(name)
    one, other = (p.codes.all()[face].long() for face in p.neighbours.T)
    assert ((one - other).abs().sum(1) == 1).all() and len(p.neighbours) > len(p)


@pytest.mark.parametrize(
    "name",
    ["2-32-32-3", *(pytest.param(n)
                    for n in ("pooling 2x2", "maxout"))],
)  # fmt: skip
def test_neighbours_are_listed_once(name):
    pairs = partitioned(name).neighbours
    assert len(np.unique(pairs, axis=0)) == len(pairs)


# ---------------------------------------------------------------- the proof


def swap_codes(p):
    for codes in p.codes:
        codes[[1, 4]] = codes[[4, 1]]


def repeat_code(p):
    for codes in p.codes:
        codes[1] = codes[4]


def flip_one_bit(p):
    p.codes[1][2, 3] ^= 1


def scale_A(p):
    A, b = p._affine
    p.__dict__["_affine"] = A * (1 + 1e-6), b


def shift_one_b(p):
    p.b[3, 0] += 1e-6 * abs(p.b).max()


def keep(p, faces):
    mesh = p._mesh
    corners = np.concatenate([np.arange(*mesh.start[[f, f + 1]]) for f in faces])
    sizes = np.diff(mesh.start)[faces]
    mesh.vertex, mesh.edge = mesh.vertex[corners], mesh.edge[corners]
    mesh.start = np.concatenate([[0], np.cumsum(sizes)])
    p.codes._layers = [codes[faces] for codes in p.codes]


def drop_face(p):
    keep(p, np.delete(np.arange(len(p)), 5))


def double_face(p):
    keep(p, np.append(np.arange(len(p)), 5))


def move_vertex(p):
    at_frame = np.isin(p._mesh.xy, (-1, 1)).any(1)
    p._mesh.xy[np.flatnonzero(~at_frame)[0]] += 1e-5


def turn_face(p):
    first, last = p._mesh.start[[2, 3]]
    p._mesh.vertex[first:last] = np.roll(p._mesh.vertex[first:last][::-1], -1)
    p._mesh.edge[first:last] = p._mesh.edge[first:last][::-1]


def train_on(p):
    with torch.no_grad():
        p.model[0].weight *= 1.01


def change_output(p):
    with torch.no_grad():
        p.model[-1].bias += 1e-3


def widen(p):
    p.bounds = (-1, 1, -1, 1.001)


TAMPERED = [swap_codes, repeat_code, flip_one_bit, scale_A, shift_one_b, drop_face, double_face, move_vertex,
            turn_face, train_on, change_output, widen]  # fmt: skip


@pytest.mark.parametrize("tamper", TAMPERED)
def test_the_proof_fails_for_what_is_wrong(tamper):
    p = mm.partition(mlp(2, 8, 8, 3))
    p.check()
    affine = copy.deepcopy(p._affine)
    p = copy.copy(p)
    p._mesh, p.codes, p.model = copy.deepcopy((p._mesh, p.codes, p.model))
    for key in ("vertices", "faces", "areas", "centers", "neighbours", "_affine"):
        p.__dict__.pop(key, None)
    if tamper in (scale_A, shift_one_b):
        p.__dict__["_affine"] = affine
    tamper(p)
    with pytest.raises((AssertionError, mm.NotPiecewiseAffineError)) as error:
        p.check()
    words = dict.fromkeys((swap_codes, repeat_code, flip_one_bit), "codes are wrong")
    words |= dict.fromkeys((drop_face, double_face, widen), "do not tile") | {scale_A: "disagree"}
    assert words.get(tamper, "") in str(error.value)


@pytest.mark.parametrize("name", ["pooling 2x2", "maxout", "recurrent", "hard tanh"])
def test_the_proof_looks_at_all_pieces(name):
    for call in range(len(partitioned(name).codes)):
        p = copy.copy(partitioned(name))
        p.codes = copy.deepcopy(p.codes)
        pieces = int(p.codes[call].max())
        assert pieces > 0
        p.codes[call][7] = (p.codes[call][7] + 1) % (pieces + 1)
        with pytest.raises(AssertionError, match="codes are wrong"):
            p.check()


# ---------------------------------------------------------------- degenerate networks


@pytest.mark.parametrize(
    "function",
    [lambda x: torch.cat([x[:, :0].relu(), x.relu()], 1), lambda x: x[:, :0].relu() @ torch.zeros(0, 3).to(x)],
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
    mm.figures.draw_partition(plt.figure().add_subplot(), p)
    plt.close("all")


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


HUGE = known("1e-12 of the largest number so far, here of this unit, counts as zero for all")


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


TINY = known("1e-12 of the largest number so far, here the inputs, counts as zero")


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


@pytest.mark.parametrize(
    "far",
    [1, *(pytest.param(far) for far in (1e3, 1e6))],
)
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


# ---------------------------------------------------------------- the mesh


def polygon(n):
    angles = 2 * np.pi * np.arange(n) / n + 0.1
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def heights(mesh, lines):
    """The values of ``a x + b y + c`` at all vertices, for each line (a, b, c)."""
    return mesh.xy @ lines[:, :2].T + lines[:, 2]


def cut(mesh, lines):
    h = heights(mesh, lines)
    return mesh.cut(h, 1e-11 * abs(h).max(0))


def areas(mesh):
    face = np.split(mesh.vertex, mesh.start[1:-1])
    polygons = [mesh.xy[f] - mesh.xy[f[0]] for f in face]
    return [crosses(polygon, np.roll(polygon, -1, 0)).sum() / 2 for polygon in polygons]


def through(p, q):
    """The line through two points, positive to the left of the way from p to q."""
    (x, y), (x_next, y_next) = p, q
    return [y - y_next, x_next - x, x * y_next - x_next * y]


def bits(words, U):
    return np.unpackbits(words.view(np.uint8), axis=1, count=U, bitorder="little").astype(bool)


def assert_mesh(mesh):
    """Each edge has a face on both sides, or lies on the frame, and belongs to the corner that it leaves."""
    face = np.repeat(np.arange(len(mesh.start) - 1), np.diff(mesh.start))
    following = np.concatenate([np.roll(f, -1) for f in np.split(mesh.vertex, mesh.start[1:-1])])
    assert (np.sort(mesh.ends[mesh.edge], 1) == np.sort(np.stack([mesh.vertex, following], 1), 1)).all()
    forward = mesh.vertex == mesh.ends[mesh.edge, 0]
    sides = np.full((len(mesh.ends), 2), -1)
    sides[mesh.edge[forward], 0], sides[mesh.edge[~forward], 1] = face[forward], face[~forward]
    np.testing.assert_array_equal(mesh.sides(), sides)
    assert len(mesh.edge) == (sides >= 0).sum() and (sides >= 0).any(1).all()
    assert len(np.unique(np.sort(mesh.ends, 1), axis=0)) == len(mesh.ends)
    assert len(np.unique(mesh.vertex)) - len(mesh.ends) + len(mesh.start) - 1 == 1  # Euler


# how many regions all diagonals make of a regular polygon with n corners; for even n many meet in one point
DIAGONALS = {3: 1, 4: 4, 5: 11, 6: 24, 7: 50, 8: 80, 9: 154, 10: 220, 11: 375, 12: 444, 13: 781, 18: 2466}


@pytest.mark.parametrize("n", DIAGONALS)
@pytest.mark.parametrize("one_by_one", [False, True])
def test_all_diagonals_of_a_regular_polygon(n, one_by_one):
    corners = polygon(n)
    lines = np.array([through(*corners[list(pair)]) for pair in combinations(range(n), 2)])
    rng = np.random.default_rng(n)
    lines = rng.permutation(lines) * rng.choice([-1, 1], (len(lines), 1))
    mesh = Mesh(corners)
    if one_by_one:
        for line in lines[:, None]:
            cut(mesh, line)
    else:
        cut(mesh, lines)
    assert len(mesh.start) - 1 == DIAGONALS[n]
    assert_mesh(mesh)
    assert (
        sum(areas(mesh)) == pytest.approx(n / 2 * np.sin(2 * np.pi / n), rel=1e-12) and min(areas(mesh)) > 0
    )


def test_a_triangle_cut_along_its_medians():
    corners = np.array([[0.0, 0], [5, 1], [2, 4]])
    lines = np.array([through(corners[k], (corners[k - 1] + corners[k - 2]) / 2) for k in range(3)])
    mesh = Mesh(corners)
    h, above, origin = cut(mesh, lines)
    np.testing.assert_allclose(areas(mesh), [1.5] * 6, rtol=1e-12)
    assert origin.tolist() == [0] * 6 and len(mesh.xy) == 7 and len({*map(tuple, bits(above, 3))}) == 6
    assert (abs(h).min(1) < 1e-12).all() and (abs(h[-1]) < 1e-12).all()
    assert_mesh(mesh)


def test_lines_along_the_sides_and_through_one_corner_cut_nothing():
    corners = polygon(5)
    sides = [through(corners[k - 1], corners[k]) for k in range(5)]
    tangent = [*corners[2], -1]
    mesh = Mesh(corners)
    h, above, origin = cut(mesh, np.array([*sides, tangent, [0, 0, 0], [1, 0, 5], [1, 0, -5]]))
    assert len(mesh.start) == 2 and len(mesh.xy) == len(mesh.ends) == 5 and not mesh.added
    assert bits(above, 9).tolist() == [[True] * 5 + [False, False, True, False]] and origin.tolist() == [0]
    assert h.shape == (5, 9)


@few
@given(st.integers(3, 9), st.integers(1, 80), st.integers(0, 999))
def test_what_a_cut_returns(n, K, seed):
    rng = np.random.default_rng(seed)
    lines = np.column_stack([rng.normal(size=(K, 2)), rng.uniform(-0.5, 0.5, K)])
    mesh = Mesh(polygon(n))
    cut(mesh, lines[: K // 2])
    old, extra, V = copy.deepcopy(mesh), rng.normal(size=(3, 2)), len(mesh.xy)
    function = mesh.xy @ extra[:2] + extra[2]
    lines = lines[K // 2 :]
    h, above, origin = cut(mesh, lines)
    assert_mesh(mesh)
    np.testing.assert_allclose(h, heights(mesh, lines), atol=1e-12)
    np.testing.assert_allclose(mesh.extend(function), mesh.xy @ extra[:2] + extra[2], atol=1e-12)
    np.testing.assert_array_equal(mesh.xy[:V], old.xy)
    faces = np.split(mesh.vertex, mesh.start[1:-1])
    centres = np.array([mesh.xy[face].mean(0) for face in faces])
    np.testing.assert_array_equal(bits(above, len(lines)), centres @ lines[:, :2].T + lines[:, 2] > 0)
    np.testing.assert_allclose(np.bincount(origin, areas(mesh), len(old.start) - 1), areas(old), rtol=1e-9)
    for face, centre in zip(origin, centres, strict=True):
        before = old.xy[old.vertex[old.start[face] : old.start[face + 1]]]
        assert (crosses(np.roll(before, -1, 0) - before, centre - before) > 0).all()


def test_values_of_any_shape_are_extended():
    mesh = Mesh(polygon(4))
    cut(mesh, np.array([[1.0, 0.2, 0.1]]))
    some = mesh.xy[:, 0].copy()
    cut(mesh, np.array([[0.3, 1, 0.1], [1, -1, 0.2]]))
    cut(mesh, np.array([[-1, 1.5, 0.3]]))
    assert len(some) == 6 < len(mesh.xy) and len(mesh.added) >= 3
    np.testing.assert_allclose(mesh.extend(some), mesh.xy[:, 0], atol=1e-15)
    images = mesh.xy[..., None, None] * np.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(mesh.extend(images[:6]), images, atol=1e-15)
    np.testing.assert_array_equal(mesh.extend(mesh.xy), mesh.xy)


def arrangement(lines, corners):
    """How many regions lines make of a polygon, both of whole numbers: line by line, in fractions."""
    corners = [[*map(Fraction, corner), Fraction(1)] for corner in corners]
    done, count = set(), 1
    for line in lines:
        values = [sum(l * c for l, c in zip(line, corner, strict=True)) for corner in corners]  # noqa: E741
        lead = next((Fraction(int(x)) for x in line if x), 1)
        same = tuple(Fraction(int(x)) / lead for x in line)
        if min(values) < 0 < max(values) and same not in done:
            meet = set()
            for other in done:
                w = same[0] * other[1] - same[1] * other[0]
                if w:
                    x = (same[1] * other[2] - same[2] * other[1]) / w
                    y = (same[2] * other[0] - same[0] * other[2]) / w
                    turns = [
                        (q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0])
                        for p, q in zip(corners, corners[1:] + corners[:1], strict=True)
                    ]
                    meet |= {(x, y)} if min(turns) > 0 else set()
            done.add(same)
            count += 1 + len(meet)
    return count


LATTICE = [
    ([0, 0], [4, 0], [0, 4]),
    ([0, 0], [3, 0], [4, 2], [1, 3]),
    ([0, 0], [2, 0], [4, 1], [4, 3], [3, 4], [1, 4]),
]
places = st.tuples(st.integers(-1, 5), st.integers(-1, 5))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(LATTICE), st.lists(st.tuples(places, places), min_size=1, max_size=12), st.data())
def test_lines_through_lattice_points_and_joining_the_faces_again(corners, pairs, data):
    """Many lines through one point, through corners, along sides, twice."""
    lines = np.array([through(*pair) for pair in pairs if pair[0] != pair[1]] or [[1, 0, -1]], float)
    mesh = Mesh(np.array(corners, float))
    _, above, _ = cut(mesh, lines)
    assert len(mesh.start) - 1 == arrangement(lines, corners)
    assert_mesh(mesh)
    whole, before, some = sum(areas(mesh)), np.array(areas(mesh)), data.draw(st.integers(0, len(lines)))
    _, label = np.unique(bits(above, len(lines))[:, :some], axis=0, return_inverse=True)
    label = label.reshape(-1)
    kept = mesh.merge(label)
    assert len(mesh.start) - 1 == len(kept) == arrangement(lines[:some], corners)
    assert_mesh(mesh)
    assert sorted(label[kept]) == list(range(len(kept)))
    np.testing.assert_allclose(areas(mesh), np.bincount(label, before)[label[kept]], rtol=1e-12)
    assert sum(areas(mesh)) == pytest.approx(whole)
    h = heights(mesh, lines)
    mesh.cut(h, 1e-11 * np.maximum(abs(h).max(0), 1e-300))  # and cut once more
    assert len(mesh.start) - 1 == arrangement(lines, corners)


def test_faces_with_nothing_to_join_stay():
    mesh = Mesh(polygon(6))
    cut(mesh, np.random.default_rng(0).normal(size=(5, 3)))
    before = copy.deepcopy(mesh)
    labels = np.random.default_rng(0).permutation(len(mesh.start) - 1)
    kept = mesh.merge(labels)
    assert (labels[kept] == np.arange(len(labels))).all()
    assert np.allclose(areas(mesh), np.array(areas(before))[kept])
    assert_mesh(mesh)


def test_faces_that_touch_in_a_point_do_not_join():
    mesh = Mesh(polygon(4))
    _, above, _ = cut(mesh, np.array([[1.0, 0.1, 0], [-0.1, 1, 0]]))
    with pytest.raises(RuntimeError, match="do not join to convex"):
        mesh.merge(bits(above, 2).sum(1) % 2)
