"""Checks of arguments, and what NumPy arrays and torch tensors share (by ``array_api_compat``)."""

import operator

import array_api_compat.numpy
import array_api_compat.torch
import numpy as np
import torch


def array_namespace(**arrays):
    """Return the array-API namespace (of NumPy or of torch) that all named arrays belong to.

    Its functions have one name and one signature for both libraries: ``xp.max(x, axis=-1)``.

    Parameters
    ----------
    **arrays : NumPy arrays or torch tensors, by argument name

    Raises
    ------
    TypeError
        An argument is neither, or NumPy arrays and torch tensors are mixed.

    Examples
    --------
    >>> array_namespace(x=np.zeros(3)).__name__
    'array_api_compat.numpy'
    """
    namespaces = {}
    for name, array in arrays.items():
        if not isinstance(array, (np.ndarray, torch.Tensor)):
            raise TypeError(f"{name} must be a NumPy array or a torch tensor, got {type(array).__name__}")
        in_torch = isinstance(array, torch.Tensor)
        namespaces[name] = array_api_compat.torch if in_torch else array_api_compat.numpy
    if len(set(namespaces.values())) > 1:
        kinds = ", ".join(f"{name} is {xp.__name__.split('.')[-1]}" for name, xp in namespaces.items())
        raise TypeError(f"NumPy arrays and torch tensors are mixed ({kinds}); convert one side first")
    return next(iter(namespaces.values()))


def check_count(name, value, low=1, high=None):
    """Return a whole number as an int; raise unless it lies from ``low`` to ``high`` (None: no end).

    NumPy's integers count, arrays without axes included; booleans do not.

    Examples
    --------
    >>> check_count("R", np.int64(3))
    3
    >>> check_count("R", 0, high=5)
    Traceback (most recent call last):
        ...
    ValueError: R must be a whole number from 1 to 5, got 0
    """
    try:
        whole = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        whole = None
    if whole is None or whole < low or (high is not None and whole > high):
        limits = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name} must be a whole number {limits}, got {value!r}")
    return whole


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
    good = array_namespace(**{name: array}).isfinite(array)
    if absent:
        good = good | (array == -float("inf"))
    if not good.all():
        count = f"{int((~good).sum())} of {array_api_compat.size(array)}"
        raise ValueError(f"{name} must be finite; entries that are NaN or infinite: {count}")


def check_parameter(name, array, *shape, absent=False):
    """Raise unless ``array`` is a floating-point parameter of the given shape without NaN or infinity.

    With ``absent=True`` an entry may be ``-inf``: the offset of a piece that is not there.
    """
    xp = array_namespace(**{name: array})
    check_shape(name, array, *shape)
    if not xp.isdtype(array.dtype, "real floating"):
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
    xp = array_namespace(x=x, parameters=like)
    check_shape("x", x, *shape)
    if not xp.isdtype(x.dtype, "real floating"):
        if not xp.isdtype(x.dtype, ("bool", "integral")):
            raise TypeError(f"x must hold real numbers, got {x.dtype}")
        x = xp.astype(x, like.dtype)
    check_finite("x", x)
    return x


def check_generator(rng):
    """Raise unless ``rng`` is a NumPy Generator, the one source of chance in the book."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a NumPy Generator such as default_rng(0), got {type(rng).__name__}")


def widen(array):
    """The array, as float32 where it is of half precision, whose sums soon overflow or lose their digits."""
    xp = array_namespace(array=array)
    return xp.astype(array, xp.float32) if xp.finfo(array.dtype).bits < 32 else array


def cast(array, like):
    """The array with the dtype and the device of ``like``."""
    xp = array_namespace(array=array)
    return xp.astype(array, like.dtype, copy=False, device=array_api_compat.device(like))
