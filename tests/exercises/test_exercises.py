"""The exercise framework on toys; every exercise of the book: solutions pass, mistakes are told apart."""

import inspect
import re
import subprocess
import sys

import credit
import numpy as np
import pytest
import torch

from mad_max_lib import exercises
from mad_max_lib.exercises import all_exercises, ask, call, check, exercise, show_solution, verdict

EVERY = all_exercises()
GENERIC = [  # what any wrong answer may hear; a known mistake must hear something of its own
    "not attempted", "a function is expected here", "your version stopped with", "your version returns None",
    "arrays are expected", "the answer should be made of numbers", "the answer should have shape",
    "the answer contains NaN", "this answer cannot be read", "your version returns a", "your array holds",
]  # fmt: skip


GO_ON = "(The chapter goes on with the reference version.)"


def raises(*arguments):
    raise NotImplementedError("Exercise 0.0")


# --- the framework ---------------------------------------------------------------------------------------


def double(x):
    return 2 * x


@pytest.fixture
def toys(monkeypatch):
    """A function, by its properties (99.1, 99.3 for credit), a number, two arrays, a table of mistakes."""
    monkeypatch.setattr(exercises, "_registered", {})
    monkeypatch.setattr(exercises, "all_exercises", lambda: exercises._registered)
    monkeypatch.delenv("MAD_MAX_STRICT", raising=False)

    @exercise("99.1", solution=double)
    @exercise("99.3")
    def check_99_1(attempt):
        x = np.arange(3.0)
        got = call(attempt, x, shape=(3,))
        ask((got == 2 * x).all(), "some are not doubled. Which?")

    exercise("99.2", solution=4, otherwise="and 2 + 2?", why="It is 2 + 2.")

    @exercise("99.4", solution=lambda x: (x, x))
    def check_99_4(attempt):
        call(attempt, np.zeros(2), shape=[(2,), (2,)])

    def thrice(x):
        return 3 * x

    exercise(
        "99.6",
        solution=double,
        wrong={thrice: "once too often?"},
        cases=[(np.arange(3.0),), (np.ones((2, 1)),)],
        otherwise=lambda got, truth, x: f"{x[0]} became {got[0]}. And doubled?",
    )


def twice(x):
    return x + x


def change_argument(x):
    x *= 2
    return x


@pytest.mark.parametrize(
    "number, attempt, said",
    [
        ("99.1", double, "correct"),
        (
            "99.1",
            lambda x: list(2 * x),
            "your version returns a list, and the chapter goes on with a NumPy array",
        ),
        ("99.1", change_argument, "your version changes its arguments"),
        ("99.1", ..., "not attempted"),
        ("99.1", None, "not attempted"),
        ("99.1", raises, "not attempted"),
        ("99.1", lambda x: x, "some are not doubled. Which?"),
        ("99.1", lambda x: x[5], "your version stopped with IndexError"),
        ("99.1", lambda: 3, "your version stopped with TypeError"),
        ("99.1", lambda x: None, "your version returns None. Is a `return` missing?"),
        ("99.1", lambda x: 2 * x[:2], "the answer should have shape (3,), this one has (2,)"),
        ("99.1", lambda x: x * np.nan, "the answer contains NaN"),
        ("99.1", lambda x: "2x", "the answer should be made of numbers, this is a str"),
        ("99.1", lambda x: object, "the answer should be made of numbers, this is a type"),
        ("99.1", np.arange(3), "a function is expected here, this is an array"),
        ("99.2", 4, "correct"),
        ("99.2", np.array(4.0), "correct"),
        ("99.2", ..., "not attempted"),
        ("99.2", 5, "and 2 + 2?"),
        ("99.2", "4", "the answer should be made of numbers, this is a str"),
        ("99.2", [4, [5]], "the answer should be made of numbers, this is a list"),
        ("99.2", [4], "the answer should have shape (), this one has (1,)"),
        ("99.2", np.nan, "the answer contains NaN"),
        ("99.2", double, "the answer should be made of numbers, this is a function"),
        ("99.6", twice, "correct"),
        ("99.6", lambda x: 3 * x, "once too often?"),
        ("99.6", lambda x: x + 1, "0.0 became 1.0. And doubled?"),
        (
            "99.6",
            lambda x: (2 * x).tolist(),
            "your version returns a list, and the chapter goes on with a NumPy array",
        ),
        (
            "99.6",
            lambda x: (2 * x).squeeze(),
            "the answer should have shape (2, 1), this one has (2,). Which axis of length 1 is missing?",
        ),
        (
            "99.6",
            lambda x: (2 * x)[None],
            "the answer should have shape (3,), this one has (1, 3). Which axis of "
            "length 1 is not asked for?",
        ),
        (
            "99.6",
            lambda x: (2 * x).astype(int),
            "your array holds whole numbers (int64), and the chapter goes on with floating-point numbers.",
        ),
        (
            "99.6",
            lambda x: torch.from_numpy(2 * x),
            "your version returns a torch tensor, and the chapter goes on with a NumPy array",
        ),
        ("99.4", lambda x: (x, x), "correct"),
        ("99.4", lambda x: x, "2 arrays are expected, your version returns an array. How"),
        ("99.4", lambda x: (x,), "2 arrays are expected, your version returns a tuple of 1. Which are"),
        ("99.4", lambda x: (x,) * 3, "2 arrays are expected, your version returns a tuple of 3. Which are"),
        (
            "99.2",
            (np.zeros((2, 2)), [0, 3]),
            "the answer should have shape (), this is a tuple of arrays of shapes (2, 2) and (2,). How",
        ),
        (
            "99.6",
            lambda x: (2 * x).T,
            "the answer should have shape (2, 1), this one has (1, 2). In which order should the axes stand?",
        ),
        ("99.4", lambda x: (x, x[0]), "the answer should have shape (2,)"),
    ],
)
def test_verdict(toys, capsys, number, attempt, said):
    assert verdict(number, attempt).startswith(said)
    check(number, attempt)  # one line, whatever comes
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize(
    "number, attempt, line, goes_on_with",
    [
        ("99.1", ..., "not attempted yet, going on with the reference version.", double),
        ("99.1", abs, f"not yet right: some are not doubled. Which? {GO_ON}", double),
        ("99.1", twice, "correct. The chapter now uses your version.", twice),
        ("99.2", 5, f"not yet right: and 2 + 2? {GO_ON}", 4),
        ("99.2", 4, "correct.", 4),
        ("99.3", raises, "not attempted yet; the chapter goes on without it.", raises),
        ("99.3", abs, "not yet right: some are not doubled. Which?", abs),
    ],
)
def test_check_says_one_line_and_the_chapter_goes_on(toys, capsys, number, attempt, line, goes_on_with):
    assert check(number, attempt) is goes_on_with
    assert capsys.readouterr().out == f"Exercise {number}: {line}\n"


