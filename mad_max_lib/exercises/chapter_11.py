"""Chapter 11, matched filters."""

import numpy as np

from . import ask, call, close, exercise, within

_THRESHOLDS = {  # wrong thresholds, with the question for each
    12.5: "that is half of the pulse's squared length, where both cases are equally likely. "
    "How often does noise alone come so far?",
    8.225: "you left the width of the noise out. How wide is the inner product for noise twice as wide?",
    3.29: "that would be right for one sample with the weight 1. "
    "What does a long pulse do to the width of the inner product?",
    1.645: "your threshold is counted in standard deviations of the inner product. How large is one of them?",
    32.9: "your threshold is off by a factor of 2. How does the width of <s, n> grow if sigma is doubled, "
    "and how if |s| is?",
    164.5: "is the number that you multiply 1.645 with a variance or a width?",
    41.45: "you measure the threshold from the mean with a pulse. Which recordings give false alarms?",
}


def _threshold_and_rate(got, truth):
    """The first number to one decimal, the second to two."""
    return got.shape == truth.shape and bool(np.all(np.abs(got - truth) < (0.06, 0.006)))


def _about_the_threshold(got, truth):
    if abs(got[0] - truth[0]) < 0.06:
        if got[1] > 1:
            return "the threshold is right. Is a detection rate a share, or a number of percent?"
        return (
            "the threshold is right, the detection rate is not. How many standard deviations lie between "
            "the threshold and the mean with the pulse?"
        )
    near = [question for number, question in _THRESHOLDS.items() if abs(got[0] - number) < 0.06]
    return (
        near[0] if near else "what are the mean and the width of the inner product when there is noise alone?"
    )


exercise(
    "11.1",
    solution=[16.45, 0.804],
    wrong={
        (12.5, 0.894): _about_the_threshold,
        (8.225, 0.953): _about_the_threshold,
        (3.29, 0.985): _about_the_threshold,
        (1.645, 0.804): _about_the_threshold,
        (32.9, 0.215): _about_the_threshold,
        (164.5, 0.0): _about_the_threshold,
        (41.45, 0.05): _about_the_threshold,
        (16.45, 0.95): "the threshold is right. Which share of the recordings of noise stays below it, and "
        "what does this say about those with the pulse?",
        (16.45, 0.196): "the threshold is right. Is your second number the share of the recordings with the "
        "pulse above the threshold, or below it?",
        (16.45, 0.912): "the threshold is right. Your detection rate belongs to d = 3. What is d here?",
        (16.45, 0.9996): "the threshold is right. Your detection rate belongs to d = |s|. "
        "Does wider noise leave it unchanged?",
    },
    equal=_threshold_and_rate,
    otherwise=_about_the_threshold,
    why="Without a pulse the inner product is normal with mean 0 and standard deviation 2 * 5 = 10; "
    "1.645 of them are 16.45. With d = 5/2 the detection rate is Phi(2.5 - 1.645) = Phi(0.855), about 0.80.",
)

exercise(
    "11.2",
    solution=5.85,
    wrong={
        2.927: "a pulse of this length is long enough in noise of width 1. "
        "How long must it be in noise twice as wide?",
        0.726: "with this length the detection rate is about 10 %. On which side of the mean with the pulse "
        "does the threshold lie, if more than half of the pulses are to be found?",
        3.29: "with this length the mean with the pulse lies exactly at the threshold. "
        "How many of the pulses are then detected?",
        2.564: "where does the false-alarm rate enter?",
        1.4635: "do you multiply by the width of the noise or divide by it? "
        "Is a pulse easier to detect in wider noise?",
    },
    equal=within(0.01),
    otherwise=lambda got, truth: (
        f"with |s| = {got:.4g} we have d = {got / 2:.4g}. For which d does the formula give the "
        "rate asked for?"
    ),
    why="d - 1.645 must be 1.282, so d = 2.927, and |s| = 2 * 2.927, about 5.85.",
)


def laplace_score(x, s, scale):
    return (np.abs(x) - np.abs(x - s)).sum(axis=1) / scale


