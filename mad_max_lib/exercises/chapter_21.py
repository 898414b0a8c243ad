"""Chapter 21, what the distance finds."""

from itertools import permutations

import numpy as np

from . import ask, call, exercise, within
from .answers import marks


def agreement(distance, y, k):
    distance = distance.copy()
    np.fill_diagonal(distance, np.inf)
    nearest = distance.argsort(axis=1, kind="stable")[:, :k]  # (N, k)
    return (y[nearest] == y[:, None]).mean(axis=1)


def _agreement_with_itself(distance, y, k):
    nearest = distance.argsort(axis=1, kind="stable")[:, :k]
    return (y[nearest] == y[:, None]).mean(axis=1)


def _agreement_without_the_first(distance, y, k):
    nearest = distance.argsort(axis=1, kind="stable")[:, 1 : k + 1]
    return (y[nearest] == y[:, None]).mean(axis=1)


def _agreement_without_copies(distance, y, k):
    return agreement(np.where(distance == 0, np.inf, distance), y, k)


def _agreement_farthest(distance, y, k):
    return agreement(-distance, y, k)


def _disagreement(distance, y, k):
    return 1 - agreement(distance, y, k)


def _agreement_in_percent(distance, y, k):
    return 100 * agreement(distance, y, k)


def _agreement_counted(distance, y, k):
    return k * agreement(distance, y, k)


def _agreement_everywhere(distance, y, k):
    return np.full(len(y), agreement(distance, y, k).mean())


def _agreement_one_short(distance, y, k):
    return agreement(distance, y, k - 1)


def _agreement_one_farther(distance, y, k):
    return _agreement_with_itself(distance + np.eye(len(y)), y, k)


def _symmetric(values, N):
    distance = np.zeros((N, N))
    distance[np.triu_indices(N, 1)] = values
    return distance + distance.T


def _first_off(got, truth):
    return int(np.argmax(~np.isclose(got, truth)))


_rng = np.random.default_rng(0)
_APART, _LABELS = _symmetric(_rng.permutation(66) + 1.0, 12), _rng.integers(3, size=12)
_COPIES, _ODD_ONE = _APART.copy(), np.arange(12) == 8
_COPIES[[3, 8]], _COPIES[:, [3, 8]] = _COPIES[3], _COPIES[:, [3]]  # 8 is a copy of 3 with another label
_COPIES[3, 8] = _COPIES[8, 3] = _COPIES[3, 3] = _COPIES[8, 8] = 0
_TIES = _symmetric(_rng.integers(1, 3, size=780).astype(float), 40)
exercise(
    "21.1",
    solution=agreement,
    cases=[(_APART, _LABELS, 4), (_COPIES, _ODD_ONE.astype(int), 4), (_TIES, _rng.integers(4, size=40), 7)],
    wrong={
        _agreement_with_itself: "a point counts among its own neighbours. How can it be kept out?",
        _agreement_one_farther: "a point is its own neighbour where distances are larger than 1. "
        "Which value keeps it out at any scale?",
        _agreement_without_the_first: "two copies at distance 0 have different labels, and one of them "
        "counts "
        "itself. Is a point always the first in its own row?",
        _agreement_without_copies: "two copies at distance 0 are not neighbours of each other in your "
        "version. "
        "Does distance 0 mean the same point?",
        _agreement_farthest: "your neighbours are the farthest points. Which end of the order is needed?",
        _disagreement: "where all neighbours have the point's label your share is 0. What is counted?",
        _agreement_in_percent: "one of your shares is larger than 1. Is a share or a percentage asked for?",
        _agreement_counted: "one of your shares is larger than 1. What must the count be divided by?",
        _agreement_everywhere: "all points have the same share in your version. Over which axis is the mean?",
        _agreement_one_short: "your shares are those of one neighbour fewer. Where does your slice end?",
    },
    otherwise=lambda got, truth, distance, y, k: (
        f"twelve points at distances of 1 to 66, k = 4: the share of point {_first_off(got, truth)} is off. "
        "Which points may be its neighbours, and whose labels are compared?"
        if distance is _APART
        else "with two copies among the points some shares are off. Which points may be neighbours of a copy?"
        if distance is _COPIES
        else "with many equal distances some shares are off. Which of two equally near points comes first, "
        "and does your sort keep the order of equals?"
    ),
)


def at_best_rate(validation, scores):
    return scores[:, validation.mean(axis=0).argmax()]


def _rate_of_each_seed(validation, scores):
    return scores[np.arange(len(scores)), validation.argmax(axis=1)]


def _rate_by_the_score(validation, scores):
    return scores[:, scores.mean(axis=0).argmax()]


