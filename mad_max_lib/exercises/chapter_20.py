"""Chapter 20, a distance between codes."""

import numpy as np

from . import ask, call, exercise, within

exercise(
    "20.1",
    solution=(1 / 8, 5 / 8),
    wrong={
        (0, 5 / 8): "can x and v have the same code, if u differs from one in two units and from the other "
        "in three?",
        (1 / 8, 1): "how many of the 8 units can flip at all on the way from x over u to v?",
        (5 / 8, 5 / 8): "these leave no room. "
        "Can a unit that flips between x and u flip back between u and v?",
        (5 / 8, 1 / 8): "which of your two values is the smaller one, and which was to come first?",
        (1, 5): "you count units. Which share of the layer are they?",
    },
    otherwise=lambda got, truth: (
        "the smallest value is off. What if as many units as possible flip back?"
        if not np.isclose(got[0], truth[0])
        else "the largest value is off. What if no unit flips twice?"
    ),
    why="Two units flip between x and u, three between u and v. If the two are among the three, they flip "
    "back, and one difference remains; if none is, all five remain. With one unit in common it is 3/8: the "
    "even numbers cannot occur.",
)


def free_way(W, b, x, direction):
    u, rate = W @ x + b, W @ direction
    nears = u * rate < 0
    return np.min(-u[nears] / rate[nears], initial=np.inf)


def _way_both_directions(W, b, x, direction):
    return min(free_way(W, b, x, direction), free_way(W, b, x, -direction))


def _way_distance(W, b, x, direction):
    return (np.abs(W @ x + b) / np.linalg.norm(W, axis=1)).min()


def _way_only_switching_off(W, b, x, direction):
    on = W @ x + b > 0
    return free_way(W[on], b[on], x, direction)


def _way_length(W, b, x, direction):
    return free_way(W, b, x, direction) * np.linalg.norm(direction)


