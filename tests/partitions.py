"""What the tests of partitions share: planes, what a model says of itself, and the corners of all regions."""

from functools import lru_cache

import numpy as np
import pytest
import torch
from helpers import DEVICE, at
from torch.nn import Linear
from zoo import LARGER, drawn

import mad_max_lib as mm
from mad_max_lib.plane.tiles import Tiling

SQUARE = (-1, 1, -1, 1)
every_net = pytest.mark.parametrize("name", LARGER)


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


def tiling(model, plane, bounds, memory=2e9):
    """How ``partition`` would cut the rectangle."""
    with torch.no_grad():
        return Tiling(model, plane, bounds, memory, 1, None)


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


@lru_cache
def partitioned(name):
    make, shape, half = LARGER[name]
    return mm.partition(drawn(make()), plane_for(shape), (-1.3 * half, half, -0.9 * half, 1.1 * half))


@lru_cache
def corners_of(name):
    return Corners(partitioned(name))
