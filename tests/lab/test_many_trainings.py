"""Many networks at once against one after the other."""

import copy
import random

import joblib
import numpy as np
import pytest
import torch
from helpers import rng
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import mad_max_lib as mm
from mad_max_lib.lab.data import Data
from mad_max_lib.lab.training import Accuracies

pytestmark = pytest.mark.usefixtures("on_cpu")
few = settings(max_examples=12, deadline=None)


def generators(S):
    return [rng(s) for s in range(S)]


def numbered(make, S, *how):
    """S things, each from a generator of its own."""
    return [make(one_rng, *how) for one_rng in generators(S)]


def some_data(rng, N=23, D=5, C=3, N_test=9):
    return Data(
        rng.normal(size=(N, D)),
        rng.integers(0, C, N),
        rng.normal(size=(N_test, D)),
        rng.integers(0, C, N_test),
    )


def small(rng):
    return mm.mlp([5, 6, 3], rng)


def normed(rng, dtype=torch.float64):
    layers = [nn.Linear(64, 6, bias=False), nn.BatchNorm1d(6, momentum=0.3), nn.PReLU(6), nn.Linear(6, 10)]
    return mm.draw_weights(nn.Sequential(*layers), rng, dtype)


def one_by_one(models, data, epochs, rngs, batch=50, lr=1e-3, penalty=None, after_step=None):
    """Adam on the cross-entropy plus ``penalty(model, x, logits)``, for one network after the other."""
    for model, (x, y, *_), one_rng in zip(models, data, rngs, strict=True):
        x, y = torch.tensor(x).to(next(model.parameters())), torch.tensor(y)
        adam = torch.optim.Adam(model.parameters(), lr=lr)
        for _ in range(epochs):
            order = one_rng.permutation(len(x))
            for start in range(0, len(x), batch):
                rows = order[start : start + batch]
                points = x[rows].requires_grad_()
                logits = model.train()(points)
                loss = nn.functional.cross_entropy(logits, y[rows])
                if penalty:
                    loss = loss + penalty(model, points, logits)
                adam.zero_grad()
                loss.backward()
                adam.step()
                if after_step:
                    with torch.no_grad():
                        after_step(model)
        model.eval()


def assert_alike(models, others, **tolerance):
    for model, other in zip(models, others, strict=True):
        state, expected = model.state_dict(), other.state_dict()
        assert list(state) == list(expected)
        for name in state:
            torch.testing.assert_close(state[name], expected[name], **tolerance)


CLOSE = dict(rtol=0, atol=1e-9)


# ---------------------------------------------------------------- fit_many against fit


@few
@given(
    S=st.integers(1, 4), N=st.integers(1, 30), batch=st.integers(1, 35), epochs=st.integers(1, 3),
    widths=st.lists(st.integers(1, 7), max_size=2), lr=st.sampled_from([1e-3, 1e-2]),
)  # fmt: skip
def test_side_by_side_is_one_after_the_other(S, N, batch, epochs, widths, lr):
    data = numbered(some_data, S, N)
    untouched = copy.deepcopy(data)
    ours, single = (numbered(lambda rng: mm.mlp([5, *widths, 3], rng), S) for _ in range(2))
    our_rngs, rngs = (generators(S) for _ in range(2))
    scores = mm.fit_many(ours, data, epochs, our_rngs, batch=batch, lr=lr)
    for model, (x, y, *_), one_rng in zip(single, data, rngs, strict=True):
        mm.fit(model, x, y, epochs, one_rng, batch=batch, lr=lr)
    assert_alike(ours, single, **CLOSE)
    assert type(scores) is Accuracies and scores.train.shape == scores.test.shape == (S, epochs)
    for our_rng, one_rng in zip(our_rngs, rngs, strict=True):
        assert our_rng.bit_generator.state == one_rng.bit_generator.state
    for parts, before in zip(data, untouched, strict=True):
        assert all(np.array_equal(part, old) for part, old in zip(parts, before, strict=True))


