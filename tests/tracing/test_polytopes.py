"""Polytopes against codes of other points, gradients of the pre-activations, and balls of known size."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import DEVICE, at, mlp, refuses
from torch import nn
from torch.autograd.functional import jacobian
from zoo import ZOO, build, points

import mad_max_lib as mm

BENT = [name for name in ZOO if ZOO[name][2]]
WITHOUT_MODULE = {
    "relu": torch.relu, "abs": torch.abs, "hard tanh": F.hardtanh, "relu6": lambda x: F.relu6(3 * x),
    "clamp": lambda x: x.clamp(-0.5, 0.3), "leaky relu": lambda x: F.leaky_relu(x, 0.1),
    "leaky relu, a falling piece": lambda x: F.leaky_relu(x, -2), "amax": lambda x: x.amax(1),
    "maximum": lambda x: torch.maximum(x, 1 - x),
}  # fmt: skip


def near_and_far(x, N=300, seed=0):
    """Points in all directions from x, from very close to far away."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(N, x.numel())) * 10 ** rng.uniform(-3, 1, (N, 1))
    return x + at(steps).reshape(N, *x.shape[1:])


def same_codes(model, x, others, layers):
    codes = mm.region_codes(model, torch.cat([x, others]))
    codes = torch.cat(list(codes)[:layers], 1)
    return (codes[1:] == codes[0]).all(1).cpu().numpy()


def rows(points):
    return points.flatten(1).cpu().numpy()


# ---------------------------------------------------------------- which points belong


