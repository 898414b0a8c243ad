"""Penalties against loops, Gram-Schmidt against the textbook, templates against affine maps; joint scores."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from torch import nn
from torch.autograd import gradcheck, gradgradcheck

import mad_max_lib as mm

pytestmark = pytest.mark.usefixtures("on_cpu")
few = settings(max_examples=50, deadline=None)
ALL = [mm.overlap, mm.cosine_overlap, mm.length_penalty]
FOR_ALL = pytest.mark.parametrize("penalty", ALL)
NUMBERS = st.floats(-3, 3, width=32).filter(lambda number: abs(number) > 1e-3 or number == 0)


def stacks(min_dims=2, max_dims=4):
    """Matrices and stacks of them, zeros and zero rows among them."""
    shapes = array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=1, max_side=5)
    return shapes.flatmap(lambda shape: arrays(float, shape, elements=NUMBERS)).map(torch.from_numpy)


def drawn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def looped(penalty, W):
    """The penalty of one matrix in plain Python."""
    rows = W.detach().tolist()
    dot = lambda v, w: sum(a * b for a, b in zip(v, w, strict=True))  # noqa: E731
    if penalty is mm.length_penalty:
        return sum(dot(w, w) ** 2 for w in rows)
    if penalty is mm.cosine_overlap:
        rows = [[a / (dot(w, w) ** 0.5 or 1) for a in w] for w in rows]
    pairs = [(v, w) for k, v in enumerate(rows) for l, w in enumerate(rows) if k != l]  # noqa: E741
    return sum(dot(v, w) ** 2 for v, w in pairs)


def gradient(penalty, W):
    W = W.clone().requires_grad_()
    return torch.autograd.grad(penalty(W).sum(), W)[0]


# ---------------------------------------------------------------- penalties


@FOR_ALL
@few
@given(stacks())
def test_penalties_are_double_loops(penalty, W):
    values = penalty(W)
    assert values.shape == W.shape[:-2] and values.dtype == W.dtype
    expected = [looped(penalty, matrix) for matrix in W.reshape(-1, *W.shape[-2:])]
    np.testing.assert_allclose(values.flatten(), expected, rtol=1e-11, atol=1e-11)


@few
@given(stacks(max_dims=2))
def test_gradients_pull_each_row_along_the_others(W):
    expected = torch.zeros_like(W)
    for c in range(len(W)):
        for d in range(len(W)):
            if c != d:
                expected[c] += 4 * (W[c] @ W[d]) * W[d]
    torch.testing.assert_close(gradient(mm.overlap, W), expected, rtol=1e-11, atol=1e-11)
    lengths = W.norm(dim=1, keepdim=True)
    torch.testing.assert_close(gradient(mm.length_penalty, W), 4 * lengths**2 * W, rtol=1e-11, atol=1e-11)
    turn = gradient(
        mm.cosine_overlap, W
    )  # rows are turned, not stretched; and the length is in the denominator
    assert turn.isfinite().all() and (turn * W).sum(1).abs().max() < 1e-10
    directions = W / lengths.where(lengths > 0, torch.ones(()))
    flat = gradient(mm.overlap, directions)
    across = (flat - (flat * directions).sum(1, keepdim=True) * directions) / lengths
    torch.testing.assert_close(turn[lengths[:, 0] > 0], across[lengths[:, 0] > 0], rtol=1e-9, atol=1e-9)


@few
@given(stacks())
def test_overlap_and_length_penalty_share_the_products_of_all_rows(W):
    everything = torch.linalg.matrix_norm(W @ W.mT) ** 2
    torch.testing.assert_close(mm.overlap(W) + mm.length_penalty(W), everything, rtol=1e-11, atol=1e-11)


@FOR_ALL
@few
@given(stacks(max_dims=3), st.integers(0, 2**32 - 1), st.floats(0.1, 10))
def test_penalties_see_neither_rotations_nor_the_order_of_rows(penalty, W, seed, scale):
    K, D = W.shape[-2:]
    rotation = torch.linalg.qr(drawn(D, D, seed=seed))[0]
    order = torch.randperm(K, generator=torch.Generator().manual_seed(seed))
    signs = drawn(K, 1, seed=seed).sign()
    value, close = penalty(W), dict(rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(penalty(W @ rotation), value, **close)
    torch.testing.assert_close(penalty(W[..., order, :]), value, **close)
    torch.testing.assert_close(penalty(signs * W), value, **close)
    torch.testing.assert_close(
        penalty(scale * W), value if penalty is mm.cosine_overlap else scale**4 * value, **close
    )


@few
@given(stacks(max_dims=3), st.lists(st.floats(1e-3, 1e3), min_size=5, max_size=5))
def test_cosine_overlap_sees_no_lengths(W, lengths):
    lengths = torch.tensor(lengths, dtype=torch.float64)[: W.shape[-2], None]
    torch.testing.assert_close(mm.cosine_overlap(lengths * W), mm.cosine_overlap(W), rtol=1e-9, atol=1e-9)


@few
@given(st.integers(1, 5), st.integers(0, 99))
def test_orthogonal_rows_do_not_overlap_and_equal_ones_fully(K, seed):
    rows = torch.linalg.qr(drawn(5, 5, seed=seed))[0][:K]
    assert mm.overlap(rows) < 1e-28 and mm.cosine_overlap(7 * rows) < 1e-28
    np.testing.assert_allclose(mm.length_penalty(2 * rows), 16 * K)
    np.testing.assert_allclose(mm.cosine_overlap(rows[:1].expand(K, -1)), K * (K - 1))


@FOR_ALL
def test_zero_rows_overlap_with_nothing(penalty):
    W = drawn(4, 6)
    with_zeros = torch.zeros(6, 6, dtype=torch.float64)
    with_zeros[[1, 2, 4, 5]] = W
    torch.testing.assert_close(penalty(with_zeros), penalty(W), rtol=1e-12, atol=0)
    slope = gradient(penalty, with_zeros)
    assert not slope[[0, 3]].any(), "a row of zeros stays where it is"
    torch.testing.assert_close(slope[[1, 2, 4, 5]], gradient(penalty, W), rtol=1e-10, atol=1e-12)
    assert penalty(torch.zeros(2, 3)) == 0


@pytest.mark.parametrize("dtype, size", [(torch.float16, 400), (torch.float32, 1e20), (torch.float64, 1e160)])
def test_rows_whose_squared_length_overflows_need_not_overlap(dtype, size):
    W = torch.diag(torch.tensor([size, size], dtype=torch.float64)).to(dtype)
    assert mm.overlap(W) == 0 and not gradient(mm.overlap, W).any()


@FOR_ALL
@pytest.mark.parametrize("shape", [(3, 4), (4, 2), (2, 3, 2), (1, 3)])
def test_derivatives_are_those_of_differences(penalty, shape):
    W = drawn(*shape).requires_grad_()
    assert gradcheck(penalty, W) and gradgradcheck(penalty, W)


@pytest.mark.parametrize("function", [*ALL, mm.gram_schmidt])
def test_single_precision_stays_single(function):
    W = drawn(2, 3, 5, dtype=torch.float32)
    assert function(W).dtype == torch.float32
    torch.testing.assert_close(function(W).double(), function(W.double()), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("function", [*ALL, mm.gram_schmidt])
@pytest.mark.parametrize(
    "W, error, message",
    [
        (np.eye(2), TypeError, r"W must be a floating torch tensor of shape \(..., K, D\), got ndarray"),
        ([[1.0]], TypeError, r"W must be a floating torch tensor of shape \(..., K, D\), got list"),
        (torch.eye(2).int(), TypeError, r"W must be a floating torch tensor .*, got torch.int32 \(2, 2\)"),
        (torch.eye(2) + 0j, TypeError, r"W must be a floating torch tensor .*, got torch.complex64 \(2, 2\)"),
        (torch.ones(3), TypeError, r"W must be a floating torch tensor .*, got torch.float32 \(3,\)"),
        (
            torch.tensor([[1, np.nan]]),
            ValueError,
            "W must be finite; entries that are NaN or infinite: 1 of 2",
        ),
        (
            torch.full((2, 2), np.inf),
            ValueError,
            "W must be finite; entries that are NaN or infinite: 4 of 4",
        ),
    ],
)
def test_bad_matrices(function, W, error, message):
    with pytest.raises(error, match=message):
        function(W)


# ---------------------------------------------------------------- Gram-Schmidt


def textbook(W):
    """Gram and Schmidt's loop for one matrix, one row and one projection at a time."""
    done = []
    for w in W.numpy():
        rest = w.copy()
        for q in done:
            rest -= (rest @ q) / (q @ q) * q
        done.append(rest / np.linalg.norm(rest) * np.linalg.norm(w))
    return np.array(done)


