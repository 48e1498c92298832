"""What a score rests on, against derivatives taken another way."""

import numpy as np
import pytest

from minimamba.blocks.read import read_ends, read_last
from minimamba.blocks.sequence import flip_valid, flip_window
from minimamba.models.echo import EPS, EchoConfig, echo_encode, echo_layers, init_echo
from minimamba.models.explain import echo_attribution, echo_receptive_field
from minimamba.ops.embedding import embedding
from minimamba.ops.norm import layer_norm
from tests.models.helpers import STEP, complex_tree, random_echo, random_rows


def normed(item_seq, params):
    return layer_norm(embedding(item_seq, params.item_embedding)[0], params.norm, EPS)[0]


def test_attribution_is_the_derivative_by_a_factor_on_one_position():
    params = random_echo(1, length=6)
    item_seq, lengths, item = np.array([[3, 1, 4, 1, 0, 0]]), np.array([4]), np.array([6])
    found = echo_attribution(item_seq, lengths, item, params)[0]
    for t in range(6):
        x = normed(item_seq, params) + 0j
        x[0, t] *= 1 + 1j * STEP
        row, _ = echo_layers(x, lengths, complex_tree(params.layers))
        exact = float((row[0] @ params.item_embedding[6]).imag / STEP)
        assert abs(found[t] - exact) < 1e-12 * np.abs(found).max()


def test_the_released_models_anticausal_branch_sees_no_earlier_item():
    params = random_echo(2, length=8)
    item_seq, lengths, _ = random_rows(0, [8, 5, 1], 8)
    field = echo_receptive_field(item_seq, lengths, params)
    for row, n in enumerate(lengths):
        assert (field["anticausal"][row, : n - 1] == 0).all()  # exactly: no path leads there
        assert (field["anticausal"][row, n - 1 :] > 0).all()  # but every pad behind the last item
        assert (field["causal"][row, :n] > 0).all()
        assert (field["causal"][row, n:] == 0).all()


def test_without_its_filter_the_released_branch_sees_nothing_through_the_whole_model():
    params = init_echo(np.random.default_rng(0), EchoConfig(items=9, length=6, width=4))
    layer = params.layers[0]
    off = layer.filter._replace(re=0 * layer.filter.re, im=0 * layer.filter.im)
    mute = layer.mixers[0].causal._replace(D=0 * layer.mixers[0].causal.D)
    mixer = layer.mixers[0]._replace(causal=mute._replace(out_proj=_zero(mute.out_proj)))
    params = params._replace(layers=(layer._replace(filter=off, mixers=(mixer,)),))
    one, _ = echo_encode(np.array([[1, 2, 3, 4, 0, 0]]), np.array([4]), params)
    two, _ = echo_encode(np.array([[7, 8, 9, 4, 0, 0]]), np.array([4]), params)
    assert (one == two).all()  # another history, the same last item: the same row, to the bit


def test_read_at_the_ends_the_anticausal_branch_sees_every_item():
    params = random_echo(3, length=8)
    item_seq, lengths, _ = random_rows(1, [8, 5], 8)
    field = echo_receptive_field(item_seq, lengths, params, flip_valid, read_ends)
    assert (field["anticausal"][0] > 0).all()
    assert (field["anticausal"][1, :5] > 0).all()
    assert (field["anticausal"][1, 5:] == 0).all()  # and no padding


def test_total_is_the_norm_of_the_jacobian():
    params = random_echo(4, length=5)
    item_seq, lengths = np.array([[1, 2, 3, 4, 5]]), np.array([5])
    total = echo_receptive_field(item_seq, lengths, params)["total"][0]
    for t in range(5):
        squares = 0.0
        for i in range(4):  # move one number of one position
            x = normed(item_seq, params) + 0j
            x[0, t, i] += 1j * STEP
            row, _ = echo_layers(x, lengths, complex_tree(params.layers))
            squares += float(((row.imag / STEP) ** 2).sum())
        assert abs(total[t] - squares**0.5) < 1e-12 * total.max()


@pytest.mark.parametrize("flip, depends", [(flip_window, True), (flip_valid, False)])
def test_only_the_flip_of_the_window_feeds_padding_to_the_anticausal_branch(flip, depends):
    params = random_echo(5, length=6)
    item_seq, lengths, _ = random_rows(2, [3], 6)
    field = echo_receptive_field(item_seq, lengths, params, flip, read_last)
    assert (field["anticausal"][0, 3:] > 0).all() == depends


def _zero(p):
    return p._replace(weight=0 * p.weight)
