"""Chapter 13, memorization."""

import numpy as np

from . import ask, call, exercise, within


def _which_multiples(got, truth):
    margin, energy = got[0] - got[1:].max(), (got**2).sum()
    if margin <= 0:
        return "with your numbers a wrong class has the largest match. Which one belongs to the right class?"
    if energy > 6.05:
        return f"the squares of your numbers add up to {energy:.2f}. How large may the energy be?"
    return (
        f"with your numbers the right match exceeds a wrong one by {margin:.2f}, and more is possible. "
        "If p grows a little, how much must q change, and how does p - q change?"
    )


exercise(
    "13.1",
    solution=[2, -1, -1],
    wrong={
        (6**0.5, 0, 0): "your wrong templates are zero. What would a small negative multiple there change?",
        (2**0.5, -(2**0.5), -(2**0.5)): "your three templates have the same length. "
        "In how many differences of two matches does each of them occur?",
        (3**0.5, -(1.5**0.5), -(1.5**0.5)): "your right template has half of the energy, "
        "as with two classes. Is that still best with three?",
        (4, -2, -2): _which_multiples,
        (-1, 2, -1): _which_multiples,
    },
    equal=within(0.02),
    otherwise=_which_multiples,
    why="By symmetry the wrong templates are alike: p and q, q with p^2 + 2 q^2 = 6. The loss falls as "
    "p - q grows. By Cauchy and Schwarz p - q = 1 p + (-1/sqrt 2)(sqrt 2 q) is at most sqrt(3/2) sqrt 6 = 3, "
    "and it is 3 at p = 2, q = -1.",
)


def optimal_templates(x, y, C, E):
    lengths = np.full((len(x), C), -np.sqrt(E / (C * (C - 1))))  # (N, C), along x
    lengths[np.arange(len(x)), y] = np.sqrt((C - 1) * E / C)
    direction = x / np.linalg.norm(x, axis=1, keepdims=True)
    return lengths[:, :, None] * direction[:, None, :]


def _unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def _optimal_not_unit(x, y, C, E):
    return optimal_templates(x, y, C, E) * np.linalg.norm(x, axis=1)[:, None, None]


def _optimal_right_only(x, y, C, E):
    A = optimal_templates(x, y, C, E)
    keep = np.eye(C)[y][:, :, None]
    return A * keep * np.sqrt(C / (C - 1))


def _optimal_budget_each(x, y, C, E):
    return np.where(np.eye(C)[y] > 0, 1, -1)[:, :, None] * np.sqrt(E) * _unit(x)[:, None, :]


def _optimal_split_in_half(x, y, C, E):
    signs = np.where(np.eye(C)[y] > 0, np.sqrt(E / 2), -np.sqrt(E / 2 / (C - 1)))
    return signs[:, :, None] * _unit(x)[:, None, :]


def _optimal_no_root(x, y, C, E):
    return optimal_templates(x, y, C, E) * np.sqrt(E)


def _optimal_all_columns(x, y, C, E):
    """lengths[:, y] = ... without the row numbers: every input gets all the labels of the batch."""
    lengths = np.full((len(y), C), -np.sqrt(E / (C * (C - 1))))
    lengths[:, y] = np.sqrt((C - 1) * E / C)
    return lengths[:, :, None] * _unit(x)[:, None, :]


def _optimal_off(got, truth, x, y, C, E):
    energy, match = (got**2).sum(axis=(1, 2)), np.einsum("ncd,nd->nc", got, x)
    if (match.argmax(axis=1) != y).any():
        return "for some inputs a wrong class has the largest match. Which template belongs to class y[n]?"
    if not np.allclose(energy, E):
        n = np.abs(energy - E).argmax()
        return (
            f"the energy of the templates of input {n} should be {E}, yours is {energy[n]:.3f}. "
            "Is it the direction or its factor that has another length than you think?"
        )
    return (
        "your templates have the energy E, but they are not the theorem's. "
        "How does the theorem divide the energy, and in which direction does each template point?"
    )


