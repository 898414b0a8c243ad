"""Training: one loop, one rule for the device, one way to draw weights."""

import os
from numbers import Real

import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm

from .arrays import cast, check_generator, check_input, namespace
from .data import moons_and_circles


def device():
    """Where networks run: the environment variable MAD_MAX_DEVICE, ``auto`` (default), ``cpu`` or ``cuda``.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        Another word, or ``cuda`` on a machine without a usable GPU.

    Examples
    --------
    >>> device().type in ("cpu", "cuda")
    True
    """
    wish = os.environ.get("MAD_MAX_DEVICE", "auto")
    if wish not in ("auto", "cpu", "cuda"):
        raise ValueError(f"MAD_MAX_DEVICE must be auto, cpu or cuda, got {wish!r}")
    has_gpu = torch.cuda.is_available()
    if wish == "cuda" and not has_gpu:
        raise ValueError("MAD_MAX_DEVICE is cuda, but torch finds no GPU here; use auto or cpu")
    return torch.device("cuda" if has_gpu and wish != "cpu" else "cpu")


def mlp(sizes, rng, dtype=torch.float64):
    """A multilayer perceptron: dense layers of the given sizes with a ReLU between any two.

    Weights are normal with variance 2 / fan-in (He), biases uniform in -1/2 to 1/2; drawn by NumPy
    on the CPU, so that every device starts alike.

    Parameters
    ----------
    sizes : list of int
        Input dimension, hidden widths, number of outputs.
    rng : numpy Generator
    dtype : torch floating type

    Returns
    -------
    nn.Sequential on the book's device

    Examples
    --------
    >>> model = mlp([2, 45, 4], np.random.default_rng(0))
    >>> model(torch.zeros(1, 2, dtype=torch.float64, device=device())).shape
    torch.Size([1, 4])
    """
    check_generator(rng)
    if len(sizes) < 2 or not all(isinstance(size, (int, np.integer)) and size >= 1 for size in sizes):
        raise ValueError(f"sizes must be two or more whole numbers of at least 1, got {sizes!r}")
    if not dtype.is_floating_point:
        raise TypeError(f"dtype must be a torch floating type, got {dtype}")
    layers = []
    for fan_in, fan_out in zip(sizes, sizes[1:]):  # noqa: B905
        with torch.random.fork_rng(devices=[]), torch.no_grad():  # torch's own draw leaves no trace
            linear = nn.Linear(fan_in, fan_out, dtype=dtype)
            linear.weight.copy_(torch.from_numpy(rng.normal(0, (2 / fan_in) ** 0.5, (fan_out, fan_in))))
            linear.bias.copy_(torch.from_numpy(rng.uniform(-0.5, 0.5, fan_out)))
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1]).to(device())


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
        Draws the order of the points anew for every pass.
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
    >>> rng = np.random.default_rng(0)
    >>> x, y = moons_and_circles(200, rng)
    >>> losses = fit(mlp([2, 16, 4], rng), x, y, epochs=20, rng=rng)
    >>> bool(losses[-1] < losses[0])
    True
    """
    check_generator(rng)
    for name, count in {"epochs": epochs, "batch": batch}.items():
        if not isinstance(count, (int, np.integer)) or count < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {count!r}")
    if not isinstance(lr, Real) or not 0.0 < lr < float("inf"):
        raise ValueError(f"lr must be a positive number, got {lr!r}")
    x, y = _checked(model, x, y)
    adam = torch.optim.Adam(model.parameters(), lr=lr)
    model.train()
    losses = []
    if on_step:
        on_step(0)
    for _ in tqdm(range(epochs), desc="training", unit="epoch", leave=False):
        for rows in torch.from_numpy(rng.permutation(len(x))).to(y.device).split(batch):
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            if not loss.isfinite():
                step = len(losses) + 1
                raise FloatingPointError(f"the loss became {loss.item()} at step {step}; is lr={lr} too big?")
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses.append(loss.detach())
            if on_step:
                on_step(len(losses))
    model.eval()
    return torch.stack(losses).cpu().numpy()


def _checked(model, x, y):
    """Inputs and labels as tensors of the model's dtype and device, if they fit the model and each other."""
    parameter = next(model.parameters(), None)
    if parameter is None:
        raise ValueError("model must have parameters to train, got none")
    namespace(x=x)
    namespace(y=y)
    x, y = torch.as_tensor(x), torch.as_tensor(y)
    x = cast(check_input(x, parameter, "N", *x.shape[1:]), parameter)
    if y.shape != x.shape[:1]:
        raise ValueError(f"y must have shape ({len(x)},), a label for each point of x, got {tuple(y.shape)}")
    if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
        raise TypeError(f"y must hold integer labels, got {y.dtype}")
    y = y.long()
    try:
        with torch.no_grad():
            C = model.eval()(x[:1]).shape[1]
    except (RuntimeError, IndexError) as error:
        raise ValueError(f"model must map x, {tuple(x.shape)}, to (N, C) logits, got: {error}") from error
    if y.min() < 0 or y.max() >= C:
        raise ValueError(f"y must hold labels from 0 to {C - 1}, got {y.min()} to {y.max()}")
    return x, y.to(parameter.device)


def toy_network(on_step=None):
    """The book's 2-D network, 2-45-45-4 with ReLUs, trained on moons and circles in a few seconds.

    Parameters
    ----------
    on_step : function ``on_step(step, model)``, optional
        Called before the first step and after every step.

    Returns
    -------
    model, x (400, 2), y (400,)

    Examples
    --------
    >>> model, x, y = toy_network()
    >>> predicted = model(torch.from_numpy(x).to(device())).argmax(1).cpu().numpy()
    >>> float((predicted == y).mean())
    1.0
    """
    rng = np.random.default_rng(1810)
    x, y = moons_and_circles(400, rng)
    model = mlp([2, 45, 45, 4], rng)
    fit(model, x, y, epochs=80, rng=rng, lr=3e-3, on_step=on_step and (lambda step: on_step(step, model)))
    return model, x, y
