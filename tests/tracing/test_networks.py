"""What a network may be, what it may do and return; what is said of others."""

import pytest
import torch
from helpers import DEVICE, refuses, scripted
from torch import nn
from zoo import points

import mad_max_lib as mm

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
