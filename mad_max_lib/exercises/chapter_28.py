"""Chapter 28, joint inference."""

from functools import partial
from itertools import product
from math import exp

import numpy as np

from . import ask, call, exercise, within

exercise(
    "28.1",
    solution=[0, -0.5, -0.5, 2],
    wrong={
        (0, -0.5, -0.5, -1): "the last score is the sum of two others. "
        "What do the two patterns have in common?",
        (0, -0.5, -0.5, -4): "for these two patterns the product is negative. "
        "Does it lower or raise the last score?",
        (0, -0.5, -0.5, 5): "the product is counted twice. How many pairs do two units make?",
        (0, -0.5, -0.5, 0.5): "the product is counted by half. "
        "What is left of the one half when the square "
        "of a sum is expanded?",
        (0, 2, 2, 7): "these scores hold no offsets. What does each unit take back for its own length?",
        (-2, -2.5, -2.5, 0): "these are half the squared distances with a minus. "
        "Which term do all four share, and does the joint score hold it?",
    },
    otherwise="not all are right. What does each unit score alone, and what do the two patterns share?",
    why="Alone each unit scores 2 - 5/2 = -1/2, so both say off. "
    "The inner product is -4 + 1 = -3, and the code "
    "11 scores -1/2 - 1/2 + 3 = 2. "
    "It is the best code: the two patterns partly cancel, so each unit receives "
    "less of its own pattern than it waits for.",
)


def joint_scores(x, A, B, codes):
    units = np.arange(len(A))
    alone = (np.einsum("nd,krd->nkr", x, A) + B)[:, units, codes].sum(axis=2)  # (N, M)
    slopes = A[units, codes]  # (M, K, D)
    shared = (slopes.sum(axis=1) ** 2).sum(axis=1) - (slopes**2).sum(axis=(1, 2))
    return alone - shared / 2


def _joint_alone(x, A, B, codes):
    return (np.einsum("nd,krd->nkr", x, A) + B)[:, np.arange(len(A)), codes].sum(axis=2)


def _joint_twice(x, A, B, codes):
    return 2 * joint_scores(x, A, B, codes) - _joint_alone(x, A, B, codes)


def _joint_with_itself(x, A, B, codes):
    slopes = A[np.arange(len(A)), codes]
    return _joint_alone(x, A, B, codes) - (slopes.sum(axis=1) ** 2).sum(axis=1) / 2


def _joint_sign(x, A, B, codes):
    return 2 * _joint_alone(x, A, B, codes) - joint_scores(x, A, B, codes)


def _joint_neighbours(x, A, B, codes):
    slopes = A[np.arange(len(A)), codes]
    return _joint_alone(x, A, B, codes) - (slopes[:, :-1] * slopes[:, 1:]).sum(axis=(1, 2))


_rng = np.random.default_rng(0)
_LAYER = _rng.normal(size=(5, 6)), _rng.normal(size=(3, 4, 6)), _rng.normal(size=(3, 4))
_CODES = np.array(list(product(range(4), repeat=3)))[_rng.permutation(64)[:50]]
exercise(
    "28.2",
    solution=joint_scores,
    cases=[(*_LAYER, _CODES)],
    wrong={
        _joint_alone: "each unit is scored as if it were alone. Where do two units meet in the formula?",
        _joint_twice: "what two units share is taken away twice. "
        "Does the sum run over pairs or over ordered pairs?",
        _joint_with_itself: "each slope's product with itself is taken away, too. Who has done that already?",
        _joint_sign: "what two units share raises your score. "
        "If both explain the same thing, is that twice as good?",
        _joint_neighbours: "only units with neighbouring numbers meet. What of units 0 and 2?",
    },
    otherwise=lambda got, truth, *_: (
        f"entry (0, 0) should be {truth[0, 0]:.4f} and is {got[0, 0]:.4f}. "
        f"Which terms does the first code have?"
    ),
)


_ODDS = 1.5 * exp(-2)
exercise(
    "28.3",
    solution=round(_ODDS / (1 + _ODDS), 3),
    wrong={
        _ODDS: "that is the odds. Which probability belongs to them?",
        0.6 * exp(-2): "you changed the probability by the factor. What is it that the factor changes?",
        1 / (1 + exp(-2) / 1.5): "sensor 1 makes sensor 0 more probable in your version. "
        "Do these two patterns cancel or resemble each other?",
        1 / (1 + exp(4) / 1.5): "the product enters twice. How many products does one other unit add?",
        1 / (1 + exp(1) / 1.5): "the product enters by half. Where does the theorem have a factor one half?",
        1 / (1 + exp(2) / 0.6): "0.6 is a probability. What are the odds that belong to it?",
        1 / (1 + exp(2)): "your odds do not know the 0.6. Which odds does sensor 0 begin with?",
        0.4: "0.4 is the probability that it does not send, if sensor 1 does not. "
        "What changes if sensor 1 sends?",
    },
    equal=within(0.0006),
    otherwise="this is not it. Which odds belong to 0.6, and by which factor does sensor 1 change them?",
    why="The odds 0.6 : 0.4 = 1.5 are multiplied by exp(-2) = 0.135, which gives 0.203. "
    "The probability is 0.203 / 1.203 = 0.169.",
)


