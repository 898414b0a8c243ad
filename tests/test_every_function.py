"""Every piecewise affine function of the library's tables, tried in every use, against its pieces in NumPy.

An example is a function of four numbers u for each point; they come from the inputs by a dense layer. It has
as many units as outputs; its reference says what every piece of every unit is worth, and which one is chosen.
"""

from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import DEVICE, at, refuses, rng
from torch import nn

import mad_max_lib as mm
from mad_max_lib.tracing.functions import PIECEWISE
from mad_max_lib.tracing.rewriting import REWRITTEN
from mad_max_lib.tracing.tracer import record

D = 4
W, B = rng(0).normal(size=(D, D)), rng(1).normal(size=D)
ROW = rng(2).normal(size=D)


class Example(NamedTuple):
    function: object  # of u (N, 4): (N, units), in torch
    values: object  # of u: (N, units, R), what each piece is worth, -inf where there is none
    codes: object  # of u: (N, units)
    sign: int  # 1 where the largest piece is chosen, -1 where the smallest, 0 where it is neither
    taken: object = slice(None)  # which of the units the outputs show

    def model(self, x):
        return self.function(x @ at(W) + at(B))

    def outputs(self, u, codes):
        """What the units put out at u if they follow the pieces of these codes."""
        return chosen(self.values(u), codes)[:, self.taken]


def kinked(function, kinks, lines):
    """Units that bend u at fixed places, and (slope, offset) of their pieces."""

    def values(u):
        return np.stack([slope * u + offset for slope, offset in lines], -1)

    def codes(u):
        return sum((u > kink).astype(int) for kink in kinks)

    return Example(function, values, codes, int(len(kinks) == 1 and np.all(lines[0][0] <= lines[1][0])))


def largest(function, candidates, sign=1):
    return Example(function, candidates, lambda u: (sign * candidates(u)).argmax(-1), sign)


def windows(function, places):
    """Pools: the places in u that each window sees, -1 where it hangs over the edge."""
    places = np.array(places)
    return largest(function, lambda u: np.where(places >= 0, u[:, places], -np.inf))


def pair(u):
    return np.stack([u, u[:, ::-1]], -1)


def recurrent(module):
    """Four states of a recurrent ReLU network that is given u once, and starts from zero."""
    net = module(D, D, nonlinearity="relu", **({"batch_first": True} if module is nn.RNN else {}))
    for parameter in net.parameters():
        parameter.data = torch.eye(D) if parameter.dim() == 2 else torch.full((D,), 0.125)
    net = net.double().to(DEVICE).requires_grad_(False)
    run = (lambda u: net(u[:, None])[0][:, 0]) if module is nn.RNN else net
    return kinked(run, [-0.25], [(0, 0), (1, 0.25)])


def put_in_order(function, *taken):
    """The numbers of u in order, of which the outputs show some places."""

    def values(u):
        return np.broadcast_to(u[:, None], (len(u), D, D))

    return Example(function, values, lambda u: u.argsort(1, kind="stable"), 0, list(taken))


def distances(u, to):
    """What the pieces of the absolute differences from constants are worth: (N, units, 2)."""
    return np.stack([to - u, u - to], -1).reshape(len(u), -1, 2)


def grouped(reduce, include_self):
    """The largest of the numbers that an index sends to each of five places."""

    def function(u):
        groups = torch.tensor([[0, 0, 1, 3]], device=u.device).expand(len(u), -1)
        start = at(np.arange(5.0) - 2).expand(len(u), -1)
        return start.scatter_reduce(1, groups, u, reduce, include_self=include_self)

    return function


def groups(u, include_self=True):
    nothing, start = np.full(len(u), -np.inf), np.arange(5.0) - 2 + np.zeros((len(u), 1))
    sent = [
        (u[:, 0], u[:, 1]),
        (u[:, 2], nothing),
        (nothing, nothing),
        (u[:, 3], nothing),
        (nothing, nothing),
    ]
    kept = [start[:, k] if include_self or k in (2, 4) else nothing for k in range(5)]
    return np.stack([np.stack([kept[k], *sent[k]], -1) for k in range(5)], 1)


def image(*sizes):
    return lambda u: u.reshape(-1, 1, *sizes)


