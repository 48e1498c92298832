// selective_scan.cu -- the fused selective scan, Eq. (7.1) to (7.5).  Needs common.cu and lanes.cu.
//
//   delta_t = softplus(delta_t + bias)           h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t
//   y_t = (C_t . h_t + D u_t) silu(z_t)
//
// A tile: (1) all threads put (delta, delta u) and the rows of B and C into shared memory; (2) ask
// for the next tile, so that memory works during (3): each warp walks the tile, its states in
// registers; (4) all threads add the warps' shares of C h, then skip, gate, store.
// Every K steps the state is kept in `checkpoint` (b, ceil(l/K), ceil(e/32), n, 32), for
// the backward pass: a lane has a place there whether it has a channel or not, so nothing is asked.

// 16 warps on a multiprocessor hide the memory, and leave 128 registers to a thread.  Eight states a
// lane need a few more, and so does Blackwell, which works on pairs of registers: 12 warps.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1000
constexpr int RESIDENT = 384 / THREADS;
#else
constexpr int RESIDENT = (S > 4 ? 384 : 512) / THREADS;
#endif
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
selective_scan_forward(const io_t *__restrict__ u, const io_t *__restrict__ delta, const float *__restrict__ A,
                       const io_t *__restrict__ B, const io_t *__restrict__ C, const float *__restrict__ D,
                       const io_t *__restrict__ z, const float *__restrict__ delta_bias,
                       const float *__restrict__ h0,  // (segments, b, e, n): the state before each segment
                       io_t *__restrict__ y, float *__restrict__ h_last, float *__restrict__ checkpoint,
                       int e, int l, int segment, int softplus) {
    __shared__ __align__(16) float2 step[T][32];  // (delta, delta u)
    __shared__ __align__(16) float Bs[T][PAD], Cs[T][PAD];
    __shared__ float part[W][T][32];  // each warp's share of C h
    const Place p = place(e, l, segment);
    const int lane = p.lane, w = p.w, hop = W * e, sequences = gridDim.x / ((e + 31) / 32);
    const float skip = p.live && D ? D[p.d] : 0.0f, bias = p.live && delta_bias ? delta_bias[p.d] : 0.0f;
    float a2[S], h[S];
    load_decay(A, p, a2);
    load_states(h0 ? h0 + ((long long)blockIdx.y * sequences + p.b) * e * N : h0, p, h);
    clear_padding(Bs);
    clear_padding(Cs);

    // the running addresses: my first element of the tile, the tile's rows of B and C
    const long long first = ((long long)p.b * l + p.begin + w) * e + p.d, row = ((long long)p.b * l + p.begin) * N;
    u += first, delta += first, y += first, B += row, C += row;
    if (z) z += first;
    if (checkpoint) checkpoint += place_of_states(p, e, l, p.begin);

    io_t next_u[ROWS], next_delta[ROWS], next_z[ROWS] = {};
    Vec next_B[LOADS], next_C[LOADS];
    auto fetch = [&](int t0) {
        const int rows = rows_ahead(p, t0);
        if (is_whole(p, t0)) {
            load_rows<true>(delta, rows, hop, next_delta);
            load_rows<true>(u, rows, hop, next_u);
            if (z) load_rows<true>(z, rows, hop, next_z);
        } else {
            load_rows<false>(delta, rows, hop, next_delta);
            load_rows<false>(u, rows, hop, next_u);
            if (z) load_rows<false>(z, rows, hop, next_z);
        }
        load_matrix(B, p.end - t0, next_B);
        load_matrix(C, p.end - t0, next_C);
        u += T * e, delta += T * e, B += T * N, C += T * N;
        if (z) z += T * e;
    };

    fetch(p.begin);
    for (int t0 = p.begin; t0 < p.end; t0 += T) {
        const int left = p.end - t0, rows = rows_ahead(p, t0);
        const bool whole = is_whole(p, t0);
        float uu[ROWS], zz[ROWS];
#pragma unroll
        for (int i = 0; i < ROWS; ++i) {
            uu[i] = to_float(next_u[i]);
            zz[i] = to_float(next_z[i]);
            const float x = step_size(to_float(next_delta[i]), bias, softplus);
            const float dt = whole || i * W < rows ? x : 0.0f;  // past the end: decay 1, drive 0
            if (T % W == 0 || i * W + w < T) step[i * W + w][lane] = make_float2(dt, dt * uu[i]);
        }
        store_matrix(next_B, Bs);
        store_matrix(next_C, Cs);
        __syncthreads();
        if (left > T) fetch(t0 + T);

        for (int k = 0; k < T && k < left; k += K) {
            if (checkpoint) {
#pragma unroll
                for (int s = 0; s < S; ++s)
                    if (w * S + s < N) checkpoint[s * 32] = h[s];
                checkpoint += (e + 31) / 32 * N * 32;
            }
#pragma unroll
            for (int i = 0; i < K; ++i) {
                const int t = k + i;
                const float2 q = step[t][lane];
                float sum = 0.0f;
#pragma unroll
                for (int s = 0; s < S; ++s) {
                    h[s] = fmaf(exp2f(q.x * a2[s]), h[s], q.y * Bs[t][w * S + s]);  // Eq. (7.3)
                    sum = fmaf(Cs[t][w * S + s], h[s], sum);                        // Eq. (7.4)
                }
                part[w][t][lane] = sum;
            }
        }
        __syncthreads();

#pragma unroll
        for (int i = 0; i < ROWS; ++i) {
            if (!whole && i * W >= rows) continue;
            float out = skip * uu[i];
#pragma unroll
            for (int v = 0; v < W; ++v) out += part[v][i * W + w][lane];
            if (z) out *= zz[i] * sigmoid_of(zz[i]);  // Eq. (7.5)
            y[i * hop] = from_float(out);
        }
        y += T * e;
    }
    if (p.end == l) store_states(h_last + (long long)p.b * e * N, p, h);
}
