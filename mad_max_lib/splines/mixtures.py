"""K-means, mixtures of Gaussians and their EM step, and the max-affine unit that each of them is."""

from numbers import Real

import numpy as np
from array_api_compat import device

from ..checks import array_namespace, cast, check_count, check_generator, check_input, check_parameter, widen
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

    Built in chapter 18.
    """
    check_parameter("centroids", centroids, "R", "D")
    x = check_input(x, centroids, "N", centroids.shape[1])
    max_iter = check_count("max_iter", max_iter)
    xp, dtype, x = array_namespace(x=x), x.dtype, widen(x)
    centroids, nearest = cast(centroids, x), _assignment(x)
    T = nearest(centroids)
    for step in range(max_iter):
        before = cast(T, x)
        centroids = _weighted_means(x, before, centroids)
        T = nearest(centroids)
        if (T == before).all() or step == max_iter - 1:
            rest = x - centroids[xp.argmax(before, axis=0)]  # its means are what sums of large numbers lose
            centroids = widen(xp.astype(centroids + _weighted_means(rest, before, 0.0), dtype))
            T = nearest(centroids)
            if (T == before).all():
                break
    codes = xp.argmax(cast(T, x), axis=0)
    return xp.astype(centroids, dtype), codes, xp.sum((x - centroids[codes]) ** 2).item()


def _assignment(x):
    """The function from centroids to the selection T (R, N): True where a centroid is the point's nearest.

    It compares scores, as a unit does; where their rounding could decide, squared distances themselves.
    """
    xp, (N, D) = array_namespace(x=x), x.shape
    origin = xp.mean(x, axis=0)  # the nearer to it, the less the scores cancel
    near, rounding = x - origin, (2 * D + 10) * xp.finfo(x.dtype).eps
    reach = xp.max(xp.sum(near**2, axis=1)).item() ** 0.5

    def nearest(centroids):
        a = centroids - origin
        squares = xp.sum(a**2, axis=1)
        scores = a @ near.T - squares[:, None] / 2
        far = xp.max(squares).item() ** 0.5
        if not reach + far < float("inf"):
            raise ValueError(f"x or centroids are too large: their squared distances overflow {x.dtype}")
        T = scores >= xp.max(scores, axis=0) - rounding * far * (reach + far)
        if int(xp.sum(T)) != N:
            close = xp.nonzero(xp.sum(T, axis=0) != 1)[0]
            codes = xp.argmin(_squared_distances(x[close], centroids), axis=1)
            T[:, close] = codes == xp.arange(len(a), device=device(x))[:, None]
        return T

    return nearest


def _squared_distances(x, centroids):
    """Squared distances (N, R), by differences: expanded squares cancel far from the origin."""
    return sum((numbers[:, None] - others) ** 2 for numbers, others in zip(x.T, centroids.T, strict=True))


def _weighted_means(x, T, before):
    """Means (R, D) of the points, weighted by each row of T (R, N); one without weight stays as before."""
    xp = array_namespace(x=x)
    counts = xp.sum(T, axis=1)[:, None]
    return xp.where(counts > 0, T @ x / xp.where(counts > 0, counts, 1.0), before)


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

    Built in chapter 18.
    """
    check_generator(rng)
    check_parameter("x", x, "N", "D")
    R = check_count("R", R, high=len(x))
    xp, points = array_namespace(x=x), widen(x)
    chosen = [int(rng.integers(len(x)))]
    nearest = xp.sum((points - points[chosen[0]]) ** 2, axis=1)
    for _ in range(R - 1):
        if not nearest.sum() > 0:
            raise ValueError(f"x must hold {R} different points, got {len(chosen)}")
        reached = xp.cumulative_sum(nearest / nearest.sum())
        chosen.append(int((reached < rng.random() * reached[-1]).sum()))
        nearest = xp.minimum(nearest, xp.sum((points - points[chosen[-1]]) ** 2, axis=1))
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

    Built in chapter 23.
    """
    check_parameter("A_k", A_k, "R", "D")
    check_parameter("B_k", B_k, len(A_k), absent=True)
    xp = array_namespace(A_k=A_k, B_k=B_k)
    scores = widen(B_k) + xp.sum(widen(A_k) ** 2, axis=1) / 2
    return A_k, cast(posterior(scores / _variance(sigma), 0.5), A_k)


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

    Built in chapter 23.
    """
    check_parameter("means", means, "R", "D")
    xp = array_namespace(means=means, weights=weights)
    B_k = _variance(sigma) * _logarithms(weights, len(means)) - xp.sum(widen(means) ** 2, axis=1) / 2
    B_k = cast(B_k, means)
    check_parameter("B_k", xp.where(weights > 0, B_k, 0.0), "R")  # -inf would read as an absent piece
    return means, B_k


def _logarithms(weights, R):
    """log(weights), at least float32; -inf, an absent piece, and no gradient where the weight is 0."""
    check_parameter("weights", weights, R)
    xp, wide = array_namespace(weights=weights), widen(weights)
    rounding = 1e-5 + R * float(xp.finfo(weights.dtype).eps)
    if not (weights >= 0).all() or not abs(wide.sum().item() - 1) < rounding:
        raise ValueError(f"weights must be probabilities that add up to 1, got {weights}")
    return xp.where(wide > 0, xp.log(xp.where(wide > 0, wide, 1.0)), -float("inf"))


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

    Built in chapter 24.
    """
    check_parameter("means", means, "R", "D")
    x = check_input(x, means, "N", means.shape[1])
    xp, (N, D), variance = array_namespace(means=means, weights=weights), x.shape, _variance(sigma)
    dtype, x = x.dtype, widen(x)
    means, logarithms = cast(means, x), cast(_logarithms(weights, len(means)), x)
    scores = logarithms - _squared_distances(x, means) / variance / 2  # log of weight times density, nearly
    best = xp.max(scores, axis=1, keepdims=True)
    sums = xp.log(xp.sum(xp.exp(scores - best), axis=1))
    log_likelihood = best[:, 0] + sums - D / 2 * np.log(2 * np.pi * variance)
    T = posterior(scores, 0.5)
    weights, means = xp.sum(T, axis=0) / N, _weighted_means(x, T.T, means)
    rest = xp.stack([t @ (x - mean) for t, mean in zip(T.T, means, strict=True)])  # as in K-means
    means = means + rest / xp.where(weights > 0, N * weights, 1.0)[:, None]
    sigma = (xp.sum(T * _squared_distances(x, means)).item() / (N * D)) ** 0.5
    return xp.astype(means, dtype), xp.astype(weights, dtype), sigma, xp.mean(log_likelihood).item()


def _variance(sigma):
    """sigma^2 as a float; raise unless sigma is a positive number whose square is one too."""
    variance = float(sigma) * float(sigma) if isinstance(sigma, Real) and sigma > 0 else 0.0
    if not 0 < variance < float("inf"):
        raise ValueError(f"sigma must be a positive number, and its square as well, got {sigma!r}")
    return variance
