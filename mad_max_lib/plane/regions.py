"""The exact partition of a plane into the regions of a network."""

import logging
from concurrent.futures import BrokenExecutor
from typing import NamedTuple

import numpy as np
import torch

from ..checks import check_count
from ..tracing.networks import copied
from ..tracing.units import NotPiecewiseAffineError
from .cutting import Cut, CutAnew
from .partitions import Partition
from .tiles import MemoryTooSmall, Tiling, check_memory

logger = logging.getLogger(__name__)


class Plane(NamedTuple):
    """The points ``origin + s u + t v`` of an input space; all three have the shape of an input.

    Examples
    --------
    >>> plane = Plane.through(torch.zeros(3), torch.ones(3), torch.tensor([0.0, 0.0, 1.0]))
    >>> plane.points(np.array([[0.0, 1.0]]))
    tensor([[0., 0., 1.]], dtype=torch.float64)

    Built in chapter 17.
    """

    origin: torch.Tensor
    u: torch.Tensor
    v: torch.Tensor

    @classmethod
    def through(cls, x0, x1, x2):
        """The plane through three inputs, at (s, t) = (0, 0), (1, 0) and (0, 1)."""
        return cls(x0, x1 - x0, x2 - x0)

    def points(self, st):
        """The inputs at plane coordinates ``st`` (N, 2): (N, *input)."""
        st = torch.as_tensor(st).to(self.origin.device, torch.float64)
        s, t = st.T.reshape(2, -1, *[1] * self.origin.dim())
        points = s * self.u.double()
        points += self.origin.double()
        points += t * self.v.double()
        return points


def partition(model, plane=None, bounds=(-1, 1, -1, 1), memory="2 GB", n_jobs=1, progress=None):
    """The exact regions of a network in a rectangle of a plane.

    The rectangle starts as one polygon. At every nonlinear call the polygons are cut along the kink of every
    unit, which is straight inside each of them. All arithmetic is in float64, whatever the network's dtype; a
    vertex counts as on a kink if the unit is there below 1e-11 of its largest value, or below 1e-12 of the
    largest number met so far, as 25 points of the rectangle show them. Raises ``NotPiecewiseAffineError`` if
    a function on the way, or in the end the model's own output, is not affine on a region. Source: Humayun,
    Balestriero, Balakrishnan and Baraniuk, *SplineCam*; the regions: *Mad Max*.

    Where too many points would be in flight at once, the rectangle is cut in tiles, one after the other or
    side by side, and regions that tiles cut are joined by their code: the regions are the same.

    Parameters
    ----------
    model : nn.Module or callable, continuous and piecewise affine, in eval mode
    plane : Plane, by default the network's own 2-D input space
    bounds : (left, right, bottom, top), the rectangle in plane coordinates s and t
    memory : str or number of bytes, such as ``"500 MB"``
        For the points in flight, of all workers together; the regions themselves come on top, with some 300
        bytes and a bit a unit each. Raises ``ValueError`` with the memory needed if a small tile is too much.
    n_jobs : int, how many tiles are done side by side, -1 for one a processor
        By joblib: on the processors here, or on whatever backend ``joblib.parallel_config`` names.
    progress : bool, optional
        Whether a bar shows the share of the area that is done; by default after three seconds.

    Returns
    -------
    Partition

    Examples
    --------
    >>> len(partition(torch.relu))
    4

    Built in chapter 16.
    """
    edges = np.asarray(bounds, float) if np.shape(bounds) == (4,) else np.full(4, np.nan)
    if not (np.isfinite(edges).all() and edges[0] < edges[1] and edges[2] < edges[3]):
        raise ValueError(
            f"bounds must be (left, right, bottom, top) with left < right, bottom < top, got {bounds}"
        )
    if not callable(model):
        raise TypeError(
            f"model must be a network or a function, got {type(model).__name__}, which is not callable"
        )
    memory = check_memory(memory)
    if n_jobs != -1:
        n_jobs = check_count("n_jobs", n_jobs)
    device = "cpu"
    if isinstance(model, torch.nn.Module):
        model = copied(model, torch.float64)  # as it is now: training may go on
        device = next((p.device for p in model.parameters()), device)
    if plane is None:
        plane = Plane(*torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], device=device))
    if not (isinstance(plane, Plane) and all(isinstance(part, torch.Tensor) for part in plane)):
        inside = f" of {', '.join(type(part).__name__ for part in plane)}" if isinstance(plane, Plane) else ""
        raise TypeError(f"plane must be a Plane of three tensors, got {type(plane).__name__}{inside}")
    for name, part in plane._asdict().items():
        if part.shape != plane.origin.shape or part.is_complex() or not part.isfinite().all():
            raise ValueError(
                f"plane must be finite and real, origin, u and v in the shape of one input, got {name} {part}"
            )
    bounds = tuple(edges.tolist())
    with torch.no_grad():
        try:
            tiling = Tiling(model, plane, bounds, memory, n_jobs, progress)
        except (NotPiecewiseAffineError, MemoryTooSmall, MemoryError):
            raise
        except Exception as error:
            raise ValueError(
                f"model cannot take the points of plane, float64 of shape (25, *{tuple(plane.origin.shape)}) "
                f"(a function around a float32 network: write network.double()): {error}"
            ) from error
        try:
            return partition_by(Cut, tiling)
        except (MemoryTooSmall, MemoryError):
            raise
        except BrokenExecutor as error:
            raise RuntimeError(
                f"a worker of n_jobs={n_jobs} died, perhaps for lack of memory: lower memory or n_jobs"
            ) from error
        except Exception as error:  # whatever a model does when points join on the way
            logger.info("cutting anew at each call, since points could not join on the way: %s", error)
        return partition_by(CutAnew, tiling)


@torch.no_grad()
def partition_by(way, tiling):
    """The partition that one way of cutting finds, if the model's own output agrees with it at 500 places."""
    cut = tiling.cut(way)
    found = Partition(
        tiling.model, tiling.plane, tiling.bounds, cut.mesh, cut.codes, cut.values, tiling.chunk
    )
    found.check_model(np.arange(0, len(found), max(1, len(found) // 500)))
    return found