matrices = st.tuples(
    st.lists(st.integers(1, 3), max_size=2), st.integers(1, 6), st.integers(0, 4), st.integers(0, 2**32 - 1)
).map(lambda how: drawn(*how[0], how[1], how[1] + how[2], seed=how[3]))


@few
@given(matrices)
def test_gram_schmidt_is_the_textbook_s_loop(W):
    assume((torch.linalg.cond(W) < 1e4).all())
    before, Q = W.clone(), mm.gram_schmidt(W)
    assert Q.shape == W.shape and torch.equal(W, before), "the argument stays as it is"
    for q, w in zip(Q.reshape(-1, *W.shape[-2:]), W.reshape(-1, *W.shape[-2:]), strict=True):
        np.testing.assert_allclose(q, textbook(w), rtol=0, atol=1e-9)


@few
@given(matrices)
def test_what_gram_schmidt_keeps(W):
    assume((torch.linalg.cond(W) < 1e4).all())
    Q, K = mm.gram_schmidt(W), W.shape[-2]
    products, lengths = Q @ Q.mT, W.norm(dim=-1)
    torch.testing.assert_close(products, torch.diag_embed(lengths**2), rtol=0, atol=1e-10)
    assert (mm.cosine_overlap(Q) < 1e-20).all()
    assert ((Q * W).sum(-1) > 0).all(), "no row turns round"
    torch.testing.assert_close(Q[..., 0, :], W[..., 0, :], rtol=1e-12, atol=1e-12)
    for k in range(1, K + 1):
        both = torch.cat([Q[..., :k, :], W[..., :k, :]], -2)
        assert (torch.linalg.matrix_rank(both, rtol=1e-9) == k).all(), "the first k rows keep their span"
    torch.testing.assert_close(mm.gram_schmidt(Q), Q, rtol=0, atol=1e-10)


