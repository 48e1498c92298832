"""Selective state space models from scratch, forward and backward, in NumPy and CuPy.

The oracle is `minimamba.oracle`.
"""

from minimamba.blocks.bidirectional import (
    BidirectionalParams,
    bidirectional,
    bidirectional_backward,
)
from minimamba.blocks.echo import EchoBlockParams, echo_block, echo_block_backward
from minimamba.blocks.init import init_mamba, mamba_delta, released
from minimamba.blocks.mamba import MambaParams, MambaState, mamba, mamba_backward, mamba_step
from minimamba.blocks.mamba_last import mamba_last, mamba_last_backward
from minimamba.blocks.sequence import flip_valid, flip_window, read_ends, read_last
from minimamba.gradcheck import check_adjoint, check_vjp, complex_step
from minimamba.models import interop, mamba_lm
from minimamba.models.echo import (
    EchoParams,
    echo_encode,
    echo_encode_backward,
    echo_loss,
    echo_loss_backward,
    echo_scores,
)
from minimamba.models.echo_init import EchoConfig, init_echo
from minimamba.models.explain import echo_attribution, echo_receptive_field
from minimamba.ops.conv import ConvParams, causal_conv1d, causal_conv1d_backward, causal_conv1d_step
from minimamba.ops.discretize import (
    bilinear,
    bilinear_backward,
    euler,
    euler_backward,
    zoh,
    zoh_backward,
)
from minimamba.ops.dropout import dropout, dropout_backward
from minimamba.ops.elementwise import (
    gelu,
    gelu_backward,
    sigmoid,
    sigmoid_backward,
    silu,
    silu_backward,
    softplus,
    softplus_backward,
)
from minimamba.ops.embedding import embedding, embedding_backward
from minimamba.ops.glu import GLUParams, glu, glu_backward
from minimamba.ops.hippo import hippo_legs, hippo_legs_nplr, s4d_inv, s4d_legs, s4d_lin, s4d_real
from minimamba.ops.linear import LinearParams, linear, linear_backward
from minimamba.ops.loss import (
    bpr,
    bpr_backward,
    softmax_cross_entropy,
    softmax_cross_entropy_backward,
)
from minimamba.ops.lti import (
    causal_convolution,
    causal_convolution_backward,
    circular_convolution,
    circular_convolution_backward,
    impulse_response,
    impulse_response_backward,
    transfer_function,
    transfer_function_backward,
)
from minimamba.ops.norm import (
    NormParams,
    RMSNormParams,
    layer_norm,
    layer_norm_backward,
    rms_norm,
    rms_norm_backward,
)
from minimamba.ops.recurrence import (
    blelloch,
    chunked,
    combine,
    hillis_steele,
    recurrence,
    recurrence_backward,
    recurrence_step,
    sequential,
    work_and_depth,
)
from minimamba.ops.selective.last import selective_scan_last, selective_scan_last_backward
from minimamba.ops.selective.naive import selective_scan_naive, selective_scan_step
from minimamba.ops.selective.scan import selective_scan, selective_scan_backward
from minimamba.ops.spectral import (
    FilterParams,
    causal_filter,
    causal_filter_backward,
    causal_filter_step,
    spectral_filter,
    spectral_filter_backward,
)

__all__ = [
    "BidirectionalParams",
    "ConvParams",
    "EchoBlockParams",
    "EchoConfig",
    "EchoParams",
    "FilterParams",
    "GLUParams",
    "LinearParams",
    "MambaParams",
    "MambaState",
    "NormParams",
    "RMSNormParams",
    "bidirectional",
    "bidirectional_backward",
    "bilinear",
    "bilinear_backward",
    "blelloch",
    "bpr",
    "bpr_backward",
    "causal_conv1d",
    "causal_conv1d_backward",
    "causal_conv1d_step",
    "causal_convolution",
    "causal_convolution_backward",
    "causal_filter",
    "causal_filter_backward",
    "causal_filter_step",
    "check_adjoint",
    "check_vjp",
    "chunked",
    "circular_convolution",
    "circular_convolution_backward",
    "combine",
    "complex_step",
    "dropout",
    "dropout_backward",
    "echo_attribution",
    "echo_block",
    "echo_block_backward",
    "echo_encode",
    "echo_encode_backward",
    "echo_loss",
    "echo_loss_backward",
    "echo_receptive_field",
    "echo_scores",
    "embedding",
    "embedding_backward",
    "euler",
    "euler_backward",
    "flip_valid",
    "flip_window",
    "gelu",
    "gelu_backward",
    "glu",
    "glu_backward",
    "hillis_steele",
    "hippo_legs",
    "hippo_legs_nplr",
    "impulse_response",
    "impulse_response_backward",
    "init_echo",
    "init_mamba",
    "interop",
    "layer_norm",
    "layer_norm_backward",
    "linear",
    "linear_backward",
    "mamba",
    "mamba_backward",
    "mamba_delta",
    "mamba_last",
    "mamba_last_backward",
    "mamba_lm",
    "mamba_step",
    "read_ends",
    "read_last",
    "recurrence",
    "recurrence_backward",
    "recurrence_step",
    "released",
    "rms_norm",
    "rms_norm_backward",
    "s4d_inv",
    "s4d_legs",
    "s4d_lin",
    "s4d_real",
    "selective_scan",
    "selective_scan_backward",
    "selective_scan_last",
    "selective_scan_last_backward",
    "selective_scan_naive",
    "selective_scan_step",
    "sequential",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softmax_cross_entropy",
    "softmax_cross_entropy_backward",
    "softplus",
    "softplus_backward",
    "spectral_filter",
    "spectral_filter_backward",
    "transfer_function",
    "transfer_function_backward",
    "work_and_depth",
    "zoh",
    "zoh_backward",
]
__version__ = "0.1.0"
