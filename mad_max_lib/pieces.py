"""The piecewise affine functions of torch: which there are, and a mode that meets each of their calls."""

from itertools import count
from math import ceil
from numbers import Number

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from .arrays import check_input


class NotPiecewiseAffineError(ValueError):
    """The network calls a function of its input that is not continuous and piecewise affine, or cannot be seen."""


class Kinked:
    """Units that each bend one number u at fixed places: ReLU, absolute value, hard tanh.

    Piece r lies between kinks r - 1 and r; there the output is ``slopes[r] * u + intercepts[r]``.
    ``own`` is torch's function, given where its derivative also takes the lowest piece at a kink.
    """

    def __init__(self, u, kinks, slopes, intercepts=(0, 0, 0), own=None):
        self.u, self.kinks, self.slopes, self.intercepts, self.own = u, kinks, slopes, intercepts, own
        self.count = 1 + len(kinks)

    def choose(self):
        """The output, and which piece each unit chose: the number of kinks below u."""
        pieces = sum((self.u > kink).view(torch.uint8) for kink in self.kinks)
        return self.held(pieces) if self.own is None else self.own(self.u), pieces

    def held(self, pieces):
        """The output with the pieces held: affine in u."""
        output = self.u * self._of_piece(self.slopes, pieces)
        return output + self._of_piece(self.intercepts, pieces) if any(map(_nonzero, self.intercepts)) else output

    def _of_piece(self, numbers, pieces):
        numbers = numbers[: len(self.kinks) + 1]
        if numbers == (0, 1):
            return pieces
        return sum(n * (pieces == r).to(self.u.dtype) for r, n in enumerate(numbers) if _nonzero(n))

    def numbers(self, pieces):
        """The numbers of the pieces, from 0."""
        return pieces

    def steepest(self):
        return max(abs(torch.as_tensor(slope)).max().item() for slope in self.slopes[: self.count])

    def steps(self):
        """For each kink, a function of the input that is positive above it."""
        return [self.u - kink if _nonzero(kink) else self.u for kink in self.kinks]


class Largest:
    """Units that each keep the largest of R candidates: maxout, the larger of two."""

    own = None

    def __init__(self, candidates):
        self.candidates, self.count, self.shape = candidates, candidates.shape[-1], candidates.shape[1:-1]  # (..., R)

    def choose(self):
        """The output, and which candidate each unit chose; ties go to the lowest."""
        pieces = self.candidates.argmax(-1)
        return self.held(pieces), pieces

    def held(self, pieces):
        """The chosen candidates."""
        return self.candidates.gather(-1, pieces[..., None])[..., 0]

    def numbers(self, pieces):
        """The numbers of the pieces, from 0."""
        return pieces

    def candidate(self, r):
        """Candidate r of every unit, and which units have none."""
        return self.candidates[..., r].flatten(1), torch.tensor(False)


class Pool(Largest):
    """Max-pooling: the candidates are the ``windows`` (units, R) of a map, -1 where they hang over its edge."""

    def __init__(self, values, sizes, windows, own):
        self.values, self.sizes, self.windows, self.own = values, sizes, windows, own
        self.count, self.shape = windows.shape[1], (*values.shape[1:-1], *sizes)

    def choose(self):
        return self.own()  # torch gives places in the map, of several equal ones the first

    def held(self, pieces):
        return self.values.gather(-1, pieces.flatten(-len(self.sizes))).reshape(pieces.shape)

    def candidate(self, r):
        at = self.windows[:, r]
        return self.values[..., at].flatten(1), (at < 0).expand(*self.values.shape[1:-1], -1).flatten()

    def steepest(self):
        return self.windows[self.windows >= 0].bincount().max().item() ** 0.5

    def numbers(self, pieces):
        places = pieces.flatten(-len(self.sizes))[..., None]
        return (places == self.windows).byte().argmax(-1).reshape(pieces.shape)


def _nonzero(number):
    return not isinstance(number, Number) or number != 0


# One builder for each function, with torch's own argument names.


def relu(input, inplace=False):
    return Kinked(input, (0,), (0, 1), own=torch.relu)


def leaky_relu(input, negative_slope=0.01, inplace=False):
    return Kinked(input, (0,), (negative_slope, 1), own=lambda u: F.leaky_relu(u, negative_slope))


def prelu(input, weight):
    channels = weight if weight.numel() == 1 else weight.reshape(-1, *[1] * (input.dim() - 2))
    return Kinked(input, (0,), (channels, 1), own=lambda u: F.prelu(u, weight))


def absolute(input):
    return Kinked(input, (0,), (-1, 1))


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    return Kinked(input, (min_val, max_val), (0, 1, 0), (min_val, 0, max_val))


def relu6(input, inplace=False):
    return hardtanh(input, 0.0, 6.0)


