"""Trees of arrays: NamedTuples, tuples and None, with a dotted path for every leaf; their files.

Parameters, caches, states and gradients are all such trees. None is an absent leaf, such as the
bias of a linear map without one. Files are safetensors: arrays and strings, nothing executable.
"""

import os
import tempfile

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from minimamba.arrays import from_host, to_host
from minimamba.errors import InputError


def tree_map(f, tree, *rest):
    """Apply f to every leaf, and to the leaves at the same place in the further trees.

    Parameters
    ----------
    f : callable
        Takes one leaf of each tree.
    tree, *rest : trees of one structure
        None stays None and is not handed to f.

    Returns
    -------
    tree
        Of the same types as `tree`.

    Raises
    ------
    ValueError
        When the structures differ.

    Examples
    --------
    >>> tree_map(lambda x, y: x + y, (1, None, (2,)), (10, None, (20,)))
    (11, None, (22,))
    """
    if tree is None:
        if any(other is not None for other in rest):
            raise ValueError("the trees differ: one has a leaf where the first has None")
        return None
    if not isinstance(tree, tuple):
        if any(other is None for other in rest):
            raise ValueError("the trees differ: one has None where the first has a leaf")
        return f(tree, *rest)
    for other in rest:
        if not isinstance(other, tuple) or len(other) != len(tree):
            raise ValueError(f"the trees differ: {_kind(tree)} beside {_kind(other)}")
    return _rebuild(tree, [tree_map(f, *children) for children in zip(tree, *rest, strict=True)])


def tree_leaves(tree, path=""):
    """List (dotted path, leaf) of every leaf, in order; None is skipped.

    Field names and positions make the path, as in `layers.0.filter.re`; a bare leaf has the path
    it is given.

    Examples
    --------
    >>> tree_leaves((1.0, (2.0, None)))
    [('0', 1.0), ('1.0', 2.0)]
    """
    if tree is None:
        return []
    if not isinstance(tree, tuple):
        return [(path, tree)]
    names = getattr(tree, "_fields", range(len(tree)))
    prefix = f"{path}." if path else ""
    pairs = zip(names, tree, strict=True)
    return [leaf for name, child in pairs for leaf in tree_leaves(child, f"{prefix}{name}")]


def tree_from_leaves(like, mapping):
    """Build a tree of the structure of `like` from a mapping of dotted paths to arrays.

    Raises
    ------
    InputError
        When a path is missing, is not in `like`, or has another shape there.

    Examples
    --------
    >>> tree_from_leaves((np.zeros(2), None), {"0": np.ones(2)})
    (array([1., 1.]), None)
    """
    wanted = dict(tree_leaves(like))
    if missing := [path for path in wanted if path not in mapping]:
        raise InputError(f"the entry {missing[0]!r} is missing{_and_more(missing)}")
    if extra := [path for path in mapping if path not in wanted]:
        raise InputError(f"the entry {extra[0]!r} is not expected{_and_more(extra)}")
    for path, leaf in wanted.items():
        if (shape := np.shape(mapping[path])) != np.shape(leaf):
            raise InputError(f"the entry {path!r} has shape {shape}, expected {np.shape(leaf)}")
    paths = iter(wanted)
    return tree_map(lambda leaf: mapping[next(paths)], like)


def save_arrays(path, arrays, metadata=None):
    """Write named arrays and strings to a safetensors file, all of it or nothing.

    The bytes go to another file in the same folder, to the disk, and only then to the name: a
    power cut leaves the old file or the new one.

    Parameters
    ----------
    path : str or path
    arrays : mapping of str to array
        CuPy arrays are copied to the host.
    metadata : mapping of str to str, optional

    Raises
    ------
    InputError
        When safetensors has no name for a dtype, or the metadata are not strings.

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
    """Read a safetensors file: (mapping of str to NumPy array, mapping of str to str).

    Raises
    ------
    InputError
        When there is no such file, or it is not a whole safetensors file.
    """
    try:
        with safe_open(path, framework="np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return arrays, file.metadata() or {}
    except FileNotFoundError:
        raise InputError(f"there is no file {os.fspath(path)}") from None
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise InputError(f"cannot read {os.fspath(path)} as safetensors: {error}") from error


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

    Raises
    ------
    InputError
        When the file cannot be read, or an entry is missing, unexpected or has another shape.
    """
    arrays, metadata = load_arrays(path)
    try:
        tree = tree_from_leaves(like, arrays)
    except InputError as error:
        raise InputError(f"{os.fspath(path)}: {error}") from None
    return tree_map(from_host, tree, like), metadata


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


def _rebuild(like, children):
    """Return the children in a tuple of the type of `like`."""
    return like._make(children) if hasattr(like, "_make") else tuple(children)


def _kind(tree):
    """Name a node for an error message."""
    return f"{type(tree).__name__} of {len(tree)}" if isinstance(tree, tuple) else "a leaf"


def _and_more(names):
    """Return ' (and 3 more)' where there are more."""
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
