// common.cu -- what every kernel of this folder shares: the type in memory, and four functions.
//
// There is no #include anywhere in this folder: NVRTC then needs no header path, and the CPU
// emulator of tests/kernels can compile the very same text.  launch.py joins the files it needs.
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

// log(1 + e^x) = max(x, 0) + log(1 + q) with q = e^-|x|; a short series where 1 + q would round.
__device__ __forceinline__ float softplus_of(float x) {
    float q = exp2f(-fabsf(x) * LOG2E);
    float series = q * fmaf(q, fmaf(q, fmaf(q, -0.25f, 0.33333333f), -0.5f), 1.0f);
    float tail = q < 0.02f ? series : __log2f(1.0f + q) * LN2;
    return fmaxf(x, 0.0f) + tail;
}

// The derivative of softplus written in its value: 1 - e^-s, as a series where that would cancel.
__device__ __forceinline__ float softplus_slope(float s) {
    float series = s * fmaf(s, fmaf(s, fmaf(s, -0.04166667f, 0.16666667f), -0.5f), 1.0f);
    return s < 0.1f ? series : 1.0f - exp2f(-s * LOG2E);
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
