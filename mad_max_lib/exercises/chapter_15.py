"""Chapter 15, a paired experiment."""

import numpy as np
from scipy.special import stdtrit

from . import ask, call, exercise
from .answers import marks


def paired_interval(treated, control, t):
    differences = treated - control
    half = t * differences.std(ddof=1) / np.sqrt(len(differences))
    return differences.mean() - half, differences.mean() + half


def _around_the_mean(half):
    """The interval whose half-width is half(treated, control) times t."""

    def interval(treated, control, t):
        middle = (treated - control).mean()
        return middle - t * half(treated, control), middle + t * half(treated, control)

    return interval


_interval_unpaired = _around_the_mean(lambda a, b: np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / len(a)))
_interval_divided_by_s = _around_the_mean(lambda a, b: (a - b).std() / np.sqrt(len(a)))
_interval_of_the_spread = _around_the_mean(lambda a, b: (a - b).std(ddof=1))
_interval_divided_by_pairs = _around_the_mean(lambda a, b: (a - b).std(ddof=1) / len(a))


def _interval_normal(treated, control, t):
    return paired_interval(treated, control, 1.96)


def _interval_of_sizes(treated, control, t):
    return paired_interval(np.abs(treated - control), 0 * control, t)


def _interval_swapped(treated, control, t):
    return paired_interval(control, treated, t)


def _interval_sorted(treated, control, t):
    return paired_interval(np.sort(treated), np.sort(control), t)


_rng = np.random.default_rng(2)
_CONTROL = 80 + 3 * _rng.normal(size=6)
exercise(
    "15.1",
    solution=paired_interval,
    cases=[
        (np.array([82.0, 86, 87]), np.array([80.0, 83, 86]), 4.303),
        (_CONTROL + 2 + _rng.normal(size=6), _CONTROL, stdtrit(5, 0.975)),
        (np.array([81.0, 80, 84, 79]), np.array([80.0, 83, 86, 84]), stdtrit(3, 0.975)),  # some up, most down
    ],
    wrong={
        _interval_swapped: "the treated scores are higher on average. What does your interval say? "
        "Which score is taken from which?",
        _interval_unpaired: "your interval is that of runs which are not paired. "
        "Of which numbers should the spread be taken?",
        _interval_divided_by_s: "your interval is a little too narrow. By what does `np.std` divide?",
        _interval_of_the_spread: "your half-width is that of a single difference. "
        "How much less does the mean of S differences vary?",
        _interval_divided_by_pairs: "your interval is too narrow. "
        "How does the spread of a mean fall with the number of its terms?",
        _interval_normal: "1.96 belongs to very many pairs. What was t given for?",
        _interval_of_sizes: "pairs that go down pull the mean down. Do yours?",
        _interval_sorted: "the scores of a pair stand at the same place of both arrays. "
        "Do they still stand there when you subtract?",
    },
    otherwise=lambda got, truth, *_: (
        f"the interval here goes from {truth[0]:.3f} to {truth[1]:.3f}, "
        f"yours from {got[0]:.3f} to {got[1]:.3f}. Are the two ends in this order, is the middle the mean "
        "of the differences, and is t the one that was given?"
    ),
)


def pairs_needed(spread, half):
    S = 2
    while stdtrit(S - 1, 0.975) * spread / np.sqrt(S) > half:
        S += 1
    return S


def _pairs_normal(spread, half):
    return max(2, int(np.ceil((1.96 * spread / half) ** 2)))


def _pairs_full_width(spread, half):
    return pairs_needed(spread, half / 2)


def _fewest(width):
    """The fewest pairs S for which width(S), times the spread, is no more than asked."""

    def pairs(spread, half):
        S = 2
        while width(S) * spread > half:
            S += 1
        return S

    return pairs


_pairs_with_s_degrees = _fewest(lambda S: stdtrit(S, 0.975) / np.sqrt(S))
_pairs_without_root = _fewest(lambda S: stdtrit(S - 1, 0.975) / S)
_pairs_one_sided = _fewest(lambda S: stdtrit(S - 1, 0.95) / np.sqrt(S))


def _pairs_one_short(spread, half):
    return max(2, pairs_needed(spread, half) - 1)


