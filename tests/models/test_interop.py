"""The released state dict, in and out, and what is said of one that does not fit."""

import numpy as np
import pytest

from minimamba.errors import InputError
from minimamba.files import load_state_dict, save_state_dict
from minimamba.models.interop import (
    echo_from_state_dict,
    echo_to_state_dict,
)
from minimamba.trees import tree_leaves
from tests.models.helpers import random_echo


def test_writing_and_reading_give_the_weights_back():
    params = random_echo(0, length=5, outer=2, inner=3)
    again = echo_from_state_dict(echo_to_state_dict(params))
    for (path, one), (other, two) in zip(tree_leaves(params), tree_leaves(again), strict=True):
        assert path == other
        np.testing.assert_array_equal(one, two, err_msg=path)


@pytest.mark.parametrize("name", ["weights.npz", "weights.safetensors"])
def test_a_file_gives_the_state_dict_back(tmp_path, name):
    state = echo_to_state_dict(random_echo(1, length=4))
    save_state_dict(tmp_path / name, state)
    again = load_state_dict(tmp_path / name)
    assert set(again) == set(state)
    for entry, value in state.items():
        np.testing.assert_array_equal(again[entry], value)


def test_a_missing_entry_is_named():
    state = echo_to_state_dict(random_echo(0, length=4))
    del state["mamba_layers.0.glu.fc2.bias"], state["mamba_layers.0.mamba_forwards.0.D"]
    with pytest.raises(InputError, match=r"no entry 'mamba_layers\.0\.mamba_forwards\.0\.D'"):
        echo_from_state_dict(state)


def test_a_missing_bias_of_the_gated_unit_is_not_taken_for_a_model_without_one():
    state = echo_to_state_dict(random_echo(0, length=4))
    del state["mamba_layers.0.glu.fc2.bias"]
    with pytest.raises(InputError, match=r"no entry 'mamba_layers\.0\.glu\.fc2\.bias'"):
        echo_from_state_dict(state)


def test_a_misshapen_entry_is_named_with_both_shapes():
    state = echo_to_state_dict(random_echo(0, length=4))
    state["mamba_layers.0.mamba_backwards.0.out_proj.weight"] = np.zeros((5, 8))
    message = r"out_proj\.weight' has shape \(5, 8\), expected \(4, 8\)"
    with pytest.raises(InputError, match=message):
        echo_from_state_dict(state)


def test_an_unknown_entry_is_named():
    state = echo_to_state_dict(random_echo(0, length=4)) | {"position_embedding": np.zeros(3)}
    with pytest.raises(InputError, match="'position_embedding'"):
        echo_from_state_dict(state)


def test_entries_of_the_block_the_release_never_calls_are_left_out():
    state = echo_to_state_dict(random_echo(0, length=4))
    state["mamba_layers.0.multi_query_transformer_block.linear1.weight"] = np.zeros((16, 4))
    assert len(echo_from_state_dict(state).layers) == 1


def test_no_layer_at_all_is_said():
    with pytest.raises(InputError, match="no layer"):
        echo_from_state_dict({"item_embedding.weight": np.zeros((3, 4))})
