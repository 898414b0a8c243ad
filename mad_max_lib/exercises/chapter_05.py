"""Chapter 05, convexity, universality, stability."""

import numpy as np

from . import Wrong, call, exercise, value


def bulges(f, x, u):
    return np.mean(f((x + u) / 2) > (f(x) + f(u)) / 2 + 1e-9)


def _bulges_above_both_ends(f, x, u):
    return np.mean(f((x + u) / 2) > np.maximum(f(x), f(u)) + 1e-9)


def _bulges_reversed(f, x, u):
    return np.mean(f((x + u) / 2) < (f(x) + f(u)) / 2 - 1e-9)


def _bulges_exact(f, x, u):
    return np.mean(f((x + u) / 2) > (f(x) + f(u)) / 2)


def _bulges_count(f, x, u):
    return len(x) * bulges(f, x, u)


def _bulges_at_all(f, x, u):
    return float(bulges(f, x, u) > 0)


@exercise(
    "5.1",
    solution=bulges,
    wrong=[_bulges_above_both_ends, _bulges_reversed, _bulges_exact, _bulges_count, _bulges_at_all],
)
def _(attempt):
    rng = np.random.default_rng(0)
    x, u = rng.normal(size=(2, 500, 3))

    def share(f):
        return call(attempt, f, x, u, shape=())

    if share(lambda p: -(p**2).sum(axis=1)) > 1:
        raise Wrong("your answer for 500 pairs is larger than 1. Is it a share or a count?")
    bowl = share(lambda p: (p**2).sum(axis=1))
    if bowl > 0:
        raise Wrong("a sum of squares, which is convex, is refuted. On which side of its chords does a bowl lie?")
    if share(lambda p: p @ np.array([0.1, 0.7, -0.3]) + 0.3) > 0:
        raise Wrong("an affine function bulges for you, by rounding errors of 1e-16. How much did the referee allow?")
    if share(lambda p: np.sqrt(np.abs(p[:, 0]))) == 0:
        raise Wrong("the square root of |x_1| passes as convex. With what has the midpoint's height to be compared: "
                    "the higher end, or the chord?")  # fmt: skip
    wave = share(lambda p: np.sin(2 * p[:, 0]))
    if abs(wave - bulges(lambda p: np.sin(2 * p[:, 0]), x, u)) > 1e-9:
        raise Wrong(f"a sine wave bulges at some pairs and not at others, your answer is {wave:.3f}. "
                    "Did you average over the pairs?")  # fmt: skip


@exercise("5.3")
def _(attempt):
    rng = np.random.default_rng(1)

    def layers_as_rows(a, b):
        layers = attempt(a, b)
        try:
            return np.array([[float(w), *np.reshape(v, a.shape[1]), float(c)] for w, v, c in layers]).reshape(
                len(layers), a.shape[1] + 2
            )
        except (TypeError, ValueError):
            raise Wrong(f"for {len(a)} pieces on {a.shape[1]} inputs your layers are no list of (w, v, c) with numbers "
                        "w and c and a vector v. In what order does the text name them?") from None  # fmt: skip

    def error(a, b):
        rows = call(layers_as_rows if callable(attempt) else attempt, a, b)
        x = 3 * rng.normal(size=(1000, a.shape[1]))
        if (rows[:, 0] < 0).any():
            raise Wrong("a weight w is negative. What does a negative number do to a convex function?")
        if len(rows) > len(a):
            raise Wrong(f"you use {len(rows)} layers for {len(a)} pieces. How many does a maximum of two need?")
        z = np.zeros(1000)
        for row in rows:
            u = row[0] * z + x @ row[1:-1] + row[-1]
            z = np.maximum(u, 0)
        return u - (x @ a.T + b).max(axis=1)

    if np.abs(error(rng.normal(size=(1, 3)), rng.normal(size=1))).max() > 1e-9:
        raise Wrong("a single piece comes out wrong. Which layer has no maximum with 0 behind it?")
    if np.abs(error(rng.normal(size=(2, 1)), rng.normal(size=2))).max() > 1e-9:
        raise Wrong("two pieces on one input come out wrong. Which of the two is subtracted before the ReLU, "
                    "and which one is added behind it?")  # fmt: skip
    for R, D in ((3, 2), (5, 1), (9, 4)):
        if np.abs(error(rng.normal(size=(R, D)), rng.normal(size=R))).max() > 1e-9:
            raise Wrong(f"two pieces are right, {R} pieces are not. To what must z be added, after the first layer, "
                        "to be the larger of the first two pieces?")  # fmt: skip
    if np.abs(error(np.ones((4, 2)), np.zeros(4))).max() > 1e-9:
        raise Wrong("with equal pieces the result is off. What is max(p, p)?")


def split(W, b, F, G):
    plus, minus = np.maximum(W, 0), np.maximum(-W, 0)
    return F @ plus.T + G @ minus.T + b, F @ minus.T + G @ plus.T


def _split_size_only(W, b, F, G):
    return F @ np.abs(W).T + b, G @ np.abs(W).T


def _split_no_bias(W, b, F, G):
    return split(W, 0 * b, F, G)


