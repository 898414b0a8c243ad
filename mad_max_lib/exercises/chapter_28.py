"""Chapter 28, joint inference and orthogonal filters."""

from functools import partial
from itertools import product

import numpy as np

from . import ask, call, exercise

exercise(
    "28.1",
    solution=[0, 0.5, 2.5, 0],
    wrong={
        (0, 0.5, 2.5, 3): "the last score is the sum of two others. What do the two notes have in common?",
        (0, 0.5, 2.5, -3): "the product is taken away twice. "
        "How many pairs do two units make in the formula?",
        (0, 3, 5, 5): "these scores hold no offsets. What does each unit take back for its own length?",
        (0, 0.5, 2.5, 6): "for these two notes the product is positive. "
        "Does it lower or raise the last score?",
        (0, 2.5, 0.5, 0): "the middle two are exchanged. "
        "Which unit does the first place of a code belong to?",
    },
    otherwise="not all are right. What does each note score alone, and what do they share?",
    why="Alone they score 5 - 5/2 and 3 - 5/2; for both together the product 3 is taken from the sum 3. "
    "So the best code is (1, 0), while each alone is above 0: the second one hears what the first one plays.",
)


def joint_scores(x, A, B, choices):
    units = np.arange(len(A))
    alone = (np.einsum("nd,krd->nkr", x, A) + B)[:, units, choices].sum(axis=2)  # (N, M)
    slopes = A[units, choices]  # (M, K, D)
    shared = (slopes.sum(axis=1) ** 2).sum(axis=1) - (slopes**2).sum(axis=(1, 2))
    return alone - shared / 2


def _joint_alone(x, A, B, choices):
    return (np.einsum("nd,krd->nkr", x, A) + B)[:, np.arange(len(A)), choices].sum(axis=2)


def _joint_twice(x, A, B, choices):
    return 2 * joint_scores(x, A, B, choices) - _joint_alone(x, A, B, choices)


def _joint_with_itself(x, A, B, choices):
    slopes = A[np.arange(len(A)), choices]
    return _joint_alone(x, A, B, choices) - (slopes.sum(axis=1) ** 2).sum(axis=1) / 2


def _joint_sign(x, A, B, choices):
    return 2 * _joint_alone(x, A, B, choices) - joint_scores(x, A, B, choices)


def _joint_neighbours(x, A, B, choices):
    slopes = A[np.arange(len(A)), choices]
    return _joint_alone(x, A, B, choices) - (slopes[:, :-1] * slopes[:, 1:]).sum(axis=(1, 2))


_rng = np.random.default_rng(0)
_LAYER = _rng.normal(size=(5, 6)), _rng.normal(size=(3, 4, 6)), _rng.normal(size=(3, 4))
_CHOICES = np.array(list(product(range(4), repeat=3)))[_rng.permutation(64)[:50]]
exercise(
    "28.2",
    solution=joint_scores,
    cases=[(*_LAYER, _CHOICES)],
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
        f"Which terms does the first choice have?"
    ),
)


def shifted_offsets(A, B):
    first = A[:, 0].sum(axis=0) - A[:, 0]  # (K, D): the first slopes of the other units
    return B - np.einsum("krd,kd->kr", A - A[:, :1], first)


def _shifted_not(A, B):
    return B


def _shifted_itself(A, B):
    return B - np.einsum("krd,d->kr", A - A[:, :1], A[:, 0].sum(axis=0))


def _shifted_sign(A, B):
    return 2 * B - shifted_offsets(A, B)


def _shifted_half(A, B):
    return (B + shifted_offsets(A, B)) / 2


def _same_posterior(one, other):
    """A constant for a unit changes nothing."""
    return np.allclose(one - one[:, :1], other - other[:, :1])


_rng = np.random.default_rng(1)
_SLOPES = _rng.normal(size=(3, 1, 9)) + np.zeros((3, 3, 9))
for _k in range(3):
    _SLOPES[_k, :, 3 * _k : 3 * _k + 3] += _rng.normal(size=(3, 3))  # the units differ in pixels of their own
exercise(
    "28.3",
    solution=shifted_offsets,
    cases=[(_SLOPES, _rng.normal(size=(3, 3)))],
    wrong={
        _shifted_not: "your offsets are the old ones. "
        "What do the other units always add to a unit's products?",
        _shifted_itself: "a unit's own first slope is in your sum. Over which units does it run?",
        _shifted_sign: "the shift goes the wrong way. Do overlaps raise or lower a joint score?",
        _shifted_half: "the shift is half as large as it should be. How often does a pair of units appear?",
    },
    equal=_same_posterior,
    otherwise="the product of your factors is not the joint posterior. "
    "Which part of each slope is the same for all pieces of the unit?",
)


def _which_count(got, truth):
    if got[0] != truth[0]:
        return "the first number is off. How does it grow when one more unit joins?"
    if got[1] != truth[1]:
        return "the second number is off. How many numbers does one filter hold?"
    return "the third number is off. What are K and D?"


exercise(
    "28.4",
    solution=[1048576, 27, 6],
    wrong={
        (400, 27, 6): "pairs of units are not what is listed. In how many ways can twenty switches stand?",
        (40, 27, 6): "that is the cost of letting each unit decide alone. "
        "What does a list of all choices need?",
        (2**20, 9, 6): "the second number forgets the channels. How many numbers does one filter hold?",
        (2**20, 64, 6): "64 is what one would like. In a space of how many dimensions do the filters live?",
        (2**20, 27, 0): "twelve rows in eight dimensions cannot all be orthogonal. "
        "What does the theorem say of K > D?",
        (2**20, 27, 4): "K - D counts the rows too many. What else stands in the bound of the theorem?",
    },
    otherwise=_which_count,
    why="Two pieces and twenty units make 2^20 lists. A filter of 3 x 3 on three channels is a row of 27 "
    "numbers, and there are at most 27 orthogonal rows of 27 numbers. "
    "The least overlap is K (K - D) / D = 12 * 4 / 8.",
)


def _chain(rng, K, gaps=()):
    """K rows of three numbers, each meets the next in one place or not: (K, 2 K + 1); offsets; an input."""
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