@few
@given(matrices, st.lists(st.floats(1e-3, 1e3), min_size=6, max_size=6))
def test_rows_are_scaled_one_by_one(W, scales):
    assume((torch.linalg.cond(W) < 1e4).all())
    scales = torch.tensor(scales, dtype=torch.float64)[: W.shape[-2], None]
    torch.testing.assert_close(
        mm.gram_schmidt(scales * W), scales * mm.gram_schmidt(W), rtol=1e-8, atol=1e-10
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", range(5))
def test_dependent_rows_raise_wherever_they_are(dtype, seed):
    W = drawn(2, 4, 6, seed=seed, dtype=dtype)
    for dependent in [W[1, 0], 1e-3 * W[1, 1] - W[1, 0], torch.zeros(6, dtype=dtype)]:
        for k in [2, 3]:
            bad = W.clone()
            bad[1, k] = dependent
            for matrices in [bad, bad[1]]:
                with pytest.raises(
                    ValueError, match="W must have linearly independent rows; one of them lies"
                ):
                    mm.gram_schmidt(matrices)
    with pytest.raises(ValueError, match="W must have linearly independent rows"):
        mm.gram_schmidt(torch.zeros(1, 3, dtype=dtype))


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_nearly_parallel_rows_are_told_from_parallel_ones_at_any_length(size):
    rows = lambda angle: size * torch.tensor([[1, 0, 0], [1, angle, 0]]).double()  # noqa: E731
    torch.testing.assert_close(mm.gram_schmidt(rows(1e-5))[1] / size, torch.tensor([0, 1.0, 0]).double())
    with pytest.raises(ValueError, match="W must have linearly independent rows"):
        mm.gram_schmidt(rows(1e-7))


@pytest.mark.parametrize("shape", [(3, 2), (5, 2, 1)])
def test_more_rows_than_columns_cannot_be_orthogonal(shape):
    with pytest.raises(
        ValueError, match=rf"W must have at most as many rows as columns .*, got \({shape[0]}, "
    ):
        mm.gram_schmidt(drawn(*shape))


# ---------------------------------------------------------------- templates


@pytest.mark.parametrize("make", [lambda rng: mm.mlp([64, 9, 7, 4], rng), mm.small_cnn, mm.small_resnet])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_templates_are_the_matrices_of_affine_map(make, dtype):
    model, x = make(np.random.default_rng(0)).eval().to(dtype), drawn(5, 64, dtype=dtype)
    expected = mm.affine_map(model, x).A
    x.requires_grad_()
    ours = mm.templates(model(x), x)
    assert ours.shape == expected.shape and ours.requires_grad
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-10 if dtype == torch.float64 else 1e-5)


