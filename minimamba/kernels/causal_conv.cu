// causal_conv.cu -- the depthwise causal convolution, its adjoint and its step, Eqs. (5.7) to (5.9).
// Needs common.cu.  x, y: (b, l, e)   weight: (e, k), TAPS = k   state: (b, k-1, e), oldest first.
//
// A lane is a channel, so loads are coalesced; a warp walks STEPS steps of it with the last TAPS
// values in registers, so every number is read from memory once.  A block is WARPS warps, one after
// the other in time.  grid (ceil(e/32) * b, ceil(steps / (STEPS * WARPS))).

constexpr int STEPS = 32, WARPS = 4;

struct Strip {
    int w, d, b, begin;  // this thread: channel d of sequence b, from step `begin`
    bool live;
};
__device__ __forceinline__ Strip strip(int e) {
    const int blocks = (e + 31) / 32;
    Strip s;
    s.w = threadIdx.x / 32;
    s.d = blockIdx.x % blocks * 32 + threadIdx.x % 32;
    s.b = blockIdx.x / blocks;
    s.begin = (blockIdx.y * WARPS + s.w) * STEPS;
    s.live = s.d < e;
    return s;
}
// Step t of the input of channel d; the steps before 0 are the state, or zero without one.
__device__ __forceinline__ float input(const io_t *x, const io_t *state, int b, int d, int t, int e, int l) {
    if (t >= 0) return to_float(x[((long long)b * l + t) * e + d]);
    return state ? to_float(state[((long long)b * (TAPS - 1) + TAPS - 1 + t) * e + d]) : 0.0f;
}
__device__ __forceinline__ void load_taps(const float *weight, const Strip &s, float (&tap)[TAPS]) {
#pragma unroll
    for (int j = 0; j < TAPS; ++j) tap[j] = s.live ? weight[(long long)s.d * TAPS + j] : 0.0f;
}

extern "C" __global__ void __launch_bounds__(32 * WARPS)
causal_conv_forward(const io_t *__restrict__ x, const float *__restrict__ weight, const float *__restrict__ bias,
                    const io_t *__restrict__ state, io_t *__restrict__ y, io_t *__restrict__ next_state, int e, int l) {
    const Strip s = strip(e);
    if (!s.live) return;
    float tap[TAPS], window[TAPS];  // window[j] meets tap[j]; the newest is last
    load_taps(weight, s, tap);
    const float shift = bias ? bias[s.d] : 0.0f;
    if (s.begin < l) {
#pragma unroll
        for (int j = 1; j < TAPS; ++j) window[j] = input(x, state, s.b, s.d, s.begin - TAPS + j, e, l);
    }
#pragma unroll 8
    for (int t = s.begin; t < min(l, s.begin + STEPS); ++t) {
        float sum = shift;
#pragma unroll
        for (int j = 0; j + 1 < TAPS; ++j) window[j] = window[j + 1];
        window[TAPS - 1] = input(x, state, s.b, s.d, t, e, l);
#pragma unroll
        for (int j = 0; j < TAPS; ++j) sum = fmaf(tap[j], window[j], sum);  // Eq. (5.7)
        y[((long long)s.b * l + t) * e + s.d] = from_float(sum);
    }
    if (blockIdx.y == 0 && s.w == 0)
        for (int j = 0; j + 1 < TAPS; ++j)
            next_state[((long long)s.b * (TAPS - 1) + j) * e + s.d] =
                from_float(input(x, state, s.b, s.d, l - TAPS + 1 + j, e, l));
}

// Over the padded input (state, then x), whose step i has met dy_{i-j} by tap j:
//   dpadded_i = sum_j tap_j dy_{i-j} (+ dstate at the end)      dtap_j = sum_i dy_{i-j} padded_i
// share: (b * gridDim.y, e, TAPS + 1), this block's dtap and dbias, for the caller to sum.
extern "C" __global__ void __launch_bounds__(32 * WARPS)
causal_conv_backward(const io_t *__restrict__ dy, const io_t *__restrict__ x, const float *__restrict__ weight,
                     const io_t *__restrict__ state, const io_t *__restrict__ dstate, io_t *__restrict__ dx,
                     io_t *__restrict__ dstate0, float *__restrict__ share, int e, int l) {
    __shared__ float sums[WARPS][TAPS + 1][32];
    const Strip s = strip(e);
    const int lane = threadIdx.x % 32, padded = l + TAPS - 1;
    float tap[TAPS], window[TAPS], dtap[TAPS] = {}, dbias = 0.0f;  // window[j] is dy_{i-j}
    load_taps(weight, s, tap);
    const io_t *from = dy + (long long)s.b * l * e + s.d;
#pragma unroll
    for (int j = 0; j < TAPS; ++j) {
        const int t = s.begin - 1 - j;
        window[j] = s.live && t >= 0 && t < l ? to_float(from[(long long)t * e]) : 0.0f;
    }
    for (int i = s.begin; s.live && i < min(padded, s.begin + STEPS); ++i) {
#pragma unroll
        for (int j = TAPS - 1; j > 0; --j) window[j] = window[j - 1];
        window[0] = i < l ? to_float(from[(long long)i * e]) : 0.0f;
        const float value = input(x, state, s.b, s.d, i - TAPS + 1, e, l);
        float sum = dstate && i >= l ? to_float(dstate[((long long)s.b * (TAPS - 1) + i - l) * e + s.d]) : 0.0f;
#pragma unroll
        for (int j = 0; j < TAPS; ++j) {
            sum = fmaf(tap[j], window[j], sum);  // Eq. (5.8)
            dtap[j] = fmaf(window[j], value, dtap[j]);
        }
        dbias += window[0];
        if (i >= TAPS - 1)
            dx[((long long)s.b * l + i - TAPS + 1) * e + s.d] = from_float(sum);
        else
            dstate0[((long long)s.b * (TAPS - 1) + i) * e + s.d] = from_float(sum);
    }
#pragma unroll
    for (int j = 0; j < TAPS; ++j) sums[s.w][j][lane] = dtap[j];
    sums[s.w][TAPS][lane] = dbias;
    __syncthreads();
    for (int j = s.w; j <= TAPS && s.live; j += WARPS) {
        float sum = 0.0f;
        for (int v = 0; v < WARPS; ++v) sum += sums[v][j][lane];
        share[(((long long)s.b * gridDim.y + blockIdx.y) * e + s.d) * (TAPS + 1) + j] = sum;
    }
}

// One step, Eq. (5.9): a thread a channel of a sequence.
extern "C" __global__ void __launch_bounds__(128)
causal_conv_step(const io_t *__restrict__ x, const float *__restrict__ weight, const float *__restrict__ bias,
                 const io_t *__restrict__ state, io_t *__restrict__ y, io_t *__restrict__ next_state, int e, int total) {
    const int i = blockIdx.x * 128 + threadIdx.x;  // i = b e + d
    if (i >= total) return;
    const int b = i / e, d = i % e;
    float sum = bias ? bias[d] : 0.0f;
#pragma unroll
    for (int j = 0; j < TAPS; ++j) {
        const io_t value = j + 1 < TAPS ? state[((long long)b * (TAPS - 1) + j) * e + d] : x[i];
        sum = fmaf(weight[d * TAPS + j], to_float(value), sum);
        if (j > 0) next_state[((long long)b * (TAPS - 1) + j - 1) * e + d] = value;
    }
    y[i] = from_float(sum);
}
