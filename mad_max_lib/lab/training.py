"""Training one network, or many side by side."""

import copy
from contextlib import contextmanager
from functools import partial
from numbers import Real
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.optim.adam import adam
from tqdm.auto import tqdm

from ..checks import array_namespace, cast, check_count, check_generator, check_input, widen
from ..tracing.networks import copied


def fit(model, x, y, epochs, rng, batch=50, lr=1e-3, on_step=None):
    """Train a classifier with Adam on the cross-entropy, with a progress bar.

    Parameters
    ----------
    model : nn.Module
        Maps (N, ...) inputs to (N, C) logits; trained in place.
    x, y : NumPy arrays
        Inputs, and integer labels; moved to the model's dtype and device.
    epochs : int
        Passes over the data.
    rng : numpy Generator
        Draws the order of the points anew for every pass; dropout follows from it, too.
    batch : int
    lr : float
        Adam's step size.
    on_step : function ``on_step(step)``, optional
        Called before the first step with 0 and after every step with its number.

    Returns
    -------
    (steps,) array, the loss of every step

    Raises
    ------
    FloatingPointError
        The loss became NaN or infinite: training stops instead of going on in silence.

    Examples
    --------
    >>> import mad_max_lib as mm
    >>> rng = np.random.default_rng(0)
    >>> x, y = mm.data.moons_and_circles(200, rng)
    >>> losses = fit(mm.mlp([2, 16, 4], rng), x, y, epochs=20, rng=rng)
    >>> bool(losses[-1] < losses[0])
    True

    Used from chapter 04 on.
    """
    epochs, batch = _check_run([rng], epochs, batch, lr)
    x, y = _checked(model, x, y)
    optimizer = _Adam(model.parameters(), lr)
    model.train()
    losses, on_step = [], on_step or (lambda step: None)
    on_step(0)
    for _ in tqdm(range(epochs), desc="training", unit="epoch", leave=False):
        with _chance([rng], y.device):
            for rows in torch.from_numpy(rng.permutation(len(x))).to(y.device).split(batch):
                loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
                if not loss.isfinite():
                    when = f"at step {len(losses) + 1}"
                    raise FloatingPointError(f"the loss became {loss.item()} {when}; is lr={lr} too big?")
                optimizer.step(loss)
                losses.append(loss.detach())
                on_step(len(losses))
    model.eval()
    return widen(torch.stack(losses)).cpu().numpy()


@contextmanager
def _chance(rngs, device):
    """Torch's own draws, as of dropout, follow from the generators; all go on afterwards as if not used."""
    seeds = np.random.SeedSequence([int(copy.deepcopy(rng).integers(2**63)) for rng in rngs])
    gpus = range(torch.cuda.device_count()) if device.type == "cuda" else ()
    with torch.random.fork_rng(gpus):
        (torch if gpus else torch.default_generator).manual_seed(int(seeds.generate_state(1)[0]))
        yield


class _Adam:
    """torch's Adam in its functional form: the class would load torch's compiler, 70 MB more."""

    def __init__(self, weights, lr):
        self.weights, self.lr = [weight for weight in weights if weight.requires_grad], lr
        self.means, self.squares = ([torch.zeros_like(weight) for weight in self.weights] for _ in range(2))
        self.steps = [torch.zeros(()) for _ in self.weights]

    def step(self, loss):
        gradients = torch.autograd.grad(loss, self.weights, allow_unused=True)
        used = [i for i, gradient in enumerate(gradients) if gradient is not None]
        state = (self.weights, gradients, self.means, self.squares, self.steps)
        weights, gradients, means, squares, steps = ([part[i] for i in used] for part in state)
        with torch.no_grad():
            adam(weights, gradients, means, squares, [], steps, lr=self.lr, beta1=0.9, beta2=0.999, eps=1e-8,
                 weight_decay=0.0, amsgrad=False, maximize=False)  # fmt: skip


def _check_run(rngs, epochs, batch, lr):
    """Return epochs and batch as ints; raise unless a training run can be made with these."""
    for rng in rngs:
        check_generator(rng)
    if not isinstance(lr, Real) or not 0.0 < lr < float("inf"):
        raise ValueError(f"lr must be a positive number, got {lr!r}")
    return check_count("epochs", epochs), check_count("batch", batch)


def _checked(model, x, y):
    """Inputs and labels as tensors of the model's dtype and device, if they fit the model and each other."""
    parameter = next(model.parameters(), None)
    if not any(weight.requires_grad for weight in model.parameters()):
        raise ValueError("model must have parameters to train, got none")
    if parameter.dtype == torch.float16:
        raise TypeError("model must not be of float16, in which Adam divides by zero; train it in float32")
    array_namespace(x=x)
    array_namespace(y=y)
    x, y = torch.as_tensor(x), torch.as_tensor(y)
    x = cast(check_input(x, parameter, "N", *x.shape[1:]), parameter)
    if y.shape != x.shape[:1]:
        raise ValueError(f"y must have shape ({len(x)},), a label for each point of x, got {tuple(y.shape)}")
    if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
        raise TypeError(f"y must hold integer labels, got {y.dtype}")
    y = y.long()
    try:
        _, C = model.eval()(x[:2]).shape  # batch norm without statistics needs two points
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"model must map x, {tuple(x.shape)}, to (N, C) logits, got: {error}") from error
    if y.min() < 0 or y.max() >= C:
        raise ValueError(f"y must hold labels from 0 to {C - 1}, got {y.min()} to {y.max()}")
    return x, y.to(parameter.device)


