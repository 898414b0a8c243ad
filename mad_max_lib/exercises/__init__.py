"""Exercises: checks that answer with one line, tested solutions, and the wrong answers they must catch.

A check is an ordinary function that receives the reader's attempt and raises ``Wrong`` with a question;
it is registered with its reference solution and the misconceptions that tests see rejected.
"""

import copy
import importlib
import inspect
import os
import pickle
import pkgutil
from dataclasses import dataclass
from typing import Any

import numpy as np
from IPython.display import Markdown, display


class Wrong(Exception):
    """The attempt is not right yet; the message asks the reader a question and never tells the answer."""


def ask(holds, question):
    """Go on if the answer holds, else ask the question that may lead further."""
    if not holds:
        raise Wrong(question)


class _NotAttempted(Exception):
    """The stub is still in place."""


@dataclass
class Exercise:
    """One registered exercise."""

    number: str
    check: Any
    solution: Any
    wrong: tuple
    why: str


_registered = {}


def exercise(number, solution=None, wrong=(), why=""):
    """Register the decorated function as the check of an exercise.

    Parameters
    ----------
    number : str
        Chapter and number, such as ``"3.2"``.
    solution : function or value
        The reference; None for a problem for credit, which is checked by properties only.
    wrong : sequence
        Misconceptions of the right shape and type; the check must reject each with a message of its own.
    why : str
        For a solution that is a value: the sentence that explains it.
    """

    def register(check):
        _registered[number] = Exercise(number, check, solution, tuple(wrong), why)
        return check

    return register


def all_exercises():
    """Every exercise of the book, by number."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return dict(_registered)


def verdict(number, attempt):
    """What the check says of an attempt: "correct", "not attempted", or the question to ask.

    Examples
    --------
    >>> verdict("1.1", ...)
    'not attempted'
    """
    found = _find(number)
    try:
        if attempt is None or attempt is ...:
            raise _NotAttempted
        found.check(attempt)
    except (_NotAttempted, NotImplementedError):
        return "not attempted"
    except Wrong as question:
        return str(question)
    except Exception as error:  # an answer so odd that the check itself stumbles
        what = f"{type(error).__name__}: {error}"
        return f"this answer cannot be read ({what}). What type and shape were asked for?"
    return "correct"


def check(number, attempt):
    """Say in one line how an attempt stands, and return the version to go on with.

    Never raises while reading; with ``MAD_MAX_STRICT=1`` anything but a correct answer does.

    Parameters
    ----------
    number : str
    attempt : function or value
        The reader's version.

    Returns
    -------
    The attempt if it is correct, otherwise the reference (the attempt itself where none is public).

    Examples
    --------
    >>> answer = check("1.1", ...)
    Exercise 1.1: not attempted yet, going on with the reference version.
    """
    found, said = _find(number), verdict(number, attempt)
    reference = found.solution is not None
    go_on = ", going on with the reference version." if reference else "; the chapter goes on without it."
    if said == "correct":
        line = "correct." + (" The chapter now uses your version." if callable(found.solution) else "")
    elif said == "not attempted":
        line = "not attempted yet" + go_on
    else:
        line = f"not yet right: {said}"
    print(f"Exercise {number}: {line}")
    if said != "correct" and os.environ.get("MAD_MAX_STRICT") == "1":
        raise AssertionError(f"Exercise {number}: {line}")
    return attempt if said == "correct" or not reference else found.solution


def show_solution(number):
    """Fold open the tested reference solution of an exercise."""
    found = _find(number)
    if found.solution is None:
        text = f"Exercise {number} is for credit: it is checked by its properties and shows no solution."
    else:
        is_code = callable(found.solution)
        body = f"```python\n{inspect.getsource(found.solution)}```" if is_code else f"`{found.solution!r}`"
        text = f"<details><summary>Solution of exercise {number}</summary>\n\n{body}\n\n{found.why}\n\n</details>"
    display(Markdown(text))


def call(attempt, *arguments, shape=None):
    """Call the reader's function and return its answer as an array, or raise a kind ``Wrong``.

    Parameters
    ----------
    attempt : the reader's version
    *arguments : what to call it with; arrays are copied first
    shape : tuple, optional
        Shape that the answer must have; a list of shapes where several arrays must be returned.
    """
    if not callable(attempt):
        raise Wrong(f"a function is expected here, this is {_kind(attempt)}. Was it called already?")
    copies = copy.deepcopy(arguments)
    before = _state(copies)
    try:
        answer = attempt(*copies)
    except NotImplementedError:
        raise _NotAttempted from None
    except Exception as error:
        raise Wrong(f"your version stopped with {type(error).__name__}: {error}") from None
    if answer is None:
        raise Wrong("your version returns None. Is a `return` missing?")
    if _state(copies) != before:
        raise Wrong("your version changes its arguments. Can it work on new arrays instead of `*=` or `+=`?")
    if not isinstance(shape, list):
        return value(answer, shape)
    if isinstance(answer, np.ndarray) and answer.ndim > 1 and len(answer) == len(shape):
        answer = list(answer)  # one array of several rows unpacks like several arrays
    if not isinstance(answer, (tuple, list)) or len(answer) != len(shape):
        raise Wrong(f"{len(shape)} arrays are expected, your version returns {_kind(answer)}. Which ones are missing?")
    return [value(part, part_shape) for part, part_shape in zip(answer, shape, strict=True)]


def value(answer, shape=None):
    """The reader's answer as an array of numbers, or a kind ``Wrong``."""
    if answer is ...:
        raise _NotAttempted
    try:
        array = np.asarray(answer.detach().cpu() if hasattr(answer, "detach") else answer)
        numbers = array.dtype.kind in "biuf"
    except Exception:
        numbers = False
    if not numbers:
        raise Wrong(f"the answer should be made of numbers, this is {_kind(answer)}. What should it hold?")
    if shape is not None and array.shape != tuple(shape):
        raise Wrong(f"the answer should have shape {tuple(shape)}, this one has {array.shape}. Which axis is off?")
    if np.isnan(array).any():
        raise Wrong("the answer contains NaN. Where could 0/0 or inf - inf come from?")
    return array


def _state(arguments):
    """Bytes that change when an array among the arguments does."""
    return pickle.dumps([argument for argument in arguments if not callable(argument)])


def _kind(answer):
    name = type(answer).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _find(number):
    if number not in _registered and number not in all_exercises():
        raise ValueError(f"there is no exercise {number!r}; there are {', '.join(sorted(_registered))}")
    return _registered[number]
