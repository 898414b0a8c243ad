"""Penalties on the overlap of rows, templates that can be penalised, and Gram-Schmidt."""

import torch

from ..checks import check_finite, widen


def overlap(W):
    """Sum over all ordered pairs of different rows of their squared inner product.

    Added to the loss it pushes the rows towards orthogonality: the penalty of Mad Max (section on
    orthogonal templates) when the rows are those of the last layer.

    Parameters
    ----------
    W : (..., K, D) torch tensor
        K rows, for any number of matrices.

    Returns
    -------
    (...) tensor

    Examples
    --------
    >>> overlap(torch.tensor([[1.0, 0.0], [3.0, 1.0]]))
    tensor(18.)

    Built in chapter 14.
    """
    products = _rows(W) @ W.mT
    same = torch.eye(W.shape[-2], dtype=torch.bool, device=W.device)
    return products.masked_fill(same, 0).square().sum((-2, -1))


def cosine_overlap(W):
    """`overlap` of the rows scaled to length 1: sees the angles only, whatever the lengths.

    Parameters
    ----------
    W : (..., K, D) torch tensor
        A row of zeros has no direction and overlaps with nothing.

    Returns
    -------
    (...) tensor

    Examples
    --------
    >>> cosine_overlap(torch.tensor([[5.0, 0.0], [3.0, 4.0]]))
    tensor(0.7200)

    Built in chapter 14.
    """
    rows = widen(_rows(W))
    lengths = rows.norm(dim=-1, keepdim=True)
    return overlap(rows / lengths.where(lengths > 0, 1)).to(W)


def length_penalty(W):
    """Sum over the rows of the fourth power of their length: `overlap`'s control, which sees no angles.

    It is what `overlap` leaves out of the sum over all pairs: the products of each row with itself, squared.

    Parameters
    ----------
    W : (..., K, D) torch tensor

    Returns
    -------
    (...) tensor

    Examples
    --------
    >>> length_penalty(torch.tensor([[1.0, 0.0], [3.0, 1.0]]))
    tensor(101.)

    Built in chapter 14.
    """
    return _rows(W).square().sum(-1).square().sum(-1)


def templates(logits, x):
    """Gradient of each logit with respect to its input, itself differentiable: the rows A[x]_c in training.

    Each column of logits is summed over all points and sent back once. Where points do not influence each
    other, the result is the template of each; under batch normalisation in training mode it also holds what
    a point does to the logits of the others.

    Parameters
    ----------
    logits : (..., N, C) torch tensor
        Computed from x.
    x : (..., N, D) torch tensor
        With ``requires_grad``.

    Returns
    -------
    (..., N, C, D) tensor

    Examples
    --------
    >>> x = torch.tensor([[1.0, -2.0]], requires_grad=True)
    >>> templates(torch.stack([x.relu().sum(1), 3 * x[:, 1]], 1), x).tolist()
    [[[1.0, 0.0], [0.0, 3.0]]]

    Built in chapter 14.
    """
    if not x.requires_grad:
        raise ValueError(
            "x must require gradients and logits be computed from it; call x.requires_grad_() first"
        )
    columns = [torch.autograd.grad(column.sum(), x, create_graph=True)[0] for column in logits.unbind(-1)]
    return torch.stack(columns, -2)


def gram_schmidt(W):
    """Orthogonal rows in place of those of W: from each row the parts along the earlier ones are taken
    away, and what is left gets the row's old length.

    Parameters
    ----------
    W : (..., K, D) torch tensor
        With K at most D, and rows that are linearly independent.

    Returns
    -------
    (..., K, D) tensor

    Examples
    --------
    >>> gram_schmidt(torch.tensor([[2.0, 0.0], [3.0, 4.0]]))
    tensor([[2., 0.],
            [0., 5.]])

    Built in chapter 14.
    """
    if _rows(W).shape[-2] > W.shape[-1]:
        raise ValueError(
            f"W must have at most as many rows as columns to be orthogonal, got {tuple(W.shape)}"
        )
    rows = widen(W)
    Q, R = torch.linalg.qr(rows.mT)  # W = R^T Q^T: the columns of Q span the rows, one after the other
    along = R.diagonal(dim1=-2, dim2=-1)
    lengths = rows.norm(dim=-1)
    if (along.abs() <= 1e-6 * lengths).any():
        raise ValueError(
            "W must have linearly independent rows; one of them lies in the span of those before"
        )
    return (Q * (along.sign() * lengths)[..., None, :]).mT.to(W)


def _rows(W):
    """W, if it is a matrix of numbers or a stack of such."""
    if not isinstance(W, torch.Tensor) or not W.is_floating_point() or W.dim() < 2:
        got = f"{W.dtype} {tuple(W.shape)}" if isinstance(W, torch.Tensor) else type(W).__name__
        raise TypeError(f"W must be a floating torch tensor of shape (..., K, D), got {got}")
    check_finite("W", W)
    return W
