"""Files of arrays: whole or not at all, and a sentence where one cannot be read."""

import os

import numpy as np
import pytest

from minimamba import files
from minimamba.errors import InputError
from minimamba.files import (
    load_arrays,
    load_npz,
    load_state_dict,
    load_tree,
    save_arrays,
    save_npz,
    save_tree,
    write_atomically,
)
from minimamba.trees import tree_leaves, tree_map
from tests import cupy_stand_in

from .test_trees import Model, model


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

    monkeypatch.setattr(files.os, failing, fail)
    with pytest.raises(OSError, match="the disk is full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["x"]


def test_an_npz_of_device_arrays_is_whole_or_the_old_one(tmp_path, monkeypatch):
    path, cupy = tmp_path / "x.npz", cupy_stand_in.install(monkeypatch)
    save_npz(path, {"x": cupy.arange(3), "y": np.ones(2)})
    assert load_npz(path)["x"].tolist() == [0, 1, 2] and list(load_npz(path)) == ["x", "y"]
    monkeypatch.setattr(files.os, "replace", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_npz(path, {"x": np.zeros(1)})
    assert len(load_npz(path)["x"]) == 3 and os.listdir(tmp_path) == ["x.npz"]


def test_a_written_file_can_be_read_by_whom_the_umask_allows(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "x", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        load_state_dict(tmp_path / "none.npz")
    with pytest.raises(InputError, match="ending in"):
        load_state_dict(tmp_path / "weights.bin")
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 not an archive")
    with pytest.raises(InputError, match=r"cannot read .*broken\.npz"):
        load_state_dict(tmp_path / "broken.npz")


def test_pickled_objects_are_not_loaded(tmp_path):
    np.savez(tmp_path / "objects.npz", x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match=r"cannot read .*objects\.npz"):
        load_state_dict(tmp_path / "objects.npz")
