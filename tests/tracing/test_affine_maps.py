"""Affine maps of the whole zoo against the networks themselves and automatic differentiation; ties."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import DEVICE, jacobian, mlp, refuses
from torch import nn
from zoo import NO_BIAS, ZOO, Net, build, points

import mad_max_lib as mm
from mad_max_lib.tracing import affine_maps
from mad_max_lib.tracing.tracer import record

DTYPES = [torch.float64, torch.float32]


each_network = pytest.mark.parametrize("name", ZOO)


def size(affine, x):
    """How large the terms of A x + b are, each taken without its sign."""
    return (affine.A.abs().flatten(2) @ x.abs().flatten(1)[..., None])[..., 0] + affine.b.abs()


# ---------------------------------------------------------------- A x + b = f(x)


@each_network
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_A_x_plus_b_is_the_output(name, dtype, tolerance):
    model, shape = build(name, dtype=dtype)
    x = points(shape, dtype=dtype)
    f = model(x.clone()).flatten(1)
    affine = mm.affine_map(model, x)
    A, b = affine
    assert A.shape == (len(x), f.shape[1], *shape) and b.shape == f.shape
    assert A.dtype == b.dtype == dtype and A.device == b.device == x.device
    assert not A.requires_grad and not b.requires_grad
    product = torch.einsum("ncd,nd->nc", A.flatten(2), x.flatten(1)) + b
    assert ((product - f).abs() <= tolerance * size(affine, x)).all()
    assert ((affine(x) - f).abs() <= tolerance * size(affine, x)).all()


@each_network
def test_b_is_never_small_in_the_zoo(name):
    model, shape = build(name)
    x = points(shape)
    b, f = mm.affine_map(model, x).b, model(x.clone()).flatten(1)
    if name in NO_BIAS:
        assert (b == 0).all()
    else:
        assert (b.norm(dim=1) >= f.norm(dim=1) / 10).all()


@each_network
@pytest.mark.parametrize("seed", range(3))
def test_A_is_the_derivative_and_b_the_rest(name, seed):
    model, shape = build(name, seed)
    x = points(shape, seed=seed)
    affine = mm.affine_map(model, x)
    derivative = jacobian(model, x)
    torch.testing.assert_close(affine.A, derivative, rtol=0, atol=1e-13 * derivative.abs().max().item())
    rest = model(x.clone()).flatten(1) - (derivative.flatten(2) @ x.flatten(1)[..., None])[..., 0]
    assert ((affine.b - rest).abs() <= 1e-12 * size(affine, x)).all()


@each_network
def test_A_is_the_slope_of_a_small_step(name):
    model, shape = build(name)
    x, step = points(shape), 1e-7 * points(shape, seed=1)
    slope = (model(x + step) - model(x - step)).flatten(1) / 2e-7
    affine = mm.affine_map(model, x)
    along = (affine.A.flatten(2) @ step.flatten(1)[..., None])[..., 0] / 1e-7
    torch.testing.assert_close(along, slope, rtol=0, atol=1e-7 * size(affine, x).max().item())
    near = model(x + step).flatten(1)
    assert ((affine(x + step) - near).abs() <= 1e-12 * size(affine, x)).all()


@pytest.mark.parametrize("name", ["mlp", "relu in place on a part", "residual conv net", "image to image"])
def test_A_is_what_torch_func_says(name):
    model, shape = build(name)
    x = points(shape)
    of_one = torch.func.jacrev(lambda point: model(point[None].clone())[0].flatten())
    derivative = torch.stack([of_one(point) for point in x])
    torch.testing.assert_close(mm.affine_map(model, x).A, derivative, rtol=0, atol=1e-12)


@each_network
def test_one_point_alone_has_the_same_map(name):
    model, shape = build(name)
    x = points(shape, N=4)
    together, alone = mm.affine_map(model, x), [mm.affine_map(model, p[None]) for p in x]
    torch.testing.assert_close(together.A, torch.cat([one.A for one in alone]), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(together.b, torch.cat([one.b for one in alone]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "name, chunk", [("mlp", 600), ("conv2d", 9000), ("rnn", 4000), ("residual conv net", 30000), ("mlp", 1),
                    ("conv2d", 1), ("image to image", 1)]
)  # fmt: skip
def test_chunks_do_not_change_the_result(name, chunk, monkeypatch):
    model, shape = build(name)
    x = points(shape, N=5)
    whole, rows = mm.affine_map(model, x), []
    monkeypatch.setattr("mad_max_lib.tracing.affine_maps.CHUNK", chunk)
    watched = model.register_forward_pre_hook(lambda module, inputs: rows.append(len(inputs[0])))
    parts = mm.affine_map(model, x)
    watched.remove()
    rows = rows[1:]  # after two points to begin with
    assert max(rows) == 1 if chunk == 1 else 1 < max(rows) < 5
    for part, one in zip(parts, whole, strict=True):
        assert part.shape == one.shape
        torch.testing.assert_close(part, one, rtol=1e-13, atol=1e-13)


def test_the_more_points_the_fewer_gradients_at_once(monkeypatch):
    """What is taken at once stays within bounds, whatever the number of outputs."""
    gradient, at_once = affine_maps._gradient, []

    def watched(values, leaf, ones, **how):
        at_once.append(len(ones) if how else 1)
        return gradient(values, leaf, ones, **how)

    monkeypatch.setattr(affine_maps, "_gradient", watched)
    model, most = mlp(5, 8, 60), []
    monkeypatch.setattr(affine_maps, "CHUNK", 8 * record(model, points((5,), N=2)).bytes)
    for N in (1, 2, 4, 16):
        at_once.clear()
        A, _ = mm.affine_map(model, points((5,), N))
        assert sum(at_once) == 60
        most.append(max(at_once))
    assert most == [16, 8, 4, 1]
    torch.testing.assert_close(A, jacobian(model, points((5,), N)))


@pytest.mark.parametrize("name", ["mlp", "conv2d", "rnn", "image to image"])
def test_chosen_outputs(name):
    model, shape = build(name)
    x = points(shape)
    A, b = mm.affine_map(model, x)
    for outputs in [[0], [2, 1], (1,), range(2), [1, 1, 0], torch.tensor([2, 0])]:
        some = mm.affine_map(model, x, outputs)
        chosen = [int(c) for c in outputs]
        torch.testing.assert_close(some.A, A[:, chosen], rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(some.b, b[:, chosen], rtol=1e-13, atol=1e-13)
        terms = mm.bias_terms(model, x, outputs)
        torch.testing.assert_close(sum(terms.values()), b[:, chosen], rtol=1e-12, atol=1e-12)


def test_one_output_may_come_without_an_axis_of_its_own():
    model, shape = build("mlp")
    x = points(shape)
    A, b = mm.affine_map(model, x, [1])
    one = Net(lambda n, x: n.model(x)[:, 1], model=model)
    assert torch.equal(mm.affine_map(one, x).A, A) and torch.equal(mm.affine_map(one, x).b, b)
    torch.testing.assert_close(sum(mm.bias_terms(one, x).values()), b)


@pytest.mark.parametrize("function", [mm.affine_map, mm.bias_terms])
def test_one_output_for_all_points_is_refused(function):
    with refuses("model must have an output for each point"):
        function(lambda x: x.sum(), points((5,)))


def test_inputs_may_be_numbers():
    model = Net(lambda n, x: torch.stack([x.relu(), 2 - x], 1))
    x = points((), N=4)
    A, b = mm.affine_map(model, x)
    torch.testing.assert_close(A * x[:, None] + b, model(x))
    assert mm.region_codes(model, x)[0].tolist() == (x > 0).long()[:, None].tolist()
    assert len(mm.local_lipschitz(model, x)) == 4


# ---------------------------------------------------------------- ties

F64 = dict(dtype=torch.float64)
TIES = [
    # function, x, slope and offset of the lowest of the tied pieces
    (torch.relu, 0, 0, 0),
    (lambda x: F.leaky_relu(x, 0.1), 0, 0.1, 0),
    (lambda x: F.leaky_relu(x, 3.0), 0, 3, 0),
    (lambda x: F.prelu(x, torch.tensor([-0.5]).to(x.device, x.dtype)), 0, -0.5, 0),
    (torch.abs, 0, -1, 0),
    (F.hardtanh, -1, 0, -1),
    (F.hardtanh, 1, 1, 0),
    (F.relu6, 0, 0, 0),
    (F.relu6, 6, 1, 0),
    (lambda x: F.hardtanh(x, 0.5, 2), 0.5, 0, 0.5),
    (lambda x: x.clamp(-1, 1), -1, 0, -1),
    (lambda x: x.clamp(-1, 1), 1, 1, 0),
    (lambda x: x.clamp(min=2), 2, 0, 2),
    (lambda x: x.clamp_min(2), 2, 0, 2),
    (lambda x: x.clamp(max=2), 2, 1, 0),
    (lambda x: x.clamp_max(2), 2, 1, 0),
    (lambda x: torch.maximum(3 * x, x), 0, 3, 0),
    (lambda x: torch.maximum(x, 3 * x), 0, 1, 0),
    (lambda x: torch.maximum(x, torch.full_like(x, 2)), 2, 1, 0),
    (lambda x: torch.maximum(torch.full_like(x, 2), x), 2, 0, 2),
    (lambda x: torch.max(x, -x), 0, 1, 0),
    (lambda x: torch.stack([2 * x, x, 5 * x], 1).amax(1), 0, 2, 0),
    (lambda x: torch.stack([2 * x - 9, x, 5 * x], 1).amax(1), 0, 1, 0),
    (lambda x: torch.stack([2 * x, x, 5 * x], 2).max(2).values, 0, 2, 0),
    (lambda x: F.relu(x) - F.relu(-x), 0, 0, 0),
    (lambda x: torch.abs(F.relu(x)), 0, 0, 0),
    (lambda x: F.max_pool1d(torch.stack([4 * x, x, 5 * x], 2), 3)[..., 0], 0, 4, 0),
    (lambda x: F.adaptive_max_pool1d(torch.stack([4 * x, x, 5 * x], 2), 1)[..., 0], 0, 4, 0),
    (lambda x: F.max_pool2d(torch.stack([4 * x, x], 1)[:, None], (2, 1), padding=(1, 0))[:, 0, 0], 0, 4, 0),
    (lambda x: F.relu_(x.clone()), 0, 0, 0),
]


@pytest.mark.parametrize("index", range(len(TIES)))
@pytest.mark.parametrize("dtype", DTYPES)
def test_at_a_tie_the_lowest_piece_gives_the_map(index, dtype):
    function, tie, slope, offset = TIES[index]
    x = torch.full((2, 3), float(tie), dtype=dtype, device=DEVICE)
    A, b = mm.affine_map(function, x)
    torch.testing.assert_close(A, slope * torch.eye(3).to(A).expand(2, 3, 3), rtol=0, atol=1e-7)
    torch.testing.assert_close(b, torch.full_like(b, offset), rtol=0, atol=0)


def test_pools_of_zeros_take_the_first_place_of_each_window():
    x = torch.zeros(1, 1, 4, 4, **F64).to(DEVICE)
    for pool in [nn.MaxPool2d(2), nn.AdaptiveMaxPool2d(2)]:
        A, b = mm.affine_map(pool, x)
        assert A.reshape(4, 16).argmax(1).tolist() == [0, 2, 8, 10] and A.sum() == 4 and (b == 0).all()
    A, _ = mm.affine_map(nn.MaxPool2d(3, 2, padding=1), x)  # the first inside the padding
    assert A.reshape(4, 16).argmax(1).tolist() == [0, 1, 4, 5]
    A, _ = mm.affine_map(nn.MaxPool2d(2, 1, dilation=2), x)
    assert A.reshape(4, 16).argmax(1).tolist() == [0, 1, 4, 5]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_codes_and_maps_name_the_same_places_whatever_the_layout(layout):
    x, pool = points((5, 6, 6), N=4).round(), nn.MaxPool2d(3, 2, 1)
    A, _ = mm.affine_map(pool, x.contiguous(memory_format=layout))
    codes = mm.region_codes(pool, x.contiguous(memory_format=layout))[0].reshape(4, 5, 3, 3)
    place = A.reshape(4, 5, 9, -1).argmax(-1).reshape(4, 5, 3, 3) % 36
    first = torch.tensor([-1, 1, 3]).to(place)
    row, column = place // 6 - first[:, None], place % 6 - first
    assert (3 * row + column == codes).all()


# ---------------------------------------------------------------- what stays as it was


@each_network
def test_nothing_that_is_given_changes(name):
    model, shape = build(name)
    x = points(shape)
    x_before, state = x.clone(), {key: value.clone() for key, value in model.state_dict().items()}
    for number, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(number % 2 == 0)
        parameter.grad = torch.ones_like(parameter) if number % 3 else None
    wishes = [(p.requires_grad, None if p.grad is None else p.grad.clone()) for p in model.parameters()]
    torch.manual_seed(3)
    random = torch.get_rng_state()
    mm.affine_map(model, x)
    mm.bias_terms(model, x)
    mm.region_codes(model, x)
    mm.local_lipschitz(model, x)
    assert torch.equal(x, x_before) and not x.requires_grad and torch.equal(torch.get_rng_state(), random)
    assert not model.training and torch.is_grad_enabled()
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    for parameter, (requires_grad, grad) in zip(model.parameters(), wishes, strict=True):
        assert parameter.requires_grad == requires_grad and (parameter.grad is None) == (grad is None)
        assert grad is None or torch.equal(parameter.grad, grad)


@each_network
def test_without_gradients_and_with_frozen_parameters(name):
    model, shape = build(name)
    x = points(shape)
    A, b = mm.affine_map(model, x)
    terms, steep = mm.bias_terms(model, x), mm.local_lipschitz(model, x)
    model.requires_grad_(False)
    with torch.no_grad():
        frozen = mm.affine_map(model, x)
        assert not torch.is_grad_enabled()
    frozen_terms = mm.bias_terms(model, x)
    assert torch.equal(A, frozen.A) and torch.equal(b, frozen.b)
    assert terms.keys() == frozen_terms.keys()
    assert all(torch.equal(terms[key], frozen_terms[key]) and not terms[key].requires_grad for key in terms)
    assert not steep.requires_grad
    learning = x.clone().requires_grad_()
    assert torch.equal(mm.affine_map(model, learning).A, A) and learning.grad is None


def test_bias_terms_without_gradients():
    model, shape = build("mlp")
    with torch.no_grad():
        terms = mm.bias_terms(model, points(shape))
    torch.testing.assert_close(sum(terms.values()), mm.affine_map(model, points(shape)).b)


def test_inputs_that_lie_otherwise_in_memory():
    model, shape = build("residual conv net")
    x = points(shape)
    A, b = mm.affine_map(model, x)
    last = x.to(memory_format=torch.channels_last)
    for other in [last, x.mT.contiguous().mT, torch.stack([x, x], -1)[..., 0]]:
        again = mm.affine_map(model, other)
        torch.testing.assert_close(again.A, A, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(again.b, b, rtol=1e-12, atol=1e-12)


def test_whole_numbers_take_the_type_of_the_parameters():
    model, _ = build("mlp")
    whole = torch.tensor([[1, 0, -2, 3, 1]], device=DEVICE)
    A, b = mm.affine_map(model, whole)
    assert A.dtype == torch.float64 and torch.equal(A, mm.affine_map(model, whole.double()).A)


# ---------------------------------------------------------------- bad input

X = torch.ones(2, 5, dtype=torch.float64)
BAD_X = [
    (None, TypeError, "x must be a torch tensor, one point a row, got NoneType"),
    (X.tolist(), TypeError, "x must be a torch tensor, one point a row, got list"),
    (X.numpy(), TypeError, "x must be a torch tensor, one point a row, got ndarray"),
    (torch.tensor(1.0), ValueError, r"x must have shape \(N,\), got \(\)"),
    (X[:0], ValueError, r"x must have shape \(N, 5\), got \(0, 5\), which is empty"),
    (X * np.nan, ValueError, "x must be finite; entries that are NaN or infinite: 10 of 10"),
    (X / 0, ValueError, "x must be finite; entries that are NaN or infinite: 10 of 10"),
    (X + 0j, TypeError, "x must hold real numbers, got torch.complex128"),
]


@pytest.mark.parametrize("x, error, message", BAD_X)
@pytest.mark.parametrize(
    "function", [mm.affine_map, mm.bias_terms, mm.local_lipschitz, mm.lipschitz_bound, mm.region_codes]
)
def test_bad_x(function, x, error, message):
    model, _ = build("mlp")
    with pytest.raises(error, match=message):
        function(model, x.to(DEVICE) if isinstance(x, torch.Tensor) else x)


@pytest.mark.parametrize("outputs", [[], [3], [0, -1], [7, 1], torch.tensor([5])])
@pytest.mark.parametrize("function", [mm.affine_map, mm.bias_terms])
def test_outputs_that_are_not_there(function, outputs):
    model, shape = build("mlp")
    with pytest.raises(ValueError, match=r"outputs must name one or more of the outputs 0 to 2, got \["):
        function(model, points(shape), outputs)


@pytest.mark.parametrize("outputs", [1, 1.5, "ab", [0.5], [None], [[0, 1]]])
@pytest.mark.parametrize("function", [mm.affine_map, mm.bias_terms])
def test_outputs_that_are_no_list_of_numbers(function, outputs):
    model, shape = build("mlp")
    with pytest.raises((TypeError, ValueError), match="outputs must"):
        function(model, points(shape), outputs)


# ---------------------------------------------------------------- bias terms


@each_network
def test_bias_terms_sum_to_b(name):
    model, shape = build(name)
    x = points(shape)
    affine, terms = mm.affine_map(model, x), mm.bias_terms(model, x)
    assert list(terms) == [f"{number}:{key.split(':')[1]}" for number, key in enumerate(terms, 1)]
    assert all(term.shape == affine.b.shape and term.dtype == affine.b.dtype for term in terms.values())
    scale = size(affine, x) + sum(term.abs() for term in terms.values())
    assert ((sum(terms.values()) - affine.b).abs() <= 1e-12 * scale).all()
    assert (terms == {}) == (name in NO_BIAS)


def scaled(module, factor):
    """The constant that a layer adds, times the factor."""
    for key in ("bias", "running_mean"):
        if getattr(module, key, None) is not None:
            getattr(module, key).data.mul_(factor)


@pytest.mark.parametrize(
    "name",
    ["mlp", "nested", "relu in place", "batch norm 1d", "batch norm 2d", "conv1d", "conv2d", "conv3d",
     "transposed conv2d", "max pool 1d", "max pool 3d", "image to image", "prelu by channel"],
)  # fmt: skip
def test_a_term_is_what_its_layer_adds(name):
    """While no unit changes its piece, a bit more of one layer's constant moves the output by its term."""
    model, shape = build(name)
    x = points(shape)
    terms, f, eps = mm.bias_terms(model, x), model(x.clone()).flatten(1), 1e-7
    layers = [m for m in model.modules() if type(m) in FUNCTION]
    layers = [layer for layer in layers if layer.bias is not None or hasattr(layer, "running_mean")]
    assert [key.split(":")[1] for key in terms] == [FUNCTION[type(m)] for m in layers]
    for layer, term in zip(layers, terms.values(), strict=True):
        scaled(layer, 1 + eps)
        moved = (model(x.clone()).flatten(1) - f) / eps
        scaled(layer, 1 / (1 + eps))
        torch.testing.assert_close(moved, term, rtol=0, atol=1e-6 * max(1, f.abs().max().item()))


