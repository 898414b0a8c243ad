"""Chapter 11, a distance between codes."""

import numpy as np

from . import ask, call, exercise, value


@exercise(
    "11.1",
    solution=(1 / 8, 5 / 8),
    wrong=[(0, 5 / 8), (1 / 8, 3 / 8), (1 / 8, 1), (5 / 8, 5 / 8), (3 / 8, 5 / 8)],
    why="Two units flip between x and u, three between u and v. If the two are among the three, they flip back, and one "
    "difference remains; if none is, all five remain. With one unit in common it is 3/8: the even numbers cannot occur.",
)
def _(attempt):
    low, high = value(attempt, (2,))
    ask(low < high, "these leave no room. Can a unit that flips between x and u flip back between u and v?")
    ask(low > 0, "can x and v have the same code, if u differs from one in two units and from the other in three?")
    ask(high < 1, "how many of the 8 units can flip at all on the way from x over u to v?")
    ask(np.isclose(low, 1 / 8), "the smallest value is off. What if as many units as possible flip back?")
    ask(np.isclose(high, 5 / 8), "the largest value is off. What if no unit flips twice?")


def free_way(W, b, x, direction):
    u, rate = W @ x + b, W @ direction
    nears = u * rate < 0
    return np.min(-u[nears] / rate[nears], initial=np.inf)


def _way_both_directions(W, b, x, direction):
    u, rate = W @ x + b, W @ direction
    return np.abs(u[rate != 0] / rate[rate != 0]).min(initial=np.inf)


def _way_distance(W, b, x, direction):
    return (np.abs(W @ x + b) / np.linalg.norm(W, axis=1)).min()


def _way_only_switching_off(W, b, x, direction):
    u, rate = W @ x + b, W @ direction
    nears = (u > 0) & (rate < 0)
    return np.min(-u[nears] / rate[nears], initial=np.inf)


@exercise(
    "11.2",
    solution=free_way,
    wrong=[_way_both_directions, _way_distance, _way_only_switching_off],
)
def _(attempt):
    W, b, x = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0]]), np.array([-3.0, -1.0, 4.0]), np.zeros(2)
    with np.errstate(all="ignore"):
        first, back, up, long = (
            call(attempt, W, b, x, np.array(d), shape=()) for d in ([1.0, 0], [-1.0, 0], [0, 1.0], [4.0, 0])
        )
        one = call(attempt, W[:1], b[:1], x, np.array([-1.0, 0]), shape=())
    ask(np.isinf(first) or not first == back == up,
        "your answer is the same to the right, to the left and up. What should the direction do?")  # fmt: skip
    ask(not (first == 1 and back == 1), "from 0, fences at 3 and -1: walking to the right you stop at the one "
        "on the left. Which rows come nearer to zero?")  # fmt: skip
    ask(np.isclose(first, 3), "one fence at 3 lies ahead and yours is not it. Do rows that are below zero have fences, "
        "and which way does the direction point?")  # fmt: skip
    ask(np.isclose(back, 1), "a fence at distance 1 on the left is missed. Which sign does its row have at x?")
    ask(np.isinf(up) and np.isinf(one), "where no row comes nearer to zero you still stop. What is the answer then?")
    ask(np.isclose(long, 0.75), "with a direction four times as long you do not stop at a quarter of t. "
        "Is the answer a length or a multiple of the direction?")  # fmt: skip
    rng = np.random.default_rng(0)
    W, b, x, direction = rng.normal(size=(20, 5)), rng.normal(size=20), rng.normal(size=5), rng.normal(size=5)
    got = call(attempt, W, b, x, direction, shape=())
    signs = [W @ (x + share * got * direction) + b > 0 for share in (0, 0.999, 1.001)]
    ask((signs[0] == signs[1]).all(), "before your t the signs have changed already. Which of many fences comes first?")
    ask((signs[0] != signs[2]).any(), "beyond your t nothing has changed yet. Which row should be zero there?")


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
    places_a, places_b = (np.eye(4)[np.minimum(codes, 3)].reshape(len(codes), -1) for codes in (codes_a, codes_b))
    return 1 - places_a @ places_b.T / codes_a.shape[1]


@exercise(
    "11.3",
    solution=code_distance,
    wrong=[_agreements, _not_normalised, _as_numbers, _signs_only, _four_pieces],
)
def _(attempt):
    rng = np.random.default_rng(1)
    a, b = rng.integers(4, size=(6, 10), dtype=np.uint8), rng.integers(4, size=(9, 10), dtype=np.uint8)
    a[0], b[0] = 3, 1  # one piece in all units
    a[1] = b[1]
    got, truth = call(attempt, a, b, shape=(6, 9)), (a[:, None] != b).mean(axis=2)
    ask(not np.allclose(got, 1 - truth), "equal codes get 1 from you. Do you count agreements or differences?")
    ask(not np.allclose(got, 10 * truth), "your distances reach 10 for 10 units. Is a number or a share asked for?")
    ask(np.isclose(got[1, 1], 0), "two equal codes are not at distance 0. Do the products of equal pieces add up right?")
    ask(not np.isclose(got[0, 0], 2), "a code of threes and a code of ones are at distance 2. Are pieces numbers or names?")
    ask(np.allclose(got, truth, rtol=0, atol=1e-5), "with four pieces your distances are off. What should the product "
        "of two pieces be if they are equal, and what if they are not?")  # fmt: skip
    b[2], a[2] = 6, 5  # more pieces on one side, and more than four
    ask(np.allclose(call(attempt, a, b, shape=(6, 9)), (a[:, None] != b).mean(axis=2), rtol=0, atol=1e-5),
        "codes with seven pieces, the highest only in codes_b, go wrong. Where does the number of pieces come from?")