def _laplace_gaussian(x, s, scale):
    return (x @ s - s @ s / 2) / scale**2


def _laplace_inner_product(x, s, scale):
    return x @ s / scale


def _laplace_wrong_way(x, s, scale):
    return -laplace_score(x, s, scale)


def _laplace_no_scale(x, s, scale):
    return laplace_score(x, s, 1.0)


def _laplace_squared(x, s, scale):
    return laplace_score(x, s, scale**2)


def _laplace_with_pulse_only(x, s, scale):
    return -np.abs(x - s).sum(axis=1) / scale - x.shape[1] * np.log(2 * scale)


def _laplace_ratio(x, s, scale):
    return np.exp(laplace_score(x, s, scale))


def _laplace_of_the_sums(x, s, scale):
    return (np.abs(x.sum(axis=1)) - np.abs((x - s).sum(axis=1))) / scale


def _laplace_of_the_lengths(x, s, scale):
    return (np.linalg.norm(x, axis=1) - np.linalg.norm(x - s, axis=1)) / scale


def _laplace_products(x, s, scale):
    return np.log(np.exp(-np.abs(x - s) / scale).prod(axis=1) / np.exp(-np.abs(x) / scale).prod(axis=1))


def _most_wrong_score(got, truth, x, s, scale):
    """The recording where an attempt differs most; it is shown where it is short."""
    worst = int(np.argmax(np.abs(got - truth)))
    if len(s) > 10:
        return (
            f"short recordings are right. For a loud one of {len(s)} samples you find {got[worst]:.4g}. "
            "What happens to numbers that are very large or very small?"
        )
    return (
        f"for the recording {x[worst].round(2)}, the pulse {s.round(2)} and the scale {scale:g} "
        f"you find {got[worst]:.4g}, which is not the score. "
        "What is the logarithm of the density at x - s, and what at x?"
    )


_rng = np.random.default_rng(3)
exercise(
    "11.3",
    solution=laplace_score,
    cases=[
        (np.array([[2.0, 0.5], [-1.0, 3.0]]), np.array([1.0, -1.0]), 0.5),
        (_rng.laplace(size=(7, 4)), _rng.normal(size=4), 1.7),
        (_rng.laplace(size=(1, 3)), _rng.normal(size=3), 0.8),
        (_rng.laplace(scale=30, size=(2, 60)), 3 * _rng.normal(size=60), 0.5),
    ],
    wrong={
        _laplace_gaussian: "this is affine in x, as for Gaussian noise. Does the density of this "
        "noise hold a square?",
        _laplace_inner_product: "this is an inner product. What do the logarithms of the two "
        "densities look like, "
        "before one is subtracted from the other?",
        _laplace_wrong_way: "a recording that equals the pulse gets a negative score. "
        "Which of the two densities stands above the bar of the ratio?",
        _laplace_no_scale: "your score does not depend on the scale. What happens to it in wider noise?",
        _laplace_squared: "the sign of each score is right, its size is not. "
        "Which power of the scale stands in the exponent of the density?",
        _laplace_with_pulse_only: "this is the logarithm of one density. How likely is x without the pulse?",
        _laplace_ratio: "this is the ratio of the densities. What was asked for?",
        _laplace_products: "short recordings are right. For a loud one of 60 samples the product of the "
        "densities is too small for the computer's numbers. What is the logarithm of a product?",
        _laplace_of_the_sums: "for one sample this is right. In which order do the absolute value "
        "and the sum come?",
        _laplace_of_the_lengths: "for one sample this is right. The samples are independent: "
        "what happens to their densities?",
    },
    otherwise=_most_wrong_score,
)


def whitened_template(s, Sigma):
    return np.linalg.solve(Sigma, s)


def _whitened_half(s, Sigma):
    values, vectors = np.linalg.eigh(Sigma)
    return vectors @ ((vectors.T @ s) / np.sqrt(values))


def _whitened_blackened(s, Sigma):
    return Sigma @ s


