"""Exercises: checks that answer with one line, tested solutions, and the mistakes that they know.

Each chapter's exercises stand in one module. Most are told by a solution, the cases on which an attempt is
tried, and the known mistakes, each with the question that leads on from it:

    def halfway(a, b):
        return (a + b) / 2

    def _longer(a, b):
        return a + b

    exercise("7.1", solution=halfway, cases=[(1.0, 4.0), (2.0, 2.0)],
             wrong={_longer: "your answer lies beyond both points. By what is a sum of two divided?"},
             otherwise=lambda got, truth, a, b: f"between {a} and {b} you find {got}. Is it halfway?")

An attempt that agrees with the solution on all cases is right; one that agrees with a known mistake on all
cases hears its question; any other hears ``otherwise``. For an answer that is no function, the known mistakes
are values: ``solution=[1, 3], wrong={(3, 1): "which comes first?"}``. What has no table of cases, such as a
problem for credit, is checked by its properties: ``@exercise("7.2") def check_7_2(attempt): ask(...,
"question?")``.
"""

import importlib
import inspect
import os
import pkgutil
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from IPython import get_ipython
from IPython.display import Markdown, display

from .answers import HAS_NAN, NotAttempted, Wrong, as_arrays, ask, call, close, shape_of, value, within

__all__ = [
    "all_exercises", "ask", "call", "check", "close", "exercise", "show_solution", "verdict", "within",
]  # fmt: skip


@dataclass
class Exercise:
    """One registered exercise."""

    number: str
    solution: Any = None
    cases: list = field(default_factory=list)
    wrong: Any = ()
    otherwise: Any = "this is not the answer yet. What changes if you try the smallest case by hand?"
    equal: Any = close
    any_shape: bool = False
    why: str = ""
    check: Any = None


_registered = {}


def exercise(number, **parts):
    """Register an exercise; as a decorator also a check of its properties, which runs before the cases.

    Parameters
    ----------
    number : str
        Chapter and number, such as ``"3.2"``.
    solution : function or value, optional
        The reference; none for a problem for credit, which is checked by its properties only.
    cases : list of tuples, optional
        What a function is called with.
    wrong : dict or sequence, optional
        Known mistakes of the right shape and type, functions or values, with the question for each; a
        question may be a function of the answer, the right one and the case (see `otherwise`). A sequence
        where the check of properties tells them apart.
    otherwise : str or function ``otherwise(got, truth, *case)``, optional
        The question for a mistake that is not known, about the first case that is wrong.
    equal : function ``equal(got, truth)``, optional
        Whether two answers are the same; by default up to rounding. See `within`.
    any_shape : bool
        Whether the answer's shape is free.
    why : str, optional
        For a solution that is a value: the sentence that explains it.
    """
    found = _registered[number] = Exercise(number, **parts)

    def register(check):
        found.check = check
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
            raise NotAttempted
        with np.errstate(all="ignore"):  # overflow and the like are told in words
            if found.check is not None:
                found.check(attempt)
            _compare(found, attempt)
    except (NotAttempted, NotImplementedError):
        return "not attempted"
    except Wrong as question:
        return str(question)
    except Exception as error:  # an answer so odd that the check itself stumbles
        what = f"{type(error).__name__}: {error}"
        return f"this answer cannot be read ({what}). What type and shape were asked for?"
    return "correct"


def _compare(found, attempt):
    """Raise `Wrong` unless the attempt agrees with the solution on all cases."""
    if found.solution is None:
        return
    if callable(found.solution):
        cases, answers = found.cases, [found.solution(*case) for case in found.cases]
        got = [_answer(found, attempt, case, answer) for case, answer in zip(cases, answers, strict=True)]
        truths = list(map(as_arrays, answers))
    else:
        cases, truths = [()], [value(found.solution)]
        got = [value(attempt, truths[0].shape)]
    for one, truth, case in zip(got, truths, cases, strict=True):
        if not found.equal(one, truth):
            general = HAS_NAN if _has_nan(one) and not _has_nan(truth) else found.otherwise
            question = next((q for mistake, q in _known(found) if _agrees(found, mistake, got)), general)
            raise Wrong(question(one, truth, *case) if callable(question) else question)


def _answer(found, attempt, case, truth):
    shape = shape_of(truth)
    if found.any_shape:
        shape = [None] * len(shape) if isinstance(shape, list) else None
    return call(attempt, *case, shape=shape, like=truth, may_be_nan=True)


def _has_nan(answer):
    return any(map(_has_nan, answer)) if isinstance(answer, list) else bool(np.isnan(answer).any())


def _known(found):
    """The known mistakes with their questions."""
    return found.wrong.items() if isinstance(found.wrong, dict) else ()


def _agrees(found, mistake, got):
    """Whether a known mistake gives these answers."""
    if not callable(mistake):
        return found.equal(got[0], value(mistake))
    try:
        return all(
            found.equal(g, as_arrays(mistake(*case))) for g, case in zip(got, found.cases, strict=True)
        )
    except Exception:  # a mistake that does not bear one of the cases
        return False


def check(number, attempt):
    """Say in one line how an attempt stands, and return the version to go on with.

    Never raises while reading. With ``MAD_MAX_STRICT=1`` anything but a correct answer is an error; in a
    notebook it is shown, and the later cells still get the reference.

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

    Used from chapter 00 on.
    """
    found, said = _find(number), verdict(number, attempt)
    reference = found.solution is not None
    if said == "correct":
        line = "correct." + (" The chapter now uses your version." if callable(found.solution) else "")
    elif said == "not attempted":
        go_on = ", going on with the reference version." if reference else "; the chapter goes on without it."
        line = f"not attempted yet{go_on}"
    else:
        line = f"not yet right: {said}" + " (The chapter goes on with the reference version.)" * reference
    print(f"Exercise {number}: {line}")
    if said != "correct" and os.environ.get("MAD_MAX_STRICT") == "1":
        error = AssertionError(f"Exercise {number}: {line}")
        if get_ipython() is None:
            raise error
        get_ipython().showtraceback((AssertionError, error, None))  # marks see an error; later cells go on
    return attempt if said == "correct" or not reference else found.solution


def show_solution(number):
    """Fold open the tested reference solution of an exercise.

    Used from chapter 00 on.
    """
    found = _find(number)
    if found.solution is None:
        text = f"Exercise {number} is for credit: it is checked by its properties and shows no solution."
    else:
        is_code = callable(found.solution)
        body = f"```python\n{inspect.getsource(found.solution)}```" if is_code else f"`{found.solution!r}`"
        text = "\n\n".join(
            [f"<details><summary>Solution of exercise {number}</summary>", body, found.why, "</details>"]
        )
    display(Markdown(text))


def _find(number):
    """The exercise, from its chapter's module alone."""
    chapter = str(number).partition(".")[0]
    if number not in _registered and chapter.isdigit() and len(chapter) < 3:
        module = f"{__name__}.chapter_{int(chapter):02}"
        if importlib.util.find_spec(module):
            importlib.import_module(module)
    if number not in _registered:
        raise ValueError(f"there is no exercise {number!r}; there are {', '.join(sorted(all_exercises()))}")
    return _registered[number]
