"""Trees, and the files they are kept in."""

import os
from typing import NamedTuple

import numpy as np
import pytest

from minimamba import trees
from minimamba.errors import InputError
from minimamba.trees import (
    load_arrays,
    load_tree,
    save_arrays,
    save_tree,
    tree_from_leaves,
    tree_leaves,
    tree_map,
    write_atomically,
)


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, bool, np.complex64])
def test_a_tree_comes_back_bit_for_bit_with_its_metadata(tmp_path, dtype):
    tree = tree_map(lambda x: (3 * x).astype(dtype), model(1 / 3))
    save_tree(tmp_path / "tree.safetensors", tree, {"step": "12"})
    again, metadata = load_tree(tmp_path / "tree.safetensors", like=model())
    assert metadata == {"step": "12"} and type(again) is Model
    for (path, x), (_, y) in zip(tree_leaves(tree), tree_leaves(again), strict=True):
        assert x.dtype == y.dtype and x.shape == y.shape and np.array_equal(x, y), path


def test_views_are_saved_as_what_they_show(tmp_path):
    x = np.arange(12.0).reshape(3, 4)
    views = {"turned": x.T, "backward": x[::-1], "part": x[:, 1:3]}
    save_arrays(tmp_path / "x.safetensors", views)
    arrays, metadata = load_arrays(tmp_path / "x.safetensors")
    assert metadata == {}
    for name, view in views.items():
        assert np.array_equal(arrays[name], view), name


def test_what_safetensors_cannot_hold_is_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    for arrays, metadata in [
        ({"x": np.array(["text"])}, None),
        ({"x": np.array([object()])}, None),
        ({"x": np.ones(1)}, {"step": 3}),
    ]:
        with pytest.raises(InputError):
            save_arrays(path, arrays, metadata)
    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"not safetensors at all", b"\xff" * 64])
def test_a_damaged_file_is_one_sentence(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"cannot read .*x\.safetensors as safetensors"):
        load_arrays(path)


def test_a_file_cut_short_is_noticed(tmp_path):
    path = tmp_path / "x.safetensors"
    save_tree(path, model())
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="cannot read"):
        load_tree(path, like=model())


def test_a_missing_file_or_folder_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        load_arrays(tmp_path / "x.safetensors")
    with pytest.raises(InputError, match=r"cannot write in .*nowhere: No such file"):
        save_tree(tmp_path / "nowhere" / "x.safetensors", model())


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, failing):
    path = tmp_path / "x"
    write_atomically(path, b"old")

    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(trees.os, failing, fail)
    with pytest.raises(OSError, match="the disk is full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["x"]


def test_a_written_file_can_be_read_by_whom_the_umask_allows(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "x", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640
