"""Chapter 04, a deep network from scratch."""

from itertools import pairwise

import numpy as np

from . import Wrong, ask, call, exercise, value

exercise(
    "4.1",
    solution=np.array([[0.0, 0.0], [2.0, -4.0]]),
    wrong={
        ((-1.0, 2.0), (2.0, -4.0)): "your first row is not zero. Which values does u take at this point?",
        ((0.0, 2.0), (0.0, -4.0)): "which index of W^(1) belongs to the unit, and which to the input?",
        ((0.0, 0.0), (-2.0, 4.0)): "with your signs the loss falls where it rises. "
        "What is the derivative of half the squared error with respect to f?",
        ((0.0, 0.0), (-1.0, 2.0)): "what does the derivative meet on its way from f to z?",
        ((0.0, 0.0), (0.0, 0.0)): "with y = -5/2, is the error at this point zero?",
    },
    otherwise=lambda got, truth: (
        f"row {np.argwhere(got != truth)[0][0] + 1} is off. "
        "What is the derivative at that unit's u, and by what is it multiplied for each input?"
    ),
    why="u = (-1, 2), z = (0, 2), f = -7/2, so the derivative is f - y = -1 at f, (-1, 2) at z, and "
    "(0, 2) at u, "
    "since the first gate is 0. The rows of the matrix are 0 and 2 times x.",
)


def _random_network(rng, *sizes):
    return [(rng.normal(size=(o, i)), rng.normal(size=o)) for i, o in pairwise(sizes)]


def forward(params, x):
    z = [x]
    for W, b in params[:-1]:
        z.append(np.maximum(z[-1] @ W.T + b, 0))
    W, b = params[-1]
    return [*z, z[-1] @ W.T + b]


def _forward_relu_last(params, x):
    z = forward(params, x)
    return [*z[:-1], np.maximum(z[-1], 0)]


def _forward_no_relu(params, x):
    z = [x]
    for W, b in params:
        z.append(z[-1] @ W.T + b)
    return z


def _forward_no_bias(params, x):
    return forward([(W, 0 * b) for W, b in params], x)


def _forward_pre_activations(params, x):
    z = forward(params, x)
    return [x, *(before @ W.T + b for (W, b), before in zip(params, z, strict=False))]


def _forward_leaky(params, x):
    z = [x]
    for W, b in params[:-1]:
        u = z[-1] @ W.T + b
        z.append(np.where(u > 0, u, 0.01 * u))
    return [*z, z[-1] @ params[-1][0].T + params[-1][1]]


def _first_wrong_array(got, truth, params, x):
    first = next(i for i, (a, b) in enumerate(zip(got, truth, strict=True)) if not np.allclose(a, b))
    if first == 0:
        return "your list should begin with the input itself. What is its first array?"
    kind = "the outputs are" if first == len(params) else f"array {first}, counted from 0, is"
    return f"{kind} off, and what stands before in the list is right. What does this layer do to its input?"


_rng = np.random.default_rng(4)
_networks = [
    _random_network(_rng, 3, 5, 4, 2),
    _random_network(_rng, 3, 3, 3, 3),
    _random_network(_rng, 2, 1),
]
_points = [_rng.normal(size=(6, 3)), _rng.normal(size=(4, 3)), _rng.normal(size=(1, 2))]
exercise(
    "4.2",
    solution=forward,
    cases=list(zip(_networks, _points, strict=True)),
    wrong={
        _forward_relu_last: "none of your outputs is negative. Which layers have ReLUs behind them?",
        _forward_no_relu: "with your version the network is one affine map. What is missing between "
        "two layers?",
        _forward_no_bias: "at x = 0 your version returns zeros only. Which part of each pair has no effect?",
        _forward_pre_activations: "the outputs are right, but a hidden layer's array has negative entries. "
        "Does it hold what the ReLUs receive or what they return?",
        _forward_leaky: "a hidden layer's array has small negative entries. What does a ReLU return "
        "below zero?",
    },
    otherwise=_first_wrong_array,
)


def loss_gradient(logits, y):
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(y)), y] -= 1
    return p / len(y)


def _gradient_of_sum(logits, y):
    return loss_gradient(logits, y) * len(y)


def _gradient_sign(logits, y):
    return -loss_gradient(logits, y)


def _gradient_no_target(logits, y):
    return (loss_gradient(logits, y) * len(y) + np.eye(logits.shape[1])[y]) / len(y)