@pytest.mark.parametrize("name", BENT)
def test_a_point_belongs_where_its_codes_are_those_of_x(name):
    model, shape = build(name)
    x, calls = points(shape, N=1, seed=3), len(ZOO[name][2].split())
    others, outer = near_and_far(x), True
    for layers in sorted({1, 2, calls // 2 + 1, calls} & set(range(1, calls + 1))):
        region = mm.polytope(model, x, layers)
        assert region.G.shape == (len(region.h), x.numel()) and region.G.dtype == region.h.dtype == float
        inside, expected = region.contains(rows(others)), same_codes(model, x, others, layers)
        np.testing.assert_array_equal(inside, expected)
        assert region.contains(rows(x)) == [True] and 0 < inside.sum() < len(inside)
        assert not (inside & ~np.array(outer)).any(), "more layers, smaller regions"
        outer = inside
    everything = mm.polytope(model, x)
    np.testing.assert_array_equal(everything.G, region.G)
    np.testing.assert_array_equal(everything.h, region.h)


@pytest.mark.parametrize("call", WITHOUT_MODULE)
@pytest.mark.parametrize("seed", range(3))
def test_functions_without_parameters(call, seed):
    model, x = WITHOUT_MODULE[call], points((4,), N=1, seed=seed)
    others = near_and_far(x)
    inside = mm.polytope(model, x).contains(rows(others))
    np.testing.assert_array_equal(inside, same_codes(model, x, others, None))
    assert 0 < inside.sum() < len(inside)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kernel, stride, padding", [(2, 2, 0), (3, 1, 0), (3, 2, 1), (2, 1, 1)])
def test_pools_that_overlap_or_hang_over_the_edge(seed, kernel, stride, padding):
    model, x = nn.MaxPool2d(kernel, stride, padding), points((1, 4, 4), N=1, seed=seed)
    x = x - 2  # an absent candidate taken for a zero would win
    others = near_and_far(x, seed=seed)
    inside = mm.polytope(model, x).contains(rows(others))
    np.testing.assert_array_equal(inside, same_codes(model, x, others, None))
    assert 0 < inside.sum() < len(inside)


def test_border_points_belong_and_points_across_do_not():
    region = mm.polytope(torch.relu, at([[1.0, -2.0]]))
    answers = region.contains([[0, 0], [0, -5], [1e-6, -1e-6], [-1e-6, -1], [1, 1e-6]])
    assert answers.tolist() == [True, True, True, False, False]
    assert region.contains(np.array([[1000, -1000], [3, 3]])).tolist() == [True, False], "whole numbers too"


# ---------------------------------------------------------------- the inequalities


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", [nn.ReLU, nn.LeakyReLU, nn.Hardtanh])
def test_rows_are_the_gradients_of_the_pre_activations(seed, kind):
    model = nn.Sequential(
        *(kind() if isinstance(layer, nn.ReLU) else layer for layer in mlp(3, 6, 5, 2, seed=seed))
    )
    x, G, h = points((3,), N=1, seed=seed), [], []
    for last in (0, 2):
        u = model[: last + 1](x)[0].detach()
        A = jacobian(lambda x: model[: last + 1](x)[0], x)[:, 0]  # noqa: B023
        b = u - A @ x[0]
        for kink in (-1, 1) if kind is nn.Hardtanh else (0,):
            sign = torch.where(u > kink, 1, -1)
            G.append(-sign[:, None] * A)
            h.append(sign * (b - kink))
    region = mm.polytope(model, x)
    wanted = torch.cat([torch.cat(G), torch.cat(h)[:, None]], 1).cpu().numpy()
    wanted = wanted[abs(wanted[:, :-1]).max(1) > 1e-9]  # behind closed units there is no border
    wanted /= np.linalg.norm(wanted[:, :-1], axis=1, keepdims=True)
    ours = np.hstack([region.G, region.h[:, None]])
    assert ours.shape == wanted.shape
    order = [np.lexsort(table.round(9).T) for table in (ours, wanted)]
    np.testing.assert_allclose(ours[order[0]], wanted[order[1]], rtol=1e-9, atol=1e-11)


def test_rows_of_a_maximum_are_the_differences_to_the_winner():
    W, b = np.random.default_rng(0).normal(size=(4, 3)), np.array([0.5, -1, 2, 0])
    x = at([[0.3, -0.2, 0.1]])
    region = mm.polytope(lambda x: (x @ at(W).T + at(b)).amax(1), x)
    winner = (W @ [0.3, -0.2, 0.1] + b).argmax()
    G, h = np.delete(W - W[winner], winner, 0), np.delete(b[winner] - b, winner)
    lengths = np.linalg.norm(G, axis=1)
    np.testing.assert_allclose(region.G, G / lengths[:, None], atol=1e-12)
    np.testing.assert_allclose(region.h, h / lengths, atol=1e-12)


def test_closed_units_leave_no_borders():
    """Behind a closed ReLU the second one never moves, whatever the offset."""
    region = mm.polytope(lambda x: torch.relu(torch.relu(x) - 1), at([[-3.0]]))
    assert region.G.tolist() == [[1.0]] and region.h.tolist() == [0.0]


# ---------------------------------------------------------------- the largest ball


def room(region, points, low, high):
    """The distance from each point to the nearest side of the region or the box; negative outside."""
    sides = (region.h - points @ region.G.T) / np.sqrt((region.G**2).sum(1))
    return np.hstack([sides, high - points, points - low]).min(1)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("D", [1, 2, 3, 6])
def test_the_ball_touches_the_nearest_side_and_none_has_more_room(D, seed):
    rng = np.random.default_rng(seed)
    model, x = mlp(D, 5, 4, 1, seed=seed), at(rng.uniform(-0.4, 1, (1, D)))
    region = mm.polytope(model, x)
    center, radius = region.chebyshev_ball(-0.5, 2)
    assert center.shape == (D,) and type(radius) is float and radius > 0
    assert region.contains(center[None]) == [True] and (-0.5 <= center).all() and (center <= 2).all()
    np.testing.assert_allclose(room(region, center[None], -0.5, 2), radius, rtol=1e-6, atol=1e-8)
    others = np.concatenate(
        [
            rng.uniform(-0.5, 2, (1000, D)),
            *(center + s * rng.normal(size=(1000, D)) for s in (0.1, 0.01, 1e-4)),
        ]
    )
    assert room(region, others, -0.5, 2).max() <= radius + 1e-8


TRIANGLE = 1 / (2 + 2**0.5)  # the radius of the circle in a right triangle with two sides of length 1


@pytest.mark.parametrize(
    "model, x, box, center, radius",
    [
        (lambda x: torch.relu(x - 1), [3.0], (0, 5), [3], 2),
        (lambda x: torch.relu(x - 1), [0.0], (-5, 5), [-2], 3),
        (lambda x: torch.relu(100 * x - 100), [3.0], (0, 5), [3], 2),
        (F.hardtanh, [0.3], (-9, 9), [0], 1),
        (F.relu6, [5.0], (-9, 9), [3], 3),
        (torch.abs, [1.0, -2.0], (-1, 1), [0.5, -0.5], 0.5),
        (lambda x: torch.relu(x @ at([[1, 0, -1], [0, 2, -1]]) + at([0, 0, 1])), [0.1, 0.3], (-9, 9),
         [TRIANGLE, TRIANGLE], TRIANGLE),
        (lambda x: x.amax(1), [0.8, 0.3], (0, 1), [1 - TRIANGLE, TRIANGLE], TRIANGLE),
    ],
)  # fmt: skip
def test_balls_known_by_hand(model, x, box, center, radius):
    ours = mm.polytope(model, at([x])).chebyshev_ball(*box)
    np.testing.assert_allclose(ours[0], center, atol=1e-7)
    np.testing.assert_allclose(ours[1], radius, atol=1e-7)


def test_a_region_without_width_has_radius_zero():
    """At 0 both x and -x are on their borders, and belong to the lower pieces: only 0 does that."""
    region = mm.polytope(lambda x: torch.relu(torch.cat([x, -x], 1)), at([[0.0]]))
    center, radius = region.chebyshev_ball(-3, 3)
    assert abs(center[0]) < 1e-7 and abs(radius) < 1e-7
    assert region.contains([[0], [1e-6], [-1e-6]]).tolist() == [True, False, False]
    touching = mm.polytope(torch.relu, at([[2.0, 2.0]])).chebyshev_ball(-1, 0)
    np.testing.assert_allclose([*touching[0], touching[1]], 0, atol=1e-7)


@pytest.mark.parametrize("low, high", [(2, 3), (-9, -8), (0.5, -0.5)])
def test_a_box_elsewhere_raises(low, high):
    region = mm.polytope(F.hardtanh, at([[0.0, 0.5]]))
    with pytest.raises(ValueError, match=f"the region must meet the box from {low} to {high}: "):
        region.chebyshev_ball(low, high)


def test_the_size_of_the_slopes_does_not_matter():
    region = mm.polytope(lambda x: torch.relu(1e-10 * x), at([[1.0, -2.0]]))
    assert region.contains([[3, -3], [3, 3]]).tolist() == [True, False]
    np.testing.assert_allclose(region.chebyshev_ball(-1, 1)[1], 0.5)


# ---------------------------------------------------------------- what stays, what raises


@pytest.mark.parametrize("name", ["mlp", "batch norm 2d", "max pool 2d", "relu in place on the input", "rnn"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_model_and_point_stay_as_they_are(name, dtype):
    model, shape = build(name, dtype=dtype)
    x = points(shape, N=1, dtype=dtype).requires_grad_()
    before, twin = x.detach().clone(), copy.deepcopy(model)
    region = mm.polytope(model, x)
    assert torch.equal(x, before) and x.dtype == dtype and x.requires_grad and x.grad is None
    assert not any(module.training for module in model.modules())
    for ours, theirs in zip(model.state_dict().values(), twin.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs) and ours.dtype == theirs.dtype
    assert all(weight.requires_grad for weight in model.parameters())
    exact = mm.polytope(twin.double(), before.double())
    assert region.G.dtype == float and np.array_equal(region.G, exact.G) and np.array_equal(region.h, exact.h)


def test_a_training_network_stays_in_training():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU()).to(DEVICE).train()
    mm.polytope(model, at([[1.0, 2.0]]).float())
    assert model.training and model[0].training and model[0].weight.dtype == torch.float32


@pytest.mark.parametrize("shape", [(2, 3), (5, 3)])
def test_more_than_one_point_raises(shape):
    with pytest.raises(ValueError, match=rf"x must hold one point, shape \(1, ...\), got \({shape[0]}, 3\)"):
        mm.polytope(torch.relu, torch.ones(shape))


@pytest.mark.parametrize("layers", [0, -1, 3, 1.0, "1"])
def test_bad_layers(layers):
    message = f"layers must be a whole number from 1 to 2, got {layers!r}"
    with pytest.raises(ValueError, match=message):
        mm.polytope(mlp(3, 6, 5, 2), at([[1.0, 2.0, 3.0]]), layers)


@pytest.mark.parametrize(
    "x, error, message",
    [
        (np.ones((1, 2)), TypeError, "x must be a torch tensor, one point a row, got ndarray"),
        (torch.tensor([[1, np.nan]]), ValueError, "x must be finite; .*: 1 of 2"),
    ],
)
def test_bad_points(x, error, message):
    with pytest.raises(error, match=message):
        mm.polytope(torch.relu, x)


@pytest.mark.parametrize(
    "model, message",
    [
        (nn.Sequential(nn.ReLU(), nn.Sigmoid()), "sigmoid .* nonlinear calls before it: 1"),
        (lambda x: torch.relu(x) * x, "mul .* multiplies two tensors that both depend on the input"),
        (nn.Sequential(nn.ReLU(), nn.BatchNorm1d(2)), "batch_norm .* uses the statistics of the batch"),
        (nn.Sequential(nn.Dropout(), nn.ReLU()), "dropout .* is active and random; call model.eval()"),
    ],
)
def test_networks_that_are_not_piecewise_affine(model, message):
    model = model.to(DEVICE) if isinstance(model, nn.Module) else model
    with refuses(message):
        mm.polytope(model, torch.ones(1, 2, device=DEVICE))


def test_a_network_without_nonlinear_calls_has_one_region():
    model, shape = build("affine")
    region = mm.polytope(model, points(shape, N=1))
    assert region.G.shape == (0, 5) and region.contains(np.eye(5)).all()
    np.testing.assert_allclose(region.chebyshev_ball(-1, 3)[1], 2)
