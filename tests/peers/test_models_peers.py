"""Whole models and the optimizer beside PyTorch's autograd, mambapy, transformers and torch.optim.

The same weights go into both. Echo and Adam run in float64 on both sides. transformers computes its
norms and its scan in float32 whatever it is given, so it runs in float32; ours in float64 is then
the truth, and what float32 may differ from it is derived, see `assert_float32_of`.
"""

import warnings

import numpy as np
import pytest

from minimamba.models.echo import echo_loss, echo_loss_backward
from minimamba.models.mamba_lm import lm_backward, lm_logits, lm_step, load_pretrained
from minimamba.ops.adam import adam_init, adam_update, adamw_update
from minimamba.oracle.bound.tolerance import tolerance
from minimamba.oracle.truth import block
from minimamba.trees import tree_leaves, tree_map
from tests.models.helpers import random_echo, random_rows
from tests.models.test_mamba_lm import to_entries

torch = pytest.importorskip("torch", reason="needs the extra `peers`")
from benchmarks import peers  # noqa: E402  (after what it needs)
from benchmarks.cpu import echo_torch  # noqa: E402

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def worst(ours, theirs):
    """Return the largest difference, relative to the largest number of theirs."""
    assert ours.shape == theirs.shape
    return np.abs(ours - theirs).max() / (np.abs(theirs).max() or 1.0)


# --- EchoMamba4Rec against autograd on the same tree


def draw_echo(seed, outer, inner, length):
    """Return weights of random sizes and a batch with histories of length 1, all, and between."""
    rng = np.random.default_rng(seed)
    width, state, items = (int(x) for x in rng.integers((2, 1, 3), (9, 6, 20)))
    conv, expand = (int(x) for x in rng.integers((1, 1), (5, 4)))
    sizes = {"width": width, "state": state, "items": items, "conv": conv, "expand": expand}
    params = random_echo(seed, length=length, outer=outer, inner=inner, **sizes)
    lengths = [1, length, *rng.integers(1, length + 1, 3)]
    return params, random_rows(seed, lengths, length, items)


@pytest.mark.parametrize("scan", [peers.torch_loop, peers.mambapy_pscan])
@pytest.mark.parametrize("outer, inner", [(1, 1), (2, 1), (1, 2), (2, 2)])
@pytest.mark.parametrize("length", [1, 6, 9, 16])
def test_echos_loss_and_every_gradient_equal_autograd(length, outer, inner, scan):
    if scan is peers.mambapy_pscan:
        pytest.importorskip("mambapy", reason="needs the extra `peers`")
    params, batch = draw_echo(100 * length + 10 * outer + inner, outer, inner, length)
    assert params.item_embedding[0].all()  # the padding's row is not zero
    loss, cache = echo_loss(*batch, params)
    ours = dict(tree_leaves(echo_loss_backward(1.0, cache)))
    leaves = echo_torch.to_torch(params)
    value = echo_torch.loss(*map(torch.from_numpy, batch), leaves, 0.0, scan)
    theirs = echo_torch.gradients(value, leaves)
    # a few thousand roundings of 1e-16 in a row, and gradients may cancel a thousandfold
    assert abs(loss - value.item()) <= 1e-10 * abs(value.item())
    assert set(ours) == set(theirs)
    for path, grad in theirs.items():
        assert worst(ours[path], grad.numpy()) <= 1e-10, path


# --- the language model against transformers

CONFIGS = [
    {"use_bias": True},
    {"use_conv_bias": False},
    {"tie_word_embeddings": False},
    {"conv_kernel": 2, "layer_norm_epsilon": 1e-2},
    {"state_size": 1},
    {"time_step_rank": 1, "expand": 1},
    {"num_hidden_layers": 3, "use_bias": True, "tie_word_embeddings": False},
]


@pytest.fixture(scope="module", params=CONFIGS, ids=lambda c: "-".join(map(str, c)))
def language_models(request, tmp_path_factory):
    """Return transformers' model in float32, and ours read from the folder that it saved."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformers = pytest.importorskip("transformers", reason="needs the extra `peers`")
    rng = np.random.default_rng(CONFIGS.index(request.param))
    names = ("vocab_size", "hidden_size", "state_size", "time_step_rank", "expand", "conv_kernel")
    sizes = dict(zip(names, rng.integers((5, 3, 2, 1, 1, 3), (30, 9, 5, 4, 4, 5)), strict=True))
    sizes = {name: int(size) for name, size in sizes.items()} | {"num_hidden_layers": 2}
    theirs = transformers.MambaForCausalLM(transformers.MambaConfig(**sizes | request.param))
    stir(theirs, rng)
    folder = tmp_path_factory.mktemp("model")
    theirs.eval().save_pretrained(folder)
    return theirs, load_pretrained(folder)


def stir(model, rng):
    """Draw every weight: none is 0 or 1, the state acts, and every norm divides by about 1."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            centre = float(name.endswith((".D", "norm.weight", "norm_f.weight")))
            spread = 1.0 if "embeddings" in name else 0.3
            weight.copy_(torch.from_numpy(rng.normal(centre, spread, weight.shape)))


def double(model):
    return model._replace(params=tree_map(lambda w: w.astype(np.float64), model.params))


def draw_ids(model, l=11):
    """Return token numbers and a cotangent of the logits, exact in float32."""
    rng, v = np.random.default_rng(l), len(model.params.embeddings)
    return rng.integers(0, v, (2, l)), rng.standard_normal((2, l, v)).astype(np.float32)


