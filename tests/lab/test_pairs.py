"""What a pair of treatments says, alone and in a table."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import t as student
from scipy.stats import ttest_rel

import mad_max_lib as mm
from mad_max_lib.lab.pairs import Difference, Differences

GOOD = np.array([80.0, 81.0, 82.0])


def scores_of(S):
    return arrays(float, S, elements=st.floats(0, 100, width=32))


@given(st.integers(2, 20).flatmap(lambda S: st.tuples(scores_of(S), scores_of(S))))
def test_the_interval_is_that_of_the_paired_t_test(pair):
    treated, control = pair
    assume(np.std(treated - control) > 1e-3)
    ours, test = mm.paired_difference(treated, control), ttest_rel(treated, control)
    expected = np.mean(treated) - np.mean(control), *test.confidence_interval(0.95)
    np.testing.assert_allclose([ours.mean, ours.low, ours.high], expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ours.p, test.pvalue, rtol=1e-6, atol=1e-12)
    positive = sum(a > b for a, b in zip(treated, control, strict=True))
    assert (ours.up, ours.pairs) == (positive, len(treated))
    assert [type(value) for value in ours] == [float, float, float, int, int, float, str]
    other = mm.paired_difference(control, treated)
    assert (other.mean, other.low, other.high, other.p) == (-ours.mean, -ours.high, -ours.low, ours.p)


@given(st.integers(2, 20).flatmap(lambda S: st.tuples(scores_of(S), scores_of(S))))
def test_one_row_alone_is_judged_by_its_interval(pair):
    ours = mm.paired_difference(*pair)
    assume(abs(ours.p - 0.05) > 1e-6)
    side = "higher" if ours.low > 0 else "lower" if ours.high < 0 else ""
    small = -1 <= ours.low and ours.high <= 1
    if side:
        assert ours.verdict == side + ", by less than a point" * small
    else:
        assert ours.verdict == "smaller than a point" * small


@pytest.mark.parametrize(
    "treated, control, expected",
    [
        ([1, 2, 3], [1, 2, 3], (0, 0, 0, 0, 3, 1.0, "smaller than a point")),
        ([1.5, 2.5, 3.5], [1, 2, 3], (0.5, 0.5, 0.5, 3, 3, 0.0, "higher, by less than a point")),
        ([1, 2, 3], [5, 6, 7], (-4, -4, -4, 0, 3, 0.0, "lower")),
    ],
)
def test_equal_differences_leave_no_doubt(treated, control, expected):
    assert mm.paired_difference(np.array(treated, float), np.array(control, float)) == expected


def scores_with(p, S=12, mean=5.0):
    """Scores whose t test against zero gives p: a fixed pattern around the mean, wide enough."""
    pattern = np.linspace(-1, 1, S)
    return mean + pattern * mean * S**0.5 / (student.isf(p / 2, S - 1) * pattern.std(ddof=1))


@pytest.mark.parametrize(
    "ps, holds",
    [
        ([0.04], [True]),
        ([0.04, 0.04], [False, False]),  # each alone would hold
        ([0.02, 0.04], [True, True]),  # .02 < .05 / 2, then .04 < .05
        ([0.04, 0.02], [True, True]),
        ([0.026, 0.001, 0.04], [False, True, False]),  # after .001, .026 fails at .05 / 2, and with it .04
        ([0.016, 0.024, 0.049], [True, True, True]),
        ([0.017, 0.017, 0.017], [False, False, False]),
        ([0.3, 0.012, 0.9, 0.0101], [False, True, False, True]),
    ],
)
def test_a_table_is_corrected_by_holm(ps, holds):
    table = mm.paired_difference({str(i): scores_with(p) for i, p in enumerate(ps)}, np.zeros(12))
    np.testing.assert_allclose([row.p for row in table.values()], ps, rtol=1e-6)
    assert [row.verdict == "higher" for row in table.values()] == holds
    assert not any(row.verdict for row, held in zip(table.values(), holds, strict=True) if not held)


@given(st.lists(st.floats(1e-6, 0.2), min_size=1, max_size=8, unique=True))
def test_holm_against_adjusted_p_values(ps):
    """The textbook's other form: sorted p times the number of those left, made monotone, below .05."""
    order = np.argsort(ps)
    adjusted = np.maximum.accumulate(np.sort(ps) * np.arange(len(ps), 0, -1))
    assume((abs(adjusted - 0.05) > 1e-6).all())
    expected = np.empty(len(ps), bool)
    expected[order] = adjusted < 0.05
    table = mm.paired_difference({str(i): scores_with(p) for i, p in enumerate(ps)}, np.zeros(12))
    assert [row.verdict.startswith("higher") for row in table.values()] == expected.tolist()