RELU, SLOPES = [(0, 0), (1, 0)], np.array([-0.5, 0.25, 0.0, 0.75])
EXAMPLES = {
    "relu": [kinked(torch.relu, [0], RELU)],
    "leaky_relu": [
        kinked(lambda u: F.leaky_relu(u, 0.25), [0], [(0.25, 0), (1, 0)]),
        kinked(lambda u: F.leaky_relu(u, 1.5), [0], [(1.5, 0), (1, 0)]),
    ],
    "prelu": [
        kinked(lambda u: F.prelu(u, at(SLOPES)), [0], [(SLOPES, 0), (1, 0)]),
        kinked(lambda u: F.prelu(u, at([2.0])), [0], [(2, 0), (1, 0)]),
    ],
    "abs": [kinked(abs, [0], [(-1, 0), (1, 0)])],
    "absolute": [kinked(torch.absolute, [0], [(-1, 0), (1, 0)])],
    "hardtanh": [kinked(lambda u: F.hardtanh(u, -0.5, 1), [-0.5, 1], [(0, -0.5), (1, 0), (0, 1)])],
    "relu6": [kinked(lambda u: F.relu6(8 * u), [0, 0.75], [(0, 0), (8, 0), (0, 6)])],
    "clamp": [
        kinked(lambda u: u.clamp(-0.5, 1), [-0.5, 1], [(0, -0.5), (1, 0), (0, 1)]),
        kinked(lambda u: u.clamp(min=0.5), [0.5], [(0, 0.5), (1, 0)]),
        kinked(lambda u: u.clamp(max=0.5), [0.5], [(1, 0), (0, 0.5)]),
        kinked(lambda u: u.clamp(at(ROW), at(ROW) + 1), [ROW, ROW + 1], [(0, ROW), (1, 0), (0, ROW + 1)]),
        kinked(lambda u: u.clamp(-torch.inf, 0.5), [-np.inf, 0.5], [(0, 0), (1, 0), (0, 0.5)]),
        kinked(
            lambda u: u.clamp(at([-1.0, 1, -1, 2]), at([1.0, -1, np.inf, 0])),  # two of the pairs are crossed
            [np.array([-1, -np.inf, -1, -np.inf]), np.array([1, -np.inf, np.inf, -np.inf])],
            [(0, np.array([-1, 0, -1, 0])), (1, 0), (0, np.array([1, -1, 0, 0]))],
        ),
    ],
    "hardsigmoid": [kinked(lambda u: F.hardsigmoid(4 * u), [-0.75, 0.75], [(0, 0), (2 / 3, 0.5), (0, 1)])],
    "softshrink": [kinked(lambda u: F.softshrink(u, 0.25), [-0.25, 0.25], [(1, 0.25), (0, 0), (1, -0.25)])],
    "threshold": [kinked(lambda u: F.threshold(u, 0.25, 0.25), [0.25], [(0, 0.25), (1, 0)])],
    "rrelu": [kinked(lambda u: F.rrelu(u, 0.25, 0.75), [0], [(0.5, 0), (1, 0)])],
    "clip": [kinked(lambda u: u.clip(0, 1), [0, 1], [(0, 0), (1, 0), (0, 1)])],
    "clamp_min": [kinked(lambda u: u.clamp_min(-0.5), [-0.5], [(0, -0.5), (1, 0)])],
    "clamp_max": [kinked(lambda u: u.clamp_max(0.5), [0.5], [(1, 0), (0, 0.5)])],
    "maximum": [
        largest(lambda u: torch.maximum(u, u.flip(1)), pair),
        largest(lambda u: torch.maximum(at(ROW), u), lambda u: np.stack([ROW + 0 * u, u], -1)),
    ],
    "minimum": [
        largest(lambda u: torch.minimum(u, u.flip(1)), pair, sign=-1),
        largest(lambda u: u.minimum(at(ROW)), lambda u: np.stack([u, ROW + 0 * u], -1), sign=-1),
    ],
    "max": [
        largest(lambda u: u.reshape(-1, 2, 2).max(1).values, lambda u: u.reshape(-1, 2, 2).swapaxes(1, 2)),
        largest(lambda u: torch.max(u, u.flip(1)), pair),
    ],
    "amax": [
        largest(lambda u: u.amax(1, keepdim=True), lambda u: u[:, None]),
        windows(
            lambda u: F.pad(u, (1, 1), value=-torch.inf).reshape(-1, 2, 3).amax(2), [[-1, 0, 1], [2, 3, -1]]
        ),
        windows(lambda u: u.masked_fill(at([1, 0, 0, 0]).bool(), -torch.inf).amax(1, True), [[-1, 1, 2, 3]]),
    ],
    "fmax": [largest(lambda u: torch.fmax(u, u.flip(1)), pair)],
    "fmin": [largest(lambda u: torch.fmin(u, u.flip(1)), pair, sign=-1)],
    "min": [
        largest(lambda u: u.min(1, keepdim=True).values, lambda u: u[:, None], sign=-1),
        largest(lambda u: torch.min(u, u.flip(1)), pair, sign=-1),
    ],
    "amin": [largest(lambda u: u.amin(1, keepdim=True), lambda u: u[:, None], sign=-1)],
    "norm": [
        kinked(lambda u: u[..., None].norm(1, 2), [0], [(-1, 0), (1, 0)]),
    ],
    "linalg_vector_norm": [
        kinked(lambda u: torch.linalg.vector_norm(u[..., None], 1, 2), [0], [(-1, 0), (1, 0)])
    ],
    "linalg_norm": [kinked(lambda u: torch.linalg.norm(u[..., None], 1, 2), [0], [(-1, 0), (1, 0)])],
    "l1_loss": [
        largest(lambda u: F.l1_loss(u, at(ROW).expand_as(u), reduction="none"), lambda u: distances(u, ROW))
    ],
    "pairwise_distance": [
        largest(
            lambda u: F.pairwise_distance(u[..., None], at(ROW)[:, None], 1, 0.0), lambda u: distances(u, ROW)
        )
    ],
    "cdist": [
        largest(
            lambda u: torch.cdist(u[..., None], at(ROW[:2, None]), 1).flatten(1),
            lambda u: distances(u[..., None], ROW[:2]),
        )
    ],
    "sort": [
        put_in_order(lambda u: u.sort(1).values, 0, 1, 2, 3),
        put_in_order(lambda u: -(-u).sort(1, descending=True).values, 0, 1, 2, 3),
    ],
    "topk": [put_in_order(lambda u: u.topk(2, 1, largest=False).values, 0, 1)],
    "kthvalue": [put_in_order(lambda u: u.kthvalue(2, 1, keepdim=True).values, 1)],
    "median": [put_in_order(lambda u: u.median(1, keepdim=True).values, 1)],
    "nanmedian": [put_in_order(lambda u: u.nanmedian(1, keepdim=True).values, 1)],
    "cummax": [
        windows(lambda u: u[:, :2].cummax(1).values[:, 1:], [[0, 1]]),
    ],
    "cummin": [
        largest(lambda u: u[:, :2].cummin(1).values[:, 1:], lambda u: u[:, None, :2], sign=-1),
    ],
    "scatter_reduce": [
        largest(grouped("amax", True), groups),
        largest(grouped("amax", False), lambda u: groups(u, False)),
        largest(grouped("amin", True), lambda u: np.where(np.isinf(groups(u)), np.inf, groups(u)), sign=-1),
    ],
    "fractional_max_pool2d": [
        windows(
            lambda u: F.fractional_max_pool2d(
                image(2, 2)(u), (1, 2), (2, 1), _random_samples=at([[[0.3, 0.7]]]).expand(len(u), -1, -1)
            ).flatten(1),
            [[0, 1], [2, 3]],
        ),
    ],
    "max_pool1d": [
        windows(lambda u: F.max_pool1d(u[:, None], 2, 1)[:, 0], [[0, 1], [1, 2], [2, 3]]),
        windows(lambda u: F.max_pool1d(u[:, None], 3, 2, 1)[:, 0], [[-1, 0, 1], [1, 2, 3]]),
    ],
    "max_pool2d": [
        windows(lambda u: F.max_pool2d(image(2, 2)(u), (2, 1)).flatten(1), [[0, 2], [1, 3]]),
    ],
    "max_pool3d": [
        windows(lambda u: F.max_pool3d(image(1, 2, 2)(u), (1, 1, 2)).flatten(1), [[0, 1], [2, 3]]),
    ],
    "adaptive_max_pool1d": [
        windows(lambda u: F.adaptive_max_pool1d(u[:, None], 3)[:, 0], [[0, 1], [1, 2], [2, 3]]),
    ],
    "adaptive_max_pool2d": [
        windows(lambda u: F.adaptive_max_pool2d(image(2, 2)(u), (1, 2)).flatten(1), [[0, 2], [1, 3]]),
    ],
    "adaptive_max_pool3d": [
        windows(lambda u: F.adaptive_max_pool3d(image(1, 2, 2)(u), (1, 2, 1)).flatten(1), [[0, 1], [2, 3]]),
    ],
    "rnn_relu": [recurrent(nn.RNN)],
    "rnn_relu_cell": [recurrent(nn.RNNCell)],
}
every_example = pytest.mark.parametrize(
    "name, example",
    [pytest.param(name, one, id=name) for name, several in EXAMPLES.items() for one in several],
)


