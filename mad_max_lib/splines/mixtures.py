"""K-means, mixtures of Gaussians and their EM step, and the max-affine unit that each of them is."""

from numbers import Real

import numpy as np
from array_api_compat import device

from ..checks import array_namespace, cast, check_count, check_generator, check_input, check_parameter
from .posteriors import posterior


def kmeans(x, centroids, max_iter=300):
    """Lloyd's algorithm: assign every point to its nearest centroid, move each to the mean of its points.

    The assignment is the code of a max-affine unit with slopes a_r and offsets -|a_r|^2 / 2, the vector
    quantization of *Mad Max*; of equally near centroids the first wins. A centroid without points stays.

    Parameters
    ----------
    x : (N, D) array
    centroids : (R, D) array, where to start
    max_iter : int, at most so many; it ends earlier when no point changes its centroid

    Returns
    -------
    centroids : (R, D) array
    codes : (N,) integers, the nearest of these centroids
    inertia : float, sum of the squared distances of all points to it

    Examples
    --------
    >>> x = np.array([[0.0], [2.0], [10.0]])
    >>> centroids, codes, inertia = kmeans(x, np.array([[0.0], [1.0]]))
    >>> centroids.tolist(), codes.tolist(), inertia
    ([[1.0], [10.0]], [0, 0, 1], 2.0)

    Built in chapter 10.
    """
    check_parameter("centroids", centroids, "R", "D")
    x = check_input(x, centroids, "N", centroids.shape[1])
    max_iter = check_count("max_iter", max_iter)
    xp = array_namespace(x=x)
    origin = x[0]  # far from the origin the scores would cancel
    x, centroids = x - origin, cast(centroids, x) - origin
    numbers = xp.arange(centroids.shape[0], device=device(x))
    codes = _nearest(x, centroids)
    for _ in range(max_iter):
        T = cast(codes[:, None] == numbers, x)  # (N, R) selection: a 1 in each row
        centroids = _weighted_means(x, T, centroids)
        before, codes = codes, _nearest(x, centroids)
        if (codes == before).all():
            break
    return centroids + origin, codes, float(xp.sum((x - centroids[codes]) ** 2))


def _nearest(x, centroids):
    xp = array_namespace(x=x)
    return xp.argmax(x @ centroids.T - xp.sum(centroids**2, axis=1) / 2, axis=1)


def _weighted_means(x, T, before):
    """Means (R, D) of the points, weighted by each column of T (N, R); one without weight stays as before."""
    xp = array_namespace(x=x)
    counts = xp.sum(T, axis=0)[:, None]
    return xp.where(counts > 0, T.T @ x / xp.where(counts > 0, counts, 1.0), before)


def kmeans_plusplus(x, R, rng):
    """Starting centroids for K-means: R of the points, far from one another (k-means++).

    The first is drawn evenly, each further one with a probability that grows as its squared distance to the
    nearest centroid so far. Source: Arthur and Vassilvitskii, *k-means++*, 2007.

    Parameters
    ----------
    x : (N, D) array
    R : int, at most N
    rng : numpy Generator

    Returns
    -------
    (R, D) array

    Examples
    --------
    >>> kmeans_plusplus(np.array([[0.0], [0.0], [7.0]]), 2, np.random.default_rng(0)).ravel().tolist()
    [7.0, 0.0]

    Built in chapter 10.
    """
    check_generator(rng)
    check_parameter("x", x, "N", "D")
    R = check_count("R", R, high=len(x))
    xp = array_namespace(x=x)
    chosen = [int(rng.integers(len(x)))]
    nearest = xp.sum((x - x[chosen[0]]) ** 2, axis=1)
    for _ in range(R - 1):
        if not nearest.sum() > 0:
            raise ValueError(f"x must hold {R} different points, got {len(chosen)}")
        reached = xp.cumulative_sum(nearest / nearest.sum())
        chosen.append(int((reached < rng.random() * reached[-1]).sum()))
        nearest = xp.minimum(nearest, xp.sum((x - x[chosen[-1]]) ** 2, axis=1))
    return x[chosen]


