"""K-means, its starts, and Gaussian mixtures: against scikit-learn, scipy, plain loops and definitions."""

import itertools
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from scipy.stats import chisquare, norm
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

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
    answer = mm.kmeans(x, start, max_iter=1)
    np.testing.assert_allclose(answer[0], looped(x, start, 1)[0], rtol=1e-12, atol=1e-12)
    check_answer(x, answer)
    assert np.array_equal(x, before[0]) and np.array_equal(start, before[1])
    settled = mm.kmeans(x, start)
    again = mm.kmeans(x, settled[0], max_iter=1)
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


FAR = pytest.mark.parametrize("dtype, far", [("float16", 2e3), ("float32", 2e4), ("float64", 1e9)])
MAKE = pytest.mark.parametrize("make", [np.asarray, lambda array: torch.tensor(array, device=mm.device())])


@FAR
@MAKE
def test_points_far_from_one_another_and_near_ones_are_told_apart(make, dtype, far):
    """Squares of the large numbers hold no digit of the small distance."""
    x = make(np.array([[0], [far], [far + 1]], dtype))
    centroids, codes, inertia = mm.kmeans(x, x)
    assert codes.tolist() == [0, 1, 2] and inertia == 0 and (centroids == x).all()
    start = mm.kmeans_plusplus(x, 3, np.random.default_rng(0))
    assert sorted(start.ravel().tolist()) == [0, far, far + 1]
    thirds = make(np.full(3, 1 / 3, dtype))
    means, weights, sigma, log_likelihood = mm.em_step(x, x, thirds, 0.1)
    assert (means == x).all() and 0 <= sigma < 1e-9
    np.testing.assert_allclose(weights.tolist(), [1 / 3] * 3, rtol=1e-3)
    np.testing.assert_allclose(log_likelihood, np.log(1 / 3) + norm.logpdf(0, 0, 0.1), rtol=1e-3)


@pytest.mark.parametrize("dtype, far", [("float32", 2e4), ("float64", 1e9)])
@MAKE
@SEEDS
def test_every_centroid_is_the_nearest_and_the_mean_wherever_clusters_are(seed, make, dtype, far):
    """Against exact fractions: no point has a nearer centroid, no centroid is off the mean of its points."""
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(60, 2)) + far * rng.integers(-1, 2, (60, 2))).astype(dtype)
    start = x[rng.choice(60, 12, replace=False)]
    centroids, codes, inertia = mm.kmeans(make(x), make(start))
    points, found = ([[Fraction(v) for v in row] for row in array.tolist()] for array in (x, centroids))
    squares = [[sum((a - b) ** 2 for a, b in zip(p, c, strict=True)) for c in found] for p in points]
    assert [row.index(min(row)) for row in squares] == codes.tolist()
    np.testing.assert_allclose(
        inertia, float(sum(map(min, squares))), rtol=1e-5 if dtype == "float32" else 1e-12
    )
    for r in set(codes.tolist()):
        mine = x[np.array(codes.tolist()) == r]
        rough = 2 * float(np.spacing(np.abs(mine).max()))
        np.testing.assert_allclose(
            centroids[r].tolist(), mine.mean(0, dtype="longdouble"), rtol=0, atol=rough
        )


@pytest.mark.parametrize("dtype, far", [("float32", 2e4), ("float64", 1e9)])
@MAKE
@SEEDS
def test_a_step_of_two_mixtures_far_apart_is_the_step_of_each(seed, make, dtype, far):
    x, means, weights, sigma = mixture(seed)
    x, means = np.round(x * 64) / 64, np.round(means * 64) / 64  # what far leaves of them in single precision
    weights = weights.astype(dtype)
    both = [np.concatenate([part, part + far]).astype(dtype) for part in (x, means)]
    ours = mm.em_step(*map(make, both), make(np.concatenate([weights, weights]) / 2), sigma)
    single = mm.em_step(x, means, weights.astype(float) / weights.sum(dtype=float), sigma)
    rough = float(np.spacing(np.asarray(far, dtype)))
    moved = np.array(ours[0].tolist())
    np.testing.assert_allclose(moved, np.concatenate([single[0], single[0] + far]), rtol=0, atol=4 * rough)
    np.testing.assert_allclose(ours[1].tolist(), np.tile(single[1], 2) / 2, rtol=0, atol=1e-5)
    np.testing.assert_allclose(ours[2], single[2], rtol=1e-3)
    np.testing.assert_allclose(ours[3], single[3] - np.log(2), rtol=1e-4)


