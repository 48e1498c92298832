"""Arrays on disk, whole or not at all: safetensors, .npz, trees, other projects' state dicts.

Every file is written beside its place, to the disk, and only then gets its name: a power cut
leaves the old file or the new one. Nothing executable is written or read.
"""

import io
import os
import tempfile
from zipfile import BadZipFile

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from minimamba.arrays import from_host, to_host
from minimamba.errors import InputError
from minimamba.trees import tree_from_leaves, tree_leaves, tree_map


def write_atomically(path, data):
    """Write bytes to a file so that no reader and no power cut ever sees a part of them."""
    folder = os.path.dirname(os.path.abspath(path))
    try:
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".part-")
    except OSError as error:
        raise InputError(f"cannot write in {folder}: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # mkstemp's files are private, others may read ours
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def save_arrays(path, arrays, metadata=None):
    """Write named arrays, NumPy's or CuPy's, and named strings to a safetensors file.

    Examples
    --------
    >>> folder = tempfile.TemporaryDirectory()
    >>> save_arrays(f"{folder.name}/a.safetensors", {"x": np.arange(2.0)}, {"step": "7"})
    >>> load_arrays(f"{folder.name}/a.safetensors")
    ({'x': array([0., 1.])}, {'step': '7'})
    >>> folder.cleanup()
    """
    metadata = dict(metadata or {})
    if not all(isinstance(text, str) for pair in metadata.items() for text in pair):
        raise InputError("metadata must map strings to strings")
    host = {name: np.asarray(to_host(x), order="C") for name, x in arrays.items()}
    try:
        data = save(host, metadata)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"cannot write {os.fspath(path)}: {error}") from error
    write_atomically(path, data)


def load_arrays(path):
    """Read a safetensors file: (mapping of str to NumPy array, mapping of str to str)."""
    try:
        with safe_open(path, framework="np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return arrays, file.metadata() or {}
    except FileNotFoundError:
        raise _no_file(path) from None
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise InputError(f"cannot read {os.fspath(path)} as safetensors: {error}") from error


def save_npz(path, arrays):
    """Write named arrays to a file of NumPy's."""
    data = io.BytesIO()
    np.savez(data, **{name: to_host(x) for name, x in arrays.items()})
    write_atomically(path, data.getbuffer())


def load_npz(path):
    """Read an .npz without pickles: a mapping of str to NumPy array."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except FileNotFoundError:
        raise _no_file(path) from None
    except (OSError, TypeError, ValueError, EOFError, BadZipFile) as error:
        raise InputError(f"cannot read {os.fspath(path)} as .npz: {error}") from error


def save_tree(path, tree, metadata=None):
    """Write a tree of arrays under its dotted paths, with `save_arrays`.

    Examples
    --------
    >>> folder = tempfile.TemporaryDirectory()
    >>> save_tree(f"{folder.name}/tree.safetensors", (np.ones(2), None), {"about": "a tree"})
    >>> load_tree(f"{folder.name}/tree.safetensors", like=(np.zeros(2), None))
    ((array([1., 1.]), None), {'about': 'a tree'})
    >>> folder.cleanup()
    """
    save_arrays(path, dict(tree_leaves(tree)), metadata)


def load_tree(path, like):
    """Read what `save_tree` wrote: (tree of the structure of `like`, metadata).

    Arrays keep the dtype of the file and go where the leaves of `like` live, NumPy or CuPy.
    """
    arrays, metadata = load_arrays(path)
    try:
        tree = tree_from_leaves(like, arrays)
    except InputError as error:
        raise InputError(f"{os.fspath(path)}: {error}") from None
    return tree_map(from_host, tree, like), metadata


def load_state_dict(path):
    """Read named arrays from .safetensors, .npz, or (only where torch is installed) .pt."""
    readers = {"safetensors": lambda p: load_arrays(p)[0], "npz": load_npz, "pt": _load_torch}
    suffix = os.fspath(path).rsplit(".", 1)[-1]
    if suffix not in readers:
        raise InputError(f"{path}: expected a name ending in .safetensors, .npz or .pt")
    return readers[suffix](path)


def save_state_dict(path, mapping):
    """Write named arrays to .safetensors, or to .npz where the name ends so."""
    (save_npz if os.fspath(path).endswith(".npz") else save_arrays)(path, mapping)


def _load_torch(path):
    """Read the weights of a .pt, and nothing else that may be in it."""
    try:
        import torch
    except ImportError:
        raise InputError(f"{path}: a .pt file needs torch, which is not installed") from None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise _no_file(path) from None
    except Exception as error:  # torch raises its own and pickle's, by version
        raise InputError(f"cannot read {path} as PyTorch weights: {error}") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    return {name: value.numpy() for name, value in state.items()}


def _no_file(path):
    return InputError(f"there is no file {os.fspath(path)}")
