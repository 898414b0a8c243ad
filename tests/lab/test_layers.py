"""Networks of every common layer, trained by ``fit`` one after the other and by ``fit_many`` side by side."""

import copy

import numpy as np
import pytest
import torch
from helpers import rng
from torch import nn
from torch.nn.utils import parametrizations, prune

import mad_max_lib as mm
from mad_max_lib.lab.data import Data

pytestmark = [
    pytest.mark.usefixtures("on_cpu"),
    pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated:FutureWarning"),
]
S, N = 3, 13
DATA = [
    Data(rng(s).normal(size=(N, 24)), np.arange(N) % 3, rng(s + 9).normal(size=(5, 24)), np.arange(5) % 3)
    for s in range(S)
]


def dense(*layers, width=6):
    return nn.Sequential(nn.Linear(24, 6), *layers, nn.Linear(width, 3))


def image(*layers, out, shape=(1, 4, 6)):
    return nn.Sequential(nn.Unflatten(1, shape), *layers, nn.Flatten(), nn.Linear(out, 3))


def conv(*layers, out=32):
    return image(nn.Conv2d(1, 4, 3), *layers, out=out)


def sequence(*layers, out=24):
    return image(*layers, out=out, shape=(4, 6))


class First(nn.Module):
    """The first of several results; a module given twice over sees itself."""

    def __init__(self, module, times=1):
        super().__init__()
        self.module, self.times = module, times

    def forward(self, x):
        return self.module(*[x] * self.times)[0]


class Keeps(nn.Linear):
    def forward(self, x):
        self.kept = super().forward(x)
        return self.kept


def tied():
    layer = nn.Linear(24, 24)
    return nn.Sequential(layer, nn.ReLU(), layer, nn.Linear(24, 3))


def frozen():
    network = dense(nn.ReLU())
    network[0].requires_grad_(False)
    return network


def changed(how, *arguments):
    network = dense(nn.ReLU())
    how(network[0], *arguments)
    return network


def kept():
    network = nn.Sequential(Keeps(24, 6), nn.ReLU(), nn.Linear(6, 3))
    network(torch.ones(1, 24))
    return network


LAYERS = {
    "batch norm": lambda: dense(nn.BatchNorm1d(6)),
    "batch norm, momentum None": lambda: dense(nn.BatchNorm1d(6, momentum=None)),
    "batch norm, momentum None, images": lambda: conv(nn.BatchNorm2d(4, momentum=None)),
    "batch norm without statistics": lambda: dense(nn.BatchNorm1d(6, track_running_stats=False)),
    "batch norm without scales": lambda: dense(nn.BatchNorm1d(6, affine=False)),
    "layer norm": lambda: dense(nn.LayerNorm(6)),
    "group norm": lambda: conv(nn.GroupNorm(2, 4)),
    "instance norm": lambda: conv(nn.InstanceNorm2d(4)),
    "instance norm with statistics": lambda: conv(
        nn.InstanceNorm2d(4, affine=True, track_running_stats=True)
    ),
    "local response norm": lambda: conv(nn.LocalResponseNorm(2)),
    "nonlinearities": lambda: dense(
        nn.PReLU(6), nn.GELU(), nn.SiLU(), nn.Softplus(), nn.ELU(), nn.Softmax(1)
    ),
    "pools": lambda: conv(nn.MaxPool2d(2, 1), nn.AvgPool2d(2, 1, 1), nn.AdaptiveMaxPool2d(2), out=16),
    "convolution": lambda: sequence(nn.Conv1d(4, 2, 3), out=8),
    "transposed convolution": lambda: image(nn.ConvTranspose2d(1, 2, 3), out=96),
    "upsampling and padding": lambda: image(nn.Upsample(scale_factor=2), nn.ReflectionPad2d(1), out=140),
    "recurrent ReLU": lambda: sequence(First(nn.RNN(6, 5, nonlinearity="relu")), out=20),
    "LSTM": lambda: sequence(First(nn.LSTM(6, 5)), out=20),
    "GRU": lambda: sequence(First(nn.GRU(6, 5)), out=20),
    "attention": lambda: sequence(First(nn.MultiheadAttention(6, 2), 3)),
    "transformer": lambda: sequence(nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True)),
    "weight norm": lambda: changed(parametrizations.weight_norm),
    "old weight norm": lambda: changed(nn.utils.weight_norm),
    "spectral norm": lambda: changed(parametrizations.spectral_norm),
    "orthogonal": lambda: changed(parametrizations.orthogonal),
    "pruned": lambda: changed(prune.l1_unstructured, "weight", 3),
    "frozen": frozen,
    "tied": tied,
    "keeps a tensor": kept,
    "lazy": lambda: nn.Sequential(nn.Linear(24, 6), nn.LazyBatchNorm1d(), nn.LazyLinear(3)),
}
RANDOM = {
    "dropout": lambda: dense(nn.Dropout(0.5)),
    "dropout in place": lambda: dense(nn.Dropout(0.5, inplace=True)),
    "dropout of channels": lambda: sequence(nn.Dropout1d(0.5)),
    "dropout of maps": lambda: conv(nn.Dropout2d(0.5)),
    "alpha dropout": lambda: dense(nn.AlphaDropout(0.5)),
    "alpha dropout of maps": lambda: conv(nn.FeatureAlphaDropout(0.5)),
    "randomised ReLU": lambda: dense(nn.RReLU()),
    "transformer": lambda: sequence(nn.TransformerEncoderLayer(6, 2, 8, batch_first=True)),
    "recurrent": lambda: sequence(nn.Dropout(0.5), First(nn.RNN(6, 5)), out=20),
    "dropout and momentum None": lambda: dense(nn.BatchNorm1d(6, momentum=None), nn.Dropout(0.5)),
}


