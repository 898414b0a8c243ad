"""Chapter 09, universal approximation."""

import numpy as np

from . import ask, call, exercise, within
from .answers import Wrong


def _which_weight(got, truth):
    k = int(np.argmax(np.abs(got - truth) > 1e-6))
    return f"your weight of the ReLU at {k} is {got[k]:g}. What are the slopes on its two sides?"


exercise(
    "9.1",
    solution=[2, -3, 0.5],
    wrong={
        (2, -1, -0.5): "your numbers are the slopes. To the right of 1 two ReLUs are open: what do their "
        "weights add up to?",
        (2, -3, 0): "the first two are right. How long is the last interval?",
        (2, 3, -0.5): "the first is right. Does the slope grow or fall at the knot 1?",
        (
            2,
            -1,
            -1,
        ): "your numbers are the differences of the heights. What does a weight v add to the slope?",
    },
    equal=within(1e-6),
    otherwise=_which_weight,
    why="The slopes are 2, -1 and -1/2. Each weight is the change of slope at its knot: 2, -1 - 2 "
    "and -1/2 + 1.",
)


def pieces_needed(length, bend, error):
    return max(1, int(np.ceil(length * np.sqrt(bend / (8 * error)))))


def _pieces_not_whole(length, bend, error):
    return length * np.sqrt(bend / (8 * error))


def _pieces_floor(length, bend, error):
    return max(1, int(length * np.sqrt(bend / (8 * error))))


def _pieces_floor_plus_one(length, bend, error):
    return int(length * np.sqrt(bend / (8 * error))) + 1


def _pieces_ceil(length, bend, error):
    return np.ceil(length * np.sqrt(bend / (8 * error)))


def _pieces_no_root(length, bend, error):
    return int(np.ceil(length**2 * bend / (8 * error)))


def _pieces_without_the_eighth(length, bend, error):
    return int(np.ceil(length * np.sqrt(bend / error)))


def _pieces_knots(length, bend, error):
    return pieces_needed(length, bend, error) + 1


def _pieces_of_unit_length(length, bend, error):
    return pieces_needed(1, bend, error)


_PIECES = [  # in the last two the bound gives the allowed error itself
    (4.0, 4.0, 1e-3), (2.0, 1.0, 0.01), (1.0, 2.0, 0.3), (10.0, 0.5, 0.02), (2.0, 4.0, 0.5), (1.0, 8.0, 1.0),
]  # fmt: skip


@exercise(
    "9.2",
    solution=pieces_needed,
    cases=_PIECES,
    wrong={
        _pieces_floor_plus_one: "your number is right except where the bound is met exactly, as on length "
        "2 with |f''| up to 4 and an error of 0.5. Does an error equal to the allowed one keep the promise?",
        _pieces_not_whole: "your number of pieces is not whole. Which of its two whole neighbours "
        "keeps the promise?",
        _pieces_floor: "with your number of pieces the bound is still above the allowed error. In "
        "which direction may one round?",
        _pieces_no_root: "your number is far larger than it need be. With twice the pieces, by "
        "what is the bound divided?",
        _pieces_without_the_eighth: "your number keeps the promise and is not the smallest. Which "
        "constant stands in the bound?",
        _pieces_knots: "your number is one too large. Does it count the pieces or their ends?",
        _pieces_of_unit_length: "your number does not change with the length. How long is one of K pieces?",
        _pieces_ceil: "",  # told by the check
    },
    otherwise=lambda got, truth, length, bend, error: (
        f"on length {length:g} with |f''| up to {bend:g} your number of pieces, {got:g}, gives the bound "
        f"{length**2 * bend / (8 * got**2) if got else np.inf:.3g}, and {error:g} is allowed. "
        "What is the smallest whole number that keeps it?"
    ),
)
def check_9_2(attempt):
    counts = [call(attempt, *case, shape=(), may_be_nan=True) for case in _PIECES]
    right = all(got == pieces_needed(*case) for got, case in zip(counts, _PIECES, strict=True))
    ask(
        not right or counts[0].dtype.kind in "iu",
        f"the numbers are right, of type {counts[0].dtype}, and "
        "np.linspace takes no float as a count. Which Python type counts pieces?",
    )


