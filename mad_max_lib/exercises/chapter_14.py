"""Chapter 14, orthogonal templates."""

import numpy as np
from scipy.special import stdtrit

from . import ask, call, exercise


exercise(
    "14.1",
    solution=[0, 2, 1],
    wrong={
        (0, 1, 0.5): "each pair of rows is counted once here. How many ordered pairs do two rows make?",
        (97, 4, 4): "a row's product with itself is in your sums. Is a row cross-talk to itself?",
        (0, -2, 2): "an overlap came out negative. "
        "What does the definition do to each product before adding?",
        (0, 2, 2): "the third one adds the products themselves, or their sizes. What happens to 0.5 first?",
    },
    otherwise="write down the entries that belong to pairs of different rows. What is done to each of them?",
    why="Only what stands beside the diagonal counts, squared, and every pair twice: 0, "
    "then (-1)^2 + (-1)^2 = 2, then 4 times 0.5^2 = 1. Opposite rows overlap as much as equal ones.",
)


def overlap_gradient(W):
    G = W @ W.T
    np.fill_diagonal(G, 0)
    return 4 * G @ W


def _gradient_half(W):
    return overlap_gradient(W) / 2


def _gradient_with_itself(W):
    return 4 * (W @ W.T) @ W


def _gradient_of_products(W):
    return 2 * (W.sum(axis=0) - W)


def _gradient_of_cosines(W):
    return overlap_gradient(W / np.linalg.norm(W, axis=1, keepdims=True))


def _gradient_downhill(W):
    return -overlap_gradient(W)


exercise(
    "14.2",
    solution=overlap_gradient,
    cases=[(np.random.default_rng(0).normal(size=(4, 6)),)],
    wrong={
        _gradient_half: "your gradient is half as large as it should be. "
        "How often does a pair appear in the sum?",
        _gradient_downhill: "your answer points the other way. Is the gradient uphill or downhill?",
        _gradient_with_itself: "your row c is also pulled by itself. "
        "Which entries of the Gram matrix are no cross-talk?",
        _gradient_of_products: "the size of the cross-talk does not matter to your gradient. "
        "Are the products squared?",
        _gradient_of_cosines: "your version scales the rows first. Does the overlap see the lengths?",
    },
    otherwise=lambda got, truth, W: (
        f"row 0 should begin with {truth[0, :2].round(4)} and begins with {got[0, :2].round(4)}. "
        "Which rows pull on row 0, and how hard does each of them pull?"
    ),
)


@exercise("14.3")
def check_14_3(attempt):
    rng = np.random.default_rng(1)
    w = rng.normal(size=5)
    cases = {
        "random rows": rng.normal(size=(2, 5)),
        "nearly equal rows": w + 0.1 * rng.normal(size=(2, 5)),
        "orthogonal rows": np.array([[2.0, 0, 0], [0, 0, 3.0]]),
        "opposite rows": np.stack([w, -w]),
        "rows along an axis": np.array([[3.0, 0.0], [-3.0, 0.0]]),
        "rows of one number": np.array([[3.0], [5.0]]),
    }
    for name, W in cases.items():
        v = call(attempt, W, shape=W.shape[1:])
        product, size = (W[0] + v) @ (W[1] + v), np.linalg.norm(W) ** 2
        ask(
            abs(product) <= 1e-9 * size,
            f"{name}: after adding your row their product is {product:.3g}. Where must m + v end?",
        )
        mean, half = np.linalg.norm(W.sum(axis=0)) / 2, np.linalg.norm(W[0] - W[1]) / 2
        ask(
            np.linalg.norm(v) <= abs(mean - half) + 1e-9 * size,
            f"{name}: the product is zero, but a shorter row does it, too. "
            "In which direction is the way from m the shortest?",
        )


def paired_interval(treated, control, t):
    differences = treated - control
    half = t * differences.std(ddof=1) / np.sqrt(len(differences))
    return differences.mean() - half, differences.mean() + half


def _interval_unpaired(treated, control, t):
    half = t * np.sqrt((treated.var(ddof=1) + control.var(ddof=1)) / len(treated))
    return treated.mean() - control.mean() - half, treated.mean() - control.mean() + half


