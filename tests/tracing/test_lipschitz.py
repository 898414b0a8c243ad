"""How steep a network is: against singular values, norms of layers, and slopes that are reached."""

import numpy as np
import pytest
import torch
from helpers import DEVICE, jacobian, refuses
from torch import nn
from zoo import ZOO, Net, build, points

import mad_max_lib as mm

F64 = dict(dtype=torch.float64)
X = torch.ones(2, 5, dtype=torch.float64)


@pytest.mark.parametrize("name", ZOO)
def test_local_lipschitz_is_the_largest_singular_value(name):
    model, shape = build(name)
    x = points(shape)
    A, steep = jacobian(model, x).flatten(2).cpu().numpy(), mm.local_lipschitz(model, x)
    assert steep.shape == (len(x),) and steep.device == x.device and steep.dtype == x.dtype
    np.testing.assert_allclose(steep.cpu(), np.linalg.svd(A, compute_uv=False)[:, 0], rtol=1e-10)


def norm(matrix):
    return np.linalg.svd(matrix.detach().cpu().numpy(), compute_uv=False)[0]


def matrix_of(layer, shape):
    """The matrix of an affine layer on inputs of this shape."""
    columns = torch.eye(torch.Size(shape).numel(), **F64).to(DEVICE).reshape(-1, *shape)
    with torch.no_grad():
        return (layer(columns) - layer(torch.zeros_like(columns))).flatten(1)


def test_the_bound_of_a_chain_is_the_product_of_spectral_norms():
    model, shape = build("mlp")
    product = norm(model[0].weight) * norm(model[2].weight) * norm(model[4].weight)
    bound = mm.lipschitz_bound(model, points(shape))
    assert isinstance(bound, float) and bound == pytest.approx(product, rel=1e-12)
    model, shape = build("nested")
    product = norm(model[0][0].weight) * norm(model[1][0].weight)
    assert mm.lipschitz_bound(model, points(shape)) == pytest.approx(product, rel=1e-12)
    model, shape = build("batch norm 1d")
    factors = [norm(model[1].weight), norm(model[4].weight)]
    for layer in (model[0], model[2], model[5]):
        gain = 1 if layer.weight is None else layer.weight.detach().abs()
        factors.append((gain / (layer.running_var + layer.eps).sqrt()).max().item())
    assert mm.lipschitz_bound(model, points(shape)) == pytest.approx(np.prod(factors), rel=1e-12)


def test_the_bound_of_convolutions_and_pools():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2, 1))
    model = model.double().to(DEVICE)
    product = norm(matrix_of(model[0], (2, 6, 6))) * 2 * norm(matrix_of(model[3], (3, 3, 3)))
    assert mm.lipschitz_bound(model, points((2, 6, 6))) == pytest.approx(product, rel=1e-12)


SLOPES = nn.PReLU(3)
SLOPES.weight.data[:] = torch.tensor([0.5, -3.0, 2.0])
STEEPEST = [
    (nn.ReLU(), (5,), 1), (nn.LeakyReLU(0.1), (5,), 1), (nn.LeakyReLU(-3), (5,), 3), (nn.Hardtanh(), (5,), 1),
    (nn.ReLU6(), (5,), 1), (nn.PReLU(init=0.2), (5,), 1), (nn.PReLU(4, init=-2.5), (4, 3), 2.5),
    (SLOPES, (3,), 3), (nn.Flatten(), (5, 2), 1), (nn.Dropout(), (5,), 1), (nn.Identity(), (5,), 1),
    (nn.MaxPool1d(2), (1, 6), 1), (nn.MaxPool1d(3, 1), (1, 6), 3**0.5), (nn.MaxPool1d(3, 2), (2, 7), 2**0.5),
    (nn.MaxPool1d(2, 1, dilation=2), (1, 6), 2**0.5), (nn.MaxPool1d(3, 1), (1, 4), 2**0.5),
    (nn.MaxPool1d(2, 1, 1), (1, 1), 2**0.5), (nn.MaxPool2d(3, 1, 1), (1, 2, 2), 2),
    (nn.MaxPool2d(2), (1, 4, 4), 1), (nn.MaxPool2d(3, 1, 1), (1, 4, 4), 3),
    (nn.MaxPool2d(3, 2, 1), (2, 6, 6), 2), (nn.MaxPool2d((3, 1), 1), (1, 6, 2), 3**0.5),
    (nn.MaxPool3d(2, 1), (1, 3, 3, 3), 8**0.5),
    (nn.AdaptiveMaxPool1d(3), (1, 6), 1), (nn.AdaptiveMaxPool1d(3), (1, 4), 2**0.5),
    (nn.AdaptiveMaxPool1d(3), (1, 5), 2**0.5),
    (nn.AdaptiveMaxPool2d(2), (1, 3, 3), 2), (nn.AvgPool1d(2), (1, 6), 0.5**0.5),
]  # fmt: skip


@pytest.mark.parametrize("index", range(len(STEEPEST)))
def test_the_bound_of_one_layer_is_reached(index):
    layer, shape, steepest = STEEPEST[index]
    model = nn.Sequential(layer).double().to(DEVICE).eval()
    assert mm.lipschitz_bound(model, points(shape)) == pytest.approx(steepest, rel=1e-12)
    one = torch.zeros(torch.Size(shape).numel(), *shape, **F64).to(DEVICE)  # a single entry stands out
    one.flatten(1).fill_diagonal_(1)
    reached = torch.cat([mm.local_lipschitz(model, sign * one) for sign in (1, -1)]).max().item()
    assert reached == pytest.approx(steepest, rel=1e-12)


