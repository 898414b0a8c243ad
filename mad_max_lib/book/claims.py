"""What a checked cell says: what was tried, what came out, what a wrong version would give."""

import html

from IPython.display import display


def checked(found, holds, wrong, wrong_holds):
    """State what a check found, and show that it could have failed; on a page the statement is folded.

    Parameters
    ----------
    found : str
        What was tried and what came out, with its numbers.
    holds : bool
        Whether the statement held in all that was tried.
    wrong : str
        What a wrong version gives on the same cases.
    wrong_holds : bool
        Whether the wrong version passes the same test.

    Raises
    ------
    AssertionError
        The statement does not hold, or the wrong version passes too, so that the check proves nothing.

    Examples
    --------
    >>> import numpy as np
    >>> u = np.linspace(-4, 4, 161)
    >>> error, other = (np.abs(np.maximum(u, low) - u * (u > 0)).max() for low in (0.0, -1.0))
    >>> checked(f"the ReLU is max(0, u) at 161 places, largest difference {error:.0f}", error == 0,
    ...         f"max(-1, u) differs by up to {other:.0f}", other == 0)
    Checked: the ReLU is max(0, u) at 161 places, largest difference 0.
    For comparison: max(-1, u) differs by up to 1.

    Used from chapter 01 on.
    """
    if not holds:
        raise AssertionError(f"this does not hold: {found}")
    if wrong_holds:
        raise AssertionError(f"a wrong version passes this check too ({wrong}), so that it proves nothing")
    display(Claim(found, wrong))


class Claim:
    """The words of a check that passed: two lines of text, or a fold on a page."""

    def __init__(self, found, wrong):
        self.words = f"{found}.", f"For comparison: {wrong}."

    def __repr__(self):
        return "Checked: " + "\n".join(self.words)

    def _repr_html_(self):
        return "<details><summary>Checked</summary>{}<br>{}</details>".format(*map(html.escape, self.words))