def _softmax_gradient(e, y):
    return (e / e.sum(axis=1, keepdims=True) - np.eye(e.shape[1])[y]) / len(y)


def _gradient_no_shift(logits, y):
    return _softmax_gradient(np.exp(logits), y)


def _gradient_clipped(logits, y):
    return _softmax_gradient(np.exp(np.clip(logits, -50, 50)), y)


def _gradient_global_shift(logits, y):
    return _softmax_gradient(np.exp(logits - logits.max()), y)


def _gradient_global_shift_guarded(logits, y):
    e = np.exp(logits - logits.max())
    return (e / (e.sum(axis=1, keepdims=True) + 1e-12) - np.eye(e.shape[1])[y]) / len(y)


def _gradient_by_minimum(logits, y):
    return _softmax_gradient(np.exp(logits - logits.min(axis=1, keepdims=True)), y)


def _gradient_by_mean(logits, y):
    return _softmax_gradient(np.exp(logits - logits.mean(axis=1, keepdims=True)), y)


def _gradient_by_size(logits, y):
    return _softmax_gradient(np.exp(logits - np.abs(logits).max(axis=1, keepdims=True)), y)


def _which_entry(got, truth, logits, y):
    n, c = np.argwhere(~np.isclose(got, truth))[0]
    return (
        f"for the logits {logits[n]} and the true class {y[n]}, entry {c} is off: yours is {got[n, c]:.4f}. "
        "What do finite differences give there?"
    )


_beside_small, _beside_large = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1000.0, 999.0], [0.0, 1.0]])


def _spoiled(got, *_):
    return (
        "your derivative for the logits (0, 1) is right beside a point with (1, 0); beside one with "
        f"(1000, 999) it becomes {got[1]}. Which numbers may one row learn of another?"
    )


_rng = np.random.default_rng(0)


@exercise(
    "4.3",
    solution=loss_gradient,
    cases=[
        (3 * _rng.normal(size=(6, 4)), _rng.integers(4, size=6)),
        (_beside_large, np.array([0, 0])),
        (np.array([[1000.0, 0.0, 0.0, 0.0]]), np.array([1])),
        (np.array([[1000.0, 1000.0, 1000.0, 0.0]]), np.array([1])),
        (np.array([[-1000.0, -1001.0]]), np.array([0])),
    ],
    wrong={
        _gradient_of_sum: "your derivative is 6 times too large for 6 points. "
        "How does the loss put the points together?",
        _gradient_sign: "your derivative has the wrong sign. "
        "Should the loss fall or rise when the true logit grows?",
        _gradient_no_target: "one number added to all logits of a row changes no probability, "
        "so what should the sum of a row of derivatives be?",
        _gradient_no_shift: "logits of 1000 and 999 overflow. "
        "What may be subtracted from all logits without any effect?",
        _gradient_clipped: "logits of 1000 and 999 become equal in your version. "
        "Which operation on both would keep their difference?",
        _gradient_global_shift: _spoiled,
        _gradient_global_shift_guarded: _spoiled,
        _gradient_by_minimum: "the logits (1000, 0, 0, 0) still overflow. "
        "How large is the largest entry of the row after what you subtract?",
        _gradient_by_mean: "the logits (1000, 0, 0, 0) still overflow: after your subtraction 750 is left of "
        "the 1000. Which numbers may the exponential receive?",
        _gradient_by_size: "at the logits (-1000, -1001) all your exponentials are 0. "
        "What does the exponential receive there?",
    },
    otherwise=_which_entry,
)
def check_4_3(attempt):
    y = np.array([0, 0])
    alone, beside = (
        call(attempt, logits, y, shape=(2, 2), like=logits, may_be_nan=True)
        for logits in (_beside_small, _beside_large)
    )
    if np.allclose(alone, loss_gradient(_beside_small, y)):
        ask(np.allclose(alone[1], beside[1]), _spoiled(beside))


def backward(params, z, g):
    collected = []
    for layer in reversed(range(len(params))):
        W, _ = params[layer]
        collected = [g.T @ z[layer], g.sum(axis=0), *collected]
        if layer > 0:
            g = (g @ W) * (z[layer] > 0)
    return collected


def _ungated(params, z, g):
    collected = []
    for layer in reversed(range(len(params))):
        collected = [g.T @ z[layer], g.sum(axis=0), *collected]
        g = g @ params[layer][0]
    return collected