def test_templates_in_training_are_those_of_each_network():
    def penalty(weights, x, logits):
        ours = mm.templates(logits, x)
        assert ours.shape == (*logits.shape, 5)
        for s in range(3):
            twin.load_state_dict({name: values[s] for name, values in weights.items()})
            torch.testing.assert_close(ours[s], mm.affine_map(twin, x[s].detach()).A, rtol=1e-10, atol=1e-12)
        seen.append(len(x[0]))
        return ours.square().sum()

    rngs = [np.random.default_rng(s) for s in range(3)]
    parts = [(drawn(7, 5, seed=s).numpy(), np.arange(7) % 4) for s in range(3)]
    seen, models, twin = [], [mm.mlp([5, 6, 4], rng) for rng in rngs], mm.mlp([5, 6, 4], rngs[0]).eval()
    mm.fit_many(models, [mm.data.Data(*part, *part) for part in parts], 2, rngs, batch=4, penalty=penalty)
    assert seen == [4, 3] * 2


def test_under_batch_norm_templates_hold_what_a_point_does_to_the_logits_of_others():
    model = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3)).double().train()
    x = drawn(4, 5).requires_grad_()
    full = torch.autograd.functional.jacobian(model, x)  # (4, 3, 4, 5)
    torch.testing.assert_close(mm.templates(model(x), x), full.sum(0).transpose(0, 1), rtol=1e-10, atol=1e-12)
    own = full[range(4), :, range(4)]
    assert not torch.allclose(own, full.sum(0).transpose(0, 1)), "the others must matter here"


@pytest.mark.parametrize("penalty", [*ALL, lambda A: A.square().sum()])
def test_penalties_on_templates_have_derivatives(penalty):
    x = drawn(3, 4, seed=1)

    def loss(V, b, W):
        points = x.clone().requires_grad_()
        return penalty(mm.templates((points @ V.T + b).tanh() @ W.T, points)).sum()

    V, b, W = (drawn(*shape, seed=seed).requires_grad_() for seed, shape in enumerate([(5, 4), (5,), (3, 5)]))
    assert gradcheck(loss, (V, b, W))
    assert all(slope.any() for slope in torch.autograd.grad(loss(V, b, W), (V, b, W)))


def test_a_penalty_on_the_templates_of_a_relu_network_reaches_its_weights():
    model, x = mm.mlp([4, 6, 3], np.random.default_rng(0)), drawn(5, 4, seed=1)
    points = x.clone().requires_grad_()
    slopes = torch.autograd.grad(
        mm.overlap(mm.templates(model(points), points)).sum(), (model[0].weight, model[2].weight)
    )
    V, W = (model[layer].weight.detach().clone().requires_grad_() for layer in (0, 2))
    on = (x @ V.T + model[0].bias > 0).to(x)
    expected = torch.autograd.grad(sum(mm.overlap(W @ (kept[:, None] * V)) for kept in on), (V, W))
    torch.testing.assert_close(slopes, expected, rtol=1e-10, atol=1e-12)


