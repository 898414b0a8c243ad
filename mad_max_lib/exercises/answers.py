"""How an attempt is called, read and compared; what is odd about it is told as a question."""

import copy
import pickle

import numpy as np
import torch


class Wrong(Exception):
    """The attempt is not right yet; the message asks a question and never tells the answer."""


class NotAttempted(Exception):
    """The stub is still in place."""


HAS_NAN = "the answer contains NaN. Where could 0/0 or inf - inf come from?"


def ask(holds, question):
    """Go on if the answer holds, else ask the question that may lead further."""
    if not holds:
        raise Wrong(question)


def call(attempt, *arguments, shape=None, like=None, may_be_nan=False):
    """Call the reader's function; its answer as an array, or as a list of arrays where several are expected.

    Parameters
    ----------
    attempt : the reader's version
    *arguments : what to call it with; arrays are copied first
    shape : tuple, or a list of tuples for several arrays, optional
        Shapes that the answer must have; None in their place for any.
    like : array or tensor, or a list with one for each answer, optional
        The answer must be of this kind: array or tensor, floating or not. By default array or tensor as the
        arguments are.
    may_be_nan : bool
        Whether NaN is let through, for a known mistake that gives it.
    """
    if not callable(attempt):
        raise Wrong(f"a function is expected here, this is {_kind(attempt)}. Was it called already?")
    copies = copy.deepcopy(arguments)
    before = _state(copies)
    try:
        answer = attempt(*copies)
    except NotImplementedError:
        raise NotAttempted from None
    except Exception as error:
        what = str(error).partition("\n")[0]
        raise Wrong(f"your version stopped with {type(error).__name__}: {what}") from None
    if answer is None:
        raise Wrong("your version returns None. Is a `return` missing?")
    if _state(copies) != before:
        raise Wrong(
            "your version changes its arguments. What in it works in place, such as `*=`, `a[0] = ` or "
            "`a.sort()`, and can it work on new arrays instead?"
        )
    if like is None:  # of its comparison, since indices may answer for floating arrays
        like = next((argument > 0 for argument in arguments if _is_array(argument)), None)
    if not isinstance(shape, list):
        return value(answer, shape, like, may_be_nan)
    if isinstance(answer, np.ndarray) and answer.ndim > 1 and len(answer) == len(shape):
        answer = list(answer)  # one array of several rows unpacks like several arrays
    if not isinstance(answer, (tuple, list)) or len(answer) != len(shape):
        counted, off = "", "How does a function return several?"
        if isinstance(answer, (tuple, list)):
            counted = f" of {len(answer)}"
            off = "Which are missing?" if len(answer) < len(shape) else "Which are not asked for?"
        raise Wrong(f"{len(shape)} arrays are expected, your version returns {_kind(answer)}{counted}. {off}")
    kinds = like if isinstance(like, (list, tuple)) else [like] * len(shape)
    return [value(*part, may_be_nan) for part in zip(answer, shape, kinds, strict=True)]


def value(answer, shape=None, like=None, may_be_nan=False):
    """The reader's answer as an array of numbers of this shape, of the same kind as ``like``."""
    if answer is ...:
        raise NotAttempted
    _check_kind(answer, like)
    try:
        array = np.asarray(answer.detach().cpu() if isinstance(answer, torch.Tensor) else answer)
        numbers = array.dtype.kind in "biuf"
    except Exception:
        numbers = False
    if not numbers:
        if parts := _parts(answer):
            raise Wrong(
                f"the answer should have shape {shape}, this is {_kind(answer)} of arrays of shapes "
                f"{' and '.join(map(str, parts))}. How do they become one array?"
            )
        raise Wrong(f"the answer should be made of numbers, this is {_kind(answer)}. What should it hold?")
    if shape is not None and array.shape != tuple(shape):
        off = "Which axis is off?"
        if sorted(array.shape) == sorted(shape):
            off = "In which order should the axes stand?"
        elif [n for n in array.shape if n != 1] == [n for n in shape if n != 1]:
            off = "Which axis of length 1 is " + ("missing?" if array.ndim < len(shape) else "not asked for?")
        raise Wrong(f"the answer should have shape {tuple(shape)}, this one has {array.shape}. {off}")
    if _is_array(like) and _is_floating(like) and array.dtype.kind in "iub":
        held = "truth values" if array.dtype.kind == "b" else "whole numbers"
        raise Wrong(
            f"your array holds {held} ({array.dtype}), and the chapter goes on with floating-point numbers. "
            "Which dtype should it have?"
        )
    if np.isnan(array).any() and not may_be_nan:
        raise Wrong(HAS_NAN)
    return array


def marks(answer, N, what):
    """The reader's 0 or 1 for each of N cases; ``what`` asks what a 1 stands for."""
    got = value(answer)
    ask(
        got.shape == (N,) and np.isin(got, (0, 1)).all(),
        f"{N} numbers are expected, one for each case in its order, and each of them 1 or 0. {what}",
    )
    return got


def _parts(answer):
    """The shapes of the arrays, of different shapes, that were returned in place of one; else none."""
    try:
        parts = [np.asarray(part) for part in answer] if isinstance(answer, (tuple, list)) else []
    except Exception:
        return []
    return [part.shape for part in parts] if all(p.ndim and p.dtype.kind in "biuf" for p in parts) else []


def _check_kind(answer, like):
    """What is no array where the chapter goes on with one."""
    if not _is_array(like) or isinstance(answer, type(like)):
        return
    names = {np.ndarray: "a NumPy array", torch.Tensor: "a torch tensor"}
    goes_on = f"and the chapter goes on with {names[type(like)]}"
    if isinstance(answer, (list, tuple)):
        raise Wrong(f"your version returns {_kind(answer)}, {goes_on}. Which call makes one of it?")
    if _is_array(answer):
        raise Wrong(f"your version returns {names[type(answer)]}, {goes_on}. Which of the two came in?")


def _is_array(answer):
    return isinstance(answer, (np.ndarray, torch.Tensor)) and answer.ndim > 0


def _is_floating(array):
    return array.is_floating_point() if isinstance(array, torch.Tensor) else array.dtype.kind == "f"


def shape_of(answer):
    """The ``shape`` that `call` is to ask for, from what the reference answers."""
    return [np.shape(part) for part in answer] if isinstance(answer, (tuple, list)) else np.shape(answer)


def as_arrays(answer):
    """A reference's answer in the form in which `call` returns an attempt's."""
    if isinstance(answer, (tuple, list)):
        return [as_arrays(part) for part in answer]
    return np.asarray(answer.detach().cpu() if isinstance(answer, torch.Tensor) else answer)


def within(atol, rtol=0.0):
    """A comparison of two answers: alike in structure and shape, and everywhere as close as this.

    Examples
    --------
    >>> within(0.1)(np.array([1.0, 2.0]), np.array([1.05, 2.0]))
    True
    """

    def equal(one, other):
        if isinstance(one, list) or isinstance(other, list):
            both = isinstance(one, list) and isinstance(other, list) and len(one) == len(other)
            return both and all(map(equal, one, other))
        return one.shape == other.shape and np.allclose(one, other, rtol, atol, equal_nan=True)

    return equal


close = within(1e-9, rtol=1e-6)


def _state(arguments):
    """Bytes that change when an array among the arguments does."""
    return pickle.dumps([argument for argument in arguments if not callable(argument)])


def _kind(answer):
    name = type(answer).__name__.removeprefix("nd")  # of an ndarray
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