def _backward_by_values(params, z, g):
    collected = []
    for layer in reversed(range(len(params))):
        collected = [g.T @ z[layer], g.sum(axis=0), *collected]
        g = (g @ params[layer][0]) * z[layer]
    return collected


def _backward_bias_mean(params, z, g):
    return [part / len(g) if part.ndim == 1 else part for part in backward(params, z, g)]


def _backward_gates_at_the_logits(params, z, g):
    return backward(params, z, g * (z[-1] > 0))


def _backward_divided_again(params, z, g):
    return [part / len(g) for part in backward(params, z, g)]


def _backward_layers_reversed(params, z, g):
    parts = backward(params, z, g)
    return [part for pair in zip(parts[-2::-2], parts[::-2], strict=True) for part in pair]


def _backward_all_reversed(params, z, g):
    return backward(params, z, g)[::-1]


def _backward_pairs(params, z, g):
    parts = backward(params, z, g)
    return list(zip(parts[::2], parts[1::2], strict=True))


def _backward_moved_on(params, z, g):
    collected = []
    for layer in reversed(range(len(params))):
        if layer > 0:
            g = (g @ params[layer][0]) * (z[layer] > 0)
        collected = [g.T @ z[layer], g.sum(axis=0), *collected]
    return collected


def _ask_for_list(attempt, params, *arguments):
    """Questions about the list [dW1, db1, ...]: its form, its order, the shape of each entry."""
    flat, kept = [w for pair in params for w in pair], []

    def keeping(*copies):
        kept.append(attempt(*copies))
        return 0.0

    call(keeping if callable(attempt) else attempt, params, *arguments, shape=(), like=0.0)
    answer = kept[0]
    if isinstance(answer, (list, tuple)) and len(answer) != len(flat):
        nested = bool(answer) and all(isinstance(part, (list, tuple)) for part in answer)
        ask(
            not nested,
            f"the {len(answer)} entries of what you return are lists or tuples themselves. {_FORM}",
        )
    got = call(attempt, params, *arguments, shape=[None] * len(flat), like=flat, may_be_nan=True)
    reordered = sorted(part.shape for part in got) == sorted(w.shape for w in flat)
    for i, (part, weight) in enumerate(zip(got, flat, strict=True)):
        name = f"{'Wb'[i % 2]} of layer {i // 2 + 1}"
        at = f"entry {i} of your list, counted from 0, is asked to be d{name}, of the shape {weight.shape}"
        off = f"{at}, and has {part.shape}"
        ask(not reordered or part.shape == weight.shape, f"{off}. {_ORDER}")
        try:
            value(part, weight.shape)
        except Wrong as question:
            told = str(question)
            raise Wrong(f"{off}. {_WHOSE_G}" if "Which axis is off" in told else f"d{name}: {told}") from None


_FORM = "In which form does the task ask for the derivatives?"
_ORDER = "In which order do the layers and their W and b stand in the list that is asked for?"
_WHOSE_G = "Which g and which z is it made of, and do they belong to this layer?"


def _first_wrong_derivative(got, truth, params, z, g):
    last = max(i for i, (a, b) in enumerate(zip(got, truth, strict=True)) if not np.allclose(a, b))
    name = f"{'Wb'[last % 2]} of layer {last // 2 + 1}"
    if last >= len(truth) - 2:
        return f"the derivative for {name}, the last layer, is off. What do its inputs and g say about it?"
    return (
        f"behind layer {last // 2 + 1} all is right, the derivative for {name} is off. What has g met there?"
    )


_rng = np.random.default_rng(5)


@exercise(
    "4.4",
    solution=backward,
    cases=[
        (params, forward(params, x), _rng.normal(size=(len(x), len(params[-1][1]))))
        for params, x in zip(_networks, _points, strict=True)
    ],
    wrong={
        _ungated: "the last layer is right, and below it your derivatives are those of a network "
        "without ReLUs. "
        "What does a ReLU that returned 0 do to g?",
        _backward_by_values: "the last layer is right. Below it, does a ReLU's derivative depend on "
        "how large u is?",
        _backward_bias_mean: "the derivatives for W are right. "
        "For b yours are 6 times too small with 6 points. How do the points' shares add up?",
        _backward_gates_at_the_logits: "the derivative for the last b is off already. "
        "Does it matter here whether a logit is positive?",
        _backward_divided_again: "all derivatives are 6 times too small with 6 points. "
        "Whose task is the mean, that of g or that of this function?",
        _backward_layers_reversed: _ORDER,
        _backward_all_reversed: _ORDER,
        _backward_pairs: _FORM,
        _backward_moved_on: _WHOSE_G,
    },
    otherwise=_first_wrong_derivative,
)
def check_4_4(attempt):
    z = forward(_networks[0], _points[0])
    _ask_for_list(attempt, _networks[0], z, np.ones_like(z[-1]))