def test_templates_need_an_input_with_gradients():
    x = torch.ones(2, 3)
    with pytest.raises(
        ValueError, match="x must require gradients and logits be computed from it; call x.requires"
    ):
        mm.templates(x.sum(1, keepdim=True), x)


# ---------------------------------------------------------------- joint choices


def layer(seed, K=3, R=3, D=4, absent=False):
    rng = np.random.default_rng(seed)
    A, B, x = rng.normal(size=(K, R, D)), rng.normal(size=(K, R)), rng.normal(size=(6, D))
    if absent:
        B[rng.integers(K), rng.integers(R)] = -np.inf
    return mm.MASO(A, B), x


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("K, R, D", [(1, 1, 2), (1, 4, 3), (2, 3, 4), (3, 2, 5), (4, 3, 2)])
def test_joint_scores_are_the_log_density_of_a_sum_of_slopes(seed, K, R, D):
    """x is a sum of one slope of each unit and noise of width 1; each unit draws its slope by its own prior.

    The logarithm of prior times density is the score, less what depends on x alone and one constant.
    """
    maso, x = layer(seed, K, R, D)
    scores, choices = mm.joint_scores(maso, x)
    assert choices.tolist() == [list(t) for t in product(range(R), repeat=K)] and scores.shape == (
        len(x),
        R**K,
    )
    joint = np.zeros_like(scores)
    for n in range(len(x)):
        for i, t in enumerate(choices):
            for k in range(K):
                joint[n, i] += np.log(mm.unit_to_mixture(maso.A[k], maso.B[k])[1][t[k]])
            rest = x[n] - sum(maso.A[k, t[k]] for k in range(K))
            joint[n, i] += sum(-r * r / 2 - np.log(2 * np.pi) / 2 for r in rest)
    difference = scores - joint
    posterior = np.exp(joint - joint.max(1, keepdims=True))
    posterior /= posterior.sum(1, keepdims=True)
    np.testing.assert_allclose(mm.posterior(scores, 0.5), posterior, atol=1e-11)
    alone = (x**2).sum(1, keepdims=True) / 2  # all that is left over, but one constant
    np.testing.assert_allclose(
        difference - alone, (difference - alone)[0, 0] + 0 * difference, rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize("seed", range(4))
def test_joint_scores_pair_by_pair(seed):
    maso, x = layer(seed, absent=seed > 1)
    scores, choices = mm.joint_scores(maso, x)
    single = maso.scores(x)
    for i, t in enumerate(choices):
        pairs = sum(maso.A[k, t[k]] @ maso.A[j, t[j]] for j in range(3) for k in range(j))
        np.testing.assert_allclose(
            scores[:, i], sum(single[:, k, t[k]] for k in range(3)) - pairs, rtol=1e-12, atol=1e-12
        )
    if seed > 1:
        gone = np.isneginf(maso.B[range(3), choices]).any(1)
        assert gone.sum() == 9 and (np.isneginf(scores) == gone).all()
    else:
        assert np.isfinite(scores).all()


def test_joint_scores_worked_by_hand():
    W = np.array([[1.0, 2.0], [2.0, 0.0]])
    scores, choices = mm.joint_scores(
        mm.operators.relu(2).after(W, np.array([0.5, -1.0])), np.array([[1.0, 1.0]])
    )
    assert choices.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert scores.tolist() == [[0, 1, 3.5, 2.5]], "together 3.5 + 1, less the product 2 of the rows"


@pytest.mark.parametrize(
    "operator", [mm.operators.relu, mm.operators.absolute, lambda K: mm.operators.leaky_relu(K, 0.1)]
)
@pytest.mark.parametrize("seed", range(3))
def test_with_orthogonal_rows_each_unit_decides_for_itself(operator, seed):
    W, b = drawn(3, 5, seed=seed), drawn(3, seed=seed + 1).numpy()
    x = 2 * drawn(20, 5, seed=seed + 2).numpy()
    together = operator(3).after(mm.gram_schmidt(W).numpy(), b)
    scores, choices = mm.joint_scores(together, x)
    np.testing.assert_array_equal(choices[scores.argmax(1)], together.codes(x))
    np.testing.assert_allclose(scores.max(1), together(x).sum(1), rtol=1e-10, atol=1e-10)
    for beta in [0.0, 0.5, 0.8]:
        joint, alone = mm.posterior(scores, beta), mm.posterior(together.scores(x), beta)
        product_of_units = np.prod([alone[:, k, choices[:, k]] for k in range(3)], 0)
        np.testing.assert_allclose(joint, product_of_units, rtol=1e-9, atol=1e-12)
    overlapping = operator(3).after(W.numpy() + 1, b)
    scores, choices = mm.joint_scores(overlapping, x)
    assert (choices[scores.argmax(1)] != overlapping.codes(x)).any(), (
        "rows that overlap explain each other away"
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_joint_scores_in_torch_and_with_derivatives(dtype):
    maso, x = layer(0)
    expected = mm.joint_scores(maso, x)
    in_torch = mm.MASO(torch.from_numpy(maso.A), torch.from_numpy(maso.B))
    points = torch.from_numpy(x).to(dtype)
    scores, choices = mm.joint_scores(in_torch, points)
    assert scores.dtype == dtype and np.array_equal(choices, expected[1])
    np.testing.assert_allclose(scores, expected[0], rtol=1e-4, atol=1e-4 if dtype == torch.float32 else 1e-12)
    assert mm.joint_scores(maso, x.astype("float32"))[0].dtype == np.float32
    whole = mm.joint_scores(maso, np.round(x).astype(int))
    np.testing.assert_allclose(whole[0], mm.joint_scores(maso, np.round(x))[0])
    of = lambda A, B, x: mm.joint_scores(mm.MASO(A, B), x)[0]  # noqa: E731
    small, at = layer(1, K=2, R=2, D=2)
    assert gradcheck(of, [torch.from_numpy(part).requires_grad_() for part in (small.A, small.B, at[:2])])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("make", [np.asarray, torch.tensor])
def test_a_long_slope_does_not_hide_the_products_of_short_ones(make, dtype):
    """The square of the long one's length holds no digit of the product 1 of the other two."""
    long = {"float16": 200, "float32": 1e5, "float64": 1e9}[dtype]
    A = np.array([[[0, 0], [long, 0]], [[0, 0], [0, 1]], [[0, 0], [0, 1]]], dtype)
    maso = mm.MASO(make(A), make(np.zeros((3, 2), dtype)))
    scores, choices = mm.joint_scores(maso, make(np.zeros((1, 2), dtype)))
    assert (-scores[0]).tolist() == (choices[:, 1] * choices[:, 2]).tolist()


@pytest.mark.parametrize("make", [np.asarray, torch.tensor])
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_products_of_slopes_that_overflow_are_refused(make):
    maso = mm.MASO(make(np.full((2, 1, 1), 1e200)), make(np.zeros((2, 1))))
    with pytest.raises(ValueError, match="the sum of the products of slopes must be finite"):
        mm.joint_scores(maso, make(np.zeros((1, 1))))


def test_bad_joint_choices():
    maso, x = layer(0)
    with pytest.raises(TypeError, match="maso must be a MASO, got function"):
        mm.joint_scores(mm.operators.relu, x)
    assert mm.joint_scores(mm.operators.relu(16), np.zeros((1, 16)))[0].shape == (1, 2**16)
    for K, words in [(17, r"2\^17"), (100, r"2\^100")]:
        with pytest.raises(ValueError, match=rf"maso must have at most 2\^16 joint choices, got {words}"):
            mm.joint_scores(mm.operators.relu(K), np.zeros((1, K)))
    with pytest.raises(ValueError, match=r"x must have shape \(N, 4\), got \(6, 3\)"):
        mm.joint_scores(maso, x[:, 1:])
    with pytest.raises(TypeError, match=r"mixed \(x is torch, parameters is numpy\)"):
        mm.joint_scores(maso, torch.from_numpy(x))
