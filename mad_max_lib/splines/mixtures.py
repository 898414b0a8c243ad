"""A max-affine unit as K-means' quantizer and as a Gaussian mixture, and how both learn."""

from numbers import Real

import numpy as np

from ..checks import cast, check_generator, check_input, check_parameter, namespace
from .posteriors import posterior


def kmeans(x, centroids, max_iter=300):
    """Lloyd's algorithm: assign every point to its nearest centroid, move each centroid to the mean of its points.

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
    """
    check_parameter("centroids", centroids, "R", "D")
    x = check_input(x, centroids, "N", centroids.shape[1])
    if not isinstance(max_iter, int) or max_iter < 1:
        raise ValueError(f"max_iter must be a whole number of at least 1, got {max_iter!r}")
    origin = x[0]  # far from the origin the scores would cancel
    x, centroids = x - origin, cast(centroids, x) - origin
    numbers = (0 * centroids[:, 0] + 1).cumsum(0) - 1
    codes = _nearest(x, centroids)
    for _ in range(max_iter):
        T = (codes[:, None] == numbers) * (x[:, :1] * 0 + 1)  # (N, R) selection: a 1 in each row
        counts = T.sum(0)[:, None]
        centroids = (T.T @ x + (counts == 0) * centroids) / counts.clip(min=1)
        before, codes = codes, _nearest(x, centroids)
        if (codes == before).all():
            break
    return centroids + origin, codes, float(((x - centroids[codes]) ** 2).sum())


def _nearest(x, centroids):
    return (x @ centroids.T - (centroids**2).sum(1) / 2).argmax(1)


def kmeans_plusplus(x, R, rng):
    """Starting centroids for K-means: R of the points, far from one another (k-means++).

    The first is drawn evenly, each further one with a probability that grows as its squared distance to the
    nearest centroid so far. Source: Arthur and Vassilvitskii, *k-means++*, 2007.

    Parameters
    ----------
    x : (N, D) array
    R : int
    rng : numpy Generator

    Returns
    -------
    (R, D) array

    Examples
    --------
    >>> kmeans_plusplus(np.array([[0.0], [0.0], [7.0]]), 2, np.random.default_rng(0)).ravel().tolist()
    [7.0, 0.0]
    """
    check_generator(rng)
    check_parameter("x", x, "N", "D")
    if not isinstance(R, (int, np.integer)) or not 1 <= R <= len(x):
        raise ValueError(f"R must be a whole number from 1 to the number of points, {len(x)}, got {R!r}")
    chosen = [rng.integers(len(x))]
    nearest = ((x - x[chosen[0]]) ** 2).sum(1)
    for _ in range(R - 1):
        if not nearest.sum() > 0:
            raise ValueError(f"x must hold {R} different points, got {len(chosen)}")
        reached = (nearest / nearest.sum()).cumsum(0)
        chosen.append(int((reached < rng.random() * reached[-1]).sum()))
        distance = ((x - x[chosen[-1]]) ** 2).sum(1)
        nearest = namespace(x=x).minimum(nearest, distance)
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
    """
    check_parameter("A_k", A_k, "R", "D")
    check_parameter("B_k", B_k, len(A_k), absent=True)
    namespace(A_k=A_k, B_k=B_k)
    return A_k, posterior((B_k + (A_k**2).sum(1) / 2) / _variance(sigma), 0.5)


def mixture_to_unit(means, weights, sigma=1.0):
    """The max-affine unit whose code is the most probable component of a Gaussian mixture: `unit_to_mixture` undone.

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
    """
    check_parameter("means", means, "R", "D")
    check_parameter("weights", weights, len(means))
    xp = namespace(means=means, weights=weights)
    variance = _variance(sigma)
    if not (weights >= 0).all() or not abs(float(weights.sum()) - 1) < 1e-5:
        raise ValueError(f"weights must be probabilities that add up to 1, got {weights}")
    with np.errstate(divide="ignore"):  # log 0 = -inf: an absent piece
        return means, -(means**2).sum(1) / 2 + variance * xp.log(weights)


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
    """
    check_parameter("means", means, "R", "D")
    x = check_input(x, means, "N", means.shape[1])
    xp, (N, D), variance, origin = namespace(x=x), x.shape, _variance(sigma), x.mean(0)
    x = x - origin  # far from the origin the scores would cancel
    A, B = (cast(part, x) for part in mixture_to_unit(means - origin, weights, sigma))
    scores = (x @ A.T + B - (x**2).sum(1)[:, None] / 2) / variance  # log of weight times density, without its constant
    best = xp.amax(scores, 1)
    log_likelihood = best + xp.log(xp.exp(scores - best[:, None]).sum(1)) - D / 2 * np.log(2 * np.pi * variance)
    T = posterior(scores, 0.5)
    counts = T.sum(0)
    empty = counts == 0
    means = (T.T @ x + empty[:, None] * A) / (counts + empty)[:, None]
    squares = (x**2).sum(1)[:, None] - 2 * x @ means.T + (means**2).sum(1)
    sigma = max(float((T * squares).sum()) / (N * D), 0.0) ** 0.5
    return means + origin, counts / N, sigma, float(log_likelihood.mean())


def _variance(sigma):
    """sigma^2 as a float; raise unless sigma is a positive number whose square is one too."""
    variance = float(sigma) * float(sigma) if isinstance(sigma, Real) and sigma > 0 else 0.0
    if not 0 < variance < float("inf"):
        raise ValueError(f"sigma must be a positive number, and its square as well, got {sigma!r}")
    return variance
