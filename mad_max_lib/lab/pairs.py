"""Comparing two treatments pair by pair, one or many at a time."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.special import stdtr, stdtrit

from ..checks import check_parameter


class Difference(NamedTuple):
    """Mean of paired differences, its 95 % interval, how many are positive, Student's p, and the verdict."""

    mean: float
    low: float
    high: float
    up: int
    pairs: int
    p: float
    verdict: str

    def __str__(self):
        said = f": {self.verdict}" if self.verdict else ""
        return f"{self.mean:+.2f} [{self.low:+.2f}, {self.high:+.2f}], {self.up} of {self.pairs} up{said}"


class Differences(dict):
    """The rows of a table, name to `Difference`; printed as an aligned grid."""

    def __str__(self):
        rows = [("", "mean", "95 % interval", "up", "")]
        for name, d in self.items():
            rows.append(
                (name, f"{d.mean:+.2f}", f"[{d.low:+.2f}, {d.high:+.2f}]", f"{d.up} of {d.pairs}", d.verdict)
            )
        wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            f"{name:{wide[0]}}  {mean:>{wide[1]}}  {interval:>{wide[2]}}  {up:>{wide[3]}}  {verdict}".rstrip()
            for name, mean, interval, up, verdict in rows
        ]
        return "\n".join(lines)


def paired_difference(treated, control):
    """Compare two treatments of the same seeds: mean difference, Student's 95 % interval, and a verdict.

    The verdict is *higher* or *lower* where the interval, corrected for the number of rows of the table
    (Holm), excludes zero; *smaller than a point* where the 95 % interval lies between -1 and 1; both
    together, *higher, by less than a point*. Otherwise there is none: the interval speaks.

    Parameters
    ----------
    treated : (S,) NumPy array or torch tensor, or a dict of them
        One score a seed, in points; a dict holds the rows of one table by their names.
    control : (S,) array, or a dict with the names of `treated`
        The same seed at the same place.

    Returns
    -------
    Difference, or for a dict a table of them, which prints as a grid

    Examples
    --------
    >>> control = np.array([80.0, 81.0, 81.0])
    >>> print(paired_difference(np.array([83.0, 85.0, 84.0]), control))
    +3.33 [+1.90, +4.77], 3 of 3 up: higher
    >>> print(paired_difference({"one": control + [3, 4, 3], "two": control + [0.5, 1, 0]}, control))
          mean   95 % interval      up
    one  +3.33  [+1.90, +4.77]  3 of 3  higher
    two  +0.50  [-0.74, +1.74]  2 of 3

    Built in chapter 15.
    """
    if isinstance(control, dict) and not isinstance(treated, dict):
        raise TypeError("treated must be a dict with the names of control, as control is one")
    rows = treated if isinstance(treated, dict) else {"": treated}
    if not rows:
        raise ValueError("treated must hold at least one row, got an empty dict")
    controls = control if isinstance(control, dict) else dict.fromkeys(rows, control)
    if controls.keys() != rows.keys():
        raise ValueError(f"control must have the names of treated, {list(rows)}, got {list(controls)}")
    found = {name: _student(scores, controls[name], name) for name, scores in rows.items()}
    sure = _holm([p for *_, p in found.values()])
    table = {
        name: Difference(*row, _verdict(*row[:3], certain))
        for (name, row), certain in zip(found.items(), sure, strict=True)
    }
    return Differences(table) if isinstance(treated, dict) else table[""]


def _student(treated, control, row):
    """Mean, ends of the interval, positive pairs, pairs, and p of the paired t test."""
    where = f"[{row!r}]" if row else ""
    for name, scores in {f"treated{where}": treated, f"control{where}": control}.items():
        check_parameter(name, scores, "S")
    if len(treated) != len(control) or len(treated) < 2:
        lengths = f"{len(treated)} and {len(control)}"
        raise ValueError(f"treated{where} and control{where} must pair two or more seeds, got {lengths}")
    differences = torch.as_tensor(treated - control).double().detach().cpu().numpy()
    mean, S = differences.mean(), len(differences)
    error = differences.std(ddof=1) / S**0.5
    half = stdtrit(S - 1, 0.975) * error
    p = 2 * stdtr(S - 1, -abs(mean) / error) if error else float(mean == 0)
    return (*map(float, (mean, mean - half, mean + half)), int((differences > 0).sum()), S, float(p))


def _holm(ps, level=0.05):
    """Which of M p values hold together: the smallest must be below level / M, the next level / (M - 1) …"""
    holds, order = [False] * len(ps), np.argsort(ps, kind="stable")
    for rank, i in enumerate(order):
        if ps[i] >= level / (len(ps) - rank):
            break
        holds[i] = True
    return holds


def _verdict(mean, low, high, certain):
    small = -1 <= low and high <= 1
    if not certain:
        return "smaller than a point" * small
    return ("higher" if mean > 0 else "lower") + ", by less than a point" * small
