"""Soft units and softened networks against formulas and networks written by hand; what stays as it was."""

import copy
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import DEVICE, refuses
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call, stack_module_state, vmap
from zoo import ZOO, Net, build, nonlinear_calls, points

import mad_max_lib as mm
from mad_max_lib import BetaVQ, soften
from mad_max_lib.tracing.softening import Softness
from mad_max_lib.tracing.units import Kinked

BETAS = [0.0, 0.2, 0.5, 0.9]
each_beta = pytest.mark.parametrize("beta", BETAS)
close = partial(torch.testing.assert_close, rtol=1e-11, atol=1e-12)
KINK = {  # slopes of both pieces
    "relu": (0, 1, {}),
    "leaky_relu": (0.2, 1, dict(negative_slope=0.2)),
    "abs": (-1, 1, {}),
    "absolute": (-1, 1, {}),
    "prelu": (-0.5, 1, dict(weight=torch.tensor([-0.5], dtype=torch.float64, device=DEVICE))),
}
POOL = {  # the shape of one input, and what the function takes
    "max_pool1d": [
        ((2, 9), dict(kernel_size=3)),
        ((2, 9), dict(kernel_size=4, stride=3, padding=2, dilation=2)),
        ((2, 9), dict(kernel_size=2, ceil_mode=True)),
    ],
    "max_pool2d": [
        ((2, 5, 6), dict(kernel_size=2)),
        ((2, 5, 6), dict(kernel_size=(3, 2), stride=(2, 1), padding=1)),
        ((2, 7, 7), dict(kernel_size=3, stride=2, padding=1, ceil_mode=True)),
    ],
    "max_pool3d": [((2, 3, 4, 4), dict(kernel_size=2, stride=1))],
    "adaptive_max_pool1d": [((2, 7), dict(output_size=3))],
    "adaptive_max_pool2d": [((2, 5, 7), dict(output_size=(2, 3)))],
    "adaptive_max_pool3d": [((2, 3, 4, 5), dict(output_size=2))],
}
POOLS = [(kind, *case) for kind in POOL for case in POOL[kind]]


def eta_of(beta):
    return beta / (1 - beta)


def bent(u, low, high, eta):
    """The soft form of the larger of low * u and high * u."""
    gate = 1 / (1 + torch.exp(-eta * (high - low) * u))
    return low * u * (1 - gate) + high * u * gate


def swish(u, beta):
    return bent(u, 0, 1, eta_of(beta))


def pooled(x, function, options, eta):
    """Soft pooling: the entries of each window weighed by exp(eta times them).

    Which entries a window has is asked of torch: it pools pictures with a single 1.
    """
    d = int(function.__name__[-2])
    size = x.shape[-d:]
    ones = torch.eye(size.numel(), dtype=x.dtype, device=x.device).reshape(-1, 1, *size)
    windows = function(ones, **options)[:, 0]  # (entries, *windows)
    flat = x.flatten(-d)
    powers = torch.exp(eta * (flat - flat.amax(-1, keepdim=True)))
    sums = [torch.einsum("nce,ew->ncw", part, windows.flatten(1)) for part in (powers * flat, powers)]
    return (sums[0] / sums[1]).reshape(*x.shape[:-d], *windows.shape[1:])


def softmean(z, eta):
    """Soft maxout over the last axis."""
    return (torch.softmax(eta * z, -1) * z).sum(-1)


# ---------------------------------------------------------------- BetaVQ


@pytest.mark.parametrize("kind", KINK)
@each_beta
def test_units_with_one_kink(kind, beta):
    low, high, options = KINK[kind]
    x = torch.cat([4 * points((3, 4)), torch.zeros(1, 3, 4).to(points((3, 4)))])
    close(BetaVQ(kind, beta, **options)(x), bent(x, low, high, eta_of(beta)))


@each_beta
def test_two_pieces_that_meet_anywhere(beta):
    u = 3 * points((4,))
    unit = Kinked(u, (1.5,), (0.5, 2), (0.25, -2))
    lines = [0.5 * u + 0.25, 2 * u - 2]
    for ours, line in zip(unit.scores(), lines, strict=True):
        close(ours, line)
    close(Softness(beta)(unit.scores(), unit.absent), softmean(torch.stack(lines, -1), eta_of(beta)))


@pytest.mark.parametrize("kind, shape, options", POOLS)
@each_beta
def test_pools(kind, shape, options, beta):
    x = 2 * points(shape)
    close(BetaVQ(kind, beta, **options)(x), pooled(x, getattr(F, kind), options, eta_of(beta)))


