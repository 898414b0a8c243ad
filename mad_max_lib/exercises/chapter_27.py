"""Chapter 27, learning the softness."""

import numpy as np

from . import ask, call, exercise, within

exercise(
    "27.1",
    solution=[-0.42, 0.397],
    wrong={
        (0.42, 0.603): "your p grows, and with it the output. Should the output grow here?",
        (-0.21, 0.448): "your p is half of what it should be. Which power of u, and which step?",
        (-0.42, 0.657): "your p is right. You give eta = exp(p). By which function does beta follow from p?",
        (-0.84, 0.302): "you left out the derivative of the loss. By what is 0.42 still multiplied?",
        (
            0.21,
            0.552,
        ): "your p grows, and your step has the size 1. What does a gradient step do with the sign?",
        (0.08, 0.52): "you stepped from beta = 0.5, not from p = 0. On which number does the step act?",
    },
    equal=within(2e-3),
    otherwise=lambda got, truth: (
        "your p is off. What are the derivative of the output in p, of the loss in p, and the step?"
        if abs(got[0] - truth[0]) > 2e-3
        else "your p is right, your beta is not. Which function of p is beta?"
    ),
    why="The derivative of the output in p is 0.420, as at u = 2. "
    "That of the loss is 0.5 * 0.420 = 0.210. The step of size 2 goes to p = -0.420, "
    "and sig(-0.420) = 0.397.",
)


def p_gradient(u, g, p):
    eta = np.exp(p)
    on = 1 / (1 + np.exp(-eta * u))
    return (g * eta * u**2 * on * (1 - on)).sum(axis=0)


def _gradient_mean(u, g, p):
    return p_gradient(u, g, p) / len(u)


def _gradient_eta(u, g, p):
    return p_gradient(u, g, p) / np.exp(p)


def _gradient_beta(u, g, p):
    """Along beta."""
    eta = np.exp(p)
    return p_gradient(u, g, p) / eta * (1 + eta) ** 2


def _gradient_without_g(u, g, p):
    return p_gradient(u, np.ones_like(g), p)


def _gradient_one_u(u, g, p):
    return p_gradient(u, g / u, p)


def _gradient_beta_for_eta(u, g, p):
    return p_gradient(u, g, np.log(1 / (1 + np.exp(-p))))


def _gradient_p_for_eta(u, g, p):
    on = 1 / (1 + np.exp(-p * u))
    return (g * p * u**2 * on * (1 - on)).sum(axis=0)


def _gradient_of_the_input(u, g, p):
    eta = np.exp(p)
    on = 1 / (1 + np.exp(-eta * u))
    return (g * (on + eta * u * on * (1 - on))).sum(axis=0)


def _gradient_shared(u, g, p):
    """As if all units shared one p."""
    return np.full_like(p, p_gradient(u, g, p).sum())


def _gradient_squared_g(u, g, p):
    return p_gradient(u, g**2, p)


_rng = np.random.default_rng(0)

exercise(
    "27.2",
    solution=p_gradient,
    cases=[
        (_rng.normal(size=(6, 4)), _rng.normal(size=(6, 4)), _rng.normal(size=4)),
        (2 * _rng.normal(size=(5, 3)), _rng.normal(size=(5, 3)), np.zeros(3)),
    ],
    wrong={
        _gradient_mean: "your values are N times too small. Does g know already how the loss averages?",
        _gradient_eta: "you stop at eta. How does eta change when p does?",
        _gradient_beta: "these are derivatives in beta. In which number does the layer learn?",
        _gradient_without_g: "your result does not depend on g. How does the loss change with an output?",
        _gradient_one_u: "one factor u is missing. "
        "One stands before the sigmoid: where does the other come from?",
        _gradient_beta_for_eta: "your eta lies between 0 and 1, as a beta does. What is eta in terms of p?",
        _gradient_p_for_eta: "you use p where eta belongs. What is eta in terms of p?",
        _gradient_of_the_input: "that is how the loss changes with u. Which number moves here?",
        _gradient_shared: "all your units get the same value. Which outputs depend on the p of one unit?",
        _gradient_squared_g: "g enters squared. How often does the chain rule use it?",
    },
    otherwise=lambda got, truth, u, g, p: (
        f"unit 0 should get {truth[0]:.4f} and gets {got[0]:.4f}. "
        "Which factors has the formula, and over which axis is the sum?"
    ),
    why="Each output contributes the derivative of the loss in it, times its derivative in p. "
    "One p serves all N inputs of its unit, so the contributions of a column add up.",
)

