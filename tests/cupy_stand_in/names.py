"""What of CuPy 14 the stand-in has: names and parameters, in CuPy's order; nothing else exists.

test_cupy_stand_in.py holds every line to CuPy itself where that is installed.
"""

UFUNCS = """
abs add bitwise_and bitwise_or cos equal exp expm1 floor_divide greater greater_equal invert isnan
left_shift less less_equal log matmul maximum minimum multiply negative not_equal power remainder
right_shift sign sin sqrt subtract tanh true_divide
"""
FUNCTIONS = {
    "arange": "start stop step dtype",
    "argsort": "a axis kind",
    "ascontiguousarray": "a dtype",
    "broadcast_to": "array shape",
    "clip": "a a_min a_max out",
    "concatenate": "tup axis out dtype casting",
    "cumsum": "a axis dtype out",
    "diag": "v k",
    "empty": "shape dtype order",
    "empty_like": "prototype dtype order subok shape",
    "eye": "N M k dtype order",
    "flip": "a axis",
    "full": "shape fill_value dtype order",
    "iscomplexobj": "x",
    "moveaxis": "a source destination",
    "nonzero": "a",
    "ones": "shape dtype order",
    "ones_like": "a dtype order subok shape",
    "outer": "a b out",
    "roll": "a shift axis",
    "shape": "a",
    "split": "ary indices_or_sections axis",
    "stack": "tup axis out dtype casting",
    "swapaxes": "a axis1 axis2",
    "tril": "m k",
    "where": "condition x y",
    "zeros": "shape dtype order",
    "zeros_like": "a dtype order subok shape",
}
TRANSFORMS = dict.fromkeys(("fft", "ifft", "rfft", "irfft"), "a n axis norm")
SOLVERS = {"solve": "a b", "eigh": "a UPLO"}
METHODS = {
    "all": "axis out keepdims",
    "any": "axis out keepdims",
    "argsort": "axis kind",
    "astype": "dtype order casting subok copy",
    "conj": "",
    "copy": "order",
    "cumsum": "axis dtype out",
    "max": "axis out keepdims",
    "mean": "axis dtype out keepdims",
    "min": "axis out keepdims",
    "nonzero": "",
    "ravel": "order",
    "repeat": "repeats axis",
    "sum": "axis dtype out keepdims",
    "swapaxes": "axis1 axis2",
    "take": "indices axis out",
    "view": "dtype type",
}
ATTRIBUTES = "dtype shape ndim size nbytes itemsize strides flags"
OF_THE_HOST = "newaxis float32 float64 complex64 complex128 int32 int64 uint16 uint32 finfo iinfo"
UNARY = {"__neg__": "negative", "__abs__": "abs", "__invert__": "invert"}
COMPARED = {
    "__lt__": "less",
    "__le__": "less_equal",
    "__gt__": "greater",
    "__ge__": "greater_equal",
    "__eq__": "equal",
    "__ne__": "not_equal",
}
BINARY = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "true_divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "power",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "lshift": "left_shift",
    "rshift": "right_shift",
}
