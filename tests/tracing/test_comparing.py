"""What is hidden from the tracer, and points that depend on each other, are caught by a comparison."""

import pytest
import torch
from helpers import DEVICE, at, refuses, scripted
from zoo import points

import mad_max_lib as mm

W4 = torch.randn(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(DEVICE)
X = points((4,))


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
