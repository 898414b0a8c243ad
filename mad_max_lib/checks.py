"""What NumPy arrays and torch tensors share, so that each idea is written once."""

import numpy as np
import torch


def namespace(**arrays):
    """Return the library (``numpy`` or ``torch``) that all named arrays belong to.

    Parameters
    ----------
    **arrays : NumPy arrays or torch tensors, by argument name

    Raises
    ------
    TypeError
        An argument is neither, or NumPy arrays and torch tensors are mixed.

    Examples
    --------
    >>> namespace(x=np.zeros(3)).__name__
    'numpy'
    """
    for name, array in arrays.items():
        if not isinstance(array, (np.ndarray, torch.Tensor)):
            raise TypeError(f"{name} must be a NumPy array or a torch tensor, got {type(array).__name__}")
    libraries = {name: torch if isinstance(array, torch.Tensor) else np for name, array in arrays.items()}
    if len(set(libraries.values())) > 1:
        kinds = ", ".join(f"{name} is {library.__name__}" for name, library in libraries.items())
        raise TypeError(f"NumPy arrays and torch tensors are mixed ({kinds}); convert one side first")
    return next(iter(libraries.values()))


def is_floating(array):
    """Whether the array holds floating-point numbers (real ones)."""
    in_torch = isinstance(array, torch.Tensor)
    return array.is_floating_point() if in_torch else np.issubdtype(array.dtype, np.floating)


def check_shape(name, array, *shape):
    """Raise unless ``array`` has the given shape; a letter stands for any size of at least 1.

    Examples
    --------
    >>> check_shape("x", np.zeros((4, 3)), "N", 2)
    Traceback (most recent call last):
        ...
    ValueError: x must have shape (N, 2), got (4, 3)
    """
    wanted = "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
    sizes_fit = len(array.shape) == len(shape) and all(
        size >= 1 if isinstance(want, str) else size == want
        for size, want in zip(array.shape, shape, strict=True)
    )
    if not sizes_fit:
        empty = ", which is empty" if 0 in array.shape else ""
        raise ValueError(f"{name} must have shape {wanted}, got {tuple(array.shape)}{empty}")


def check_finite(name, array, absent=False):
    """Raise if an entry is NaN or infinite; with ``absent=True`` an entry may be ``-inf``.

    Examples
    --------
    >>> check_finite("x", np.array([1.0, np.nan]))
    Traceback (most recent call last):
        ...
    ValueError: x must be finite; entries that are NaN or infinite: 1 of 2
    """
    xp = namespace(**{name: array})
    good = xp.isfinite(array)
    if absent:
        good = good | xp.isneginf(array)
    if not good.all():
        count = f"{int((~good).sum())} of {np.prod(array.shape)}"
        raise ValueError(f"{name} must be finite; entries that are NaN or infinite: {count}")


def check_parameter(name, array, *shape, absent=False):
    """Raise unless ``array`` is a floating-point parameter of the given shape without NaN or infinity.

    With ``absent=True`` an entry may be ``-inf``: the offset of a piece that is not there.
    """
    namespace(**{name: array})
    check_shape(name, array, *shape)
    if not is_floating(array):
        raise TypeError(f"{name} must hold floating-point numbers, got {array.dtype}; write 1.0 instead of 1")
    check_finite(name, array, absent)


def check_input(x, like, *shape):
    """Return the input ``x`` ready to meet the parameter ``like``; integers take its floating type.

    Raises
    ------
    TypeError
        Another array library than ``like``, or numbers that are not real.
    ValueError
        Wrong shape, NaN or infinity.
    """
    xp = namespace(x=x, parameters=like)
    check_shape("x", x, *shape)
    if not is_floating(x):
        if x.is_complex() if xp is torch else x.dtype.kind not in "biu":
            raise TypeError(f"x must hold real numbers, got {x.dtype}")
        x = x.to(like.dtype) if xp is torch else x.astype(like.dtype)
    check_finite("x", x)
    return x


def check_generator(rng):
    """Raise unless ``rng`` is a NumPy Generator, the one source of chance in the book."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a NumPy Generator such as default_rng(0), got {type(rng).__name__}")


def cast(array, like):
    """The array with the dtype (and, for torch, the device) of ``like``."""
    return array.to(like) if isinstance(array, torch.Tensor) else array.astype(like.dtype, copy=False)
