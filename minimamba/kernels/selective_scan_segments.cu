// selective_scan_segments.cu -- two small kernels for few channels and long sequences (chunked scan,
// Eq. (4.6)).  Needs common.cu and lanes.cu.
//
// Time is cut into segments.  A first pass finds what each segment does to a state that enters it:
// it multiplies it by exp(A sum of delta) and adds its `ends`.  `selective_scan_carry` walks over the
// segments and turns `ends` into the state that enters each.  Then the main kernels run, a block a
// segment.  The adjoint state goes the other way: q_t = a_t (q_{t+1} + C_t dy_t), Eq. (7.6).

template <bool reverse>
__device__ __forceinline__ void segment_ends(const io_t *x, const io_t *delta, const float *A, const io_t *M,
                                             const io_t *z, const float *delta_bias, float *ends, float *sums,
                                             int e, int l, int segment, int softplus,
                                             float2 (*step)[32],   // shared: (delta, delta u), or (delta, dy)
                                             float (*Ms)[PAD]) {  // shared: the tile of B, or of C
    const Place p = place(e, l, segment);
    const int w = p.w, hop = W * e, sequences = gridDim.x / ((e + 31) / 32);
    const float bias = p.live && delta_bias ? delta_bias[p.d] : 0.0f;
    float a2[S], h[S] = {}, sum = 0.0f;
    load_decay(A, p, a2);
    clear_padding(Ms);

    const int tiles = (max(0, p.end - p.begin) + T - 1) / T;
    for (int j = 0; j < tiles; ++j) {
        const int t0 = p.begin + (reverse ? tiles - 1 - j : j) * T, rows = rows_ahead(p, t0);
        const long long at = ((long long)p.b * l + t0 + w) * e + p.d;
        io_t xs[ROWS], deltas[ROWS], zs[ROWS];
        Vec m[LOADS];
        load_rows<false>(x + at, rows, hop, xs);
        load_rows<false>(delta + at, rows, hop, deltas);
        if (z) load_rows<false>(z + at, rows, hop, zs);
        load_matrix(M + ((long long)p.b * l + t0) * N, p.end - t0, m);
        __syncthreads();  // the last tile has been read
#pragma unroll
        for (int i = 0; i < ROWS; ++i) {
            const float dt = i * W < rows ? step_size(to_float(deltas[i]), bias, softplus) : 0.0f;
            float drive = to_float(xs[i]);
            if (reverse && z) drive *= to_float(zs[i]) * sigmoid_of(to_float(zs[i]));
            if (i * W + w < T) step[i * W + w][p.lane] = make_float2(dt, reverse ? drive : dt * drive);
        }
        store_matrix(m, Ms);
        __syncthreads();
#pragma unroll 4
        for (int i = 0; i < T; ++i) {
            const int t = reverse ? T - 1 - i : i;
            const float2 q = step[t][p.lane];
            sum += q.x;
#pragma unroll
            for (int s = 0; s < S; ++s) {
                const float a = exp2f(q.x * a2[s]), drive = q.y * Ms[t][w * S + s];
                h[s] = reverse ? a * (h[s] + drive) : fmaf(a, h[s], drive);
            }
        }
    }
    const long long sequence = (long long)blockIdx.y * sequences + p.b;
    store_states(ends + sequence * e * N, p, h);
    if (p.live && w == 0) sums[sequence * e + p.d] = sum;
}

extern "C" __global__ void __launch_bounds__(THREADS)
selective_scan_ends(const io_t *__restrict__ u, const io_t *__restrict__ delta, const float *__restrict__ A,
                    const io_t *__restrict__ B, const float *__restrict__ delta_bias,
                    float *__restrict__ ends, float *__restrict__ sums, int e, int l, int segment, int softplus) {
    __shared__ __align__(16) float2 step[T][32];
    __shared__ __align__(16) float Ms[T][PAD];
    segment_ends<false>(u, delta, A, B, nullptr, delta_bias, ends, sums, e, l, segment, softplus, step, Ms);
}
extern "C" __global__ void __launch_bounds__(THREADS)
selective_scan_adjoint_ends(const io_t *__restrict__ dy, const io_t *__restrict__ delta, const float *__restrict__ A,
                            const io_t *__restrict__ C, const io_t *__restrict__ z,
                            const float *__restrict__ delta_bias, float *__restrict__ ends,
                            float *__restrict__ sums, int e, int l, int segment, int softplus) {
    __shared__ __align__(16) float2 step[T][32];
    __shared__ __align__(16) float Ms[T][PAD];
    segment_ends<true>(dy, delta, A, C, z, delta_bias, ends, sums, e, l, segment, softplus, step, Ms);
}

// A thread a number of the state: ends (segments, b, e, n) becomes the state that enters each segment.
extern "C" __global__ void __launch_bounds__(128)
selective_scan_carry(const float *__restrict__ A, const float *__restrict__ sums, const float *__restrict__ start,
                     float *ends, int e, int states, int segments, int reverse) {
    const long long i = (long long)blockIdx.x * 128 + threadIdx.x;
    if (i >= states) return;  // states = b e n
    float h = start ? start[i] : 0.0f;
    const float a2 = A[i % ((long long)e * N)] * LOG2E;
    for (int j = 0; j < segments; ++j) {
        const long long k = reverse ? segments - 1 - j : j;
        const float end = ends[k * states + i];
        ends[k * states + i] = h;
        h = fmaf(exp2f(sums[(k * states + i) / N] * a2), h, end);
    }
}
