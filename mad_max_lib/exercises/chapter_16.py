"""Chapter 16, joint inference and orthogonal filters."""

from itertools import product

import numpy as np

from . import ask, call, exercise, value


@exercise(
    "16.1",
    solution=[0, 0.5, 2.5, 0],
    wrong=[[0, 0.5, 2.5, 3], [0, 0.5, 2.5, -3], [0, 3, 5, 5], [0, 0.5, 2.5, 6], [0, 2.5, 0.5, 0]],
    why="Alone they score 5 - 5/2 and 3 - 5/2; for both together the product 3 is taken from the sum 3. So the best code "
    "is (1, 0), while each alone is above 0: the second one hears what the first one plays.",
)
def _(attempt):
    got = value(attempt, (4,)).tolist()
    questions = {
        (0, 0.5, 2.5, 3): "the last score is the sum of two others. What do the two notes have in common?",
        (0, 0.5, 2.5, -3): "the product is taken away twice. How many pairs do two units make in the formula?",
        (0, 3, 5, 5): "these scores hold no offsets. What does each unit take back for its own length?",
        (0, 0.5, 2.5, 6): "for these two notes the product is positive. Does it lower or raise the last score?",
        (0, 2.5, 0.5, 0): "the middle two are exchanged. Which unit does the first place of a code belong to?",
    }
    ask(np.allclose(got, [0, 0.5, 2.5, 0]),
        questions.get(tuple(got), "not all are right. What does each note score alone, and what do they share?"))  # fmt: skip


def joint_scores(x, A, B, choices):
    units = np.arange(len(A))
    alone = (np.einsum("nd,krd->nkr", x, A) + B)[:, units, choices].sum(axis=2)  # (N, M)
    slopes = A[units, choices]  # (M, K, D)
    shared = (slopes.sum(axis=1) ** 2).sum(axis=1) - (slopes**2).sum(axis=(1, 2))
    return alone - shared / 2


def _alone(x, A, B, choices):
    units = np.arange(len(A))
    return (np.einsum("nd,krd->nkr", x, A) + B)[:, units, choices].sum(axis=2)


def _joint_twice(x, A, B, choices):
    return 2 * joint_scores(x, A, B, choices) - _alone(x, A, B, choices)


def _joint_with_itself(x, A, B, choices):
    slopes = A[np.arange(len(A)), choices]
    return _alone(x, A, B, choices) - (slopes.sum(axis=1) ** 2).sum(axis=1) / 2


def _joint_sign(x, A, B, choices):
    return 2 * _alone(x, A, B, choices) - joint_scores(x, A, B, choices)


def _joint_neighbours(x, A, B, choices):
    slopes = A[np.arange(len(A)), choices]
    return _alone(x, A, B, choices) - (slopes[:, :-1] * slopes[:, 1:]).sum(axis=(1, 2))


@exercise(
    "16.2",
    solution=joint_scores,
    wrong=[_alone, _joint_twice, _joint_with_itself, _joint_sign, _joint_neighbours],
)
def _(attempt):
    rng = np.random.default_rng(0)
    case = rng.normal(size=(5, 6)), rng.normal(size=(3, 4, 6)), rng.normal(size=(3, 4))
    choices = np.array(list(product(range(4), repeat=3)))[rng.permutation(64)[:50]]
    got, truth = call(attempt, *case, choices, shape=(5, 50)), joint_scores(*case, choices)
    for wrong, question in [
        (_alone, "each unit is scored as if it were alone. Where do two units meet in the formula?"),
        (_joint_twice, "what two units share is taken away twice. Does the sum run over pairs or over ordered pairs?"),
        (_joint_with_itself, "each slope's product with itself is taken away, too. Who has done that already?"),
        (_joint_sign, "what two units share raises your score. If both explain the same thing, is that twice as good?"),
        (_joint_neighbours, "only units with neighbouring numbers meet. What of units 0 and 2?"),
    ]:
        ask(not np.allclose(got, wrong(*case, choices)), question)
    ask(np.allclose(got, truth), f"entry (0, 0) should be {truth[0, 0]:.4f} and is {got[0, 0]:.4f}. Which terms does the "
        "first choice have?")  # fmt: skip


def shifted_offsets(A, B):
    first = A[:, 0].sum(axis=0) - A[:, 0]  # (K, D): the first slopes of the other units
    return B - np.einsum("krd,kd->kr", A - A[:, :1], first)


def _shifted_itself(A, B):
    return B - np.einsum("krd,d->kr", A - A[:, :1], A[:, 0].sum(axis=0))


def _shifted_sign(A, B):
    return 2 * B - shifted_offsets(A, B)


def _shifted_half(A, B):
    return (B + shifted_offsets(A, B)) / 2


def _not_shifted(A, B):
    return B.copy()