def _whitened_variances_only(s, Sigma):
    return s / np.diag(Sigma)


def _whitened_plain(s, Sigma):
    return 1.0 * s


def _whitened_twice(s, Sigma):
    return np.linalg.solve(Sigma, np.linalg.solve(Sigma, s))


def _whitened_three_halves(s, Sigma):
    return _whitened_half(np.linalg.solve(Sigma, s), Sigma)


def _whitened_entry_by_entry(s, Sigma):
    return (1 / Sigma) @ s


def _whitened_roots_of_entries(s, Sigma):
    return Sigma**-0.5 @ (Sigma**-0.5 @ s)


def _whitened_root_of_entries(s, Sigma):
    return Sigma**-0.5 @ s


def _whitened_doubled(s, Sigma):
    return 2 * np.linalg.solve(Sigma, s)


def _about_the_template(got, truth, s, Sigma):
    along = (got @ truth) / np.sqrt((got @ got) * (truth @ truth))
    if along > 1 - 1e-9:
        return (
            f"the direction of your template is right, its length is {np.sqrt(got @ got):.4g}. "
            "Does its inner product with the recording have the value asked for, or a multiple of it?"
        )
    return (
        f"in noise of covariance {Sigma.round(2).tolist()} your template of {s.round(2)} is {got.round(4)}. "
        "What is the inner product of two whitened vectors, in terms of the vectors themselves?"
    )


_rng = np.random.default_rng(0)
_s, _mixing = _rng.normal(size=5), _rng.normal(size=(5, 5))
exercise(
    "11.4",
    solution=whitened_template,
    cases=[
        (np.array([2.0, 1.0]), np.array([[4.0, 1.0], [1.0, 2.0]])),
        (_s, _mixing @ _mixing.T + np.diag(_rng.uniform(0.5, 2, size=5))),
    ],
    wrong={
        _whitened_half: "this is the pulse after whitening. "
        "But the recording that it meets is not whitened yet: where does the second whitening go?",
        _whitened_blackened: "your template is largest where the noise is strongest. "
        "Should such a sample count more, or less?",
        _whitened_variances_only: "you use the variances only. "
        "What do the other entries of Sigma say about two samples?",
        _whitened_plain: "this is the template for white noise. Where does the noise's covariance enter?",
        _whitened_three_halves: "this holds one whitening too many. "
        "How many does the inner product of two whitened vectors hold?",
        _whitened_twice: "this holds two whitenings too many. "
        "How many does the inner product of two whitened vectors hold?",
        _whitened_entry_by_entry: "you take the inverse of each entry of Sigma. "
        "Is this the inverse of the matrix?",
        _whitened_roots_of_entries: "you take a power of each entry of Sigma, twice. "
        "Is this the power of the matrix?",
        _whitened_root_of_entries: "you take a power of each entry of Sigma. "
        "Is this the power of the matrix, and how many whitenings are needed?",
        _whitened_doubled: "your template has the right direction and twice the right length. "
        "Does its inner product with the recording have the value asked for?",
    },
    otherwise=_about_the_template,
)


def bank(pulses, sigma, priors):
    return pulses / sigma**2, np.log(priors) - (pulses**2).sum(axis=1) / (2 * sigma**2)


def _bank_no_energy(pulses, sigma, priors):
    return pulses / sigma**2, np.log(priors)


def _bank_no_priors(pulses, sigma, priors):
    return pulses / sigma**2, -(pulses**2).sum(axis=1) / (2 * sigma**2)


def _bank_priors_as_they_are(pulses, sigma, priors):
    return pulses / sigma**2, priors - (pulses**2).sum(axis=1) / (2 * sigma**2)


def _bank_width_for_variance(pulses, sigma, priors):
    return pulses / sigma, np.log(priors) - (pulses**2).sum(axis=1) / (2 * sigma)


def _bank_whole_energy(pulses, sigma, priors):
    return pulses / sigma**2, np.log(priors) - (pulses**2).sum(axis=1) / sigma**2


