"""The book's networks, with weights drawn by NumPy so that every device starts alike, and where they run."""

import os

import numpy as np
import torch
from torch import nn

from ..checks import check_count, check_generator
from .data import moons_and_circles
from .training import fit


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

    Used from chapter 00 on.
    """
    wish = os.environ.get("MAD_MAX_DEVICE", "auto")
    if wish not in ("auto", "cpu", "cuda"):
        raise ValueError(f"MAD_MAX_DEVICE must be auto, cpu or cuda, got {wish!r}")
    has_gpu = torch.cuda.is_available()
    if wish == "cuda" and not has_gpu:
        raise ValueError("MAD_MAX_DEVICE is cuda, but torch finds no GPU here; use auto or cpu")
    return torch.device("cuda" if has_gpu and wish != "cpu" else "cpu")


def draw_weights(network, rng, dtype=torch.float64):
    """Draw a network's weights anew: normal with variance 2 / fan-in (He), biases zero.

    Only parameters with two or more axes are drawn, and each one with "bias" in its name becomes zero. So the
    scales of a batch normalization stay as they are, and its stored means and variances too.

    Parameters
    ----------
    network : nn.Module
        Changed in place.
    rng : numpy Generator
    dtype : torch floating type

    Returns
    -------
    the network, on the book's device

    Examples
    --------
    >>> network = draw_weights(nn.Linear(2, 3), np.random.default_rng(0))
    >>> network.bias.tolist()
    [0.0, 0.0, 0.0]

    Built in chapter 06.
    """
    check_generator(rng)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.dim() > 1:
                spread = (2 / weight[0].numel()) ** 0.5
                weight.copy_(torch.from_numpy(rng.normal(0, spread, weight.shape)))
            elif "bias" in name:
                weight.zero_()
    return network.to(device(), dtype)


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

    Used from chapter 04 on.
    """
    check_generator(rng)
    if len(sizes) < 2:
        raise ValueError(f"sizes must be two or more whole numbers of at least 1, got {sizes!r}")
    sizes = [check_count("each of sizes", size) for size in sizes]
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


def small_cnn(rng, dtype=torch.float64):
    """The book's convolutional network for 8 x 8 images in rows of 64: two rounds of convolution,
    batch normalisation, ReLU and max-pooling, then a dense layer with ten outputs.

    Parameters
    ----------
    rng : numpy Generator
    dtype : torch floating type

    Examples
    --------
    >>> cnn = small_cnn(np.random.default_rng(0))
    >>> cnn(torch.zeros(1, 64, dtype=torch.float64, device=device())).shape
    torch.Size([1, 10])

    Built in chapter 06.
    """
    with torch.random.fork_rng(devices=[]):  # torch's own draw leaves no trace
        network = nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)),
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(64, 10),
        )  # fmt: skip
    return draw_weights(network, rng, dtype)


class Residual(nn.Module):
    """A block on maps: z -> ReLU(norm(conv(z))) + skip(z), from c_in to c maps.

    Examples
    --------
    >>> Residual(1, 3)(torch.zeros(1, 1, 8, 8)).shape
    torch.Size([1, 3, 8, 8])
    """

    def __init__(self, c_in, c):
        super().__init__()
        self.branch = nn.Sequential(nn.Conv2d(c_in, c, 3, padding=1, bias=False), nn.BatchNorm2d(c))
        self.skip = nn.Identity() if c_in == c else nn.Conv2d(c_in, c, 1, bias=False)

    def forward(self, z):
        return self.branch(z).relu() + self.skip(z)


def small_resnet(rng, dtype=torch.float64):
    """The book's residual network for 8 x 8 images in rows of 64: four blocks of three maps, a dense layer.

    Parameters
    ----------
    rng : numpy Generator
    dtype : torch floating type

    Examples
    --------
    >>> resnet = small_resnet(np.random.default_rng(0))
    >>> resnet(torch.zeros(1, 64, dtype=torch.float64, device=device())).shape
    torch.Size([1, 10])

    Built in chapter 07.
    """
    with torch.random.fork_rng(devices=[]):
        blocks = [Residual(c_in, 3) for c_in in (1, 3, 3, 3)]
        network = nn.Sequential(nn.Unflatten(1, (1, 8, 8)), *blocks, nn.Flatten(), nn.Linear(192, 10))
    return draw_weights(network, rng, dtype)


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

    Used from chapter 00 on.
    """
    rng = np.random.default_rng(1810)
    x, y = moons_and_circles(400, rng)
    model = mlp([2, 45, 45, 4], rng)
    fit(model, x, y, epochs=80, rng=rng, lr=3e-3, on_step=on_step and (lambda step: on_step(step, model)))
    return model, x, y
