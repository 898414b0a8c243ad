"""What a network may be, what it may do and return; what is said of others."""

import copy
from collections import OrderedDict, namedtuple
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import DEVICE, at, mlp, refuses, scripted
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.utils.checkpoint import checkpoint
from zoo import points

import mad_max_lib as mm

pytestmark = pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")  # of a checkpoint
X = points((4,))
USES = [mm.region_codes, mm.affine_map, mm.bias_terms, mm.local_lipschitz]


# ---------------------------------------------------------------- what hides its functions


class Holder(nn.Module):
    def __init__(self, part):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 4), nn.ModuleList([part])[0])

    def forward(self, x):
        return self.inner(x)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("kind", ["scripted", "traced"])
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_compiled_modules_are_refused_wherever_they_are(use, nested, kind):
    plain = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    make = {"scripted": torch.jit.script, "traced": lambda m: torch.jit.trace(m, torch.ones(1, 4))}[kind]
    model = Holder(make(plain)) if nested else make(plain)
    with refuses(r"model is or holds a scripted or traced \w+ and hides its functions; .* the original"):
        use(model.to(DEVICE), X.float())


@pytest.mark.parametrize("use", USES)
def test_a_scripted_function_is_refused(use):
    with refuses("model is or holds a scripted or traced ScriptFunction"):
        use(scripted, X)


Pair = namedtuple("Pair", "out aux")


class ModelOutput(OrderedDict):
    """What libraries of transformers return."""


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    "model, said",
    [
        (lambda x: scripted(x), "what is seen to come from x; .* in a scripted or traced part, in vmap"),
        (lambda x: torch.ones(3, 2), "what is seen to come from x; its output is a constant"),
        (lambda x: (x, x), r"one tensor, got a tuple of 2; write lambda x: model\(x\)\[0\]"),
        (
            lambda x: {"out": x, "aux": x},
            r"one tensor, got a dict with keys 'out', 'aux'; write lambda x: model\(x\)\['out'\]",
        ),
        (
            lambda x: ModelOutput(logits=x, loss=None),
            r"one tensor, got a ModelOutput with keys 'logits', 'loss'; write .*\['logits'\]",
        ),
        (lambda x: Pair(x, x), r"one tensor, got a Pair of 2; write lambda x: model\(x\)\[0\]"),
        (lambda x: [], "one tensor, got a list of 0"),
        (lambda x: None, "one tensor, got NoneType"),
        (lambda x: x.shape[0], "one tensor, got int"),
        (nn.RNN(4, 4, nonlinearity="relu").double().to(DEVICE), "one tensor, got a tuple of 2"),
        (nn.MaxPool1d(2, return_indices=True), "one tensor, got a (max|tuple) of 2"),
        (lambda x: x.sum(), r"an output for each point, on the first axis; got shape \(\)"),
        (lambda x: x.T, r"an output for each point, on the first axis; got shape \(4, 2\) for 2 points"),
    ],
)
def test_the_output_must_be_one_tensor_that_is_seen_to_come_from_x(use, model, said):
    with refuses(f"model must (return|have) {said}"):
        use(model, X)


# ---------------------------------------------------------------- how all functions are asked


def network(seed=0):
    return mlp(4, 8, 3, seed=seed)


class Wrapped(nn.Module):
    """A function of a network and of the points, as one module."""

    def __init__(self, function, inner=None):
        super().__init__()
        self.function, self.inner = function, inner or network()

    def forward(self, x):
        return self.function(self.inner, x)


def agrees(model, like, x=X, soft=True):
    """Every function says of a network what it says of another one, which is written plainly."""
    before, tolerance = x.clone(), 1e-12 if x.dtype == torch.float64 else 1e-5
    close = partial(torch.testing.assert_close, rtol=tolerance, atol=tolerance)
    (A, b), plain = mm.affine_map(model, x), mm.affine_map(like, x)
    close(A, plain.A)
    close(b, plain.b)
    close(sum(mm.bias_terms(model, x).values(), torch.zeros_like(b)), b)
    assert torch.equal(mm.region_codes(model, x).all(), mm.region_codes(like, x).all())
    slopes = mm.local_lipschitz(model, x)
    close(slopes, mm.local_lipschitz(like, x))
    assert slopes.max() <= mm.lipschitz_bound(model, x) * (1 + tolerance)
    region, plain = mm.polytope(model, x[:1]), mm.polytope(like, x[:1])
    np.testing.assert_allclose(np.c_[region.G, region.h], np.c_[plain.G, plain.h], atol=1e-5)
    if soft:
        close(mm.soften(model, 0.3)(x), mm.soften(like, 0.3)(x))
        close(mm.soften(model, 0.3, "unit", x)(x), mm.soften(like, 0.3)(x))
    assert torch.equal(x, before), "the caller's points stay as they are"