class Accuracies(NamedTuple):
    """Share of right answers in percent after every epoch, for S networks: two (S, epochs) arrays."""

    train: np.ndarray
    test: np.ndarray


def fit_many(models, data, epochs, rngs, batch=50, lr=1e-3, penalty=None, after_step=None):
    """Train S networks of one architecture side by side, as one network whose weights have one axis more.

    Each network sees its own data in its own order, exactly as `fit` would show them to it alone.

    Parameters
    ----------
    models : list of S nn.Modules
        Alike but for their weights; trained in place.
    data : list of S Data
        Of equal sizes. Training labels may be wrong on purpose; the test sets only measure.
    epochs : int
    rngs : list of S numpy Generators
        Each draws the order of its network's points; dropout follows from all, drawn for each network.
    batch : int
    lr : float
        Adam's step size.
    penalty : function ``penalty(weights, x, logits)``, optional
        One number to add to the loss, the sum over the networks. `weights` maps the name of each parameter
        to its S copies, (S, ...); x is (S, batch, ...), logits (S, batch, C).
    after_step : function ``after_step(weights)``, optional
        Called after every step, without gradients; may change the weights in place.

    Returns
    -------
    Accuracies

    Raises
    ------
    FloatingPointError
        A loss became NaN or infinite.

    Examples
    --------
    >>> import mad_max_lib as mm
    >>> rngs = [np.random.default_rng(seed) for seed in range(3)]
    >>> data = [mm.data.digits(rng, n_train=100) for rng in rngs]
    >>> scores = fit_many([mm.mlp([64, 32, 10], rng) for rng in rngs], data, epochs=20, rngs=rngs, lr=1e-2)
    >>> scores.test.shape, bool((scores.test[:, -1] > 60).all())
    ((3, 20), True)

    Used from chapter 13 on.
    """
    S = len(models)
    if S < 1 or len(data) != S or len(rngs) != S:
        lengths = f"{S}, {len(data)}, {len(rngs)}"
        raise ValueError(f"models, data and rngs must be lists of one length, got {lengths}")
    epochs, batch = _check_run(rngs, epochs, batch, lr)
    if len({tuple(np.shape(part) for part in parts) for parts in data}) > 1:
        raise ValueError("data must have the same sizes for all networks")
    checked = [(*_checked(m, *d[:2]), *_checked(m, *d[2:])) for m, d in zip(models, data, strict=True)]
    x, y, x_test, y_test = map(torch.stack, zip(*checked, strict=True))
    kinds = {(type(m), repr(m), *((w.shape, w.requires_grad) for w in m.parameters())) for m in models}
    if len(kinds) > 1 or len(set(map(id, models))) < S:
        raise ValueError("models must be S networks of one architecture; they differ, or are the same")
    weights, buffers = state = torch.func.stack_module_state(models)
    network = copied(models[0], x.dtype).train()
    side_by_side = torch.func.vmap(partial(torch.func.functional_call, network), randomness="different")
    try:
        with torch.no_grad(), _chance(rngs, y.device):
            side_by_side((weights, {name: b.clone() for name, b in buffers.items()}), x[:, :batch])
    except RuntimeError:  # vmap does not know all layers
        side_by_side = partial(_one_by_one, network)
    optimizer = _Adam(weights.values(), lr)
    each, right = torch.arange(S, device=y.device)[:, None], {"train": [], "test": []}
    for epoch in tqdm(range(epochs), desc=f"training {S} networks", unit="epoch", leave=False):
        network.train()
        with _chance(rngs, y.device):
            orders = torch.from_numpy(np.stack([rng.permutation(x.shape[1]) for rng in rngs])).to(y.device)
            for rows in orders.split(batch, dim=1):
                x_rows, y_rows = x[each, rows].requires_grad_(penalty is not None), y[each, rows]
                logits = side_by_side(state, x_rows)
                loss = S * nn.functional.cross_entropy(logits.flatten(0, 1), y_rows.flatten())
                if penalty:
                    loss = loss + penalty(weights, x_rows, logits)
                if not loss.isfinite():
                    when = f"in epoch {epoch + 1}"
                    raise FloatingPointError(f"the loss became {loss.item()} {when}; is lr={lr} too big?")
                optimizer.step(loss)
                if after_step:
                    torch.no_grad()(after_step)(weights)
        network.eval()
        for name, points, labels in (("train", x, y), ("test", x_test, y_test)):
            with torch.no_grad():  # in parts: a thousand images of many networks fill the memory
                parts = points.chunk(1 + points.shape[1] // 200, dim=1)
                guesses = [side_by_side(state, part).argmax(2) for part in parts]
            right[name].append(100 * (torch.cat(guesses, 1) == labels).double().mean(1).cpu().numpy())
    for s, model in enumerate(models):
        with torch.no_grad():
            for name, values in [*model.named_parameters(), *model.named_buffers()]:
                values.copy_((weights | buffers)[name][s])
    return Accuracies(*(np.stack(right[name], 1) for name in ("train", "test")))


def _one_by_one(network, state, x):
    """What ``torch.func.vmap`` gives, by a loop over the first axis of the state's tensors and of x."""
    each = [tuple({name: v[s] for name, v in part.items()} for part in state) for s in range(len(x))]
    return torch.stack([torch.func.functional_call(network, *call) for call in zip(each, x, strict=True)])