@each_beta
def test_maxout_and_the_larger_of_two(beta):
    x, low, eta = points((4, 3)), points((4, 3), seed=1), eta_of(beta)
    close(BetaVQ("amax", beta, dim=-1)(x), softmean(x, eta))
    close(BetaVQ("amax", beta, dim=1, keepdim=True)(x), softmean(x.mT, eta)[:, None])
    close(BetaVQ("amax", beta, dim=(1, 2))(x), softmean(x.flatten(1), eta))
    close(BetaVQ("maximum", beta, other=low)(x), softmean(torch.stack([x, low], -1), eta))
    close(BetaVQ("clamp", beta, min=0.3)(x), softmean(torch.stack([x, 0.3 + 0 * x], -1), eta))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_hard_at_1_bit_for_bit(dtype):
    x = points((2, 8, 8)).round().to(dtype)  # full of ties
    for kind, (_, _, options) in KINK.items():
        options = {key: v.to(dtype) if isinstance(v, torch.Tensor) else v for key, v in options.items()}
        function = getattr(F, kind, None) or getattr(torch, kind)
        hard = BetaVQ(kind, 1, **options)(x)
        assert torch.equal(hard, function(x, **options)) and hard.dtype == dtype
    for kernel in [2, 3]:
        hard = BetaVQ("max_pool2d", 1.0, kernel_size=kernel, padding=1, stride=1)(x)
        assert torch.equal(hard, F.max_pool2d(x, kernel, 1, 1)) and hard.dtype == dtype
    assert torch.equal(BetaVQ("amax", 1.0, dim=1)(x), x.amax(1))


def test_at_1_a_tie_sends_its_gradient_to_the_lowest_piece():
    x = torch.zeros(1, 1, 3, requires_grad=True)
    for kind, options, slopes in [("max_pool1d", dict(kernel_size=3), [1, 0, 0]), ("relu", {}, [0, 0, 0]),
                                  ("abs", {}, [-1, -1, -1]), ("leaky_relu", {}, [0.01] * 3)]:  # fmt: skip
        (gradient,) = torch.autograd.grad(BetaVQ(kind, 1.0, **options)(x).sum(), x)
        assert gradient.flatten().tolist() == pytest.approx(slopes)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("learn", [None, "layer", "unit"])
@pytest.mark.parametrize("beta", [0.0, 0.3, 0.5, 0.9, 1 - 1e-9, 1.0])
def test_no_finite_input_is_too_large(dtype, learn, beta):
    if learn and beta in (0, 1):
        return
    top = 0.99 * torch.finfo(dtype).max
    x = torch.tensor([[[-top, top, 1, -1e-3, 0, -top]]], device=DEVICE, dtype=dtype).requires_grad_()
    units = 1 if learn == "unit" else None
    for kind, options in [
        ("relu", {}),
        ("abs", {}),
        ("leaky_relu", {}),
        ("max_pool1d", dict(kernel_size=3)),
        ("max_pool1d", dict(kernel_size=2, padding=1)),
        ("amax", dict(dim=-1)),
    ]:
        unit = BetaVQ(kind, beta, learn, units, **options).to(x)
        output = unit(x)
        assert output.isfinite().all() and output.dtype == dtype
        if beta > 0.1:
            first = {"relu": 0, "abs": x[0, 0, 1], "leaky_relu": 0.01 * x[0, 0, 0], "amax": x[0, 0, 1]}
            first |= {"max_pool1d": x[0, 0, int("padding" not in options)]}
            close(output.flatten()[0], torch.as_tensor(first[kind]).to(output), rtol=1e-2, atol=0)
        (gradient,) = torch.autograd.grad(unit(x / 4).sum(), x)
        assert gradient.isfinite().all() and gradient.abs().max() <= 0.3


@pytest.mark.parametrize("p", [-1000.0, -80.0, 80.0, 1000.0])
def test_no_learned_number_is_too_large(p):
    unit = BetaVQ("relu", learn="layer").double()
    with torch.no_grad():
        unit.softness.p.fill_(p)
    x = torch.tensor([[-1e30, -2, 0, 3, 1e30]], dtype=torch.float64)
    close(unit(x), x * torch.sigmoid(np.exp(min(p, 700.0)) * x))
    assert 0 <= unit.beta <= 1 and unit(x).isfinite().all()


LEARNED = [
    ("relu", {}, (3,)),
    ("abs", {}, (3, 2)),
    ("leaky_relu", {}, (3, 2, 2)),
    ("amax", dict(dim=-1), (3, 4)),
    ("max_pool1d", dict(kernel_size=3, padding=1), (3, 5)),
    ("max_pool2d", dict(kernel_size=2), (3, 4, 2)),
    ("maximum", dict(other=torch.tensor(0.3, dtype=torch.float64, device=DEVICE)), (3,)),
]


@pytest.mark.parametrize("kind, options, shape", LEARNED)
@pytest.mark.parametrize("learn", [None, "layer", "unit"])
def test_derivatives_to_the_input_and_to_what_is_learned(kind, options, shape, learn):
    unit = BetaVQ(kind, 0.4, learn, 3 if learn == "unit" else None, **options).to(points(()))
    x = points(shape, N=2).requires_grad_()
    names = [name for name, _ in unit.named_parameters()]
    p = [torch.linspace(-1, 1, v.numel(), dtype=v.dtype, device=v.device).reshape(v.shape).requires_grad_()
         for v in unit.parameters()]  # fmt: skip
    of = lambda x, *p: functional_call(unit, dict(zip(names, p, strict=True)), (x,))  # noqa: E731
    assert gradcheck(of, (x, *p)) and gradgradcheck(of, (x, *p))


