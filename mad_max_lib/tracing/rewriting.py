"""The table of functions that are made of others: each runs as written here; its parts are met in turn."""

from math import inf, prod

import torch
import torch.nn.functional as F

from .units import Reason, largest_of, ordered


def rnn_relu_cell(x, h, W, W_rec, b=None, b_rec=None):
    return torch.relu(F.linear(x, W, b) + F.linear(h, W_rec, b_rec))


def rnn_relu(x, *rest):
    """torch's fused recurrent ReLU network, written out step by step."""
    if isinstance(rest[1], torch.Tensor):  # packed: (x, lengths, h, weights, ...)
        lengths, *rest = rest
        if not (lengths == lengths[0]).all():
            raise Reason("takes a packed sequence of unequal lengths; pass a padded one")
        states, last = rnn_relu(x.unflatten(0, (len(lengths), -1)), *rest, False)
        return states.flatten(0, 1), last
    h, weights, has_biases, num_layers, dropout, training, bidirectional, batch_first = rest
    if dropout > 0 and training:
        raise Reason("applies active dropout between its layers; call model.eval()")
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


def minimum(input, other):
    return -torch.maximum(-input, -other)


def min_(input, dim=None, keepdim=False, other=None):
    other = dim if isinstance(dim, torch.Tensor) else other
    if other is not None:
        return minimum(input, other)
    return with_places(amin(input, () if dim is None else dim, keepdim))


def amin(input, dim=(), keepdim=False):
    return -torch.amax(-input, dim, keepdim)


def sort(input, dim=-1, descending=False, stable=False):
    """In order of value; equal ones stay in the order they came in."""
    if dim % input.dim() == 0:
        raise Reason("puts all points together in order; give it a dim after the first")
    values = input.movedim(dim, -1)
    values = -ordered(-values) if descending else ordered(values)
    return with_places(values.movedim(-1, dim))


def topk(input, k, dim=-1, largest=True, sorted=True):
    return with_places(sort(input, dim, largest)[0].narrow(dim, 0, k))


def kthvalue(input, k, dim=-1, keepdim=False):
    value = sort(input, dim)[0].narrow(dim, k - 1, 1)
    return with_places(value if keepdim else value.squeeze(dim))


def median(input, dim=None, keepdim=False):
    if dim is None:
        raise Reason("takes the median of all points together; give it a dim after the first")
    return kthvalue(input, (input.shape[dim] + 1) // 2, dim, keepdim)


def cummax(input, dim):
    if dim % input.dim() == 0:
        raise Reason("takes the largest of several points together; give it a dim after the first")
    first, *rest = input.unbind(dim)
    largest = [first]
    for values in rest:
        largest.append(torch.maximum(largest[-1], values))
    return with_places(torch.stack(largest, dim))


def norm(input, p="fro", dim=None, keepdim=False, out=None, dtype=None):
    if p not in (1, inf, -inf) or dim is None:
        raise Reason("is a curved norm, or one of all points; those of p = 1 and p = inf along a dim are not")
    if p == 1:
        return input.abs().sum(dim, keepdim)
    return (amin if p < 0 else torch.amax)(input.abs(), dim, keepdim)


def linalg_norm(input, ord=None, dim=None, keepdim=False):
    if not isinstance(dim, int):
        raise Reason("is a matrix norm or one of all points; give it one dim after the first")
    return norm(input, ord, dim, keepdim)


def l1_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    apart = (input - target).abs()
    return {"none": apart.clone, "mean": apart.mean, "sum": apart.sum}[reduction]()


def lp_pool(d):
    def pool(input, norm_type, kernel_size, stride=None, ceil_mode=False):
        if norm_type != 1 or ceil_mode:
            return NotImplemented
        kernel = [kernel_size] * d if isinstance(kernel_size, int) else list(kernel_size)
        return getattr(F, f"avg_pool{d}d")(input, kernel, stride) * prod(kernel)

    return pool


def scatter_reduce(input, dim, index, src, reduce, *, include_self=True):
    """The largest of each group of numbers, where the groups do not depend on the input."""
    if reduce == "amin":
        return -torch.scatter_reduce(-input, dim, index, -src, "amax", include_self=include_self)
    if reduce != "amax":
        return NotImplemented
    if dim % input.dim() == 0 or not (index == index[:1]).all():
        raise Reason("takes the largest of several points together; group along a dim after the first")
    index, shape = index[0], input.shape[1:]
    at = torch.arange(prod(shape), device=index.device).reshape(shape)
    where = torch.meshgrid(*(torch.arange(n, device=index.device) for n in index.shape), indexing="ij")
    into = at[tuple(index if d == dim % input.dim() - 1 else axis for d, axis in enumerate(where))].flatten()
    source = torch.arange(src[0].numel(), device=index.device).reshape(src.shape[1:])[where].flatten()
    order, sizes = into.argsort(stable=True), into.bincount(minlength=prod(shape))
    windows = torch.full((prod(shape), int(sizes.max()) + 1), -1, device=index.device)
    windows[:, 0] = torch.where((sizes == 0) | include_self, torch.arange(prod(shape)).to(sizes), -1)
    column = torch.arange(len(into)).to(sizes) - (sizes.cumsum(0) - sizes)[into[order]]
    windows[into[order], column + 1] = prod(shape) + source[order]
    return largest_of(torch.cat([input.flatten(1), src.flatten(1)], 1), windows).reshape(input.shape)


def tensor(data, dtype=None, device=None, requires_grad=False, pin_memory=False):
    if not isinstance(data, torch.Tensor):
        raise Reason("takes numbers out of tensors; join these by torch.stack")
    return data.to(device=device, dtype=dtype).clone()


def with_places(values):
    """What torch gives with places: these come from the input, so that nothing can be done with them."""
    return torch.return_types.max((values, torch.zeros_like(values, dtype=torch.long)))


REWRITTEN = {
    "rnn_relu": rnn_relu,
    "rnn_relu_cell": rnn_relu_cell,
    "minimum": minimum,
    "fmin": minimum,
    "fmax": torch.maximum,
    "min": min_,
    "amin": amin,
    "aminmax": lambda input, dim=(), keepdim=False: torch.return_types.aminmax(
        (amin(input, dim, keepdim), torch.amax(input, dim, keepdim))
    ),
    "sort": sort,
    "topk": topk,
    "kthvalue": kthvalue,
    "median": median,
    "nanmedian": median,
    "cummax": cummax,
    "cummin": lambda input, dim: with_places(-cummax(-input, dim)[0]),
    "norm": norm,
    "linalg_vector_norm": lambda input, ord=2, dim=None, keepdim=False: norm(input, ord, dim, keepdim),
    "linalg_norm": linalg_norm,
    "l1_loss": l1_loss,
    "pairwise_distance": lambda x1, x2, p=2, eps=1e-6, keepdim=False: norm(x1 - x2 + eps, p, -1, keepdim),
    "cdist": lambda x1, x2, p=2, compute_mode=None: norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), p, -1),
    **{f"lp_pool{d}d": lp_pool(d) for d in (1, 2, 3)},
    "scatter_reduce": scatter_reduce,
    "as_tensor": lambda data, dtype=None, device=None: tensor(data, dtype, device),
    "tensor": tensor,
    "__deepcopy__": lambda input, memo: input.clone(),
}