def _two_errors(got, truth):
    t, error = got
    if not 0 < t < 1:
        return f"your place is {t:g}. Where may the knot lie?"
    p = np.sqrt(t)
    left, right = p / 4, (1 - p) ** 2 / (4 * (1 + p))
    if abs(t - truth[0]) > 2e-3:
        return (
            f"with the knot at {t:.4g} the left chord is off by {left:.4f} and the right one by {right:.4f}. "
            "Would a move of the knot make the larger one smaller?"
        )
    return f"your place is right, the error there is not {error:.4g}. How far off is each of the two chords?"


exercise(
    "9.3",
    solution=[1 / 9, 1 / 12],
    wrong={
        (1 / 3, 1 / 12): "your error is right. Is your first number the place, or its root?",
        (1 / 12, 1 / 9): "these numbers occur, in the other order. Which was asked for first?",
        (0.25, 0.125): "with the knot at 1/4 the left chord is off by 0.125, the right one by 0.042. "
        "Which way does the knot have to move?",
    },
    equal=within(2e-3),
    otherwise=_two_errors,
    why="With s for the root of t the errors are s/4 and (1 - s)^2 / (4 (1 + s)). They are equal "
    "if s (1 + s) = (1 - s)^2, "
    "so s = 1/3. The knot lies at 1/9, near the steep end, and both errors are 1/12.",
)


def _which_of_three(got, truth):
    return ("table on 2 inputs", "table on 8 inputs", "layer")[int(np.argmax(np.abs(got - truth) > 0.01))]


exercise(
    "9.4",
    solution=[2, 16, 4],
    wrong={
        (4, 256, 2): "your factors belong to errors of order h and 1/N. What orders does the question name, "
        "and is Barron's bound one of the RMS error or of its square?",
        (2, 16, 2): "the tables are right. Is Barron's bound one of the RMS error or of its square?",
        (4, 256, 4): "Barron's factor is right. By what must h be multiplied to halve an error of order h²?",
        (4, 8, 4): "Barron's factor is right. How many heights has a table with n along each axis?",
        (1.414, 1.414, 4): "Barron's factor is right. Your others are those of one axis. How many are there?",
    },
    equal=within(0.01),
    otherwise=lambda got, truth: (
        f"not all three are right, the {_which_of_three(got, truth)} for one. "
        "What is the error as a power of N there?"
    ),
    why="With N = n^D heights and an error of order h^2 the error is of order N^(-2/D): halved if N grows "
    "by 2^(D/2), which is 2 and 16. Barron's bound of the mean squared error is of order 1/K, so the RMS "
    "error is of order K^(-1/2): halved if K grows by 4, and N is proportional to K.",
)