def adam_step(w, g, m, v, step, lr):
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * g**2
    m_hat, v_hat = m / (1 - 0.9**step), v / (1 - 0.999**step)
    return w - lr * m_hat / (np.sqrt(v_hat) + 1e-8), m, v


def _adam_uncorrected(w, g, m, v, step, lr):
    return adam_step(w, g, m, v, 10**6, lr)


def _adam_keeps_corrected(w, g, m, v, step, lr):
    w, m, v = adam_step(w, g, m, v, step, lr)
    return w, m / (1 - 0.9**step), v / (1 - 0.999**step)


def _adam_old_means(w, g, m, v, step, lr):
    return adam_step(w, g, m, v, step, lr)[0], m, v


def _adam_no_root(w, g, m, v, step, lr):
    _, m, v = adam_step(w, g, m, v, step, lr)
    return w - lr * (m / (1 - 0.9**step)) / (v / (1 - 0.999**step) + 1e-8), m, v


def _adam_inside_the_root(w, g, m, v, step, lr):
    _, m, v = adam_step(w, g, m, v, step, lr)
    return w - lr * (m / (1 - 0.9**step)) / np.sqrt(v / (1 - 0.999**step) + 1e-8), m, v


def _adam_climbs(w, g, m, v, step, lr):
    new, m, v = adam_step(w, g, m, v, step, lr)
    return 2 * w - new, m, v


def _adam_counts_from_zero(w, g, m, v, step, lr):
    return adam_step(w, g, m, v, step - 1, lr)


def _adam_by_g(w, g, m, v, step, lr):
    _, m, v = adam_step(w, g, m, v, step, lr)
    return w - lr * g / (np.sqrt(v / (1 - 0.999**step)) + 1e-8), m, v


def _adam_by(w, m, v, lr, divisor_m, divisor_v):
    return w - lr * m / divisor_m / (np.sqrt(v / divisor_v) + 1e-8)


def _adam_old_in_the_step(w, g, m, v, step, lr):
    _, new_m, new_v = adam_step(w, g, m, v, step, lr)
    return _adam_by(w, m, v, lr, 1 - 0.9**step, 1 - 0.999**step), new_m, new_v


def _adam_counts_one_more(w, g, m, v, step, lr):
    return adam_step(w, g, m, v, step + 1, lr)


def _adam_product_for_power(w, g, m, v, step, lr):
    _, m, v = adam_step(w, g, m, v, step, lr)
    return _adam_by(w, m, v, lr, 1 - 0.9 * step, 1 - 0.999 * step), m, v


def _adam_no_power(w, g, m, v, step, lr):
    _, m, v = adam_step(w, g, m, v, step, lr)
    return _adam_by(w, m, v, lr, 1 - 0.9, 1 - 0.999), m, v


def _which_part(got, truth, w, g, m, v, step, lr):
    if not np.allclose(got[1], truth[1]) or not np.allclose(got[2], truth[2]):
        return (
            f"in step {step} your running mean {'m' if not np.allclose(got[1], truth[1]) else 'v'} is off. "
            "What does its formula say, with which numbers?"
        )
    return (
        f"in step {step} m and v are right and w is off. "
        "Which m-hat and v-hat do they give you by hand, and where does the number of the step enter?"
    )


