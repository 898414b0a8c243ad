"""Soft units alone: weights and outputs against softmax in NumPy, absent pieces, and what is held."""

import numpy as np
import pytest
import torch
from helpers import at, refuses, rng
from scipy.special import expit, softmax

from mad_max_lib.tracing.blends import Blend, blend
from mad_max_lib.tracing.tracer import record, run

SCORES = rng(0).normal(size=(4, 3, 5))
HARD = float("inf")


@pytest.mark.parametrize("eta", [0.0, 0.5, 3.0])
def test_weights_are_those_of_a_softmax(eta):
    weights = softmax(eta * SCORES, -1)
    unit = Blend(at(SCORES), eta)
    np.testing.assert_allclose(unit.weights().cpu(), weights, rtol=1e-12)
    np.testing.assert_allclose(blend(at(SCORES), eta).cpu(), (weights * SCORES).sum(-1), rtol=1e-12)
    first, second = SCORES[..., 0], SCORES[..., 1]
    gate = expit(eta * (second - first))
    pair = Blend((at(first), at(second)), eta)
    np.testing.assert_allclose(pair.weights().cpu(), gate, rtol=1e-12)
    np.testing.assert_allclose(
        pair.held(pair.weights()).cpu(), (1 - gate) * first + gate * second, rtol=1e-12
    )
    relu = blend((0, at(second)), eta)
    np.testing.assert_allclose(relu.cpu(), expit(eta * second) * second, rtol=1e-12)


def test_a_hard_unit_gives_ties_to_the_lowest_piece():
    scores = at([[1, 3, 3], [2, 2, 2]])
    assert Blend(scores, HARD).weights().tolist() == [[0, 1, 0], [1, 0, 0]]
    assert blend(scores, HARD).tolist() == [3, 2]
    assert Blend((at([1, 1]), at([1, 2])), HARD).weights().tolist() == [0, 1]
    assert Blend((0, at([0, -1])), HARD).weights().tolist() == [0, 0]


@pytest.mark.parametrize("eta", [0.0, 1.0, HARD])
def test_absent_pieces_and_pieces_of_minus_infinity_have_no_weight(eta):
    absent = np.arange(5) >= 3
    present = SCORES[..., :3]
    expected = (softmax(eta * present, -1) * present).sum(-1) if eta < HARD else present.max(-1)
    there = at(np.where(absent, -np.inf, SCORES)).requires_grad_()
    for output in (blend(at(SCORES), eta, torch.from_numpy(absent).to(there.device)), blend(there, eta)):
        np.testing.assert_allclose(output.detach().cpu(), expected, rtol=1e-12)
    (gradient,) = torch.autograd.grad(blend(there, eta).sum(), there)
    assert gradient.isfinite().all() and (gradient[..., 3:] == 0).all()


def test_differences_that_are_too_large_for_their_type():
    top = 0.9 * torch.finfo(torch.float32).max
    scores = torch.tensor([[-top, top]])
    assert blend(scores, 1.0).item() == blend(tuple(scores.T), 1.0).item() == scores[0, 1].item()


def test_the_held_output_is_affine_and_its_derivative_takes_the_weights_as_constants():
    scores = at(SCORES).requires_grad_()
    unit = Blend(scores, 2.0)
    output, weights = unit.choose()
    (gradient,) = torch.autograd.grad(output.sum(), scores)
    assert torch.equal(gradient, weights) and not weights.requires_grad
    torch.testing.assert_close(Blend(2 * scores, 2.0).held(weights), 2 * output)


def test_a_tracer_meets_one_unit_which_has_no_code():
    model = lambda x: blend((0, x), 1.0) + blend(torch.stack([x, -x], -1), 2.0)  # noqa: E731
    assert record(model, at([[1.0, -2]])).names == ["1:blend", "2:blend"]
    for ask in (Blend.codes, Blend.margins, Blend.scores, Blend.steepest):
        with refuses("blend .* bends everywhere, so it has no code and no other soft form"):
            run(model, at([[1.0, -2]]), lambda unit, call: ask(unit))  # noqa: B023
