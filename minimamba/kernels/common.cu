// common.cu -- what every kernel of this folder shares: the type in memory, and four functions.
//
// There is no #include anywhere in this folder: NVRTC then needs no header path, and the
// emulator in tests/emulator can compile the very same text.  compile.py joins the files it needs.
// Compiled with --ftz=true, exp2f is one instruction.

#define LOG2E 1.4426950408889634f
#define LN2 0.6931471805599453f

// IO_BF16: bfloat16 in memory, float32 in registers.  A bfloat16 is the upper half of a float32.
#ifdef IO_BF16
struct io_t {
    unsigned short bits;
};
__device__ __forceinline__ float to_float(io_t x) { return __uint_as_float((unsigned)x.bits << 16); }
__device__ __forceinline__ io_t from_float(float x) {  // round to nearest, ties to even
    io_t r;
#ifdef __CUDA_ARCH__
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r.bits) : "f"(x));
#else
    unsigned i = __float_as_uint(x);
    bool nan = (i & 0x7fffffffu) > 0x7f800000u;
    r.bits = nan ? 0x7fff : (unsigned short)((i + 0x7fffu + ((i >> 16) & 1u)) >> 16);
#endif
    return r;
}
#else
typedef float io_t;
__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float from_float(float x) { return x; }
#endif

// log(1 + e^x) = max(x, 0) + log(1 + q) with q = e^-|x|, and log(1 + q) = 2 atanh(q / (2 + q)): an odd
// series, right to the last bits however small q is (the device's logarithm of 1 + q would not be).
__device__ __forceinline__ float softplus_of(float x) {
    const float q = exp2f(-fabsf(x) * LOG2E), r = __fdividef(q, 2.0f + q), t = r * r;
    const float series = fmaf(t, fmaf(t, fmaf(t, 0.28011990f, 0.28001806f), 0.40021527f), 0.66666418f);
    return fmaxf(x, 0.0f) + r * fmaf(t, series, 2.0f);
}

// The derivative of softplus written in its value: 1 - e^-s, as a series where that would cancel.
__device__ __forceinline__ float softplus_slope(float s) {
    const float tail = fmaf(s, fmaf(s, fmaf(s, 0.00833333f, -0.04166667f), 0.16666667f), -0.5f);
    return s < 0.2f ? s * fmaf(s, tail, 1.0f) : 1.0f - exp2f(-s * LOG2E);
}

__device__ __forceinline__ float sigmoid_of(float x) {
    return __fdividef(1.0f, 1.0f + exp2f(-x * LOG2E));
}

// Ask for a line that the next tile will read; a hint, nothing depends on it.
__device__ __forceinline__ void prefetch(const void *p) {
#ifdef __CUDA_ARCH__
    asm volatile("prefetch.global.L2 [%0];" ::"l"(p));
#endif
}

// The compiler keeps loads on their side of this line: fewer values wait in registers at once.
__device__ __forceinline__ void keep_order() {
#ifdef __CUDA_ARCH__
    asm volatile("" ::: "memory");
#endif
}