def _split_not_crossed(W, b, F, G):
    return F @ np.maximum(W, 0).T + b, G @ np.maximum(-W, 0).T


def _split_nothing(W, b, F, G):
    return F @ W.T + b, G @ W.T


@exercise(
    "5.4",
    solution=split,
    wrong=[_split_size_only, _split_no_bias, _split_not_crossed, _split_nothing],
)
def _(attempt):
    rng = np.random.default_rng(2)
    W, b, F, G = rng.normal(size=(4, 3)), rng.normal(size=4), rng.normal(size=(6, 3)), rng.normal(size=(6, 3))
    F_new, G_new = call(attempt, W, b, F, G, shape=[(6, 4), (6, 4)])
    error = F_new - G_new - ((F - G) @ W.T + b)
    if np.allclose(error, -b):
        raise Wrong("the difference is off by the same number in every row. Which constant does a dense layer add, "
                    "and does it survive the subtraction?")  # fmt: skip
    if np.allclose(F_new - G_new, (F - G) @ np.abs(W).T + b):
        raise Wrong("your difference is |W|(F - G) + b. What became of the negative weights?")
    if not np.allclose(error, 0):
        raise Wrong(f"the difference of your parts is off by up to {np.abs(error).max():.2f}. "
                    "Multiply out two differences: how many products are there?")  # fmt: skip
    for moved in ((F + rng.uniform(size=F.shape), G), (F, G + rng.uniform(size=G.shape))):
        parts = call(attempt, W, b, *moved, shape=[(6, 4), (6, 4)])
        if min((parts[0] - F_new).min(), (parts[1] - G_new).min()) < -1e-9:
            raise Wrong("the difference is right, but a part falls when F or G grows. "
                        "What does a negative number do to a convex function?")  # fmt: skip


@exercise(
    "5.5",
    solution=np.array([5.66, 5.0]),
    wrong=[np.array([5.0, 5.657]), np.array([7.071, 5.0]), np.array([5.657, 5.657]), np.array([5.657, 7.0])],
    why="The norms are 4 and the root of 2. The matrices are (3, 4), (3, 0), (0, 4) and (0, 0); the longest has "
    "length 5. The second layer is steepest in the direction (1, 1), where the first does not stretch most.",
)
def _(attempt):
    product, true = value(attempt, (2,))
    if true > product + 1e-9:
        raise Wrong("your true constant is larger than your product. Which of them bounds the other, "
                    "and how long is a vector?" if abs(true - 7) < 0.01 else
                    "your true constant is larger than your product. In which order were they asked for?")  # fmt: skip
    if abs(product - np.sqrt(50)) < 0.01:
        raise Wrong("this product takes the root of the sum of squares of the first matrix. How far does that matrix "
                    "stretch a vector of length 1 at most?")  # fmt: skip
    if abs(product - 4 * np.sqrt(2)) > 0.01:
        raise Wrong("the product is off. What is the longest image of a vector of length 1 under each matrix?")
    if abs(true - 5) > 0.01:
        raise Wrong("the product is right, the true constant is not. Which matrix has the region with both gates open?")


def certified_radius(logits, local, bound):
    largest = np.sort(logits, axis=1)
    return (largest[:, -1] - largest[:, -2]) / (np.sqrt(2) * bound)


def _radius_no_root(logits, local, bound):
    return np.sqrt(2) * certified_radius(logits, local, bound)


def _radius_local(logits, local, bound):
    return certified_radius(logits, local, local)


def _radius_half(logits, local, bound):
    return certified_radius(logits, local, bound) / np.sqrt(2)


def _radius_to_the_lowest(logits, local, bound):
    return (logits.max(axis=1) - logits.min(axis=1)) / (np.sqrt(2) * bound)


@exercise("5.6", solution=certified_radius, wrong=[_radius_no_root, _radius_local, _radius_half, _radius_to_the_lowest])
def _(attempt):
    rng = np.random.default_rng(3)
    logits, local, bound = 3 * rng.normal(size=(8, 5)), rng.uniform(1, 4, size=8), 6.0
    got, truth = call(attempt, logits, local, bound, shape=(8,)), certified_radius(logits, local, bound)
    if np.allclose(got, truth * bound / local):
        raise Wrong("you use the local norm. What does it say about the ground beyond the border of the region?")
    if np.allclose(got, truth * np.sqrt(2)):
        raise Wrong("your radius is too large by a factor of 1.41. By how much can two logits approach each other "
                    "when the vector of logits moves by 1?")  # fmt: skip
    if np.allclose(got, truth / np.sqrt(2)):
        raise Wrong("your radius is safe, and too small by a factor of 1.41. Can one logit fall by 1 and another one "
                    "rise by 1 when the vector of logits moves by 1 only?")  # fmt: skip
    if np.allclose(got * np.sqrt(2) * bound, np.ptp(logits, axis=1)):
        raise Wrong("you measure the way down to the lowest logit. Which class is overtaken by its rival first?")
    if not np.allclose(got, truth):
        raise Wrong(f"the first radius should be {truth[0]:.4f} and is {got[0]:.4f}. What is the margin here?")