def _interval_divided_by_s(treated, control, t):
    half = t * (treated - control).std() / np.sqrt(len(treated))
    return (treated - control).mean() - half, (treated - control).mean() + half


def _interval_of_the_spread(treated, control, t):
    half = t * (treated - control).std(ddof=1)
    return (treated - control).mean() - half, (treated - control).mean() + half


def _interval_normal(treated, control, t):
    return paired_interval(treated, control, 1.96)


def _interval_swapped(treated, control, t):
    return paired_interval(control, treated, t)


_rng = np.random.default_rng(2)
_CONTROL = 80 + 3 * _rng.normal(size=6)
exercise(
    "14.4",
    solution=paired_interval,
    cases=[(_CONTROL + 2 + _rng.normal(size=6), _CONTROL, stdtrit(5, 0.975))],
    wrong={
        _interval_swapped: "the treated scores are higher, your interval says lower. "
        "Which is taken from which?",
        _interval_unpaired: "your interval is as wide as that of strangers. "
        "Is it the spread of the scores that counts?",
        _interval_divided_by_s: "your interval is a little too narrow. By what does `np.std` divide?",
        _interval_of_the_spread: "that is where single differences lie. "
        "How much less does the mean of S of them vary?",
        _interval_normal: "1.96 is right for very many pairs. What was t given for?",
    },
    otherwise=lambda got, truth, *_: (
        f"the interval here goes from {truth[0]:.3f} to {truth[1]:.3f}, "
        f"yours from {got[0]:.3f} to {got[1]:.3f}. Which of mean, spread and root is off?"
    ),
)


def right_angles(W):
    new = []
    for row in W:
        left = row
        for u in new:
            left = left - (left @ u) / (u @ u) * u
        new.append(left * np.linalg.norm(row) / np.linalg.norm(left))
    return np.array(new)


def _angles_length_one(W):
    new = right_angles(W)
    return new / np.linalg.norm(new, axis=1, keepdims=True)


def _angles_length_lost(W):
    Q = _angles_length_one(W)
    return (W * Q).sum(axis=1, keepdims=True) * Q


def _angles_of_columns(W):
    return right_angles(W.T).T


def _angles_old_rows(W):
    new = W.copy()
    for c in range(1, len(W)):
        new[c] -= sum((W[c] @ W[j]) / (W[j] @ W[j]) * W[j] for j in range(c))
        new[c] *= np.linalg.norm(W[c]) / np.linalg.norm(new[c])
    return new


def _angles_first_row_only(W):
    new = W - np.outer(W @ W[0] / (W[0] @ W[0]), W[0])
    new[0] = W[0]
    return new * np.linalg.norm(W, axis=1, keepdims=True) / np.linalg.norm(new, axis=1, keepdims=True)


def _which_angle(got, truth, W):
    products = got @ got.T
    np.fill_diagonal(products, 0)
    if not np.allclose(products, 0):
        c, j = np.unravel_index(np.abs(products).argmax(), products.shape)
        return f"rows {c} and {j} still have the product {products[c, j]:.3f}. Was that part taken away?"
    if not np.allclose(np.linalg.norm(got, axis=1), np.linalg.norm(W, axis=1)):
        return "the angles are right, the lengths are not. When must a row's length be measured?"
    return "the rows are orthogonal, but not those of this recipe. Which row stays as it is?"


exercise(
    "14.5",
    solution=right_angles,
    cases=[(np.random.default_rng(3).normal(size=(4, 6)) * [[1], [2], [3], [4]] + 1,)],
    wrong={
        _angles_length_one: "the angles are right, but all rows have length 1. "
        "Which lengths should they keep?",
        _angles_length_lost: "the angles are right, but the rows became shorter. "
        "What happens when parts are taken away?",
        _angles_of_columns: "you treated the columns of W. Is a template a row or a column?",
        _angles_old_rows: "row 2 is not orthogonal. Are the earlier rows that you use orthogonal themselves?",
        _angles_first_row_only: "every row is orthogonal to row 0, but not to the others. "
        "Which parts are left?",
    },
    otherwise=_which_angle,
)
