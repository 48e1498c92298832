"""The array of the stand-in, and the device that counts what is done to it."""

from collections import Counter
from contextlib import contextmanager
from functools import reduce
from types import ModuleType, SimpleNamespace

import numpy as np

from tests.cupy_stand_in import names

SCALARS = (int, float, complex, np.generic, str, type, np.dtype, slice, type(None), type(...))
cupy = ModuleType("cupy")  # filled by `tests.cupy_stand_in`


class Device:
    """What there is to count, and what can be made to fail."""

    compute_capability, id, memory = "90", 0, 1 << 30

    def __init__(self):
        self.waits, self.launches = Counter(), Counter()
        self.failure, self.left = None, None

    def allocate(self, size):
        """Take memory, unless it is the turn of a planned failure."""
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise self.failure(size)

    def synchronize(self):
        self.waits["synchronize"] += 1

    @contextmanager
    def failing(self, failure, after):
        """Let the allocation that comes after so many others raise `failure(its size)`."""
        self.failure, self.left = failure, after
        try:
            yield
        finally:
            self.left = None

    @contextmanager
    def counted(self):
        """Count from zero; yield how often the host waited, by cause."""
        self.waits.clear()
        self.launches.clear()
        yield self.waits


device = Device()


class ndarray:
    """What `cupy.ndarray` is here: a NumPy array that only `get` brings to the host."""

    __module__ = "cupy"
    __hash__ = None

    def __init__(self, host):
        if host.base is None:
            device.allocate(host.nbytes)
        self._host = host

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed; use `.get()`.")

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        function = getattr(cupy, ufunc.__name__, None)
        return function(*inputs, **kwargs) if function and method == "__call__" else NotImplemented

    def __array_function__(self, function, types, args, kwargs):
        path = [*function.__module__.split(".")[1:], function.__name__]
        try:
            found = reduce(getattr, path, cupy)
        except AttributeError:
            return NotImplemented
        return found(*args, **kwargs)

    def get(self):
        device.waits["get"] += 1
        return self._host.copy()

    def tolist(self):
        return self.get().tolist()

    def item(self):
        return self.get().item()

    def __float__(self):
        return float(self.get())

    def __int__(self):
        return int(self.get())

    def __bool__(self):
        return bool(self.get())

    def __repr__(self):
        return repr(self.get())

    def __format__(self, spec):
        return format(self.get(), spec)

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index):
        return to_device(self._host[index_of(index)])

    def __setitem__(self, index, value):
        index = index_of(index)
        parts = index if isinstance(index, tuple) else (index,)
        advanced = any(isinstance(i, np.ndarray) for i in parts)
        if isinstance(value, np.ndarray) and not advanced:
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        if advanced and isinstance(value, ndarray):
            places = np.arange(self.size).reshape(self.shape)[index]
            assert len(np.unique(places)) == places.size, "written twice: CuPy leaves open which"
        self._host[index] = value if isinstance(value, np.ndarray) else to_host(value)

    def __matmul__(self, other):
        return cupy.matmul(self, other)

    def reshape(self, *shape, order="C"):
        return to_device(self._host.reshape(*shape, order=order))

    def transpose(self, *axes):
        return to_device(self._host.transpose(*axes))

    def fill(self, value):
        self._host.fill(to_host(value))

    T = property(lambda self: to_device(self._host.T))
    real = property(lambda self: to_device(self._host.real))
    imag = property(lambda self: to_device(self._host.imag))
    data = property(lambda self: SimpleNamespace(ptr=self._host.ctypes.data))


def to_host(x):
    """Return x as NumPy may have it; a host array has no business among device arrays."""
    if isinstance(x, ndarray):
        return x._host
    if isinstance(x, tuple | list):
        return type(x)(map(to_host, x))
    if not isinstance(x, SCALARS):
        raise TypeError(f"Unsupported type {type(x)}")
    return x


def to_device(x):
    """Return NumPy's result as CuPy's: numbers become arrays without axes."""
    if isinstance(x, np.ndarray | np.generic):
        return ndarray(np.asarray(x))
    return type(x)(map(to_device, x)) if isinstance(x, tuple | list) else x


def index_of(index):
    """Return an index for NumPy. Host arrays are copied over; a mask waits for its count."""
    if isinstance(index, tuple):
        return tuple(map(index_of, index))
    if isinstance(index, ndarray) and index.dtype == bool:
        device.waits["mask"] += 1
    if isinstance(index, slice):
        assert not any(isinstance(i, ndarray) for i in (index.start, index.stop, index.step))
    return index if isinstance(index, np.ndarray) else to_host(index)


def checked(name, parameters, call):
    """Return `call` for device arrays, with the parameters CuPy has and no others."""
    allowed = parameters.split()

    def function(*args, **kwargs):
        if len(args) > len(allowed) or not kwargs.keys() <= set(allowed):
            raise TypeError(f"cupy's {name} takes {allowed}, not {len(args)} and {[*kwargs]}")
        if name == "nonzero":
            device.waits[name] += 1
        with np.errstate(all="ignore"):  # a GPU has no flags to warn about
            result = call(*map(to_host, args), **{k: to_host(v) for k, v in kwargs.items()})
        out = kwargs.get("out")
        return to_device(result) if out is None else out

    return function


def method(name, parameters):
    """Return the method of a device array."""

    def call(self, *args, **kwargs):
        if name == "take":
            args = tuple(to_device(index_of(a)) for a in args)
        return checked(name, parameters, getattr(self._host, name))(*args, **kwargs)

    return call


def complete():
    """Give the array its operators and methods."""
    for name, ufunc in names.UNARY.items():
        setattr(ndarray, name, lambda x, f=ufunc: getattr(cupy, f)(x))
    for name, ufunc in names.COMPARED.items():
        setattr(ndarray, name, lambda x, y, f=ufunc: getattr(cupy, f)(x, y))
    for name, ufunc in names.BINARY.items():
        setattr(ndarray, f"__{name}__", lambda x, y, f=ufunc: getattr(cupy, f)(x, y))
        setattr(ndarray, f"__r{name}__", lambda x, y, f=ufunc: getattr(cupy, f)(y, x))
        setattr(ndarray, f"__i{name}__", lambda x, y, f=ufunc: getattr(cupy, f)(x, y, out=x))
    for name, parameters in names.METHODS.items():
        setattr(ndarray, name, method(name, parameters))
    for name in names.ATTRIBUTES.split():
        setattr(ndarray, name, property(lambda x, name=name: getattr(x._host, name)))


complete()