def test_every_function_of_the_tables_has_an_example():
    elsewhere = {"as_tensor", "tensor", "__deepcopy__", "lp_pool1d", "lp_pool2d", "lp_pool3d", "aminmax"}
    others = {"blend", "ordered", "largest_of"}  # soft units have no pieces; what sort and groups are made of
    assert EXAMPLES.keys() | others | elsewhere == PIECEWISE.keys() | REWRITTEN.keys()


def inputs(N, seed=3):
    return rng(seed).normal(size=(N, D))


def chosen(values, codes):
    return np.take_along_axis(values, codes[..., None], -1)[..., 0]


@every_example
def test_codes(name, example):
    x = inputs(50)
    trace = record(example.model, at(x))
    assert name in trace.functions and len(trace.names) == 1
    (codes,) = mm.region_codes(example.model, at(x))
    np.testing.assert_array_equal(codes.cpu(), example.codes(x @ W + B))
    np.testing.assert_allclose(trace.output.cpu(), example.outputs(x @ W + B, codes.cpu().numpy()))


@every_example
def test_affine_map(name, example):
    """Each unit follows the line of its piece, which is found at zero and at the unit vectors."""
    x = inputs(5)
    codes = example.codes(x @ W + B)
    at_zero, *at_units = (
        example.outputs(np.repeat(probe @ W + B, 5, 0), codes)
        for probe in [np.zeros((1, D)), *np.eye(D)[:, None]]
    )
    A, b = mm.affine_map(example.model, at(x))
    np.testing.assert_allclose(b.cpu(), at_zero, rtol=0, atol=1e-12)
    np.testing.assert_allclose(A.cpu(), np.stack(at_units, -1) - at_zero[..., None], rtol=0, atol=1e-12)


