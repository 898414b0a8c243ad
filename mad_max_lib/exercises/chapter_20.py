"""Chapter 20, a distance between codes."""

import time
import tracemalloc

import numpy as np

from . import ask, call, exercise, within

exercise(
    "20.1",
    solution=(1 / 8, 5 / 8),
    wrong={
        (0, 5 / 8): "can x and v have the same code, if p differs from one in two units and from the other "
        "in three?",
        (1 / 8, 1): "how many of the 8 units can change at all on the way from x over p to v?",
        (5 / 8, 5 / 8): "both values are equal. "
        "Can a unit that changes between x and p change back between p and v?",
        (5 / 8, 1 / 8): "which of your two values is the smaller one, and which was to come first?",
        (1, 5): "a distance is at most 1. Which share of the layer are the units that you count?",
        (12.5, 62.5): "you answer in percent, and a distance is at most 1. Which share of the layer is that?",
    },
    otherwise=lambda got, truth: (
        "a distance is at most 1, and one of your values is larger. By what is the number of units divided?"
        if max(got) > 1
        else "the smallest value is off. What if as many units as possible change back?"
        if not np.isclose(got[0], truth[0])
        else "the largest value is off. What if no unit changes twice?"
    ),
    why="Two units change between x and p, three between p and v. If the two are among the three, they "
    "change back, and one difference remains; if none is, all five remain. If one of the two is among the "
    "three, three differences remain. Two or four differing units are impossible.",
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


def _way_negative(W, b, x, direction):
    return -free_way(W, b, x, direction)


def _way_last(W, b, x, direction):
    u, rate = W @ x + b, W @ direction
    nears = u * rate < 0
    return np.max(-u[nears] / rate[nears]) if nears.any() else np.inf


def _way_off(got, truth, *_):
    if got <= 0:
        return "your t is not positive. On which side of x does it lie?"
    if np.isinf(truth):
        return "in one case no row comes nearer to zero, and you stop all the same. What is the answer then?"
    if got > truth:
        return "before your t a sign has changed already. Which of the borders ahead comes first?"
    return "from x to your t no sign has changed, and none changes there. Which row should be zero at t?"


_rng = np.random.default_rng(0)
_W, _b, _ORIGIN = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0]]), np.array([-3.0, -1.0, 4.0]), np.zeros(2)
exercise(
    "20.2",
    solution=free_way,
    cases=[
        *[
            (_W, _b, _ORIGIN, np.array(d))
            for d in ([1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [4.0, 0.0], [0.0, -1.0])
        ],
        (_W[:1], _b[:1], _ORIGIN, np.array([-1.0, 0.0])),
        (_rng.normal(size=(20, 5)), _rng.normal(size=20), _rng.normal(size=5), _rng.normal(size=5)),
    ],
    wrong={
        _way_both_directions: "from 0, with borders at 3 and -1, you go to the right and stop at the border "
        "on the left. Which rows come nearer to zero?",
        _way_distance: "your answer is the same to the right, to the left and up. "
        "What should the direction do?",
        _way_only_switching_off: "one border at 3 lies ahead and yours is not it. "
        "Do rows that are below zero have borders, and which way does the direction point?",
        _way_length: "with a direction four times as long you do not stop at a quarter of t. "
        "Is the answer a length or a multiple of the direction?",
        _way_negative: _way_off,
        _way_last: _way_off,
    },
    otherwise=_way_off,
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


def _negative(codes_a, codes_b):
    return -code_distance(codes_a, codes_b)


def _per_place(codes_a, codes_b):
    R = 1 + max(codes_a.max(), codes_b.max())
    return 1 - (1 - code_distance(codes_a, codes_b)) / R


def _loop(codes_a, codes_b):
    return np.array([[(a != b).mean() for b in codes_b] for a in codes_a])


def _broadcast(codes_a, codes_b):
    return (codes_a[:, None] != codes_b).mean(axis=2)


def _bytes(codes_a, codes_b):
    """One-hot rows of a byte each: the product of two equal codes of 256 units or more overflows."""
    R, K = 1 + max(codes_a.max(), codes_b.max()), codes_a.shape[1]
    places_a, places_b = (np.eye(R, dtype=np.uint8)[c].reshape(len(c), -1) for c in (codes_a, codes_b))
    return 1 - places_a @ places_b.T / K


def _as_bytes(codes_a, codes_b):
    """|a - b| of bytes, which wraps around below 0."""
    return np.abs(codes_a[:, None] - codes_b).mean(axis=2)


def _distance_off(got, truth, codes_a, codes_b):
    apart = truth > 0
    ratio = got[apart] / truth[apart]
    if np.abs(got[~apart]).max(initial=0) < 1e-5 and np.ptp(ratio) < 1e-5:
        return (
            f"your distances are right up to the factor {ratio[0]:.4g}. Which sign has a share, and by what "
            "is a number of units divided?"
        )
    if got.min() < -1e-6 or got.max() > 1 + 1e-6:
        return (
            "some of your distances lie outside 0 to 1. How much does a unit with the pieces 0 and 2 add to "
            "yours, and how much should it?"
        )
    if np.abs(got[truth == 0]).max(initial=0) > 1e-5:
        return "two equal codes are not at distance 0. What is the inner product of their two rows?"
    return (
        "your distances are off. What should the product of two pieces be if they are equal, "
        "and what if they are not?"
    )


_rng = np.random.default_rng(1)
_a, _b = (_rng.integers(4, size=(N, 10), dtype=np.uint8) for N in (6, 9))
_a[0], _b[0], _a[1] = 3, 1, _b[1]  # one piece in all units; a code twice
_MORE_a, _MORE_b = _a.copy(), _b.copy()
_MORE_a[2], _MORE_b[2] = 5, 6  # more pieces on one side, and more than four
_WIDE = _rng.integers(2, size=(3, 300), dtype=np.uint8)
_TOO_SLOW = (
    "your distances are right, and 400 times 400 of them take {:.1f} seconds. Which loop can a product of "
)
_TOO_SLOW += "two matrices replace?"
_TOO_LARGE = (
    "your distances are right, and for 400 and 400 codes of 100 units your version holds {:.0f} MB at once. "
)
_TOO_LARGE += "Which array of yours has an entry for each pair and each unit, and does a product need it?"


@exercise(
    "20.3",
    solution=code_distance,
    cases=[
        (_a, _b),
        (_MORE_a, _MORE_b),
        (_MORE_b.astype(int), _MORE_a.astype(int)),
        (_a % 2, _b % 2),
        (_WIDE, _WIDE),
    ],
    wrong={
        _loop: _TOO_SLOW,
        _broadcast: _TOO_LARGE,
        _bytes: "two equal codes of 300 units are not at distance 0, and those of 10 units are. "
        "How large a number can your dtype hold?",
        _as_bytes: _distance_off,
        _agreements: "equal codes get 1 from you. Do you count agreements or differences?",
        _not_normalised: "your distances reach 10 for 10 units. Is a number or a share asked for?",
        _signs_only: "two equal codes are not at distance 0. Do the products of equal pieces add up right?",
        _as_numbers: "a code of threes and a code of ones are at distance 2. Are pieces numbers or names?",
        _four_pieces: "codes with seven pieces, the highest only in codes_b, go wrong. "
        "Where does the number of pieces come from?",
        _negative: _distance_off,
        _per_place: _distance_off,
    },
    equal=within(1e-5),
    otherwise=_distance_off,
)
def check_20_3(attempt):
    """Time and memory of right distances; wrong ones are told by the cases."""
    codes, took = np.random.default_rng(2).integers(2, size=(2, 400, 100), dtype=np.uint8), []

    def timed(*codes):
        begin = time.thread_time()
        answer = attempt(*codes)
        took.append(time.thread_time() - begin)
        return answer

    few = call(attempt, _a, _b, shape=(6, 9), like=np.zeros(1), may_be_nan=True)
    if not within(1e-5)(few, code_distance(_a, _b)):
        return
    right = within(1e-5)(call(timed, *codes, shape=(400, 400), may_be_nan=True), code_distance(*codes))
    if right and took[0] > 0.15:  # a second try, in case that the first was disturbed
        call(timed, *codes)
    ask(not right or min(took) < 0.15, _TOO_SLOW.format(min(took)))
    tracemalloc.start()
    call(attempt, *codes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    ask(not right or peak < 400 * 400 * 100 / 2, _TOO_LARGE.format(peak / 1e6))


def estimate_angles(codes_a, codes_b):
    share = (codes_a != codes_b).mean(axis=1)
    return 180 * share, 180 * np.sqrt(share * (1 - share) / codes_a.shape[1])


def _angles_radians(codes_a, codes_b):
    return tuple(np.pi / 180 * part for part in estimate_angles(codes_a, codes_b))


def _angles_shares(codes_a, codes_b):
    return tuple(part / 180 for part in estimate_angles(codes_a, codes_b))


def _angles_spread_of_the_share(codes_a, codes_b):
    angles, spread = estimate_angles(codes_a, codes_b)
    return angles, spread / 180


def _angles_variance(codes_a, codes_b):
    angles, spread = estimate_angles(codes_a, codes_b)
    return angles, spread**2


def _angles_spread_of_the_count(codes_a, codes_b):
    angles, spread = estimate_angles(codes_a, codes_b)
    return angles, spread * codes_a.shape[1]


def _angles_widest(codes_a, codes_b):
    angles, _ = estimate_angles(codes_a, codes_b)
    return angles, np.full(len(angles), 90 / np.sqrt(codes_a.shape[1]))


def _angles_agreements(codes_a, codes_b):
    angles, spread = estimate_angles(codes_a, codes_b)
    return 180 - angles, spread


def _angles_over_rows(codes_a, codes_b):
    """N in place of K under the root."""
    angles, spread = estimate_angles(codes_a, codes_b)
    return angles, spread * np.sqrt(codes_a.shape[1] / len(codes_a))


def _angles_std_of_pairs(codes_a, codes_b):
    angles, _ = estimate_angles(codes_a, codes_b)
    return angles, np.full(len(angles), angles.std())


def _angles_swapped(codes_a, codes_b):
    return estimate_angles(codes_a, codes_b)[::-1]


def _angles_of_counts(codes_a, codes_b):
    """The number of units in place of their share."""
    count = (codes_a != codes_b).sum(axis=1)
    return 180 * count, 180 * np.sqrt(count * (1 - count) / codes_a.shape[1])


def _angles_degrees_under_the_root(codes_a, codes_b):
    angles, _ = estimate_angles(codes_a, codes_b)
    return angles, np.sqrt(angles * (1 - angles) / codes_a.shape[1])


def _angles_signed(codes_a, codes_b):
    share = (codes_a - codes_b).mean(axis=1)
    return 180 * share, 180 * np.sqrt(share * (1 - share) / codes_a.shape[1])


def _angles_off(got, truth, codes_a, codes_b):
    (angles, spread), (right, width) = got, truth
    K = codes_a.shape[1]
    if np.allclose(angles, right, atol=1e-6):
        for n in np.flatnonzero(~np.isclose(spread, width, atol=1e-6))[:1]:
            return (
                f"your angles are right, and the spread in row {n} is off: "
                f"{(codes_a != codes_b).sum(1)[n]} of {K} units differ there. "
                "What is the standard deviation of that share, and what becomes of it in degrees?"
            )
    if np.allclose(angles, 180 - right, atol=1e-6):
        return "two equal codes get 180 degrees from you. Which units count, those that agree or the others?"
    n = np.abs(angles - right).argmax()
    return (
        f"in row {n}, {(codes_a != codes_b).sum(1)[n]} of {K} units differ, and your angle is "
        f"{angles[n]:.1f}. "
        "What is the largest angle that two signals can have, and how many units differ then?"
    )


_rng = np.random.default_rng(2)
_one, _two = _rng.integers(2, size=(2, 7, 40))
_two[0], _two[1] = _one[0], 1 - _one[1]  # equal codes, and opposite ones
_two[2, 5:] = _one[2, 5:]


@exercise(
    "20.4",
    solution=estimate_angles,
    cases=[(_one, _two), (_one[:3, :25], _two[:3, :25])],
    wrong={
        _angles_radians: "where all units differ your angle is 3.14. In which unit is the answer asked for?",
        _angles_shares: "where all units differ your angle is 1. Which angle have two opposite signals?",
        _angles_agreements: _angles_off,
        _angles_spread_of_the_share: "your angles are right and every spread is below 0.1. "
        "Is it the spread of the share or that of the angle?",
        _angles_variance: "your angles are right, and the spreads are in squared degrees. "
        "Which power of the standard deviation is asked for?",
        _angles_spread_of_the_count: "your angles are right, and some of your spreads are above 180 degrees. "
        "Is it the spread of the number of units or that of their share?",
        _angles_widest: "your spread is the same in every row, also where the two codes are equal. "
        "Which share stands under the root?",
        _angles_over_rows: "your spreads are right up to one factor. How many independent trials are there "
        "in one row?",
        _angles_swapped: "your two results are the right ones in another order. Which was to come first?",
        _angles_of_counts: _angles_off,
        _angles_degrees_under_the_root: _angles_off,
        _angles_signed: _angles_off,
        _angles_std_of_pairs: "your spread is the same in every row. Is it that of one estimate, "
        "or that of the angles among each other?",
    },
    equal=within(1e-6),
    otherwise=_angles_off,
)
def check_20_4(attempt):
    """What would be told by its type or by NaN alone."""
    angles, spread = call(attempt, _one, _two, shape=[(7,), (7,)], may_be_nan=True)
    count = (_one != _two).sum(axis=1)
    ask(
        not np.allclose(angles, 180 * count),
        f"where all 40 units differ your angle is {angles[1]:.0f} degrees. Is the number of units asked for, "
        "or their share?",
    )
    ask(
        not (angles < -1e-9).any(),
        "an angle of yours is negative. What does a unit add that is on only at the second of the signals?",
    )
    lost = np.flatnonzero(np.isnan(spread))
    ask(
        np.isnan(angles).any() or not len(lost),
        f"your spread in row {lost[0] if len(lost) else 0} is NaN: a negative number stands under the root. "
        "Can that happen if you take the share there, and not degrees?",
    )


exercise(
    "20.5",
    solution=324,
    wrong={
        18: "with 18 units the spread at a right angle is above 20 degrees. "
        "How does the number of units enter the standard deviation?",
        1296: "with 1,296 units the spread is at most 2.5 degrees. "
        "What is the largest value of the product under the root?",
        81: "with 81 units the spread at a right angle is 10 degrees. By which factor does a share become "
        "degrees?",
        288: "with 288 units the spread is small enough at 60 degrees. At which angle is it largest?",
        0.25: "a number of units is a whole number. Did you take 5 degrees for a share?",
    },
    otherwise=lambda got, truth: (
        "a layer has at least one unit. Which sign does a square have?"
        if got <= 0
        else f"with {float(got):g} unit{'' if got == 1 else 's'} the spread "
        "exceeds 5 degrees somewhere. Where is it largest?"
        if got < truth
        else "fewer units are enough. How large can the product under the root become at most?"
    ),
    why="The product under the root is largest at a right angle, where it is 1/4. So the spread is at most "
    "180 sqrt(1/4 / K) = 90 / sqrt(K) degrees, and 90 / sqrt(K) = 5 at K = 18^2 = 324.",
)


@exercise("20.6")
def check_20_6(attempt):
    def count(params, x, v):
        return call(attempt, params, x, v, shape=(len(params) - 1,), like=np.zeros(1, int))

    def codes(params, x):
        found = []
        for W, b in params[:-1]:
            u = x @ W.T + b
            found, x = [*found, u > 0], np.maximum(u, 0)
        return found

    out, both = (np.ones((1, 2)), np.zeros(1)), np.array([[1.0], [-1.0]])
    fold = (both @ np.array([[2.0, 2.0]]), np.array([-1.0, 1.0]))  # u -> 2|z| - 1 and its negative
    ends = np.array([-0.93]), np.array([0.97])
    apart = np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([-0.5, 0.5])  # u -> z - 1/2 and its negative
    steep = (both @ np.array([[4.0, 4.0]]), np.array([-1.0, 1.0]))  # and of it 4|z - 1/2| - 1
    got = count([(both, np.zeros(2)), fold, fold, out], *ends)
    ask(
        got[0] == 2,
        "two units of layer 1 change on the way through 0, and your count for layer 1 is another. "
        "How often does an affine function change its sign?",
    )
    ask(
        got[1] == 4,
        "the two units of layer 2 change twice each on the way, and your count for layer 2 is another. "
        "Where on the way does a later unit's slope change?",
    )
    ask(
        (count([(both, np.zeros(2)), apart, steep, out], *ends) == [2, 2, 4]).all(),
        "layers 1 and 2 are counted right, and layer 3 is not, though it bends only where layer 2 changes. "
        "At which share of the whole way, and not of a part of it, is that place?",
    )
    ask(
        got[2] == 8,
        "layers 1 and 2 are counted right, and layer 3 is not. "
        "Which of the earlier changes bend a unit of layer 3, and where are they?",
    )
    narrow = (both @ np.array([[1.0, 1.0]]), np.array([-1e-10, 1e-10]))  # |z| - 1e-10
    ask(
        (count([(both, np.zeros(2)), narrow, out], *ends) == [2, 4]).all(),
        "two changes within 1e-9 of the way are lost. Are all places where a sign changes computed, "
        "and are any two of them taken for one?",
    )
    for seed in range(3):
        rng, sizes = np.random.default_rng(seed), [4, 9, 8, 7, 2]
        params = [
            (rng.normal(size=(o, i)), rng.normal(size=o)) for i, o in zip(sizes[:-1], sizes[1:], strict=True)
        ]
        x, v = 3 * rng.normal(size=(2, 4))
        got, t = count(params, x, v), np.linspace(0, 1, 20_001)[:, None]
        back = count(params, v, x)
        ask((back == got).all(), "the way back has another count. Does it cross other borders?")
        middle = x + 0.382 * (v - x)
        halves = count(params, x, middle) + count(params, middle, v)
        ask((halves == got).all(), "a stop on the way changes the count. What do the two halves add up to?")
        seen = [(c[1:] != c[:-1]).sum() for c in codes(params, (1 - t) * x + t * v)]
        ask(
            (got == seen).all(),
            f"on a random network you count {got.tolist()}, and 20,000 small steps see "
            f"{[int(n) for n in seen]} changes. Which layer goes wrong first?",
        )
