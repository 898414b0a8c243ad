"""Chapter 08, convexity, universality, stability."""

import numpy as np

from . import ask, call, close, exercise, within


def bulges(f, x, u):
    return np.mean(f((x + u) / 2) > (f(x) + f(u)) / 2 + 1e-9)


def _bulges_above_both_ends(f, x, u):
    return np.mean(f((x + u) / 2) > np.maximum(f(x), f(u)) + 1e-9)


def _bulges_reversed(f, x, u):
    return np.mean(f((x + u) / 2) < (f(x) + f(u)) / 2 - 1e-9)


def _bulges_exact(f, x, u):
    return np.mean(f((x + u) / 2) > (f(x) + f(u)) / 2)


def _bulges_count(f, x, u):
    return len(x) * bulges(f, x, u)


def _bulges_at_all(f, x, u):
    return float(bulges(f, x, u) > 0)


_FUNCTIONS = [
    lambda p: -(p**2).sum(axis=1),
    lambda p: (p**2).sum(axis=1),
    lambda p: p @ np.array([0.1, 0.7, -0.3]) + 0.3,  # bulges by rounding errors alone
    lambda p: np.sqrt(np.abs(p[:, 0])),
    lambda p: np.sin(2 * p[:, 0]),
]
_PAIRS = np.random.default_rng(0).normal(size=(2, 500, 3))
exercise(
    "8.1",
    solution=bulges,
    cases=[(f, *_PAIRS) for f in _FUNCTIONS],
    wrong={
        _bulges_above_both_ends: "the square root of |x_1| passes as convex. "
        "With what has the midpoint's height to be compared: the higher end, or the chord?",
        _bulges_reversed: "a sum of squares, which is convex, is refuted. "
        "On which side of its chords does a bowl lie?",
        _bulges_exact: "an affine function bulges for you, by rounding errors of 1e-16. "
        "How much did the referee allow?",
        _bulges_count: "your answer for 500 pairs is larger than 1. Is it a share or a count?",
        _bulges_at_all: "a sine wave bulges at some pairs and not at others, your answer is 1. "
        "Did you average over the pairs?",
    },
    otherwise=lambda got, truth, *_: (
        f"a function that bulges in {truth:.3f} of the pairs does so for you in {got:.3f}. "
        "Which heights are compared, and over what is the mean taken?"
    ),
)


@exercise("8.3")
def check_8_3(attempt):
    rng = np.random.default_rng(1)

    def layers_as_rows(a, b):
        layers = attempt(a, b)
        try:
            rows = [[float(w), *np.reshape(v, a.shape[1]), float(c)] for w, v, c in layers]
            return np.reshape(rows, (len(rows), a.shape[1] + 2))
        except (TypeError, ValueError):
            return np.zeros(0)

    def is_maximum(a, b):
        rows = call(layers_as_rows if callable(attempt) else attempt, a, b)
        ask(
            rows.ndim == 2,
            f"for {len(a)} pieces on {a.shape[1]} inputs your layers are no list of (w, v, c) with numbers "
            "w and c and a vector v. In what order does the text name them?",
        )
        ask(
            (rows[:, 0] >= 0).all(),
            "a weight w is negative. What does a negative number do to a convex function?",
        )
        ask(
            len(rows) <= len(a),
            f"you use {len(rows)} layers for {len(a)} pieces. How many does a maximum of two need?",
        )
        x, z = 3 * rng.normal(size=(1000, a.shape[1])), np.zeros(1000)
        for row in rows:
            u = row[0] * z + x @ row[1:-1] + row[-1]
            z = np.maximum(u, 0)
        return np.allclose(u, (x @ a.T + b).max(axis=1), rtol=0, atol=1e-9)

    more = "two pieces are right, {} pieces are not. "
    more += "To what must z be added, after the first layer, to be the larger of the first two pieces?"
    for R, D, question in [
        (1, 3, "a single piece comes out wrong. Which layer has no maximum with 0 behind it?"),
        (2, 1, "two pieces on one input come out wrong. "
               "Which of the two is subtracted before the ReLU, and which one is added behind it?"),
        (3, 2, more), (5, 1, more), (9, 4, more),
    ]:  # fmt: skip
        ask(is_maximum(rng.normal(size=(R, D)), rng.normal(size=R)), question.format(R))
    ask(is_maximum(np.ones((4, 2)), np.zeros(4)), "with equal pieces the result is off. What is max(p, p)?")


def split(W, b, F, G):
    plus, minus = np.maximum(W, 0), np.maximum(-W, 0)
    return F @ plus.T + G @ minus.T + b, F @ minus.T + G @ plus.T


def _split_size_only(W, b, F, G):
    return F @ np.abs(W).T + b, G @ np.abs(W).T