def clamp(input, min=None, max=None):
    if min is None:
        return Kinked(input, (max,), (1, 0), (0, max))
    if max is None:
        return Kinked(input, (min,), (0, 1), (min, 0))
    return hardtanh(input, min, max)


def clamp_max(input, max):
    return clamp(input, max=max)


def maximum(input, other):
    return Largest(torch.stack(torch.broadcast_tensors(input, other), -1))


def amax(input, dim, keepdim=False):
    dims = [d % input.dim() for d in ([dim] if isinstance(dim, int) else dim)]
    if 0 in dims or not dims:
        raise NotPiecewiseAffineError("takes the largest of all points together; give it a dim after the first")
    rest = [d for d in range(input.dim()) if d not in dims]
    unit = Largest(input.permute(*rest, *dims).flatten(len(rest)))
    if keepdim:
        unit.candidates = unit.candidates.reshape(*[1 if d in dims else n for d, n in enumerate(input.shape)], -1)
    return unit


def max_(input, dim=(), keepdim=False, other=None):
    other = dim if isinstance(dim, torch.Tensor) else other
    return amax(input, dim, keepdim) if other is None else maximum(input, other)


def max_pool(d):
    own = getattr(F, f"max_pool{d}d")

    def builder(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
        places = []
        steps = [_each(n, d) for n in (kernel_size, stride or kernel_size, padding, dilation)]
        for size, kernel, step, pad, spread in zip(input.shape[-d:], *steps, strict=True):
            windows = (size + 2 * pad - spread * (kernel - 1) - 1) / step
            windows = (ceil(windows) if ceil_mode else int(windows)) + 1
            windows -= ceil_mode and (windows - 1) * step >= size + pad  # the last one begins inside
            at = torch.arange(windows)[:, None] * step - pad + torch.arange(kernel) * spread
            places.append(at.masked_fill((at < 0) | (at >= size), -1))
        return _pool(input, places, lambda: own(input, *steps, ceil_mode, True))

    return builder


def adaptive_max_pool(d):
    own = getattr(F, f"adaptive_max_pool{d}d")

    def builder(input, output_size, return_indices=False):
        places = []
        for size, windows in zip(input.shape[-d:], _each(output_size, d), strict=True):
            windows = windows or size
            ends = [(i * size // windows, -(-(i + 1) * size // windows)) for i in range(windows)]
            kernel = max(end - start for start, end in ends)
            places.append(torch.tensor([[*range(a, b)] + [-1] * (kernel - b + a) for a, b in ends]))
        return _pool(input, places, lambda: own(input, output_size, True))

    return builder


def _each(number, d):
    return [number] * d if isinstance(number, int) or number is None else list(number) * (d // len(number))


def _pool(input, places, own):
    """The unit with the (windows, kernel) places along each dimension."""
    at = torch.zeros(1, 1, dtype=torch.long)
    for size, place in zip(input.shape[-len(places) :], places, strict=True):
        inside = (at[:, None, :, None] >= 0) & (place >= 0)[:, None]
        at = torch.where(inside, at[:, None, :, None] * size + place[:, None], -1).flatten(2).flatten(0, 1)
    return Pool(input.flatten(-len(places)), [len(place) for place in places], at.to(input.device), own)


PIECEWISE = {
    "relu": relu, "leaky_relu": leaky_relu, "prelu": prelu, "abs": absolute, "absolute": absolute,
    "hardtanh": hardtanh, "relu6": relu6, "clamp": clamp, "clip": clamp, "clamp_min": clamp, "clamp_max": clamp_max,
    "maximum": maximum, "max": max_, "amax": amax,
    **{f"max_pool{d}d": max_pool(d) for d in (1, 2, 3)},
    **{f"adaptive_max_pool{d}d": adaptive_max_pool(d) for d in (1, 2, 3)},
}  # fmt: skip

# Affine in all their tensor arguments together.
AFFINE = set(
    """add sub subtract rsub __rsub__ neg negative positive sum mean cat concat concatenate stack hstack vstack view
    view_as reshape reshape_as flatten unflatten ravel squeeze unsqueeze transpose swapaxes permute movedim t T mT
    adjoint expand expand_as broadcast_to repeat tile chunk split tensor_split unbind narrow select index_select
    take_along_dim gather __getitem__ contiguous clone alias to type_as float double roll flip diff cumsum pad
    avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d unfold fold
    pixel_shuffle pixel_unshuffle interpolate upsample constant_pad_nd diagonal tril triu where masked_fill
    """.split()
)
# Affine in each of these arguments, while the others are fixed.
PRODUCTS = {
    **dict.fromkeys("mul multiply matmul __matmul__ __rmatmul__ mm bmm mv dot inner outer linear".split(), (0, 1)),
    **{f"conv{t}{d}d": (0, 1) for d in (1, 2, 3) for t in ("", "_transpose")},
    **dict.fromkeys("addmm addmv baddbmm".split(), (1, 2)),
}
# What a network may ask about a tensor without looking at its numbers, and constants made in its likeness.
QUESTIONS = set(
    """shape size dim ndim ndimension numel nelement dtype device layout stride storage_offset is_contiguous __len__
    zeros_like ones_like full_like empty_like new_zeros new_ones new_full new_tensor new_empty
    is_floating_point is_complex is_cuda is_mps is_cpu is_nested is_sparse is_quantized is_mkldnn is_leaf requires_grad
    grad_fn get_device element_size itemsize __repr__ __str__ __format__ names has_names is_meta is_xpu
    """.split()
)


class Intercept(TorchFunctionMode):
    """Follows a network's input through all its functions and meets each piecewise affine call.

    A subclass says in ``meet(unit)`` what such a call returns: to record the winning pieces, to hold them, to
    cut a mesh along their borders, or to blend them. Tensors computed from the input are marked. A function
    that is neither affine nor piecewise affine in what is marked raises ``NotPiecewiseAffineError``.
    """

    _tokens = count()

    def __init__(self):
        super().__init__()
        self._token, self.functions, self.names = next(self._tokens), 0, []

    def run(self, model, x):
        """The output of ``model(x)``, every call met on the way."""
        self.functions, self.names, self.rewritten = 0, [], False
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
        if name in QUESTIONS:
            return func(*args, **kwargs)
        self.functions += 1
        inplace = kwargs.get("inplace", False) or (name.endswith("_") and not name.endswith("__"))
        name = name.removesuffix("_with_indices") if name.endswith("__") else name.rstrip("_").removesuffix("_with_indices")
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
        if sum(map(self._is_marked, _tensors((args, kwargs)))) > (2 if name in ("maximum", "max") else 1):
            self._refuse(name, "bends the input at places that depend on the input")
        try:
            unit = PIECEWISE[name](*args, **{k: v for k, v in kwargs.items() if k != "out"})
        except NotPiecewiseAffineError as error:
            self._refuse(name, str(error))
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
            factors = [args[i] if i < len(args) else None for i in PRODUCTS[name]] + list(kwargs.values())
            marked = [self._is_marked(t) for t in _tensors(factors)]
        if name in PRODUCTS or name == "einsum":
            if sum(marked) > 1:
                self._refuse(name, "multiplies two tensors that both depend on the input")
        elif name in ("div", "divide", "true_divide"):
            if self._is_marked(args[1]) or kwargs.get("rounding_mode"):
                self._refuse(name, "divides by what depends on the input, or rounds")
        elif name == "batch_norm":
            if kwargs.get("training") or args[1] is None:
                self._refuse(name, "uses the statistics of the batch; call model.eval(), with stored statistics")
            if sum(marked) > 1:
                self._refuse(name, "multiplies two tensors that both depend on the input")
        elif "dropout" in name:
            if kwargs.get("training", True) and kwargs.get("p", 0.5) > 0:
                self._refuse(name, "is active and random; call model.eval()")
        elif name not in AFFINE or (name == "to" and not _stays_floating(args, kwargs)):
            self._refuse(name, "is not known to be affine or continuous and piecewise affine")

    def _refuse(self, name, why):
        raise NotPiecewiseAffineError(
            f"{name} (function number {self.functions} after the input, "
            f"nonlinear calls before it: {len(self.names)}) {why}"
        )

    def _mark(self, output):
        for tensor in _tensors(output):
            tensor._mad_max_token = self._token
        return output

    def _is_marked(self, tensor):
        return getattr(tensor, "_mad_max_token", None) == self._token


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
    """Record at the points x and raise unless the held network is affine, halfway between x and -x as everywhere."""
    own = hold.run(model, x)
    there, back, middle = own, hold.run(model, -x), hold.run(model, torch.zeros_like(x))
    error, size = (there + back - 2 * middle).abs().max(), max(t.abs().max() for t in (there, back, middle))
    if not error <= 200 * torch.finfo(own.dtype).eps * size:
        raise NotPiecewiseAffineError(
            f"held at the pieces it chose, the network should be affine, and is not, by {error.item():.1e}: "
            "it computes something that could not be seen"
        )


def check_points(model, x):
    """The points x as the model takes them: a floating torch tensor with one point a row."""
    if not isinstance(x, torch.Tensor):
        raise TypeError(f"x must be a torch tensor, one point a row, got {type(x).__name__}")
    parameters = model.parameters() if isinstance(model, torch.nn.Module) else iter(())
    return check_input(x.detach(), next(parameters, torch.zeros(())), "N", *x.shape[1:])