_rng = np.random.default_rng(0)
_W, _b, _ORIGIN = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0]]), np.array([-3.0, -1.0, 4.0]), np.zeros(2)
exercise(
    "20.2",
    solution=free_way,
    cases=[
        *[(_W, _b, _ORIGIN, np.array(d)) for d in ([1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [4.0, 0.0])],
        (_W[:1], _b[:1], _ORIGIN, np.array([-1.0, 0.0])),
        (_rng.normal(size=(20, 5)), _rng.normal(size=20), _rng.normal(size=5), _rng.normal(size=5)),
    ],
    wrong={
        _way_both_directions: "from 0, fences at 3 and -1: walking to the right you stop at the one "
        "on the left. Which rows come nearer to zero?",
        _way_distance: "your answer is the same to the right, to the left and up. "
        "What should the direction do?",
        _way_only_switching_off: "one fence at 3 lies ahead and yours is not it. "
        "Do rows that are below zero have fences, and which way does the direction point?",
        _way_length: "with a direction four times as long you do not stop at a quarter of t. "
        "Is the answer a length or a multiple of the direction?",
    },
    otherwise=lambda got, truth, *_: (
        "where no row comes nearer to zero you still stop. What is the answer then?"
        if np.isinf(truth)
        else "before your t the signs have changed already. Which of many fences comes first?"
        if got > truth
        else "beyond your t nothing has changed yet. Which row should be zero there?"
    ),
)


def code_distance(codes_a, codes_b):
    R, K = 1 + max(codes_a.max(), codes_b.max()), codes_a.shape[1]
    places_a, places_b = (np.eye(R)[codes].reshape(len(codes), -1) for codes in (codes_a, codes_b))
    return 1 - places_a @ places_b.T / K


def _agreements(codes_a, codes_b):
    return 1 - code_distance(codes_a, codes_b)


def _not_normalised(codes_a, codes_b):
    return code_distance(codes_a, codes_b) * codes_a.shape[1]


def _as_numbers(codes_a, codes_b):
    return np.abs(codes_a[:, None].astype(float) - codes_b).mean(axis=2)


def _signs_only(codes_a, codes_b):
    signs_a, signs_b = (2.0 * codes - 1 for codes in (codes_a, codes_b))
    return (codes_a.shape[1] - signs_a @ signs_b.T) / (2 * codes_a.shape[1])


def _four_pieces(codes_a, codes_b):
    return code_distance(np.minimum(codes_a, 3), np.minimum(codes_b, 3))


_rng = np.random.default_rng(1)
_a, _b = (_rng.integers(4, size=(N, 10), dtype=np.uint8) for N in (6, 9))
_a[0], _b[0], _a[1] = 3, 1, _b[1]  # one piece in all units; a code twice
_MORE_a, _MORE_b = _a.copy(), _b.copy()
_MORE_a[2], _MORE_b[2] = 5, 6  # more pieces on one side, and more than four
exercise(
    "20.3",
    solution=code_distance,
    cases=[(_a, _b), (_MORE_a, _MORE_b)],
    wrong={
        _agreements: "equal codes get 1 from you. Do you count agreements or differences?",
        _not_normalised: "your distances reach 10 for 10 units. Is a number or a share asked for?",
        _signs_only: "two equal codes are not at distance 0. Do the products of equal pieces add up right?",
        _as_numbers: "a code of threes and a code of ones are at distance 2. Are pieces numbers or names?",
        _four_pieces: "codes with seven pieces, the highest only in codes_b, go wrong. "
        "Where does the number of pieces come from?",
    },
    equal=within(1e-5),
    otherwise="your distances are off. What should the product of two pieces be if they are equal, "
    "and what if they are not?",
)


def neighbours(distance, k):
    distance = distance.copy()
    np.fill_diagonal(distance, np.inf)
    return distance.argsort(axis=1, kind="stable")[:, :k]


def _with_itself(distance, k):
    return distance.argsort(axis=1, kind="stable")[:, :k]


def _without_the_first(distance, k):
    return distance.argsort(axis=1, kind="stable")[:, 1 : k + 1]


def _without_copies(distance, k):
    return neighbours(np.where(distance == 0, np.inf, distance), k)


def _nearest_last(distance, k):
    return neighbours(distance, k)[:, ::-1]


_rng = np.random.default_rng(2)
_APART = np.zeros((12, 12))
_APART[np.triu_indices(12, 1)] = _rng.permutation(66) + 1.0
_APART += _APART.T
_COPIES = _APART.copy()
_COPIES[[3, 8]], _COPIES[:, [3, 8]] = _COPIES[3], _COPIES[:, [3]]  # points 3 and 8 are copies
_COPIES[3, 8] = _COPIES[8, 3] = _COPIES[3, 3] = _COPIES[8, 8] = 0
_TIES = _rng.integers(1, 3, size=(40, 40)).astype(float)
_TIES = np.minimum(_TIES, _TIES.T)
exercise(
    "20.4",
    solution=neighbours,
    cases=[(_APART, 4), (_COPIES, 4), (_TIES, 4)],
    wrong={
        _with_itself: "a point is among its own neighbours. How can it be kept out?",
        _nearest_last: "the right points, but the nearest one comes last. Which one comes first?",
        _without_the_first: "two copies at distance 0, and one is its own neighbour. "
        "Is a point always the first in its row?",
        _without_copies: "two copies at distance 0 are not neighbours of each other. "
        "Does distance 0 mean the same point?",
    },
    otherwise=lambda got, truth, distance, k: (
        "some neighbours are not the nearest ones. In which order do you sort, and along which axis?"
        if distance is _APART
        else "with ties some neighbours are off. Which of two equally near points should come first?"
        if distance is _COPIES
        else "forty points, all at distance 1 or 2 from each other, go wrong. "
        "Does your sort keep the order of equal distances, and is a point kept out for certain?"
    ),
)


@exercise("20.6")
def check_20_6(attempt):
    def count(params, x, u):
        return call(attempt, params, x, u, shape=(len(params) - 1,), like=np.zeros(1, int))

    def codes(params, x):
        found = []
        for W, b in params[:-1]:
            u = x @ W.T + b
            found, x = [*found, u > 0], np.maximum(u, 0)
        return found

    out, both = (np.ones((1, 2)), np.zeros(1)), np.array([[1.0], [-1.0]])
    fold = (both @ np.array([[2.0, 2.0]]), np.array([-1.0, 1.0]))  # u -> 2|z| - 1 and its negative
    ends = np.array([-0.93]), np.array([0.97])
    got = count([(both, np.zeros(2)), fold, fold, out], *ends)
    ask(
        got[0] == 2,
        "two units of layer 1 change on the way through 0, and your count for layer 1 is another. "
        "How often does an affine function change its sign?",
    )
    ask(
        (got == [2, 4, 8]).all(),
        "three layers that fold a line flip 2, 4 and 8 times from -0.93 to 0.97. "
        "Where on the way does a deeper unit's slope change?",
    )
    narrow = (both @ np.array([[1.0, 1.0]]), np.array([-1e-10, 1e-10]))  # |z| - 1e-10
    ask(
        (count([(both, np.zeros(2)), narrow, out], *ends) == [2, 4]).all(),
        "two flips within 1e-9 of the way are lost. Do you sample the way, or compute where signs change?",
    )
    for seed in range(3):
        rng, sizes = np.random.default_rng(seed), [4, 9, 8, 7, 2]
        params = [
            (rng.normal(size=(o, i)), rng.normal(size=o)) for i, o in zip(sizes[:-1], sizes[1:], strict=True)
        ]
        x, u = 3 * rng.normal(size=(2, 4))
        got, t = count(params, x, u), np.linspace(0, 1, 20_001)[:, None]
        back = count(params, u, x)
        ask((back == got).all(), "the way back has another count. Does it cross other fences?")
        middle = x + 0.382 * (u - x)
        halves = count(params, x, middle) + count(params, middle, u)
        ask((halves == got).all(), "a stop on the way changes the count. What do the two halves add up to?")
        seen = [(c[1:] != c[:-1]).sum() for c in codes(params, (1 - t) * x + t * u)]
        ask(
            (got == seen).all(),
            f"on a random network you count {got.tolist()}, and 20,000 small steps see "
            f"{[int(n) for n in seen]} flips. Which layer goes wrong first?",
        )
