"""EchoMamba4Rec against the released implementation, and against itself computed another way."""

import numpy as np
import pytest

from minimamba.blocks.bidirectional import EPS as BRANCH_EPS
from minimamba.blocks.echo import echo_block, echo_block_backward
from minimamba.blocks.mamba import mamba
from minimamba.blocks.read import at, at_backward, read_ends, read_last
from minimamba.blocks.residual import dropped_residual_norm, residual_norm
from minimamba.blocks.sequence import flip_valid, flip_window
from minimamba.models.echo import (
    EPS,
    EchoConfig,
    echo_encode,
    echo_encode_backward,
    echo_loss,
    echo_loss_backward,
    echo_scores,
    init_echo,
)
from minimamba.models.interop import echo_from_state_dict, echo_to_state_dict
from minimamba.ops.embedding import embedding
from minimamba.ops.glu import glu
from minimamba.ops.norm import layer_norm
from minimamba.ops.spectral import spectral_filter
from minimamba.trees import tree_leaves
from tests.models.helpers import random_echo, random_rows, worst_leaf_error

GOLDEN = "tests/golden/echo_released_1layer.npz"
DEPTHS = [(1, 1), (2, 1), (1, 2), (2, 2)]


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as file:
        return dict(file)


def entries(golden, kind):
    return {name[len(kind) :]: golden[name] for name in golden if name.startswith(kind)}


def test_scores_and_loss_equal_the_released_model(golden):
    params = echo_from_state_dict(entries(golden, "param/"))
    rows = golden["item_seq"], golden["item_seq_len"]
    np.testing.assert_allclose(echo_scores(*rows, params), golden["scores"], rtol=1e-12, atol=1e-14)
    row, _ = echo_encode(*rows, params)
    np.testing.assert_allclose(row, golden["seq_output"], rtol=1e-12, atol=1e-14)
    loss, _ = echo_loss(*rows, golden["target"], params)
    np.testing.assert_allclose(loss, golden["loss"], rtol=1e-14)


def test_every_gradient_equals_the_released_models(golden):
    params = echo_from_state_dict(entries(golden, "param/"))
    _, cache = echo_loss(golden["item_seq"], golden["item_seq_len"], golden["target"], params)
    grads, expected = echo_to_state_dict(echo_loss_backward(1.0, cache)), entries(golden, "grad/")
    assert set(grads) == set(expected)
    for name, value in expected.items():
        error = np.abs(grads[name] - value).max() / np.abs(value).max()
        assert error < 1e-12, (name, error)


# Values printed by the released model in float64 on weights that a formula makes; they cover two
# layers, which are 2 x 2 pairs of Mamba, a padding row that is not zero and a history of length 1.
ITEM_SEQ = np.array([[1, 4, 2, 7, 5, 3], [6, 2, 8, 0, 0, 0], [3, 0, 0, 0, 0, 0]])
LENGTHS, TARGET = np.array([6, 3, 1]), np.array([8, 1, 5])
PRINTED = {
    1: (4.886999639366, [-0.5822319109, -0.1316669087, 0.9891523766, 1.7964143404],
        [-0.0448900596, -0.4635825104]),
    2: (2.831257001673, [-0.0455507995, -1.3020099882, 0.1031946554, 1.6985023443],
        [0.9215283104, 0.5117574458]),
}  # fmt: skip


