"""``fit`` against a plain loop, and what it refuses."""

import random

import numpy as np
import pytest
import torch
from helpers import rng
from torch import nn

from mad_max_lib import fit, mlp
from mad_max_lib.lab.data import moons_and_circles

pytestmark = pytest.mark.usefixtures("on_cpu")


# ---------------------------------------------------------------- fit


def plain_loop(model, x, y, epochs, rng, batch, lr):
    """Adam on the cross-entropy, written once more without any comfort."""
    x, y = torch.tensor(x, dtype=model[0].weight.dtype), torch.tensor(y)
    adam, losses = torch.optim.Adam(model.parameters(), lr=lr), []
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for start in range(0, len(x), batch):
            rows = order[start : start + batch]
            logits = model(x[rows])
            loss = (logits.logsumexp(1) - logits[range(len(rows)), y[rows]]).mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses.append(loss.item())
    return np.array(losses)


@pytest.mark.parametrize("batch, lr", [(50, 1e-3), (16, 1e-2), (1, 1e-3), (1000, 1e-2)])
def test_fit_is_a_plain_loop(batch, lr):
    x, y = moons_and_circles(80, rng())
    ours, plain = mlp([2, 8, 4], rng(1)), mlp([2, 8, 4], rng(1))
    losses = fit(ours, x, y, epochs=3, rng=rng(2), batch=batch, lr=lr)
    expected = plain_loop(plain, x, y, 3, rng(2), batch, lr)
    assert type(losses) is np.ndarray and losses.shape == expected.shape == (3 * -(-80 // batch),)
    np.testing.assert_allclose(losses, expected, rtol=0, atol=1e-11)
    for p, q in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=1e-11)


def test_fit_has_the_documented_defaults():
    x, y = moons_and_circles(80, rng())
    results = []
    for settings in [{}, dict(batch=50, lr=1e-3)]:
        model = mlp([2, 8, 4], rng(1))
        results.append(fit(model, x, y, epochs=2, rng=rng(2), **settings))
    assert np.array_equal(*results)


def test_every_pass_has_an_order_of_its_own():
    class Witness(nn.Linear):
        def forward(self, x):
            if self.training:
                seen.append(x[:, 0].tolist())
            return super().forward(x)

    seen, x = [], np.arange(10.0)[:, None]
    fit(Witness(1, 2), x, np.zeros(10, int), epochs=3, rng=rng(), batch=4)
    passes = [sum(seen[i : i + 3], []) for i in [0, 3, 6]]
    assert all(sorted(one) == list(range(10)) for one in passes)
    assert len({tuple(one) for one in [*passes, range(10)]}) == 4


def test_fit_neither_uses_nor_changes_global_random_states():
    results = []
    for seed in [1, 2]:
        np.random.seed(seed), torch.manual_seed(seed), random.seed(seed)
        before = np.random.get_state()[1].copy(), torch.get_rng_state(), random.getstate()
        model = mlp([2, 8, 4], rng(1))
        results.append(fit(model, *moons_and_circles(80, rng()), epochs=2, rng=rng(2)))
        assert np.array_equal(np.random.get_state()[1], before[0]) and np.random.get_state()[2] == 624
        assert torch.equal(torch.get_rng_state(), before[1]) and random.getstate() == before[2]
    assert np.array_equal(*results)


def test_on_step_is_called_with_every_number_from_0():
    model, steps, weights = mlp([2, 8, 4], rng(1)), [], []

    def on_step(step):
        steps.append(step)
        weights.append(model[0].weight.detach().clone())

    start = model[0].weight.detach().clone()
    losses = fit(model, *moons_and_circles(80, rng()), epochs=3, rng=rng(), batch=30, on_step=on_step)
    assert steps == list(range(10)) and len(losses) == 9
    assert torch.equal(weights[0], start) and torch.equal(weights[-1], model[0].weight)
    assert all(not torch.equal(a, b) for a, b in zip(weights, weights[1:], strict=False))


def test_models_train_in_training_mode_and_come_back_ready_for_use():
    modes = []
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4)).double()
    fit(
        model,
        *moons_and_circles(80, rng()),
        epochs=1,
        rng=rng(),
        on_step=lambda step: modes.append(model.training),
    )
    assert modes == [True] * 3 and not model.training
    assert model[1].num_batches_tracked == 2, "looking at the model first must not change it"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("labels", [np.int64, np.int32, np.uint8])
@pytest.mark.parametrize("to", [np.asarray, torch.from_numpy])
def test_inputs_take_the_model_s_type_and_any_integer_labels_will_do(dtype, labels, to):
    x, y = moons_and_circles(40, rng())
    losses = fit(mlp([2, 4], rng(1), dtype), to(x), to(y.astype(labels)), epochs=1, rng=rng())
    expected = fit(mlp([2, 4], rng(1)), x, y, epochs=1, rng=rng())
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
    assert torch.from_numpy(losses).dtype == dtype