FUNCTION = {
    nn.Linear: "linear", nn.BatchNorm1d: "batch_norm", nn.BatchNorm2d: "batch_norm",
    **{getattr(nn, f"Conv{d}d"): f"conv{d}d" for d in (1, 2, 3)},
    **{getattr(nn, f"ConvTranspose{d}d"): f"conv_transpose{d}d" for d in (1, 2, 3)},
}  # fmt: skip


@pytest.mark.parametrize("key", ["bias_ih_l0", "bias_hh_l0", "bias_ih_l1", "bias_hh_l1"])
def test_a_recurrent_bias_enters_at_each_step(key):
    model, shape = build("rnn, two layers")
    x, eps = points(shape), 1e-7
    f, terms = model(x), list(mm.bias_terms(model, x).values())
    first = {"bias_ih_l0": 0, "bias_hh_l0": 1, "bias_ih_l1": 8, "bias_hh_l1": 9}[key]
    moved = sum(terms[first : first + 8 : 2])
    getattr(model.rnn, key).data.mul_(1 + eps)
    torch.testing.assert_close((model(x) - f) / eps, moved, rtol=0, atol=1e-6)


def test_terms_worked_by_hand():
    low = torch.tensor([4.0])
    net = Net(lambda n, x: F.hardtanh(3 - torch.maximum(2 * x + 1, n.low), -5, 7) + 1, low=low)
    x = torch.tensor([[-1.0], [2.0], [50.0]], device=DEVICE)
    terms = mm.bias_terms(net.to(DEVICE), x)
    assert [key.split(":")[1].strip("_") for key in terms] == ["add", "maximum", "rsub", "hardtanh", "add"]
    #  max -> 4 and 3 - 4 = -1      max -> 2 x + 1 = 5 and 3 - 5 = -2      held at -5
    expected = [[0, -4, 3, 0, 1], [-1, 0, 3, 0, 1], [0, 0, 0, -5, 1]]
    assert torch.stack(list(terms.values()), 2)[:, 0].tolist() == expected


def test_a_network_without_constants_has_no_terms():
    model, shape = build("mlp without biases")
    assert mm.bias_terms(model, points(shape)) == {}
