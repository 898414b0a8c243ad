"""K-means against scikit-learn and a plain loop, its starts against the probabilities of k-means++."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import chisquare
from sklearn.cluster import KMeans

import mad_max_lib as mm

few = settings(max_examples=60, deadline=None)
SEEDS = pytest.mark.parametrize("seed", range(8))


def problem(seed, jitter=0.1):
    """Blobs, and a start near some of their points."""
    rng = np.random.default_rng(seed)
    N, R, D = rng.integers(30, 80), rng.integers(2, 7), rng.integers(1, 5)
    x = rng.normal(size=(N, D)) + 4 * rng.integers(-1, 2, (N, D))
    return x, x[rng.choice(N, R, replace=False)] + jitter * rng.normal(size=(R, D))


def nearest(x, centroids):
    """For every point the first of its nearest centroids, one distance at a time."""
    distances = [[sum((a - b) ** 2 for a, b in zip(p, c, strict=True)) for c in centroids] for p in x]
    return [row.index(min(row)) for row in distances]


def looped(x, centroids, steps):
    """Lloyd's algorithm, point by point."""
    x, centroids = x.tolist(), [list(c) for c in centroids.tolist()]
    for _ in range(steps):
        codes = nearest(x, centroids)
        for r in range(len(centroids)):
            mine = [p for p, code in zip(x, codes, strict=True) if code == r]
            if mine:
                centroids[r] = [sum(numbers) / len(mine) for numbers in zip(*mine, strict=True)]
    return np.array(centroids), np.array(nearest(x, centroids))