@exercise(
    "16.3",
    solution=shifted_offsets,
    wrong=[_not_shifted, _shifted_itself, _shifted_sign, _shifted_half],
)
def _(attempt):
    rng = np.random.default_rng(1)
    A = rng.normal(size=(3, 1, 9)) + np.zeros((3, 3, 9))
    for k in range(3):
        A[k, :, 3 * k : 3 * k + 3] += rng.normal(size=(3, 3))  # the units differ in pixels of their own
    B = rng.normal(size=(3, 3))
    got = call(attempt, A, B, shape=(3, 3))

    def same(offsets):
        return np.allclose(got - got[:, :1], offsets - offsets[:, :1])  # a constant for a unit changes nothing

    for wrong, question in [
        (_not_shifted, "your offsets are the old ones. What do the other units always add to a unit's products?"),
        (_shifted_itself, "a unit's own first slope is in your sum. Over which units does it run?"),
        (_shifted_sign, "the shift goes the wrong way. Do overlaps raise or lower a joint score?"),
        (_shifted_half, "the shift is half as large as it should be. How often does a pair of units appear?"),
    ]:
        ask(not same(wrong(A, B)), question)
    ask(same(shifted_offsets(A, B)), "the product of your factors is not the joint posterior. Which part of each slope "
        "is the same for all pieces of the unit?")  # fmt: skip


@exercise(
    "16.4",
    solution=[1048576, 27, 6],
    wrong=[[400, 27, 6], [40, 27, 6], [1048576, 9, 6], [1048576, 64, 6], [1048576, 27, 0], [1048576, 27, 4]],
    why="Two pieces and twenty units make 2^20 lists. A filter of 3 x 3 on three channels is a row of 27 numbers, and there "
    "are at most 27 orthogonal rows of 27 numbers. The least overlap is K (K - D) / D = 12 * 4 / 8.",
)
def _(attempt):
    choices, filters, least = value(attempt, (3,)).tolist()
    ask(choices != 400, "pairs of units are not what is listed. In how many ways can twenty switches stand?")
    ask(choices != 40, "that is the cost of letting each unit decide alone. What does a list of all choices need?")
    ask(choices == 1048576, "the first number is off. How does it grow when one more unit joins?")
    ask(filters != 9, "the second number forgets the channels. How many numbers does one filter hold?")
    ask(filters != 64, "64 is what one would like. In a space of how many dimensions do the filters live?")
    ask(filters == 27, "the second number is off. How many numbers does one filter hold?")
    ask(least != 0, "twelve rows in eight dimensions cannot all be orthogonal. What does the theorem say of K > D?")
    ask(np.isclose(least, 6), "the third number is off. What are K and D?")


def _chain(rng, K, gaps=()):
    """K rows of three numbers that meet in one place with the next row, or do not: (K, 2 K + 1); offsets, an input."""
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


@exercise("16.6")
def _(attempt):
    rng = np.random.default_rng(2)
    cases = [_chain(rng, K) for K in (1, 2, 3, *[10] * 12)]
    truth = [_best(*case) for case in cases]
    with np.errstate(all="ignore"):
        got = [call(attempt, *case, shape=(len(case[1]),)) for case in cases]

    def equal(codes):
        return all(np.array_equal(mine, code) for mine, code in zip(got, codes, strict=True))

    ask(not equal([(W @ x + b > 0).astype(int) for W, b, x in cases]),
        "each unit decides alone in your version. What does a unit that is on leave for its neighbour?")  # fmt: skip
    ask(not equal([_best(*case, weight=2) for case in cases]),
        "what two neighbours share is taken away twice. How often does a pair appear in the joint score?")  # fmt: skip
    ask(not equal([_left_to_right(*case) for case in cases]),
        "you go from left to right and never look back. What if a later unit shows that an earlier one was wrong?")  # fmt: skip
    ask(equal(truth), "some of your codes are not the best ones. What must you remember of everything to the left of "
        "a unit, for each of its two positions?")  # fmt: skip
    W = np.zeros((41, 83))  # each unit scores about 1 and shares 2 with each neighbour: every second one is best
    for k in range(41):
        W[k, [2 * k, 2 * k + 2]] = 2**0.5
    found = call(attempt, W, 1 + 0.02 * rng.uniform(-1, 1, 41), np.zeros(83), shape=(41,))
    ask(np.array_equal(found, np.arange(41) % 2 == 0), "41 units that score alike, with strong overlaps, do not get "
        "their best code. Can a step that changes a few units always see what is best for all?")  # fmt: skip
    W, b, x = _chain(rng, 40, gaps=range(7, 40, 8))  # five chains of eight, side by side
    parts = [_best(W[k : k + 8], b[k : k + 8], x) for k in range(0, 40, 8)]
    ask(np.array_equal(call(attempt, W, b, x, shape=(40,)), np.concatenate(parts)),
        "with 40 units your code is not the best one. Do ties or neighbours that share nothing matter to you?")  # fmt: skip
