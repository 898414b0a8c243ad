"""Chapter 08, convex networks."""

import numpy as np

from . import ask, call, close, exercise
from .answers import marks, value


def above_chord(f, x, u):
    return np.mean(f((x + u) / 2) > (f(x) + f(u)) / 2 + 1e-9)


def _above_both_ends(f, x, u):
    return np.mean(f((x + u) / 2) > np.maximum(f(x), f(u)) + 1e-9)


def _above_chord_reversed(f, x, u):
    return np.mean(f((x + u) / 2) < (f(x) + f(u)) / 2 - 1e-9)


def _above_chord_exact(f, x, u):
    return np.mean(f((x + u) / 2) > (f(x) + f(u)) / 2)


def _above_chord_count(f, x, u):
    return len(x) * above_chord(f, x, u)


def _above_chord_at_all(f, x, u):
    return float(above_chord(f, x, u) > 0)


def _above_chord_of_each(f, x, u):
    return f((x + u) / 2) > (f(x) + f(u)) / 2 + 1e-9


_FUNCTIONS = [
    lambda p: -(p**2).sum(axis=1),
    lambda p: (p**2).sum(axis=1),
    lambda p: p @ np.array([0.1, 0.7, -0.3]) + 0.3,  # above its chords by rounding errors alone
    lambda p: np.sqrt(np.abs(p[:, 0])),
    lambda p: np.sin(2 * p[:, 0]),
]
_PAIRS = np.random.default_rng(0).normal(size=(2, 500, 3))
_ONE_SHARE = "for 500 pairs you return 500 answers, one for each pair. Which single number is asked for?"


@exercise(
    "8.1",
    solution=above_chord,
    cases=[(f, *_PAIRS) for f in _FUNCTIONS],
    wrong={
        _above_both_ends: "the square root of |x_1| passes as convex. "
        "With what has the midpoint's height to be compared: the higher end, or the chord?",
        _above_chord_reversed: "a sum of squares, which is convex, lies above its chords for you. "
        "On which side of its chords does a bowl lie?",
        _above_chord_exact: "an affine function lies above its chords for you, by rounding errors of 1e-16. "
        "Which margin does the text allow?",
        _above_chord_count: "your answer for 500 pairs is larger than 1. Is it a share or a count?",
        _above_chord_at_all: "a sine wave is above its chord for some pairs and not for others. "
        "Your answer is 1. Did you average over the pairs?",
        _above_chord_of_each: _ONE_SHARE,
    },
    otherwise=lambda got, truth, *_: (
        f"a function lies above its chord for a share {truth:.3f} of the pairs, and you find {got:.3f}. "
        "Which heights are compared, and over what is the mean taken?"
    ),
)
def check_8_1(attempt):
    ask(call(attempt, _FUNCTIONS[0], *_PAIRS, may_be_nan=True).shape != (500,), _ONE_SHARE)


_SIGNS = "What may the sign of a weight on the output of a unit be?"
_MISCOUNTED = {
    (1, 0, 0, 0, 1, 0, 0): "you leave out network 2. Which units does the theorem allow in layer 1?",
    (1, 1, 0, 0, 0, 0, 0): "you leave out network 5. Does a bias change how a function bends? "
    "And a function Vx that is added at the end?",
    (1, 1, 1, 0, 1, 0, 0): "you count network 3. What does its unit do to the left of 0?",
    (1, 1, 0, 1, 1, 0, 0): f"you count network 4. {_SIGNS}",
    (1, 1, 0, 0, 1, 1, 0): "you count network 6. Draw its clipped unit: does it lie below its chords?",
    (1, 1, 0, 0, 1, 0, 1): f"you count network 7. {_SIGNS}",
    (1, 0, 0, 0, 0, 0, 0): "you leave out two networks. Which parts does the theorem set free?",
}


@exercise(
    "8.2",
    solution=[1, 1, 0, 0, 1, 0, 0],
    wrong=[*_MISCOUNTED, (1, 2, 5), ("1", 1, 0, 0, 1, 0, 0)],
    otherwise=lambda got, truth: (
        f"{(got != truth).sum()} of the seven answers differ from what the theorem says. "
        "For which network is each condition on weights and on units met?"
    ),
    why="Networks 1, 2 and 5 meet all conditions. Weights of layer 1, biases and skips from the input "
    "may have any sign. In 3 the unit of layer 2 falls to the left of 0, in 6 the unit of layer 2 is not "
    "convex; in 4 the last weights are negative, in 7 later weights may be.",
)
def check_8_2(attempt):
    text = [part for part in attempt if isinstance(part, str)] if isinstance(attempt, (list, tuple)) else []
    ask(not text, f"your list holds {text and text[0]!r}, which is text. What makes a number text?")
    got = tuple(marks(attempt, 7, "Does the theorem apply to the network?"))
    ask(got not in _MISCOUNTED, _MISCOUNTED.get(got))