@exercise("9.5")
def check_9_5(attempt):
    rng = np.random.default_rng(5)

    def parts(x, y, collision="Which two points get the same number?"):
        N, D = x.shape
        given = (
            f"for {N} points on {D} input{'s' * (D > 1)}" if N > 1 else f"for a single point (N = 1, D = {D})"
        )
        try:
            w, b, v, c = found = call(attempt, x, y, shape=[None] * 4, may_be_nan=True)
        except Wrong as error:
            if "stopped with" not in str(error):
                raise
            asks = "Which of your arrays are empty there" if N == 1 else "Which line of it"
            raise Wrong(f"{given} {error}. {asks}?") from None
        K = len(b) if b.ndim == 1 else len(w) if w.ndim == 2 else "K"
        for place, name, part, shape in (
            ("first", "w", w, (K, D)),
            ("second", "b", b, (K,)),
            ("third", "v", v, (K,)),
            ("last", "c", c, ()),
        ):
            ask(
                part.shape == shape,
                f"{given} the {place} of your four, {name}, should "
                + (f"have shape {str(shape).replace(chr(39), '')}" if shape else "be a single number")
                + f", and it has shape {part.shape}. "
                + (
                    "How is its entry taken out?"
                    if name == "c" and part.size == 1
                    else "In which order are they?"
                ),
            )
        ask(
            K < N,
            f"{given} you use {K} ReLU{'s' * (K > 1)}. How many changes of slope does a curve need there?",
        )
        for name, part in (("w", w), ("b", b), ("v", v), ("c", c)):
            ask(np.isfinite(part).all(), f"your {name} has an entry that is not finite. {collision}")
        return found

    def off(x, y, *collision):
        w, b, v, c = parts(x, y, *collision)
        return np.abs(c + np.maximum(x @ w.T + b, 0) @ v - y)

    ask(
        off(np.array([[1.5, -2.0]]), np.array([3.0])).max() < 1e-6,
        "a single point of height 3 is not met. What can a network without any ReLU do?",
    )
    line, rising = np.array([[-1.0], [0.0], [2.0], [3.0]]), np.array([1.0, 3.0, -1.0, 0.5])
    w, b, _, _ = parts(line, rising)
    knots = np.sort(-b / w[:, 0]) + 0.0  # no -0
    e = off(line, rising)
    ask(
        e.max() < 1e-6 or (np.abs(knots[:, None] - line[:, 0]).min(axis=1) < 1e-6).all(),
        f"the points -1, 0, 2 and 3 on one input are not all met, and your ReLUs bend at "
        f"{', '.join(f'{knot:.3g}' for knot in knots)}. For which u is w u + b zero?",
    )
    ask(
        e.max() < 1e-6,
        "your ReLUs bend at the points -1, 0, 2 and 3 on one input, with the heights 1, 3, -1 and 0.5, and "
        f"miss them by {', '.join(f'{height:.3g}' for height in e)}. What are the three slopes, and how do "
        "they change?",
    )
    x, y = rng.permutation(np.linspace(-2, 2, 12))[:, None], rng.normal(size=12)
    e = off(x, y)
    ask(
        e.max() < 1e-6 or np.ptp(e) > 1e-6,
        "all points are off by the same number. At which of them is every ReLU closed?",
    )
    ask(e.max() < 1e-6, "points on one input, in mixed order, are not all met. Which point is the first?")
    for N, D in ((10, 2), (30, 3), (40, 8)):
        e = off(rng.normal(size=(N, D)), rng.normal(size=N))
        ask(
            e.max() < 1e-6,
            f"of {N} random points on {D} inputs {(e >= 1e-6).sum()} are not met. "
            "Along one direction, in which order do the points come?",
        )
    wall = np.column_stack([np.ones(5), rng.normal(size=(5, 2))])
    e = off(
        wall, rng.normal(size=5), "Five points agree in their first input. In which inputs do they differ?"
    )
    ask(
        e.max() < 1e-6,
        "five points with the same first input are not all met. In which inputs do they differ?",
    )
    square = np.stack(np.meshgrid(np.arange(4.0), np.arange(4.0)), axis=-1).reshape(-1, 2)
    e = off(
        square,
        rng.normal(size=16),
        "The points (0, 1) and (1, 0) are among them. Is your direction a special one?",
    )
    ask(
        e.max() < 1e-6,
        "the 16 points of a square grid are not all met. Do two of them get the same number in "
        "your direction?",
    )
    for far in (4.0, 5.0, 7.0, 8.0, 10.0, 16.0, 20.0, 50.0, 64.0, 100.0, 256.0, 1000.0, 1024.0, 10_000.0):
        pair = f"({far:g}, 0) and (0, 1) are among them. Do they get the same number in your direction?"
        e = off(
            np.array([[far, 0], [0, 1], [0, far], [1, 0], [far, 1]]), rng.normal(size=5), f"The points {pair}"
        )
        ask(e.max() < 1e-6, f"five points are not all met; {pair}")
