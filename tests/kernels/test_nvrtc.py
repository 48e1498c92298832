"""The real compiler takes every kernel, for three GPU generations: nothing spills."""

import pytest

from benchmarks.gpu import nvrtc
from tests.kernels.nvrtc_cache import ARCHITECTURES, compiled, variants

MOST_REGISTERS = {  # more would leave too few warps on a multiprocessor
    "selective_scan_forward": 168,  # 128 with up to 16 states before sm_100
    "selective_scan_backward": 255,
    "selective_scan_ends": 128,
    "selective_scan_adjoint_ends": 128,
    "selective_scan_carry": 40,
}
CASES = [(arch, *variant) for arch in ARCHITECTURES for variant in variants(arch)]


@pytest.fixture(autouse=True, scope="module")
def compiler():
    """Fail, not skip, where NVRTC is not installed: then nothing here would be checked."""
    if reason := nvrtc.missing():
        pytest.fail(reason)


@pytest.mark.parametrize("arch,name,files,options", CASES, ids=[f"{a} {n}" for a, n, _, _ in CASES])
def test_it_compiles_without_spills_and_within_its_registers(arch, name, files, options):
    kernels = compiled(files, options, arch)
    assert kernels
    for kernel, used in kernels.items():
        assert used["spill"] == 0 and used["stack"] == 0, (kernel, used)
        assert used["registers"] <= MOST_REGISTERS.get(kernel, 64), (kernel, used)
        assert used["shared"] <= 48 * 1024, (kernel, used)


def test_an_unknown_name_is_refused_by_the_compiler():
    with pytest.raises(nvrtc.CompileError, match='"y" is undefined'):
        nvrtc.compile_cubin('extern "C" __global__ void k(float *x) { x[0] = y; }')


def test_a_spill_would_be_seen():
    code = """extern "C" __global__ void __launch_bounds__(1024, 2) k(float *x) {
        float v[64];
        #pragma unroll
        for (int i = 0; i < 64; ++i) v[i] = x[i * 1024 + threadIdx.x];
        __syncthreads();
        #pragma unroll
        for (int i = 0; i < 64; ++i) x[i * 1024 + threadIdx.x] = v[i] * v[63 - i];
    }"""
    assert nvrtc.resources(nvrtc.compile_cubin(code)[1])["k"]["spill"] > 0
