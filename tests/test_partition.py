"""Exact partitions of larger networks against the networks themselves, and all that a partition can do."""

import copy
from collections import Counter
from functools import lru_cache
from math import comb

import contourpy
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from networks import ZOO, Net, build, flat, layer, recurrent
from networks import points as inputs_of
from torch import nn
from torch.nn import BatchNorm2d, Conv2d, Hardtanh, LeakyReLU, Linear, MaxPool1d, MaxPool2d, PReLU, ReLU, Sequential

import mad_max_lib as mm
from mad_max_lib.cutting import Cut, CutAnew
from mad_max_lib.figures import CLASSES
from mad_max_lib.mesh import Mesh
from mad_max_lib.partition import Partition

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


def outputs(p, points):
    """What the model itself gives at points of the plane: (N, C)."""
    with torch.no_grad():
        return p.model(p.plane.points(points)).flatten(1).cpu().numpy()


def codes_at(p, points):
    return mm.region_codes(p.model, p.plane.points(points)).all().cpu().numpy()


def random_points(bounds, N, seed=0):
    left, right, bottom, top = bounds
    return np.random.default_rng(seed).uniform((left, bottom), (right, top), (N, 2))


class Corners:
    """All corners of all regions: whose they are, which vertices they and the next ones are, and where."""

    def __init__(self, p):
        self.face = np.repeat(np.arange(len(p)), [len(face) for face in p.faces])
        self.here, self.next = (np.concatenate([np.roll(face, k) for face in p.faces]) for k in (0, -1))
        self.xy, self.step = p.vertices[self.here], p.vertices[self.next] - p.vertices[self.here]
        self.edges = {}  # from here to the next -> the region on the left
        for face, a, b in zip(self.face.tolist(), self.here.tolist(), self.next.tolist(), strict=True):
            assert (a, b) not in self.edges, "an edge has two regions on one side"
            self.edges[a, b] = face
        self.shared = [(a, b, face, self.edges[b, a]) for (a, b), face in self.edges.items() if (b, a) in self.edges]


def crosses(u, v):
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]


def values_at_corners(p, corners):
    """What the map of each region gives at each of its corners."""
    return (p.A[corners.face] @ corners.xy[:, :, None])[..., 0] + p.b[corners.face]


# ---------------------------------------------------------------- larger networks


def residual(n, x):
    h = n.stem(x)
    for first, second in ((n.a, n.b), (n.c, n.d)):
        h += second(F.relu_(first(h)))
        h = F.relu(h, inplace=True)
    return n.out(h)


def small_cnn(*pool):
    return flat(36, Conv2d(1, 3, 3, 1, 1), *pool[:2], Conv2d(3, 4, 3, 1, 1), *pool[2:])


def halves(n, x):
    return n.out(torch.maximum(*n.b(torch.max(*n.a(x).chunk(2, 1))).chunk(2, 1)))


# name: (a function that makes it, the shape of one input, half the width of the rectangle)
NETS = {
    "2-32-32-3": (lambda: mlp(2, 32, 32, 3), (2,), 2),
    "2-64-64-64-1": (lambda: mlp(2, 64, 64, 64, 1), (2,), 1),
    "plane of 64 dimensions": (lambda: mlp(64, 64, 32, 10), (64,), 4),
    "plane of 784 dimensions": (lambda: mlp(784, 48, 48, 10), (784,), 6),
    "hard tanh": (
        lambda: Sequential(Linear(2, 20), Hardtanh(), Linear(20, 20), Hardtanh(-0.3, 0.6), Linear(20, 2)), (2,), 3),
    "prelu": (
        lambda: Sequential(Linear(2, 24), PReLU(24), Linear(24, 24), LeakyReLU(-0.4), Linear(24, 3)), (2,), 2),
    "clamp": (
        lambda: Net(lambda n, x: n.out(n.b(n.a(x).clamp(-0.5, 1)).clamp(max=0.2).abs()),
                    a=Linear(2, 20), b=Linear(20, 20), out=Linear(20, 3)), (2,), 2),
    "maxout": (
        lambda: Sequential(Linear(2, 48), MaxPool1d(3), Linear(16, 48), MaxPool1d(3), Linear(16, 2)), (2,), 2),
    "maximum": (lambda: Net(halves, a=Linear(2, 40), b=Linear(20, 40), out=Linear(20, 3)), (2,), 2),
    "residual": (
        lambda: Net(residual, stem=Linear(2, 16), out=Linear(16, 3), **{k: Linear(16, 16) for k in "abcd"}),
        (2,), 2),
    "pooling 2x2": (
        lambda: small_cnn(ReLU(), MaxPool2d(2), ReLU(True), MaxPool2d(2)), (1, 12, 12), 1),
    "pooling 3x3 with overlap and padding": (
        lambda: small_cnn(MaxPool2d(3, 2, 1), BatchNorm2d(3), ReLU(), MaxPool2d(3, 2, 1)), (1, 12, 12), 1),
    "adaptive pooling": (
        lambda: small_cnn(nn.AdaptiveMaxPool2d((5, 4)), ReLU(), nn.AdaptiveMaxPool2d(3)), (1, 8, 8), 1),
    "recurrent": (lambda: recurrent(4, batch_first=True), (4, 3), 3),
}  # fmt: skip


@lru_cache
def partitioned(name):
    make, shape, half = NETS[name]
    return mm.partition(drawn(make()), plane_for(shape), (-1.3 * half, half, -0.9 * half, 1.1 * half))


@lru_cache
def corners_of(name):
    return Corners(partitioned(name))


every_net = pytest.mark.parametrize("name", NETS)


@every_net
def test_regions_tile_the_rectangle(name):
    assert_tiled(partitioned(name), corners_of(name))


def assert_tiled(p, corners=None):
    """Convex polygons, counter-clockwise, edge to edge, that fill the rectangle."""
    corners = corners or Corners(p)
    left, right, bottom, top = p.bounds
    area = (right - left) * (top - bottom)
    turn = np.concatenate([np.roll(corners.step[corners.face == f], -1, 0) for f in range(len(p))]) if (
        len(p) < 50) else np.stack([corners.step[i] for i in after(corners)])  # fmt: skip
    lengths = np.linalg.norm(corners.step, axis=1)
    assert lengths.min() > 0 and (crosses(corners.step, turn) >= -1e-9 * area).all()
    centre = p.centers[corners.face]
    heights = crosses(corners.step, centre - corners.xy)
    assert (heights > 0).all()  # counter-clockwise around a point inside
    np.testing.assert_allclose(np.bincount(corners.face, heights) / 2 + 0, p.areas, rtol=1e-6, atol=1e-13 * area)
    assert p.areas.min() > 0 and p.areas.sum() == pytest.approx(area, rel=1e-12)
