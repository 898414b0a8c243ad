"""How steep a network is: near a point, and at most."""

import torch

from ..checks import widen
from .affine_maps import affine_map
from .comparing import BESIDE, check_affine, compare, neighbour
from .networks import settled, widened
from .operations import CONVOLUTIONS, place, tensors_in
from .tracer import flat, run
from .units import Pool

# How functions are told apart by how they move numbers.
JOIN = set("cat concat concatenate stack hstack vstack".split())
MOVE = set(
    """
    view reshape flatten unflatten squeeze unsqueeze transpose permute movedim T mT t chunk split unbind
    select narrow contiguous clone flip roll to view_as reshape_as ravel constant_pad_nd""".split()
)
SCALE = set("add sub rsub __rsub__ neg mul div true_divide batch_norm dropout expand".split())
BY_CHANNEL = set("avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool2d interpolate".split())
LARGEST = 2**21  # entries of a matrix whose norm is computed


@settled()
def local_lipschitz(model, x):
    """How fast the output can change near each point: the spectral norm of A[x], for x inside a region.

    Parameters
    ----------
    model, x : as for ``affine_map``

    Returns
    -------
    (N,) tensor; none of its entries exceeds ``lipschitz_bound(model, x)``

    Examples
    --------
    >>> local_lipschitz(torch.abs, torch.tensor([[3.0, -4.0]]))
    tensor([1.])

    Built in chapter 10.
    """
    wide, points = widened(model, x)
    run(wide, neighbour(wide, points), _choose)  # refuses units that bend everywhere
    A = affine_map(model, x).A
    A = A.reshape(*A.shape[:2], -1)
    return torch.linalg.matrix_norm(widen(A), ord=2).to(A.dtype)


def _choose(unit, call):
    unit.steepest()
    return unit.choose()[0]


@settled()
@torch.no_grad()
def lipschitz_bound(model, x):
    """A bound on how fast the output can change anywhere; along a chain, the product of its spectral norms.

    An affine function counts with the norm of its matrix, a nonlinearity with its steepest slope, a
    max-pooling with the square root of how many of its windows can share an entry. Where branches meet,
    their bounds add up, in a concatenation as the sides of a box do. A convolution whose matrix is large
    counts with the norm of its kernel on a torus, which is at least as large.

    Source: Balestriero and Baraniuk, *Mad Max*, the Lipschitz constant of a composition of MASOs.

    Parameters
    ----------
    model : nn.Module or callable, continuous and piecewise affine, in eval mode
    x : (N, *input) tensor, of which one point is used, to see the sizes

    Returns
    -------
    float

    Raises
    ------
    NotPiecewiseAffineError
        A function is not piecewise affine, or no bound for it is known; the error names it.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.ReLU())
    >>> bool(lipschitz_bound(model, torch.ones(1, 1)) == model[0].weight.abs().item())
    True

    Built in chapter 10.
    """
    model, x = widened(model, x)
    pair = check_affine(model, x)
    bounds = {}  # of all that lies in one place of memory; the tensors are kept, so that places stay theirs

    def so_far(tensor):
        return bounds[place(tensor)][0]

    def note(call, output, bound):
        written = call.args[:1] if call.inplace else ()
        if any(t._is_view() for t in written) or call.name == "__setitem__":
            call.refuse(
                "writes into a part of a tensor, for which no bound is known; join parts by torch.cat"
            )
        for tensor in tensors_in((output, written)):
            before = bounds.get(place(tensor), (0.0,))[0]
            bounds[place(tensor)] = max(bound, before), tensor
        return output

    def meet(unit, call):
        output, spread = unit.choose()[0], 0.0
        for t in filter(call.is_marked, call.tensors()):
            copies = 1 if isinstance(unit, Pool) else max(1, output.numel() / t.numel())  # pools count them
            spread += so_far(t) ** 2 * copies
        return note(call, output, unit.steepest() * spread**0.5)

    def pass_on(call):
        varied = [t for t in call.tensors() if call.is_marked(t)]
        if call.name in JOIN:
            bound = sum(so_far(t) ** 2 for t in varied) ** 0.5
        else:
            bound = sum(so_far(t) * _norm(call, t) for t in {id(t): t for t in varied}.values())
        return note(call, call.result(), bound)

    def begin(x):
        bounds[place(x)] = 1.0, x
        return model(x)

    output = run(begin, x[:1], meet, pass_on).output
    compare(flat(output), flat(pair.output)[-1:], BESIDE)
    return float(so_far(output))


def _norm(call, tensor):
    """The spectral norm of an affine call as a function of one of its tensors."""
    index = call.args[1] if call.name == "__getitem__" else ()
    whole = not tensors_in(index if isinstance(index, tuple) else (index,))  # else entries may be repeated
    if call.name in MOVE or (call.name == "__getitem__" and whole):
        return 1.0
    if call.name == "linear" and tensor is call.args[0]:
        return _largest(call.argument(1, "weight"))

    def function(values):
        output = call.changed(lambda t: values if t is tensor else torch.zeros_like(t)).result()
        return output if isinstance(output, torch.Tensor) else torch.cat([part.flatten() for part in output])

    zero = torch.zeros_like(tensor)
    if call.name in BY_CHANNEL:
        zero = zero[:, :1]
    at_zero = function(zero)
    if call.name in SCALE:
        copies = max(1, at_zero.numel() / zero.numel())
        return (function(zero + 1) - at_zero).abs().max().item() * copies**0.5
    if at_zero.numel() * zero.numel() <= LARGEST:
        dense = all(t.layout == torch.strided for t in call.tensors())
        matrix = torch.autograd.functional.jacobian(function, zero, vectorize=dense)
        return _largest(matrix.reshape(at_zero.numel(), -1))
    if call.name in CONVOLUTIONS and "transpose" not in call.name:
        details = ((3, "stride"), (5, "dilation"), (6, "groups"))
        how = (call.argument(k, name, 1) for k, name in details)
        return _norm_on_torus(tensor.shape[2:], call.argument(1, "weight"), *how)
    call.refuse(f"has a matrix of {at_zero.numel()} x {zero.numel()} numbers, too large for its norm")


def _norm_on_torus(sizes, weight, stride, dilation, groups):
    """The norm of a convolution on a torus so large that it does not meet itself: one matrix a frequency.

    With stride s it is one of stride 1 on s times as many channels, one for each remainder of a place by s.
    """
    d = len(sizes)
    stride, dilation = ([n] * d if isinstance(n, int) else n for n in (stride, dilation))
    kernel, torus = weight, []
    for size, step, spread in zip(sizes, stride, dilation, strict=True):
        length = -(-((kernel.shape[2] - 1) * spread + 1) // step) * step  # a multiple of the stride
        wide = kernel.new_zeros(*kernel.shape[:2], length, *kernel.shape[3:])
        wide[:, :, : (kernel.shape[2] - 1) * spread + 1 : spread] = kernel
        kernel = (
            wide.unflatten(2, (-1, step)).movedim(3, 2).flatten(1, 2).movedim(2, -1)
        )  # the next axis first
        torus.append(-(-size // step) + length // step)
    response = (
        torch.fft.fftn(kernel, s=torus, dim=tuple(range(2, 2 + d))).flatten(2).unflatten(0, (groups, -1))
    )
    return _largest(response.movedim(-1, 0))


def _largest(matrices):
    """The largest singular value of all matrices, from products, which takes a fraction of the time."""
    tall = matrices.shape[-2] > matrices.shape[-1]
    products = matrices.mH @ matrices if tall else matrices @ matrices.mH
    return torch.linalg.eigvalsh(products).max().clamp(min=0).sqrt().item()
