"""Each kind of unit against its pieces in NumPy: which it records, and what it gives when held."""

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import at
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn
from zoo import build, points

import mad_max_lib as mm
from mad_max_lib.tracing.tracer import record, replay

few = settings(max_examples=30, deadline=None)
WHOLE = st.integers(-2, 2).map(float)  # ties are common


def recorded(function, x):
    """The pieces and codes of the only nonlinear call, the output, and that of a run with the pieces held."""
    trace = record(function, x)
    again = replay(function, x, trace.pieces)
    (codes,) = mm.region_codes(function, x)
    return trace.pieces, codes.cpu().numpy(), trace.output.cpu().numpy(), again.cpu().numpy()


# ---------------------------------------------------------------- units with kinks

W3 = at([-0.5, 0.25, 2.0])
KINKED = {  # name: (function, (slope, offset) of each piece from low to high)
    "relu": (torch.relu, [(0, 0), (1, 0)]),
    "relu in place": (lambda x: F.relu_(x.clone()), [(0, 0), (1, 0)]),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.25), [(0.25, 0), (1, 0)]),
    "leaky_relu by default": (nn.LeakyReLU(), [(0.01, 0), (1, 0)]),
    "leaky_relu downwards": (lambda x: F.leaky_relu(x, -0.5), [(-0.5, 0), (1, 0)]),
    "prelu": (lambda x: F.prelu(x, W3[2:]), [(2, 0), (1, 0)]),
    "abs": (torch.abs, [(-1, 0), (1, 0)]),
    "abs in place": (lambda x: x.clone().abs_(), [(-1, 0), (1, 0)]),
    "hardtanh": (F.hardtanh, [(0, -1), (1, 0), (0, 1)]),
    "hardtanh between others": (lambda x: F.hardtanh(x, 0, 2), [(0, 0), (1, 0), (0, 2)]),
    "relu6": (lambda x: F.relu6(3 * x) / 3, [(0, 0), (1, 0), (0, 2)]),
    "clamp": (lambda x: x.clamp(-2, 1), [(0, -2), (1, 0), (0, 1)]),
    "clamp from below": (lambda x: x.clamp(1), [(0, 1), (1, 0)]),
    "clamp_min": (lambda x: x.clamp_min(-1), [(0, -1), (1, 0)]),
    "clamp from above": (lambda x: x.clamp(max=1), [(1, 0), (0, 1)]),
    "clamp_max": (lambda x: torch.clamp_max(x, -1), [(1, 0), (0, -1)]),
    "clip": (lambda x: torch.clip(x, 0, 1), [(0, 0), (1, 0), (0, 1)]),
}


@pytest.mark.parametrize("name", KINKED)
@few
@given(x=arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 5)), elements=WHOLE))
def test_a_kinked_unit_records_the_lowest_of_the_pieces_that_tie(name, x):
    function, pieces = KINKED[name]
    _, codes, output, again = recorded(function, at(x))
    np.testing.assert_array_equal(output, function(at(x)).cpu())
    np.testing.assert_array_equal(again, output)
    lines = np.stack([slope * x + offset for slope, offset in pieces])
    tied = np.isclose(lines, output, rtol=0, atol=1e-15)
    assert codes.dtype == np.uint8
    np.testing.assert_array_equal(codes, tied.argmax(0))


@few
@given(
    x=arrays(np.float64, (2, 3, 4), elements=WHOLE),
    weight=arrays(np.float64, 3, elements=st.sampled_from([-1.0, 0.0, 3.0])),
)
def test_prelu_has_one_slope_for_each_channel(x, weight):
    function = lambda x: F.prelu(x, at(weight))  # noqa: E731
    pieces, codes, output, again = recorded(function, at(x))
    expected = np.where(x > 0, x, weight[:, None] * x)
    np.testing.assert_array_equal(output, expected)
    np.testing.assert_array_equal(again, expected)
    np.testing.assert_array_equal(codes, (x > 0).reshape(2, 12))
    np.testing.assert_array_equal(
        replay(function, at(np.ones_like(x)), pieces).cpu(), np.where(x > 0, 1, weight[:, None] + 0 * x)
    )


@few
@given(x=arrays(np.float64, (3, 4), elements=WHOLE), low=arrays(np.float64, 4, elements=WHOLE))
def test_bounds_may_be_tensors(x, low):
    _, codes, output, again = recorded(lambda x: x.clamp(at(low), at(low) + 1), at(x))
    np.testing.assert_array_equal(codes, (x > low).astype(int) + (x > low + 1))
    np.testing.assert_array_equal(output, np.clip(x, low, low + 1))
    np.testing.assert_array_equal(again, output)


