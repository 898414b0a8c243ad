"""Max-affine splines of deep networks: the helper library of the book in ``notebooks/``."""

__version__ = "0.1.0"

from . import data, figures, operators
from .affine import affine_map, bias_terms, lipschitz_bound, local_lipschitz
from .codes import nearest, region_codes, vq_distance
from .exercises import check, show_solution
from .figures import setup, show
from .maso import MASO
from .mixture import em_step, kmeans, mixture_to_unit, spread_points, unit_to_mixture
from .networks import draw_weights, mlp, small_cnn, small_resnet, toy_network
from .orthogonality import cosine_overlap, gram_schmidt, joint_scores, length_penalty, overlap, templates
from .partition import Plane, partition
from .units import NotPiecewiseAffineError
from .polytope import polytope
from .soft import beta_vq, posterior
from .soften import BetaVQ, soften
from .training import device, fit, fit_many, paired_difference
from .widgets import Explorer

__all__ = [
    "MASO", "BetaVQ", "Explorer", "NotPiecewiseAffineError", "Plane", "affine_map", "beta_vq", "bias_terms",
    "check", "cosine_overlap", "data", "device", "draw_weights", "em_step", "figures", "fit", "fit_many",
    "gram_schmidt", "joint_scores", "kmeans", "length_penalty", "lipschitz_bound", "local_lipschitz",
    "mixture_to_unit", "mlp", "nearest", "operators", "overlap", "paired_difference", "partition", "polytope",
    "posterior", "region_codes", "setup", "show", "show_solution", "small_cnn", "small_resnet", "soften",
    "spread_points", "templates", "toy_network", "unit_to_mixture", "vq_distance",
]  # fmt: skip