def test_a_check_that_stumbles_over_an_answer_does_not_stop_the_reader(toys, capsys):
    @exercise("99.5", solution=double)
    def check_99_5(attempt):
        attempt(3)["key"]  # a check that forgot to use `call`

    assert verdict("99.5", raises) == "not attempted"
    check("99.5", double)
    assert "not yet right: this answer cannot be read (TypeError: " in capsys.readouterr().out


def test_strict_mode_raises_unless_correct(toys, monkeypatch):
    monkeypatch.setenv("MAD_MAX_STRICT", "1")
    assert check("99.1", double) is double
    for attempt, said in [(..., "not attempted"), (abs, "not doubled"), (lambda x: None, "returns None")]:
        with pytest.raises(AssertionError, match=f"Exercise 99.1: .*{said}"):
            check("99.1", attempt)


def test_one_chapter_is_loaded_for_one_exercise():
    code = "import sys; from mad_max_lib.exercises import verdict; verdict('13.1', ...); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert re.findall(r"chapter_\d+", modules) == ["chapter_13"]


@pytest.mark.parametrize("use", [lambda n: check(n, 1), lambda n: verdict(n, 1), show_solution])
def test_an_unknown_number_is_said_with_those_there_are(toys, use):
    with pytest.raises(ValueError, match=r"there is no exercise '99.9'; there are 99.1, 99.2, 99.3, 99.4"):
        use("99.9")


def test_solutions_fold_open(toys, monkeypatch):
    shown = []
    monkeypatch.setattr(exercises, "display", lambda markdown: shown.append(markdown.data))
    for number in ("99.1", "99.2", "99.3"):
        show_solution(number)
    code, number, credited = shown
    assert code.startswith("<details><summary>Solution of exercise 99.1</summary>")
    assert "```python\ndef double(x):\n    return 2 * x\n```" in code
    assert "`4`" in number and "It is 2 + 2." in number
    assert "for credit" in credited and "<details>" not in credited


# --- every exercise of the book --------------------------------------------------------------------------

PUBLIC = [number for number, found in EVERY.items() if found.solution is not None]
FOR_CREDIT = [number for number, found in EVERY.items() if found.solution is None]
MISTAKES = {number: list(found.wrong) for number, found in EVERY.items()}
for _number, _wrong in credit.WRONG.items():
    MISTAKES[_number] = MISTAKES[_number] + list(_wrong)


@pytest.mark.parametrize("number", EVERY)
def test_the_solution_is_accepted(number):
    solution = EVERY[number].solution if number in PUBLIC else credit.SOLUTIONS.get(number)
    assert solution is not None, (
        "an exercise for credit needs its accepted solution in tests/exercises/credit.py"
    )
    assert verdict(number, solution) == "correct"


@pytest.mark.parametrize("number", EVERY)
def test_the_stub_is_not_an_attempt(number):
    solution = EVERY[number].solution if number in PUBLIC else credit.SOLUTIONS.get(number)
    for stub in [..., None, *([raises] if callable(solution) else [])]:
        assert verdict(number, stub) == "not attempted"


