"""Chapter 07, memorization."""

import numpy as np

from . import Wrong, call, exercise, value


@exercise(
    "7.1",
    solution=[2, -1, -1],
    wrong=[[2**0.5, -(2**0.5), -(2**0.5)], [6**0.5, 0, 0], [3**0.5, -(1.5**0.5), -(1.5**0.5)], [4, -2, -2],
           [-1, 2, -1]],
    why="By symmetry the wrong sheets are alike: p and q, q with p^2 + 2 q^2 = 6. The margin p - q is largest "
    "where (p, q) is a multiple of (2, -1): a little more p is then worth just what it costs in q.",
)  # fmt: skip
def _(attempt):
    p, *q = np.asarray(value(attempt, (3,)), float)
    spent = p**2 + q[0] ** 2 + q[1] ** 2
    if p <= max(q):
        raise Wrong("with your numbers a wrong answer gets the largest match. Which sheet is the first one?")
    if spent > 6 + 0.05:
        raise Wrong(f"your sheets need {spent:.1f} units of ink. How many are there?")
    if q == [0, 0]:
        raise Wrong("two of your sheets are blank. What would a little negative ink on them do to the margin?")
    if np.allclose(np.abs(q), p, atol=0.02):
        raise Wrong("you write equally much on all three sheets. Does ink on one wrong sheet help against the other?")
    if not np.allclose([p, *q], [2, -1, -1], atol=0.02):
        raise Wrong(f"your margin is {p - max(q):.2f}, and more is possible. What does a bit more p cost, and gain?")


def optimal_templates(x, y, C, E):
    share = np.full((len(x), C), -np.sqrt(E / (C * (C - 1))))                 # (N, C) lengths along x
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
    return np.where(np.eye(C)[y][:, :, None] > 0, 1, -1) * np.sqrt(E) * _unit(x)[:, None, :] * np.ones((1, C, 1))


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


@exercise(
    "7.2",
    solution=optimal_templates,
    wrong=[_optimal_not_unit, _optimal_right_only, _optimal_budget_each, _optimal_split_in_half, _optimal_no_root,
           _optimal_all_columns],
)
def _(attempt):
    rng = np.random.default_rng(0)
    x, y, C, E = 2 * rng.normal(size=(5, 3)), np.array([0, 3, 1, 1, 2]), 4, 2.5
    A = call(attempt, x, y, C, E, shape=(5, C, 3))
    spent, match = (A**2).sum(axis=(1, 2)), np.einsum("ncd,nd->nc", A, x)
    right = match[np.arange(5), y]
    if (right < match.max(axis=1) - 1e-9).any():
        raise Wrong("for some inputs a wrong class has the largest match. Which template belongs to class y[n]?")
    if (match > 1e-9).sum(axis=1).max() > 1:
        raise Wrong("some inputs have several templates with a positive match. How many entries of row n does y[n] name?")
    if np.allclose(match.sum(axis=1), right):
        raise Wrong("your wrong templates are zero. What does the theorem write on them?")
    if np.allclose(spent, E * C):
        raise Wrong(f"each of the {C} templates spends the whole budget. What is it that must not exceed E?")
    if spent.std() > 1e-6:
        raise Wrong("what your templates spend depends on the input. How long is the vector that they are multiples of?")
    if not np.allclose(spent, E):
        raise Wrong(f"the squared lengths should add up to {E} for each input, they add up to {spent[0]:.3f}. "
                    "Where does a square root belong?")  # fmt: skip
    if not np.allclose(A.sum(axis=1), 0, atol=1e-5):
        raise Wrong("over the classes your templates do not add up to zero. How does the theorem divide the budget?")
    if not np.allclose(A, optimal_templates(x, y, C, E)):
        raise Wrong("the budget is kept, but the templates are others. In which direction should each one point?")


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
    cosines = np.abs(np.einsum("ncd,nd->nc", A, x) / np.linalg.norm(A, axis=2) / np.linalg.norm(x, axis=1)[:, None])
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