@pytest.mark.parametrize("kind, options, shape", LEARNED)
def test_each_unit_or_channel_has_its_own_learned_number(kind, options, shape):
    learned = BetaVQ(kind, learn="unit", units=3, **options).to(points(()))
    betas = torch.tensor([0.1, 0.5, 0.8], dtype=torch.float64, device=DEVICE)
    learned.softness.p.data = torch.logit(betas)
    close(learned.beta, betas)
    x = points(shape)
    if kind == "maximum":
        options = dict(other=options["other"].expand(3, 1))
    alone = [BetaVQ(kind, float(beta), **options)(x[:, k : k + 1]) for k, beta in enumerate(betas)]
    close(learned(x), torch.cat(alone, 1))


@pytest.mark.parametrize("learn, shape", [(None, None), ("layer", ()), ("unit", (7,))])
def test_what_is_learned_is_one_parameter(learn, shape):
    unit = BetaVQ("relu", 0.3, learn, 7 if learn == "unit" else None)
    assert [(name, tuple(p.shape)) for name, p in unit.named_parameters()] == [("softness.p", shape)] * bool(
        learn
    )
    assert [*unit.state_dict()] == ["softness.p"] * bool(learn)
    beta = unit.beta
    if learn:
        p = unit.softness.p
        assert p.requires_grad and not beta.requires_grad and beta.shape == shape
        close(p.detach().exp(), torch.full(shape, eta_of(0.3)), rtol=1e-6)  # eta = exp(p)
        close(beta, torch.full(shape, 0.3), rtol=1e-6)
    else:
        assert beta == pytest.approx(0.3, rel=1e-15) and BetaVQ(beta=1).beta == 1 and BetaVQ(beta=0).beta == 0
    x = points((7,))
    close(unit.to(x)(x), BetaVQ("relu", 0.3)(x), rtol=1e-6, atol=1e-7)
    assert "relu" in repr(unit) and "0.3" in repr(unit)


@pytest.mark.parametrize("learn", ["layer", "unit"])
def test_state_is_saved_loaded_copied_and_moved(learn):
    make = partial(
        BetaVQ, "leaky_relu", learn=learn, units=3 if learn == "unit" else None, negative_slope=0.2
    )
    first, second = make(beta=0.3), make(beta=0.9)
    x = points((3,), dtype=torch.float32)
    first, second = first.to(x.device), second.to(x.device)
    assert not torch.allclose(first(x), second(x))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(x), second(x))
    twin = copy.deepcopy(first)
    twin.softness.p.data += 1
    assert torch.equal(first(x), second(x)) and not torch.allclose(first(x), twin(x))
    for dtype in [torch.float64, torch.float16, torch.bfloat16]:
        moved = copy.deepcopy(first).to(dtype)
        assert moved.softness.p.dtype == moved(x.to(dtype)).dtype == moved.beta.dtype == dtype
        torch.testing.assert_close(moved(x.to(dtype)).float(), first(x), rtol=2e-2, atol=2e-2)
    assert copy.deepcopy(first).to("meta")(x.to("meta")).shape == x.shape


@pytest.mark.parametrize("beta", [np.float64(0.25), np.float32(0.25), Fraction(1, 4)])
def test_beta_may_be_any_kind_of_number(beta):
    x = points((3,), dtype=torch.float32).requires_grad_()
    assert torch.equal(BetaVQ("relu", beta)(x), BetaVQ("relu", 0.25)(x))
    assert torch.equal(BetaVQ("relu", beta, "layer")(x), BetaVQ("relu", 0.25, "layer")(x))
    assert torch.equal(soften(torch.relu, beta)(x), BetaVQ("relu", 0.25)(x))


BAD = [
    (dict(kind="gelu"), "kind must name a piecewise affine function such as relu or max_pool2d, got 'gelu'"),
    (dict(kind="blend"), "kind must name a piecewise affine function .* got 'blend'"),
    (dict(kind=None), "kind must name a piecewise affine function .* got None"),
    (dict(learn="unit"), "units must be given with learn='unit' and only then, got None and 'unit'"),
    (dict(units=3), "units must be given with learn='unit' and only then, got 3 and None"),
    (dict(learn="layer", units=3), "units must be given with learn='unit' and only then, got 3 and 'layer'"),
    (dict(learn="unit", units=0), "units must be a whole number of at least 1, got 0"),
    (dict(learn="unit", units=2.5), "units must be a whole number of at least 1, got 2.5"),
    (dict(learn="channel"), "learn must be None, 'layer' or 'unit', got 'channel'"),
    (dict(learn=True), "learn must be None, 'layer' or 'unit', got True"),
    (dict(beta=1.5), r"beta must be a number from 0 \(linear\) to 1 \(hard\), got 1.5"),
    (dict(beta=np.nan), r"beta must be a number from 0 \(linear\) to 1 \(hard\), got nan"),
    (dict(beta="soft"), r"beta must be a number from 0 \(linear\) to 1 \(hard\), got 'soft'"),
    (dict(beta=0, learn="layer"), "beta must lie between 0 and 1, both excluded, to be learned, got 0"),
    (
        dict(beta=1, learn="unit", units=3),
        "beta must lie between 0 and 1, both excluded, to be learned, got 1",
    ),
]


@pytest.mark.parametrize("how, message", BAD)
def test_bad_soft_units(how, message):
    with pytest.raises(ValueError, match=message):
        BetaVQ(**how)


