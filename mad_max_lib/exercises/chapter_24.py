"""Chapter 24, Learning a mixture: EM."""

import numpy as np

from . import ask, call, exercise, within


def _one_round_off(got, truth):
    if np.allclose(got[:2], truth[:2], rtol=0, atol=5e-3):
        return "the posteriors are right. Which sum is divided by which for the mean of component 1?"
    if np.isclose(got[0], truth[0], rtol=0, atol=5e-3):
        return "the first is right. Is the second point treated in the same way?"
    return (
        "not all three are right. What are the log-odds of component 1 at each point, and what is t_1 then?"
    )


exercise(
    "24.1",
    solution=[0.25, 0.599, 1.558],
    wrong={
        (0.5, 0.818, 1.431): "your posteriors are those of equal weights. Which component is the rarer one?",
        (0.75, 0.931, 1.331): "your posteriors favour component 1 too much. "
        "Is the logarithm of its weight over the other's positive or negative?",
        (0.75, 0.401, 1.023): "those are the posteriors and the mean of component 0. Which one is asked for?",
        (0.25, 0.599, 0.661): "the posteriors are right. By how many points is the weighted sum divided?",
        (0.25, 0.599, 1.25): "the posteriors are right. Do both points count alike in the mean?",
        (0.25, 0.599, 2.0): "the posteriors are right. Does the point at 0.5 count for nothing?",
        (0.25, 0.599, 1.323): "the posteriors are right. Is your last number a sum, or a mean?",
        (0.25, 0.599, 1.023): "the posteriors are right. Of which component is your mean?",
        (-1.099, 0.401, 1.558): "the first two are log-odds. Which posterior belongs to log-odds of 0?",
    },
    equal=within(5e-3),
    otherwise=_one_round_off,
    why="The log-odds are $x - \\frac12 + \\log\\frac13$, that is $-1.099$ and $0.401$. "
    "The mean is $(0.25 \\cdot 0.5 + 0.599 \\cdot 2)/0.849$.",
)


def maximise(x, T):
    counts = T.sum(axis=0)
    means = T.T @ x / counts[:, None]
    squares = ((x[:, None] - means) ** 2).sum(axis=2)
    return means, counts / len(x), np.sqrt((T * squares).sum() / x.size)


def _maximise_variance(x, T):
    means, weights, sigma = maximise(x, T)
    return means, weights, sigma**2


def _maximise_no_dimension(x, T):
    means, weights, sigma = maximise(x, T)
    return means, weights, sigma * np.sqrt(x.shape[1])


def _maximise_hard(x, T):
    return maximise(x, np.eye(T.shape[1])[T.argmax(axis=1)])


def _maximise_counts(x, T):
    means, weights, sigma = maximise(x, T)
    return means, weights * len(x), sigma


def _maximise_all_points(x, T):
    return T.T @ x / len(x), *maximise(x, T)[1:]


def _maximise_one_mean(x, T):
    means, weights, _ = maximise(x, T)
    return means, weights, np.sqrt(((x - x.mean(axis=0)) ** 2).mean())


def _maximise_unweighted(x, T):
    means, weights, _ = maximise(x, T)
    return means, weights, np.sqrt(((x[:, None] - means) ** 2).mean())


def _maximise_off(got, truth, x, T):
    (means, weights, sigma), (true_means, true_weights, true_sigma) = got, truth
    if not np.allclose(means, true_means):
        return "the means are off. How much does each point count for a component?"
    if not np.allclose(weights, true_weights):
        return "the weights are off. Over what is T averaged?"
    return (
        f"the width should be {true_sigma:.4f}, yours is {sigma:.4f}. "
        "How much does each squared distance count, and from which mean is it measured?"
    )


_rng = np.random.default_rng(2)
exercise(
    "24.2",
    solution=maximise,
    cases=[
        (_rng.normal(size=(40, 3)), _rng.dirichlet(np.array([2.0, 1.0, 0.5, 0.5]), 40)),
        (_rng.normal(size=(7, 2)), _rng.dirichlet(np.array([1.0, 1.0]), 7)),
    ],
    wrong={
        _maximise_hard: "you give each point to one component alone. "
        "What does T[n, r] say about a point between two components?",
        _maximise_variance: "means and weights are right. What is the unit of a width if x is in minutes?",
        _maximise_no_dimension: "a squared distance in D coordinates holds D squared errors. "
        "How wide is one of them?",
        _maximise_counts: "your weights are numbers of points. What do weights add up to?",
        _maximise_all_points: "your means are too near the origin. How many points has a component in all?",
        _maximise_one_mean: "your width is that of all points together. From which mean is each measured?",
        _maximise_unweighted: "in your width each point counts fully for every component. "
        "How much should it count?",
    },
    otherwise=_maximise_off,
)


