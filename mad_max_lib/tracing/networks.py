"""What a network may be, what it may return, and which of its habits are set aside while it is read."""

import copy
import sys
from contextlib import contextmanager, nullcontext

import torch

from ..checks import check_input, widen
from .operations import HALVES, tensors_in
from .units import NotPiecewiseAffineError


def check_points(model, x):
    """The points x as the model takes them: a floating torch tensor with one point a row."""
    if not isinstance(x, torch.Tensor):
        raise TypeError(f"x must be a torch tensor, one point a row, got {type(x).__name__}")
    parameters = list(model.parameters()) if isinstance(model, torch.nn.Module) else []
    if any(t.is_meta for t in (x, *parameters)):
        raise ValueError("x and model must hold numbers, got meta tensors")
    return check_input(x.detach(), parameters[0] if parameters else torch.zeros(()), "N", *x.shape[1:])


def widened(model, x):
    """The model and the points, in float32 where they are in half precision, whose rounding hides errors."""
    x = check_points(model, x)
    return (copied(model, torch.float32) if x.dtype in HALVES else model), widen(x)


def laid_out(x, trace):
    """The points, images with channels last for convolutions, which run several times faster then.

    All functions use it, so that rounding puts a point into the same region in all of them.
    """
    images = x.dim() == 4 and "conv2d" in trace.functions
    return x.contiguous(memory_format=torch.channels_last) if images else x


def copied(model, dtype):
    """A copy of a module in another type, also of tensors that it keeps; a function as it is."""
    if not isinstance(model, torch.nn.Module):
        return model
    attributes = [vars(module) for module in model.modules()]
    kept = [t for t in tensors_in(attributes) if not t.is_leaf or not isinstance(t, torch.nn.Parameter)]
    memo = {id(t): t.detach().to(dtype if t.is_floating_point() else t.dtype, copy=True) for t in kept}
    return copy.deepcopy(model, memo).to(dtype)


@contextmanager
def settled():
    """Full precision, no compiler, and none of the caller's modes that change how derivatives are taken."""
    precision, tf32 = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.inference_mode(False), torch.autograd.set_detect_anomaly(False), in_eager_mode():
            yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.allow_tf32 = tf32


def check_network(model, in_training):
    """Raise if a network hides its functions, or changes from call to call."""
    for module in model.modules() if isinstance(model, torch.nn.Module) else [model]:
        kind = type(module)
        if isinstance(module, (torch.jit.ScriptModule, torch.jit.ScriptFunction)):
            why = f"a scripted or traced {kind.__name__}"
        elif "quantized" in kind.__module__.split("."):
            why = f"a quantized {kind.__name__}, which rounds,"
        else:
            why = None
        if why:
            raise NotPiecewiseAffineError(
                f"model is or holds {why} and hides its functions; pass the original module"
            )
        hooks = getattr(module, "_forward_pre_hooks", {}).values()
        changes = "SpectralNorm" in kind.__name__ or any(type(h).__name__ == "SpectralNorm" for h in hooks)
        if changes and module.training and not in_training:
            raise NotPiecewiseAffineError(
                "model holds a spectral norm that changes its weight at each call; call model.eval()"
            )


def check_output(output, is_marked, N):
    """The output, one tensor with a row for each of N points (None: for any number)."""
    if isinstance(output, dict):
        keys = ", ".join(map(repr, output))
        raise NotPiecewiseAffineError(
            f"model must return one tensor, got a {type(output).__name__} with keys {keys}; "
            f"write lambda x: model(x)[{next(iter(map(repr, output)), '...')}]"
        )
    if isinstance(output, (tuple, list)):
        raise NotPiecewiseAffineError(
            f"model must return one tensor, got a {type(output).__name__} of {len(output)}; "
            "write lambda x: model(x)[0]"
        )
    if not isinstance(output, torch.Tensor):
        raise NotPiecewiseAffineError(f"model must return one tensor, got {type(output).__name__}")
    if not is_marked(output):
        raise NotPiecewiseAffineError(
            "model must return what is seen to come from x; its output is a constant, or was made where no "
            "function is seen: in a scripted or traced part, in vmap, or in another library"
        )
    if output.dim() == 0 or N not in (None, len(output)):
        raise NotPiecewiseAffineError(
            f"model must have an output for each point, on the first axis; got shape {tuple(output.shape)}"
            + (f" for {N} points" if N is not None else "")
        )
    if not output.is_floating_point():
        raise NotPiecewiseAffineError(f"model must return real numbers, got {output.dtype}")
    return output


def explained(model, x, error):
    """The error that a run ended with, or the model's own, if it cannot take x at all."""
    try:
        with torch.no_grad():
            model(x.clone())
    except Exception as own:
        dtypes = {p.dtype for p in model.parameters()} if isinstance(model, torch.nn.Module) else {x.dtype}
        if not isinstance(model, torch.nn.Module) and x.dtype == torch.float32:
            hint = " (for a network in half precision inside a function write network.float())"
        else:
            hint = f" (its parameters are {', '.join(map(str, dtypes))})" if dtypes - {x.dtype} else ""
        shape = ", ".join(map(str, ("N", *x.shape[1:])))
        return ValueError(
            f"model cannot take x alone, {x.dtype} of shape ({shape}), one point a row{hint}: {own}"
        )
    return error


@contextmanager
def forward_alone(tracer):
    """An autograd function is its forward; what it says about its derivative is not what it computes."""
    base = torch.autograd.function._SingleLevelFunction  # under Function.apply, which may have been kept
    before = base.__dict__.get("apply")

    def apply(cls, *args, **kwargs):
        if not any(map(tracer.is_marked, tensors_in((args, kwargs)))):
            original = super(base, cls).apply if before is None else before.__get__(None, cls)
            return original(*args, **kwargs)
        differentiates, tracer.differentiates = tracer.differentiates, torch.is_grad_enabled()
        try:
            if cls.setup_context is not base.setup_context:
                return cls.forward(*args, **kwargs)
            context = torch.autograd.function.FunctionCtx()
            context.needs_input_grad = (False,) * len(args)
            return cls.forward(context, *args, **kwargs)
        finally:
            tracer.differentiates = differentiates

    base.apply = classmethod(apply)
    try:
        yield
    finally:
        if before is None:
            del base.apply
        else:
            base.apply = before


def in_eager_mode():
    """Run what was compiled as it was written."""
    loaded = "torch._dynamo" in sys.modules  # else nothing is compiled, and to load it takes seconds
    known = hasattr(torch.compiler, "set_stance")  # torch 2.6
    return torch.compiler.set_stance("force_eager") if loaded and known else nullcontext()


def saved_elsewhere():
    """Whether somebody, such as a checkpoint, decides how tensors are saved for the derivative."""
    top = getattr(torch._C._autograd, "_top_saved_tensors_default_hooks", lambda ignore: None)  # torch 2.5
    return top(True) is not None
