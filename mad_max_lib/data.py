"""The book's data: generated or shipped with scikit-learn, never downloaded."""

from typing import NamedTuple

import numpy as np
from sklearn import datasets

from .arrays import check_generator


class Data(NamedTuple):
    """Training and test points with their labels."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def moons_and_circles(N, rng):
    """The toy problem of the authors' code: two moons below two circles, four classes in the plane.

    Parameters
    ----------
    N : int
        Number of points, a multiple of 4.
    rng : numpy Generator

    Returns
    -------
    x : (N, 2) array, inside the square from -2 to 2
    y : (N,) array of labels: 0 and 1 the moons, 2 the outer and 3 the inner circle

    Examples
    --------
    >>> x, y = moons_and_circles(400, np.random.default_rng(0))
    >>> x.shape, np.bincount(y)
    ((400, 2), array([100, 100, 100, 100]))
    """
    check_generator(rng)
    if not isinstance(N, (int, np.integer)) or N < 4 or N % 4:
        raise ValueError(f"N must be a positive multiple of 4, got {N!r}")
    seeds = rng.integers(2**31, size=2)
    moons, moon = datasets.make_moons(N // 2, noise=0.035, random_state=int(seeds[0]))
    circles, circle = datasets.make_circles(N // 2, noise=0.02, factor=0.5, random_state=int(seeds[1]))
    x = np.concatenate([moons - [0.5, 1.25], circles + [0.0, 0.75]])  # circles 2 above, all centred
    return x, np.concatenate([moon, 2 + circle])


def digits(rng, n_train=797):
    """Handwritten digits of 8 x 8 pixels between 0 and 1, split at random: 1,000 are for testing.

    The first test image is always the same one, the digit that the book follows.

    Parameters
    ----------
    rng : numpy Generator
        Chooses the split.
    n_train : int
        How many of the 797 other images to train on.

    Returns
    -------
    Data with images as rows of 64 pixels

    Examples
    --------
    >>> data = digits(np.random.default_rng(0))
    >>> data.x_train.shape, data.x_test.shape, int(data.y_test[0])
    ((797, 64), (1000, 64), 3)
    """
    check_generator(rng)
    if not isinstance(n_train, (int, np.integer)) or not 1 <= n_train <= 797:
        raise ValueError(f"n_train must be a whole number from 1 to 797, got {n_train!r}")
    x, y = datasets.load_digits(return_X_y=True)
    order = rng.permutation(np.delete(np.arange(len(x)), BOOK_DIGIT))
    test, train = np.append(BOOK_DIGIT, order[:999]), order[999 : 999 + n_train]
    return Data(x[train] / 16, y[train], x[test] / 16, y[test])


BOOK_DIGIT = 13  # a 3, written clearly but not perfectly
