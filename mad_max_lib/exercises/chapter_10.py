"""Chapter 10, Lipschitz constants and certificates."""

import numpy as np

from . import ask, call, exercise, within


def _which_constant(got, truth):
    if abs(got[0] - truth[0]) > 0.01:
        return f"your product is {got[0]:g}. What are the largest singular values of the two matrices?"
    return (
        f"your product is right, your constant is {got[1]:g}. Which four matrices does the network have, "
        "and how long is each?"
    )


exercise(
    "10.1",
    solution=[5.66, 5.0],
    wrong={
        (5.0, 5.657): "your constant is larger than your product. In which order were they asked for?",
        (7.071, 5.0): "this product takes the root of the sum of squares of the first matrix. "
        "How far does that matrix stretch a vector of length 1 at most?",
        (5.657, 5.657): "the two are not equal here. "
        "Does the first layer stretch most in the direction in which the second one does?",
        (5.657, 7.0): "your constant is larger than your product. "
        "Which of them bounds the other, and how long is a vector?",
    },
    equal=within(0.01),
    otherwise=_which_constant,
    why="The norms are 4 and the root of 2. The matrices are (3, 4), (3, 0), (0, 4) and (0, 0); the longest "
    "has length 5. The second layer is steepest in the direction (1, 1), where the first stretches less.",
)


def weight_bounds(weights):
    return np.array(
        [
            np.prod([np.linalg.norm(W, ord=2) for W in weights]),
            np.prod([np.linalg.norm(W) for W in weights]),
        ]
    )


def _bounds_swapped(weights):
    return weight_bounds(weights)[::-1]


def _bounds_sums(weights):
    return np.array([sum(np.linalg.norm(W, ord=2) for W in weights), sum(np.linalg.norm(W) for W in weights)])


def _bounds_entries(weights):
    return np.array([np.prod([np.abs(W).max() for W in weights]), weight_bounds(weights)[1]])


def _bounds_without_the_last(weights):
    return weight_bounds(weights[:-1])


def _bounds_of_the_product(weights):
    W = weights[0]
    for after in weights[1:]:
        W = after @ W
    return weight_bounds([W])


_rng = np.random.default_rng(10)
exercise(
    "10.2",
    solution=weight_bounds,
    cases=[([_rng.normal(size=(4, 3)), _rng.normal(size=(5, 4)), _rng.normal(size=(2, 5))],)],
    wrong={
        _bounds_swapped: "your first number is the larger one. Which of the two norms adds up all squared "
        "singular values?",
        _bounds_sums: "your numbers are sums of norms. "
        "What happens to a vector that is stretched by 2 and then by 3?",
        _bounds_entries: "your first number is made of the largest entries. "
        "Can a matrix with entries of at most 1 stretch a vector by more than 1?",
        _bounds_of_the_product: "you multiply the matrices first. "
        "With ReLUs between them, is the network this one matrix?",
        _bounds_without_the_last: "your products leave out a matrix. How many are in the list?",
    },
    otherwise=lambda got, truth, weights: (
        f"for three random matrices your numbers are {got[0]:.3f} and {got[1]:.3f}; "
        f"{'the second' if np.isclose(got[0], truth[0]) else 'the first'} is not the product asked for. "
        "What do you get for a list of one matrix, and what does each further matrix do?"
    ),
)


def certified_radius(logits, local, bound):
    largest = np.sort(logits, axis=1)
    return (largest[:, -1] - largest[:, -2]) / (np.sqrt(2) * bound)


def _radius_no_root(logits, local, bound):
    return np.sqrt(2) * certified_radius(logits, local, bound)


def _radius_local(logits, local, bound):
    return certified_radius(logits, local, local)


def _radius_half(logits, local, bound):
    return certified_radius(logits, local, bound) / np.sqrt(2)


def _radius_largest_local(logits, local, bound):
    return certified_radius(logits, local, local.max())


def _radius_times_bound(logits, local, bound):
    return certified_radius(logits, local, 1.0) * bound


def _which_radius(got, truth, logits, local, bound):
    factor = got / truth
    if np.allclose(factor, factor[0]):
        return (
            f"your margins are right, and each radius is {factor[0]:.4g} times what it should be. "
            "By how much can the margin shrink when the input moves by 1?"
        )
    return (
        f"the first two inputs should have the radii {truth[:2].round(4)}, yours are {got[:2].round(4)}. "
        "What is the margin of each input?"
    )


def _radius_to_the_lowest(logits, local, bound):
    return (logits.max(axis=1) - logits.min(axis=1)) / (np.sqrt(2) * bound)