@exercise(
    "8.3",
    solution=[-1, 2, 3],
    wrong=[
        (-1,),
        (0, 2, 3),
        (-2, 2, 3),
        (-20, 2, 3),
        (-1, 1, 3),
        (-1, 3, 3),
        (-1, 2, 1),
        (-1, 2, 2),
        (-1, 0.05, 3),
    ],
    why="**The shares.** They are 0 at the shifts 3, 2 and 1, 0.04 % at 0, 10.9 % at -1, 46 % at -2 and "
    "74 % at -3. From -11 on they no longer change: 95.04 %.\n\n"
    "**The plateau.** Far down, every unit of layer 2 receives a negative number, and there $|u| = -u$. So "
    "layer 2 turns each convex function that it receives into a concave one. The results are large and "
    "positive, and the ReLUs of layer 3 let them pass. The output is minus a convex function in the whole "
    "square, and no midpoint can lie below its chord. The other 5 % belong to pairs between which the output "
    "is affine: these midpoints lie on the chord.\n\n"
    "**The test.** It proves nothing about the 18 networks. At least three are not convex even in the "
    "square: pairs that lie closer together show it, as the cell below checks.",
)
def check_8_3(attempt):
    got = value(attempt)
    ask(
        got.shape == (3,),
        f"a), b) and c) ask for one number each, and yours have shape {got.shape}. Which is which?",
    )
    first, rest, proved = got
    ask(
        first == -1,
        f"for a) you give the shift {first:g}. What share do you find there, what share one step before, "
        "and how much is each in percent?",
    )
    for letter, choice in (("b", rest), ("c", proved)):
        ask(choice in (1, 2, 3), f"for {letter}) you give {choice:g}. Which of 1, 2 and 3 do you choose?")
    ask(
        rest == 2,
        f"for b) you choose {rest:g}, so some midpoints lie below their chords. At the shift -20, what is "
        "the sign of the numbers that layer 2 receives, and which way does the output bend then?",
    )
    ask(
        proved == 3,
        f"for c) you choose {proved:g}, so no other pair of points in the square could refute these "
        "networks. Have you tried all pairs?",
    )


def least_error(left, middle, right):
    return np.maximum(middle - (left + right) / 2, 0) / 2


def _least_error_whole(left, middle, right):
    return 2 * least_error(left, middle, right)


def _least_error_signed(left, middle, right):
    return (middle - (left + right) / 2) / 2


def _least_error_both_sides(left, middle, right):
    return np.abs(middle - (left + right) / 2) / 2


def _least_error_higher_end(left, middle, right):
    return np.maximum(middle - np.maximum(left, right), 0) / 2


def _least_error_third(left, middle, right):
    return 2 * least_error(left, middle, right) / 3


exercise(
    "8.4",
    solution=least_error,
    cases=[tuple(np.random.default_rng(4).normal(size=(3, 50)))],
    wrong={
        _least_error_whole: "your limit is twice as large as it need be. "
        "Must the function be right at the ends, or may it be wrong there, too?",
        _least_error_signed: "some of your errors are negative. Can an absolute difference be?",
        _least_error_both_sides: "your limit is positive where the target lies below its chord. "
        "Can a convex function have these three values?",
        _least_error_higher_end: "your limit is too small: you compare the middle with the higher end. "
        "What bounds a convex function in the middle?",
        _least_error_third: "your limit is too small. If the middle is too low by e and each end too "
        "high by e, how far have the function and the middle of its chord come together?",
    },
    otherwise=lambda got, truth, left, middle, right: (
        f"for the values {left[0]:.2f}, {middle[0]:.2f}, {right[0]:.2f} you find {got[0]:.3f}; for the next, "
        f"{left[1]:.2f}, {middle[1]:.2f}, {right[1]:.2f}, {got[1]:.3f}. "
        "How far is the middle above its chord, and who can give way?"
    ),
)


def _unlike_layers(layers, D):
    """What keeps an answer from being a list of layers (w, v, c), as a question; else none."""
    if not isinstance(layers, (list, tuple)) or not layers:
        this = "has none" if isinstance(layers, (list, tuple)) else f"is of type {type(layers).__name__}"
        return f"a list of layers is asked for, and yours {this}. What does the text call a layer?"
    for layer in layers:
        if not isinstance(layer, (list, tuple)) or len(layer) != 3:
            what = f"an array of shape {tuple(layer.shape)}" if hasattr(layer, "shape") else f"{layer!r}"
            return f"a layer has three parts, w, v and c, and one of yours is {what}. Which are its parts?"
        try:
            shapes, wanted = [tuple(np.shape(part)) for part in layer], [(), (D,), ()]
            [np.asarray(part, dtype=float) for part in layer]
        except (TypeError, ValueError):
            return "a part of a layer (w, v, c) is not made of numbers. Which one?"
        if shapes != wanted:
            parts = ", ".join(f"{name} has shape {shape}" for name, shape in zip("wvc", shapes, strict=True))
            off = "Which is not as in the text?"
            if sorted(shapes) == sorted(wanted):
                off = "In what order does the text name them?"
            return f"with D = {D} your layers are read as (w, v, c): {parts}. {off}"
    return None


@exercise("8.5")
def check_8_5(attempt):
    rng = np.random.default_rng(1)

    def is_maximum(a, b):
        question = None

        def as_rows(a, b):
            nonlocal question
            layers = attempt(a, b)
            if layers is None:
                return None
            question = _unlike_layers(layers, a.shape[1])
            return np.zeros(0) if question else np.array([np.hstack(layer) for layer in layers], dtype=float)

        rows = call(as_rows if callable(attempt) else attempt, a, b)
        ask(question is None, question)
        ask(
            (rows[:, 0] >= 0).all(),
            "a weight w is negative. What does a negative number do to a convex function?",
        )
        ask(
            len(rows) <= len(a),
            f"you use {len(rows)} layers for {len(a)} piece{'s' * (len(a) > 1)}. "
            "How many layers at most does the text allow for a maximum of R pieces?",
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
    "8.6",
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
