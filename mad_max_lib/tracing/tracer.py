"""The mode that meets every nonlinear call of a network, and holds it at the pieces it chose."""

from itertools import count

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from ..checks import check_input
from .functions import AFFINE, LIKENESS, PIECEWISE, PRODUCTS, QUESTIONS
from .units import Largest, NotPiecewiseAffineError

UNSEEN = "it computes something that could not be seen, or one point's output depends on another point"


class Intercept(TorchFunctionMode):
    """Follows a network's input through all its functions and meets each piecewise affine call.

    A subclass says in ``meet(unit)`` what such a call returns: it can record the winning pieces, hold them, cut a
    mesh along their borders, or blend them. Tensors computed from the input are marked. A function that is
    neither affine nor piecewise affine in what is marked raises ``NotPiecewiseAffineError``.

    After a run, ``names`` lists the nonlinear calls, ``functions`` all functions met, ``bytes`` what they made,
    and ``rewritten`` tells whether a call returned more than torch's own result.
    """

    _tokens = count()

    def __init__(self):
        super().__init__()
        self._token = f"_mad_max_{next(self._tokens)}"  # its own: a network may itself run under an Intercept

    def run(self, model, x):
        """The output of ``model(x)``, every call met on the way."""
        self.functions, self.names, self.rewritten, self.bytes = [], [], False, 1
        modules = model.modules() if isinstance(model, torch.nn.Module) else [model]
        for module in modules:
            kind = type(module).__name__
            if isinstance(module, (torch.jit.ScriptModule, torch.jit.ScriptFunction)) or kind == "OptimizedModule":
                raise NotPiecewiseAffineError(f"model is or holds a compiled {kind}, which hides its functions; "
                                              "pass the original module")  # fmt: skip
        x = self._mark(x.clone())  # a network that works in place must not change the caller's points
        with self:
            output = model(x)
        if not isinstance(output, torch.Tensor) or not self._is_marked(output):
            kind = type(output).__name__
            raise NotPiecewiseAffineError(f"model must return one tensor that is seen to come from x, got a {kind}")
        return output

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if not any(map(self._is_marked, _tensors((args, kwargs)))):
            return func(*args, **kwargs)
        name = func.__self__.__name__ if func.__name__ == "__get__" else func.__name__
        if name in QUESTIONS or (name in LIKENESS and not self._is_marked(args[0])):
            return func(*args, **kwargs)
        inplace = kwargs.get("inplace", False) or (name.endswith("_") and not name.endswith("__"))
        name = name if name.endswith("__") else name.rstrip("_").removesuffix("_with_indices")
        self.functions.append(name)
        if inplace and not self._is_marked(args[0]) or kwargs.get("out") is not None:
            self._refuse(name, "writes values made from the input into a tensor that was there before")
        if any(not t.is_floating_point() for t in _tensors((args, kwargs)) if self._is_marked(t)):
            self._refuse(name, "uses indices that were chosen by looking at the input")
        target, args, kwargs = args and args[0], self.current(args), self.current(kwargs)
        if name in PIECEWISE:
            output = self.piecewise(name, inplace, args, kwargs)
            return self._mark(self.write(target, output)) if inplace else output
        if name in ("rnn_relu", "rnn_relu_cell"):
            self.rewritten = True
            with self:
                return UNROLLED[name](*args, **kwargs)
        self._check_affine(name, args, kwargs)
        output = self.affine(name, inplace, func, args, kwargs)
        return self._mark(self.write(target, output) if inplace else output)

    def affine(self, name, inplace, func, args, kwargs):
        """What an affine function returns: its own output."""
        return func(*args, **kwargs)

    def current(self, arguments):
        """The arguments as the function shall see them."""
        return arguments

    def write(self, target, output):
        """The output of a function that works in place, written where it belongs."""
        return output if output is target else target.copy_(output)

    def piecewise(self, name, inplace, args, kwargs):
        if sum(map(self._is_marked, _tensors((args, kwargs)))) > (2 if name in ("maximum", "max", "blend") else 1):
            self._refuse(name, "bends the input at places that depend on the input")
        try:
            unit, words = PIECEWISE[name](*args, **{k: v for k, v in kwargs.items() if k != "out"}), None
        except NotPiecewiseAffineError as error:
            words = str(error)
        if words:
            self._refuse(name, words)
        if inplace and name != "relu":
            unit.own = None  # its derivative would need the values that are overwritten
        self.names.append(f"{len(self.names) + 1}:{name}")
        self.rewritten |= unit.own is None
        output = self._mark(self.meet(unit))
        chosen_too = name == "max" and isinstance(unit, Largest) and len(_tensors((args, kwargs))) == 1
        if chosen_too or kwargs.get("return_indices"):
            return torch.return_types.max((output, self._mark(torch.zeros_like(output, dtype=torch.long))))
        return output

    def _check_affine(self, name, args, kwargs):
        marked = [self._is_marked(t) for t in _tensors((args, kwargs))]
        if name in PRODUCTS:
            factors = [args[i] if i < len(args) else None for i in PRODUCTS[name]]
            factors += [value for key, value in kwargs.items() if key != "bias"]
            marked = [self._is_marked(t) for t in _tensors(factors)]
        if name in PRODUCTS or name == "einsum":
            if sum(marked) > 1:
                self._refuse(name, "multiplies two tensors that both depend on the input")
        elif name in ("div", "divide", "true_divide"):
            if self._is_marked(args[1] if len(args) > 1 else kwargs.get("other")) or kwargs.get("rounding_mode"):
                self._refuse(name, "divides by what depends on the input, or rounds")
        elif name == "batch_norm":
            if kwargs.get("training") or args[1] is None:
                self._refuse(name, "uses the statistics of the batch; call model.eval(), with stored statistics")
            if sum(marked) > 1:
                self._refuse(name, "multiplies two tensors that both depend on the input")
        elif "dropout" in name:
            p, active = [*args[1:3], *(kwargs.get(key, True) for key in ("p", "training")[len(args[1:]) :])]
            if active and p > 0:
                self._refuse(name, "is active and random; call model.eval()")
        elif name not in AFFINE or (name == "to" and not _stays_floating(args, kwargs)):
            self._refuse(name, "is not known to be affine or continuous and piecewise affine")

    def _refuse(self, name, why):
        raise NotPiecewiseAffineError(
            f"{name} (function number {len(self.functions)} after the input, "
            f"nonlinear calls before it: {len(self.names)}) {why}"
        )

    def _mark(self, output):
        for tensor in _tensors(output):
            setattr(tensor, self._token, True)
            self.bytes += tensor.nbytes
        return output

    def _is_marked(self, tensor):
        return hasattr(tensor, self._token)

    def changed(self, tree, change):
        """Nested tuples, lists and dictionaries with ``change`` applied to all marked tensors."""
        if isinstance(tree, torch.Tensor):
            return change(tree) if self._is_marked(tree) else tree
        if isinstance(tree, dict):
            return {key: self.changed(branch, change) for key, branch in tree.items()}
        return type(tree)(self.changed(part, change) for part in tree) if type(tree) in (tuple, list) else tree


