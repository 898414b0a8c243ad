"""Data sets, each a function: three that are generated or shipped with scikit-learn, two that read others."""

import random
import zipfile
import zlib
from functools import cache
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np
from mnist1d.data import make_dataset
from sklearn import datasets

from ..checks import check_count, check_generator


class Data(NamedTuple):
    """Training and test points with their labels.

    Used from chapter 13 on.
    """

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

    Used from chapter 04 on.
    """
    check_generator(rng)
    N = check_count("N", N, low=4)
    if N % 4:
        raise ValueError(f"N must be a multiple of 4, got {N!r}")
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

    Used from chapter 03 on.
    """
    x, y = datasets.load_digits(return_X_y=True)
    x = x / 16
    others = _split(np.delete(x, BOOK_DIGIT, axis=0), np.delete(y, BOOK_DIGIT), rng, 999, n_train)
    x_test = np.concatenate([x[[BOOK_DIGIT]], others.x_test])
    return others._replace(x_test=x_test, y_test=np.append(y[BOOK_DIGIT], others.y_test))


def mnist1d(rng, n_train=4000):
    """The benchmark MNIST-1D (Greydanus, 2020): signals of 40 numbers in ten classes, generated here.

    Each is a short pulse, one shape a class, that was stretched, shifted, sheared and mixed with noise.

    Parameters
    ----------
    rng : numpy Generator
        Chooses which 1,000 of the 5,000 published signals are for testing.
    n_train : int
        How many of the 4,000 others to train on.

    Returns
    -------
    Data with signals as rows of 40 numbers

    Examples
    --------
    >>> data = mnist1d(np.random.default_rng(0), n_train=500)
    >>> data.x_train.shape, data.x_test.shape
    ((500, 40), (1000, 40))

    Used from chapter 15 on.
    """
    with _lock:
        x, y = _signals()
    return _split(x, y, rng, 1000, n_train)


_lock = Lock()  # two threads at once would draw from NumPy's global generator in turns


@cache
def _signals():
    """The published signals and labels. The package seeds Python's and NumPy's global generators: undone."""
    states = random.getstate(), np.random.get_state()
    try:
        made = make_dataset()
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
    return np.concatenate([made["x"], made["x_test"]]), np.concatenate([made["y"], made["y_test"]])


# What NumPy and the zip reader say of a damaged file, or of another kind of file.
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    AttributeError,
    TypeError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def from_file(path):
    """Data from an .npz file with the arrays x_train, y_train, x_test, y_test.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Data

    Raises
    ------
    FileNotFoundError
        No such file.
    ValueError
        The file is truncated or corrupted, an array is missing or does not fit the others.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(pathlib.Path(folder, "mine.npz"), **digits(np.random.default_rng(0))._asdict())
    ...     from_file(pathlib.Path(folder, "mine.npz")).x_test.shape
    (1000, 64)

    Used from chapter 15 on.
    """
    path = Path(path)
    if not path.is_file():
        fields = ", ".join(Data._fields)
        raise FileNotFoundError(f"path must name an .npz file with {fields}; there is none at {path}")
    try:
        with np.load(path) as arrays:
            parts = {name: arrays[name] for name in Data._fields if name in arrays}
            if not all(isinstance(part, np.ndarray) for part in parts.values()):
                raise ValueError("its members are no arrays")
    except UNREADABLE as error:
        raise ValueError(f"{path} is no readable .npz file: {error}") from error
    if missing := [name for name in Data._fields if name not in parts]:
        raise ValueError(f"{path} must hold {', '.join(Data._fields)}; missing: {', '.join(missing)}")
    return _checked(Data(**parts))


def from_openml(name, rng, n_test):
    """A data set of openml.org by its name, such as "CIFAR_10_small"; scikit-learn keeps a copy.

    Parameters
    ----------
    name : str
    rng : numpy Generator
        Chooses the split.
    n_test : int
        How many points are for testing.

    Returns
    -------
    Data; labels become numbers from 0 in alphabetical order

    Raises
    ------
    ConnectionError
        No network and no copy.

    Used from chapter 15 on.
    """
    check_generator(rng)
    try:
        x, y = datasets.fetch_openml(name, return_X_y=True, as_frame=False, parser="liac-arff")
    except OSError as error:
        raise ConnectionError(
            f"openml.org does not answer ({error}); give a file to from_file instead"
        ) from error
    labels = np.unique(y, return_inverse=True)[1].reshape(np.shape(y))
    return _checked(_split(x, labels, rng, n_test))


def _split(x, y, rng, n_test, n_train=None):
    """Draw n_test points for testing and n_train of the others (None: all) for training."""
    check_generator(rng)
    n_test = check_count("n_test", n_test, high=len(x) - 1)
    others = len(x) - n_test
    n_train = others if n_train is None else check_count("n_train", n_train, high=others)
    order = rng.permutation(len(x))
    test, train = order[:n_test], order[n_test : n_test + n_train]
    return Data(x[train], y[train], x[test], y[test])


def _checked(data):
    """The data, if points and labels fit each other."""
    for part in ("train", "test"):
        x, y = getattr(data, f"x_{part}"), getattr(data, f"y_{part}")
        if x.ndim < 2 or x.dtype.kind not in "biuf" or not np.isfinite(x).all():
            raise ValueError(f"x_{part} must hold finite numbers, a row a point, got {x.dtype} {x.shape}")
        if y.shape != x.shape[:1] or not len(y) or y.dtype.kind not in "iu":
            raise ValueError(
                f"y_{part} must hold an integer for each of {len(x)} points, got {y.dtype} {y.shape}"
            )
    if data.x_train.shape[1:] != data.x_test.shape[1:]:
        raise ValueError(
            f"x_train and x_test must hold alike points, got {data.x_train.shape} and {data.x_test.shape}"
        )
    return data


BOOK_DIGIT = 13  # a 3, written clearly but not perfectly
