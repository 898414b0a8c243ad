"""Max-affine splines of deep networks: the helper library of the book in ``notebooks/``."""

__version__ = "0.1.0"

from . import data, figures, operators
from .affine import affine_map, bias_terms, lipschitz_bound, local_lipschitz
from .codes import nearest, region_codes, vq_distance
from .exercises import check, show_solution
from .figures import setup, show
from .maso import MASO
from .partition import Plane, partition
from .pieces import NotPiecewiseAffineError
from .training import device, fit, mlp, toy_network
from .widgets import Explorer

__all__ = [
    "MASO", "Explorer", "NotPiecewiseAffineError", "Plane", "affine_map", "bias_terms", "check", "data", "device",
    "figures", "fit", "lipschitz_bound", "local_lipschitz", "mlp", "nearest", "operators", "partition",
    "region_codes", "setup", "show", "show_solution", "toy_network", "vq_distance",
]  # fmt: skip
