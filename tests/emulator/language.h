// language.h -- the words of CUDA C++ that our kernels use, as plain C++.
//
// Not modelled: bank conflicts and speed, weak memory order, cp.async and the tensor cores (a kernel
// keeps those in one function with a plain twin under CUDA_EMU), and waiting for another block (blocks
// run one after another).
#pragma once
#define CUDA_EMU 1
#include <cmath>

#include "machine.h"

#define __global__
#define __device__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
// Not inside a template: g++ puts a template's statics elsewhere, and they would not be poisoned.
#define __shared__ static __attribute__((section("emu_shared"), aligned(16)))

struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

// __builtin_LINE() as a default argument is the line of the caller.
#define EMU_AT int line = __builtin_LINE()
inline void __syncthreads(EMU_AT) { emu::block_barrier(line); }
inline void __syncwarp(unsigned mask = ~0u, EMU_AT) { emu::warp_barrier(line, mask); }

namespace emu {
template <class T>
EMU_QUIET T take(int line, unsigned mask, T v, int (*source)(int lane, int arg, int width), int arg, int width) {
    static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
    int from = source((current - fibers.data()) & 31, arg, width);
    if (!(mask >> from & 1)) fail("a shuffle reads a lane outside its mask", line);
    uint64_t mine = 0;
    __builtin_memcpy(&mine, &v, sizeof(T));
    const uint64_t *table = exchange(line, mask, mine);
    __builtin_memcpy(&v, table + from, sizeof(T));
    return v;
}
inline int from_index(int lane, int arg, int width) { return (lane & ~(width - 1)) + (arg & (width - 1)); }
inline int from_below(int lane, int arg, int width) { return (lane & (width - 1)) < arg ? lane : lane - arg; }
inline int from_above(int lane, int arg, int width) { return (lane & (width - 1)) + arg >= width ? lane : lane + arg; }
inline int from_across(int lane, int arg, int width) {
    int other = lane ^ arg;
    return other >= (lane & ~(width - 1)) + width ? lane : other;
}
}  // namespace emu

template <class T>
T __shfl_sync(unsigned m, T v, int from, int width = 32, EMU_AT) {
    return emu::take(line, m, v, emu::from_index, from, width);
}
template <class T>
T __shfl_up_sync(unsigned m, T v, int by, int width = 32, EMU_AT) {
    return emu::take(line, m, v, emu::from_below, by, width);
}
template <class T>
T __shfl_down_sync(unsigned m, T v, int by, int width = 32, EMU_AT) {
    return emu::take(line, m, v, emu::from_above, by, width);
}
template <class T>
T __shfl_xor_sync(unsigned m, T v, int mask, int width = 32, EMU_AT) {
    return emu::take(line, m, v, emu::from_across, mask, width);
}
EMU_QUIET inline unsigned __ballot_sync(unsigned mask, int vote, EMU_AT) {
    const uint64_t *table = emu::exchange(line, mask, vote != 0);
    unsigned r = 0;
    for (int l = 0; l < 32; ++l)
        if (mask >> l & 1) r |= (unsigned)table[l] << l;
    return r;
}

template <class To, class From>
To emu_bits(From from) {
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}
inline float __uint_as_float(unsigned i) { return emu_bits<float>(i); }
inline unsigned __float_as_uint(float f) { return emu_bits<unsigned>(f); }

// The special function unit errs in the last two bits.  Here a hash of the argument says by how much,
// anywhere within the 2^-22 that its documentation allows.
inline float emu_rough(double exact, float x) {
    const int hash = (int)(__float_as_uint(x) * 2654435761u);
    return (float)(exact * (1 + hash * 0x1p-53));
}
inline float emu_exp2f(float x) { return x == 0.0f ? 1.0f : emu_rough(exp2((double)x), x); }
inline float __fdividef(float a, float b) { return emu_rough((double)a / b, b); }
#define exp2f emu_exp2f
inline long long clock64() {  // a cycle for each look at it
    static long long cycles;
    return ++cycles;
}
inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }

// Relaxed, as on the device: it makes the addition whole, it orders nothing else.
inline float atomicAdd(float *p, float v) {
    uint32_t *q = (uint32_t *)p, old = __atomic_load_n(q, __ATOMIC_RELAXED), want;
    do want = emu_bits<uint32_t>(emu_bits<float>(old) + v);
    while (!__atomic_compare_exchange_n(q, &old, want, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return emu_bits<float>(old);
}