_rng = np.random.default_rng(3)
exercise(
    "10.3",
    solution=certified_radius,
    cases=[(3 * _rng.normal(size=(8, 5)), _rng.uniform(1, 4, size=8), 6.0)],
    wrong={
        _radius_local: "you use the local norm. "
        "What does it say about slopes beyond the border of the region?",
        _radius_largest_local: "you use the largest of the local norms. "
        "Can the slope between the regions that you have seen be larger?",
        _radius_times_bound: "your radius grows with the bound. "
        "Does a steeper network use up a margin sooner or later?",
        _radius_no_root: "your radius is too large by a factor of 1.41. "
        "By how much can two logits approach each other when the vector of logits moves by 1?",
        _radius_half: "your radius is safe, and too small by a factor of 1.41. "
        "Can one logit fall by 1 and another one rise by 1 when the vector of logits moves by 1 only?",
        _radius_to_the_lowest: "you measure down to the lowest logit. "
        "Which class is overtaken by its rival first?",
    },
    equal=within(1e-9, rtol=1e-3),
    otherwise=_which_radius,
)


def _slopes_between(w, b, v):
    """Slopes of the network in the intervals between its knots, by the values at two inner places."""
    knots = np.unique(-b[w != 0] / w[w != 0])
    ends = np.r_[knots[:1] - 1, knots, knots[-1:] + 1] if len(knots) else np.array([0.0, 1.0])
    p, q = (2 * ends[:-1] + ends[1:]) / 3, (ends[:-1] + 2 * ends[1:]) / 3
    f_p, f_q = (np.maximum(place[:, None] * w + b, 0) @ v for place in (p, q))
    return (f_q - f_p) / (q - p)


@exercise("10.4")
def check_10_4(attempt):
    rng = np.random.default_rng(4)
    one = call(attempt, np.array([2.0]), np.array([0.5]), np.array([-3.0]), shape=())
    ask(
        not np.isclose(one, 0),
        "f(u) = -3 relu(2u + 0.5) has slopes 0 and -6; you return 0. Where did you look, "
        "and is the steepest slope the largest number?",
    )
    ask(
        np.isclose(one, 6),
        f"f(u) = -3 relu(2u + 0.5) has slopes 0 and -6, you return {one:g}. "
        "How does the slope of one ReLU depend on w and on v?",
    )
    bump = np.array([1.0, 1, -1, -1]), np.array([1.0, 0, 0, -1]), np.array([10.0, -10, 10, -10])
    flat = call(attempt, *bump, shape=())
    ask(
        abs(flat) < 1e-9,
        f"10 relu(u+1) - 10 relu(u) + 10 relu(-u) - 10 relu(-u-1) is constant, you return {flat:g}. "
        "On which interval, longer than 0, does f have this slope, and which ReLUs are open there?",
    )
    still = call(attempt, np.array([0.0, 1.0]), np.array([5.0, 0.0]), np.array([7.0, 1.0]), shape=())
    ask(
        np.isclose(still, 1),
        f"7 relu(5) + relu(u) has the constant 1, you return {still:g}. What does relu(5) add?",
    )
    zero = call(attempt, np.array([1.0, 0.0]), np.array([0.0, 0.0]), np.array([5.0, 1.0]), shape=())
    ask(
        np.isclose(zero, 5),
        f"5 relu(u) + relu(0) has the constant 5, you return {zero:g}. Has a ReLU with w = 0 a knot?",
    )
    level = call(attempt, np.zeros(2), np.array([1.0, -1.0]), np.array([2.0, 3.0]), shape=())
    ask(level == 0, f"with all w = 0 the function is constant; you return {level:g}. Which knots has it?")
    left = call(attempt, np.array([-3.0, 1.0]), np.array([0.0, 0.0]), np.array([1.0, 1.0]), shape=())
    ask(
        np.isclose(left, 3),
        f"relu(-3u) + relu(u) falls by 3 a unit on the left; you return {left:g}. Where did you look?",
    )
    step = call(attempt, np.array([1.0, 1.0]), np.array([0.0, -1e-6]), np.array([5.0, -5.0]), shape=())
    ask(
        np.isclose(step, 5),
        f"5 relu(u) - 5 relu(u - 0.000001) has the slope 5 between its knots, you return {step:g}. "
        "How do you find a place between two knots, however close they are?",
    )
    for K in (1, 3, 10, 40):
        w, b, v = rng.normal(size=(3, K))
        got, truth = call(attempt, w, b, v, shape=()), np.abs(_slopes_between(w, b, v)).max()
        ask(
            np.isclose(got, truth, rtol=1e-6),
            f"for {K} random ReLUs you return {got:.4f}, and the steepest of the intervals has {truth:.4f}. "
            "Which ReLUs are open together?",
        )
