"""Chapter 00, start here."""

import numpy as np

from . import Wrong, call, exercise


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


@exercise("0.1", solution=reach, wrong=[_smallest, _which, _total, _from_zero])
def _(attempt):
    points = np.array([[1.0, 2.0], [4.0, -1.0], [-3.0, -4.0]])  # inner products 2, 3.5, -5
    got = call(attempt, points, np.array([1.0, 0.5]), shape=())
    if got == -5:
        raise Wrong("you return the smallest inner product, -5. How far do the points reach the other way?")
    if got == 1:
        raise Wrong("you return 1: is that how far the points reach, or which of them does?")
    if got == 0.5:
        raise Wrong("you return the sum of all inner products. Which single one is asked for?")
    if got != 3.5:
        raise Wrong(f"for the points of the check and the direction (1, 0.5) the answer should be 3.5, not {got}. Why?")
    if call(attempt, -points[:2], np.array([1.0, 0.5]), shape=()) != -2:
        raise Wrong("where all inner products are negative your answer is not the largest. Where does it start?")