def _split_no_bias(W, b, F, G):
    return split(W, 0 * b, F, G)


def _split_not_crossed(W, b, F, G):
    return F @ np.maximum(W, 0).T + b, G @ np.maximum(-W, 0).T


def _split_nothing(W, b, F, G):
    return F @ W.T + b, G @ W.T


def _grow(parts):
    """Whether no part falls where F or G grows, in the case below."""
    first, *grown = np.reshape(parts, (2, 3, 6, 4)).swapaxes(0, 1)
    return bool((np.array(grown) >= first - 1e-9).all())


_rng = np.random.default_rng(2)
_W, _b, _F, _G = (_rng.normal(size=size) for size in ((4, 3), 4, (6, 3), (6, 3)))
_UP = _rng.uniform(size=(2, 6, 3))
exercise(
    "8.4",
    solution=split,
    cases=[(_W, _b, np.concatenate([_F, _F + _UP[0], _F]), np.concatenate([_G, _G, _G + _UP[1]]))],
    wrong={
        _split_no_bias: "the difference is off by the same number in every row. "
        "Which constant does a dense layer add, and does it survive the subtraction?",
        _split_size_only: "your difference is |W|(F - G) + b. What became of the negative weights?",
        _split_not_crossed: "each part of W meets only one of F and G. "
        "Multiply out two differences: how many products are there?",
        _split_nothing: "the difference is right, but a part falls when F or G grows. "
        "What does a negative number do to a convex function?",
    },
    equal=lambda one, other: close(one[0] - one[1], other[0] - other[1]) and _grow(one) == _grow(other),
    otherwise=lambda got, truth, *_: (
        "the difference of your parts is off by up to "
        f"{np.abs(got[0] - got[1] - truth[0] + truth[1]).max():.2f}. "
        "Multiply out two differences: which products carry a minus?"
    ),
)


def _which_constant(got, truth):
    if got[1] > got[0]:
        return "your true constant is larger than your product. Which of them bounds the other?"
    if abs(got[0] - truth[0]) > 0.01:
        return "the product is off. What is the longest image of a vector of length 1 under each matrix?"
    return "the product is right, the true constant is not. Which matrix has the region with both gates open?"


exercise(
    "8.5",
    solution=[5.66, 5.0],
    wrong={
        (5.0, 5.657): "your true constant is larger than your product. In which order were they asked for?",
        (7.071, 5.0): "this product takes the root of the sum of squares of the first matrix. "
        "How far does that matrix stretch a vector of length 1 at most?",
        (5.657, 5.657): "the two are not equal here. "
        "Does the first layer stretch most in the direction in which the second one does?",
        (5.657, 7.0): "your true constant is larger than your product. "
        "Which of them bounds the other, and how long is a vector?",
    },
    equal=within(0.01),
    otherwise=_which_constant,
    why="The norms are 4 and the root of 2. The matrices are (3, 4), (3, 0), (0, 4) and (0, 0); the longest "
    "has length 5. The second layer is steepest in the direction (1, 1), where the first stretches less.",
)


def certified_radius(logits, local, bound):
    largest = np.sort(logits, axis=1)
    return (largest[:, -1] - largest[:, -2]) / (np.sqrt(2) * bound)


def _radius_no_root(logits, local, bound):
    return np.sqrt(2) * certified_radius(logits, local, bound)


def _radius_local(logits, local, bound):
    return certified_radius(logits, local, local)


def _radius_half(logits, local, bound):
    return certified_radius(logits, local, bound) / np.sqrt(2)


def _radius_to_the_lowest(logits, local, bound):
    return (logits.max(axis=1) - logits.min(axis=1)) / (np.sqrt(2) * bound)


_rng = np.random.default_rng(3)
exercise(
    "8.6",
    solution=certified_radius,
    cases=[(3 * _rng.normal(size=(8, 5)), _rng.uniform(1, 4, size=8), 6.0)],
    wrong={
        _radius_local: "you use the local norm. "
        "What does it say about the ground beyond the border of the region?",
        _radius_no_root: "your radius is too large by a factor of 1.41. "
        "By how much can two logits approach each other when the vector of logits moves by 1?",
        _radius_half: "your radius is safe, and too small by a factor of 1.41. "
        "Can one logit fall by 1 and another one rise by 1 when the vector of logits moves by 1 only?",
        _radius_to_the_lowest: "you measure the way down to the lowest logit. "
        "Which class is overtaken by its rival first?",
    },
    otherwise=lambda got, truth, *_: (
        f"the radii should begin with {truth[:2].round(4)}, yours begin with {got[:2].round(4)}. "
        "What is the margin of each input?"
    ),
)