def test_images_are_inputs_too():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))
    losses = fit(model, rng().normal(size=(6, 1, 4, 4)), np.arange(6) % 3, epochs=2, rng=rng())
    assert losses.shape == (2,) and losses.dtype == np.float32


X, Y = moons_and_circles(40, rng())
NAN_X, LOW_Y, HIGH_Y = X.copy(), Y.copy(), Y.copy()
NAN_X[3, 1], LOW_Y[0], HIGH_Y[0] = np.nan, -1, 4


@pytest.mark.parametrize(
    "change, error, message",
    [
        (dict(x=X[:0], y=Y[:0]), ValueError, r"x must have shape \(N, 2\), got \(0, 2\), which is empty"),
        (dict(x=X[:30]), ValueError, r"y must have shape \(30,\), a label for each point of x, got \(40,\)"),
        (dict(y=Y[:30]), ValueError, r"y must have shape \(40,\), a label for each point of x, got \(30,\)"),
        (
            dict(y=Y[:, None]),
            ValueError,
            r"y must have shape \(40,\), a label for each point of x, got \(40, 1\)",
        ),
        (
            dict(y=np.eye(4)[Y]),
            ValueError,
            r"y must have shape \(40,\), a label for each point of x, got \(40, 4\)",
        ),
        (dict(x=np.ones(())), ValueError, r"x must have shape \(N,\), got \(\)"),
        (dict(x=X[:, :1]), ValueError, r"model must map x, \(40, 1\), to \(N, C\) logits"),
        (dict(x=X[:, 0]), ValueError, r"model must map x, \(40,\), to \(N, C\) logits"),
        (dict(x=X.tolist()), TypeError, "x must be a NumPy array or a torch tensor, got list"),
        (dict(y=Y.tolist()), TypeError, "y must be a NumPy array or a torch tensor, got list"),
        (dict(x=X.astype(complex)), TypeError, "x must hold real numbers, got torch.complex128"),
        (dict(x=NAN_X), ValueError, "x must be finite; entries that are NaN or infinite: 1 of 80"),
        (
            dict(x=np.full_like(X, -np.inf)),
            ValueError,
            "x must be finite; entries that are NaN or infinite: 80 of 80",
        ),
        (dict(y=Y.astype(float)), TypeError, "y must hold integer labels, got torch.float64"),
        (dict(y=Y > 1), TypeError, "y must hold integer labels, got torch.bool"),
        (dict(y=LOW_Y), ValueError, "y must hold labels from 0 to 3, got -1 to 3"),
        (dict(y=HIGH_Y), ValueError, "y must hold labels from 0 to 3, got 0 to 4"),
        (dict(epochs=0), ValueError, "epochs must be a whole number of at least 1, got 0"),
        (dict(epochs=1.5), ValueError, "epochs must be a whole number of at least 1, got 1.5"),
        (dict(batch=0), ValueError, "batch must be a whole number of at least 1, got 0"),
        (dict(batch=-5), ValueError, "batch must be a whole number of at least 1, got -5"),
        (dict(batch=None), ValueError, "batch must be a whole number of at least 1, got None"),
        (dict(lr=-1.0), ValueError, "lr must be a positive number, got -1.0"),
        (dict(lr=float("nan")), ValueError, "lr must be a positive number, got nan"),
        (dict(lr="fast"), ValueError, "lr must be a positive number, got 'fast'"),
        (dict(rng=0), TypeError, "rng must be a NumPy Generator such as .*, got int"),
        (dict(model=nn.Flatten()), ValueError, "model must have parameters to train"),
        (
            dict(model=nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))),
            ValueError,
            r"model must map .* to \(N, C\) logits",
        ),
    ],
)
def test_bad_arguments_of_fit_leave_the_model_alone(change, error, message):
    arguments = dict(model=mlp([2, 5, 4], rng(), torch.float32), x=X, y=Y, epochs=1, rng=rng()) | change
    before = [p.detach().clone() for p in arguments["model"].parameters()]
    with pytest.raises(error, match=message):
        fit(**arguments)
    assert all(torch.equal(p, q) for p, q in zip(arguments["model"].parameters(), before, strict=True))


def test_a_loss_that_becomes_nan_stops_the_training_and_names_the_step():
    class Breaks(nn.Linear):
        def forward(self, x):
            return super().forward(x) * (float("nan") if steps == [0, 1, 2] else 1.0)

    steps, model = [], Breaks(2, 4)
    with pytest.raises(FloatingPointError, match="the loss became nan at step 3; is lr=0.01 too big"):
        fit(model, X, Y, epochs=9, rng=rng(), lr=0.01, on_step=steps.append)
    assert steps == [0, 1, 2] and model.weight.isfinite().all(), "the broken step is not taken"


def test_a_step_size_out_of_proportion_is_such_a_case():
    with pytest.raises(
        FloatingPointError, match=r"the loss became (nan|inf) at step 2; is lr=1e\+160 too big\?"
    ):
        fit(mlp([2, 5, 4], rng(1)), X, Y, epochs=9, rng=rng(), lr=1e160)
