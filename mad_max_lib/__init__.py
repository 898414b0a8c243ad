"""Max-affine splines of deep networks: the helper library of the book in ``notebooks/``.

``import mad_max_lib as mm`` gives every public name below; each is loaded from its module when first used, so
that the import costs little and matplotlib, scikit-learn or IPython come only with what needs them.

=============== ==========================================================================================
``splines``     max-affine splines as arrays: operators of networks, posteriors, K-means, mixtures
``tracing``     reading torch networks: affine maps, codes, polytopes, soft versions
``plane``       the exact partition of a plane into the regions of a network
``lab``         data, the book's networks, training, comparing in pairs, penalties
``book``        figures, sliders, rendering and editions of the notebooks
``exercises``   checks, solutions and known mistakes, one module a chapter
=============== ==========================================================================================
"""

from importlib import import_module

__version__ = "0.1.0"

_MODULES = {  # module: the public names that it holds; a module alone is public itself
    "splines.maso": ["MASO"],
    "splines.operators": [],
    "splines.posteriors": ["beta_vq", "joint_scores", "posterior"],
    "splines.mixtures": ["em_step", "kmeans", "kmeans_plusplus", "mixture_to_unit", "unit_to_mixture"],
    "tracing.units": ["NotPiecewiseAffineError"],
    "tracing.affine_maps": ["affine_map", "bias_terms"],
    "tracing.lipschitz": ["lipschitz_bound", "local_lipschitz"],
    "tracing.codes": ["nearest", "region_codes", "vq_distance"],
    "tracing.polytopes": ["polytope"],
    "tracing.softening": ["BetaVQ", "soften"],
    "plane.regions": ["Plane", "partition"],
    "lab.data": [],
    "lab.models": ["device", "draw_weights", "mlp", "small_cnn", "small_resnet", "toy_network"],
    "lab.training": ["fit", "fit_many"],
    "lab.pairs": ["paired_difference"],
    "lab.penalties": ["cosine_overlap", "gram_schmidt", "length_penalty", "overlap", "templates"],
    "book.claims": ["checked"],
    "book.figures": ["setup", "show"],
    "book.widgets": ["Explorer"],
    "exercises": ["check", "show_solution"],
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}
_HOMES |= {module.rpartition(".")[2]: module for module in ("splines.operators", "lab.data", "book.figures")}

__all__ = sorted(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_HOMES[name]}")
    found = globals()[name] = getattr(module, name, module)
    return found


def __dir__():
    return sorted({*globals(), *__all__})