def built(make, seeds=range(S)):
    networks = []
    for seed in seeds:
        torch.manual_seed(seed)
        networks.append(make().double())
    return networks


def trained(how, make, seeds=range(S), data=DATA):
    networks, rngs = built(make, seeds), [rng(seed) for seed in seeds]
    before = torch.get_rng_state()
    if how == "side by side":
        mm.fit_many(networks, list(data), 2, rngs, batch=5)
    else:
        for network, parts, one_rng in zip(networks, data, rngs, strict=True):
            mm.fit(network, *parts[:2], 2, one_rng, batch=5)
    assert make is LAYERS["lazy"] or torch.equal(torch.get_rng_state(), before), "torch's own chance stays"
    expected = [rng(seed) for seed in seeds]
    for one_rng in expected:
        one_rng.permutation(N), one_rng.permutation(N)
    assert all(a.random() == b.random() for a, b in zip(rngs, expected, strict=True)), "nor is rng's used"
    return networks


def largest_difference(networks, others):
    pairs = [(a.state_dict(), b.state_dict()) for a, b in zip(networks, others, strict=True)]
    assert all(a.keys() == b.keys() for a, b in pairs)
    return max(float((a[name].double() - b[name].double()).abs().max()) for a, b in pairs for name in a)


@pytest.mark.parametrize("name", LAYERS)
def test_side_by_side_is_one_after_the_other(name):
    ours, single = (trained(how, LAYERS[name]) for how in ("side by side", "alone"))
    assert largest_difference(ours, single) < 1e-9
    if name != "lazy":
        start = built(LAYERS[name])
        assert min(largest_difference([a], [b]) for a, b in zip(ours, start, strict=True)) > 1e-3, (
            "it learned"
        )


@pytest.mark.parametrize("how", ["side by side", "alone"])
@pytest.mark.parametrize("name", RANDOM)
def test_chance_in_a_network_follows_from_the_generators(name, how):
    once = trained(how, RANDOM[name])
    torch.manual_seed(77)
    again = trained(how, RANDOM[name])
    assert largest_difference(once, again) == 0
    certain = trained(how, lambda: silent(RANDOM[name]()))
    assert min(largest_difference([a], [b]) for a, b in zip(once, certain, strict=True)) > 1e-4


def silent(network):
    for module in network.modules():
        if "dropout" in type(module).__name__.lower():
            module.p = 0.0
        if isinstance(module, nn.RReLU):
            module.lower = module.upper = 0.2
    return network


@pytest.mark.parametrize("name", RANDOM)
def test_chance_differs_between_networks_and_passes(name):
    """Twins that see the same points in the same order differ by nothing but chance."""
    twins = trained("side by side", RANDOM[name], [0, 0, 0], [DATA[0]] * 3)
    assert all(largest_difference([twins[0]], [other]) > 1e-4 for other in twins[1:])