@pytest.mark.parametrize(
    "kind, options", [("hardtanh", {}), ("relu6", {}), ("clamp", dict(max=1)), ("clamp_max", dict(max=1)),
                      ("leaky_relu", dict(negative_slope=1.5)),
                      ("prelu", dict(weight=torch.tensor([0.5, 1.5])))]
)  # fmt: skip
@pytest.mark.parametrize("beta", [0, 0.5, 1])
def test_no_maximum_has_no_soft_form(kind, options, beta):
    with refuses("is not a maximum of affine pieces, so it has no soft form"):
        BetaVQ(kind, beta, **options)(torch.ones(1, 2))


# ---------------------------------------------------------------- many at once


def with_soft_units(seed, learn="unit"):
    first, second = (
        BetaVQ("relu", 0.4, learn, 5 if learn == "unit" else None),
        BetaVQ("amax", 0.6, "layer", dim=-1),
    )
    layers = nn.Linear(3, 5), first, nn.Linear(5, 8), nn.Unflatten(1, (4, 2)), second, nn.Linear(4, 2)
    return mm.draw_weights(nn.Sequential(*layers), np.random.default_rng(seed))


@pytest.mark.parametrize("learn", [None, "layer", "unit"])
def test_stacked_networks_run_side_by_side(learn):
    models = [with_soft_units(seed, learn) for seed in range(3)]
    for s, model in enumerate(models):
        for unit in model:
            if isinstance(unit, BetaVQ) and unit.softness.p is not None:
                unit.softness.p.data += s - 1
    x, base = points((3,)), copy.deepcopy(models[0]).to("meta")
    alone = torch.stack([model(x) for model in models])
    close(vmap(lambda p, b: functional_call(base, (p, b), (x,)))(*stack_module_state(models)), alone)
    softened = [soften(model[0], 0.3) for model in models]  # has no nonlinear call
    close(vmap(lambda p, b: functional_call(softened[0], (p, b), (x,)))(*stack_module_state(softened)),
          torch.stack([model[0](x) for model in models]))  # fmt: skip


def problem(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(60, 3))
    return x, (np.abs(x[:, 0]) > x[:, 1]).astype(int)


@pytest.mark.parametrize("kind", ["BetaVQ", "softened per unit", "softened per layer"])
def test_fit_many_trains_beta_as_fit_does_one_by_one(kind):
    def make(seed):
        if kind == "BetaVQ":
            return with_soft_units(seed)
        hard = mm.mlp([3, 6, 6, 2], np.random.default_rng(seed))
        return soften(hard, 0.4, kind.split()[-1], points((3,)))

    together, alone = [make(s) for s in range(3)], [make(s) for s in range(3)]
    before = [[p.detach().clone() for p in model.parameters()] for model in together]
    how = dict(epochs=3, batch=20, lr=1e-2)
    data = [(*problem(s), *problem(s + 10)) for s in range(3)]
    mm.fit_many(together, data, rngs=[np.random.default_rng(s) for s in range(3)], **how)
    for s, model in enumerate(alone):
        mm.fit(model, *data[s][:2], rng=np.random.default_rng(s), **how)
    for many, one, start in zip(together, alone, before, strict=True):
        assert sum(name.endswith(".p") for name, _ in many.named_parameters()) == 2
        for (name, p), q, old in zip(many.named_parameters(), one.parameters(), start, strict=True):
            torch.testing.assert_close(p, q, rtol=1e-7, atol=1e-9)
            if name.endswith(".p"):
                assert ((p - old).abs() > 1e-3).all(), "beta is trained, every one"


# ---------------------------------------------------------------- soften: the zoo

NO_SOFT_FORM = {
    "hard tanh": "hardtanh",
    "relu6": "hardtanh",
    "clamp": "clamp",
    "leaky relu": "leaky_relu",
}
SOFT = [name for name in ZOO if name not in NO_SOFT_FORM]
each_network = pytest.mark.parametrize("name", SOFT)


def network(name):
    """From the zoo, with slopes of every PReLU that are not above 1."""
    model, shape = build(name)
    for module in model.modules():
        if isinstance(module, nn.PReLU):
            module.weight.data.clamp_(max=0.9)
    return model, shape


@each_network
def test_hard_at_1(name):
    model, shape = network(name)
    x = points(shape)
    before = x.clone()
    torch.testing.assert_close(soften(model, 1)(x), model(x.clone()), rtol=1e-14, atol=1e-14)
    assert torch.equal(x, before)


@pytest.mark.parametrize("name", ["mlp", "relu in place", "maxout", "max pool 2d", "residual conv net"])
def test_hard_at_1_bit_for_bit_with_its_derivative(name):
    model, shape = network(name)
    x, y = points(shape).requires_grad_(), points(shape).requires_grad_()
    hard, own = soften(model, 1.0)(x), model(y.clone())
    assert torch.equal(hard, own)
    hard.square().sum().backward()
    own.square().sum().backward()
    assert torch.equal(x.grad, y.grad)


