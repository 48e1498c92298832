"""Trees: leaves, paths, maps."""

from typing import NamedTuple

import numpy as np
import pytest

from minimamba.errors import InputError
from minimamba.files import load_tree, save_arrays
from minimamba.trees import tree_from_leaves, tree_leaves, tree_map


class Layer(NamedTuple):
    weight: np.ndarray
    bias: np.ndarray | None


class Model(NamedTuple):
    layers: tuple
    scale: np.ndarray


def model(fill=0.0):
    return Model(
        (Layer(np.full((2, 3), fill), None), Layer(np.full(4, fill), np.ones(1))), np.ones(())
    )


PATHS = ["layers.0.weight", "layers.1.weight", "layers.1.bias", "scale"]


def test_every_leaf_has_a_dotted_path_and_none_has_no_leaf():
    assert [path for path, _ in tree_leaves(model())] == PATHS
    assert tree_leaves(np.ones(1), "x")[0][0] == "x" and tree_leaves(None, "x") == []


def test_a_map_keeps_the_types_and_the_nones():
    total = tree_map(lambda x, y: x + y, model(1.0), model(2.0))
    assert type(total) is Model and type(total.layers[0]) is Layer
    assert total.layers[0].bias is None and (total.layers[0].weight == 3).all()


@pytest.mark.parametrize(
    "other", [(1.0,), (1.0, 2.0, 3.0), 1.0, (1.0, None), (None, (1.0,)), (1.0, (1.0, 2.0))]
)
def test_trees_of_different_structure_are_refused(other):
    with pytest.raises(ValueError, match="the trees differ"):
        tree_map(lambda x, y: x, (1.0, (1.0,)), other)
    with pytest.raises(ValueError, match="the trees differ"):
        tree_map(lambda x, y: x, (None, 1.0), (1.0, 1.0))


def test_leaves_build_the_tree_again():
    again = tree_from_leaves(model(), dict(tree_leaves(model(7.0))))
    assert type(again) is Model and (again.layers[0].weight == 7).all()


@pytest.mark.parametrize(
    "edit, words",
    [
        (lambda m: m.pop("scale"), "the entry 'scale' is missing$"),
        (lambda m: [m.pop("scale"), m.pop("layers.1.bias")], r"missing \(and 1 more\)$"),
        (lambda m: m.update(extra=np.ones(1)), "the entry 'extra' is not expected$"),
        (lambda m: m.update(scale=np.ones(2)), r"'scale' has shape \(2,\), expected \(\)$"),
    ],
)
def test_leaves_that_do_not_fit_are_named(tmp_path, edit, words):
    mapping = dict(tree_leaves(model()))
    edit(mapping)
    with pytest.raises(InputError, match=words):
        tree_from_leaves(model(), mapping)
    save_arrays(tmp_path / "x.safetensors", mapping)
    with pytest.raises(InputError, match=rf"x\.safetensors: .*{words}"):
        load_tree(tmp_path / "x.safetensors", like=model())