@pytest.mark.parametrize("name", ["mlp", "mlp without biases", "nested", "affine", "relu in place", "conv1d",
                                  "conv2d", "conv3d", "transposed conv2d", "batch norm 1d", "batch norm 2d",
                                  "prelu by channel", "max pool 3d", "image to image"])  # fmt: skip
def test_no_slope_exceeds_the_bound(name):
    model, shape = build(name)
    x, y = points(shape, N=50), points(shape, N=50, seed=1)
    bound = mm.lipschitz_bound(model, x)
    for other in [y, x + 1e-3 * y, 2 * x, torch.zeros_like(x)]:
        rise, run = (model(x.clone()) - model(other.clone())).flatten(1), (x - other).flatten(1)
        assert (rise.norm(dim=1) <= bound * (1 + 1e-9) * run.norm(dim=1)).all()
    assert mm.local_lipschitz(model, x[:20]).max() <= bound * (1 + 1e-12)


class Twice(nn.Module):
    """A layer that is not itself a chain: x + relu(3 x)."""

    def forward(self, x):
        return x + torch.relu(3 * x)


@pytest.mark.parametrize(
    "layer, bound",
    [
        (Twice(), 4),
        (Net(lambda n, x: torch.maximum(2 * x, -x)), 5**0.5),
        (nn.Sequential(Twice(), nn.ReLU(), Twice()), 16),
        (Net(lambda n, x: torch.cat([3 * x, torch.relu(x) * 4], 1)), 5),
        (Net(lambda n, x: x.clone().add_(x[:, :1]).mul_(2)), 2 + 2 * 5**0.5),
        (Net(lambda n, x: torch.maximum(x.amax(1, keepdim=True), x)), 6**0.5),
        (Net(lambda n, x: x.amax(1, keepdim=True).clamp(torch.zeros(4).to(x))), 2),
        (Net(lambda n, x: torch.maximum(x.amax(1, keepdim=True), torch.zeros(4).to(x))), 2),
        (torch.relu, 1),
        (nn.Sequential(), 1),
    ],
)
def test_the_bound_of_a_graph(layer, bound):
    """Branches that meet add up; an entry that is repeated k times counts with the root of k."""
    assert mm.lipschitz_bound(layer, points((5,))) == pytest.approx(bound, rel=1e-12)
    slopes = mm.local_lipschitz(layer, torch.cat([points((5,), N=50), points((5,), N=50).abs()]))
    assert slopes.max() <= bound * (1 + 1e-12)


@pytest.mark.parametrize("function", [torch.maximum, torch.clamp])
def test_a_function_that_repeats_its_entries_is_steeper_than_its_pieces(function):
    constant, x = torch.zeros(4, **F64).to(DEVICE), points((1,)).abs()
    model = nn.Sequential(Net(lambda n, x: function(x, constant)))
    assert (mm.local_lipschitz(model, x) == 2).all()
    assert mm.lipschitz_bound(model, x) == pytest.approx(2, rel=1e-12)


CONVOLUTIONS = {
    "plain": nn.Conv2d(2, 3, 3),
    "stride": nn.Conv2d(2, 4, 3, stride=2, padding=1),
    "stride, even kernel": nn.Conv2d(3, 2, 4, stride=(2, 3), padding=2),
    "dilation and groups": nn.Conv2d(4, 6, 3, padding=2, dilation=2, groups=2),
    "one dimension": nn.Conv1d(2, 3, 5, stride=3),
    "three dimensions": nn.Conv3d(1, 2, 2, stride=2),
}


@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_a_large_convolution_counts_with_its_norm_on_a_torus(kind, monkeypatch):
    torch.manual_seed(0)
    layer = CONVOLUTIONS[kind].double().to(DEVICE)
    x = points((layer.in_channels, *[9, 8, 6][: len(layer.kernel_size)]))
    exact = mm.lipschitz_bound(layer, x)
    monkeypatch.setattr("mad_max_lib.tracing.lipschitz.LARGEST", 1)
    assert exact * (1 - 1e-12) <= mm.lipschitz_bound(layer, x) < 1.3 * exact


def test_what_has_no_bound_is_named(monkeypatch):
    def written(x):
        y = torch.zeros_like(x)
        y[:, 0] = x[:, 1]
        return y

    with refuses(r"__setitem__ .* writes into a part of a tensor, .* torch.cat"):
        mm.lipschitz_bound(written, X)
    with refuses(r"add .* writes into a part of a tensor"):
        mm.lipschitz_bound(lambda x: (2 * x)[:, :2].add_(x[:, :2]), X)
    monkeypatch.setattr("mad_max_lib.tracing.lipschitz.LARGEST", 1)
    with refuses(r"cumsum .* has a matrix of 5 x 5 numbers, too large for its norm"):
        mm.lipschitz_bound(lambda x: x.cumsum(1), X)
    with refuses("tanh .* is not known"):
        mm.lipschitz_bound(nn.Sequential(nn.ReLU(), nn.Tanh()), X)
    with pytest.raises(ValueError, match="model cannot take x alone"):
        mm.lipschitz_bound(nn.ModuleList([nn.ReLU()]), X)


def test_a_largest_entry_is_as_steep_as_the_steepest_candidate():
    for layer, steepest in [
        (Net(lambda n, x: x.amax(1, keepdim=True)), 1),
        (Net(lambda n, x: torch.max(x, 1, keepdim=True).values), 1),
    ]:
        assert mm.lipschitz_bound(nn.Sequential(layer), points((5,))) == steepest
