"""What is hidden from the tracer, and points that depend on each other, are caught by a comparison."""

import pytest
import torch
from helpers import DEVICE, at, refuses, scripted
from zoo import points

import mad_max_lib as mm

W4 = torch.randn(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(DEVICE)


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
    with refuses("not affine"):
        mm.bias_terms(lambda x: x + slip * scripted(x), x)
    with refuses("not affine"):
        mm.polytope(lambda x: x + slip * scripted(x), x[:1])


def hidden(x):
    """Of a first layer, so that each network has units."""
    return torch.relu(x @ W4 + 0.3)


MIXING = {
    "mean": lambda x: hidden(x - x.mean(0)),
    "mean behind": lambda x: hidden(x) - hidden(x).mean(0),
    "flip": lambda x: hidden(x.flip(0)),
    "sum so far": lambda x: hidden(x).cumsum(0),
    "sum from here": lambda x: hidden(x).flip(0).cumsum(0).flip(0),
    "the first point": lambda x: hidden(x) + x[:1],
    "the last point": lambda x: hidden(x + x[-1:]),
    "roll": lambda x: hidden(x).roll(1, 0),
    "number of points": lambda x: hidden(x) * len(x),
    "number of points in a branch": lambda x: hidden(x) if len(x) == 2 else x,
}
USES = [mm.affine_map, mm.bias_terms, mm.region_codes, mm.lipschitz_bound, lambda f, x: mm.polytope(f, x[:1])]
NAMES = ["affine_map", "bias_terms", "region_codes", "lipschitz_bound", "polytope"]
each_use = pytest.mark.parametrize("use", USES, ids=NAMES)


@pytest.mark.parametrize("what", MIXING)
@pytest.mark.parametrize("N", [1, 3])
@each_use
def test_points_that_depend_on_each_other(use, N, what):
    if use == mm.affine_map and N == 1 and what in ("sum from here", "the last point"):
        return  # a single point has this map, alone and behind others
    with refuses("differs from the model's own output by .*, or one point's output depends on another point"):
        use(MIXING[what], points((4,), N))


def test_other_functions_for_another_number_of_points():
    model = lambda x: hidden(x).relu() if len(x) == 2 else hidden(x)  # noqa: E731
    with refuses("model calls 1:relu for 3 points and 1:relu, 2:relu for 2"):
        mm.region_codes(model, points((4,)))


ADJACENT = at([[0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])


def single_graph(x):
    """Of one graph: its nodes take the first axis on the way."""
    nodes = x[0].reshape(3, 2)
    return (ADJACENT @ torch.relu(ADJACENT @ nodes @ W4[:2] + 0.1) @ W4).reshape(1, -1)


def several_graphs(x):
    return torch.cat([single_graph(graph[None]) for graph in x])


def test_a_network_of_a_single_graph_is_taken():
    x = points((6,), 1)
    (A, b), expected = mm.affine_map(single_graph, x), mm.affine_map(several_graphs, x)
    torch.testing.assert_close(A, expected.A)
    torch.testing.assert_close(b, expected.b)
    torch.testing.assert_close(sum(mm.bias_terms(single_graph, x).values()), b)
    (codes,) = mm.region_codes(single_graph, x)
    assert torch.equal(codes[0].reshape(3, 4), (ADJACENT @ x.reshape(3, 2) @ W4[:2] + 0.1 > 0).byte())
    region = mm.polytope(single_graph, x)
    others = x + points((6,), 200, seed=1)
    same = [torch.equal(mm.region_codes(single_graph, other[None])[0], codes) for other in others]
    assert region.contains(others.cpu()).tolist() == same and 0 < sum(same) < 200


def test_a_network_of_a_single_graph_gets_one():
    for use in USES[:3]:
        with refuses("an output for each point, on the first axis; got shape .1, 12. for . points"):
            use(single_graph, points((6,), 2))


def test_what_cannot_be_seen_is_caught_when_the_first_point_is_zero():
    with refuses():
        mm.region_codes(lambda x: x + scripted(x), at([[0, 0], [1, -1], [-2, 1]]))
