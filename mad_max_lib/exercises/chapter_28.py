"""Chapter 28, joint inference."""

from functools import partial
from itertools import product
from math import exp

import numpy as np
from scipy.optimize import linprog

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
        (0, 2.5, 2.5, 2): "you take the product from every code that is on. Which code has both units on?",
        (0, -3, -3, -3): "the offsets are too low. Which factor stands before the squared length?",
        (4, 5, 5, 0): "these are the squared distances, and the nearest code should score most. "
        "What does the expansion of the square do with them?",
        (-2, -2.5, -2.5, 0): "these are half the squared distances with a minus. "
        "Which term do all four share, and does the joint score hold it?",
    },
    otherwise="not all are right. What does each unit score alone, and what do the two patterns share?",
    why="Alone each unit scores 2 - 5/2 = -1/2, so both say off. "
    "The inner product is 1 - 4 = -3, and the code "
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


def _entry_far_off(got, truth, *_):
    n, m = np.unravel_index(abs(got - truth).argmax(), truth.shape)
    return (
        f"entry ({n}, {m}) should be {truth[n, m]:.4f} and is {got[n, m]:.4f}. "
        f"Which terms does code number {m} have?"
    )


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
    otherwise=_entry_far_off,
)


_ODDS = 1.5 * exp(-2)


def _which_probability(got, truth):
    got = float(got)
    if abs(got - truth) < 0.006:
        return "this is right so far. How many decimals are asked for?"
    if got > 1 and abs(got / 100 - truth) < 0.006:
        return "this is right in percent. Which number between 0 and 1 is it?"
    if not 0 <= got <= 1:
        return "between which two numbers does a probability lie?"
    return "this is not it. Which odds belong to 0.6, and by which factor does sensor 1 change them?"


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
        1 - _ODDS / (1 + _ODDS): "this is how probably sensor 0 does not send. Which one is asked for?",
        exp(-2) / (1.5 + exp(-2)): "your odds begin with 0.4 : 0.6. Which one belongs to sending?",
        1 / (1 + exp(1.4)): "you take 0.6 for a score. Which score gives the probability 0.6?",
        0.4: "0.4 is the probability that it does not send, if sensor 1 does not. "
        "What changes if sensor 1 sends?",
    },
    equal=within(0.0006),
    otherwise=_which_probability,
    why="The odds 0.6 : 0.4 = 1.5 are multiplied by exp(-2) = 0.135, which gives 0.203. "
    "The probability is 0.203 / 1.203 = 0.169.",
)


def _which_layer(got, truth):
    if not np.isin(got, (0, 1, 2)).all():
        return "each layer gets one of three numbers. Which three?"
    first = np.flatnonzero(got != truth)[0]
    asked = {
        "a": "What is the inner product of the two rows?",
        "b": "What is the inner product of the two rows?",
        "c": "What is the inner product of the two rows?",
        "d": "The windows share x_2. Which of the four products is not 0?",
        "e": "Do the two windows share an entry?",
        "f": "What are the four products of slopes, and what do the entries of one row have in common?",
        "g": "What are the four products of slopes?",
    }
    name = "abcdefg"[first]
    return f"layer {name} is not right. {asked[name]}"


exercise(
    "28.4",
    solution=[2, 0, 2, 0, 2, 1, 2],
    wrong={
        (2, 0, 2, 0, 2, 1, 1): "layer g needs another look. "
        "Does a number that all codes lose alike change anything for one unit?",
        (2, 0, 2, 0, 2, 1, 0): "you call layer g no product because its slopes are not orthogonal. "
        "How do the four products of its table differ?",
        (2, 0, 2, 0, 2, 0, 0): "you ask for orthogonal slopes in f and g. "
        "Is a table of zeros the only one that keeps the posterior a product?",
        (2, 0, 2, 0, 2, 2, 2): "layer f needs another look. "
        "Do both pieces of unit 0 have the same products with the slopes of unit 1?",
        (2, 0, 2, 0, 2, 0, 2): "layer f needs another look. "
        "Can each entry be written as a sum a_r + c_s, of a number for its row and one for its column?",
        (2, 0, 2, 2, 2, 1, 2): "the two windows of d share an entry. "
        "Which pieces of the two units have a product other than 0?",
        (2, 0, 2, 1, 2, 1, 2): "layer d needs another look. "
        "Is the sum of its table along one diagonal the sum along the other?",
        (2, 0, 0, 0, 2, 1, 2): "layer c needs another look. What is the inner product of its rows?",
    },
    otherwise=_which_layer,
    why="The tables, first row / second row. a and c: the rows are orthogonal, all entries are 0. "
    "b: the rows have the product 1, which gives 0.01, 0.1 / 0.1, 1 with the lower slope 0.1, "
    "and 0.01 + 1 is not 0.1 + 0.1. d: 0, 0 / 1, 0. "
    "e: the windows share no entry, so all entries are 0. "
    "f: 0, 0 / 2, 2, which are the sums a_r + c_s = 0 + 0, 0 + 0 / 2 + 0, 2 + 0: "
    "unit 0 must subtract 2 from the score of its second piece. "
    "g: 1, 1 / 1, 1, so every code loses 1.",
)