def _bank_length_for_square(pulses, sigma, priors):
    return pulses / sigma**2, np.log(priors) - np.linalg.norm(pulses, axis=1) / (2 * sigma**2)


def _bank_one_sum(pulses, sigma, priors):
    return pulses / sigma**2, np.log(priors) - (pulses**2).sum() / (2 * sigma**2)


def _bank_other_axis(pulses, sigma, priors):
    return pulses / sigma**2, np.log(priors) - (pulses**2).sum(axis=0) / (2 * sigma**2)


def _priors_only(got, truth, pulses, sigma, priors):
    if close(got[1], np.log(priors)):
        return (
            "your offsets know the priors only. A long pulse has a large inner product with many recordings: "
            "what takes that back?"
        )
    return "your offsets take the same amount from all pulses. Over which axis is the sum to be taken?"


def _same_decisions(one, other):
    """Whether two banks are alike up to what is added to all pulses."""
    return all(close(a - a[0], c - c[0]) for a, c in zip(one, other, strict=True))


@exercise(
    "11.5",
    solution=bank,
    cases=[(np.random.default_rng(1).normal(size=(3, 6)), 1.7, np.array([0.6, 0.3, 0.1]))],
    wrong={
        _bank_width_for_variance: "with noise of width 1.7 the templates are off. "
        "Is it the width or the variance that divides?",
        _bank_no_energy: _priors_only,
        _bank_one_sum: _priors_only,
        _bank_other_axis: "you add up over the pulses. Which axis holds the entries of one pulse?",
        _bank_no_priors: "your offsets do not depend on the priors. "
        "If all pulses have the same length and the recording is 0, which is the best guess?",
        _bank_priors_as_they_are: "you add a probability to the logarithm of a density. "
        "On what scale do both add up?",
        _bank_whole_energy: "a recording half-way between two pulses should get equal scores when the priors "
        "are equal. How much of the squared length has to be taken back?",
        _bank_length_for_square: "the priors and the templates are right. Is it the length that is "
        "subtracted?",
    },
    equal=_same_decisions,
    otherwise=lambda got, truth, *_: (
        "the templates are right, the offsets are not. Which terms of log(prior * density) do not hold x?"
        if _same_decisions(got[:1], truth[:1])
        else "the templates are off. What multiplies x in the logarithm of the density of pulse plus noise?"
    ),
)
def check_11_5(attempt):
    case = np.array([[1.0, 2, 0], [0, 1, 3], [2, 2, 1]]), 1.5, np.array([0.5, 0.3, 0.2])
    got = call(attempt, *case, shape=[(3, 3), (3,)], like=list(bank(*case)), may_be_nan=True)
    ask(
        not _same_decisions(got, _bank_other_axis(*case)),
        "you add up over the pulses. Which axis holds the entries of one pulse?",
    )