def test_a_family_of_null_rows_is_rarely_called():
    """Of tables with ten rows of noise 95 % name nothing; without the correction about 40 % name some."""
    rng = np.random.default_rng(0)
    named = alone = 0
    for _ in range(400):
        rows = {str(i): rng.normal(scale=9.0, size=8) for i in range(10)}
        table = mm.paired_difference(rows, np.zeros(8))
        named += any(
            "er" in row.verdict.split(" ")[0] for row in table.values() if row.verdict[:5] != "small"
        )
        alone += any(mm.paired_difference(row, np.zeros(8)).p < 0.05 for row in rows.values())
    assert named < 0.09 * 400 and alone > 0.3 * 400


def test_a_table_takes_one_control_or_one_for_each_row():
    rows = {"a": GOOD + [1, 2, 3], "b": GOOD - [4, 3, 5]}
    table = mm.paired_difference(rows, GOOD)
    assert isinstance(table, Differences) and list(table) == ["a", "b"]
    assert table == mm.paired_difference(rows, dict(reversed([(name, GOOD) for name in rows])))
    assert table["a"][:6] == mm.paired_difference(rows["a"], GOOD)[:6]
    one = mm.paired_difference(rows, {"a": rows["a"], "b": GOOD})
    assert one["a"].mean == 0 and one["b"].mean == -4


def test_how_it_is_printed():
    assert str(Difference(3.0, 2.0, 4.5, 5, 9, 0.001, "higher")) == "+3.00 [+2.00, +4.50], 5 of 9 up: higher"
    assert str(Difference(-3.0, -7.0, 1.0, 2, 9, 0.2, "")) == "-3.00 [-7.00, +1.00], 2 of 9 up"
    table = mm.paired_difference({"last layer": GOOD + [30, 31, 32], "b": GOOD + [0.1, -0.1, 0]}, GOOD)
    assert str(table).splitlines() == [
        "              mean     95 % interval      up",
        "last layer  +31.00  [+28.52, +33.48]  3 of 3  higher",
        "b            +0.00    [-0.25, +0.25]  1 of 3  smaller than a point",
    ]


def test_torch_tensors_are_scores_too():
    ours = mm.paired_difference({"a": torch.tensor([1.0, 3.0])}, torch.tensor([0.0, 1.0]))["a"]
    assert ours == mm.paired_difference(np.array([1.0, 3.0]), np.array([0.0, 1.0]))


@pytest.mark.parametrize("name", ["treated", "control"])
@pytest.mark.parametrize(
    "bad, error, message",
    [
        (GOOD.tolist(), TypeError, "{name} must be a NumPy array or a torch tensor, got list"),
        (GOOD.astype(int), TypeError, "{name} must hold floating-point numbers, got int64"),
        (GOOD[:, None], ValueError, r"{name} must have shape \(S,\), got \(3, 1\)"),
        (GOOD[:0], ValueError, r"{name} must have shape \(S,\), got \(0,\), which is empty"),
        (GOOD * np.nan, ValueError, "{name} must be finite; entries that are NaN or infinite: 3 of 3"),
        (GOOD[:2], ValueError, "treated and control must pair two or more seeds, got (2 and 3|3 and 2)"),
        (GOOD[:1], ValueError, "treated and control must pair two or more seeds, got (1 and 3|3 and 1)"),
    ],
)
def test_bad_scores(name, bad, error, message):
    with pytest.raises(error, match=message.replace("{name}", name)):
        mm.paired_difference(**{"treated": GOOD, "control": GOOD} | {name: bad})


@pytest.mark.parametrize(
    "treated, control, error, message",
    [
        (GOOD[:1], GOOD[:1], ValueError, "treated and control must pair two or more seeds, got 1 and 1"),
        (GOOD, {"a": GOOD}, TypeError, "treated must be a dict with the names of control"),
        ({}, GOOD, ValueError, "treated must hold at least one row, got an empty dict"),
        (
            {"a": GOOD},
            {"b": GOOD},
            ValueError,
            r"the names of treated, \['a'\], got \['b'\]",
        ),
        ({"a": GOOD, "b": GOOD[:2]}, GOOD, ValueError, r"treated\['b'\] and control\['b'\] must pair"),
        ({"a": GOOD.tolist()}, GOOD, TypeError, r"treated\['a'\] must be a NumPy array or a torch tensor"),
    ],
)
def test_bad_tables(treated, control, error, message):
    with pytest.raises(error, match=message):
        mm.paired_difference(treated, control)