@each_network
def test_linear_at_0(name):
    model, shape = network(name)
    x, y, linear = points(shape), points(shape, seed=1), soften(model, 0)
    torch.testing.assert_close(
        linear(0.25 * x + 0.75 * y), 0.25 * linear(x) + 0.75 * linear(y), rtol=1e-11, atol=1e-11
    )
    if ZOO[name][2]:
        assert not torch.allclose(
            model(0.25 * x + 0.75 * y), 0.25 * model(x.clone()) + 0.75 * model(y.clone())
        )


@each_network
@pytest.mark.parametrize("beta", [0.0, 0.6, 1.0])
def test_A_x_plus_b_is_the_soft_output(name, beta):
    model, shape = network(name)
    x, softened = points(shape), soften(model, beta)
    f = softened(x).flatten(1)
    affine = mm.affine_map(softened, x)
    A, b = affine
    assert A.shape == (len(x), f.shape[1], *shape) and b.shape == f.shape and not A.requires_grad
    torch.testing.assert_close(
        torch.einsum("ncd,nd->nc", A.flatten(2), x.flatten(1)) + b, f, rtol=1e-11, atol=1e-11
    )
    if beta == 1:
        hard = mm.affine_map(model, x)
        torch.testing.assert_close(A, hard.A, rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(b, hard.b, rtol=1e-11, atol=1e-11)
    terms = mm.bias_terms(softened, x)
    torch.testing.assert_close(sum(terms.values(), torch.zeros_like(b)), b, rtol=1e-10, atol=1e-11)
    assert torch.equal(mm.affine_map(softened, x, [2, 0]).b, b[:, [2, 0]]) or b.shape[1] < 3


@each_network
def test_one_learned_number_for_each_call(name):
    model, shape = network(name)
    x = points(shape)
    for learn in ["layer", "unit"]:
        softened = soften(model, 0.6, learn, x)
        assert len(softened.betas) == len(nonlinear_calls(name))
        torch.testing.assert_close(softened(x), soften(model, 0.6)(x), rtol=1e-10, atol=1e-11)
        own = [p for key, p in softened.named_parameters() if not key.startswith("model.")]
        assert [tuple(p.shape) for p in own] == [tuple(beta.shape) for beta in softened.betas]
        assert all(p.dtype == x.dtype and p.device == x.device for p in own)
        gradients = torch.autograd.grad(softened(x).square().sum(), own) if own else []
        assert all(g.abs().max() > 0 for g in gradients)
    assert all(beta.dim() == 1 for beta in softened.betas)


@each_network
def test_nothing_that_is_given_changes(name):
    model, shape = network(name)
    x = points(shape)
    before, state, modules = model(x.clone()), copy.deepcopy(model.state_dict()), [*model.modules()]
    calls = []
    hook = model.register_forward_hook(lambda *_: calls.append(1))
    softened = soften(model, 0.5, "unit", x)
    calls.clear()
    softened(x)
    assert calls == [1], "the network itself runs, once, hooks and all"
    hook.remove()
    assert torch.equal(model(x.clone()), before) and [*model.modules()] == modules
    assert state.keys() == model.state_dict().keys()
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert not model._forward_hooks and not model.training
    assert all(p is q for p, q in zip(softened.model.parameters(), model.parameters(), strict=True))


@pytest.mark.parametrize("name, call", NO_SOFT_FORM.items())
def test_networks_without_a_soft_form(name, call):
    model, shape = build(name)
    x = points(shape)
    words = rf"{call} \(function number \d+ .* before it: 0\) is not a maximum of affine pieces"
    with refuses(words):
        soften(model, 0.5)(x)
    with refuses(words):
        soften(model, 1)(x)
    with refuses(words):
        soften(model, 0.5, "layer", x)


# ---------------------------------------------------------------- soften: by hand


def linear(layer, x):
    return x @ layer.weight.mT + layer.bias


def batch_normed(norm, x, statistics=None):
    mean, variance = statistics or (norm.running_mean, norm.running_var)
    shape = (-1, *[1] * (x.dim() - 2))
    mean, variance, gamma, delta = (v.reshape(shape) for v in (mean, variance, norm.weight, norm.bias))
    return gamma * (x - mean) / (variance + norm.eps) ** 0.5 + delta


def soft_residual_net(model, x, beta):
    """The residual net of the zoo, written out."""
    conv, norm, _, _, first, second, *_, head = model
    options = dict(kernel_size=3, stride=2, padding=1)
    h = pooled(swish(batch_normed(norm, conv(x)), beta), F.max_pool2d, options, eta_of(beta))
    for block in (first, second):
        g = swish(batch_normed(block.norm, block.first(h)), beta)
        h = swish(batch_normed(block.last_norm, block.second(g)) + block.shortcut(h), beta)
    return linear(head, h.mean((2, 3)))


def test_a_residual_net_with_in_place_and_reused_relus():
    model, shape = build("residual conv net")
    x = points(shape)
    for beta in BETAS:
        close(soften(model, beta)(x), soft_residual_net(model, x, beta))


def test_a_convolutional_net_with_pooling_and_batch_norm():
    model = mm.small_cnn(np.random.default_rng(0)).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(generator=torch.Generator(module.running_mean.device).manual_seed(0))
            module.bias.data += 0.3
    x = points((64,))
    h = model[0](x)
    for k in (1, 5):
        h = swish(batch_normed(model[k + 1], model[k](h)), 0.7)
        h = pooled(h, F.max_pool2d, dict(kernel_size=2), eta_of(0.7))
    close(soften(model, 0.7)(x), linear(model[-1], h.flatten(1)))


def test_functional_calls_maxout_and_a_larger_of_two():
    model = Net(
        lambda n, x: (
            torch.maximum(n.a(x).abs(), n.b(x).clamp(min=0.1)).reshape(-1, 3, 2).amax(-1).relu()
            + F.leaky_relu(n.c(x), 0.3)
        ),
        a=nn.Linear(4, 6),
        b=nn.Linear(4, 6),
        c=nn.Linear(4, 3),
    )
    model, x, eta = model.to(points(())), points((4,)), eta_of(0.6)
    a, b, c = (linear(layer, x) for layer in (model.a, model.b, model.c))
    larger = softmean(
        torch.stack([bent(a, -1, 1, eta), softmean(torch.stack([0.1 + 0 * b, b], -1), eta)], -1), eta
    )
    expected = bent(softmean(larger.reshape(-1, 3, 2), eta), 0, 1, eta) + bent(c, 0.3, 1, eta)
    close(soften(model, 0.6)(x), expected)


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("learn", [None, "layer", "unit"])
def test_training_gradients_also_through_what_works_in_place(inplace, learn):
    relu = nn.ReLU(inplace=inplace)
    model = nn.Sequential(
        nn.Linear(4, 5), relu, nn.Linear(5, 5), relu, nn.LeakyReLU(0.2, inplace=inplace), nn.Linear(5, 2)
    )
    model, x = model.to(points(())), points((4,)).requires_grad_()
    softened = soften(model, 0.7, learn, x if learn else None)
    eta = torch.tensor(eta_of(0.7), dtype=torch.float64, device=x.device, requires_grad=True)
    h = bent(linear(model[0], x), 0, 1, eta)
    by_hand = linear(model[5], bent(bent(linear(model[2], h), 0, 1, eta), 0.2, 1, eta))
    close(softened(x), by_hand)
    wanted = [x, *model.parameters()]
    ours = torch.autograd.grad(softened(x).square().sum(), wanted, retain_graph=True)
    for mine, theirs in zip(
        ours, torch.autograd.grad(by_hand.square().sum(), wanted, retain_graph=True), strict=True
    ):
        close(mine, theirs)
    if learn:
        own = [p for key, p in softened.named_parameters() if not key.startswith("model.")]
        slopes = torch.autograd.grad(softened(x).square().sum(), own)
        (together,) = torch.autograd.grad(by_hand.square().sum(), eta)
        close(sum(slope.sum() for slope in slopes), together * eta.detach())  # d eta / d p = eta


def test_each_call_learns_its_own_number():
    model, x = mm.mlp([3, 4, 5, 2], np.random.default_rng(0)), points((3,))
    softened = soften(model, 0.5, "unit", x)
    betas = [torch.linspace(0.1, 0.9, 4), torch.linspace(0.8, 0.2, 5)]
    betas = [beta.to(x) for beta in betas]
    for part, beta in zip(softened.softness, betas, strict=True):
        part.p.data = torch.logit(beta)
    for beta, expected in zip(softened.betas, betas, strict=True):
        close(beta, expected)
    h = bent(linear(model[0], x), 0, 1, eta_of(betas[0]))
    h = bent(linear(model[2], h), 0, 1, eta_of(betas[1]))
    close(softened(x), linear(model[4], h))
    assert soften(model, 0.25).betas == [0.25]


def test_units_of_a_map_are_its_channels():
    model = nn.Sequential(nn.Conv2d(1, 3, 2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3, 2)).to(
        points(())
    )
    x = points((1, 3, 3))
    assert [beta.shape for beta in soften(model, 0.5, "unit", x).betas] == [(3,), (3,)]
    softened = soften(model, 0.5, "unit", x)
    softened.softness[0].p.data = torch.tensor([-2.0, 0, 2]).to(x)
    softened.softness[1].p.data = torch.tensor([1.0, -1, 0]).to(x)
    u = model[0](x)
    h = torch.stack([bent(u[:, c], 0, 1, float(np.exp(p))) for c, p in enumerate([-2, 0, 2])], 1)
    h = torch.stack([softmean(h[:, c].flatten(1), float(np.exp(p))) for c, p in enumerate([1, -1, 0])], 1)
    close(softened(x), linear(model[4], h))


class Repeated(nn.Module):
    """As many layers as its depth says, all with the same weights."""

    def __init__(self, depth):
        super().__init__()
        self.depth, self.layer = depth, nn.Linear(3, 3)

    def forward(self, x):
        for _ in range(self.depth):
            x = self.layer(x).relu()
        return x


@pytest.mark.parametrize("learn", ["layer", "unit"])
@pytest.mark.parametrize("calls", [1, 2])
def test_more_calls_than_the_example_made_are_refused(calls, learn):
    """Also after an example of one call, whose beta later calls must not share."""
    x = points((3,))
    model = Repeated(calls).to(x)
    softened = soften(model, 0.5, learn, x)
    assert len(softened.betas) == calls
    model.depth = calls + 1
    with refuses(f"relu .* before it: {calls}. is one call more than the {calls} that the example made"):
        softened(x)
    model.depth = 1
    close(softened(x), swish(linear(model.layer, x), 0.5))


def test_to_train_the_one_is_to_train_the_other():
    x, y = problem(0)
    model = mm.mlp([3, 8, 2], np.random.default_rng(0))
    softened = soften(model, 0.4, "layer", torch.from_numpy(x).to(DEVICE))
    weight, start = model[0].weight.detach().clone(), softened.betas[0].clone()
    losses = mm.fit(softened, x, y, 20, np.random.default_rng(0), lr=1e-2)
    assert losses[-5:].mean() < losses[:5].mean() and softened.betas[0] != start
    assert not torch.equal(model[0].weight, weight) and softened.model is model


def test_batch_norm_and_dropout_in_training_mode():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 2))
    model, x = model.to(points(())).train(), points((3,), N=6)
    twin = copy.deepcopy(model)
    torch.manual_seed(1)
    softened = soften(model, 0.6)(x)
    torch.manual_seed(1)
    u = linear(twin[0], x)
    h = swish(batch_normed(twin[1], u, (u.mean(0), u.var(0, unbiased=False))), 0.6)
    close(softened, linear(twin[4], F.dropout(h, 0.5)))
    torch.testing.assert_close(model[1].running_mean, 0.1 * u.mean(0))
    assert model[1].num_batches_tracked == 1
    with refuses("batch_norm .* uses the statistics of the batch"):
        mm.affine_map(soften(model, 0.6), x)