exercise(
    "27.3",
    solution=[1, 0, 1, 1, 0, 0],
    wrong={
        (1, 1, 1, 1, 0, 0): "look at network 2. "
        "The outputs are added to z: is there a weight that could be divided?",
        (1, 0, 0, 1, 0, 0): "look at network 3. What stands between the units and the sum?",
        (0, 0, 1, 1, 0, 0): "look at network 1. Does the theorem forbid that units have equal betas?",
        (1, 0, 1, 0, 0, 0): "look at network 4. How many filters and biases belong to one channel?",
        (1, 0, 1, 1, 1, 0): "look at network 5. What is eta at beta = 1?",
        (1, 0, 1, 1, 0, 1): "look at network 6. Which weights come after its last units?",
        (0, 1, 0, 0, 1, 1): "your six answers are exactly reversed. Which number stands for yes?",
        (1, 1, 1, 1, 1, 1): "not all can be folded. In which does a unit lack weights on its output?",
    },
    otherwise=lambda got, truth: (
        f"{int((np.asarray(got) != np.asarray(truth)).sum())} of the six are wrong. "
        "For each unit: which weights come before it, and which multiply its output?"
    ),
    why="1: equal betas are a special case. 2: the outputs are added to z without weights, and the weights "
    "behind the sum multiply z too (condition 2). 3: V takes the division. 4: each channel has its own "
    "filter and bias, and the second convolution takes the division. 5: at beta = 1 there is no finite eta. "
    "6: no weights follow the last units.",
)


def _run(params, betas, x):
    """Logits of a dense network whose soft units have these betas."""
    for (W, b), beta in zip(params[:-1], betas, strict=True):
        u = x @ W.T + b
        x = u / (1 + np.exp(-beta / (1 - beta) * u))
    return x @ params[-1][0].T + params[-1][1]


def _factors(betas, beta):
    return [b / (1 - b) / (beta / (1 - beta)) for b in betas]