@pytest.mark.parametrize("network", [mm.small_cnn, mm.small_resnet, normed])
@pytest.mark.parametrize(
    "dtype, tolerance", [(torch.float64, CLOSE), (torch.float32, dict(rtol=1e-3, atol=1e-4))]
)
def test_batch_norm_keeps_the_statistics_of_each_network(network, dtype, tolerance):
    data = numbered(some_data, 3, 23, 64, 10)
    ours, single = (numbered(network, 3, dtype) for _ in range(2))
    before = copy.deepcopy(ours)
    mm.fit_many(ours, data, 2, generators(3), batch=7)
    for model, (x, y, *_), one_rng in zip(single, data, generators(3), strict=True):
        mm.fit(model, x, y, 2, one_rng, batch=7)
    assert_alike(ours, single, **tolerance)
    for model, old in zip(ours, before, strict=True):
        state, start = model.state_dict(), old.state_dict()
        steps = [values.item() for name, values in state.items() if "tracked" in name]
        assert steps == [8] * str(model).count("BatchNorm")
        assert all(values.dtype == start[name].dtype for name, values in state.items())
        assert all(not torch.equal(state[name], start[name]) for name in state if "running" in name)


@pytest.mark.parametrize("network", [normed, mm.small_resnet])
@pytest.mark.parametrize("N, N_test", [(23, 9), (9, 401)])
def test_scores_are_the_shares_of_right_answers_after_every_epoch(network, N, N_test):
    data = numbered(some_data, 2, N, 64, 10, N_test)
    scores = mm.fit_many(numbered(network, 2), data, 3, generators(2), batch=6, lr=1e-2)
    steps = -(-N // 6)

    def measure(step):
        if step and step % steps == 0:
            twin = copy.deepcopy(model).eval()
            for name, (x, y) in {"train": parts[:2], "test": parts[2:]}.items():
                guesses = [int(twin(torch.tensor(point[None])).argmax()) for point in x]
                hits = sum(guess == label for guess, label in zip(guesses, y, strict=True))
                expected[name].append(100 * hits / len(y))

    for s, (model, parts) in enumerate(zip(numbered(network, 2), data, strict=True)):
        expected = {"train": [], "test": []}
        mm.fit(model, *parts[:2], 3, rng(s), batch=6, lr=1e-2, on_step=measure)
        for name in expected:
            np.testing.assert_allclose(getattr(scores, name)[s], expected[name], rtol=1e-12)
    assert np.ptp(scores.train) > 0 and np.ptp(scores.test) > 0, "scores that never change prove nothing"


def test_defaults_are_those_of_fit():
    data, models, single = numbered(some_data, 2, 60), numbered(small, 2), numbered(small, 2)
    mm.fit_many(models, data, 2, generators(2))
    for s, (model, (x, y, *_)) in enumerate(zip(single, data, strict=True)):
        mm.fit(model, x, y, 2, rng(s))
    assert_alike(models, single, **CLOSE)


class Tied(nn.Module):
    """One layer used twice, under two names, and a constant that is not saved."""

    def __init__(self, tied):
        super().__init__()
        self.first, self.out = nn.Linear(5, 5), nn.Linear(5, 3)
        self.second = self.first if tied else nn.Linear(5, 5)
        self.register_buffer("two", torch.tensor(2.0), persistent=tied)

    def forward(self, x):
        return self.out(self.second(self.two * self.first(x).relu()))


@pytest.mark.parametrize("tied", [True, False])
def test_shared_weights_and_constants_that_are_not_saved(tied):
    data = numbered(some_data, 2)
    ours, single = ([mm.draw_weights(Tied(tied), rng(s)) for s in range(2)] for _ in range(2))
    mm.fit_many(ours, data, 2, generators(2), batch=7)
    for s, (model, (x, y, *_)) in enumerate(zip(single, data, strict=True)):
        mm.fit(model, x, y, 2, rng(s), batch=7)
    assert_alike(ours, single, **CLOSE)
    assert all((model.first is model.second) == tied for model in ours)


def test_models_come_back_in_eval_mode_with_the_same_parameters_objects():
    models = [model.train() for model in numbered(normed, 2)]
    before = [list(model.parameters()) for model in models]
    mm.fit_many(models, numbered(some_data, 2, 23, 64, 10), 1, generators(2), batch=7)
    for model, parameters in zip(models, before, strict=True):
        assert not any(module.training for module in model.modules())
        assert all(p is q and p.requires_grad for p, q in zip(model.parameters(), parameters, strict=True))


def test_no_global_random_state_is_used_or_changed():
    results = []
    for seed in [1, 2]:
        np.random.seed(seed), torch.manual_seed(seed), random.seed(seed)
        before = np.random.get_state()[1].copy(), torch.get_rng_state(), random.getstate()
        results.append(mm.fit_many(numbered(small, 2), numbered(some_data, 2), 2, generators(2), 7, 0.1))
        assert np.array_equal(np.random.get_state()[1], before[0]) and np.random.get_state()[2] == 624
        assert torch.equal(torch.get_rng_state(), before[1]) and random.getstate() == before[2]
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


def test_networks_learn_from_wrong_labels_and_are_measured_on_right_ones():
    data = [mm.data.digits(rng(s), n_train=100) for s in range(2)]
    wrong = [parts._replace(y_train=(parts.y_train + 1) % 10) for parts in data]
    models = numbered(lambda rng: mm.mlp([64, 32, 10], rng), 2)
    scores = mm.fit_many(models, wrong, 30, generators(2), lr=1e-2)
    assert (scores.train[:, -1] > 95).all() and (scores.test[:, -1] < 10).all()


# ---------------------------------------------------------------- penalty and after_step


def test_penalties_get_what_the_documentation_says():
    def penalty(weights, x, logits):
        s_weights = {name: [p.detach().clone() for p in values] for name, values in weights.items()}
        seen.append((s_weights, x.detach().clone(), logits.detach().clone()))
        assert x.requires_grad and torch.autograd.grad(logits.sum(), x, retain_graph=True)[0].any()
        return 0 * logits.sum()

    seen, data, models = [], numbered(some_data, 3), numbered(small, 3)
    twin = copy.deepcopy(models[0])
    mm.fit_many(models, data, 2, generators(3), batch=10, penalty=penalty)
    assert [(tuple(x.shape), tuple(logits.shape)) for _, x, logits in seen] == [
        ((3, size, 5), (3, size, 3)) for size in [10, 10, 3] * 2
    ]
    for s in range(3):
        one_rng = rng(s)
        order = np.concatenate([one_rng.permutation(23) for _ in range(2)])
        np.testing.assert_array_equal(torch.cat([x[s] for _, x, _ in seen]), data[s].x_train[order])
        for weights, x, logits in seen:
            assert list(weights) == [name for name, _ in twin.named_parameters()]
            twin.load_state_dict({name: values[s] for name, values in weights.items()})
            torch.testing.assert_close(logits[s], twin(x[s]).detach(), **CLOSE)


@few
@given(
    S=st.integers(1, 4),
    strength=st.sampled_from([0.01, 0.3]),
    what=st.sampled_from(["rows", "templates", "norm"]),
)
def test_a_penalty_of_all_is_the_penalty_of_each(S, strength, what):
    def side_by_side(weights, x, logits):
        if what == "norm":
            return strength * sum(values.square().sum() for values in weights.values())
        return strength * mm.overlap(weights["2.weight"] if what == "rows" else mm.templates(logits, x)).sum()

    def alone(model, x, logits):
        if what == "norm":
            return strength * sum(p.square().sum() for p in model.parameters())
        first, last = model[0].weight, model[2].weight
        held = [(model[0](point) > 0).to(point)[:, None] * first for point in x]
        matrices = [last] if what == "rows" else [last @ slopes for slopes in held]
        pairs = [(c, d) for c in range(3) for d in range(3) if c != d]
        return strength * sum((W[c] @ W[d]) ** 2 for W in matrices for c, d in pairs)

    data = numbered(some_data, S)
    ours, single, plain = (numbered(small, S) for _ in range(3))
    mm.fit_many(ours, data, 2, generators(S), batch=10, penalty=side_by_side)
    one_by_one(single, data, 2, generators(S), batch=10, penalty=alone)
    assert_alike(ours, single, rtol=0, atol=1e-8)
    one_by_one(plain, data, 2, generators(S), batch=10)
    assert not torch.equal(plain[0][2].weight, ours[0][2].weight), "the penalty must matter"


@pytest.mark.parametrize("network", [small, lambda rng: normed(rng)])
def test_a_penalty_on_one_network_leaves_the_others_unchanged(network):
    data = numbered(some_data, 3, 23, *((5, 3) if network is small else (64, 10)))
    plain, punished = (numbered(network, 3) for _ in range(2))
    last = "2.weight" if network is small else "3.weight"
    mm.fit_many(plain, data, 2, generators(3), batch=10)
    on_one = lambda weights, x, logits: 10 * mm.overlap(weights[last][1])  # noqa: E731
    mm.fit_many(punished, data, 2, generators(3), batch=10, penalty=on_one)
    assert_alike(plain[::2], punished[::2], **CLOSE)
    assert not torch.allclose(plain[1].state_dict()[last], punished[1].state_dict()[last], atol=1e-6)


def test_after_step_sees_the_weights_of_every_step_and_needs_no_gradients():
    def after_step(weights):
        assert not torch.is_grad_enabled()
        ours.append({name: values.clone() for name, values in weights.items()})

    ours, data = [], numbered(some_data, 2)
    mm.fit_many(numbered(small, 2), data, 2, generators(2), batch=10, after_step=after_step)
    assert len(ours) == 6
    for s, model in enumerate(numbered(small, 2)):
        theirs = []
        copies = lambda step: theirs.append(copy.deepcopy(model).parameters())  # noqa: B023, E731
        mm.fit(model, *data[s][:2], 2, rng(s), batch=10, on_step=copies)
        for weights, expected in zip(ours, theirs[1:], strict=True):
            for values, p in zip(weights.values(), expected, strict=True):
                torch.testing.assert_close(values[s], p, **CLOSE)


def test_after_step_may_change_the_weights():
    def side_by_side(weights):
        weights["2.weight"].copy_(mm.gram_schmidt(weights["2.weight"]))

    def alone(model):
        model[2].weight.copy_(mm.gram_schmidt(model[2].weight))

    data = numbered(some_data, 2)
    ours, single = numbered(small, 2), numbered(small, 2)
    mm.fit_many(ours, data, 2, generators(2), batch=10, lr=1e-2, after_step=side_by_side)
    one_by_one(single, data, 2, generators(2), batch=10, lr=1e-2, after_step=alone)
    assert_alike(ours, single, **CLOSE)
    assert all(mm.overlap(model[2].weight) < 1e-20 for model in ours)


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_loss_that_becomes_nan_stops_the_training_and_names_the_epoch(value):
    def penalty(weights, x, logits):
        calls.append(1)
        return logits.sum() * 0 + (float(value) if len(calls) == 5 else 0.0)

    calls, models = [], numbered(small, 2)
    before = copy.deepcopy(models)
    with pytest.raises(FloatingPointError, match=f"the loss became {value} in epoch 2; is lr=0.01 too big"):
        mm.fit_many(models, numbered(some_data, 2), 9, generators(2), 10, 0.01, penalty)
    assert len(calls) == 5
    assert_alike(models, before, rtol=0, atol=0)


def test_one_network_s_step_size_out_of_proportion_is_such_a_case():
    with pytest.raises(
        FloatingPointError, match=r"the loss became (nan|inf) in epoch [12]; is lr=1e\+160 too big\?"
    ):
        mm.fit_many(numbered(small, 2), numbered(some_data, 2), 9, generators(2), lr=1e160)


def with_part(**change):
    """Two networks' data, the second with other parts."""
    first, second = numbered(some_data, 2)
    return [first, second._replace(**change)]


LABELS = some_data(rng()).y_train
LENGTHS = "models, data and rngs must be lists of one length, got"
NAN_X, LOW_Y, HIGH_Y = np.full((23, 5), np.nan), LABELS - 1, LABELS + 1


@pytest.mark.parametrize(
    "change, error, message",
    [
        (dict(models=numbered(small, 1)), ValueError, f"{LENGTHS} 1, 2, 2"),
        (dict(data=numbered(some_data, 3)), ValueError, f"{LENGTHS} 2, 3, 2"),
        (dict(rngs=[rng()]), ValueError, f"{LENGTHS} 2, 2, 1"),
        (dict(models=[], data=[], rngs=[]), ValueError, f"{LENGTHS} 0, 0, 0"),
        (dict(data=some_data(rng())), ValueError, f"{LENGTHS} 2, 4, 2"),
        (dict(data=[some_data(rng()), some_data(rng(), 24)]), ValueError, "data .* same sizes for all"),
        (dict(data=[some_data(rng()), some_data(rng(), N_test=8)]), ValueError, "data .* same sizes for all"),
        (dict(data=[some_data(rng()), some_data(rng(), D=4)]), ValueError, "data .* same sizes for all"),
        (dict(data=numbered(some_data, 2, 23, 4)), ValueError, r"model must map x, \(23, 4\), to"),
        (dict(data=numbered(some_data, 2, 23, 5, 3, 0)), ValueError, r"x must .*, got \(0, 5\), .* empty"),
        (dict(data=with_part(x_train=NAN_X)), ValueError, "x must be finite; .*: 115 of 115"),
        (dict(data=with_part(x_test=NAN_X[:9])), ValueError, "x must be finite; .*: 45 of 45"),
        (dict(data=with_part(x_train=NAN_X.tolist())), TypeError, "x must be .*, got list"),
        (dict(data=with_part(y_train=LOW_Y)), ValueError, "y must hold labels from 0 to 2, got -1 to 1"),
        (dict(data=with_part(y_train=HIGH_Y)), ValueError, "y must hold labels from 0 to 2, got 1 to 3"),
        (dict(data=with_part(y_test=HIGH_Y[:9])), ValueError, "y must hold labels from 0 to 2, got 1 to 3"),
        (dict(data=with_part(y_train=LABELS + 0.0)), TypeError, "y must hold integer labels, got .*float64"),
        (dict(data=with_part(y_test=LABELS[:9] > 0)), TypeError, "y must hold integer labels, got .*bool"),
        (dict(rngs=[rng(), 1]), TypeError, "rng must be a NumPy Generator such as .*, got int"),
        (dict(rngs=[rng(), None]), TypeError, "rng must be a NumPy Generator such as .*, got NoneType"),
        (dict(epochs=0), ValueError, "epochs must be a whole number of at least 1, got 0"),
        (dict(epochs=1.5), ValueError, "epochs must be a whole number of at least 1, got 1.5"),
        (dict(batch=0), ValueError, "batch must be a whole number of at least 1, got 0"),
        (dict(lr=0), ValueError, "lr must be a positive number, got 0"),
        (dict(lr=-1.0), ValueError, "lr must be a positive number, got -1.0"),
        (dict(lr=float("inf")), ValueError, "lr must be a positive number, got inf"),
        (dict(models=[nn.Flatten(), nn.Flatten()]), ValueError, "model must have parameters to train"),
    ],
)  # fmt: skip
def test_bad_arguments_leave_the_models_alone(change, error, message):
    arguments = dict(models=numbered(small, 2), data=numbered(some_data, 2), rngs=generators(2), epochs=1)
    arguments |= change
    before = copy.deepcopy(arguments["models"])
    with pytest.raises(error, match=message):
        mm.fit_many(**arguments)
    assert_alike(arguments["models"], before, rtol=0, atol=0)


@pytest.mark.parametrize("sizes", [[5, 7, 3], [5, 6, 6, 3], [5, 6, 4]])
def test_different_architectures_raise_before_any_step(sizes):
    models = [small(rng()), mm.mlp(sizes, rng(1))]
    before = copy.deepcopy(models)
    with pytest.raises((ValueError, RuntimeError)):
        mm.fit_many(models, numbered(some_data, 2), 1, generators(2), after_step=pytest.fail)
    assert_alike(models, before, rtol=0, atol=0)


# ---------------------------------------------------------------- many runs on a cluster


def test_studies_run_on_a_dask_cluster_as_in_a_loop():
    distributed = pytest.importorskip(
        "dask.distributed", reason="the optional package dask.distributed is not installed"
    )

    def study(seed, where=lambda: "here"):
        rngs = rng(seed).spawn(2)
        data = [mm.data.digits(one_rng, n_train=40) for one_rng in rngs]
        models = [mm.mlp([64, 8, 10], one_rng) for one_rng in rngs]
        return where(), mm.fit_many(models, data, 3, rngs, batch=16, lr=1e-2), models

    def worker():
        return distributed.get_worker().name

    setup = dict(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None)
    with distributed.LocalCluster(**setup) as cluster, distributed.Client(cluster):
        with joblib.parallel_config("dask"):
            many = joblib.Parallel()(joblib.delayed(study)(seed, worker) for seed in range(4))
    for (name, scores, models), (_, expected, others) in zip(many, map(study, range(4)), strict=True):
        assert name in (0, 1)
        assert all(np.array_equal(a, b) for a, b in zip(scores, expected, strict=True))
        assert_alike(models, others, rtol=0, atol=0)