def test_the_example_leaves_statistics_chance_and_mode_alone():
    model = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 2))
    model = model.to(points(())).train()
    state, chance = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    for N in (1, 4):
        example = points((3,), N=N).requires_grad_()
        soften(model, 0.5, "unit", example)
        assert example.grad is None
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), chance) and all(module.training for module in model.modules())


def test_a_softened_network_is_a_module_like_others():
    model, x = mm.mlp([3, 4, 2], np.random.default_rng(0)), points((3,))
    softened = soften(model, 0.3, "unit", x)
    assert (
        not softened.eval().training and not model.training and softened.train().training and model.training
    )
    other = soften(mm.mlp([3, 4, 2], np.random.default_rng(1)), 0.8, "unit", x)
    other.load_state_dict(softened.state_dict())
    assert torch.equal(other(x), softened(x))
    twin = copy.deepcopy(softened)
    twin.model[0].weight.data += 1
    assert torch.equal(other(x), softened(x)) and not torch.allclose(twin(x), softened(x))
    single = copy.deepcopy(softened).float()
    assert single(x.float()).dtype == torch.float32 == single.betas[0].dtype
    torch.testing.assert_close(single(x.float()).double(), softened(x), rtol=1e-4, atol=1e-4)


def test_the_learned_start_is_as_exact_as_the_example():
    for dtype in [torch.float64, torch.float32]:
        (beta,) = soften(torch.relu, 0.3, "layer", points((3,), dtype=dtype)).betas
        assert beta.dtype == dtype and abs(beta.item() - 0.3) < 2 * torch.finfo(dtype).eps