def _gap_off(got, truth):
    right = np.isclose(got, truth, rtol=0, atol=5e-3)
    if not right[0]:
        return "the first is not right. What is the density at a point of which 0.01 and 0.04 are the parts?"
    if right[1] or right[2]:
        return "two of the three are right. Which two of them must add up to the third?"
    return "the first is right. In F, what is each p divided by, and what does each logarithm count?"


exercise(
    "24.3",
    solution=[-2.996, -3.219, 0.223],
    wrong={
        (-2.996, -3.219, 0.193): "the first two are right. Which of the two distributions "
        "stands before the logarithm in the divergence, and which below?",
        (-2.996, -3.912, 0.223): "the first and the last are right. In F, what is each weight divided by?",
        (-2.996, -3.219, -0.223): "the first two are right. Can a divergence be negative?",
        (-1.301, -1.398, 0.097): "those are logarithms to the base 10. Which are meant here?",
        (-4.322, -4.644, 0.322): "those are logarithms to the base 2. Which are meant here?",
        (
            -2.996,
            -3.912,
            0.916,
        ): "the first is right, and your F is too low. What is each p divided by in it?",
        (
            -3.689,
            -3.912,
            0.223,
        ): "the divergence is right. How is the density made of the two terms?",
    },
    equal=within(5e-3),
    otherwise=_gap_off,
    why="$\\log 0.05 = -2.996$. $F = \\frac12\\log 0.02 + \\frac12\\log 0.08 = -3.219$. "
    "$\\mathrm{KL} = \\frac12\\log\\frac{0.5}{0.2} + \\frac12\\log\\frac{0.5}{0.8} = 0.223$.",
)


def _equal_at_off(got, truth):
    if np.isclose(got[0], truth[0], rtol=0, atol=2e-3):
        return "the first is right. In the second case, what are the log-odds of the narrow one at x = 0?"
    if got[1] == 0:
        return (
            "the second is right. In the first case, what are the log-odds of the narrow one at 0 and at x?"
        )
    return "both are off. What are the log-odds of the narrow one at x = 0, and how do they bend?"


exercise(
    "24.4",
    solution=[1.36, 0],
    wrong={
        (1.848, 0): "in the first case you give the square. What is asked for?",
        (0.961, 0): "the second is right. Which number stands below the square in a normal density?",
        (0, 0): "at x = 0 with equal weights, which of two normal densities is higher, "
        "the narrow or the wide one?",
        (1.36, 2.003): "the first is right. Which sign have the log-odds at x = 0 in the second case?",
        (1.36, 2.776): "the first is right. Which component became more common in the second case?",
        (1.36, 1.36): "the first is right. Do the weights change nothing?",
    },
    equal=within(2e-3),
    otherwise=_equal_at_off,
    why="The log-odds of the narrow one are $\\log 2 - \\frac38 x^2$, zero at $|x| = 1.360$. "
    "In the second case "
    "they are $\\log\\frac19 + \\log 2 - \\frac38x^2$, which is negative everywhere.",
)


def _empty_off(got, truth):
    right = np.isclose(got, truth, rtol=0, atol=0.06)
    if right[0] and right[1]:
        return "K-means is right. Which points are beyond the best wall, if it goes far to the right?"
    if right[0]:
        return "the wall of K-means is right. Which share of the large group is beyond it?"
    if right[2]:
        return "the last is right. If both centroids lie in one normal group, where is the wall between them?"
    return "at 1 % K-means is near its end. Where is the wall if both centroids share one normal group?"


exercise(
    "24.5",
    solution=[0, 50, 0],
    wrong={
        (2, 50, 0): "the percentages are right. Is the line halfway between the groups also "
        "halfway between the two centroids?",
        (2, 2.3, 0): "that is where K-means starts, at 50 %. What does it do on the slider's way to 1 %?",
        (0.09, 45.9, 0.3): "those are the numbers at 1 %. Where do they go from there?",
        (0, 45.9, 0): "the wall is right, and 45.9 belongs to 1 %. Where does it go from there?",
        (0, 50, 50): "K-means is right. Does the best wall also stay in the middle of the large group?",
        (0, 0, 0): "the wall is right. How many points of the large group are to the right of it?",
        (0, 100, 0): "the wall is right. Does the large group lie wholly beyond it?",
        (-2, 50, 0): "the percentages are right. Where is the middle of the one group that remains?",
    },
    equal=within(0.06),
    otherwise=_empty_off,
    why="Without a right group both centroids share one normal group. By symmetry the wall of K-means goes "
    "to its middle, 0, and half of its points are beyond it. The best wall moves ever farther to the right, "
    "and its mistakes are at most the points of the right group.",
)