def _chain(rng, K):
    """K rows of three numbers that meet the next in one place, (K, 2 K + 1); offsets; a noisy signal."""
    W, rows = np.zeros((K, 2 * K + 1)), rng.normal(size=(K, 3)) * 1.7
    for k in range(K):
        W[k, 2 * k : 2 * k + 3] = rows[k]
    truth = rng.integers(2, size=K)
    return W, -(W**2).sum(axis=1) / 2 + 0.5 * rng.normal(size=K), truth @ W + rng.normal(size=2 * K + 1)


def _chain_of(u, shared):
    """A chain whose units score u at the input 0, with these products of neighbours."""
    W = np.zeros((len(u), 2 * len(u) + 1))
    W[:, 1::2] = np.eye(len(u))
    for k, value in enumerate(shared):
        W[k, 2 * k + 2], W[k + 1, 2 * k + 2] = abs(value) ** 0.5, abs(value) ** 0.5 * np.sign(value)
    return W, np.array(u), np.zeros(W.shape[1])


def _hard_chain(rng):
    """A chain on which beams and small steps fail.

    Two stretches of units want to be on together. In the first the best code is all on, in the second all
    off, but runs of 11 units go up and down in between, so small steps stop early. The reward of the first
    lies in its middle, so all on looks bad from either end. Units at the ends make thousands of codes nearly
    as good.
    """
    runs = np.arange(66) // 11 % 2  # from the middle of a stretch outwards

    def stretch(low, middle):
        steps = np.where(runs == 1, 0.08, low)
        return -1 + np.r_[steps[::-1], middle, steps]

    def small(n):
        return rng.choice([-1, 1], n) * rng.uniform(0.005, 0.01, n)

    u = np.r_[small(14), stretch(-0.055, 1.5), small(1), stretch(-0.08, -0.08), small(14)]
    shared = np.r_[np.zeros(14), -np.ones(132), 0, 0, -np.ones(132), np.zeros(14)]
    return _chain_of(u + 0.002 * rng.uniform(-1, 1, len(u)), shared)


def _joint(W, b, x, code):
    u, shared = W @ x + b, (W[:-1] * W[1:]).sum(axis=1)
    return u @ code - (shared * code[:-1] * code[1:]).sum()


def _best(W, b, x, weight=1.0):
    """By listing all choices."""
    bits = np.array(list(product([0, 1], repeat=len(W))))
    G = W @ W.T
    np.fill_diagonal(G, 0)
    return bits[(bits @ (W @ x + b) - weight / 2 * ((bits @ G) * bits).sum(axis=1)).argmax()]


def _most(W, b, x):
    """The largest joint score of a long chain, by a linear program, which is exact for a chain."""
    u, shared, K = W @ x + b, (W[:-1] * W[1:]).sum(axis=1), len(W)
    k, both = np.arange(K - 1), np.arange(K, 2 * K - 1)  # both: 1 if units k and k + 1 are on
    bounds = np.zeros((3, K - 1, 2 * K - 1))
    bounds[0, k, k], bounds[0, k, k + 1], bounds[0, k, both] = 1, 1, -1  # t_k + t_(k+1) - both <= 1
    bounds[1, k, both], bounds[1, k, k] = 1, -1
    bounds[2, k, both], bounds[2, k, k + 1] = 1, -1
    most = np.repeat([1.0, 0.0, 0.0], K - 1)
    return -linprog(np.r_[-u, shared], bounds.reshape(-1, 2 * K - 1), most, bounds=(0, 1)).fun


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

    ask(all(np.isin(code, (0, 1)).all() for code in got), "which two numbers may a code hold?")
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

    def reaches_most(W, b, x):
        code = call(attempt, W, b, x, shape=b.shape, like=b > 0)
        return np.isin(code, (0, 1)).all() and _joint(W, b, x, code) > _most(W, b, x) - 1e-6

    ask(
        all(reaches_most(*_chain(rng, 201)) for _ in range(4)),
        "your code is the best one for short chains, but not for 201 units. "
        "If you keep some beginnings of codes, are both states of the last unit among them? "
        "If you improve a code, how do you know that no other is better?",
    )
    W = np.zeros((201, 403))  # each scores about 1 and shares 2 with each neighbour: every second is best
    W[np.arange(201), 2 * np.arange(201)] = W[np.arange(201), 2 * np.arange(201) + 2] = 2**0.5
    ask(
        reaches_most(W, 1 + 0.02 * rng.uniform(-1, 1, 201), np.zeros(403))
        and reaches_most(*_hard_chain(rng)),
        "in a chain where the best code differs in many units from other good ones, yours is not the best. "
        "Can a step that changes a few units, or a look at a few neighbours, see what is best for all?",
    )
    W, b, x = _chain(rng, 40)
    W[np.arange(7, 39, 8), 2 * np.arange(7, 39, 8) + 2] = 0  # five chains of eight, side by side
    ask(
        reaches_most(W, b, x),
        "with 40 units in five chains side by side your code is not the best one. "
        "Do neighbours that share nothing matter to you?",
    )
