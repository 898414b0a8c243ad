"""Soft units for torch networks, and any network made soft."""

import math

import torch
from torch import nn

from ..checks import check_count
from ..splines.posteriors import check_beta
from .blends import blend
from .functions import PIECEWISE
from .networks import check_points, copied
from .tracer import run


class BetaVQ(nn.Module):
    """A soft nonlinearity: hard at beta = 1 (ReLU ...), linear at 0, SiLU and its like at 1/2.

    Parameters
    ----------
    kind : str
        A torch function that is a maximum of affine pieces: ``relu``, ``leaky_relu``, ``abs``, ``amax``
        (maxout, the largest along an axis), ``max_pool2d`` ...
    beta : float in [0, 1]
        Where it is learned, its start, and neither 0 nor 1.
    learn : None, ``"layer"`` or ``"unit"``
        Learn one beta, or one for every unit of a dense layer (every channel of a map). The parameter is p,
        with beta = sigmoid(p), so that eta = beta / (1 - beta) = exp(p).
    units : int
        How many, for ``learn="unit"``.
    **options
        What the torch function takes besides the input: ``negative_slope``, ``dim``, ``kernel_size`` ...

    Examples
    --------
    >>> x = torch.linspace(-3, 3, 7)
    >>> torch.allclose(BetaVQ("relu", beta=0.5)(x), nn.functional.silu(x))
    True
    >>> BetaVQ("max_pool1d", beta=0.0, kernel_size=2)(torch.tensor([[[1.0, 3.0]]]))
    tensor([[[2.]]])

    Built in chapter 26.
    """

    def __init__(self, kind="relu", beta=0.5, learn=None, units=None, **options):
        super().__init__()
        if kind not in PIECEWISE or kind == "blend":
            raise ValueError(
                f"kind must name a piecewise affine function such as relu or max_pool2d, got {kind!r}"
            )
        if (learn == "unit") != (units is not None):
            raise ValueError(
                f"units must be given with learn='unit' and only then, got {units!r} and {learn!r}"
            )
        if units is not None:
            units = check_count("units", units)
        self.kind, self.options = kind, options
        self.softness = Softness(beta, learn, units)

    def forward(self, x):
        unit = PIECEWISE[self.kind].build(x, **self.options)
        return self.softness(unit.scores(), unit.absent)

    @property
    def beta(self):
        """The number, or the tensor of learned ones."""
        return self.softness.beta

    def extra_repr(self):
        return f"{self.kind}, beta={self.beta}"


def soften(model, beta=0.5, learn=None, example=None):
    """Any network with all its nonlinearities made soft: hard (as it was) at beta = 1, linear at beta = 0.

    The network is not changed, and its weights are shared: to train the one is to train the other.
    Source: Balestriero and Baraniuk, *From Hard to Soft*; applied to trained networks: *Curvature Tuning*.

    Parameters
    ----------
    model : nn.Module or callable
        Its nonlinear functions must be maxima of affine pieces: not a hard tanh, whose middle is steeper than
        its right end. Batch normalisation and dropout may be in training mode.
    beta : float in [0, 1]
    learn : None, ``"layer"`` or ``"unit"``
        Learn one beta for each nonlinear call, or one for each of its units (channels of a map), as in
        `BetaVQ`.
    example : (N, *input) tensor
        Needed for ``learn``: shows how many calls and units there are.

    Returns
    -------
    nn.Module
        ``betas`` lists its numbers, one for each nonlinear call where they are learned.

    Raises
    ------
    NotPiecewiseAffineError
        A function on the way has no soft form or is not known; raised with the example or at the first input.

    Examples
    --------
    >>> swish = soften(torch.relu, beta=0.5)
    >>> swish(torch.tensor([2.0]))
    tensor([1.7616])
    >>> soften(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), learn="unit", example=torch.ones(1, 2)).betas
    [tensor([0.5000, 0.5000, 0.5000])]

    Built in chapter 26.
    """
    if (learn is not None) != (example is not None):
        raise ValueError("example must be given with learn and only then: it shows how many betas to learn")
    everywhere = Softness(beta)
    if learn is None:
        return _Softened(model, everywhere)
    units, x = [], check_points(model, example)

    def count(unit, call):
        output = everywhere(unit.scores(), unit.absent)
        units.append(output.shape[1] if output.dim() > 1 else 1)
        return output

    network = copied(model, x.dtype)  # in eval mode batch statistics and chance stay as they are
    if isinstance(network, nn.Module):
        network.eval()
    with torch.no_grad():
        run(network, x, count, in_training=True)
    parts = [Softness(beta, learn, n, dtype=x.dtype, device=x.device) for n in units]
    return _Softened(model, nn.ModuleList(parts))


class Softness(nn.Module):
    """Keeps beta, or learns it, and makes units soft with it."""

    def __init__(self, beta, learn=None, units=None, **where):
        super().__init__()
        beta = check_beta(beta)
        if learn not in (None, "layer", "unit"):
            raise ValueError(f"learn must be None, 'layer' or 'unit', got {learn!r}")
        if learn and not 0 < beta < 1:
            raise ValueError(f"beta must lie between 0 and 1, both excluded, to be learned, got {beta}")
        self.eta, self.p = (beta / (1 - beta) if beta < 1 else math.inf), None
        if learn:
            shape = () if learn == "layer" else (units,)
            self.p = nn.Parameter(torch.full(shape, math.log(self.eta), **where))

    def forward(self, scores, absent):
        """The output of units with these scores when their pieces count by their posterior weights."""
        eta = self.eta
        if self.p is not None:
            eta = self.p.clamp(max=math.log(torch.finfo(self.p.dtype).max) - 1).exp()
            values = scores[1] if isinstance(scores, tuple) else scores[..., 0]
            eta = eta.reshape(-1, *[1] * (values.dim() - 2)) if eta.dim() else eta
            eta = eta if isinstance(scores, tuple) else eta[..., None]
        return blend(scores, eta, absent)

    @property
    def beta(self):
        if self.p is not None:
            return torch.sigmoid(self.p.detach())
        return self.eta / (1 + self.eta) if self.eta < math.inf else 1.0


class _Softened(nn.Module):
    """A network run with its nonlinearities made soft, by one `Softness` or by a list of one a call."""

    def __init__(self, model, softness):
        super().__init__()
        self.model, self.softness = model, softness

    def forward(self, x):
        return run(self.model, x, self._meet, in_training=True).output

    def _meet(self, unit, call):
        softness = self.softness
        if isinstance(softness, nn.ModuleList):
            if call.index >= len(softness):
                call.refuse(f"is one call more than the {len(softness)} that the example made")
            softness = softness[call.index]
        return softness(unit.scores(), unit.absent)

    @property
    def betas(self):
        return [
            part.beta
            for part in (self.softness if isinstance(self.softness, nn.ModuleList) else [self.softness])
        ]
