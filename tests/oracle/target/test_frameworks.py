"""Arrays of every framework in and out, and what the oracle says where a framework cannot."""

import builtins
import sys
from types import ModuleType

import numpy as np
import pytest

from minimamba import oracle
from minimamba.oracle.contract.case import quantize
from minimamba.oracle.target.frameworks import FRAMEWORKS, MEMORY, find_framework

from .. import examples
from ..mutants import base
from ..mutants.kill import mutate


class DeviceArray:
    """Stands in for cupy.ndarray: computes like NumPy, and refuses to be taken for it."""

    __array_ufunc__ = None  # np.exp(x) is a TypeError, as it is for an array on a device

    def __init__(self, x):
        self.x = np.asarray(x)

    def __array__(self, *_, **__):
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def __getattr__(self, name):
        found = getattr(object.__getattribute__(self, "x"), name)
        return wrapped(found) if callable(found) else lifted(found)

    def __getitem__(self, index):
        return lifted(self.x[host(index)])

    def __setitem__(self, index, value):
        self.x[host(index)] = host(value)

    def __bool__(self):
        return bool(self.x)

    def __len__(self):
        return len(self.x)


def _operator(name):
    return lambda self, *others: lifted(getattr(self.x, name)(*map(host, others)))


for _name in ("add", "sub", "mul", "truediv", "pow", "matmul"):
    setattr(DeviceArray, f"__{_name}__", _operator(f"__{_name}__"))
    setattr(DeviceArray, f"__r{_name}__", _operator(f"__r{_name}__"))
for _name in ("neg", "lt", "le", "gt", "ge", "eq", "ne"):
    setattr(DeviceArray, f"__{_name}__", _operator(f"__{_name}__"))
for _name in ("iadd", "imul"):
    setattr(DeviceArray, f"__{_name}__", _operator(f"__{_name}__"))


def host(x):
    if isinstance(x, DeviceArray):
        return x.x
    return type(x)(map(host, x)) if isinstance(x, (tuple, list)) else x


def lifted(x):
    if isinstance(x, (np.ndarray, np.generic)):
        return DeviceArray(x)
    return type(x)(map(lifted, x)) if isinstance(x, list) else x


def wrapped(f):
    """Return a function of NumPy as one of the stand-in's module."""

    def call(*args, **more):
        if any(isinstance(x, np.ndarray) for x in args):
            raise TypeError(f"Unsupported type {type(args[0])}")
        return lifted(f(*map(host, args), **{k: host(v) for k, v in more.items()}))

    return call


@pytest.fixture
def cupy(monkeypatch):
    module = ModuleType("cupy")
    module.__getattr__ = lambda name: (
        wrapped(getattr(np, name)) if callable(getattr(np, name)) else getattr(np, name)
    )
    module.ndarray, module.asarray, module.asnumpy = DeviceArray, DeviceArray, lambda x: x.x
    for name in ("float32", "float64", "complex64", "newaxis", "errstate"):
        setattr(module, name, getattr(np, name))
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


def on_device(cupy, edit=None):
    """Return the right scan (or a mutant) as a function of the stand-in's arrays."""
    module = mutate(*edit) if edit else mutate("import numpy as np\n", "import numpy as np\n")
    module.np = cupy
    return module


def test_a_scan_on_cupy_arrays_is_judged_gradients_included(cupy):
    module = on_device(cupy)
    options = {"D", "z", "delta_bias", "delta_softplus", "gradients", "state_gradient"}
    report = oracle.check(
        module.selective_scan,
        backward=module.selective_scan_backward,
        framework="cupy",
        capabilities=options,
        cases=12,
    )
    assert report.framework == "cupy" and report.passed, str(report)
    assert {"out", "last_state", "du", "dz", "dD"} <= {r.output for r in report.rows}


def test_a_wrong_scan_on_cupy_arrays_is_wrong_and_the_code_says_cupy(cupy):
    edit = ("    drive = step * u\n", "    drive = u\n")
    report = oracle.check(
        on_device(cupy, edit).selective_scan,
        framework="cupy",
        capabilities=set(),
        cases=8,
        budget=8,
    )
    assert report.exit_code == 1
    assert "u = cupy.asarray(np.array(" in report.failures[0].code


def test_numpys_functions_on_cupys_arrays_are_an_error_in_a_sentence(cupy):
    report = oracle.check(examples.good, framework="cupy")
    assert report.exit_code == 2 and "TypeError" in report.error


@pytest.mark.parametrize("memory", MEMORY)
def test_cupy_arrays_lie_in_memory_as_asked(cupy, memory):
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    frame = FRAMEWORKS["cupy"]()
    y, plain = frame.array(x, "float32", memory), FRAMEWORKS["numpy"]().array(x, "float32", memory)
    assert isinstance(y, DeviceArray) and y.x.strides == plain.strides
    assert np.array_equal(frame.host(y), x.astype(np.float32))


def test_without_cupy_the_sentence_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ImportError, match="cupy"):
        oracle.check(examples.good, framework="cupy")


def test_bfloat16_in_numpy_is_that_of_ml_dtypes():
    ml_dtypes = pytest.importorskip("ml_dtypes")

    def scan(u, delta, A, B, C):
        assert u.dtype == delta.dtype == B.dtype == ml_dtypes.bfloat16 and A.dtype == np.float32
        wide = [x.astype(np.float32) for x in (u, delta, A, B, C)]
        out, last = examples.good(*wide)
        return out.astype(ml_dtypes.bfloat16), last

    report = oracle.check(scan, framework="numpy", dtypes=("bfloat16",), cases=20)
    assert report.passed and {r.grade for r in report.rows} == {"float32 inside"}, str(report)


def test_a_framework_is_imported_only_when_it_is_asked_for(monkeypatch):
    real, asked = builtins.__import__, []

    def watched(name, *rest):
        asked.append(name.split(".")[0])
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", watched)
    assert find_framework("auto", base.selective_scan).name == "numpy"
    oracle.check(examples.good, cases=2)
    assert not {"torch", "jax", "cupy"} & set(asked)


def test_an_unknown_framework_is_refused():
    with pytest.raises(ValueError, match="framework must be auto"):
        find_framework("tensorflow", examples.good)


def test_numbers_are_rounded_to_bfloat16_as_by_ml_dtypes():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = (
        np.random.default_rng(0).standard_normal(1000)
        * 10.0 ** np.arange(-30, 30).repeat(17)[:1000]
    )
    want = x.astype(np.float32).astype(ml_dtypes.bfloat16).astype(float)
    assert np.array_equal(quantize(x, "bfloat16"), want)
