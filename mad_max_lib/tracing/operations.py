"""What torch does underneath: which ATen operations are affine in what comes from the input, and when.

Python's names are endless (``moveaxis``, ``column_stack``, ``trapezoid`` ...). Underneath, all of them are
made of a few hundred ATen operations (``permute``, ``cat``, ``sum`` ...), and it is these that are judged:

    F.trapezoid(x) ─▶ slice, slice, add, div, sum ─▶ AFFINE[each] ─▶ what is wrong with it, or nothing

``KNOWN`` names the torch functions that a small network spends its time in: they are judged by their own
name, since to look inside takes 25 microseconds a call.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode

HALVES = (torch.float16, torch.bfloat16)
UNKNOWN = "is not known to be affine or continuous and piecewise affine"
COMPARES = (
    "asks which numbers are larger, and its answer jumps; write relu(x) for x * (x > 0), "
    "leaky_relu(x, a) for where(x > 0, x, a * x), maximum(x, y) for where(x > y, x, y)"
)
DIVIDES = "divides by what depends on the input"
TWO_FACTORS = "multiplies two tensors that both depend on the input"


class Operation:
    """A call of a function or of an ATen operation, as the rules below see it."""

    def __init__(self, name, args, kwargs, is_marked, in_training):
        self.name, self.args, self.kwargs, self.is_marked = name, args, kwargs, is_marked
        self.in_training, self._tensors = in_training, None

    def argument(self, place, name, default=None):
        return self.args[place] if place < len(self.args) else self.kwargs.get(name, default)

    def tensors(self):
        if self._tensors is None:
            self._tensors = tensors_in((self.args, self.kwargs))
        return self._tensors

    def dependent(self, *arguments):
        """How many tensors among the arguments (all, if none is named) come from the input."""
        return sum(map(self.is_marked, tensors_in(arguments) if arguments else self.tensors()))


def tensors_in(tree):
    """All tensors in nested tuples, lists and dictionaries."""
    found = []
    _collect(tree, found)
    return found


def _collect(tree, found):
    if isinstance(tree, torch.Tensor):
        found.append(tree)
    elif isinstance(tree, (tuple, list)):
        for part in tree:
            _collect(part, found)
    elif isinstance(tree, dict):
        for part in tree.values():
            _collect(part, found)


# A rule tells what is wrong with a call, or nothing.


def together(call):
    """Affine in all tensor arguments together."""


def product(*factors):
    """Affine in each of these arguments while the others are fixed, and in all further ones."""

    def rule(call):
        those = [call.args[i] for i in factors if i < len(call.args)]
        named = {key: value for key, value in call.kwargs.items() if key != "bias"}
        if call.dependent((those, named)) > 1:
            return TWO_FACTORS

    return rule


def fixed(*places, why="depends on the input in an argument in which it is not affine"):
    """Affine in all arguments together while those at these places do not depend on the input."""

    def rule(call):
        if call.dependent([call.args[i] for i in places if i < len(call.args)]):
            return why

    return rule


def division(call):
    if call.dependent(call.argument(1, "other")) or call.kwargs.get("rounding_mode"):
        return "divides by what depends on the input, or rounds"


def lerp(call):
    ends, weight = call.args[:2], call.argument(2, "weight")
    if call.dependent(ends) and call.dependent(weight):
        return TWO_FACTORS


def batch_norm(call):
    if call.in_training:
        return
    if call.argument(5, "training"):
        return "uses the statistics of the batch; call model.eval(), with stored statistics"
    return fixed(4)(call) or product(0, 1)(call)


def dropout(call):
    if not call.in_training and call.argument(1, "p", True) > 0 and call.argument(2, "training", True):
        return "is active and random; call model.eval()"


def cast(call):
    for dtype in (a for a in (*call.args, *call.kwargs.values()) if isinstance(a, torch.dtype)):
        if not (dtype.is_floating_point or dtype.is_complex):
            return "rounds to whole numbers"
        if dtype in HALVES and any(t.dtype != dtype for t in call.tensors()):
            return f"rounds to {str(dtype).removeprefix('torch.')}"


def reduction(call):
    if call.argument(4, "reduce") not in ("sum", "mean"):
        return "is affine for reduce='sum' and 'mean' only"


def _each(names, rule):
    return dict.fromkeys(names.split(), rule)


CONVOLUTIONS = {f"conv{transposed}{d}d" for d in (1, 2, 3) for transposed in ("", "_transpose")}
AFFINE = {
    **_each(
        """
        add sub rsub neg sum mean cumsum cat stack copy clone fill zero index index_select
        gather take masked_select masked_fill masked_scatter where index_put _index_put_impl
        _unsafe_index _unsafe_masked_index _unsafe_index_put index_add index_copy index_fill
        scatter scatter_add slice_scatter select_scatter diagonal_scatter as_strided_scatter put
        repeat roll flip tril triu trace diag_embed constant_pad_nd reflection_pad1d
        reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d replication_pad3d
        im2col col2im pixel_shuffle pixel_unshuffle channel_shuffle
        avg_pool2d avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d
        avg_pool1d upsample_nearest1d upsample_nearest2d
        upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d
        _upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d upsample_trilinear3d
        upsample_bicubic2d _upsample_bilinear2d_aa _upsample_bicubic2d_aa _fft_r2c _fft_c2r
        _fft_c2c _conj_physical conj_physical _reshape_copy _unsafe_view unfold
        _pack_padded_sequence affine_grid_generator complex unsafe_split unsafe_split_with_sizes
        narrow_copy view_copy rot90 block_diag
        transpose t squeeze unsqueeze as_strided""",
        together,
    ),
    **_each(
        "mul mm bmm mv dot vdot linalg_cross convolution mkldnn_convolution cudnn_convolution",
        product(0, 1),
    ),
    "_trilinear": product(0, 1, 2),
    **_each("addmm addmv baddbmm addbmm addr addcmul _sparse_addmm", product(1, 2)),
    "div": division,
    "addcdiv": fixed(2, why=DIVIDES),
    "reciprocal": lambda _: DIVIDES,
    "lerp": lerp,
    **_each("native_batch_norm cudnn_batch_norm miopen_batch_norm", batch_norm),
    "_to_copy": cast,
    "scatter_reduce": reduction,
    **_each("grid_sampler_2d grid_sampler_3d cudnn_grid_sampler", fixed(1)),
    **_each("_linalg_solve_ex linalg_solve_triangular linalg_lstsq", fixed(0)),
    **_each("linalg_lu_solve", fixed(0, 1)),
    **_each("triangular_solve cholesky_solve", fixed(1)),
    **_each("gt ge lt le eq ne", lambda _: COMPARES),
    **_each("sign sgn heaviside floor ceil round trunc frac argmax argmin hardshrink", lambda _: "jumps"),
}
# New tensors that take a shape or a type from an argument, and no number.
LIKENESS = set("empty_like zeros_like ones_like full_like new_empty new_zeros new_ones new_full".split())
PRODUCT = product(0, 1)
KNOWN = {
    **_each(
        """
        add sub __rsub__ neg sum mean cat stack view reshape flatten squeeze unsqueeze transpose permute T mT
        t chunk split unbind select narrow __getitem__ contiguous clone avg_pool2d adaptive_avg_pool2d pad
        expand""",
        together,
    ),
    **_each("mul matmul __matmul__ mm bmm linear", PRODUCT),
    **dict.fromkeys(CONVOLUTIONS, PRODUCT),
    **_each("div true_divide", division),
    **_each(
        "dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout feature_alpha_dropout", dropout
    ),
}

# What a network may ask about a tensor without looking at its numbers, and constants made in its likeness.
QUESTIONS = set(
    """
    shape size dim ndim ndimension numel nelement dtype device layout stride storage_offset is_contiguous
    __len__ zeros_like ones_like full_like empty_like new_zeros new_ones new_full new_tensor new_empty
    is_floating_point is_complex is_cuda is_mps is_cpu is_nested is_sparse is_quantized is_mkldnn is_leaf
    requires_grad requires_grad_ retain_grad register_hook grad_fn get_device element_size itemsize nbytes
    __repr__ __str__ __format__ names has_names is_meta is_xpu is_inference is_conj is_neg is_signed _version
    _is_view data_ptr is_same_size sym_size _assert_tensor_metadata __hash__ is_shared is_pinned isfinite
    isnan isinf isposinf isneginf untyped_storage""".split()
)
LOOKS = {"item", "__float__"}  # at a number: what is made of it is compared at another point, too
LEAVES = {"numpy", "__reduce_ex__", "tolist", "__array__", "__dlpack__"}
DECIDES = {"__bool__", "__int__", "__index__", "__contains__", "is_nonzero", "equal", "allclose", "nonzero"}


class Inside(TorchDispatchMode):
    """Judges the ATen operations of one call, and follows what comes from the input through them.

    Views, and views that are written into, share a storage: what depends on the input is a set of storages.
    """

    def __init__(self, call):
        super().__init__()
        self.call = call
        self.dependent = {place(t): t for t in call.tensors() if call.is_marked(t)}  # kept alive meanwhile

    @classmethod
    def _should_skip_dynamo(cls):  # else torch loads its compiler, which takes two seconds
        return False

    def is_marked(self, tensor):
        return place(tensor) in self.dependent

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = func._schema.name.split("::")[1].rstrip("_")
        operation = Operation(name, args, kwargs, self.is_marked, self.call.in_training)
        if name in LIKENESS or not operation.dependent():
            return func(*args, **kwargs)
        why = AFFINE[name](operation) if name in AFFINE else None
        output = None if why else func(*args, **kwargs)
        made = tensors_in(output)
        if why or not self._only_looks(func, operation, made):
            why = why or (None if name in AFFINE else UNKNOWN)
            if why:
                self.call.refuse(why if name == self.call.name else f"does {name} inside, which {why}")
            written = [a for a, s in zip(args, func._schema.arguments, strict=False) if _is_written(s)]
            found = [t for t in (*made, *tensors_in(written)) if t.is_floating_point() or t.is_complex()]
            self.dependent |= {place(t): t for t in found}
        return output

    def _only_looks(self, func, operation, made):
        """Whether all outputs are views of numbers that are there already."""
        seen = {t.dtype for t in operation.tensors() if self.is_marked(t)}
        return not func._schema.is_mutable and all(
            self.is_marked(t) and (t.dtype in seen or any(d.is_complex for d in seen)) for t in made
        )


def _is_written(argument):
    return argument.alias_info is not None and argument.alias_info.is_write


def place(tensor):
    """What tells the memory of a tensor from that of others."""
    return tensor.untyped_storage()._cdata if tensor.layout == torch.strided else id(tensor)