class Hold(Intercept):
    """Run once to record which piece each unit chose, then again with the pieces held: an affine map.

    Examples
    --------
    >>> hold = Hold()
    >>> hold.run(torch.relu, torch.tensor([[-1.0, 2.0]]))
    tensor([[0., 2.]])
    >>> hold.run(torch.relu, torch.tensor([[3.0, 3.0]]))  # unit 0 was closed, and is held closed
    tensor([[0., 3.]])
    """

    def __init__(self):
        super().__init__()
        self.pieces = []

    def meet(self, unit):
        if len(self.pieces) < len(self.names):
            output, pieces = unit.choose()
            self.pieces.append(pieces)
            return output
        return unit.held(self.pieces[len(self.names) - 1])


def _tensors(tree):
    """All tensors in nested tuples, lists and dictionaries."""
    if isinstance(tree, torch.Tensor):
        return [tree]
    if isinstance(tree, dict):
        tree = tree.values()
    elif not isinstance(tree, (tuple, list)):
        return []
    return [tensor for branch in tree for tensor in _tensors(branch)]


def flat(tensor):
    """One row for each point: (N, everything else)."""
    if tensor.dim() == 0:
        raise NotPiecewiseAffineError("model must have an output for each point, got one number for all of them")
    return tensor.reshape(len(tensor), tensor[0].numel())


def _stays_floating(args, kwargs):
    return not any(isinstance(a, torch.dtype) and not a.is_floating_point for a in [*args, *kwargs.values()])


def rnn_relu_cell(x, h, W, W_rec, b=None, b_rec=None):
    return torch.relu(F.linear(x, W, b) + F.linear(h, W_rec, b_rec))


def rnn_relu(x, h, weights, has_biases, num_layers, dropout, training, bidirectional, batch_first):
    """torch's fused recurrent ReLU network, written out step by step."""
    if dropout > 0 and training:
        raise NotPiecewiseAffineError("rnn_relu applies active dropout between its layers; call model.eval()")
    time, size, last = (1 if batch_first else 0), 4 if has_biases else 2, []
    for layer in range(num_layers):
        outputs = []
        for way in range(1 + bidirectional):
            k = layer * (1 + bidirectional) + way
            state, states, steps = h[k], [], list(x.unbind(time))
            for step in reversed(steps) if way else steps:
                state = rnn_relu_cell(step, state, *weights[size * k : size * (k + 1)])
                states.append(state)
            last.append(state)
            outputs.append(torch.stack(states[::-1] if way else states, time))
        x = torch.cat(outputs, -1)
    return x, torch.stack(last)


UNROLLED = {"rnn_relu": rnn_relu, "rnn_relu_cell": rnn_relu_cell}


def check_held(hold, model, x):
    """Record at the points x and raise unless the held network is affine, the same on both sides of x."""
    middle = hold.run(model, x)
    step = torch.linspace(-1, 1.3, x[0].numel()).to(x).reshape(x[0].shape) * (1 + x.abs().max())
    there, back = hold.run(model, x + step), hold.run(model, x - step)
    error, size = (there + back - 2 * middle).abs().max(), max(t.abs().max() for t in (there, back, middle))
    if not error <= 200 * torch.finfo(middle.dtype).eps * size:
        raise NotPiecewiseAffineError(
            f"held at the pieces it chose, the network is not affine, by {error.item():.1e}: {UNSEEN}"
        )


def check_points(model, x):
    """The points x as the model takes them: a floating torch tensor with one point a row."""
    if not isinstance(x, torch.Tensor):
        raise TypeError(f"x must be a torch tensor, one point a row, got {type(x).__name__}")
    parameters = model.parameters() if isinstance(model, torch.nn.Module) else iter(())
    return check_input(x.detach(), next(parameters, torch.zeros(())), "N", *x.shape[1:])
