"""K-means: the vector quantization that a max-affine unit does when its offsets are tied to its slopes."""

import numpy as np

from .arrays import cast, check_generator, check_input, check_parameter, namespace


def kmeans(x, centroids, steps=300):
    """Lloyd's algorithm: assign every point to its nearest centroid, move each centroid to the mean of its points.

    The assignment is the code of a max-affine unit with slopes a_r and offsets -|a_r|^2 / 2, the vector
    quantization of *Mad Max*; of equally near centroids the first wins. A centroid without points stays.

    Parameters
    ----------
    x : (N, D) array
    centroids : (R, D) array, where to start
    steps : int, at most so many; it ends earlier when no point changes its centroid

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
    if not isinstance(steps, int) or steps < 1:
        raise ValueError(f"steps must be a whole number of at least 1, got {steps!r}")
    origin = x[0]  # far from the origin the scores would cancel
    x, centroids = x - origin, cast(centroids, x) - origin
    numbers = (0 * centroids[:, 0] + 1).cumsum(0) - 1
    codes = _nearest(x, centroids)
    for _ in range(steps):
        T = (codes[:, None] == numbers) * (x[:, :1] * 0 + 1)  # (N, R) selection: a 1 in each row
        counts = T.sum(0)[:, None]
        centroids = (T.T @ x + (counts == 0) * centroids) / counts.clip(min=1)
        before, codes = codes, _nearest(x, centroids)
        if (codes == before).all():
            break
    return centroids + origin, codes, float(((x - centroids[codes]) ** 2).sum())


def _nearest(x, centroids):
    return (x @ centroids.T - (centroids**2).sum(1) / 2).argmax(1)


def spread_points(x, R, rng):
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
    >>> spread_points(np.array([[0.0], [0.0], [7.0]]), 2, np.random.default_rng(0)).ravel().tolist()
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