def test_derivatives_of_a_softened_network():
    model, x = mm.mlp([2, 3, 2], np.random.default_rng(0)), points((2,)).requires_grad_()
    softened = soften(model, 0.4, "unit", x)
    names, values = zip(*softened.named_parameters(), strict=True)
    of = lambda x, *values: functional_call(softened, dict(zip(names, values, strict=True)), (x,))  # noqa: E731
    inputs = (x, *(value.detach().clone().requires_grad_() for value in values))
    assert gradcheck(of, inputs) and gradgradcheck(of, inputs)


# ---------------------------------------------------------------- templates of soft networks


@pytest.mark.parametrize("beta", [0.0, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("how", ["softened", "BetaVQ", "learned"])
def test_templates_are_products_with_the_posterior_in_the_place_of_the_code(beta, how):
    """A = W2 diag(sigmoid(eta u)) W1 and b = W2 diag(sigmoid(eta u)) b1 + b2: the gates times the layers."""
    if how == "learned" and beta == 0:
        return
    model, x = mm.mlp([3, 5, 2], np.random.default_rng(0)), points((3,))
    softened = {
        "softened": lambda: soften(model, beta),
        "BetaVQ": lambda: nn.Sequential(model[0], BetaVQ("relu", beta), model[2]),
        "learned": lambda: soften(model, beta, "unit", x),
    }[how]()
    A, b = mm.affine_map(softened, x)
    (W1, b1), (W2, b2) = ((layer.weight, layer.bias) for layer in (model[0], model[2]))
    gates = 1 / (1 + torch.exp(-eta_of(beta) * linear(model[0], x)))
    close(A, torch.einsum("ck,nk,kd->ncd", W2, gates, W1).detach())
    close(b, ((gates * b1) @ W2.mT + b2).detach())
    terms = mm.bias_terms(softened, x)
    assert [*terms] == ["1:linear", "2:linear"]
    close(terms["1:linear"], ((gates * b1) @ W2.mT).detach())
    if beta > 0:
        derivative = torch.func.vmap(torch.func.jacrev(lambda point: softened(point[None])[0]))
        assert not torch.allclose(A, derivative(x)), "the gates bend with x: A is not the derivative"


def test_templates_of_soft_pooling_absolute_value_and_leaky_relu():
    x, eta = points((1, 4)), eta_of(0.7)
    A, b = mm.affine_map(soften(nn.MaxPool1d(2), 0.7), x)
    weights = torch.softmax(eta * x.reshape(-1, 2, 2), -1)
    expected = torch.zeros(len(x), 2, 4).to(x)
    expected[:, 0, :2], expected[:, 1, 2:] = weights[:, 0], weights[:, 1]
    close(A.reshape(-1, 2, 4), expected)
    assert not b.any()
    u = x[:, 0]
    for kind, low, options in [("abs", -1, {}), ("leaky_relu", 0.2, dict(negative_slope=0.2))]:
        A, b = mm.affine_map(BetaVQ(kind, 0.7, **options), u)
        gate = torch.sigmoid(eta * (1 - low) * u)
        close(A.diagonal(dim1=1, dim2=2), low * (1 - gate) + gate)
        assert not b.any()
    A, b = mm.affine_map(BetaVQ("clamp", 0.7, min=0.5), u)  # the held constant piece adds its share to b
    gate = torch.sigmoid(eta * (u - 0.5))
    close(A.diagonal(dim1=1, dim2=2), gate)
    close(b, 0.5 * (1 - gate))


# ---------------------------------------------------------------- refused


def soft_networks():
    model = mm.mlp([2, 3, 2], np.random.default_rng(0))
    return {
        "softened": soften(model, 0.5),
        "softened, hard": soften(model, 1),
        "learned": soften(model, 0.5, "unit", points((2,))),
        "BetaVQ": nn.Sequential(model[0], BetaVQ("relu"), model[2]),
        "maxout": nn.Sequential(model[0], nn.Unflatten(1, (1, 3)), BetaVQ("amax", dim=-1)),
        "pooling": soften(nn.Sequential(model[0], nn.Unflatten(1, (1, 3)), nn.MaxPool1d(2), nn.Flatten())),
    }


@pytest.mark.parametrize("name", soft_networks())
@pytest.mark.parametrize(
    "function",
    [mm.region_codes, mm.local_lipschitz, lambda m, x: mm.partition(m), lambda m, x: mm.polytope(m, x[:1]),
     lambda m, x: mm.lipschitz_bound(nn.Sequential(m), x), lambda m, x: soften(m, 0.7)(x),
     lambda m, x: soften(m, 0.7, "layer", x)],
)  # fmt: skip
def test_what_needs_regions_or_hard_units_refuses_soft_ones(name, function):
    model = soft_networks()[name]
    with refuses("bends everywhere, so it has no code and no other soft form"):
        function(model, points((2,)))
    assert model(points((2,))).isfinite().all(), "and the network goes on"


@pytest.mark.parametrize(
    "function, words",
    [
        (torch.sigmoid, "sigmoid .* is not known to be affine or continuous and piecewise affine"),
        (nn.GELU(), "gelu .* is not known to be affine"),
        (lambda x: x * x.relu(), "mul .* multiplies two tensors that both depend on the input"),
        (nn.Hardtanh(), "hardtanh .* before it: 0. is not a maximum of affine pieces"),
        (nn.ReLU6(), "hardtanh .* before it: 0. is not a maximum of affine pieces"),
        (
            lambda x: x.relu().clamp(max=1),
            "clamp .* before it: 1. is not a maximum of affine pieces",
        ),
        (lambda x: x.amax(), "amax .* takes the largest of all points together"),
        (lambda x: x.clamp(min=x[:, :1]), "clamp .* bends the input at places that depend on the input"),
        (
            lambda x: (x + 1).clamp_(min=x[:, :1]),
            "clamp .* bends the input at places that depend on the input",
        ),
    ],
)
def test_functions_without_a_soft_form(function, words):
    with refuses(words):
        soften(function)(points((3,)))
    with refuses(words):
        soften(function, learn="layer", example=points((3,)))


@pytest.mark.parametrize(
    "how, error, message",
    [
        (dict(beta=-0.1), ValueError, r"beta must be a number from 0 \(linear\) to 1 \(hard\), got -0.1"),
        (dict(learn="layer"), ValueError, "example must be given with learn and only then"),
        (dict(example=points((2,))), ValueError, "example must be given with learn and only then"),
        (
            dict(learn="all", example=points((2,))),
            ValueError,
            "learn must be None, 'layer' or 'unit', got 'all'",
        ),
        (dict(beta=1, learn="layer", example=points((2,))), ValueError, "beta must lie between 0 and 1"),
        (
            dict(learn="layer", example=[[1.0]]),
            TypeError,
            "x must be a torch tensor, one point a row, got list",
        ),
        (dict(learn="layer", example=points((2,)) * np.nan), ValueError, "x must be finite"),
        (dict(learn="layer", example=points((2,))[:0]), ValueError, "x must have shape .* which is empty"),
    ],
)
def test_bad_softening(how, error, message):
    with pytest.raises(error, match=message):
        soften(torch.relu, **how)