def all_refuse(model, words, x=X, error=mm.NotPiecewiseAffineError, soft=True):
    """In one sentence, which has these words."""
    for use in [*USES, mm.lipschitz_bound, lambda m, x: mm.polytope(m, x[:1])]:
        with pytest.raises(error, match=words):
            use(model, x)
    if soft:
        with pytest.raises(error, match=words):
            mm.soften(model, 0.5, "layer", x)


# ---------------------------------------------------------------- modes of torch


def within(switch):
    def function(net, x):
        with switch():
            return net(x)

    return function


def frozen_within(switch):
    def function(net, x):
        with switch():
            h = net[1](net[0](x))
        return net[2](h)

    return function


@pytest.mark.parametrize("switch", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("part", [within, frozen_within])
def test_networks_that_switch_derivatives_off(part, switch):
    model = Wrapped(part(switch))
    agrees(model, network())
    mm.partition(model, mm.Plane(*X), (-1, 1, -1, 1)).check()


def test_constants_that_are_made_and_written_into_in_inference_mode():
    @torch.inference_mode()
    def model(x):
        rows = x.new_zeros(len(x), 3)
        rows += x[:, 1:]
        rows *= 2
        return torch.relu(rows)

    agrees(model, lambda x: torch.relu(2 * x[:, 1:]))


def test_networks_and_points_that_were_made_in_inference_mode():
    with torch.inference_mode():
        model, x = network(), X.clone()
    agrees(model, network(), x)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.autograd.detect_anomaly])
@pytest.mark.filterwarnings("ignore:Anomaly")
def test_modes_of_the_caller(mode):
    with mode():
        agrees(network(), network())
        mm.partition(network(), mm.Plane(*X), (-1, 1, -1, 1)).check()


def test_the_caller_s_precision_is_set_aside_and_restored(monkeypatch):
    seen = []

    def looking(net, x):
        seen.append((torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32))
        return net(x)

    model, x = Wrapped(looking).float(), X.float()
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    torch.set_float32_matmul_precision("medium")
    try:
        for use in [*USES, mm.lipschitz_bound, lambda m, x: mm.polytope(m, x[:1])]:
            use(model, x)
        with refuses():
            mm.affine_map(torch.sin, x)
        assert torch.get_float32_matmul_precision() == "medium" and torch.backends.cudnn.allow_tf32
    finally:
        torch.set_float32_matmul_precision("highest")
    assert set(seen) == {("highest", False)}


def test_what_is_compiled_runs_as_it_is_written():
    def compiler(graph, inputs):
        raise AssertionError("nothing is compiled")

    in_place = network()
    in_place.compile(backend=compiler)
    for model in [torch.compile(network(), backend=compiler), in_place]:
        agrees(model, network())
    agrees(torch.compile(lambda x: torch.relu(x) - 1, backend=compiler), lambda x: torch.relu(x) - 1)


# ---------------------------------------------------------------- points and types


def test_points_of_another_type_than_the_network():
    words = r"model cannot take x alone, torch.float64 of shape \(N, 4\), .*its parameters are torch.float32"
    all_refuse(network().float(), words, error=ValueError, soft=False)
    mm.partition(network().float(), mm.Plane(*X), (-1, 1, -1, 1)).check()


@pytest.mark.parametrize("x", [torch.tensor([[1, -2, 0, 3]]), torch.tensor([[True, False, True, True]])])
def test_whole_numbers_and_truth_values_are_points_too(x):
    x = x.to(DEVICE)
    A, b = mm.affine_map(network(), x)
    assert torch.equal(A, mm.affine_map(network(), x.double()).A)
    for use in [*USES[2:], mm.region_codes, mm.lipschitz_bound, mm.polytope]:
        use(network(), x)
    with pytest.raises(TypeError, match=r"x must hold floating-point numbers, got .*; write x.float\(\)"):
        mm.soften(network())(x)


def test_points_without_an_axis_for_them():
    words = r"model cannot take x alone, torch.float64 of shape \(N\), one point a row: mat1 and mat2"
    all_refuse(network(), words, X[0], ValueError, soft=False)


def test_a_network_of_two_inputs():
    class Two(nn.Module):
        def forward(self, x, y):
            return x + y

    all_refuse(Two(), "model cannot take x alone, .* one point a row: .* missing 1 .*: 'y'", error=ValueError)