_rng = np.random.default_rng(6)
_w, _g, _m = _rng.normal(size=(3, 3, 2))
exercise(
    "4.5",
    solution=adam_step,
    cases=[
        (_w, _g, 0 * _w, 0 * _w, 1, 0.01),
        (_w, _g, _m, _rng.random((3, 2)), 7, 0.01),
        (_w, 1e-8 * np.sign(_g), 0 * _w, 0 * _w, 1, 0.01),
    ],
    wrong={
        _adam_uncorrected: "in the first step your weights move by about three times lr. "
        "m and v began at zero: does your step account for that?",
        _adam_keeps_corrected: "the weights are right, m and v are not. Which means does the next "
        "step start from?",
        _adam_old_means: "the weights are right, but m and v come back as they came in. "
        "What will the next step know of this derivative?",
        _adam_no_root: "with derivatives twice as large your first step is half as long. "
        "In which power of g is v measured, and in which one m?",
        _adam_inside_the_root: "for derivatives near 1e-8 your step is far too short, and else it "
        "is nearly right. "
        "What does the formula add 1e-8 to?",
        _adam_climbs: "your weights move the other way. In which direction does the loss fall?",
        _adam_counts_from_zero: "in the first step you divide by zero. Which number does `step` begin with?",
        _adam_old_in_the_step: "m and v come back right, but your weights do not move in the first step. "
        "Of which m and v are your m-hat and v-hat made?",
        _adam_counts_one_more: "m and v are right, but the first step is 0.74 lr long. "
        "Which m-hat and v-hat does g = 3 give you in step 1?",
        _adam_product_for_power: "the first step is right, and in step 7 your version takes the root of a "
        "negative number. Which sign do your two divisors have there?",
        _adam_no_power: "the first step is right, and in step 7 m and v are right and w is off. "
        "Does your correction become weaker from step to step?",
        _adam_by_g: "the first step is right, later ones are not. What stands in the numerator "
        "besides this g?",
    },
    otherwise=_which_part,
)


def _skip_logits(params, x):
    W, b = params[0]
    z = np.maximum(x @ W.T + b, 0)
    for W, b in params[1:-1]:
        z = z + np.maximum(z @ W.T + b, 0)
    return z @ params[-1][0].T + params[-1][1]


def _skip_loss(params, x, y):
    logits = _skip_logits(params, x)
    logits = logits - logits.max(axis=1, keepdims=True)
    return np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(y)), y])


@exercise("4.6")
def check_4_6(attempt):
    rng = np.random.default_rng(7)
    for sizes in ((3, 4, 2), (3, 4, 4, 2), (2, 5, 5, 5, 3)):
        params = [(W / 2, b / 2) for W, b in _random_network(rng, *sizes)]
        x, y = rng.normal(size=(8, sizes[0])), rng.integers(sizes[-1], size=8)
        flat = [w for pair in params for w in pair]
        _ask_for_list(attempt, params, x, y)
        got = call(attempt, params, x, y, shape=[w.shape for w in flat], like=flat)
        for i in reversed(range(len(flat))):
            slopes = np.zeros_like(flat[i])
            for place in np.ndindex(slopes.shape):
                sides = []
                for nudge in (1e-6, -1e-6):
                    moved = [w.copy() for w in flat]
                    moved[i][place] += nudge
                    sides.append(_skip_loss(list(zip(moved[::2], moved[1::2], strict=True)), x, y))
                slopes[place] = (sides[0] - sides[1]) / 2e-6
            worst = np.unravel_index(np.abs(got[i] - slopes).argmax(), slopes.shape)
            name = f"{'Wb'[i % 2]} of layer {i // 2 + 1} of {len(params)}, entry {tuple(map(int, worst))}"
            where = (
                f"for {name}, finite differences give {slopes[worst]:.5f} "
                f"and your version {got[i][worst]:.5f}"
            )
            question = (
                "Does your forward pass have the skips, and is the loss a mean?"
                if i >= len(flat) - 2
                else "What reaches this layer from behind, on which ways, and which gates does each way pass?"
            )
            ask(np.allclose(got[i], slopes, rtol=1e-5, atol=1e-7), f"{where}. {question}")


_CLUES = [
    "what happened to its loss, and how many units are alive?",
    "how does its score on training points compare with that on held-out points?",
    "how many units are alive in its emptier layer?",
]


def _first_wrong_run(got, truth):
    first = int(np.argmax(got != truth))
    return f"look at run {'ABC'[first]} again: {_CLUES[first]}"


exercise(
    "4.7",
    solution=[3, 1, 2],
    wrong={
        (
            2,
            1,
            3,
        ): "B is right. Which of A and C has a layer without living units, and how does that come about?",
        (4, 1, 2): "B and C are right. What would A's first loss be if its first weights were too large?",
        (3, 4, 2): "A and C are right. B fits its training points, so what differs on held-out points?",
        (3, 1, 4): "A and B are right. How far is C's first loss from log 10?",
        (0, 2, 1): "three of the numbers 1 to 4 are wanted. From which number on are the causes counted?",
    },
    otherwise=_first_wrong_run,
    why="A's loss hardly falls though its units are alive: its step size was 0.00001. B is right at all of "
    "its training images, 20 of them, and at 60 % of the held-out ones. In C a layer has no living "
    "unit: its step size was 1. All first losses are near log 10, so no first weights were too large.",
)
