"""Chapter 13, memorization."""

import numpy as np

from . import ask, call, exercise, within


def _which_ink(got, truth):
    margin, ink = got[0] - got[1:].max(), (got**2).sum()
    if margin <= 0:
        return "with your numbers a wrong answer gets the largest match. Which sheet is the first one?"
    if ink > 6.05:
        return f"your sheets need {ink:.1f} units of ink. How many are there?"
    return f"your margin is {margin:.2f}, and more is possible. What does a bit more p cost, and gain?"


exercise(
    "13.1",
    solution=[2, -1, -1],
    wrong={
        (6**0.5, 0, 0): "two of your sheets are blank. "
        "What would a little negative ink on them do to the margin?",
        (2**0.5, -(2**0.5), -(2**0.5)): "you write equally much on all three sheets. "
        "Does ink on one wrong sheet help against the other?",
        (3**0.5, -(1.5**0.5), -(1.5**0.5)): _which_ink,
        (4, -2, -2): _which_ink,
        (-1, 2, -1): _which_ink,
    },
    equal=within(0.02),
    otherwise=_which_ink,
    why="By symmetry the wrong sheets are alike: p and q, q with p^2 + 2 q^2 = 6. The margin p - q is "
    "largest where (p, q) is a multiple of (2, -1): a little more p is then worth just what it costs in q.",
)


def optimal_templates(x, y, C, E):
    share = np.full((len(x), C), -np.sqrt(E / (C * (C - 1))))  # (N, C) lengths along x
    share[np.arange(len(x)), y] = np.sqrt((C - 1) * E / C)
    direction = x / np.linalg.norm(x, axis=1, keepdims=True)
    return share[:, :, None] * direction[:, None, :]


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
    """share[:, y] = ... without the row numbers: every input gets all the labels of the batch."""
    share = np.full((len(y), C), -np.sqrt(E / (C * (C - 1))))
    share[:, y] = np.sqrt((C - 1) * E / C)
    return share[:, :, None] * _unit(x)[:, None, :]


def _unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def _what_is_off(got, truth, x, y, C, E):
    spent, match = (got**2).sum(axis=(1, 2)), np.einsum("ncd,nd->nc", got, x)
    if (match.argmax(axis=1) != y).any():
        return "for some inputs a wrong class has the largest match. Which template belongs to class y[n]?"
    if not np.allclose(spent, E):
        n = np.abs(spent - E).argmax()
        return (
            f"the squared lengths should add up to {E} for each input, those of input {n} to {spent[n]:.3f}. "
            "Which has the wrong length, the direction or its factor?"
        )
    return (
        "the budget is kept, but the templates are others. "
        "How does the theorem divide it, and in which direction should each one point?"
    )


exercise(
    "13.2",
    solution=optimal_templates,
    cases=[(2 * np.random.default_rng(0).normal(size=(5, 3)), np.array([0, 3, 1, 1, 2]), 4, 2.5)],
    wrong={
        _optimal_all_columns: "some inputs have several templates with a positive match. "
        "How many entries of row n does y[n] name?",
        _optimal_right_only: "your wrong templates are zero. What does the theorem write on them?",
        _optimal_budget_each: "each of the 4 templates spends the whole budget. "
        "What is it that must not exceed E?",
        _optimal_not_unit: "what your templates spend depends on the input. "
        "How long is the vector that they are multiples of?",
        _optimal_no_root: "your squared lengths add up to the square of the budget. "
        "Where does a square root belong?",
        _optimal_split_in_half: "over the classes your templates do not add up to zero. "
        "How does the theorem divide the budget?",
    },
    otherwise=_what_is_off,
)


def alignment(A, x, y):
    match = np.einsum("ncd,nd->nc", A, x)
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


_rng = np.random.default_rng(1)
exercise(
    "13.3",
    solution=alignment,
    cases=[(_rng.normal(size=(6, 4, 5)), 2 * _rng.normal(size=(6, 5)), np.array([0, 1, 2, 3, 0, 1]))],
    wrong={
        _alignment_products: "a cosine lies between -1 and 1, yours do not. "
        "What must the inner product be divided by?",
        _alignment_absolute: "none of your cosines is negative. What does the sign tell?",
        _alignment_largest: "you report the class with the best match. Is this always the class y[n]?",
        _alignment_mean_template: "you compare x with the mean of the wrong templates. "
        "Is that the mean of the cosines?",
        _alignment_all_classes: "the cosines of the right class are fine, your means are not. "
        "Over how many classes is the mean taken, and which one is left out?",
    },
    otherwise=lambda got, truth, *_: (
        "the cosines of the right class are fine, the means of the others are not. What is averaged?"
        if np.allclose(got[0], truth[0])
        else f"the cosines of the right class should begin with {truth[0][:2].round(3)}, yours begin with "
        f"{got[0][:2].round(3)}. Which two vectors are compared?"
    ),
)


def _loss(A, x, y):
    match = A @ x
    return np.log(np.exp(match - match.max()).sum()) + match.max() - match[y]


@exercise("13.4")
def check_13_4(attempt):
    rng = np.random.default_rng(2)
    for D, C, E, y in ((3, 2, 1.0, 1), (6, 5, 4.0, 2), (12, 10, 9.0, 0)):
        x, price = rng.normal(size=D), rng.uniform(0.2, 5.0, size=D)
        A = np.asarray(call(attempt, x, y, C, E, price, shape=(C, D)), float)
        cost, match, best = (price * A**2).sum(), A @ x, _loss(A, x, y)
        bill = f"your sheets cost {cost:.3f} and the budget is {E}."
        ask(cost <= E * (1 + 1e-6), f"{bill} What does ink cost at a dear pixel?")
        ask(cost >= E * (1 - 1e-6), f"{bill} Could more ink lower the loss?")
        ask(
            not np.isclose(abs(match[y]), np.linalg.norm(A[y]) * np.linalg.norm(x)),
            "your sheets are multiples of x, as if ink cost the same everywhere. "
            "Where would you save some, if one pixel were a hundred times dearer?",
        )
        ask(
            np.corrcoef(np.abs(A[y] / x), price)[0, 1] <= 0.5,
            "relative to x you write most where ink is dearest. Is that what you meant?",
        )
        ask(
            abs(match.sum()) <= 1e-6 * np.abs(match).max(),
            "over the classes your matches do not add up to zero. "
            "What could be taken from all sheets at once without any effect, and what would it save?",
        )
        share = np.exp(match - match.max())
        slope = (share / share.sum() - np.eye(C)[y])[:, None] * x
        for step in (1e-3, 1e-2, 0.1):  # a little downhill, the dear pixels less, and back to the budget
            other = A - step * np.linalg.norm(A) / np.linalg.norm(slope) * slope / price
            loss = _loss(other * np.sqrt(E / (price * other**2).sum()), x, y)
            ask(
                loss >= best - 1e-11,
                "sheets that differ a little from yours, within the budget, have a smaller loss "
                f"({loss:.6f}, yours {best:.6f}). What does a unit of money buy at each pixel?",
            )