@pytest.mark.parametrize("what", ["model", "x"])
def test_tensors_without_numbers(what):
    model, x = (network().to("meta"), X) if what == "model" else (network(), X.to("meta"))
    all_refuse(model, "x and model must hold numbers, got meta tensors", x, ValueError)


def test_an_output_whose_first_axis_is_not_that_of_the_points():
    all_refuse(lambda x: torch.relu(x).flatten(), "an output for each point, on the first axis; got shape")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precisions_are_read_in_float32(dtype):
    model, x = network().to(dtype), X.to(dtype)
    wide, points = copy.deepcopy(model).float(), x.float()
    (A, b), (A_wide, b_wide) = mm.affine_map(model, x), mm.affine_map(wide, points)
    assert torch.equal(A, A_wide.to(dtype)) and torch.equal(b, b_wide.to(dtype)) and A.dtype == dtype
    assert torch.equal(mm.region_codes(model, x).all(), mm.region_codes(wide, points).all())
    terms, terms_wide = mm.bias_terms(model, x), mm.bias_terms(wide, points)
    assert terms.keys() == terms_wide.keys()
    assert all(torch.equal(terms[key], terms_wide[key].to(dtype)) for key in terms)
    slopes = mm.local_lipschitz(model, x)
    assert slopes.dtype == dtype
    torch.testing.assert_close(slopes.float(), mm.local_lipschitz(wide, points), rtol=1e-2, atol=0)
    assert mm.lipschitz_bound(model, x) == mm.lipschitz_bound(wide, points)
    assert np.array_equal(mm.polytope(model, x[:1]).G, mm.polytope(wide, points[:1]).G)
    assert model[0].weight.dtype == dtype, "the network stays as it is"


HIDES = {
    "sigmoid": lambda net, x: net(x) + 0.2 * torch.jit.script(sigmoid_of)(x)[:, :3],
    "other points": lambda net, x: net(x - x.mean(0)),
    "noise": lambda net, x: net(x) + 0.01 * torch.randn(len(x), 3).to(x),
}


def sigmoid_of(x: torch.Tensor):
    return torch.sigmoid(x)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("what", HIDES)
def test_what_half_precision_would_hide(what, dtype):
    model, x = Wrapped(HIDES[what]).to(dtype), X.to(dtype)
    for use in [*USES, mm.lipschitz_bound, lambda m, x: mm.polytope(m, x[:1])]:
        with refuses("differs from the model's own output .* could not be seen, or one point's output"):
            use(model, x)


def test_a_function_around_a_network_in_half_precision():
    model = network().half()
    words = r"cannot take x alone, torch.float32 .* half precision inside a function write network.float\(\)"
    for use in USES:
        with pytest.raises(ValueError, match=words):
            use(lambda x: model(x), X.half())


# ---------------------------------------------------------------- what a network may do


def in_place(net, x):
    x += 1
    y = net[0](x)
    y *= 2
    y = torch.relu(y)
    y -= 3
    return net[2](y)


def asserting(net, x):
    assert torch.isfinite(x).all() and not x.isnan().any() and x.is_inference() in (True, False)
    f"mean {x.mean().item():.3f} of {x!r}"
    x.requires_grad_()
    return net(copy.deepcopy(x))


def with_an_unused_head(net, x):
    {"aux": net[0](x)}
    return {"out": net(x)}["out"]