@exercise("11.6")
def check_11_6(attempt):
    rng = np.random.default_rng(4)

    def score(x, s, sigma=1.0, may_be_nan=False):
        x = np.atleast_2d(np.array(x, float))
        return call(attempt, x, np.array(s, float), sigma, shape=(len(x),), may_be_nan=may_be_nan)

    def with_pulse(start, pulse, T=10):
        x = np.zeros(T)
        x[start : start + len(pulse)] = pulse
        return x

    s = [2.0, -1.0, 2.0]
    first, last = score([with_pulse(0, s, 5), with_pulse(2, s, 5)], s, may_be_nan=True)
    ask(
        np.isclose(first, last),
        f"for recordings of 5 samples, a pulse of 3 samples at the very beginning gets {first:.4g}, the same "
        f"at the very end {last:.4g}. The pulse reads the same in both directions, so both should be equal. "
        "Which is the last place where it fits?",
    )
    x = np.array([5.0, 2.0, -1.0, 2.0])
    energy_left = np.log(np.mean([np.exp((x @ x - v @ v) / 2) for v in (x[:3] - s, x[1:] - s)]))
    got = score(x, s)[0]
    ask(
        not np.isclose(got, energy_left),
        f"the recording {x} gets {got:.4g}. Its samples outside the pulse stand in one of your two "
        "densities only. Do they belong to the other, too?",
    )
    pulse = np.array([4.0, 3.0, 0.0, 1.0])
    forward, backward = score([with_pulse(3, pulse), with_pulse(3, pulse[::-1])], pulse)
    ask(
        forward > backward - 1e-9,
        f"a recording that holds the pulse gets {forward:.4g}, one that holds it in reversed order "
        f"{backward:.4g}. In which order does the pulse meet its samples?",
    )
    wrapped = np.zeros(10)
    wrapped[[8, 9, 0, 1]] = pulse
    ask(
        score(wrapped, pulse)[0] < forward - 1,
        "a pulse that is cut at the end and goes on at the beginning counts as one. Which places "
        "are allowed?",
    )
    one = score([[1, 0, 2], [2, 2, -1]], s)
    ask(
        np.allclose(one, [1.5, -4.5]),
        "recordings as long as the pulse leave one place, and the first section found 1.5 and -4.5. "
        f"You find {one.round(3)}. What is the score of one place?",
    )
    one = score([[1, 0, 2], [2, 2, -1]], s, 2.0)
    ask(
        np.allclose(one, [0.375, -1.125]),
        f"in noise of width 2 the same recordings get {one.round(3)}. By what is a score divided there?",
    )
    silent = score(np.zeros((2, 9)), s)
    ask(
        np.allclose(silent, -4.5),
        f"a recording of zeros gets {silent[0]:.4g}. All places have the same score there: "
        "what is the average of equal ratios?",
    )
    got = score([2.0, 0.0, 2.0], [2.0, 0.0])[0]
    ask(
        abs(got - np.log(np.cosh(2))) < 1e-6,
        "for the recording (2, 0, 2) and the pulse (2, 0) the two places have the scores 2 and -2, and you "
        f"find {got:.4g}. What is averaged over the places: the scores, the ratios, or is only the largest "
        "kept?",
    )
    for start in (0, 3, 6):
        got = score(with_pulse(start, 10 * pulse), 10 * pulse)[0]
        ask(
            np.isfinite(got),
            "a long pulse gives an infinite score, or none. Which number can be taken out of the sum of "
            "exponentials before they are computed?",
        )
        ask(
            abs(got - (1300 - np.log(7))) < 1e-6,
            f"scores of small pulses are right. A pulse of squared length 2600 that starts at place {start} "
            f"of a recording of 10 samples gets {got:.6g}. What does the computer make of exp(1300)?",
        )
    for long in ([20.0, -20.0, 0.0, 0.0], [30.0, -20.0, 30.0, 20.0]):
        level = -np.dot(long, long) / 2
        got = score(np.zeros(10), long)[0]
        ask(
            abs(got - level) < 1e-6,
            f"for a long pulse, a recording of zeros has the score {level:g} at every place, and you find "
            f"{got:.6g}. What does the computer make of the exponentials that you add up?",
        )
    got = score([np.zeros(10), with_pulse(3, long)], long)[0]
    ask(
        abs(got - level) < 1e-6,
        f"a recording of zeros gets {got:.6g} if a loud recording stands beside it, and {level:g} alone. "
        "What does one recording know of the other in your version?",
    )
    nodes, weights = np.polynomial.hermite_e.hermegauss(24)
    noise = np.stack(np.meshgrid(nodes, nodes, nodes), axis=-1).reshape(-1, 3)
    chance = np.prod(np.stack(np.meshgrid(weights, weights, weights), axis=-1).reshape(-1, 3), axis=1)
    chance /= chance.sum()
    for sigma in (1.0, 0.7):
        pulse = 0.4 * rng.normal(size=2)
        mean = chance @ np.exp(score(sigma * noise, pulse, sigma))
        ask(
            abs(mean - 1) < 1e-6,
            f"over noise alone a ratio of two densities has the mean 1, yours has {mean:.4f}. "
            "Is the density with the pulse an average over all places, each with the same probability?",
        )