def float32_bound(model, ids, dlogits):
    """Return how far float32 may be from the truth, element by element, by name.

    A running error analysis of this model on these weights: the sum of what every rounding by
    2^-24 can do. It has no constant of ours; exp and log may be two units in the last place off.
    """
    p = {name: w.astype(np.float64) for name, w in to_entries(model.params).items()}
    inputs = {"ids": ids, "p": p, "eps": model.eps, "dout": dlogits.astype(np.float64)}
    return tolerance(block.mamba_lm, "float32", **inputs)


def assert_float32_of(exact, theirs, single, room, name=""):
    """Require of theirs that it is the exact array up to the roundings of float32.

    The bound adds up worst cases, which never meet, and multiplies them from layer to layer: it
    excludes any false alarm, and in three layers little else. So the largest error is also held
    to 32 times that of our own float32, the same formula with other roundings. The two differ by
    7 at most here, in gradients that are a sum of few numbers.
    """
    assert theirs.dtype == single.dtype == np.float32 and exact.dtype == np.float64
    error = np.abs(theirs - exact)
    assert (error <= room).all(), name
    scale = max(np.abs(single - exact).max(), 2.0**-24 * np.abs(exact).max())
    assert error.max() <= 32 * scale, name
    assert 32 * scale <= 1e-4 * np.abs(exact).max(), name  # so the test has teeth


def their_logits(model, ids):
    return model(torch.from_numpy(ids), use_cache=False).logits


def test_logits_equal_transformers(language_models):
    theirs, ours = language_models
    ids, dlogits = draw_ids(ours)
    exact, single = (lm_logits(ids, model)[0] for model in (double(ours), ours))
    expected = their_logits(theirs, ids).detach().numpy()
    room = float32_bound(ours, ids, dlogits)["logits"]
    assert_float32_of(exact, expected, single, room)


def test_every_gradient_of_the_language_model_equals_transformers(language_models):
    theirs, ours = language_models
    ids, dlogits = draw_ids(ours)
    exact, single = (
        to_entries(lm_backward(dlogits.astype(dtype), lm_logits(ids, model)[2]))
        for model, dtype in ((double(ours), "float64"), (ours, "float32"))
    )
    names, weights = zip(*theirs.named_parameters(), strict=True)
    grads = torch.autograd.grad(their_logits(theirs, ids), weights, torch.from_numpy(dlogits))
    assert set(exact) == set(names)
    room = float32_bound(ours, ids, dlogits)
    for name, grad in zip(names, grads, strict=True):
        assert_float32_of(exact[name], grad.numpy(), single[name], room[f"d{name}"], name)


@pytest.mark.parametrize("prefill", [1, 4])
def test_prefill_and_then_steps_equal_transformers_full_pass(language_models, prefill):
    theirs, ours = language_models
    ids, dlogits = draw_ids(ours)
    exact, single = (in_steps(ids, model, prefill) for model in (double(ours), ours))
    expected = their_logits(theirs, ids).detach().numpy()
    room = float32_bound(ours, ids, dlogits)["logits"]
    assert_float32_of(exact, expected, single, room)


def in_steps(ids, model, prefill):
    """Return all logits, the first `prefill` at once and the others one by one."""
    first, states, _ = lm_logits(ids[:, :prefill], model)
    logits = list(first.swapaxes(0, 1))
    for t in range(prefill, ids.shape[1]):
        row, states = lm_step(ids[:, t], model, states)
        logits.append(row)
    return np.stack(logits, axis=1)


# --- the optimizer against torch.optim


@pytest.mark.parametrize("update, name", [(adam_update, "Adam"), (adamw_update, "AdamW")])
def test_twenty_steps_of_the_optimizer_equal_pytorch(update, name):
    rng, (lr, betas, eps) = np.random.default_rng(3), (0.01, (0.8, 0.95), 1e-6)
    params = random_echo(3, length=6)
    state, decay = adam_init(params), {"AdamW": {"decay": 0.1}}.get(name, {})
    theirs = tree_map(lambda w: torch.nn.Parameter(torch.from_numpy(w.copy())), params)
    leaves = [leaf for _, leaf in tree_leaves(theirs)]
    more = {"weight_decay": 0.1} if decay else {}
    optimizer = getattr(torch.optim, name)(leaves, lr, betas, eps, **more)
    for _ in range(20):  # gradients of every size, some far below eps
        grads = tree_map(lambda w: rng.normal(size=w.shape) * 10.0 ** rng.integers(-8, 3), params)
        params, state = update(params, grads, state, lr, betas, eps, **decay)
        for leaf, (_, g) in zip(leaves, tree_leaves(grads), strict=True):
            leaf.grad = torch.from_numpy(g)
        optimizer.step()
    # a step rounds the weight and lr = 0.01 times a number near 1: 20 steps, twice, 5e-15
    for (path, w), leaf in zip(tree_leaves(params), leaves, strict=True):
        assert worst(w, leaf.detach().numpy()) <= 1e-14, path
    moments = zip(tree_leaves(state.mean), tree_leaves(state.square), leaves, strict=True)
    for (path, mean), (_, square), leaf in moments:
        assert worst(mean, optimizer.state[leaf]["exp_avg"].numpy()) <= 1e-14, path
        assert worst(square, optimizer.state[leaf]["exp_avg_sq"].numpy()) <= 1e-14, path
