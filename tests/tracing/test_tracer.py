"""What the tracer meets and in which order, runs with the pieces held, and what it cannot see."""

import warnings

import pytest
import torch
from helpers import DEVICE, at, refuses
from torch import nn
from zoo import ZOO, build, nonlinear_calls, points

import mad_max_lib as mm
from mad_max_lib.tracing.tracer import record, replay, run

W4 = torch.randn(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(DEVICE)
X = points((4,))
USES = [mm.region_codes, mm.affine_map, mm.bias_terms, mm.local_lipschitz]


# ---------------------------------------------------------------- the mode


@pytest.mark.parametrize("name", ZOO)
def test_calls_are_met_in_order(name):
    model, shape = build(name)
    x, calls = points(shape), []

    def meet(unit, call):
        calls.append((call.index, f"{call.index + 1}:{call.name}"))
        return unit.choose()[0]

    trace = run(model, x, meet)
    assert torch.allclose(trace.output, model(x.clone()), rtol=1e-13, atol=1e-13)
    assert trace.names == nonlinear_calls(name) and calls == list(enumerate(trace.names))
    assert len(record(model, x).pieces) == len(trace.names)


@pytest.mark.parametrize("name", ZOO)
def test_the_held_network_is_affine(name):
    model, shape = build(name)
    x, y, z = (points(shape, seed=seed) for seed in range(3))
    pieces = record(model, x).pieces
    before = [piece.clone() for piece in pieces]
    both = replay(model, 0.25 * y + 0.75 * z, pieces)
    parts = 0.25 * replay(model, y, pieces) + 0.75 * replay(model, z, pieces)
    torch.testing.assert_close(both, parts, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(replay(model, x, pieces), model(x.clone()), rtol=1e-11, atol=1e-11)
    assert all(map(torch.equal, pieces, before))


def test_the_callback_decides_what_a_call_returns():
    trace = run(lambda x: torch.relu(x) + 1, at([[-1, 2]]), lambda unit, call: -unit.choose()[0])
    assert trace.output.tolist() == [[1, -1]] and trace.names == ["1:relu"]
    assert torch.relu(at([1.0])).item() == 1  # only during the run


def test_the_callbacks_of_affine_calls_and_of_what_was_computed_before():
    seen = []
    doubled = run(lambda x: 2 * x, at([[3.0]]), None, pass_on=lambda call: 5 * call.result())
    shifted = run(lambda x: 2 * x, at([[3.0]]), None, see=lambda tensor: seen.append(1) or tensor + 1)
    assert doubled.output.item() == 30 and shifted.output.item() == 8 and seen == [1]


def test_what_one_run_has_marked_is_a_constant_for_another():
    gate = record(torch.relu, at([[-1, 2]])).output
    assert mm.affine_map(lambda x: x * gate, at([[3, 4]])).A[0].tolist() == [[0, 0], [0, 2]]


def test_torch_is_as_it_was_after_a_refusal():
    with refuses():
        record(torch.sin, at([[1.0]]))
    assert record(torch.relu, at([[1.0]])).names == ["1:relu"]
    assert torch.sin(at([0.0])).item() == 0


# ---------------------------------------------------------------- what hides its functions


class Holder(nn.Module):
    def __init__(self, part):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 4), nn.ModuleList([part])[0])

    def forward(self, x):
        return self.inner(x)


def unseen_relu(x: torch.Tensor):
    return torch.relu(x)


with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    scripted = torch.jit.script(unseen_relu)


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


UNSEEN = {
    "scripted relu": lambda x: x + scripted(x + 1),
    "scripted relu first": lambda x: x @ W4 - scripted(x @ W4 - 0.1),
    "mapped": lambda x: x + torch.func.vmap(lambda row: torch.relu(row + 1))(x),
    "new tensor": lambda x: x + scripted(x + 1).detach(),
}


@pytest.mark.parametrize("what", UNSEEN)
def test_what_cannot_be_seen_is_caught_by_the_comparison(what):
    x = at([[-3.0, 2, 0.5, -2], [-2, -3, 1, 1]])
    with refuses("A x . b differs from .* own output .*could not be"):
        mm.affine_map(UNSEEN[what], x)
    with refuses("the network is not affine.*could not be seen"):
        mm.region_codes(UNSEEN[what], x)


@pytest.mark.parametrize("dtype, slip", [(torch.float64, 1e-9), (torch.float32, 1e-2)])
def test_the_comparison_catches_small_differences(dtype, slip):
    """A detour that autograd sees, and whose value at zero is right, but not its value elsewhere."""
    x = torch.tensor([[1.0, -2.0], [3.0, 4.0]], dtype=dtype, device=DEVICE)
    with refuses("differs from the model's own output"):
        mm.affine_map(lambda x: x + slip * scripted(x - 2.5), x)
    with refuses("not affine"):
        mm.region_codes(lambda x: x + slip * scripted(x), x)


def test_points_that_depend_on_each_other():
    mean, flip = lambda x: x - x.mean(0), lambda x: torch.relu(x.flip(0))  # noqa: E731
    for model in [mean, flip, lambda x: x.cumsum(0), lambda x: x + x[:1]]:
        with refuses("one point's output depends on another point"):
            mm.affine_map(model, X)


def test_what_cannot_be_seen_is_caught_when_the_first_point_is_zero():
    with refuses():
        mm.region_codes(lambda x: x + scripted(x), at([[0, 0], [1, -1], [-2, 1]]))
