"""Selective state space models from scratch, forward and backward, in NumPy and CuPy.

`y, cache = op(x, p)` has its adjoint beside it, `dx, dp = op_backward(dy, cache)`: `minimamba.ops`
is the list, `blocks` and `models` are built of it. Here stand the names that most work begins with.
"""

from importlib import import_module

__version__ = "0.1.0"

FACE = {
    # h_t = a_t h_{t-1} + b_t, in any order of work
    "ops.recurrence": "recurrence recurrence_backward recurrence_step "
    "sequential hillis_steele blelloch chunked",
    # from continuous to discrete time
    "ops.discretize": "zoh zoh_backward bilinear bilinear_backward euler euler_backward "
    "zoh_euler zoh_euler_backward",
    # Mamba: the recurrence whose numbers the input chooses
    "ops.selective.scan": "selective_scan selective_scan_backward",
    "ops.selective.naive": "selective_scan_naive selective_scan_naive_backward selective_scan_step",
    "blocks.mamba": "mamba mamba_backward mamba_step MambaParams",
    "blocks.init": "init_mamba",
    # EchoMamba4Rec: Mamba both ways behind a filter over frequencies
    "ops.spectral": "spectral_filter spectral_filter_backward FilterParams",
    "models.echo": "init_echo EchoConfig echo_loss echo_loss_backward echo_scores",
    # weights of others, and the question whether a gradient is right
    "models": "interop mamba_lm",
    "gradcheck": "check_vjp check_adjoint complex_step",
}
HOME = {name: f"{__name__}.{module}" for module, names in FACE.items() for name in names.split()}
ROOMS = ("ops", "blocks", "models", "recsys", "oracle", "gradcheck")
__all__ = [*HOME, *ROOMS]


def __getattr__(name):
    """Import what is asked for when it is asked for: `import minimamba` itself loads nothing."""
    if name in ROOMS:
        return import_module(f"{__name__}.{name}")
    if name not in HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module(HOME[name])
    return getattr(home, name, None) or import_module(f"{HOME[name]}.{name}")  # a module of a room


def __dir__():
    return sorted({*globals(), *__all__})