def check_answer(x, answer):
    """What is said about the centroids is true of them."""
    centroids, codes, inertia = answer
    squares = cdist(x, centroids) ** 2
    np.testing.assert_allclose(squares[range(len(x)), codes], squares.min(1), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(inertia, squares.min(1).sum(), rtol=1e-9, atol=1e-12)
    assert type(inertia) is float


# ---------------------------------------------------------------- K-means


@pytest.mark.parametrize("seed", range(20))
def test_scikit_learn_finds_the_same_from_the_same_start(seed):
    x, start = problem(seed)
    centroids, codes, inertia = mm.kmeans(x, start)
    assert len(set(codes.tolist())) == len(start), "scikit-learn moves empty clusters; there are none here"
    other = KMeans(len(start), init=start, n_init=1, algorithm="lloyd", tol=0).fit(x)
    np.testing.assert_allclose(centroids, other.cluster_centers_, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(codes, other.labels_)
    np.testing.assert_allclose(inertia, other.inertia_, rtol=1e-9)


@SEEDS
def test_every_step_is_the_plain_loop_s_and_never_rises(seed):
    x, start = problem(seed)
    start = np.concatenate([start[:1] + 1e3, start])  # far away: stays empty
    inertias = [np.inf]
    for steps in [1, 2, 3, 5, 300]:
        answer = mm.kmeans(x, start, steps)
        expected = looped(x, start, min(steps, 60))
        np.testing.assert_allclose(answer[0], expected[0], rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(answer[1], expected[1])
        check_answer(x, answer)
        assert answer[2] <= inertias[-1] * (1 + 1e-12)
        np.testing.assert_array_equal(answer[0][0], start[0])
        inertias.append(answer[2])
    assert inertias[1] > inertias[-1], "one step must not be enough here"


whole = st.integers(-4, 4)


@few
@given(st.data(), st.integers(1, 3), st.integers(1, 9), st.integers(1, 6))
def test_one_step_on_a_grid_with_ties_and_empty_clusters(data, D, N, R):
    """Whole numbers: all distances are exact, and of equal ones the first wins."""
    table = lambda rows: np.array(  # noqa: E731
        data.draw(st.lists(st.lists(whole, min_size=D, max_size=D), min_size=rows, max_size=rows)), float
    )
    x, start = table(N), table(R)
    before = x.copy(), start.copy()
    answer = mm.kmeans(x, start, steps=1)
    np.testing.assert_allclose(answer[0], looped(x, start, 1)[0], rtol=1e-12, atol=1e-12)
    check_answer(x, answer)
    assert np.array_equal(x, before[0]) and np.array_equal(start, before[1])
    settled = mm.kmeans(x, start)
    again = mm.kmeans(x, settled[0], steps=1)
    np.testing.assert_allclose(again[2], settled[2], rtol=1e-9, atol=1e-12)
    assert settled[2] <= answer[2] + 1e-9


def test_ties_go_to_the_first_and_empty_centroids_stay():
    x, start = np.array([[0.0], [1.0], [2.0]]), np.array([[0.0], [2.0], [2.0], [-50.0]])
    centroids, codes, inertia = mm.kmeans(x, start)
    assert centroids.ravel().tolist() == [0.5, 2, 2, -50]
    assert codes.tolist() == [0, 0, 1] and inertia == 0.5
    centroids, codes, _ = mm.kmeans(x, start[[1, 0]])
    assert centroids.ravel().tolist() == [1.5, 0] and codes.tolist() == [1, 0, 0]


@SEEDS
def test_the_end_is_a_fixed_point(seed):
    x, start = problem(seed)
    centroids, codes, inertia = mm.kmeans(x, start)
    for r in range(len(start)):
        np.testing.assert_allclose(centroids[r], x[codes == r].mean(0), rtol=1e-9, atol=1e-9)
    again = mm.kmeans(x, centroids)
    np.testing.assert_allclose(again[0], centroids, rtol=1e-12, atol=1e-12)
    assert np.array_equal(again[1], codes) and abs(again[2] - inertia) < 1e-9 * inertia


@SEEDS
def test_one_centroid_is_the_mean_and_all_points_as_centroids_stay(seed):
    x, _ = problem(seed)
    centroids, codes, inertia = mm.kmeans(x, x[3:4])
    np.testing.assert_allclose(centroids, x.mean(0, keepdims=True), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(inertia, len(x) * x.var(0).sum(), rtol=1e-9)
    centroids, codes, inertia = mm.kmeans(x, x)
    np.testing.assert_allclose(centroids, x, rtol=1e-12, atol=1e-12)
    assert codes.tolist() == [*range(len(x))] and inertia < 1e-20


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@SEEDS
def test_numpy_and_torch_agree_and_keep_their_types(dtype, seed):
    x, start = (array.astype(dtype) for array in problem(seed))
    ours = mm.kmeans(x, start)
    X, START = (torch.tensor(array, device=mm.device()) for array in (x, start))
    theirs = mm.kmeans(X, START)
    assert ours[0].dtype == dtype and ours[1].dtype.kind == "i" and type(ours[2]) is type(theirs[2]) is float
    assert theirs[0].dtype == X.dtype and theirs[1].dtype == torch.int64
    assert theirs[0].device == theirs[1].device == X.device
    close = 1e-4 if dtype == "float32" else 1e-10
    np.testing.assert_allclose(theirs[0].cpu(), ours[0], rtol=close, atol=close)
    np.testing.assert_array_equal(theirs[1].cpu(), ours[1])
    np.testing.assert_allclose(theirs[2], ours[2], rtol=close)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", [np.asarray, torch.tensor])
def test_whole_numbers_take_the_type_of_the_centroids(dtype, make):
    x, start = np.array([[0, 0], [2, 1], [9, 9]]), make(np.array([[0, 0], [9, 8]], dtype))
    centroids, codes, inertia = mm.kmeans(make(x), start)
    assert centroids.dtype == start.dtype
    assert centroids.tolist() == [[1, 0.5], [9, 9]] and codes.tolist() == [0, 0, 1] and inertia == 2.5


def test_sums_never_rise_far_from_the_origin():
    x = np.random.default_rng(0).normal(size=(200, 1)) + 1e5
    inertias = [mm.kmeans(x, x[:3], steps)[2] for steps in range(1, 12)]
    assert (np.diff(inertias) <= 1e-9).all()


def test_sums_never_rise_in_single_precision():
    x = (np.random.default_rng(0).normal(size=(200, 1)) + 1000).astype("float32")
    inertias = [mm.kmeans(x, x[:3], steps)[2] for steps in range(1, 8)]
    assert (np.diff(inertias) <= 1e-3).all()


X, START = problem(0)


@pytest.mark.parametrize(
    "x, start, error, message",
    [
        (X[:, 0], START, ValueError, r"x must have shape \(N, \d\), got \(\d+,\)"),
        (X, START[0], ValueError, r"centroids must have shape \(R, D\), got"),
        (X, START[:0], ValueError, r"centroids must have shape \(R, D\), got .* which is empty"),
        (X[:0], START, ValueError, r"x must have shape \(N, \d\), got .* which is empty"),
        (np.hstack([X, X]), START, ValueError, r"x must have shape \(N, \d\), got"),
        (X * np.nan, START, ValueError, "x must be finite; entries that are NaN or infinite"),
        (X, START * np.inf, ValueError, "centroids must be finite; entries that are NaN or infinite"),
        (X, torch.tensor(START), TypeError, r"mixed \(x is numpy, parameters is torch\)"),
        (torch.tensor(X), START, TypeError, r"mixed \(x is torch, parameters is numpy\)"),
        (X, START.tolist(), TypeError, "centroids must be a NumPy array or a torch tensor, got list"),
        (X.tolist(), START, TypeError, "x must be a NumPy array or a torch tensor, got list"),
        (X, START.astype(int), TypeError, "centroids must hold floating-point numbers, got int64"),
        (X + 0j, START, TypeError, "x must hold real numbers, got complex128"),
    ],
)
def test_bad_arrays(x, start, error, message):
    with pytest.raises(error, match=message):
        mm.kmeans(x, start)


@pytest.mark.parametrize("steps", [0, -3, 2.5, 3.0, None, "3"])
def test_bad_steps(steps):
    with pytest.raises(ValueError, match=f"steps must be a whole number of at least 1, got {steps!r}"):
        mm.kmeans(X, START, steps)


# ---------------------------------------------------------------- starts


def chances(x, R):
    """The probability of each ordered choice of R points, straight from the definition of k-means++."""
    p = {}
    for order in itertools.permutations(range(len(x)), R):
        p[order] = 1 / len(x)
        for k in range(1, R):
            squares = (cdist(x, x[list(order[:k])]) ** 2).min(1)
            p[order] *= squares[order[k]] / squares.sum()
    return p


@pytest.mark.parametrize("make", [np.asarray, torch.tensor])
@pytest.mark.parametrize("R", [1, 2, 3])
def test_how_often_each_start_is_drawn(R, make):
    x, rng = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 3.0], [2.0, 5.0]]), np.random.default_rng(R)
    drawn = [tuple(map(tuple, mm.spread_points(make(x), R, rng).tolist())) for _ in range(3000)]
    p = chances(x, R)
    assert abs(sum(p.values()) - 1) < 1e-12
    counts = np.array([drawn.count(tuple(tuple(x[i]) for i in order)) for order in p])
    assert counts.sum() == 3000, "points of x, and no point twice"
    expected = 3000 * np.array([*p.values()])
    rare = expected < 8  # taken together
    table = [np.append(numbers[~rare], numbers[rare].sum()) for numbers in (counts, expected)]
    table = [numbers[table[1] > 0] for numbers in table]
    assert chisquare(*table).pvalue > 1e-3


@SEEDS
def test_starts_are_different_points_of_x(seed):
    x, rng = problem(seed)[0], np.random.default_rng(seed)
    x = np.concatenate([x, x, x[:5]])  # most points more than once
    distinct = len(np.unique(x, axis=0))
    for R in (1, 4, distinct):
        start = mm.spread_points(x, np.int64(R), rng)
        assert start.shape == (R, x.shape[1]) and len(np.unique(start, axis=0)) == R
        assert (cdist(start, x).min(1) == 0).all()
    with pytest.raises(ValueError, match=f"x must hold {distinct + 1} different points, got {distinct}"):
        mm.spread_points(x, distinct + 1, rng)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_points_in_some_order(dtype):
    x = problem(1)[0].astype(dtype)
    start = mm.spread_points(x, len(x), np.random.default_rng(0))
    assert start.dtype == dtype
    np.testing.assert_array_equal(np.sort(start, 0), np.sort(x, 0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@SEEDS
def test_torch_draws_the_same_starts_and_global_chance_stays(dtype, seed):
    x = problem(seed)[0].astype(dtype)
    X, before = torch.tensor(x, device=mm.device()), x.copy()
    chance, dice = np.random.get_state()[1].copy(), torch.get_rng_state()
    ours = mm.spread_points(x, 5, np.random.default_rng(seed))
    theirs = mm.spread_points(X, 5, np.random.default_rng(seed))
    assert theirs.dtype == X.dtype and theirs.device == X.device and np.array_equal(theirs.cpu(), ours)
    assert np.array_equal(np.random.get_state()[1], chance) and torch.equal(torch.get_rng_state(), dice)
    ours += 1
    assert np.array_equal(x, before) and np.array_equal(X.cpu(), before), "the start is a copy"


@pytest.mark.parametrize(
    "x, R, rng, error, message",
    [
        (X, 0, 0, ValueError, r"R must be a whole number from 1 to the number of points, \d+, got 0"),
        (X, len(X) + 1, 0, ValueError, "R must be a whole number from 1 to the number of points"),
        (X, 2.0, 0, ValueError, "R must be a whole number from 1 .* got 2.0"),
        (np.ones((3, 2)), 2, 0, ValueError, "x must hold 2 different points, got 1"),
        (X, 2, None, TypeError, "rng must be a NumPy Generator such as .*, got NoneType"),
        (X[0], 1, 0, ValueError, r"x must have shape \(N, D\), got"),
        (X * np.nan, 1, 0, ValueError, "x must be finite"),
        (X.astype(int), 1, 0, TypeError, "x must hold floating-point numbers, got int64"),
        (X.tolist(), 1, 0, TypeError, "x must be a NumPy array or a torch tensor, got list"),
    ],
)
def test_bad_starts(x, R, rng, error, message):
    with pytest.raises(error, match=message):
        mm.spread_points(x, R, None if rng is None else np.random.default_rng(rng))