@exercise(
    "7.3",
    solution=alignment,
    wrong=[_alignment_products, _alignment_all_classes, _alignment_absolute, _alignment_largest,
           _alignment_mean_template],
)
def _(attempt):
    rng = np.random.default_rng(1)
    A, x, y = rng.normal(size=(6, 4, 5)), 2 * rng.normal(size=(6, 5)), np.array([0, 1, 2, 3, 0, 1])
    right, wrong = call(attempt, A, x, y, shape=[(6,), (6,)])
    truth = alignment(A, x, y)
    if np.abs(right).max() > 1 + 1e-9:
        raise Wrong("a cosine lies between -1 and 1, yours do not. What must the inner product be divided by?")
    if (right >= 0).all() and (truth[0] < 0).any() and np.allclose(right, np.abs(truth[0])):
        raise Wrong("none of your cosines is negative. What does the sign tell?")
    if np.allclose(right, _alignment_largest(A, x, y)[0]):
        raise Wrong("you report the class with the best match. Is this always the class y[n]?")
    if not np.allclose(right, truth[0]):
        raise Wrong(f"for the first input the right class has the cosine {truth[0][0]:.3f}, not {right[0]:.3f}. "
                    "Which two vectors are compared?")  # fmt: skip
    if np.allclose(wrong, _alignment_mean_template(A, x, y)[1]):
        raise Wrong("you compare x with the mean of the wrong templates. Is that the mean of the cosines?")
    if not np.allclose(wrong, truth[1]):
        raise Wrong("the cosines of the right class are fine, the means of the wrong ones are not. Over how many "
                    "classes is the mean taken, and which one is left out?")  # fmt: skip


def _loss(A, x, y):
    match = A @ x
    return np.log(np.exp(match - match.max()).sum()) + match.max() - match[y]


@exercise("7.4")
def _(attempt):
    rng = np.random.default_rng(2)
    for D, C, E, y in ((3, 2, 1.0, 1), (6, 5, 4.0, 2), (12, 10, 9.0, 0)):
        x, price = rng.normal(size=D), rng.uniform(0.2, 5.0, size=D)
        A = np.asarray(call(attempt, x, y, C, E, price, shape=(C, D)), float)
        cost = (price * A**2).sum()
        if cost > E * (1 + 1e-6):
            raise Wrong(f"your sheets cost {cost:.3f} and the budget is {E}. What does ink cost at a dear pixel?")
        if cost < E * (1 - 1e-6):
            raise Wrong(f"your sheets cost {cost:.3f} and the budget is {E}. Could more ink lower the loss?")
        if np.isclose(np.abs(A[y] @ x), np.linalg.norm(A[y]) * np.linalg.norm(x)):
            raise Wrong("your sheets are multiples of x, as if ink cost the same everywhere. "
                        "Where would you save some, if one pixel were a hundred times dearer?")  # fmt: skip
        spare = np.abs(A[y]) / np.abs(x)
        if np.corrcoef(spare, price)[0, 1] > 0.5:
            raise Wrong("relative to x you write most where ink is dearest. Is that what you meant?")
        best = _loss(A, x, y)
        shares = A @ x
        if np.abs(shares.sum()) > 1e-6 * np.abs(shares).max():
            raise Wrong("over the classes your matches do not add up to zero. "
                        "What could be taken from all sheets at once without any effect, and what would it save?")  # fmt: skip
        share = np.exp(shares - shares.max())
        slope = (share / share.sum() - np.eye(C)[y])[:, None] * x
        for step in (1e-3, 1e-2, 0.1):  # a little downhill, the dear pixels less, and back to the budget
            other = A - step * np.linalg.norm(A) / np.linalg.norm(slope) * slope / price
            other *= np.sqrt(E / (price * other**2).sum())
            if _loss(other, x, y) < best - 1e-11:
                raise Wrong(f"sheets that differ a little from yours, within the budget, have a smaller loss "
                            f"({_loss(other, x, y):.6f}, yours {best:.6f}). What does a unit of money buy at "
                            "each pixel?")  # fmt: skip
