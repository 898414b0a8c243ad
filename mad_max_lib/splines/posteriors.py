"""The posterior of the pieces of a max-affine unit, from soft to hard, and what is computed by it."""

from itertools import product
from numbers import Real

import numpy as np
from array_api_compat import device

from ..checks import array_namespace, cast, check_finite, widen
from .maso import MASO


def posterior(scores, beta):
    """Weight the R pieces of a unit, from all alike (beta = 0) to the winner alone (beta = 1).

    At beta = 1/2 the weights are a softmax: the posterior probabilities of the pieces in a Gaussian mixture
    with noise of width 1. Otherwise they are the softmax of eta times the scores, eta = beta / (1 - beta):
    the weights t, adding up to 1, that make ``beta * sum(t * scores) + (1 - beta) * entropy(t)`` largest.
    Source: Balestriero and Baraniuk, *From Hard to Soft*, beta-VQ.

    Parameters
    ----------
    scores : (..., R) floating array
        Score of every piece; -inf where a piece is absent.
    beta : float in [0, 1]

    Returns
    -------
    (..., R) array
        Not negative, the last axis adds up to 1. At beta = 1 ties go to the lowest piece.

    Examples
    --------
    >>> import numpy as np
    >>> posterior(np.array([1.0, 3.0]), 1.0)
    array([0., 1.])
    >>> posterior(np.array([1.0, 3.0]), 0.5).round(3)
    array([0.119, 0.881])

    Built in chapters 25 and 26.
    """
    xp = array_namespace(scores=scores)
    if not xp.isdtype(scores.dtype, "real floating") or scores.ndim < 1 or scores.shape[-1] < 1:
        raise TypeError(f"scores must be a floating array (..., R), got {scores.dtype} {tuple(scores.shape)}")
    check_finite("scores", scores, absent=True)
    beta = check_beta(beta)
    best = xp.max(scores, axis=-1, keepdims=True)
    if xp.isinf(best).any():
        raise ValueError("scores must have a piece that is not absent (-inf) in every row")
    if beta == 1:
        winners = xp.argmax(scores, axis=-1, keepdims=True)
        return cast(winners == xp.arange(scores.shape[-1], device=device(scores)), scores)
    present = ~xp.isinf(scores)
    behind = xp.where(present, scores / 2 - best / 2, 0.0)  # halves: the difference may be too large
    steepness = min(2 * beta / (1 - beta), float(xp.finfo(scores.dtype).max))
    with np.errstate(over="ignore"):  # exp(-inf) = 0 is right
        weights = xp.where(present, xp.exp(steepness * behind), 0.0)
    return weights / xp.sum(weights, axis=-1, keepdims=True)


def beta_vq(maso, x, beta):
    """The output of a MASO whose pieces count by their posterior: hard at beta = 1, linear at beta = 0.

    A ReLU becomes u sigmoid(eta u), the swish, with eta = beta / (1 - beta); at beta = 1/2 the SiLU.
    Source: Balestriero and Baraniuk, *From Hard to Soft*.

    Parameters
    ----------
    maso : MASO
    x : (N, D) array
    beta : float in [0, 1]

    Returns
    -------
    (N, K) array

    Examples
    --------
    >>> import numpy as np
    >>> from mad_max_lib.splines.operators import relu
    >>> beta_vq(relu(1), np.array([[2.0]]), 0.5).round(3)
    array([[1.762]])

    Built in chapter 26.
    """
    if not isinstance(maso, MASO):
        raise TypeError(f"maso must be a MASO, got {type(maso).__name__}")
    scores = maso.scores(x)
    weights = posterior(scores, beta)
    xp = array_namespace(scores=scores)
    return xp.sum(weights * xp.where(weights > 0, scores, 0.0), axis=2)  # 0 times -inf would be NaN


def joint_scores(maso, x):
    """The score of every joint choice of pieces of all units, as one mixture explains the input by their sum.

    A choice t = (t_1 .. t_K) scores what its pieces score, less the products of the slopes of different
    units: ``sum_k s_k - sum_{k < j} <a_k, a_j>``. Where slopes of different units are orthogonal the best
    choice is each unit's own. There are R^K choices: for small K only.
    Source: Balestriero and Baraniuk, *From Hard to Soft*.

    Parameters
    ----------
    maso : MASO
        With R^K at most 2^16.
    x : (N, D) array

    Returns
    -------
    scores : (N, R^K) array
    choices : (R^K, K) NumPy integers, in lexical order

    Examples
    --------
    >>> from mad_max_lib.splines.operators import relu
    >>> layer = relu(2).after(np.array([[1.0, 0.0], [1.0, 1.0]]), np.zeros(2))
    >>> scores, choices = joint_scores(layer, np.array([[1.0, 0.5]]))
    >>> scores.tolist(), choices[scores.argmax()].tolist()
    ([[0.0, 1.5, 1.0, 1.5]], [0, 1])

    Built in chapter 28.
    """
    if not isinstance(maso, MASO):
        raise TypeError(f"maso must be a MASO, got {type(maso).__name__}")
    xp = array_namespace(A=maso.A)
    K, R, _ = maso.A.shape
    if R**K > 2**16:
        raise ValueError(f"maso must have at most 2^16 joint choices, got {R}^{K}")
    choices = np.array(list(product(range(R), repeat=K)))
    units = np.arange(K)
    slopes = widen(maso.A)[units, choices]  # (R^K, K, D)
    before = xp.cumulative_sum(slopes, axis=1)[:, :-1]  # of each unit, the sum of the earlier ones' slopes
    scores = xp.sum(maso.scores(x)[:, units, choices], axis=2)
    overlaps = cast(xp.sum(before * slopes[:, 1:], axis=(1, 2)), scores)
    check_finite("the sum of the products of slopes", overlaps)
    return scores - overlaps, choices


def check_beta(beta):
    """Return beta as a float; raise unless it is a number from 0 to 1."""
    if not isinstance(beta, Real) or not 0 <= beta <= 1:
        raise ValueError(f"beta must be a number from 0 (linear) to 1 (hard), got {beta!r}")
    return float(beta)