@pytest.mark.parametrize("name", KINKED)
@few
@given(
    x=arrays(np.float64, (2, 3), elements=WHOLE),
    y=arrays(np.float64, (2, 3), elements=st.floats(-9, 9, width=16)),
)
def test_a_held_unit_follows_the_line_of_its_piece(name, x, y):
    function, lines = KINKED[name]
    pieces, codes, _, _ = recorded(function, at(x))
    slopes, offsets = np.array(lines, dtype=float)[codes].transpose(2, 0, 1)
    np.testing.assert_allclose(
        replay(function, at(y), pieces).cpu(), slopes * y + offsets, rtol=0, atol=1e-14
    )


# ---------------------------------------------------------------- the largest of several

LARGEST = {  # name: (function, its candidates (N, units, R) in NumPy)
    "amax": (lambda x: x.amax(1), lambda x: x.transpose(0, 2, 3, 1)),
    "amax of the last": (lambda x: torch.amax(x, -1), lambda x: x),
    "amax kept": (lambda x: x.amax(2, keepdim=True), lambda x: x.transpose(0, 1, 3, 2)),
    "amax of two": (lambda x: x.amax((1, 3)), lambda x: x.transpose(0, 2, 1, 3)),
    "amax of two kept": (lambda x: x.amax(dim=(-2, -1), keepdim=True), lambda x: x),
    "max": (lambda x: x.max(1)[0], lambda x: x.transpose(0, 2, 3, 1)),
    "max with words": (lambda x: torch.max(x, dim=3, keepdim=True).values, lambda x: x),
    "maximum": (lambda x: torch.maximum(x[:, 0], x[:, 1]), lambda x: x[:, :2].transpose(0, 2, 3, 1)),
    "max of two": (lambda x: x[:, 1].max(x[:, 0]), lambda x: x[:, 1::-1].transpose(0, 2, 3, 1)),
    "maximum, constant first": (lambda x: torch.maximum(at(1.0), x), lambda x: np.stack([0 * x + 1, x], -1)),
    "maximum, constant last": (lambda x: x.maximum(-at(1.0)), lambda x: np.stack([x, 0 * x - 1], -1)),
}


@pytest.mark.parametrize("name", LARGEST)
@few
@given(x=arrays(np.float64, (2, 2, 3, 2), elements=WHOLE))
def test_the_first_of_the_largest_is_recorded(name, x):
    function, candidates = LARGEST[name]
    pieces, codes, output, again = recorded(function, at(x))
    expected = function(at(x)).cpu().numpy()
    assert output.shape == expected.shape
    np.testing.assert_array_equal(output, expected)
    np.testing.assert_array_equal(again, expected)
    scores = candidates(x).reshape(2, codes.shape[1], -1)
    np.testing.assert_array_equal(codes, scores.argmax(-1))
    np.testing.assert_array_equal(scores.max(-1), expected.reshape(2, -1))
    other = np.random.default_rng(0).normal(size=x.shape)  # held elsewhere: the same candidates
    held = replay(function, at(other), pieces).cpu().numpy().reshape(2, -1)
    scores = candidates(other).reshape(2, codes.shape[1], -1)
    np.testing.assert_array_equal(held, np.take_along_axis(scores, codes[..., None].astype(int), -1)[..., 0])


# ---------------------------------------------------------------- pools


def windows_of(size, kernel, stride, padding, dilation, count):
    """For each of the windows along one axis, the places it sees, None where it hangs over the edge."""
    seen = [[w * stride - padding + k * dilation for k in range(kernel)] for w in range(count)]
    return [[place if 0 <= place < size else None for place in places] for places in seen]