@exercise("27.4")
def check_27_4(attempt):
    def flat(*given):
        return [part for pair in attempt(*given) for part in pair]

    rng = np.random.default_rng(3)
    for sizes, beta in (([3, 5, 2], 0.5), ([4, 6, 5, 3], 0.5), ([4, 4, 4, 4], 0.8), ([2, 3, 1], 0.2)):
        params = [(rng.normal(size=(o, i)), rng.normal(size=o)) for i, o in zip(sizes, sizes[1:])]  # noqa: B905
        betas = [rng.uniform(0.2, 0.85, size=o) for o in sizes[1:-1]]
        like = [part for pair in params for part in pair]
        parts = call(
            flat if callable(attempt) else attempt,
            params,
            betas,
            beta,
            shape=[part.shape for part in like],
            like=like,
        )
        new = list(zip(parts[::2], parts[1::2], strict=True))
        (W, b), (W_new, b_new), last, last_new = params[0], new[0], params[-1][0], new[-1][0]
        to_half, wanted = _factors(betas, 0.5), _factors(betas, beta)
        multiplied = W_new / W
        ask(
            beta == 0.5 or not np.allclose(multiplied, to_half[0][:, None]),
            f"your network would be right with all betas 1/2. Which eta do its units have at beta = {beta}?",
        )
        ask(
            np.allclose(multiplied, multiplied[:, :1]),
            "the weights in a row of your first W are multiplied by different numbers. "
            "To how many units does a row belong?",
        )
        ask(
            not np.allclose(multiplied, multiplied[0, 0]),
            "all units of the first layer get the same factor. Do they have the same beta?",
        )
        ask(
            not np.allclose(multiplied, 1 / wanted[0][:, None]),
            "you divide before the units and multiply behind them. Is that right for one unit with eta = 3?",
        )
        ask(
            not np.allclose(multiplied, betas[0][:, None] / beta),
            "your factor is a ratio of betas. Which number multiplies u inside the sigmoid?",
        )
        right_before = np.allclose(multiplied, wanted[0][:, None])
        ask(
            not (right_before and np.allclose(b_new, b)),
            "the weights before the units have their factor, the biases do not. What does eta multiply?",
        )
        ask(
            not (right_before and np.allclose(last_new, last)),
            "what goes into the units is right, but their outputs are scaled now. Where can this be undone?",
        )
        ask(
            not (right_before and np.allclose(last_new, last * wanted[-1])),
            "each output is scaled twice in the same direction. What undoes a multiplication?",
        )
        x, evenly = rng.normal(size=(20, sizes[0])), [np.full_like(b, beta) for b in betas]
        truth, got = _run(params, betas, x), _run(new, evenly, x)
        ask(
            np.allclose(got, truth, rtol=0, atol=1e-9 * max(1, np.abs(truth).max())),
            f"with layers of sizes {sizes} and beta = {beta} the folded network computes something else. "
            "Follow one unit: by what is its pre-activation multiplied, by what its output, "
            "and which weights undo this?",
        )


def select(validation, test):
    best = validation.argmax(axis=0)
    return test[best, np.arange(len(best))]


def _select_by_test(validation, test):
    return test.max(axis=0)


def _select_for_all(validation, test):
    """One step size for all data sets."""
    return test[validation.mean(axis=1).argmax()]


def _select_validation(validation, test):
    return validation.max(axis=0)


def _select_mean(validation, test):
    return test.mean(axis=0)


def _select_lowest(validation, test):
    return test[validation.argmin(axis=0), np.arange(test.shape[1])]


def _select_reversed(validation, test):
    """Chosen by the test accuracies, scored on validation."""
    return validation[test.argmax(axis=0), np.arange(test.shape[1])]


def _select_test_for_all(validation, test):
    return test[test.mean(axis=1).argmax()]


_accuracies = [50 + 3 * _rng.normal(size=(2, T, S)) for T, S in ((3, 6), (4, 5))]
_accuracies[1][0, [0, 2], 1] = 60.0  # a tie: the first counts

exercise(
    "27.5",
    solution=select,
    cases=[tuple(pair) for pair in _accuracies],
    wrong={
        _select_by_test: "you return the highest test accuracy of each data set. May test points choose?",
        _select_for_all: "all your data sets take the same step size. May each have its own?",
        _select_validation: "you return validation accuracies. On which points is an arm judged?",
        _select_mean: "you average over the step sizes. How many of them are chosen on a data set?",
        _select_lowest: "you take the step size with the lowest validation accuracy. Is accuracy a loss?",
        _select_reversed: "you choose on test points and judge on validation. Is that the right way round?",
        _select_test_for_all: "one step size, chosen by test accuracies, serves all your data sets. "
        "Which points may choose?",
    },
    otherwise=lambda got, truth, validation, test: (
        f"on data set {int(np.argmax(~np.isclose(got, truth)))} you return "
        f"{got[np.argmax(~np.isclose(got, truth))]:.2f}. "
        "Which row has this data set's highest validation accuracy?"
    ),
    why="The validation accuracies alone choose the row, one for each data set. "
    "A highest test accuracy would be too good, as chance then helps to choose.",
)


def match(hard, target):
    a = target.std() / hard.std()
    return a, target.mean() - a * hard.mean()


def _match_squares(hard, target):
    return np.sqrt((target**2).mean() / (hard**2).mean()), 0.0