def neighbours(distance, k):
    distance = distance.copy()
    np.fill_diagonal(distance, np.inf)
    return distance.argsort(axis=1, kind="stable")[:, :k]


def _with_itself(distance, k):
    return distance.argsort(axis=1, kind="stable")[:, :k]


def _without_the_first(distance, k):
    return distance.argsort(axis=1, kind="stable")[:, 1 : k + 1]


def _nearest_last(distance, k):
    return neighbours(distance, k)[:, ::-1]


@exercise(
    "11.4",
    solution=neighbours,
    wrong=[_with_itself, _without_the_first, _nearest_last],
)
def _(attempt):
    rng = np.random.default_rng(2)
    distance = np.zeros((12, 12))
    distance[np.triu_indices(12, 1)] = rng.permutation(66) + 1.0
    distance += distance.T
    got, truth = call(attempt, distance, 4, shape=(12, 4)), neighbours(distance, 4)
    ask(not (got == np.arange(12)[:, None]).any(), "a point is among its own neighbours. How can it be kept out?")
    ask(not (got == truth[:, ::-1]).all(), "the right points, but the nearest one comes last. Which one comes first?")
    ask((got == truth).all(), "some neighbours are not the nearest ones. In which order do you sort, and along which axis?")
    distance[[3, 8]], distance[:, [3, 8]] = distance[3], distance[:, [3]]  # points 3 and 8 are copies
    distance[3, 8] = distance[8, 3] = distance[3, 3] = distance[8, 8] = 0
    got = call(attempt, distance, 4, shape=(12, 4))
    ask(got[8, 0] != 8 and got[3, 0] != 3, "two copies at distance 0, and one is its own neighbour. "
        "Is a point always the first in its row?")  # fmt: skip
    ask(got[8, 0] == 3 and got[3, 0] == 8, "two copies at distance 0 are not neighbours of each other. "
        "Does distance 0 mean the same point?")  # fmt: skip
    ask((got == neighbours(distance, 4)).all(), "with ties some neighbours are off. Which of two equally near points "
        "should come first?")  # fmt: skip
    same = np.ones((40, 40))
    ask((call(attempt, same, 4, shape=(40, 4)) == neighbours(same, 4)).all(), "forty points, all equally far from each "
        "other, go wrong. Does your sort keep the order of equal distances, and is a point kept out for certain?")


@exercise("11.6")
def _(attempt):
    def count(params, x, u):
        return call(attempt, params, x, u, shape=(len(params) - 1,))

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
    ask(got[0] == 2, "two units of layer 1 change on the way through 0, and your count for layer 1 is another. "
        "How often does an affine function change its sign?")  # fmt: skip
    ask((got == [2, 4, 8]).all(), "three layers that fold a line flip 2, 4 and 8 times from -0.93 to 0.97. "
        "Where on the way does a deeper unit's slope change?")  # fmt: skip
    narrow = (both @ np.array([[1.0, 1.0]]), np.array([-1e-10, 1e-10]))  # |z| - 1e-10
    ask((count([(both, np.zeros(2)), narrow, out], *ends) == [2, 4]).all(),
        "two flips within 1e-9 of the way are lost. Do you sample the way, or compute where signs change?")  # fmt: skip
    for seed in range(3):
        rng, sizes = np.random.default_rng(seed), [4, 9, 8, 7, 2]
        params = [(rng.normal(size=(o, i)), rng.normal(size=o)) for i, o in zip(sizes, sizes[1:], strict=False)]
        x, u = 3 * rng.normal(size=(2, 4))
        got, t = count(params, x, u), np.linspace(0, 1, 20_001)[:, None]
        ask((count(params, u, x) == got).all(), "the way back has another count. Does it cross other fences?")
        middle = x + 0.382 * (u - x)
        ask((count(params, x, middle) + count(params, middle, u) == got).all(),
            "a stop on the way changes the count. What do the two halves add up to?")  # fmt: skip
        seen = [(c[1:] != c[:-1]).sum() for c in codes(params, (1 - t) * x + t * u)]
        ask((got == seen).all(), f"on a random network you count {got.tolist()}, and 20,000 small steps see "
            f"{[int(n) for n in seen]} flips. Which layer goes wrong first?")  # fmt: skip