def formula_state_dict(depth, d=16, e=32, n=3, r=1, k=4, l=6, v=9):
    mamba = [("in_proj.weight", (2 * e, d)), ("conv1d.weight", (e, 1, k)), ("conv1d.bias", (e,)),
             ("x_proj.weight", (r + 2 * n, e)), ("dt_proj.weight", (e, r)), ("dt_proj.bias", (e,)),
             ("A_log", (e, n)), ("D", (e,)), ("out_proj.weight", (d, e))]  # fmt: skip
    norm = [("weight", (d,)), ("bias", (d,))]
    shapes = [("item_embedding.weight", (v, d))] + [(f"LayerNorm.{x}", s) for x, s in norm]
    for j in range(depth):
        layer = f"mamba_layers.{j}"
        shapes.append((f"{layer}.filter_layer.complex_weight", (1, l // 2 + 1, d, 2)))
        shapes += [(f"{layer}.filter_layer.LayerNorm.{x}", s) for x, s in norm]
        for i in range(depth):
            for branch, norms in (("mamba_forwards", "norms_forward"),
                                  ("mamba_backwards", "norms_backward")):  # fmt: skip
                shapes += [(f"{layer}.{branch}.{i}.{x}", s) for x, s in mamba]
                shapes += [(f"{layer}.{norms}.{i}.{x}", s) for x, s in norm]
        for name, size in (("fc1", 2 * d), ("fc2", d)):
            shapes += [(f"{layer}.glu.{name}.weight", (size, d)),
                       (f"{layer}.glu.{name}.bias", (size,))]  # fmt: skip
        shapes += [(f"{layer}.glu.LayerNorm.{x}", s) for x, s in norm]
    return {name: fill(name, shape, j) for j, (name, shape) in enumerate(shapes)}


def fill(name, shape, j):
    s = np.sin(0.9 * np.arange(np.prod(shape)) + 1.7 * j + 0.4).reshape(shape)
    if name.endswith("A_log"):
        return np.log(np.arange(1, shape[1] + 1)) + 0.1 * s
    is_gain = name.endswith(".D") or ("orm" in name and name.endswith("weight"))
    return 1 + 0.1 * s if is_gain else 0.3 * s


@pytest.mark.parametrize("depth", [1, 2])
def test_printed_values_of_the_released_model(depth):
    params = echo_from_state_dict(formula_state_dict(depth))
    loss, first, others = PRINTED[depth]
    row, _ = echo_encode(ITEM_SEQ, LENGTHS, params)
    assert abs(echo_loss(ITEM_SEQ, LENGTHS, TARGET, params)[0] - loss) < 1e-12  # digits printed
    np.testing.assert_allclose(row[0, :4], first, rtol=0, atol=6e-11)
    np.testing.assert_allclose(row[1:, 0], others, rtol=0, atol=6e-11)


def reference_encode(item_seq, lengths, params, flip, read):
    """Compute every position of every layer, then take what is read."""
    x, _ = layer_norm(embedding(item_seq, params.item_embedding)[0], params.norm, EPS)
    *earlier, last = params.layers
    for layer in earlier:
        x, _ = echo_block(x, lengths, layer, flip=flip)
    if read is read_last:
        return at(echo_block(x, lengths, last, flip=flip)[0], lengths - 1)
    assert len(last.mixers) == 1
    x, _ = residual_norm(spectral_filter(x, last.filter)[0], x, last.filter_norm)
    p, (t, s) = last.mixers[0], read(lengths)
    y, _ = residual_norm(mamba(x, p.causal)[0], x, p.causal_norm, eps=BRANCH_EPS)
    w = flip(mamba(flip(x, lengths), p.anticausal)[0], lengths)
    w, _ = residual_norm(w, x, p.anticausal_norm, eps=BRANCH_EPS)
    row = at(y, t) + at(w, s)
    return dropped_residual_norm(glu(row, last.glu)[0], row, last.glu_norm)[0]


@pytest.mark.parametrize("length", [1, 2, 5, 8, 33])
@pytest.mark.parametrize("flip", [flip_window, flip_valid])
@pytest.mark.parametrize("outer, inner", DEPTHS)
def test_reading_one_position_equals_the_full_pass(outer, inner, flip, length):
    params = random_echo(length, length=length, outer=outer, inner=inner)
    lengths = np.arange(20) % length + 1  # more rows than one group
    item_seq, lengths, _ = random_rows(0, lengths, length)
    row, _ = echo_encode(item_seq, lengths, params, flip=flip)
    full = reference_encode(item_seq, lengths, params, flip, read_last)
    np.testing.assert_allclose(row, full, rtol=0, atol=1e-11)


@pytest.mark.parametrize("flip", [flip_window, flip_valid])
@pytest.mark.parametrize("outer", [1, 2])
def test_reading_the_ends_equals_the_full_pass(outer, flip):
    params = random_echo(3, length=7, outer=outer)
    item_seq, lengths, _ = random_rows(0, [7, 1, 4, 6], 7)
    row, _ = echo_encode(item_seq, lengths, params, flip=flip, read=read_ends)
    full = reference_encode(item_seq, lengths, params, flip, read_ends)
    np.testing.assert_allclose(row, full, rtol=0, atol=1e-11)


def test_the_gradient_of_one_position_equals_that_of_the_full_pass():
    params = random_echo(5, length=9)
    item_seq, lengths, _ = random_rows(1, [9, 1, 4], 9)
    drow = np.random.default_rng(2).normal(size=(3, 4))
    x, _ = layer_norm(embedding(item_seq, params.item_embedding)[0], params.norm, EPS)
    _, cache = echo_block(x, lengths, params.layers[0])
    _, full = echo_block_backward(at_backward(drow, lengths - 1, 9), cache)
    _, cache = echo_encode(item_seq, lengths, params)
    mine = echo_encode_backward(drow, cache).layers[0]
    for (path, one), (_, other) in zip(tree_leaves(mine), tree_leaves(full), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11, err_msg=path)


@pytest.mark.parametrize("read", [read_last, read_ends])
@pytest.mark.parametrize("flip", [flip_window, flip_valid])
@pytest.mark.parametrize("outer, inner", DEPTHS)
def test_every_gradient_is_the_derivative(outer, inner, flip, read):
    length = 5 + outer + inner
    params = random_echo(7, length=length, outer=outer, inner=inner)
    rows = random_rows(3, [length, 1, 3, length - 1], length)
    _, cache = echo_loss(*rows, params, flip=flip, read=read)
    loss = lambda p: echo_loss(*rows, p, flip=flip, read=read)[0]  # noqa: E731
    error, path = worst_leaf_error(loss, params, echo_loss_backward(1.0, cache, flip, read))
    assert error < 1e-10, path


def test_every_gradient_is_the_derivative_of_three_layers_with_dropout():
    params, rows = random_echo(11, length=6, outer=3), random_rows(6, [6, 1, 4], 6)
    loss = lambda p: echo_loss(*rows, p, 0.3, np.random.default_rng(12))  # noqa: E731
    grads = echo_loss_backward(1.0, loss(params)[1])
    error, path = worst_leaf_error(lambda p: loss(p)[0], params, grads)
    assert error < 1e-10, path


def test_the_padding_row_gets_a_gradient_from_the_scores_only():
    params = random_echo(8, length=4)
    item_seq, lengths, target = random_rows(4, [2, 3], 4)
    _, cache = echo_loss(item_seq, lengths, target, params)
    logits_only = echo_loss_backward(1.0, cache).item_embedding[0]
    softmax = np.exp(echo_scores(item_seq, lengths, params))
    softmax /= softmax.sum(1, keepdims=True)
    expected = softmax[:, 0] @ cache.row / len(lengths)  # 0 is never a target
    np.testing.assert_allclose(logits_only, expected, rtol=1e-12)


def test_parameter_counts_are_the_released_ones():
    for length, expected in ((50, 94_016), (200, 103_616)):
        params = init_echo(np.random.default_rng(0), EchoConfig(items=3416, length=length))
        used = sum(leaf.size for _, leaf in tree_leaves(params)) - params.item_embedding.size
        assert used == expected


def test_dropout_is_drawn_from_the_generator_that_is_passed():
    params, rows = random_echo(9, length=6), random_rows(5, [6, 2], 6)
    losses = [
        float(echo_loss(*rows, params, 0.5, np.random.default_rng(seed))[0]) for seed in (1, 1, 2)
    ]
    assert losses[0] == losses[1] != losses[2]
    assert echo_loss(*rows, params, 0.5)[0] == echo_loss(*rows, params)[0]  # no generator: off


@pytest.mark.parametrize(
    "item_seq, lengths, message",
    [
        (np.ones((1, 6), int), np.array([7]), r"lengths lie in \[7, 7\], expected \[1, 6\]"),
        (np.ones((1, 6), int), np.array([0]), r"lengths lie in \[0, 0\], expected \[1, 6\]"),
        (np.ones(6, int), np.array([6]), r"item_seq has shape \(6,\)"),
        (np.ones((1, 9), int), np.array([9]), "filter"),
        (np.full((1, 6), 99), np.array([6]), "99"),
    ],
)
def test_input_that_does_not_fit_is_refused_in_one_sentence(item_seq, lengths, message):
    with pytest.raises(ValueError, match=message):
        echo_scores(item_seq, lengths, random_echo(0, length=6))
