"""Region codes of a network, and distances between them."""

from collections.abc import Sequence

import torch

from ..checks import check_count
from .comparing import BESIDE, check_affine, compare
from .networks import laid_out, settled, widened
from .tracer import flat, replay, run
from .units import NotPiecewiseAffineError

CHANGED_PLACES = "held at the pieces in its row (have points changed places?) the output at a point"


class RegionCodes(Sequence):
    """Which piece every unit chose, at each of N points, one ``(N, units)`` tensor for each nonlinear call.

    Attributes
    ----------
    names : list of str
        The calls in order, such as ``1:relu`` and ``2:max_pool2d``.

    Examples
    --------
    >>> codes = region_codes(torch.relu, torch.tensor([[-1.0, 2.0], [1.0, 2.0]]))
    >>> codes.names
    ['1:relu']
    >>> codes[0]
    tensor([[0, 1],
            [1, 1]], dtype=torch.uint8)
    """

    def __init__(self, names, layers, N):
        self.names, self._layers, self._none = list(names), list(layers), torch.zeros(N, 0, dtype=torch.uint8)

    def __len__(self):
        return len(self._layers)

    def __getitem__(self, layer):
        return self._layers[layer]

    def all(self):
        """The codes of all calls side by side: (N, all units)."""
        return torch.cat(self._layers, 1) if self._layers else self._none

    def regions(self):
        """The number of each point's region, from 0 in order of first appearance: (N,) integers.

        Examples
        --------
        >>> region_codes(torch.relu, torch.tensor([[-1.0], [1.0], [-2.0]])).regions()
        tensor([0, 1, 0])
        """
        rows = self.all()
        numbers = {}
        regions = [numbers.setdefault(row.tobytes(), len(numbers)) for row in rows.cpu().numpy()]
        return torch.tensor(regions, device=rows.device)


@settled()
def region_codes(model, x):
    """Record which piece every unit of a network chooses at each point.

    Raises ``NotPiecewiseAffineError`` if a function on the way is not piecewise affine.
    Source: Balestriero and Baraniuk, *Mad Max*, the selection variables of the vector quantization.

    Parameters
    ----------
    model : nn.Module or callable, continuous and piecewise affine, in eval mode
    x : (N, *input) tensor

    Returns
    -------
    RegionCodes
        One ``(N, units)`` tensor for each nonlinear call, uint8, or int64 where a unit has more than 256
        pieces: the number of kinks below the pre-activation (0 and 1 for a ReLU), or the place in the pooling
        window. Ties go to the lowest piece.

    Examples
    --------
    >>> pool = torch.nn.MaxPool1d(3)
    >>> region_codes(pool, torch.tensor([[[1.0, 5.0, 2.0]]]))[0]
    tensor([[1]], dtype=torch.uint8)

    Built in chapter 06.
    """
    model, x = widened(model, x)
    with torch.no_grad():
        pair = check_affine(model, x)
        trace, codes, ends = _codes(model, laid_out(x, pair))
    if len(x) == len(pair.output) == 1:  # a network of a single graph may have its nodes on the first axis
        return RegionCodes(trace.names, [each.reshape(1, -1) for each in codes], 1)
    compare(flat(trace.output)[:1], flat(pair.output)[-1:], BESIDE)
    if trace.names != pair.names:
        raise NotPiecewiseAffineError(
            f"model calls {', '.join(trace.names)} for {len(x)} points and {', '.join(pair.names)} for 2"
        )
    for name, two, many in zip(trace.names, pair.pieces, codes, strict=True):
        if two.shape != (len(pair.output), *many.shape[1:]) or len(many) != len(x):
            raise NotPiecewiseAffineError(
                f"{name} sees {tuple(many.shape)} numbers for {len(x)} points and {tuple(two.shape)} "
                f"for {len(pair.output)}; the points must stay on the first axis"
            )
    rows = [torch.cat([two[-1:], some]) for two, some in zip(pair.pieces, ends, strict=True)]
    with torch.no_grad():
        held = replay(model, laid_out(x[[0, 0, -1]], pair), rows)
    compare(flat(held), flat(trace.output)[[0, 0, -1]], CHANGED_PLACES, trace.output.abs().max())
    return RegionCodes(trace.names, [flat(each) for each in codes], len(x))


def _codes(model, x):
    """The run, the codes of each of its nonlinear calls, and their pieces at the first and the last point."""
    codes, ends = [], []

    def meet(unit, call):
        output, pieces = unit.choose()
        numbers = unit.codes(pieces)
        codes.append(numbers.to(torch.uint8) if unit.count <= 256 else numbers)
        ends.append(pieces[[0, -1]])
        return output

    return run(model, x, meet), codes, ends


def vq_distance(codes_a, codes_b, layer=None):
    """The share of units that chose different pieces, for every pair of points.

    Zero within a region, so a distance between codes but not between points: two points of one region
    cannot be told apart. Source: Balestriero and Baraniuk, *Mad Max*, the partition-based distance.

    Parameters
    ----------
    codes_a, codes_b : RegionCodes of the same network, at N_a and at N_b points
    layer : int, which nonlinear call; all units of all calls by default

    Returns
    -------
    (N_a, N_b) float32 tensor in [0, 1]

    Examples
    --------
    >>> codes = region_codes(torch.relu, torch.tensor([[-1.0, 2.0], [1.0, 2.0]]))
    >>> vq_distance(codes, codes)
    tensor([[0.0000, 0.5000],
            [0.5000, 0.0000]])

    Built in chapter 20.
    """
    for name, codes in {"codes_a": codes_a, "codes_b": codes_b}.items():
        if not isinstance(codes, RegionCodes):
            raise TypeError(f"{name} must be RegionCodes, got {type(codes).__name__}")
    if codes_a.names != codes_b.names or [c.shape[1] for c in codes_a] != [c.shape[1] for c in codes_b]:
        raise ValueError(
            f"codes_a and codes_b must come from one network, got {codes_a.names} and {codes_b.names}"
        )
    a, b = (codes.all() if layer is None else codes[layer] for codes in (codes_a, codes_b))
    units, R = a.shape[1], 1 + max(int(a.max()), int(b.max()))
    if R <= 2:  # with -1 and 1 for the pieces, a product counts agreements minus differences
        a, b = (2 * codes.float() - 1 for codes in (a, b))
        return (units - a @ b.T) / (2 * units)
    a, b = (torch.cat([(codes == r).float() for r in range(R)], 1) for codes in (a, b))
    return 1 - a @ b.T / units


def nearest(codes_a, codes_b, k, layer=None):
    """The k points of b whose codes are nearest to each point of a: (N_a, k) indices, nearest first.

    Of points at the same distance the first come first.

    Examples
    --------
    >>> codes = region_codes(torch.relu, torch.tensor([[-1.0, 2.0], [1.0, 2.0]]))
    >>> nearest(codes, codes, k=1)
    tensor([[0],
            [1]])

    Built in chapter 20.
    """
    distance = vq_distance(codes_a, codes_b, layer)
    k = check_count("k", k, high=distance.shape[1])
    return distance.argsort(dim=1, stable=True)[:, :k]