def adaptive_windows_of(size, count):
    seen = [range(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
    widest = max(map(len, seen))
    return [[*places, *[None] * (widest - len(places))] for places in seen]


def pooled(x, axes):
    """Largest entry and its lowest number in each window, by a loop; ``axes``: windows along each axis."""
    counts, kernels = [len(axis) for axis in axes], [len(axis[0]) for axis in axes]
    values, codes = np.full((*x.shape[:2], *counts), -np.inf), np.full((*x.shape[:2], *counts), -1)
    for n, c in np.ndindex(*x.shape[:2]):
        for window in np.ndindex(*counts):
            for number, entry in enumerate(np.ndindex(*kernels)):
                place = tuple(axes[d][window[d]][entry[d]] for d in range(len(axes)))
                if None not in place and x[n, c][place] > values[n, c][window]:
                    values[n, c][window], codes[n, c][window] = x[n, c][place], number
    return values, codes.reshape(len(x), -1)


def geometries(d, rng):
    """Settings of a d-dimensional pool, the same written out for each axis, and sizes that they fit."""
    kernel, dilation = rng.integers(1, 5, d).tolist(), rng.integers(1, 3, d).tolist()
    full = dict(
        kernel_size=kernel,
        stride=kernel if rng.random() < 0.3 else rng.integers(1, 4, d).tolist(),
        padding=[int(rng.integers(0, k // 2 + 1)) for k in kernel],
        dilation=dilation,
    )
    how = {key: value for key, value in full.items() if key != "stride" or value is not kernel}
    if rng.random() < 0.5:  # one number for all axes
        full = {key: value[:1] * d for key, value in full.items()}
        how = {key: value[0] if rng.random() < 0.7 else value[:1] for key, value in how.items()}
    sides = zip(full["kernel_size"], full["padding"], full["dilation"], strict=True)
    least = [
        max(s, s * (k - 1) + 1 - 2 * p) for k, p, s in sides
    ]  # smaller maps may lie between two entries of a window
    return how, full, [n + int(rng.integers(0, 5 - d)) for n in least]


def check_pool(function, x, windows):
    reference = function(at(x)).cpu().numpy()
    pieces, codes, output, again = recorded(function, at(x))
    axes = windows(reference.shape[2:])
    values, numbers = pooled(x, axes)
    np.testing.assert_array_equal(values, reference)
    np.testing.assert_array_equal(output, reference)
    np.testing.assert_array_equal(again, reference)
    np.testing.assert_array_equal(codes, numbers)
    y = np.random.default_rng(0).normal(size=x.shape)  # held elsewhere: the same places
    held = replay(function, at(y), pieces).cpu().numpy().reshape(*x.shape[:2], -1)
    for n, unit in np.ndindex(len(x), codes.shape[1]):
        c, window = divmod(unit, held.shape[2])
        window = np.unravel_index(window, reference.shape[2:])
        entry = np.unravel_index(codes[n, unit], [len(axis[0]) for axis in axes])
        place = tuple(axis[w][e] for axis, w, e in zip(axes, window, entry, strict=True))
        assert held[n, c].reshape(reference.shape[2:])[window] == y[n, c][place]


@pytest.mark.parametrize("d, seeds", [(1, 120), (2, 60), (3, 30)])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_pools_record_the_first_largest_entry_of_each_window(d, seeds, ceil_mode):
    pool = getattr(F, f"max_pool{d}d")
    for seed in range(seeds):
        rng = np.random.default_rng([d, seed])
        how, full, size = geometries(d, rng)
        x = rng.integers(-2, 3, (2, 1 + seed % 2, *size)).astype(float)

        def windows(counts, size=size, full=full):
            return [windows_of(*axis) for axis in zip(size, *full.values(), counts, strict=True)]

        check_pool(partial(pool, **how, ceil_mode=ceil_mode), x, windows)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 3))
def test_adaptive_pools_record_the_first_largest_entry_of_each_window(data, d):
    size = data.draw(st.lists(st.integers(1, 5), min_size=d, max_size=d))
    counts = [data.draw(st.none() | st.integers(1, 5)) for _ in size]
    if data.draw(st.booleans()) and counts[0] is not None:
        wanted, counts = counts[0], [counts[0]] * d
    else:
        wanted = counts if d > 1 else counts[0] or size[0]
    x = data.draw(arrays(np.float64, (2, 1, *size), elements=WHOLE))
    pool = getattr(F, f"adaptive_max_pool{d}d")

    def windows(counts):
        return [adaptive_windows_of(*axis) for axis in zip(size, counts, strict=True)]

    check_pool(lambda x: pool(x, wanted), x, windows)


def test_pool_codes_worked_by_hand():
    x = at([[[1, 3, 3, 0, 2]]])
    # windows of three, two apart, one hanging over each side: (-, 1, 3) (3, 3, 0) (0, 2, -)
    assert mm.region_codes(nn.MaxPool1d(3, 2, padding=1), x)[0].tolist() == [[2, 0, 1]]
    image = at([[[[0, 0, 1], [0, 2, 1], [0, 0, 0]]]])
    # windows of two by two, one apart: the 2 in place (1, 1) is entry 3, 2, 1 and 0 of its four windows
    assert mm.region_codes(nn.MaxPool2d(2, 1), image)[0].tolist() == [[3, 2, 1, 0]]


@pytest.mark.parametrize("name", ["max pool 1d", "max pool 2d", "max pool 3d", "adaptive max pools"])
def test_pools_without_a_batch_axis_take_the_first_axis_for_the_points(name):
    pool = next(m for m in build(name)[0].modules() if "MaxPool" in type(m).__name__)
    d = int(type(pool).__name__[-2])
    x = points((6,) * d)
    (codes,) = mm.region_codes(pool, x)
    assert torch.equal(codes, mm.region_codes(pool, x[:, None])[0])