exercise(
    "15.2",
    solution=pairs_needed,
    cases=[(1.3, 1.0), (1.0, 2.0), (0.5, 0.05), (3.0, 1.0), (0.001, 1.0), (2.0, 0.7)],
    wrong={
        _pairs_normal: "for few pairs your number is too small. Which t belongs to S pairs?",
        _pairs_full_width: "your interval is narrower than asked. Is `half` the width, or half of it?",
        _pairs_with_s_degrees: "your number is sometimes too small. "
        "How many degrees of freedom do S pairs have?",
        _pairs_without_root: "your number is too small. How does the spread of a mean fall with S?",
        _pairs_one_sided: "your number is too small. "
        "How much of the distribution lies above the upper end of a 95 % interval?",
        _pairs_one_short: "with your number of pairs the half-width is still larger than asked. "
        "Where does the search stop?",
    },
    otherwise=lambda got, truth, spread, half: (
        f"for a spread of {spread} and a half-width of {half} your number is {got:g}. "
        "What is the half-width with so many pairs, and with one fewer?"
    ),
)


def holm(p, level):
    order, holds = np.argsort(p), np.zeros(len(p), dtype=bool)
    for rank, row in enumerate(order):
        if p[row] >= level / (len(p) - rank):
            break
        holds[row] = True
    return holds


def _holm_none(p, level):
    return p < level


def _holm_bonferroni(p, level):
    return p < level / len(p)


def _holm_goes_on(p, level):
    rank = np.argsort(np.argsort(p))
    return p < level / (len(p) - rank)


def _holm_from_the_largest(p, level):
    order, holds = np.argsort(p), np.zeros(len(p), dtype=bool)
    for rank in range(len(p))[::-1]:
        if p[order[rank]] < level / (len(p) - rank):
            holds[order[: rank + 1]] = True
            break
    return holds


def _holm_sorted(p, level):
    return holm(np.sort(p), level)


def _holm_in_table_order(p, level):
    holds = np.zeros(len(p), dtype=bool)
    for rank, value in enumerate(p):
        if value >= level / (len(p) - rank):
            break
        holds[rank] = True
    return holds


def _holm_level_fixed(p, level):
    return holm(p, 0.05)


exercise(
    "15.3",
    solution=holm,
    cases=[
        (np.array([0.030, 0.004, 0.020, 0.011, 0.200]), 0.05),
        (np.array([0.020, 0.030, 0.001, 0.021]), 0.05),
        (np.array([0.2, 0.9]), 0.05),
        (np.array([0.003]), 0.01),
        (np.array([0.04, 0.001, 0.02, 0.03]), 0.1),
        (np.array([0.012, 0.004, 0.02]), 0.05),
    ],
    wrong={
        _holm_none: "rows hold whose p is above the threshold for their place. "
        "How many chances does the table have, and which threshold does the smallest p meet?",
        _holm_bonferroni: "each row meets the hardest threshold. Which threshold does the second "
        "smallest meet?",
        _holm_goes_on: "a row holds although one with a smaller p does not. What happens after the "
        "first failure?",
        _holm_from_the_largest: "a row holds although one with a smaller p fails its own threshold. "
        "At which end does the procedure begin?",
        _holm_sorted: "your answers stand in the order of the p values. In which order are the rows of "
        "the table?",
        _holm_in_table_order: "the rows are tried in the order of the table. Which row is tried first?",
        _holm_level_fixed: "at another level your answer does not change. Where does `level` come in?",
    },
    otherwise=lambda got, truth, p, level: (
        f"for p = {p.tolist()} at level {level} your answer is {got.astype(int).tolist()}. "
        "Sort the p values and write the threshold beside each: where is the first that fails? "
        "And in which order does your answer name the rows?"
    ),
)