def unit_to_mixture(A_k, B_k, sigma=1.0):
    """The Gaussian mixture whose posterior is that of a max-affine unit: slopes become means, offsets priors.

    All components have the covariance sigma^2 I. Any offsets are allowed; one constant added to all of them
    changes nothing. Source: Balestriero and Baraniuk, *From Hard to Soft*.

    Parameters
    ----------
    A_k : (R, D) array, the unit's slopes
    B_k : (R,) array, its offsets; -inf where a piece is absent
    sigma : float

    Returns
    -------
    means (R, D), weights (R,) that add up to 1

    Examples
    --------
    >>> means, weights = unit_to_mixture(np.array([[0.0], [2.0]]), np.array([0.0, -2.0]))
    >>> weights
    array([0.5, 0.5])

    Built in chapter 13.
    """
    check_parameter("A_k", A_k, "R", "D")
    check_parameter("B_k", B_k, len(A_k), absent=True)
    xp = array_namespace(A_k=A_k, B_k=B_k)
    return A_k, posterior((B_k + xp.sum(A_k**2, axis=1) / 2) / _variance(sigma), 0.5)


def mixture_to_unit(means, weights, sigma=1.0):
    """The max-affine unit whose code is the most probable component of a Gaussian mixture.

    It undoes `unit_to_mixture`, up to a constant added to all offsets.

    Parameters
    ----------
    means : (R, D) array
    weights : (R,) array, not negative; a component of weight 0 becomes an absent piece
    sigma : float, the width of all components

    Returns
    -------
    A_k (R, D), B_k (R,) with ``B_k = -|a_r|^2 / 2 + sigma^2 log(weights)``

    Examples
    --------
    >>> mixture_to_unit(np.array([[0.0], [2.0]]), np.array([0.5, 0.5]))[1].round(3)
    array([-0.693, -2.693])

    Built in chapter 13.
    """
    check_parameter("means", means, "R", "D")
    check_parameter("weights", weights, len(means))
    xp = array_namespace(means=means, weights=weights)
    variance = _variance(sigma)
    if not (weights >= 0).all() or not abs(float(weights.sum()) - 1) < 1e-5:
        raise ValueError(f"weights must be probabilities that add up to 1, got {weights}")
    with np.errstate(divide="ignore"):  # log 0 = -inf: an absent piece
        return means, -xp.sum(means**2, axis=1) / 2 + variance * xp.log(weights)


def em_step(x, means, weights, sigma):
    """One step of expectation and maximisation for a mixture of Gaussians that share one width.

    Parameters
    ----------
    x : (N, D) array
    means : (R, D) array
    weights : (R,) array that adds up to 1
    sigma : float

    Returns
    -------
    means, weights, sigma : the new ones; a component without weight keeps its mean
    log_likelihood : float, mean over the points, under the old ones

    Examples
    --------
    >>> x = np.array([[-1.0], [1.0]])
    >>> means, weights, sigma, _ = em_step(x, np.array([[-0.1], [0.1]]), np.array([0.5, 0.5]), 0.1)
    >>> means.round(3).tolist(), round(sigma, 3)
    ([[-1.0], [1.0]], 0.0)

    Built in chapter 13.
    """
    check_parameter("means", means, "R", "D")
    x = check_input(x, means, "N", means.shape[1])
    xp, (N, D), variance = array_namespace(x=x), x.shape, _variance(sigma)
    origin = xp.mean(x, axis=0)
    x = x - origin  # far from the origin the scores would cancel
    A, B = (cast(part, x) for part in mixture_to_unit(means - origin, weights, sigma))
    squares = xp.sum(x**2, axis=1)[:, None]
    scores = (x @ A.T + B - squares / 2) / variance  # log of weight times density, without its constant
    best = xp.max(scores, axis=1, keepdims=True)
    sums = xp.log(xp.sum(xp.exp(scores - best), axis=1))
    log_likelihood = best[:, 0] + sums - D / 2 * np.log(2 * np.pi * variance)
    T = posterior(scores, 0.5)
    means = _weighted_means(x, T, A)
    distances = squares - 2 * x @ means.T + xp.sum(means**2, axis=1)
    sigma = max(float(xp.sum(T * distances)) / (N * D), 0.0) ** 0.5
    return means + origin, xp.sum(T, axis=0) / N, sigma, float(xp.mean(log_likelihood))


def _variance(sigma):
    """sigma^2 as a float; raise unless sigma is a positive number whose square is one too."""
    variance = float(sigma) * float(sigma) if isinstance(sigma, Real) and sigma > 0 else 0.0
    if not 0 < variance < float("inf"):
        raise ValueError(f"sigma must be a positive number, and its square as well, got {sigma!r}")
    return variance
