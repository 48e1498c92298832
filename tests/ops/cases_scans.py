"""Cases of the scans, the discretizations and the time-invariant views."""

from functools import partial

import numpy as np

from minimamba.arrays import from_host
from minimamba.gradcheck import central_difference
from minimamba.ops.discretize import (
    bilinear,
    bilinear_backward,
    euler,
    euler_backward,
    zoh,
    zoh_backward,
    zoh_euler,
    zoh_euler_backward,
)
from minimamba.ops.discretize_dense import (
    bilinear_dense,
    bilinear_dense_backward,
    euler_dense,
    euler_dense_backward,
    matrix_exp,
    matrix_exp_backward,
    zoh_dense,
    zoh_dense_backward,
)
from minimamba.ops.lti import (
    causal_convolution,
    causal_convolution_backward,
    circular_convolution,
    circular_convolution_backward,
    convolve_direct,
    convolve_fft,
    impulse_response,
    impulse_response_backward,
    impulse_response_dense,
    impulse_response_dense_backward,
    transfer_function,
    transfer_function_backward,
)
from minimamba.ops.recurrence import (
    blelloch,
    chunked,
    hillis_steele,
    recurrence,
    recurrence_backward,
    sequential,
)
from minimamba.ops.selective.naive import selective_scan_naive, selective_scan_naive_backward
from minimamba.ops.selective.scan import selective_scan, selective_scan_backward
from tests.cases import Case, normal

STEP = 0.3  # of the dense systems
FREQUENCIES = np.exp(1j * np.linspace(0.1, 3.0, 5))


def scheduled(name, schedule):
    """Return the case of the recurrence in one schedule, forward and backward."""
    forward = partial(recurrence, schedule=schedule)
    return Case(name, forward, partial(recurrence_backward, schedule=schedule), draw_rec, (0, 1, 2))


def draw_rec(rng, s):
    return 0.7 * normal(rng, s.b, s.l, s.d), normal(rng, s.b, s.l, s.d), normal(rng, s.b, s.d)


def draw_selective(rng, s):
    u, delta, z = (normal(rng, s.b, s.l, s.e) for _ in range(3))
    B, C = (normal(rng, s.b, s.l, s.n) for _ in range(2))
    A, h0 = -np.exp(0.5 * normal(rng, s.e, s.n)), normal(rng, s.b, s.e, s.n)
    return u, delta, A, B, C, normal(rng, s.e), z, normal(rng, s.e), h0


def selective(name, scan, backward):
    """Return the cases of a selective scan, with every option and with none."""

    def gated(u, delta, A, B, C, D, z, delta_bias, h0):
        return scan(u, delta, A, B, C, D, z, delta_bias, delta_softplus=True, h0=h0)

    def bare(u, delta, A, B, C):
        y, _, cache = scan(u, delta, A, B, C)
        return y, cache

    def bare_backward(dy, cache):
        return backward(dy, None, cache)[:5]

    def draw_bare(rng, s):
        return draw_selective(rng, s)[:5]

    return [
        Case(name, gated, backward, draw_selective, (0, 1, 3, 4, 6, 8)),
        Case(f"{name}-bare", bare, bare_backward, draw_bare, (0, 1, 3, 4)),
    ]


def naive(schedule):
    """Return the definition of the selective scan in one schedule, forward and backward."""
    forward = partial(selective_scan_naive, schedule=schedule)
    return forward, partial(selective_scan_naive_backward, schedule=schedule)


def draw_discrete(rng, s):
    delta = np.exp(normal(rng, s.b, s.l, s.e) - 1)
    return delta, -np.exp(normal(rng, s.e, s.n)), normal(rng, s.b, s.l, s.n)


def draw_constant(rng, s):
    return np.exp(normal(rng, s.e) - 1), -np.exp(normal(rng, s.e, s.n)), normal(rng, s.e, s.n)