def test_dropout_of_one_half_drops_one_half_of_every_network_anew():
    seen = []
    network = nn.Sequential(nn.Dropout(0.5), nn.Linear(24, 3)).double()
    ones = Data(np.ones((200, 24)), np.arange(200) % 3, *DATA[0][2:])

    def penalty(weights, x, logits):
        seen.append(logits.detach())
        return 0 * logits.sum()

    networks = [copy.deepcopy(network) for _ in range(2)]
    mm.fit_many(networks, [ones] * 2, 2, [rng(), rng()], batch=100, lr=1e-12, penalty=penalty)
    logits = torch.cat([part[None] for part in seen])  # (4 steps, 2 networks, 100, 3)
    assert len(torch.unique(logits.flatten(0, 2).round(decimals=9), dim=0)) > 790, "no two masks are alike"
    mean = network[1](torch.ones(24).double())
    torch.testing.assert_close(logits.flatten(0, 2).mean(0), mean, rtol=0, atol=0.15)


def test_statistics_without_momentum_count_on_from_where_each_network_was():
    networks, single = (built(LAYERS["batch norm, momentum None"]) for _ in range(2))
    for models in (networks, single):
        models[1](torch.ones(4, 24).double())
        mm.fit(models[2], *DATA[2][:2], 1, rng(), batch=5)
    mm.fit_many(networks, DATA, 2, [rng(s) for s in range(S)], batch=5)
    for s, model in enumerate(single):
        mm.fit(model, *DATA[s][:2], 2, rng(s), batch=5)
    assert largest_difference(networks, single) < 1e-9
    assert [int(model[1].num_batches_tracked) for model in networks] == [6, 7, 9]


@pytest.mark.parametrize("name", ["recurrent ReLU", "batch norm without statistics"])
def test_scores_penalties_and_changes_of_networks_that_take_turns(name):
    models, twin = built(LAYERS[name]), built(LAYERS[name])[0].eval()
    scores = mm.fit_many(
        models, DATA, 2, [rng(s) for s in range(S)], batch=5,
        penalty=lambda weights, x, logits: mm.templates(logits, x).square().sum(),
        after_step=lambda weights: [values.zero_() for values in weights.values()],
    )  # fmt: skip
    assert not any(p.any() for model in models for p in model.parameters())
    expected = 100 * np.mean(DATA[0].y_test == twin(torch.zeros(5, 24).double()).mul(0).argmax(1).numpy())
    np.testing.assert_allclose(scores.test[0], expected)


@pytest.mark.parametrize(
    "models, message",
    [
        ([frozen(), dense(nn.ReLU())], "models must be S networks of one architecture; they differ"),
        ([tied()] * 2, "they differ, or are the same"),
        ([dense(nn.Linear(6, 6)), dense(nn.Identity())], "they differ, or are the same"),
    ],
)
def test_networks_that_cannot_train_side_by_side(models, message):
    with pytest.raises(ValueError, match=message):
        mm.fit_many(models, DATA[:2], 1, [rng(), rng()])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_training_in_low_precision(dtype):
    data = mm.data.digits(rng(), n_train=200)
    model, twin = (mm.mlp([64, 16, 10], rng(1), dtype) for _ in range(2))
    losses = mm.fit(model, *data[:2], 10, rng(2), lr=1e-2)
    assert losses.dtype == np.float32 and losses[-1] < losses[0] / 2
    scores = mm.fit_many([twin], [data], 10, [rng(2)], lr=1e-2)
    assert scores.train[0, -1] > 60 and twin[0].weight.dtype == dtype


def test_what_cannot_be_trained():
    half, still, pair = mm.mlp([24, 3], rng()).half(), dense().requires_grad_(False), sequence(nn.RNN(6, 5))
    for train in (
        lambda model: mm.fit(model, *DATA[0][:2], 1, rng()),
        lambda model: mm.fit_many([model], DATA[:1], 1, [rng()]),
    ):
        with pytest.raises(TypeError, match="model must not be of float16, in which Adam divides by zero"):
            train(half)
        with pytest.raises(ValueError, match="model must have parameters to train, got none"):
            train(still)
        for model in (pair, image(out=24)[:1]):  # a tuple; an image
            with pytest.raises(
                ValueError, match=r"model must (map x, .* to \(N, C\) logits|have parameters)"
            ):
                train(model)