@pytest.mark.parametrize("max_iter", [1, 300])
@MAKE
def test_a_start_far_from_all_points_is_forgotten(make, max_iter):
    x = np.random.default_rng(0).normal(size=(40, 2))
    centroids, _, inertia = mm.kmeans(make(x), make(np.full((1, 2), 1e12)), max_iter)
    np.testing.assert_allclose(centroids.tolist(), [x.mean(0)], rtol=1e-14)
    np.testing.assert_allclose(inertia, len(x) * x.var(0).sum(), rtol=1e-12)


@MAKE
def test_squares_that_overflow_are_refused(make):
    x = make(np.array([[1e200], [3e200], [-1e200]]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        with pytest.raises(ValueError, match="their squared distances overflow (torch.)?float64"):
            mm.kmeans(x, x)
        with pytest.raises(ValueError, match="B_k must be finite"):
            mm.mixture_to_unit(x, make(np.full(3, 1 / 3)))


def test_many_points_of_half_precision():
    """Neither counts nor sums fit into it."""
    x = np.tile(np.array([[0.0], [1], [60000], [60032]], "float16"), (20000, 1))
    centroids, codes, inertia = mm.kmeans(x, x[[0, 2]])
    assert centroids.dtype == "float16" and centroids.ravel().tolist() == [0.5, 60032], (
        "60016 is none of them"
    )
    assert codes[:4].tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(inertia, 20000 * (0.5 + 32**2), rtol=1e-6)


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


@pytest.mark.parametrize("max_iter", [0, -3, 2.5, 3.0, None, "3", True, np.array([3])])
def test_bad_max_iter(max_iter):
    with pytest.raises(ValueError, match="max_iter must be a whole number of at least 1, got "):
        mm.kmeans(X, START, max_iter)


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
    drawn = [tuple(map(tuple, mm.kmeans_plusplus(make(x), R, rng).tolist())) for _ in range(3000)]
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
        start = mm.kmeans_plusplus(x, np.int64(R), rng)
        assert start.shape == (R, x.shape[1]) and len(np.unique(start, axis=0)) == R
        assert (cdist(start, x).min(1) == 0).all()
    with pytest.raises(ValueError, match=f"x must hold {distinct + 1} different points, got {distinct}"):
        mm.kmeans_plusplus(x, distinct + 1, rng)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_points_in_some_order(dtype):
    x = problem(1)[0].astype(dtype)
    start = mm.kmeans_plusplus(x, len(x), np.random.default_rng(0))
    assert start.dtype == dtype
    np.testing.assert_array_equal(np.sort(start, 0), np.sort(x, 0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@SEEDS
def test_torch_draws_the_same_starts_and_global_chance_stays(dtype, seed):
    x = problem(seed)[0].astype(dtype)
    X, before = torch.tensor(x, device=mm.device()), x.copy()
    chance, dice = np.random.get_state()[1].copy(), torch.get_rng_state()
    ours = mm.kmeans_plusplus(x, 5, np.random.default_rng(seed))
    theirs = mm.kmeans_plusplus(X, 5, np.random.default_rng(seed))
    assert theirs.dtype == X.dtype and theirs.device == X.device and np.array_equal(theirs.cpu(), ours)
    assert np.array_equal(np.random.get_state()[1], chance) and torch.equal(torch.get_rng_state(), dice)
    ours += 1
    assert np.array_equal(x, before) and np.array_equal(X.cpu(), before), "the start is a copy"


@pytest.mark.parametrize(
    "x, R, rng, error, message",
    [
        (X, 0, 0, ValueError, r"R must be a whole number from 1 to \d+, got 0"),
        (X, len(X) + 1, 0, ValueError, "R must be a whole number from 1 to"),
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
        mm.kmeans_plusplus(x, R, None if rng is None else np.random.default_rng(rng))


# ---------------------------------------------------------------- units and mixtures


def unit(seed, R=None):
    """Slopes, arbitrary offsets, a width and points for a max-affine unit."""
    rng = np.random.default_rng(seed)
    R, D = R or rng.integers(1, 6), rng.integers(1, 5)
    return (
        rng.normal(size=(R, D)) * 1.5,
        3 * rng.normal(size=R),
        rng.uniform(0.3, 2),
        2 * rng.normal(size=(40, D)),
    )


def reference(means, weights, sigma):
    """scikit-learn's mixture with these parameters and one width for all."""
    mixture = GaussianMixture(len(means), covariance_type="spherical")
    mixture.means_, mixture.weights_ = means, weights
    mixture.covariances_ = np.full(len(means), sigma**2)
    mixture.precisions_cholesky_ = 1 / np.sqrt(mixture.covariances_)
    return mixture


@SEEDS
@pytest.mark.parametrize("sigma", [None, 1.0])
def test_the_mixture_of_any_unit_has_its_posterior(seed, sigma):
    A, B, width, x = unit(seed)
    sigma = sigma or width
    means, weights = mm.unit_to_mixture(A, B, sigma)
    assert weights.min() > 0 and abs(weights.sum() - 1) < 1e-14 and np.array_equal(means, A)
    p = mm.posterior(mm.MASO(A[None], B[None]).scores(x)[:, 0] / sigma**2, 0.5)
    theirs = reference(means, weights, sigma)
    np.testing.assert_allclose(p, theirs.predict_proba(x), rtol=0, atol=1e-10)
    if sigma == 1.0:
        assert np.array_equal(mm.unit_to_mixture(A, B)[1], weights), "the width is 1 unless one is given"
        np.testing.assert_array_equal(mm.MASO(A[None], B[None]).codes(x)[:, 0], theirs.predict(x))


@SEEDS
def test_the_code_of_a_mixture_s_unit_is_its_most_probable_component(seed):
    means, B, sigma, x = unit(seed)
    weights = np.exp(B - logsumexp(B))
    A, offsets = mm.mixture_to_unit(means, weights, sigma)
    codes = mm.MASO(A[None], offsets[None]).codes(x)[:, 0]
    np.testing.assert_array_equal(codes, reference(means, weights, sigma).predict(x))
    density = np.log(weights) + norm.logpdf(x[:, None], means, sigma).sum(2)
    np.testing.assert_array_equal(codes, density.argmax(1))


@pytest.mark.parametrize("library", [np.asarray, torch.tensor])
@SEEDS
def test_there_and_back_again(seed, library):
    A, B, sigma, _ = unit(seed)
    A, B = library(A), library(B)
    again = mm.mixture_to_unit(*mm.unit_to_mixture(A, B, sigma), sigma)
    shift = again[1] - B  # one constant for all offsets
    np.testing.assert_allclose(shift - shift[0], 0, atol=1e-12)
    assert again[0] is A or (again[0] == A).all()
    once = mm.unit_to_mixture(A, B, sigma)
    twice = mm.unit_to_mixture(*mm.mixture_to_unit(*once, sigma), sigma)
    np.testing.assert_allclose(twice[1], once[1], rtol=1e-12)
    np.testing.assert_allclose(mm.unit_to_mixture(A, B + 7.5, sigma)[1], once[1], rtol=1e-12)


def test_worked_by_hand():
    A = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 0.0]])
    weights = mm.unit_to_mixture(A, np.array([0.0, -2.5 + np.log(2), -4.5 + np.log(5)]))[1]
    np.testing.assert_allclose(weights, [1 / 8, 2 / 8, 5 / 8], rtol=1e-14)
    offsets = mm.mixture_to_unit(A, np.array([0.25, 0.5, 0.25]), 2.0)[1]
    np.testing.assert_allclose(offsets, [4 * np.log(0.25), -2.5 + 4 * np.log(0.5), -4.5 + 4 * np.log(0.25)])


def test_a_component_without_weight_is_an_absent_piece():
    means, weights = np.array([[0.0], [1.0], [4.0]]), np.array([0.5, 0.0, 0.5])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        A, B = mm.mixture_to_unit(means, weights)
    assert B[1] == -np.inf and np.isfinite(B[[0, 2]]).all()
    assert mm.unit_to_mixture(A, B)[1].tolist() == pytest.approx([0.5, 0, 0.5])
    assert set(mm.MASO(A[None], B[None]).codes(np.linspace(-5, 9, 99)[:, None]).ravel()) == {0, 2}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sigma", [2, np.float64(2), np.float32(2), Fraction(2)])
@pytest.mark.parametrize("make", [np.asarray, torch.tensor])
def test_mixtures_keep_their_types_whatever_number_the_width_is(make, dtype, sigma):
    A, B, _, x = (part if np.isscalar(part) else make(part.astype(dtype)) for part in unit(2))
    means, weights = mm.unit_to_mixture(A, B, sigma)
    back = mm.mixture_to_unit(means, weights, sigma)
    step = mm.em_step(x, means, weights, sigma)
    for part in [means, weights, *back, *step[:2]]:
        assert type(part) is type(A) and part.dtype == A.dtype
    assert type(step[2]) is type(step[3]) is float
    np.testing.assert_allclose(weights, mm.unit_to_mixture(A, B, 2.0)[1], rtol=1e-6)
    np.testing.assert_allclose(back[1], mm.mixture_to_unit(means, weights, 2.0)[1], rtol=1e-6)


def test_a_weight_of_zero_has_no_gradient():
    means = torch.tensor([[0.0], [1], [2]], dtype=torch.float64, requires_grad=True)
    weights = torch.tensor([0.5, 0, 0.5], dtype=torch.float64, requires_grad=True)
    x = torch.tensor([[0.3], [1.2]], dtype=torch.float64)
    A, B = mm.mixture_to_unit(means, weights)
    for output in (
        mm.beta_vq(mm.MASO(A[None], B[None]), x, 0.5),
        mm.em_step(x, means, weights, 1.0)[0][[0, 2]],
    ):
        slopes = torch.autograd.grad(output.sum(), (means, weights), retain_graph=True)
        assert all(slope.isfinite().all() for slope in slopes) and slopes[0][1] == slopes[1][1] == 0
        assert slopes[1][0] != 0 or slopes[0][0] != 0


P, S = np.array([0.25, 0.75]), np.array([[0.0], [1.0]])
BAD_WIDTHS = [0, -1.0, np.nan, np.inf, None, "1", 1j, 1e-200, 1e200, np.ones(1)]


@pytest.mark.parametrize("sigma", BAD_WIDTHS)
def test_bad_widths(sigma):
    message = "sigma must be a positive number, and its square as well, got "
    for function in [lambda: mm.unit_to_mixture(S, P, sigma), lambda: mm.mixture_to_unit(S, P, sigma),
                     lambda: mm.em_step(S, S, P, sigma)]:  # fmt: skip
        with pytest.raises(ValueError, match=message):
            function()


@pytest.mark.parametrize(
    "weights, error, message",
    [
        (P * 1.1, ValueError, "weights must be probabilities that add up to 1, got"),
        (np.array([-0.5, 1.5]), ValueError, "weights must be probabilities that add up to 1, got"),
        (P[:1], ValueError, r"weights must have shape \(2,\), got \(1,\)"),
        (P * np.nan, ValueError, "weights must be finite"),
        (P.tolist(), TypeError, "weights must be a NumPy array or a torch tensor, got list"),
        (np.array([0, 1]), TypeError, "weights must hold floating-point numbers, got int64"),
        (torch.tensor(P), TypeError, r"mixed \(means is numpy, weights is torch\)"),
    ],
)
def test_bad_weights(weights, error, message):
    for function in [mm.mixture_to_unit, lambda *mixture: mm.em_step(S, *mixture, 1.0)]:
        with pytest.raises(error, match=message):
            function(S, weights)


@pytest.mark.parametrize(
    "A, B, error, message",
    [
        (S[0], P, ValueError, r"must have shape \(R, D\), got \(1,\)"),
        (S + np.inf, P, ValueError, "must be finite"),
        (S.astype(int), P, TypeError, "must hold floating-point numbers, got int64"),
        (S, P[:1], ValueError, r"B_k must have shape \(2,\), got \(1,\)"),
        (S, P * np.nan, ValueError, "B_k must be finite"),
        (S, P - np.inf, ValueError, "scores must have a piece that is not absent"),
        (S, torch.tensor(P), TypeError, r"mixed \(A_k is numpy, B_k is torch\)"),
    ],
)
def test_bad_slopes_means_and_offsets(A, B, error, message):
    with pytest.raises(error, match=message):
        mm.unit_to_mixture(A, B)
    if A is not S:
        with pytest.raises(error, match="means " + message):
            mm.mixture_to_unit(A, P)
        with pytest.raises(error, match="means " + message):
            mm.em_step(S, A, P, 1.0)


@pytest.mark.parametrize(
    "x, error, message",
    [
        (S[:, 0], ValueError, r"x must have shape \(N, 1\), got \(2,\)"),
        (S[:0], ValueError, r"x must have shape \(N, 1\), got \(0, 1\), which is empty"),
        (S * np.nan, ValueError, "x must be finite"),
        (torch.tensor(S), TypeError, r"mixed \(x is torch, parameters is numpy\)"),
        (S.tolist(), TypeError, "x must be a NumPy array or a torch tensor, got list"),
        (S + 0j, TypeError, "x must hold real numbers, got complex128"),
    ],
)
def test_bad_points(x, error, message):
    with pytest.raises(error, match=message):
        mm.em_step(x, S, P, 1.0)


# ---------------------------------------------------------------- expectation and maximisation


def mixture(seed):
    """Points in blobs, and a mixture to start from."""
    x, means = problem(seed)
    rng = np.random.default_rng(seed)
    return x, means, rng.dirichlet(np.full(len(means), 3.0)), rng.uniform(0.5, 3)


@SEEDS
def test_one_step_is_scikit_learn_s_with_one_width(seed):
    x, means, weights, sigma = mixture(seed)
    start = dict(weights_init=weights, means_init=means, precisions_init=np.full(len(means), sigma**-2))
    theirs = GaussianMixture(len(means), covariance_type="spherical", max_iter=1, reg_covar=0, **start)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs.fit(x)
    before = [part.copy() for part in (x, means, weights)]
    ours = mm.em_step(x, means, weights, sigma)
    np.testing.assert_allclose(ours[0], theirs.means_, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ours[1], theirs.weights_, rtol=1e-9)
    np.testing.assert_allclose(ours[2] ** 2, theirs.weights_ @ theirs.covariances_, rtol=1e-9)
    np.testing.assert_allclose(ours[3], reference(means, weights, sigma).score(x), rtol=1e-12)
    assert all(np.array_equal(*pair) for pair in zip(before, (x, means, weights), strict=True))


@SEEDS
def test_one_step_point_by_point(seed):
    x, means, weights, sigma = mixture(seed)
    joint = [
        [np.log(w) + norm.logpdf(p, m, sigma).sum() for m, w in zip(means, weights, strict=True)] for p in x
    ]
    T = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    ours = mm.em_step(x, means, weights, sigma)
    expected = [np.average(x, axis=0, weights=t) for t in T.T]
    np.testing.assert_allclose(ours[0], expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ours[1], T.mean(0), rtol=1e-9)
    np.testing.assert_allclose(ours[2] ** 2, (T * cdist(x, expected) ** 2).sum() / x.size, rtol=1e-9)
    np.testing.assert_allclose(ours[3], logsumexp(joint, axis=1).mean(), rtol=1e-12)


@few
@given(st.integers(0, 10**6), st.sampled_from([0, 1e3, 1e6]))
def test_the_likelihood_never_falls(seed, far):
    x, means, weights, sigma = mixture(seed)
    x, means, reached = x + far, means + far, [-np.inf]
    for _ in range(6):
        means, weights, sigma, log_likelihood = mm.em_step(x, means, weights, sigma)
        assert abs(weights.sum() - 1) < 1e-12 and (weights >= 0).all() and sigma > 0
        reached.append(log_likelihood)
    assert (np.diff(reached) >= -1e-9 * (1 + abs(log_likelihood))).all()
    assert reached[1] < reached[-1], "and it rises from this start"


@SEEDS
def test_far_from_the_origin_a_step_is_the_same(seed):
    x, means, weights, sigma = mixture(seed)
    x, means = np.round(x, 3), np.round(means, 3)
    near, far = mm.em_step(x, means, weights, sigma), mm.em_step(x + 2**26, means + 2**26, weights, sigma)
    np.testing.assert_allclose(far[0] - 2**26, near[0], atol=1e-6)
    for one, other in zip(far[1:], near[1:], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.parametrize("make", [np.asarray, torch.tensor])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_component_without_weight_keeps_its_mean(make, dtype):
    x, means, weights, _ = mixture(1)
    means, weights = np.round(means), np.where(np.arange(len(means)) == 1, 0, 1 / (len(means) - 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step = mm.em_step(*(make(part.astype(dtype)) for part in (x, means, weights)), 1.0)
    np.testing.assert_allclose(step[0][1], means[1], rtol=1e-6)
    assert step[1][1] == 0 and step[2] > 0
    rest = [r for r in range(len(means)) if r != 1]
    without = mm.em_step(x, means[rest], weights[rest], 1.0)
    np.testing.assert_allclose(step[0][rest], without[0], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(step[1][rest], without[1], rtol=1e-4)
    np.testing.assert_allclose(step[2:], without[2:], rtol=1e-4)


def test_a_component_out_of_reach_loses_its_weight_and_keeps_its_mean():
    x = np.random.default_rng(0).normal(size=(30, 2))
    means, weights, sigma, _ = mm.em_step(x, np.array([[0.0, 0.0], [1e4, 0.0]]), np.array([0.5, 0.5]), 1.0)
    np.testing.assert_allclose(means, [x.mean(0), [1e4, 0.0]], rtol=1e-12)
    assert weights.tolist() == [1, 0]
    np.testing.assert_allclose(sigma, x.var(axis=0).mean() ** 0.5, rtol=1e-12)


def test_a_mixture_that_collapses_onto_its_points():
    x = np.array([[-1.0, 2.0], [3.0, 0.5]])
    means, weights, sigma, _ = mm.em_step(x, x + 0.01, np.array([0.5, 0.5]), 0.1)
    np.testing.assert_allclose(means, x, atol=1e-12)
    assert weights.tolist() == [0.5, 0.5] and 0 <= sigma < 1e-7
    with pytest.raises(ValueError, match="sigma must be a positive number"):
        mm.em_step(x, means, weights, 0.0)
    assert mm.em_step(x[:1], x[:1], np.ones(1), 1.0)[2] == 0
    for seed in range(30):  # what rounding leaves of a sum of squares may lie below 0
        x = np.random.default_rng(seed).normal(size=(3, 4))
        sigma = mm.em_step(x, x + 0.01, np.full(3, 1 / 3), 0.02)[2]
        assert type(sigma) is float and 0 <= sigma < 1e-7


@SEEDS
def test_narrow_components_move_like_centroids(seed):
    x, start = problem(seed)
    hard, codes, _ = mm.kmeans(x, start, max_iter=1)
    step = mm.em_step(x, start, np.full(len(start), 1 / len(start)), 1e-3)
    np.testing.assert_allclose(step[0], hard, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@SEEDS
def test_numpy_and_torch_take_the_same_step(seed, dtype):
    x, means, weights, sigma = mixture(seed)
    x, means, weights = (part.astype(dtype) for part in (x, means, weights))
    ours = mm.em_step(x, means, weights, sigma)
    theirs = mm.em_step(*(torch.tensor(part, device=mm.device()) for part in (x, means, weights)), sigma)
    assert (
        str(theirs[0].dtype) == str(theirs[1].dtype) == f"torch.{dtype}"
        and theirs[0].device.type == mm.device().type
    )
    for mine, other in zip(ours, theirs, strict=True):
        other = other.cpu() if isinstance(other, torch.Tensor) else other
        np.testing.assert_allclose(
            other, mine, rtol=2e-3 if dtype == "float32" else 1e-9, atol=1e-4 * (dtype == "float32")
        )


@pytest.mark.parametrize("make", [np.asarray, torch.tensor])
def test_a_step_takes_the_type_of_the_points(make):
    x, means, weights, sigma = mixture(0)
    single = mm.em_step(make(x.astype("float32")), make(means), make(weights), sigma)
    assert str(single[0].dtype).endswith("float32") and str(single[1].dtype).endswith("float32")
    np.testing.assert_allclose(single[0], mm.em_step(x, means, weights, sigma)[0], rtol=1e-3, atol=1e-3)
    whole = mm.em_step(make(np.round(x).astype(int)), make(means), make(weights), sigma)
    np.testing.assert_allclose(
        whole[0], mm.em_step(np.round(x), means, weights, sigma)[0], rtol=1e-12, atol=1e-12
    )