@every_example
def test_partition(name, example):
    origin, u, v = at(inputs(3))
    p = mm.partition(example.model, mm.Plane(origin, u, v), (-2, 2, -2, 2))
    p.check()
    points = rng(0).uniform(-2, 2, (500, 2))
    there = p.plane.points(points).cpu().numpy() @ W + B
    found = p.locate(points)
    np.testing.assert_array_equal(p.codes[0][found], example.codes(there))
    output = np.einsum("ncs,ns->nc", p.A[found], points) + p.b[found]
    np.testing.assert_allclose(output, example.outputs(there, example.codes(there)), atol=1e-12)
    assert len(p) > 1


@every_example
def test_polytope(name, example):
    x = inputs(1)
    others = x + rng(0).normal(size=(500, D)) * 10 ** rng(1).uniform(-2, 1, (500, 1))
    inside = mm.polytope(example.model, at(x)).contains(others)
    np.testing.assert_array_equal(inside, (example.codes(others @ W + B) == example.codes(x @ W + B)).all(1))
    assert 0 < inside.sum() < len(inside)


@every_example
def test_soft_form(name, example):
    """A maximum is softened to the mean of its pieces by their posterior; a minimum is minus a maximum."""
    x, eta = inputs(20), 0.6 / (1 - 0.6)
    if not example.sign:
        with refuses("is not a maximum of affine pieces, so it has no soft form|puts numbers in order"):
            mm.soften(example.model, 0.6)(at(x))
        return
    values = example.values(x @ W + B)
    present = np.isfinite(values)
    values = np.where(present, values, 0)
    weights = np.where(present, np.exp(example.sign * eta * values), 0)
    expected = (weights * values).sum(-1) / weights.sum(-1)
    np.testing.assert_allclose(mm.soften(example.model, 0.6)(at(x)).cpu(), expected, rtol=0, atol=1e-12)
