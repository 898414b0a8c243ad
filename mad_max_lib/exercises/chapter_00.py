"""Chapter 00, start here."""

import numpy as np

from . import Wrong, call, exercise


def reach(points, direction):
    return (points @ direction).max()


def _smallest(points, direction):
    return (points @ direction).min()


def _which(points, direction):
    return (points @ direction).argmax()


@exercise("0.1", solution=reach, wrong=[_smallest, _which])
def _(attempt):
    points = np.array([[1.0, 2.0], [4.0, -1.0], [-3.0, -3.0]])
    got = call(attempt, points, np.array([1.0, 0.5]), shape=())
    if got == -4.5:
        raise Wrong("you return the smallest inner product, -4.5. How far do the points reach the other way?")
    if got == 1:
        raise Wrong("you return 1: is that how far the points reach, or which of them does?")
    if got != 3.5:
        raise Wrong(f"for the points of the check and the direction (1, 0.5) the answer should be 3.5, not {got}. Why?")