_rng = np.random.default_rng(0)
exercise(
    "13.2",
    solution=optimal_templates,
    cases=[
        (2 * _rng.normal(size=(5, 3)), np.array([0, 3, 1, 1, 2]), 4, 2.5),
        (_rng.normal(size=(2, 6)), np.array([1, 0]), 2, 0.5),
    ],
    wrong={
        _optimal_all_columns: "some inputs have several templates with a positive match. "
        "Which entries does your indexing change in row n?",
        _optimal_right_only: "your wrong templates are zero. What does the theorem give them?",
        _optimal_budget_each: "each of your templates has the energy E. What is it that must not exceed E?",
        _optimal_not_unit: "the energy of your templates depends on the input. "
        "How long is the vector that they are multiples of?",
        _optimal_no_root: "the energy of your templates is the square of E. Where does a square root belong?",
        _optimal_split_in_half: "over the classes your templates do not add up to zero. "
        "How does the theorem divide the energy?",
    },
    otherwise=_optimal_off,
)


def alignment(A, x, y):
    match = np.einsum("ncd,nd->nc", A, x)  # (N, C)
    lengths = np.linalg.norm(A, axis=2) * np.linalg.norm(x, axis=1)[:, None]
    cosines = match / np.maximum(lengths, 1e-12)
    right = cosines[np.arange(len(y)), y]
    return right, (cosines.sum(axis=1) - right) / (A.shape[1] - 1)


def _alignment_products(A, x, y):
    match = np.einsum("ncd,nd->nc", A, x)
    right = match[np.arange(len(y)), y]
    return right, (match.sum(axis=1) - right) / (A.shape[1] - 1)


def _alignment_all_classes(A, x, y):
    right, wrong = alignment(A, x, y)
    C = A.shape[1]
    return right, (wrong * (C - 1) + right) / C


def _alignment_absolute(A, x, y):
    cosines = np.abs(
        np.einsum("ncd,nd->nc", A, x) / np.linalg.norm(A, axis=2) / np.linalg.norm(x, axis=1)[:, None]
    )
    right = cosines[np.arange(len(y)), y]
    return right, (cosines.sum(axis=1) - right) / (A.shape[1] - 1)


def _alignment_largest(A, x, y):
    cosines = np.einsum("ncd,nd->nc", A, x) / np.linalg.norm(A, axis=2) / np.linalg.norm(x, axis=1)[:, None]
    return alignment(A, x, cosines.argmax(axis=1))


def _alignment_mean_template(A, x, y):
    """The cosine with the mean of the wrong templates instead of the mean of the cosines."""
    N, C, _ = A.shape
    mean = (A.sum(axis=1) - A[np.arange(N), y]) / (C - 1)
    cosine = np.einsum("nd,nd->n", mean, x) / np.linalg.norm(mean, axis=1) / np.linalg.norm(x, axis=1)
    return alignment(A, x, y)[0], cosine


def _alignment_off(got, truth, *_):
    if np.allclose(got[0], truth[0]):
        return "the cosines of the right class are fine, the means of the others are not. What is averaged?"
    return (
        f"for the first two inputs your cosines with the right template are {got[0][:2].round(3)}, "
        f"and {truth[0][:2].round(3)} was expected. Which two vectors do you compare?"
    )


_rng = np.random.default_rng(1)
exercise(
    "13.3",
    solution=alignment,
    cases=[(_rng.normal(size=(6, 4, 5)), 2 * _rng.normal(size=(6, 5)), np.array([0, 1, 2, 3, 0, 1]))],
    wrong={
        _alignment_products: "a cosine lies between -1 and 1, and yours do not. "
        "What must the inner product be divided by?",
        _alignment_absolute: "none of your cosines is negative. What does the sign tell?",
        _alignment_largest: "you report the class with the best match. Is this always the class y[n]?",
        _alignment_mean_template: "you compare x with the mean of the wrong templates. "
        "Is that the mean of the cosines?",
        _alignment_all_classes: "the cosines of the right class are fine, your means are not. "
        "Over how many classes is the mean taken, and which one is left out?",
    },
    otherwise=_alignment_off,
)