def _worst_rate(validation, scores):
    return scores[:, validation.mean(axis=0).argmin()]


def _largest_single(validation, scores):
    return scores[:, np.unravel_index(validation.argmax(), validation.shape)[1]]


def _largest_scores(validation, scores):
    return scores.max(axis=1)


def _mean_over_rates(validation, scores):
    return scores.mean(axis=1)


def _validation_itself(validation, scores):
    return at_best_rate(validation, validation)


def _number_of_best_seed(validation, scores):
    return scores[:, validation.mean(axis=1).argmax()]


def _rate_of_median(validation, scores):
    return scores[:, np.median(validation, axis=0).argmax()]


_VALIDATION = np.array([[99.5, 96.5, 97.0], [91.0, 95.5, 96.5], [90.0, 98.5, 91.0], [93.0, 94.0, 96.5]])
_SCORES = np.array([[82.0, 82.5, 80.0], [70.0, 81.0, 90.0], [69.0, 84.0, 92.0], [71.0, 80.5, 91.0]])
exercise(
    "21.2",
    solution=at_best_rate,
    cases=[
        (_VALIDATION, _SCORES),
        (_VALIDATION[:, ::-1].copy(), _SCORES[:, ::-1] + 1),
        (_SCORES[:3, :2], _VALIDATION[:3, 1:]),
    ],
    wrong={
        _rate_of_each_seed: "your four networks use different rates. How many rates may be chosen?",
        _rate_by_the_score: "your rate has the largest score. Which numbers may the choice depend on?",
        _largest_scores: "your scores are the largest of each seed. Which numbers may the choice depend on?",
        _worst_rate: "at your rate the mean validation accuracy is the smallest. Which one is asked for?",
        _largest_single: "one network alone decides in your version. What is compared, single "
        "accuracies or means?",
        _number_of_best_seed: "your column has the number of the best seed. Over which axis is the mean?",
        _rate_of_median: "one bad network cannot move your choice. Which average is asked for?",
        _mean_over_rates: "your answer mixes all rates. Which one rate is chosen?",
        _validation_itself: "the rate is right, and your numbers are accuracies. Which scores are asked for?",
    },
    otherwise="your scores are not those of one rate. Which column has the largest mean accuracy?",
)  # fmt: skip


@exercise(
    "21.3",
    solution=[1, 0, 0, 1],
    wrong={
        (1, 0, 1, 1): "which step size does the validation accuracy choose for B, and how pure are its "
        "codes there?",
        (1, 0, 1, 0): "statements 3 and 4: which step sizes does the validation accuracy choose, and not the "
        "purity?",
        (1, 1, 0, 1): "statement 2 speaks of all columns. Which number of the first row is largest?",
        (1, 1, 0, 0): "statement 2 speaks of all three columns, and statement 4 of the second-best for A. "
        "What stands in the column 0.01?",
        (1, 0, 0, 0): "which is the second-best step size for A, and how pure are its codes there?",
        (0, 0, 0, 1): "statement 1 compares the row of B with pixels. Which is its smallest number?",
        (0, 1, 1, 0): "your marks are those of the false statements. What does a 1 stand for?",
    },
    otherwise="not all of your marks are what the table shows. "
    "Which two numbers does each of the four statements compare?",
    why="1: 78, 82 and 84 are all above 76. 2: at 0.01 A has 90 and B 84. 3: the accuracy chooses 0.003 for "
    "A (80 %) and 0.01 for B (84 %). 4: with 0.01 for A it is 90 against 84, for 0.1 points of accuracy.",
)
def check_21_3(attempt):
    marks(attempt, 4, "What does a 1 stand for?")


def closest_pairs(distance, M):
    order = distance.argsort(axis=None, kind="stable")[:M]
    return np.stack(np.unravel_index(order, distance.shape), axis=1)


def _pairs_swapped(distance, M):
    return closest_pairs(distance, M)[:, ::-1]


def _pairs_by_columns(distance, M):
    return closest_pairs(distance.T, M)[:, ::-1]


def _pairs_one_a_row(distance, M):
    nearest = distance.argmin(axis=1)
    rows = distance.min(axis=1).argsort(kind="stable")[:M]
    return np.stack([rows, nearest[rows]], axis=1)


def _pairs_one_a_column(distance, M):
    return _pairs_one_a_row(distance.T, M)[:, ::-1]


def _pairs_farthest(distance, M):
    return closest_pairs(-distance, M)


def _pairs_farthest_first(distance, M):
    return closest_pairs(distance, M)[::-1]