def _table_off(got, truth):
    if got[0] != truth[0]:
        return "the first is not right. Which smallest width is out of line with the others?"
    if got[1] != truth[1]:
        return "the first is right. Among the other five fits, which held-out value is the highest?"
    return "the first two are right. What are the five values of BIC, with the sum over 200 points?"


exercise(
    "24.6",
    solution=[5, 3, 4],
    wrong={
        (5, 4, 4): "the first is right. Which held-out value is the highest?",
        (5, 3, 5): "the first two are right. Does the last question still include the fit you took out?",
        (5, 3, 6): "the first two are right. What does each further parameter add?",
        (5, 3, 1): "the first two are right. Is the log-likelihood in BIC the mean over the points?",
        (5, 3, 3): "the first two are right. By how much does BIC grow for one parameter more?",
        (6, 3, 4): "the last two are right. Which smallest width is out of line with the others?",
    },
    otherwise=_table_off,
    why="The smallest width of row 5 is the one left by the $10^{-6}$: it has collapsed. With one width "
    "$P = R + 1 + (R - 1) = 2R$, with own widths $P = R + R + (R - 1) = 3R - 1$. "
    "BIC of rows 1, 2, 3, 4 and 6: 917.6, 912.6, 916.4, 903.7, 920.3. It chooses row 4, and held-out points "
    "choose row 3, by 0.006. The numbers were drawn from two components with own widths, as in row 4. "
    "(With row 5 among them, BIC would choose the collapsed fit.)",
)


def _bits_truth(x, p, weights):
    """From the definition, with products; for few pixels only."""
    joint = weights * np.where(x[:, None] == 1, p, 1 - p).prod(axis=2)
    T = joint / joint.sum(axis=1, keepdims=True)
    return T.T @ x / T.sum(axis=0)[:, None], T.mean(axis=0), np.log(joint.sum(axis=1)).mean(), T


def _bits_small(step, rng):
    """A single component, and three of them on nine images of four pixels."""
    few = rng.integers(0, 2, (9, 4)).astype(float)
    one = step(few, np.full((1, 4), 0.5), np.ones(1))
    ask(
        np.allclose(one[0], few.mean(axis=0)) and np.allclose(one[1], 1),
        "with a single component, every image is its own entirely. What are its new p and its weight then?",
    )
    level, truth = one[2], np.log(0.5) * 4
    ask(
        not np.isclose(level, 9 * truth),
        "your log-likelihood grows with the number of images. Is the sum or the mean asked for?",
    )
    ask(
        not np.isclose(level, truth / 4),
        "your log-likelihood is that of one pixel. Is the mean over pixels asked for, or over images?",
    )
    later = _bits_truth(few, few.mean(axis=0)[None], np.ones(1))[2]
    ask(
        np.isclose(level, truth) or not np.isclose(level, later),
        "your log-likelihood belongs to the new mixture. Of which one is it asked for?",
    )
    ask(
        np.isclose(level, truth),
        f"with a single component that inks each of four pixels with probability 1/2, every image has the "
        f"probability 1/16. You find a mean logarithm of {level:.3f}. Do white pixels count, too?",
    )
    p, weights = rng.uniform(0.1, 0.9, (3, 4)), np.array([0.7, 0.2, 0.1])
    (true_p, true_weights, true_level, T), got = _bits_truth(few, p, weights), step(few, p, weights)
    ask(
        not np.allclose(got[1], np.bincount(T.argmax(axis=1), minlength=3) / 9),
        "each image goes whole to one component. What does the E-step do instead?",
    )
    ask(
        not np.isnan(got[0]).any(),
        "your new p holds NaN for nine images of four pixels. What is divided by 0?",
    )
    ask(np.isclose(got[1].sum(), 1), f"your weights add up to {got[1].sum():.3f}. Is that what weights do?")
    ask(
        not np.allclose(got[1], _bits_truth(few, p, np.full(3, 1 / 3))[1]),
        "your posteriors are those of equal weights. Where do the weights enter?",
    )
    ask(
        not np.allclose(got[1], true_weights) or not np.allclose(got[0], true_p * true_weights[:, None]),
        "your new p is too small. How many images has a component in all?",
    )
    right = [np.allclose(a, b) for a, b in zip(got, (true_p, true_weights, true_level), strict=True)]
    questions = {
        (True, False, True): "your p and your log-likelihood are right. Over what is the posterior averaged "
        "for the weights?",
        (True, True, False): "your p and your weights are right. Of which sum over components is the "
        "log-likelihood the logarithm?",
        (False, True, True): "your weights and your log-likelihood are right. Of what is p[r, d] the "
        "weighted mean, and is anything added to it?",
    }
    ask(
        all(right),
        questions.get(
            tuple(right),
            f"for {len(few)} images of four pixels your round differs from Bayes' rule. "
            "What is the probability of one image under one component, by hand?",
        ),
    )


