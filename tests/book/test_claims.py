"""A checked statement holds, and its wrong version does not; else the cell turns red."""

import numpy as np
import pytest

import mad_max_lib as mm
from mad_max_lib.book.claims import Claim


def test_a_statement_that_holds_is_printed_with_what_a_wrong_one_gives(capsys):
    mm.checked("two and two are four", np.bool_(True), "two and three are five", np.bool_(False))
    assert (
        capsys.readouterr().out == "Checked: two and two are four.\nFor comparison: two and three are five.\n"
    )


@pytest.mark.parametrize(
    "holds, wrong_holds, words",
    [(False, False, "does not hold: it is so"), (True, True, "passes this check too .it is not so.")],
)
def test_a_false_statement_and_a_check_that_cannot_fail_raise(holds, wrong_holds, words, capsys):
    with pytest.raises(AssertionError, match=words):
        mm.checked("it is so", holds, "it is not so", wrong_holds)
    assert capsys.readouterr().out == ""


def test_a_page_folds_the_lines_and_shows_signs_as_they_are():
    assert Claim("1 < 2", "2 & 1")._repr_html_() == (
        "<details><summary>Checked</summary>1 &lt; 2.<br>For comparison: 2 &amp; 1.</details>"
    )
