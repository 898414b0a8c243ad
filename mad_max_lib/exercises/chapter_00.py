"""Chapter 00, start here."""

import numpy as np

from . import exercise


def reach(points, direction):
    return (points @ direction).max()


def _smallest(points, direction):
    return (points @ direction).min()


def _which(points, direction):
    return (points @ direction).argmax()


def _total(points, direction):
    return (points @ direction).sum()


def _from_zero(points, direction):
    return max(0, (points @ direction).max())


_POINTS = np.array([[1.0, 2.0], [4.0, -1.0], [-3.0, -4.0]])  # inner products with (1, 0.5): 2, 3.5, -5
exercise(
    "0.1",
    solution=reach,
    cases=[(_POINTS, np.array([1.0, 0.5])), (-_POINTS[:2], np.array([1.0, 0.5]))],
    wrong={
        _smallest: "you return the smallest inner product. How far do the points reach the other way?",
        _which: "is your answer how far the points reach, or which of them does?",
        _total: "you return the sum of all inner products. Which single one is asked for?",
        _from_zero: "where all inner products are negative your answer is not the largest. "
        "Where does it start?",
    },
    otherwise=lambda got, truth, *_: (
        f"for the points of the check and the direction (1, 0.5) the answer should be {truth}, "
        f"not {got}. Why?"
    ),
)