def _bits_sure(step):
    """Entries of p that are exactly 0 or 1."""
    sure = np.array([[1.0, 0.0, 0.5, 0.5], [0.3, 0.4, 0.0, 1.0]])
    fits = np.array([[1, 0, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 0, 1.0]])
    with np.errstate(all="ignore"):
        truth, got = _bits_truth(fits, sure, np.array([0.5, 0.5])), step(fits, sure, np.array([0.5, 0.5]))
    ask(
        all(np.allclose(a, b, atol=1e-6) for a, b in zip(got, truth[:3], strict=True)),
        "where some entries of p are exactly 0 or 1 your round goes wrong. What should 0 times log 0 be?",
    )


def _bits_impossible(step):
    """A component that fits 1,000 pixels of an image, and gives its last one the probability 0."""
    p = np.array([[0.9] * 1000 + [0.0], [0.1] * 1000 + [0.5]])
    images = np.array([[1.0] * 1001, [0.0] * 1000 + [1.0], [1.0] * 1000 + [0.0]])
    with np.errstate(all="ignore"):
        got = step(images, p, np.array([0.5, 0.5]))
    level = (1000 * np.log(0.1) + 2000 * np.log(0.9) + 5 * np.log(0.5)) / 3
    ask(
        np.allclose(got[1], [1 / 3, 2 / 3])
        and np.allclose(got[0], [images[2], images[:2].mean(axis=0)])
        and np.isclose(got[2], level),
        "a component that gives a pixel the probability 0 is out, however well 1,000 other pixels fit. "
        "Is it in your version, and is its logarithm then a finite number?",
    )


def _bits_large(step, rng):
    """Images of 3,000 pixels: equally probable ones, then some far less probable than others."""
    kinds = np.array([0, 0, 0, 1, 1])
    for pair, question in (
        (
            (0.3, 0.7),
            "with 3,000 pixels your round gives no finite numbers. "
            "How small is a product of 3,000 probabilities, and what can be added in its place?",
        ),
        (
            (0.01, 0.5),
            "with 3,000 pixels, where some images are far less probable than others, your round gives no "
            "finite numbers. Which number may be taken out of the logarithms of *one* image before the "
            "exponential?",
        ),
    ):
        large = np.concatenate([np.full((1, 3000), value) for value in pair])
        images = (rng.random((5, 3000)) < large[kinds]).astype(float)
        got = step(images, large, np.array([0.5, 0.5]))
        ask(np.isfinite(got[2]) and np.isfinite(got[0]).all(), question)
        logs = [
            np.log(np.where(image == 1, large[kind], 1 - large[kind])).sum()
            for image, kind in zip(images, kinds, strict=True)
        ]
        ask(
            np.allclose(got[1], [0.6, 0.4])
            and np.allclose(got[0][1], images[3:].mean(axis=0))
            and np.isclose(got[2], np.mean(logs) + np.log(0.5)),
            "with 3,000 pixels your round is finite but off. Which number may be taken out of all logarithms "
            "of an image before the exponential, and must it come back?",
        )


@exercise("24.7")
def check_24_7(attempt):
    def step(x, p, weights):
        shapes = [p.shape, weights.shape, ()]
        return call(attempt, x, p, weights, shape=shapes, like=[p, weights, 0.0], may_be_nan=True)

    rng = np.random.default_rng(7)
    _bits_small(step, rng)
    _bits_sure(step)
    _bits_large(step, rng)
    _bits_impossible(step)
    mixture, levels = (rng.uniform(0.2, 0.8, (3, 6)), np.full(3, 1 / 3)), []
    images = rng.integers(0, 2, (40, 6)).astype(float)
    for _ in range(15):
        *mixture, level = step(images, *mixture)
        levels.append(level)
    ask(np.diff(levels).min() > -1e-9, "in repeated rounds your log-likelihood falls. Which step is wrong?")