def mates_cosine(u, x, y):
    u = u / np.linalg.norm(u, axis=1, keepdims=True)
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    mates = (y[:, None] == y) & ~np.eye(len(y), dtype=bool)  # (N, N)
    return (u @ x.T * mates).sum(axis=1) / mates.sum(axis=1)


def _mates(y):
    return (y[:, None] == y) & ~np.eye(len(y), dtype=bool)


def _mates_own_too(u, x, y):
    same = y[:, None] == y
    return (_unit(u) @ _unit(x).T * same).sum(axis=1) / same.sum(axis=1)


def _mates_everybody(u, x, y):
    return mates_cosine(u, x, 0 * y)


def _mates_over_all(u, x, y):
    """The mean over a whole row: cosines of other classes count as zeros."""
    return (_unit(u) @ _unit(x).T * _mates(y)).mean(axis=1)


def _mates_products(u, x, y):
    return (u @ x.T * _mates(y)).sum(axis=1) / _mates(y).sum(axis=1)


def _mates_count_too_many(u, x, y):
    """The own cosine is left out of the sum, but not of the count."""
    return (_unit(u) @ _unit(x).T * _mates(y)).sum(axis=1) / (y[:, None] == y).sum(axis=1)


def _mates_among_u(u, x, y):
    """The rows of u are compared with each other."""
    return mates_cosine(u, u, y)


def _mates_mean_digit(u, x, y):
    """The cosine with the mean of the mates in place of the mean of the cosines."""
    return (_unit(u) * _unit(_mates(y) @ x)).sum(axis=1)


_rng = np.random.default_rng(2)
exercise(
    "13.4",
    solution=mates_cosine,
    cases=[
        (_rng.normal(size=(7, 5)), 2 * _rng.normal(size=(7, 5)) + 1, np.array([0, 1, 0, 1, 1, 0, 1])),
        (_rng.normal(size=(6, 3)), 2 * _rng.normal(size=(6, 3)) + 1, np.array([2, 2, 0, 2, 0, 2])),
    ],
    wrong={
        _mates_own_too: "your means have one cosine too many. Is x[n] among its own mates?",
        _mates_everybody: "your means run over rows of all labels. Which rows have the label of x[n]?",
        _mates_over_all: "you divide by the number of all rows of x. How many cosines are in the sum?",
        _mates_products: "your numbers depend on the lengths of the rows. "
        "What makes an inner product a cosine?",
        _mates_count_too_many: "your sums are right. How many cosines are in each of them?",
        _mates_among_u: "you compare the rows of u with each other. Which rows are the mates?",
        _mates_mean_digit: "you compare u[n] with the mean of the mates. Is that the mean of the cosines?",
    },
    otherwise=lambda got, truth, u, x, y: (
        f"your numbers begin with {got[:2].round(3)}. "
        f"Row 0 has the label {y[0]}, as have {int((y == y[0]).sum()) - 1} other rows. "
        "Over which rows of x do you take the mean?"
    ),
)


def share_of_pairs(score, wrong):
    suspect, fine = score[wrong][:, None], score[~wrong]  # (P, 1) and (Q,)
    return (suspect > fine).mean() + (suspect == fine).mean() / 2


def _share_reversed(score, wrong):
    return 1 - share_of_pairs(score, wrong)


def _share_ties_lost(score, wrong):
    return (score[wrong][:, None] > score[~wrong]).mean()


def _share_ties_won(score, wrong):
    return (score[wrong][:, None] >= score[~wrong]).mean()


def _share_above_the_mean(score, wrong):
    """The share of wrong labels above the mean of the right ones: one threshold in place of all pairs."""
    return (score[wrong] > score[~wrong].mean()).mean()


def _share_in_percent(score, wrong):
    return 100 * share_of_pairs(score, wrong)


