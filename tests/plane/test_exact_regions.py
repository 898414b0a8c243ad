"""Partitions of degenerate networks against the same partitions in exact fractions."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rational import PLANE, R, evaluate, exact, in_torch, layer, regions

import mad_max_lib as mm

few = settings(max_examples=30, deadline=None)
KINDS = [
    "no biases", "twins", "opposites", "lattice", "frame", "dead", "mixed", "maxout", "residual", "plane",
    "cancelling",
]  # fmt: skip
CHUNKS, SEEDS = 2, 20  # of each kind
FRAMES = [(-1, 1, -1, 1), (-2, 2, -2, 2), (0, 3, -1, 2), (-3, 1, -2, 0)]


def network(kind, seed):
    """A degenerate network, the rectangle, and its inputs as affine functions of (s, t)."""
    rng = np.random.default_rng([KINDS.index(kind), seed])
    bounds, inputs = FRAMES[rng.integers(len(FRAMES))], PLANE
    if kind == "plane":  # columns u, v, origin
        inputs = exact(np.vstack([[[1, 2], [0, 1]], rng.integers(-2, 3, (1, 2))]))
        inputs = np.column_stack([inputs, exact(rng.integers(-2, 3, 3))])
    whole = kind in ("lattice", "frame", "mixed") or kind in ("maxout", "plane") and seed % 2
    top, over = (2, 1) if whole else (16, 8)
    depth = int(rng.integers(2, 4))
    most = {"maxout": 5, "mixed": 6}.get(kind, 8) - (depth == 3)
    dead = rng.integers(2 * depth)  # no layer at all, half of the times
    D, layers = len(inputs), []
    for n, K in enumerate(rng.integers(4, most + 1, depth).tolist()):
        name = {"mixed": str(rng.choice(["leaky", "abs", "hardtanh"])), "maxout": "maxout"}.get(kind, "relu")
        if kind == "residual" and layers:
            name, K = "residual", D
        rows = R * K if name == "maxout" else K
        half = rows // 2
        W, b = rng.integers(-top, top + 1, (rows, D)), rng.integers(-top, top + 1, rows)
        if kind == "no biases":
            b[:] = 0
        if kind in ("twins", "maxout"):  # for maxout: equal pieces, of one unit or of two
            W[-half:], b[-half:] = W[:half], b[:half]
        if kind == "opposites":
            W[-half:], b[-half:] = -W[:half], -b[:half]
        if kind == "dead":
            b[: K if n == dead else K // 3] = -(10**6)
        if kind == "cancelling" and n == 0:  # three open units, the last the sum of the others
            b[:2] += 100
            W[2], b[2] = W[:2].sum(0), b[:2].sum()
        if kind == "cancelling" and n == 1:  # for half of the seeds all units are zero, but not in floats
            W[:, :3] = rng.integers(1, 5, (K, 1)) * [1, 1, -1]
            nothing = slice(K if seed % 2 else half)
            W[nothing, 3:], b[nothing] = 0, 0
        if kind == "frame":  # every kink meets the frame in a lattice point, and many go along a side
            for k in range(K):
                if rng.random() < 0.4:
                    W[k, np.arange(D) != rng.integers(D)] = 0
                point = [rng.integers(bounds[0], bounds[1] + 1), rng.integers(bounds[2], bounds[3] + 1)]
                side = rng.integers(4)
                point[side // 2] = bounds[side]
                b[k] = -int(W[k] @ evaluate(layers, exact(point))[1])
        layers.append(layer(name, W, b, over))
        D = K
    W, b = rng.integers(-top, top + 1, (2, D)), rng.integers(-top, top + 1, 2)
    if kind == "no biases" or kind == "dead" and seed % 2:
        b[:] = 0
    return [*layers, layer("linear", W, b, over)], bounds, inputs


# ---------------------------------------------------------------- the reference


@pytest.mark.parametrize(
    "kind, W, b, areas",
    [
        ("relu", [[2, 0]], [0], {(0,): 2, (1,): 2}),
        ("relu", [[1, 0], [0, 1]], [0, 0], {(0, 0): 1, (0, 1): 1, (1, 0): 1, (1, 1): 1}),
        (
            "relu", [[1, 0], [0, 1], [1, -1]], [0, 0, 0],
            {(0, 0, 0): 0.5, (0, 0, 1): 0.5, (1, 1, 0): 0.5, (1, 1, 1): 0.5, (0, 1, 0): 1, (1, 0, 1): 1},
        ),
        ("relu", [[1, 0], [1, 0], [-1, 0]], [0, 0, 0], {(0, 0, 1): 2, (1, 1, 0): 2}),
        ("relu", [[1, 0], [-1, 0], [0, 0], [1, 1]], [-1, 1, 0, -2], {(0, 1, 0, 0): 4}),
        ("leaky", [[1, 1]], [1], {(0,): 0.5, (1,): 3.5}),
        ("abs", [[1, 0], [0, 0]], [0, 0], {(0, 0): 2, (1, 0): 2}),
        ("hardtanh", [[2, 0]], [0], {(0,): 1, (1,): 2, (2,): 1}),
        ("hardtanh", [[0, 0]] * 3, [-1, 1, 2], {(0, 1, 2): 4}),
        ("maxout", [[0, 0], [1, 0], [0, 1]], [0, 0, 0], {(0,): 1, (1,): 1.5, (2,): 1.5}),
        ("maxout", [[0, 0], [1, 0], [1, 0]], [0, 0, 0], {(0,): 2, (1,): 2}),
        ("residual", [[1, 0], [0, 1]], [0, -1], {(0, 0): 2, (1, 0): 2}),
    ],
)  # fmt: skip
def test_areas_of_one_layer_found_by_hand(kind, W, b, areas):
    found = regions([layer(kind, W, b)], (-1, 1, -1, 1))
    assert {code: region.area for (code,), region in found.items()} == areas


def test_two_layers_by_hand():
    found = regions([layer("abs", [[2, 0]], [0]), layer("abs", [[1]], [-1])], (-1, 1, 0, 1))
    assert {code: region.map.tolist() for code, region in found.items()} == {
        ((0,), (1,)): [[-2, 0, -1]],
        ((0,), (0,)): [[2, 0, 1]],
        ((1,), (0,)): [[-2, 0, 1]],
        ((1,), (1,)): [[2, 0, -1]],
    }
    assert [region.area for region in found.values()] == [Fraction(1, 2)] * 4


@pytest.mark.parametrize("kind", KINDS)
def test_areas_add_up_to_the_rectangle(kind):
    for seed in range(5):
        layers, bounds, inputs = network(kind, seed)
        total = sum(region.area for region in regions(layers, bounds, inputs).values())
        assert total == (bounds[1] - bounds[0]) * (bounds[3] - bounds[2])


@few
@given(st.sampled_from(KINDS), st.integers(0, 50), *[st.fractions(0, 1).filter(lambda r: 0 < r < 1)] * 2)
def test_a_point_has_the_code_and_output_of_its_region(kind, seed, right, up):
    layers, (s_0, s_1, t_0, t_1), inputs = network(kind, seed)
    point = np.array([s_0 + right * (s_1 - s_0), t_0 + up * (t_1 - t_0), Fraction(1)])
    code, output = evaluate(layers, inputs @ point)
    around = []
    for its_code, region in regions(layers, (s_0, s_1, t_0, t_1), inputs).items():
        s, t, _ = (region.polygon - point).T
        if (s * np.roll(t, -1) >= np.roll(s, -1) * t).all():
            around.append(its_code)
            assert (region.map @ point == output).all()
    assert around == [code] or len(around) > 1  # on a border, the code may be that of no region


@pytest.mark.parametrize("functional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_network_in_torch_is_the_same(kind, functional):
    for seed in range(4):
        layers, _, inputs = network(kind, seed)
        points = np.random.default_rng(seed).integers(-8, 9, (20, len(inputs)))
        expected = [evaluate(layers, point)[1].astype(float) for point in exact(points, 8)]
        outputs = in_torch(layers, functional)(torch.tensor(points / 8))
        np.testing.assert_array_equal(outputs.detach().numpy(), expected)


# ---------------------------------------------------------------- the library


def disagreement(kind, seed):
    """What the library finds otherwise than the reference, in words; empty if they agree."""
    layers, bounds, inputs = network(kind, seed)
    found = regions(layers, bounds, inputs)
    u, v, origin = torch.tensor(inputs.astype(float).T)
    plane = None if inputs is PLANE else mm.Plane(origin, u, v)
    p = mm.partition(in_torch(layers, functional=seed % 2 == 1), plane, bounds)
    p.check()
    codes = list(zip(*(map(tuple, p.codes[n].tolist()) for n in range(len(p.codes))), strict=True))
    if len(p) != len(found) or set(codes) != set(found):
        extra, missing = sorted(set(codes) - set(found)), sorted(set(found) - set(codes))
        return f"{len(p)} regions, not {len(found)}; extra codes {extra[:3]}, missing codes {missing[:3]}"
    whole = (bounds[1] - bounds[0]) * (bounds[3] - bounds[2])
    for f, code in enumerate(codes):
        region = found[code]
        if abs(p.areas[f] - float(region.area)) > 1e-9 * whole:
            return f"area {p.areas[f]}, not {float(region.area)}, of {code}"
        middle = region.polygon.mean(0)
        value = (region.map @ middle).astype(float)
        if (abs(p.A[f] @ middle[:2].astype(float) + p.b[f] - value) > 1e-10).any():
            return f"output {p.A[f] @ middle[:2].astype(float) + p.b[f]}, not {value}, in {code}"
    return ""


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("kind", KINDS)
def test_regions_are_the_exact_ones(kind, chunk):
    wrong = []
    for seed in range(chunk * SEEDS, (chunk + 1) * SEEDS):
        try:
            words = disagreement(kind, seed)
        except Exception as error:
            words = repr(error)
        if words:
            wrong.append(f"{kind}, seed {seed}: {words}")
    assert not wrong, "\n".join(wrong)