def _which_layer(got, truth):
    first = np.flatnonzero(got != truth)[0]
    name = "abcdefg"[first]
    if truth[first] == 0 or got[first] == 0:
        return f"layer {name} is not right. "
        "How do the pieces of each unit differ, and what is the product?"
    return (
        f"layer {name} is a product, but is it one of which you say? "
        "What is the product of each unit's difference with the other unit's first slope?"
    )


exercise(
    "28.4",
    solution=[2, 0, 2, 0, 2, 1, 2],
    wrong={
        (2, 0, 2, 0, 2, 1, 1): "layer g needs another look. "
        "Does the first slope of the other unit change "
        "anything for a unit whose pieces differ only in another entry?",
        (2, 0, 2, 0, 2, 1, 0): "you call layer g no product because its slopes are not orthogonal. "
        "Is that what the theorem on the exact conditions asks?",
        (2, 0, 2, 0, 2, 0, 0): "you ask for orthogonal slopes in f and g. "
        "Which vectors have to be orthogonal?",
        (2, 0, 2, 0, 2, 2, 2): "in layer f the slopes of different units are not all orthogonal. "
        "What does unit 1 add to the input whatever it chooses?",
        (2, 0, 2, 0, 2, 0, 2): "layer f needs another look. "
        "Which vectors have to be orthogonal for a product?",
        (2, 0, 2, 2, 2, 1, 2): "the two windows of d share an entry. "
        "How do the pieces of each window differ?",
        (2, 0, 0, 0, 2, 1, 2): "layer c needs another look. What is the inner product of its rows?",
    },
    otherwise=_which_layer,
    why="a and c: orthogonal rows. "
    "b: the rows have the product 1. d: the differences are (-1, 1, 0) and "
    "(0, -1, 1) with the product -1. e: the windows share no entry, so all slopes are orthogonal. "
    "f: the differences (2, 0) and (0, 3) are orthogonal, but unit 1 "
    "always adds (1, 1), whose product with "
    "(2, 0) is 2. g: the differences (0, -2, 0) and (0, 0, -2) are "
    "orthogonal to each other and to the other "
    "unit's first slope, though the slopes themselves have the product 1.",
)


def _chain(rng, K, gaps=()):
    """K rows of three numbers, each meets the next in one place or not: "
    "(K, 2 K + 1); offsets; an input."""
    W, rows = np.zeros((K, 2 * K + 1)), rng.normal(size=(K, 3)) * 2
    rows[list(gaps), 2] = 0
    for k in range(K):
        W[k, 2 * k : 2 * k + 3] = rows[k]
    truth = rng.integers(2, size=K)
    return W, -(W**2).sum(axis=1) / 2 + rng.normal(size=K), truth @ W + rng.normal(size=2 * K + 1)


def _best(W, b, x, weight=1.0):
    """By listing all choices."""
    bits = np.array(list(product([0, 1], repeat=len(W))))
    G = W @ W.T
    np.fill_diagonal(G, 0)
    return bits[(bits @ (W @ x + b) - weight / 2 * ((bits @ G) * bits).sum(axis=1)).argmax()]


def _left_to_right(W, b, x):
    code = np.zeros(len(W), int)
    for k in range(len(W)):
        code[k] = W[k] @ (x - code @ W) + b[k] > 0
    return code


@exercise("28.6")
def check_28_6(attempt):
    rng = np.random.default_rng(2)
    cases = [_chain(rng, K) for K in (1, 2, 3, *[10] * 12)]
    got = [call(attempt, *case, shape=case[1].shape, like=case[1] > 0) for case in cases]

    def follows(rule):
        return all(np.array_equal(code, rule(*case)) for code, case in zip(got, cases, strict=True))

    ask(
        not follows(lambda W, b, x: W @ x + b > 0),
        "each unit decides alone in your version. What does a unit that is on leave for its neighbour?",
    )
    ask(
        not follows(partial(_best, weight=2)),
        "what two neighbours share is taken away twice. How often does a pair appear in the joint score?",
    )
    ask(
        not follows(_left_to_right),
        "you go from left to right and never look back. "
        "What if a later unit shows that an earlier one was wrong?",
    )
    ask(
        follows(_best),
        "some of your codes are not the best ones. "
        "What must you remember of everything to the left of a unit, for each of its two positions?",
    )
    W = np.zeros(
        (41, 83)
    )  # each unit scores about 1 and shares 2 with each neighbour: every second one is best
    for k in range(41):
        W[k, [2 * k, 2 * k + 2]] = 2**0.5
    found = call(attempt, W, 1 + 0.02 * rng.uniform(-1, 1, 41), np.zeros(83), shape=(41,))
    ask(
        np.array_equal(found, np.arange(41) % 2 == 0),
        "41 units that score alike, with strong overlaps, do not get their best code. "
        "Can a step that changes a few units always see what is best for all?",
    )
    W, b, x = _chain(rng, 40, gaps=range(7, 40, 8))  # five chains of eight, side by side
    parts = [_best(W[k : k + 8], b[k : k + 8], x) for k in range(0, 40, 8)]
    ask(
        np.array_equal(call(attempt, W, b, x, shape=(40,)), np.concatenate(parts)),
        "with 40 units your code is not the best one. "
        "Do ties or neighbours that share nothing matter to you?",
    )