@exercise(
    "15.4",
    solution=[0, 1, 0, 1, 0, 1, 1, 0],
    wrong={
        (0, 1, 0, 1, 0, 1, 0, 0): "which number is reported for each arm, and what chose it?",
        (0, 1, 0, 1, 0, 0, 1, 0): "is dropout the only thing in which the two arms differ?",
        (0, 1, 0, 0, 0, 1, 1, 0): "do the two networks of a pair start alike, and what follows if they "
        "do not?",
        (0, 0, 0, 1, 0, 1, 1, 0): "one number was fixed with the help of images that were to measure "
        "only. Which?",
        (0, 1, 0, 1, 1, 1, 1, 0): "what would be unknown at the end if the arm of step 5 were left out?",
        (0, 1, 1, 1, 0, 1, 1, 0): "whom does step 3 favour, if both arms of a pair meet the same labels?",
        (0, 1, 0, 1, 0, 1, 1, 1): "what does step 8 protect against?",
        (1, 1, 0, 1, 0, 1, 1, 0): "does anything in step 1 depend on a result?",
        (0, 1, 0, 0, 0, 0, 1, 0): "imagine a dropout that does nothing. In which other steps could its "
        "arm win all the same?",
        (0, 0, 0, 0, 0, 1, 1, 0): "where do test images enter before the end, and what do the two "
        "networks of a pair have in common?",
    },
    otherwise="take one step at a time. Could an arm whose treatment does nothing end higher by this "
    "step alone? Do the networks of a pair lose something that they could share? Is anything chosen "
    "after a look at the test images?",
    why="Step 2 chooses the rate on the test images. In step 4 the two networks of a pair start from "
    "different weights. This favours no arm, but what the two could have in common no longer cancels, so "
    "the interval is wider than it need be. Step 6 trains one arm longer. Step 7 chooses the epoch of each "
    "network by its test accuracy. All reported accuracies are then too high, and an arm whose accuracy "
    "varies more from epoch to epoch gains although its treatment does nothing. The other steps are sound.",
)
def check_15_4(attempt):
    marks(attempt, 8, "What is a 1 to mark?")


@exercise("15.5")
def check_15_5(attempt):
    def p(*differences):
        return float(call(attempt, np.array(differences, dtype=float), shape=()))

    def near(found, right):
        return abs(found - right) < 1e-9

    three = p(1, 2, 3)
    ask(0 <= three <= 1, f"for the differences 1, 2, 3 you find {three:g}. Can a share be that?")
    ask(
        near(p(2, 2, 2, 2), 0.125),
        f"four equal differences give {p(2, 2, 2, 2):g}. "
        "How many of the 16 choices of signs give a sum as far from zero as this one?",
    )
    ask(
        near(p(-1, -2, -3), three),
        "with all signs turned round your answer changes. Is the size of the sum compared?",
    )
    ask(
        near(p(3, 1, 2), three),
        "in another order the same differences give another answer. What does the order matter?",
    )
    ask(
        near(p(10, 20, 30), three),
        "ten times as large differences give another answer. What is compared with what?",
    )
    ask(
        near(p(1, -1), 1),
        f"the differences 1 and -1 give {p(1, -1):g}. Which sums are at least as far from zero as 0?",
    )
    ask(
        near(p(3, 1, -1), 0.75),
        f"the differences 3, 1, -1 give {p(3, 1, -1):g}. Write down all eight sums: how many have a "
        f"size of 3 or more?",
    )
    ask(
        near(p(0.1, 0.2, -0.3, 0.6), p(1, 2, -3, 6)),
        "a tenth of whole differences gives another share. Which sums are equal but for rounding?",
    )
    ask(
        near(p(5), 1),
        "one difference gives no evidence: with either sign its sum is as far from zero. What do you count?",
    )
    values = np.random.default_rng(5).normal(0.4, 1, size=10)
    ask(
        near(p(*values), p(*values)),
        "the same differences give two answers. Are all choices of signs counted?",
    )
    counted = p(*values) * 2**10
    ask(
        near(counted / 2**10, round(counted) / 2**10),
        "the share is no whole number of the 1,024 choices of signs. Over how many choices do you count?",
    )
    ask(
        near(p(*(values + 5)), 2 / 2**10),
        "for ten positive differences your share is off. Which choices of signs give a sum of that size?",
    )
    ask(
        near(p(*values / 1000), p(*values)),
        "for differences of thousandths, as between accuracies from 0 to 1, the share is another. "
        "How close must two sums be to count as equal?",
    )
    ask(
        near(p(*values, *[0.0] * 4), p(*values)),
        "with 14 differences your answer is off. Over how many choices of signs is the share taken then?",
    )
    ask(
        near(p(*values, 0.0), p(*values)),
        "one more difference, of 0, changes the answer. Over how many choices of signs is the share "
        "taken now?",
    )