def _pairs_square(distance, M):
    order = distance.argsort(axis=None, kind="stable")[:M]
    return np.stack([order // len(distance), order % len(distance)], axis=1)


def _pairs_above_the_diagonal(distance, M):
    return closest_pairs(np.where(np.triu(np.ones(distance.shape), 1) > 0, distance, np.inf), M)


_rng = np.random.default_rng(2)
_GRID = _rng.permutation(35).reshape(5, 7) + 1.0
_GRID[3, [1, 5]] = 0.1, 0.2  # two copies of the point of a row
_GRID[[0, 4], 6] = 0.3, 0.4  # and of a column
_EQUAL = _rng.integers(1, 4, size=(12, 30)) / 4


def _pairs_of_floats(distance, M):
    return closest_pairs(distance, M).astype(float)


def _same_whole_numbers(got, truth):
    return got.dtype.kind in "iu" and np.array_equal(got, truth)


exercise(
    "21.4",
    solution=closest_pairs,
    equal=_same_whole_numbers,
    cases=[(_GRID, 4), (_GRID.T.copy(), 5), (_EQUAL, 12)],
    wrong={
        _pairs_of_floats: "your numbers are floats, and the chapter indexes with them. "
        "Which type is asked for?",
        _pairs_swapped: "your columns hold the point of b first. Which one comes first?",
        _pairs_by_columns: "of equally near pairs yours are sorted by the point of b. Which number decides?",
        _pairs_one_a_row: "two points of b are copies of one point of a, and you find one of them. "
        "May a point of a stand in several pairs?",
        _pairs_one_a_column: "two points of a are copies of one point of b, and you find one of them. "
        "May a point of b stand in several pairs?",
        _pairs_farthest: "your pairs are the farthest ones. Which end of the order is needed?",
        _pairs_farthest_first: "the right pairs, but the closest one comes last. Which comes first?",
        _pairs_square: "a place in the flat array becomes the wrong pair. How long is a row of `distance`?",
        _pairs_above_the_diagonal: "pairs on and below the diagonal are missing. Are the two sets the same?",
    },
    otherwise=lambda got, truth, distance, M: (
        "with many equal distances your pairs are off. Which of two equally near pairs comes first?"
        if distance is _EQUAL
        else f"your first pair is at distance {_at(distance, got[0])}, and a closer pair than one of "
        "yours is "
        "missing. Are all pairs compared with each other?"
    ),
)


def _at(distance, pair):
    inside = len(pair) == 2 and all(0 <= int(i) < n for i, n in zip(pair, distance.shape, strict=True))
    return f"{distance[int(pair[0]), int(pair[1])]:g}" if inside else "that does not exist"


exercise(
    "21.5",
    solution=[1 / 4, 1 / 2, 4 / 7, 2 / 7],
    wrong={
        (1 / 4, 1 / 2, 1 / 4, 1 / 2): "your distances have not changed. How many units does the layer "
        "have now, "
        "and in how many of them do x and u differ?",
        (1, 2, 4, 2): "you count units. Which share of the layer are they?",
        (1 / 4, 1 / 2, 1, 1 / 2): "the first two are right. By how many units are the others divided?",
        (1 / 4, 1 / 2, 1 / 7, 2 / 7): "the first two are right. In how many of the new units do x and u "
        "differ?",
        (100 / 4, 100 / 2, 400 / 7, 200 / 7): "is a percentage asked for, or a share of the units?",
        (1 / 2, 1 / 4, 2 / 7, 4 / 7): "which of the two points comes first, u or v?",
        (3 / 4, 1 / 2, 3 / 7, 5 / 7): "do you count the units that agree or those that differ?",
        (1 / 4, 1 / 2, 5 / 8, 2 / 8): "the first two are right. How many units are there if unit 1 "
        "stands four times?",
    },
    equal=within(5e-3),
    otherwise=lambda got, truth: (
        "a distance is larger than 1. Is a percentage asked for, or a share of the units?"
        if got.max() > 1
        else "the distances before are off. In which of the four units do the codes differ?"
        if not np.allclose(got[:2], truth[:2], rtol=0, atol=5e-3)
        else "the distances after are off. Write down the three codes of seven units: where do they differ?"
    ),
    why="x and u differ in unit 1 alone: 1/4, and with four copies of it 4 of 7 units. x and v differ "
    "in units 3 "
    "and 4: 2/4, and then 2 of 7. Before, u is the nearer one; afterwards v is.",
)  # fmt: skip


def _first_in_order(codes, labels, k):
    """Share of other labels among the k nearest, of equally near ones those that stand first."""
    distance = (codes[:, None] != codes).mean(axis=2)
    return 1 - agreement(distance, labels, k)


@exercise("21.6")
def check_21_6(attempt):
    def score(codes, labels, k):
        codes, labels = np.asarray(codes), np.asarray(labels)
        return call(attempt, codes, labels, k, shape=labels.shape, like=np.zeros(1))

    def near(found, right):
        return np.allclose(found, right, rtol=0, atol=1e-9)

    steps = np.tri(5, 4, -1, dtype=np.uint8)  # 0000, 1000, 1100, 1110, 1111: ends of a chain
    ends = score(steps, [0, 0, 1, 1, 1], 2)[[0, 4]]
    most = score(steps, range(5), 2).max()
    ask(most < 1 + 1e-9, "one of your scores is larger than 1. Is a number or a share asked for?")
    ask(
        not near(ends[1], 1),
        "the last code of a chain has two nearest points, both with its own label, and its score is 1. "
        "Which labels are counted?",
    )
    ask(
        near(ends, [1 / 2, 0]),
        "five codes in a chain, each one unit from the next, with the labels 0, 0, 1, 1, 1 and k = 2: "
        "the scores "
        "of the two ends are off. Which two points are nearest to each, and what part of them has "
        "another label?",
    )
    same = np.zeros((5, 3), dtype=np.uint8)
    ask(
        near(score(same, [0, 1, 1, 1, 1], 1)[0], 1) and near(score(same, [0, 1, 1, 1, 1], 3)[0], 1),
        "five points with one code, and only point 0 has label 0: its score is off. "
        "Is a point its own neighbour, may other points be at distance 0, and by what is the sum divided?",
    )
    ask(
        near(score(same, [0, 0, 1, 1, 1], 1)[0], 3 / 4),
        "five points with one code and the labels 0, 0, 1, 1, 1: with k = 1, any of four points may be "
        "the nearest "
        "of point 0. What does each of them add to its score?",
    )
    ask(
        near(score(same, [0, 0, 1, 1, 1], 2)[0], 3 / 4),
        "in the same case the score of point 0 changes from k = 1 to k = 2. "
        "How many of four equal candidates are taken now, and which share of them has another label?",
    )
    star = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 1]]  # from point 0: 1, 2, 2 and 3 units
    ask(
        near(score(star, [0, 1, 0, 1, 1], 2)[0], 3 / 4),
        "from point 0 the others are 1, 2, 2 and 3 units away, with the labels 1, 0, 1, 1; k = 2 and "
        "its own label "
        "is 0. Its score is off. Which point counts in full, and how do the next two share one place?",
    )
    ask(
        near(score(star, [0, 1, 0, 0, 1], 4)[0], 1 / 2),
        "with k = 4 all other points are neighbours, and the score of point 0 is not the share of other "
        "labels. "
        "What is the sum divided by?",
    )
    for seed in range(3):
        rng = np.random.default_rng(seed)
        codes, labels = rng.integers(4, size=(30, 5)).astype(np.uint8), rng.integers(3, size=30)
        got, order = score(codes, labels, 6), rng.permutation(30)
        ask(
            near(score(codes[order], labels[order], 6), got[order]),
            "the same points in another order have other scores. Where does the order of the points come in?",
        )
        ask(
            near(score(codes, (2 - labels) * 7, 6), got),
            "with other names of the labels the scores change. What is asked of two labels?",
        )
        ask(
            near(score(np.array([2, 0, 3, 1], dtype=np.uint8)[codes], labels, 6), got),
            "with other names of the pieces the scores change. Does it matter how far apart two pieces are?",
        )
        ask(
            near(score(np.hstack([codes, codes])[:, rng.permutation(10)], labels, 6), got),
            "with each unit written twice, in another order, the scores change. What is counted in two "
            "codes?",
        )
        ask(near(score(codes, labels * 0, 6), 0), "all labels are equal, and a point is suspect. Why?")
        ask(
            near(score(codes, np.arange(30), 6), 1),
            "all labels are different, and not all scores are 1. What do the parts of the k places add "
            "up to?",
        )
        small, names, k = rng.integers(2, size=(6, 3)), rng.integers(2, size=6), 1 + seed
        orders = [np.array(order) for order in permutations(range(6))]
        mean = np.mean([_first_in_order(small[o], names[o], k)[o.argsort()] for o in orders], axis=0)
        ask(
            near(score(small, names, k), mean),
            f"six codes of three units, k = {k}: over all 720 orders of the points, with those that "
            "stand first "
            "taken among equals, the mean is not your score. How large is the part of each of the "
            "equally far ones?",
        )
