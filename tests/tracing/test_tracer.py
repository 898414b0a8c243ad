"""What the tracer meets and in which order, and runs with the pieces held."""

import pytest
import torch
from helpers import at, refuses
from zoo import ZOO, build, nonlinear_calls, points

import mad_max_lib as mm
from mad_max_lib.tracing.tracer import record, replay, run


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
