"""Max-affine splines of deep networks: the helper library of the book in ``notebooks/``."""

__version__ = "0.1.0"

from . import data, figures, operators
from .exercises import check, show_solution
from .figures import setup, show
from .maso import MASO
from .training import device, fit, mlp, toy_network
from .widgets import Explorer

__all__ = [
    "MASO", "Explorer", "check", "data", "device", "figures", "fit", "mlp", "operators", "setup", "show",
    "show_solution", "toy_network",
]  # fmt: skip