def dense(op, backward):
    """Return an op of (A, B) at one step size; its step has a test of its own."""
    return partial(op, STEP), lambda *args: backward(*args)[1:]


def draw_dense(rng, s):
    return normal(rng, s.n, s.n) - np.eye(s.n), normal(rng, s.n, s.d)


def draw_square(rng, s):
    return (normal(rng, s.n, s.n),)


def draw_system(rng, s):
    return tuple(scale * normal(rng, s.e, s.n) for scale in (0.4, 1, 1))


def draw_dense_system(rng, s):
    return 0.4 * normal(rng, s.n, s.n), normal(rng, s.n, s.d), normal(rng, s.e, s.n)


def draw_convolution(rng, s):
    return normal(rng, s.b, s.l, s.e), normal(rng, s.k, s.e)


def draw_circle(rng, s):
    return normal(rng, s.b, s.l, s.e), normal(rng, s.l, s.e)


def frequency_response(A_bar, B_bar, C):
    z = FREQUENCIES.astype(np.result_type(A_bar.dtype, np.complex64))
    return transfer_function(A_bar, B_bar, C, from_host(z, A_bar))


DISCRETE = [
    (zoh, zoh_backward),
    (bilinear, bilinear_backward),
    (euler, euler_backward),
    (zoh_euler, zoh_euler_backward),
]
DENSE = [
    (zoh_dense, zoh_dense_backward),
    (bilinear_dense, bilinear_dense_backward),
    (euler_dense, euler_dense_backward),
]
# A product is quadratic along every line, so a step of 1 is exact; a complex step is not, for an
# FFT, which mixes the imaginary part of 1e-30 with the rounding of the real one.
of_product = partial(central_difference, step=1.0)
METHODS = {"direct": convolve_direct, "fft": convolve_fft}

CASES = [
    scheduled("recurrence", sequential),
    scheduled("recurrence-hillis_steele", hillis_steele),
    scheduled("recurrence-blelloch", blelloch),
    scheduled("recurrence-chunked", chunked(3)),
    *selective("selective_scan", selective_scan, selective_scan_backward),
    *selective("selective_scan_naive", *naive(sequential)),
    *selective("selective_scan_naive-hillis_steele", *naive(hillis_steele)),
    *selective("selective_scan_naive-blelloch", *naive(blelloch)),
    *selective("selective_scan_naive-chunked", *naive(chunked(3))),
    *[Case(f.__name__, f, g, draw_discrete, (0, 2)) for f, g in DISCRETE],
    *[Case(f"{f.__name__}-constant", f, g, draw_constant) for f, g in DISCRETE],
    Case("matrix_exp", lambda X: (matrix_exp(X), X), matrix_exp_backward, draw_square),
    *[Case(f.__name__, *dense(f, g), draw_dense) for f, g in DENSE],
    Case(
        "impulse_response",
        partial(impulse_response, l=6),
        impulse_response_backward,
        draw_system,
    ),
    Case(
        "impulse_response_dense",
        partial(impulse_response_dense, l=6),
        impulse_response_dense_backward,
        draw_dense_system,
    ),
    # H is complex, so a complex step has no imaginary part to itself. It is analytic along every
    # real line: a difference of 1e-4 leaves 1e-8 of truncation and 1e-12 of rounding.
    Case(
        "transfer_function",
        frequency_response,
        transfer_function_backward,
        draw_system,
        tangent=partial(central_difference, step=1e-4),
        tolerance=1e-6,
    ),
    *[
        Case(
            f"causal_convolution-{name}",
            partial(causal_convolution, convolve=convolve),
            partial(causal_convolution_backward, convolve=convolve),
            draw_convolution,
            (0,),
            tangent=of_product,
        )
        for name, convolve in METHODS.items()
    ],
    Case(
        "circular_convolution",
        circular_convolution,
        circular_convolution_backward,
        draw_circle,
        (0,),
        tangent=of_product,
    ),
]
