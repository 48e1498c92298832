"""bfloat16 as 16 bits: the upper half of a float32. Neither NumPy nor CuPy computes in it.

`kernels.selective` and `kernels.conv` take sequences of it, as arrays of `ml_dtypes.bfloat16` (CuPy
14 has them) or of uint16, the bits; they compute in float32 and answer in the type they were given.
The ops themselves take float32 and wider.
"""

from minimamba.arrays import array_namespace
from minimamba.trees import tree_map


def to_bfloat16(x):
    """Round float32 to bfloat16, ties to even; the bits come as uint16.

    Examples
    --------
    >>> hex(to_bfloat16(np.array([1.0], np.float32))[0])
    '0x3f80'
    """
    xp = array_namespace(x)
    bits = xp.ascontiguousarray(x, dtype="float32").view("uint32")
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return xp.where(xp.isnan(x), 0x7FFF, rounded).astype("uint16")


def from_bfloat16(bits):
    """Return the float32 numbers that bfloat16 bits stand for; exact.

    Examples
    --------
    >>> from_bfloat16(np.array([0x3F80, 0xC000], np.uint16))
    array([ 1., -2.], dtype=float32)
    """
    return (bits.astype("uint32") << 16).view("float32")


def as_bits(tree):
    """Return a tree whose bfloat16 arrays are seen as their bits; all else stays what it is.

    Examples
    --------
    >>> import ml_dtypes
    >>> as_bits((np.ones(1, ml_dtypes.bfloat16), None))
    (array([16256], dtype=uint16), None)
    """
    return tree_map(lambda x: x.view("uint16") if x.dtype.name == "bfloat16" else x, tree)


def as_given(tree, like):
    """Return a tree whose bits are bfloat16 numbers again, if `like` is one of those."""
    if like.dtype.name != "bfloat16":
        return tree
    return tree_map(lambda x: x.view(like.dtype) if x.dtype == "uint16" else x, tree)


def check_types(name, x, **others):
    """Raise TypeError unless the others are of the type of x: bits are never read as numbers.

    Examples
    --------
    >>> check_types("u", np.ones(1, np.uint16), delta=np.ones(1, np.float32), z=None)
    Traceback (most recent call last):
    TypeError: delta has dtype float32, expected uint16 as u has (uint16 stands for bfloat16)
    """
    for other, y in others.items():
        if y is not None and y.dtype != x.dtype:
            raise TypeError(
                f"{other} has dtype {y.dtype}, expected {x.dtype} as {name} has "
                "(uint16 stands for bfloat16)"
            )