def _match_variances(hard, target):
    a = target.var() / hard.var()
    return a, target.mean() - a * hard.mean()


def _match_without_a(hard, target):
    return target.std() / hard.std(), target.mean() - hard.mean()


def _match_reversed(hard, target):
    return match(target, hard)


def _match_regression(hard, target):
    a = ((hard - hard.mean()) * (target - target.mean())).mean() / hard.var()
    return a, target.mean() - a * hard.mean()


def _match_shift_first(hard, target):
    """a * (hard + c)."""
    a, c = match(hard, target)
    return a, c / a


def _match_mean_only(hard, target):
    return 1.0, target.mean() - hard.mean()


def _match_sign(hard, target):
    a, c = match(hard, target)
    return a, -c


def _match_off(got, truth, hard, target):
    new = got[0] * hard + got[1]
    if got[0] <= 0:
        return f"your a is {got[0]:.3f}. Which sign should it have?"
    if not np.isclose(new.std(), target.std()):
        spreads = f"{new.std():.3f}, the target {target.std():.3f}"
        return f"your outputs have the standard deviation {spreads}. What does a do to it?"
    means = f"{new.mean():.3f}, the target {target.mean():.3f}"
    return f"your outputs have the mean {means}. What is the mean of a * hard?"


_u = _rng.normal(size=400)

exercise(
    "27.6",
    solution=match,
    cases=[
        (np.maximum(_u, 0), _u / (1 + np.exp(-_u))),
        (np.maximum(_u, 0), np.tanh(_u) + 2),
        (np.abs(_u), 3 * _u + 1),
    ],
    wrong={
        _match_squares: "you matched the mean of the squares alone. Which two numbers should agree?",
        _match_variances: "your a is a ratio of variances. What does a do to the standard deviation?",
        _match_without_a: "the standard deviation is right, the mean is not. Which mean has a * hard?",
        _match_reversed: "your outputs match in the other direction. Which of the two is to be changed?",
        _match_regression: "your a makes the outputs as near to the target as possible, point by point. "
        "Is their standard deviation the target's?",
        _match_shift_first: "your c is added before the multiplication. In which order are a and c used?",
        _match_mean_only: "only the mean is right. Which number changes the spread?",
        _match_sign: "the shift goes the wrong way. By how much is the mean of a * hard too large?",
    },
    otherwise=_match_off,
    why="Only a changes the standard deviation, so it is the ratio of the two. "
    "Then c makes up what is missing in the mean.",
)


exercise(
    "27.7",
    solution=[1 / 9, 1, 9],
    wrong={
        (1 / 3, 1, 3): "with these Adam would follow. Does a plain step forget the size of its gradient?",
        (9, 1, 1 / 9): "your weights that are scaled by 1/3 get the longest steps. How far may they move?",
        (3, 1, 1 / 3): "your factors undo the gradient. By which factor must the weight's own step change?",
        (1, 1, 1): "with one step size for all the two networks part. How long is the step of w / 3?",
        (1 / 9, 1, 3): "your first two are right. What did you do at r = 1/3, and what is it at r = 3?",
        (1 / 9, 1 / 9, 9): "the factors of the middle weights cancel. How are these weights scaled?",
        (1 / 27, 1, 27): "you have one factor r too many. How often does r act on a step, and where?",
    },
    equal=within(2e-3),
    otherwise=lambda got, truth: (
        f"number {int(np.abs(np.asarray(got) - np.asarray(truth)).argmax()) + 1} is not right yet. "
        "By what is a gradient multiplied where the weight is multiplied by r, and how far should rw move?"
    ),
    why="Folding multiplies a weight by r and keeps the function. So its gradient is divided by r, "
    "and its step has to be r times as long. "
    "Therefore its step size is multiplied by r for the length, and by r once more for the gradient: "
    "1/9, 1 and 9. Adam divides by the size of the gradients, so there one factor r is enough.",
)