class Identity(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class Reversal(Identity):
    """Its derivative is not that of what it computes."""

    @staticmethod
    def backward(ctx, gradient):
        return -gradient


class OwnReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        assert len(ctx.needs_input_grad) == 1
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * (ctx.saved_tensors[0] > 0)


class NewReLU(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return torch.relu(x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    backward = OwnReLU.backward


DOES = {
    "in place": (in_place, lambda net, x: net[2](torch.relu(2 * net[0](x + 1)) - 3)),
    "asserts, logs, copies": (asserting, lambda net, x: net(x)),
    "unused head": (with_an_unused_head, lambda net, x: net(x)),
    "checkpoint": (lambda net, x: checkpoint(net, x, use_reentrant=False), lambda net, x: net(x)),
    "checkpoint, reentrant": (lambda net, x: checkpoint(net, x, use_reentrant=True), lambda net, x: net(x)),
    "identity": (lambda net, x: net(Identity.apply(x)), lambda net, x: net(x)),
    "gradient reversal": (lambda net, x: net(Reversal.apply(x)), lambda net, x: net(x)),
    "own relu": (lambda net, x: net[2](OwnReLU.apply(net[0](x))), lambda net, x: net(x)),
    "own relu, new style": (lambda net, x: net[2](NewReLU.apply(net[0](x))), lambda net, x: net(x)),
}


@pytest.mark.parametrize("what", DOES)
def test_what_a_network_may_do(what):
    model, plain = (Wrapped(function) for function in DOES[what])
    agrees(model, plain)


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_functions_of_several_pieces_in_a_checkpoint(use_reentrant):
    def several(x):
        return F.relu6(9 * x) + F.hardtanh(x) + x.abs()

    agrees(lambda x: checkpoint(several, x, use_reentrant=use_reentrant), several, soft=False)


@pytest.mark.parametrize(
    "relu",
    [
        torch.relu,
        partial(checkpoint, F.relu, use_reentrant=True),
        partial(checkpoint, F.relu, use_reentrant=False),
        OwnReLU.apply,
        NewReLU.apply,
    ],
)
@pytest.mark.parametrize("learn", [None, "layer"])
def test_the_gradient_of_a_soft_relu_is_soft_too(relu, learn):
    """Of u s at u = 1, where s = sigmoid(u): s + s (1 - s) = 0.9277; the learned beta gets s (1 - s)."""
    u = at([[1.0]]).requires_grad_()
    softened = mm.soften(lambda x: relu(x), 0.5, learn, u if learn else None)
    softened(u).sum().backward()
    assert u.grad.item() == pytest.approx(0.9276705)
    assert [p.grad.item() for p in softened.parameters()] == [pytest.approx(0.1966119)] * bool(learn)


def test_onlookers_may_note_what_passes():
    noted, model = [], network()
    model[0].register_forward_hook(lambda module, inputs, o: noted.append((o.detach(), float(o.mean()))))
    agrees(model, network())
    assert all(mean == pytest.approx(o.mean().item()) for o, mean in noted)


def test_a_view_of_a_convolution_of_several_images():
    convolve, last = nn.Conv2d(2, 3, 2).to(X), nn.Linear(27, 2).to(X)
    images = points((2, 4, 4))
    agrees(
        lambda x: last(torch.relu(convolve(x)).view(len(x), 3, -1).view(-1, 27)),
        lambda x: last(torch.relu(convolve(x)).flatten(1)),
        images,
    )


def keeps(net, x):
    net.last = net[0](x)
    net.all = [{"last": net.last}]
    return net[2](torch.relu(net.last))


def pruned(net, x):
    if not prune.is_pruned(net):
        prune.l1_unstructured(net[0], "weight", 0.5)
    return net(x)


def normed(net, x):
    if not hasattr(net[0], "weight_g"):
        nn.utils.weight_norm(net[0])
    return net(x)


@pytest.mark.parametrize("function", [keeps, pruned, normed])
@pytest.mark.filterwarnings("ignore:.torch.nn.utils.weight_norm:FutureWarning")
def test_networks_that_cannot_be_copied_deeply(function):
    model = Wrapped(function)
    expected = model(X).detach()  # from now on it holds a tensor that is not a leaf
    with pytest.raises(RuntimeError, match="deepcopy"):
        copy.deepcopy(model)
    A, b = mm.affine_map(model, X)
    torch.testing.assert_close((A @ X[..., None])[..., 0] + b, expected)
    for learn in ["layer", "unit"]:
        torch.testing.assert_close(mm.soften(model, 0.5, learn, X)(X), mm.soften(model, 0.5)(X))
    assert mm.polytope(model, X[:1]).contains(X[:1].cpu()) == [True]
    mm.partition(model, mm.Plane(*X), (-1, 1, -1, 1)).check()
    assert mm.affine_map(model.half(), X.half()).A.dtype == torch.float16


# ---------------------------------------------------------------- what a network must not be


@pytest.mark.parametrize("norm", [nn.utils.spectral_norm, parametrizations.spectral_norm])
@pytest.mark.filterwarnings("ignore:.torch.nn.utils.spectral_norm:FutureWarning")
def test_a_spectral_norm_changes_its_weight_in_training(norm):
    model = network()
    norm(model[0])
    model(X)  # its first step
    uses = [*USES, mm.lipschitz_bound, lambda m, x: mm.polytope(m, x[:1])]
    for use in uses:
        with refuses(
            r"model holds a spectral norm that changes its weight at each call; call model.eval\(\)"
        ):
            use(model, X)
    plain = network()
    model.eval()
    model(X)
    plain[0].weight.data = model[0].weight.detach().clone()
    agrees(model, plain)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_quantized_network():
    quantized = torch.ao.quantization.quantize_dynamic(network().float().cpu(), {nn.Linear})
    words = "model is or holds a quantized Linear, which rounds, and hides its functions; pass the original"
    all_refuse(quantized, words, X.float().cpu())
    all_refuse(lambda x: quantized(x), "linear_dynamic .* is not known to be affine", X.float().cpu())