def _share_of_all_pairs(score, wrong):
    """Right labels are paired with each other as well."""
    return (score[wrong][:, None] > score).mean()


def _share_row_by_row(score, wrong):
    return (score[wrong] > score[~wrong][: wrong.sum()]).mean()


_rng = np.random.default_rng(3)
_wrong = _rng.random(30) < 0.4
exercise(
    "13.5",
    solution=share_of_pairs,
    cases=[
        (_rng.normal(size=30) + 0.7 * _wrong, _wrong),
        (_rng.integers(4, size=30) + 0.5 * (_wrong * _rng.integers(3, size=30)), _wrong),
    ],
    wrong={
        _share_reversed: "your share and the expected one add up to 1. "
        "Which member of a pair should have the larger score?",
        _share_ties_lost: "where scores are equal your share is too small. "
        "How much does a pair of equal scores count?",
        _share_ties_won: "where scores are equal your share is too large. "
        "How much does a pair of equal scores count?",
        _share_above_the_mean: "you compare the scores with one mean. Which pairs were asked for?",
        _share_in_percent: "your answer lies above 1. Was a share or a percentage asked for?",
        _share_of_all_pairs: "you compare with all digits. Which digits stand second in a pair?",
        _share_row_by_row: "you compare each wrong label with one right label only. "
        "How many pairs are there?",
    },
    otherwise=lambda got, truth, score, wrong: (
        f"{wrong.sum()} wrong and {(~wrong).sum()} right labels make {wrong.sum() * (~wrong).sum()} pairs. "
        f"Your share is {got:.3f}. In how many of them do you find the larger score with the wrong label?"
    ),
)


def _loss(A, x, y):
    match = A @ x
    return np.log(np.exp(match - match.max()).sum()) + match.max() - match[y]


@exercise("13.6")
def check_13_6(attempt):
    rng = np.random.default_rng(2)
    for D, C, E, y in ((3, 2, 1.0, 1), (6, 5, 4.0, 2), (12, 10, 9.0, 0)):
        x, price = rng.normal(size=D), rng.uniform(0.2, 5.0, size=D)
        A = np.asarray(call(attempt, x, y, C, E, price, shape=(C, D)), float)
        cost, match, best = (price * A**2).sum(), A @ x, _loss(A, x, y)
        bill = f"your templates cost {cost:.3f} and the budget is {E}."
        ask(cost <= E * (1 + 1e-6), f"{bill} What does a number at an expensive pixel cost?")
        ask(cost >= E * (1 - 1e-6), f"{bill} Could longer templates lower the loss?")
        ask(
            match[y] > np.delete(match, y).max(),
            "a wrong class has the largest match, so the loss is larger than with no templates at all. "
            "Which of the templates should point along x?",
        )
        ask(
            not np.isclose(abs(match[y]), np.linalg.norm(A[y]) * np.linalg.norm(x)),
            "your templates are multiples of x, as if all pixels cost the same. "
            "Where would you save if one pixel were a hundred times as expensive?",
        )
        ask(
            np.corrcoef(np.abs(A[y] / x), price)[0, 1] <= 0.5,
            "relative to x your right template is largest where pixels cost most. Did you mean that?",
        )
        ask(
            abs(match.sum()) <= 1e-6 * np.abs(match).max(),
            "over the classes your matches do not add up to zero. What could be taken from all templates "
            "without any effect on the loss, and what would it save?",
        )
        share = np.exp(match - match.max())
        slope = (share / share.sum() - np.eye(C)[y])[:, None] * x
        for step in (1e-3, 1e-2, 0.1):  # a little downhill, the expensive pixels less, and back to the budget
            other = A - step * np.linalg.norm(A) / np.linalg.norm(slope) * slope / price
            loss = _loss(other * np.sqrt(E / (price * other**2).sum()), x, y)
            ask(
                loss >= best * (1 - 3e-6),
                "templates that differ a little from yours, within the budget, have a smaller loss "
                f"({loss:.6f}, yours {best:.6f}). What does a unit of the budget buy at each pixel?",
            )
