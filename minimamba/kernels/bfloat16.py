"""bfloat16 as 16 bits: the upper half of a float32. Neither NumPy nor CuPy has the type.

The kernels take arrays of uint16 for it, and compute in float32.
"""

from minimamba.arrays import array_namespace


def to_bfloat16(x):
    """Round float32 to bfloat16, ties to even; the bits come as uint16.

    Examples
    --------
    >>> import numpy as np
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
    >>> import numpy as np
    >>> from_bfloat16(np.array([0x3F80, 0xC000], np.uint16))
    array([ 1., -2.], dtype=float32)
    """
    return (bits.astype("uint32") << 16).view("float32")