@pytest.mark.parametrize("number", EVERY)
def test_known_mistakes_are_told_apart(number):
    said = [verdict(number, wrong) for wrong in MISTAKES[number]]
    assert len(said) >= 2, "at least two known mistakes"
    assert "correct" not in said
    for message in said:
        assert not message.startswith(tuple(GENERIC)) and "arrays are expected" not in message, message
    assert len(set(said)) == len(said), said


@pytest.mark.parametrize("number", EVERY)
def test_messages_ask_and_do_not_tell(number):
    solution = EVERY[number].solution if number in PUBLIC else credit.SOLUTIONS.get(number)
    for message in (verdict(number, wrong) for wrong in MISTAKES[number]):
        assert message.rstrip(".)").endswith("?"), f"no question: {message}"
        if callable(solution):
            lines = inspect.getsource(solution).split("\n")[1:]
            parts = [line.strip().removeprefix("return ") for line in lines]
            told = [part for part in parts if len(part) > 8 and part in message]
        else:
            parts = {str(solution), str(np.asarray(solution))}
            told = [part for part in parts if re.search(rf"(?<![\w.-]){re.escape(part)}(?![\w.])", message)]
        assert not told, f"{message!r} tells {told}"


KINDS = {  # what a function may return in place of an array: how, and what is then said
    "a list": (lambda array: array.tolist(), "your version returns a list"),
    "an axis less": (lambda array: array.squeeze(), "Which axis of length 1 is missing?"),
    "an axis more": (lambda array: array[None], "Which axis of length 1 is not asked for?"),
    "whole numbers": (lambda array: array.astype(int), "your array holds whole numbers"),
    "the other library": (
        lambda array: array.numpy() if isinstance(array, torch.Tensor) else torch.from_numpy(array),
        "and the chapter goes on with",
    ),
}


def is_array(answer):
    return isinstance(answer, (np.ndarray, torch.Tensor)) and answer.ndim > 0


def applies(kind, array):
    floating = isinstance(array, np.ndarray) and array.dtype.kind == "f"
    return {"an axis less": 1 in array.shape, "whole numbers": floating}.get(kind, True)


def with_changed(kind, solution, changed):
    """The solution with each array changed to this kind; in ``changed`` stands which arrays could be."""

    def part_changed(part):
        if not is_array(part) or not applies(kind, part):
            return part
        changed.append(part)
        return KINDS[kind][0](part)

    def attempt(*case):
        got = solution(*case)
        return tuple(map(part_changed, got)) if isinstance(got, (tuple, list)) else part_changed(got)

    return attempt


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [number for number, found in EVERY.items() if found.cases])
def test_what_is_no_array_of_the_right_kind_is_told_so(number, kind):
    found, changed = EVERY[number], []
    if found.any_shape and kind.startswith("an "):
        return
    said = verdict(number, with_changed(kind, found.solution, changed))
    assert said == "correct" if not changed else KINDS[kind][1] in said


@pytest.mark.parametrize("kind", ["a list", "the other library"])
@pytest.mark.parametrize("number", [number for number in FOR_CREDIT if callable(credit.SOLUTIONS[number])])
def test_problems_for_credit_tell_a_list_and_the_other_library(number, kind):
    changed = []
    said = verdict(number, with_changed(kind, credit.SOLUTIONS[number], changed))
    assert said == "correct" if not changed else KINDS[kind][1] in said


ODD = [
    "text", 3.5, -1, 10**30, np.nan, np.inf, [], {}, (1, 2), np.zeros((2, 3, 5)), np.zeros(0), object(),
    print, type, lambda: 1, lambda *a: None, lambda *a: np.nan, lambda *a: "text", lambda *a: [],
    lambda *a: 3, lambda *a: np.zeros((7, 3, 2)), lambda *a: (1, 2), lambda *a: {}, lambda *a: object(),
    lambda *a: a, lambda *a: a[0], lambda *a: ..., lambda *a: 1 / 0, lambda *a: (np.nan,) * 3,
    lambda *a: [...], lambda *a: np.full(1, np.inf),
]  # fmt: skip


@pytest.mark.parametrize("number", EVERY)
def test_odd_answers_get_a_sentence_and_never_a_traceback(number):
    solution = EVERY[number].solution if number in PUBLIC else credit.SOLUTIONS.get(number)
    for attempt in ODD:
        said = verdict(number, attempt)
        if callable(solution) and not callable(attempt):
            assert said.startswith("a function is expected")
        assert said != "correct" or attempt == solution, f"{attempt!r} counts as correct"


def test_credit_names_only_exercises_for_credit():
    assert set(credit.SOLUTIONS) | set(credit.WRONG) <= set(FOR_CREDIT)


def test_chapter_02_quotes_the_bounds_that_the_solution_of_2_4_gives():
    u = np.linspace(-1, 1, 400)
    curve = np.sqrt(u**2 + 0.01)
    bounds = [np.sqrt(credit.SOLUTIONS["2.4"](u, curve, R) / 400) for R in (5, 8)]
    assert np.round(bounds, 5).tolist() == [0.00188, 0.00073]
