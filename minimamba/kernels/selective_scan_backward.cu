// selective_scan_backward.cu -- the adjoint of selective_scan.cu, Eq. (7.6) to (7.10).
// Needs common.cu and lanes.cu; a tile is one checkpoint interval, T = K.
//
// Tiles run from the last to the first.  In a tile each warp walks forward from the kept state,
// holding every h and exp(delta A) in registers, then back with the adjoint state:
//   g_t = C_t dy_t + q_{t+1}      q_t = a_t g_t      r = q_t h_{t-1}
//   dC_t = sum over channels of dy h_t         dB_t = sum over channels of g_t delta u
//   d(delta u) = sum over states of g B        d(delta) += sum over states of A r        dA += delta r
// dB and dC are folded over the block's 32 channels and added once, with an atomic; with
// DETERMINISTIC every block stores its own share instead.  dA, dD and dbias come out per sequence
// and segment, for the caller to sum.

static_assert(T == K && 8 % S == 0 && T % (16 / S) == 0, "two groups of steps fill the 32 lanes");
constexpr int GROUP = 8 / S;  // steps whose 2 S values make 16

// Lanes M apart: each keeps one half of its 2 H values and gets the partner's share of that half.
template <int M, int H>
__device__ __forceinline__ void fold(float *v, int lane) {
    const bool upper = (lane & M) != 0;
#pragma unroll
    for (int i = 0; i < H; ++i) {
        const float keep = upper ? v[i + H] : v[i], send = upper ? v[i] : v[i + H];
        v[i] = keep + __shfl_xor_sync(0xffffffffu, send, M);
    }
}
// Lanes 2 j and 2 j + 1 together hold the sum over the lanes of v[j], in v[0].
__device__ __forceinline__ void fold_16(float (&v)[16], int lane) {
    fold<16, 8>(v, lane);
    fold<8, 4>(v, lane);
    fold<4, 2>(v, lane);
    fold<2, 1>(v, lane);
}
__device__ __forceinline__ void add_share(float *to, float x) {
#ifdef DETERMINISTIC
    *to = x;
#else
    atomicAdd(to, x);
#endif
}

// Eight warps on a multiprocessor are enough, so that a thread may have all 255 registers; eight states
// a lane use most of them without being told.
#if STATES_PER_LANE > 4
#define BOUNDS THREADS
#else
#define BOUNDS THREADS, 256 / THREADS
#endif
extern "C" __global__ void __launch_bounds__(BOUNDS)
selective_scan_backward(const io_t *__restrict__ u, const io_t *__restrict__ delta, const float *__restrict__ A,
                        const io_t *__restrict__ B, const io_t *__restrict__ C, const float *__restrict__ D,
                        const io_t *__restrict__ z, const float *__restrict__ delta_bias,
                        const float *__restrict__ checkpoint, const io_t *__restrict__ dy,
                        const float *__restrict__ dh_last,  // (segments, b, e, n): enters each from its right
                        io_t *__restrict__ du, io_t *__restrict__ ddelta, io_t *__restrict__ dz,
                        float *__restrict__ dA, float *dB, float *dC, float *__restrict__ dD,
                        float *__restrict__ dbias, float *__restrict__ dh0, int e, int l, int segment, int softplus) {
    __shared__ __align__(16) float2 step[T][32];  // (delta, delta u)
    __shared__ float dys[T][32];                  // dy, before the gate
    __shared__ __align__(16) float Bs[T][PAD], Cs[T][PAD];
    __shared__ float part[W][T][32];    // shares of C h
    __shared__ float2 gpart[W][T][32];  // shares of (d(delta u), sum of A r)
    const Place p = place(e, l, segment);
    const int lane = p.lane, w = p.w, hop = W * e, blocks = (e + 31) / 32, sequences = gridDim.x / blocks;
    const long long sequence = (long long)blockIdx.y * sequences + p.b;
    const float skip = p.live && D ? D[p.d] : 0.0f, bias = p.live && delta_bias ? delta_bias[p.d] : 0.0f;
    float a2[S], q[S], da[S] = {}, dskip = 0.0f, db = 0.0f;
    load_decay(A, p, a2);
    load_states(dh_last ? dh_last + sequence * e * N : dh_last, p, q);
    clear_padding(Bs);
    clear_padding(Cs);
#ifdef DETERMINISTIC
    dB += (long long)(blockIdx.x % blocks) * sequences * l * N;
    dC += (long long)(blockIdx.x % blocks) * sequences * l * N;
#endif
    const int tiles = (max(0, p.end - p.begin) + T - 1) / T;
    for (int tile = tiles - 1; tile >= 0; --tile) {
        const int t0 = p.begin + tile * T, left = p.end - t0, rows = rows_ahead(p, t0);
        const long long at = ((long long)p.b * l + t0 + w) * e + p.d, row = ((long long)p.b * l + t0) * N;
        float uu[ROWS], zz[ROWS], out[ROWS];
        {
            io_t us[ROWS], zs[ROWS] = {}, deltas[ROWS], dys_[ROWS];
            Vec b_[LOADS], c_[LOADS];
            if (is_whole(p, t0)) {
                load_rows<true>(delta + at, rows, hop, deltas);
                load_rows<true>(u + at, rows, hop, us);
                load_rows<true>(dy + at, rows, hop, dys_);
                if (z) load_rows<true>(z + at, rows, hop, zs);
            } else {
                load_rows<false>(delta + at, rows, hop, deltas);
                load_rows<false>(u + at, rows, hop, us);
                load_rows<false>(dy + at, rows, hop, dys_);
                if (z) load_rows<false>(z + at, rows, hop, zs);
            }
            load_matrix(B + row, left, b_);
            load_matrix(C + row, left, c_);
#pragma unroll
            for (int i = 0; i < ROWS; ++i) {
                const float x = step_size(to_float(deltas[i]), bias, softplus);
                const float dt = i * W < rows ? x : 0.0f;
                uu[i] = to_float(us[i]);
                zz[i] = to_float(zs[i]);
                out[i] = to_float(dys_[i]);
                const int t = i * W + w;
                if (T % W == 0 || t < T) {
                    step[t][lane] = make_float2(dt, dt * uu[i]);
                    dys[t][lane] = z ? out[i] * zz[i] * sigmoid_of(zz[i]) : out[i];
                }
            }
            store_matrix(b_, Bs);
            store_matrix(c_, Cs);
        }
        float before[S], h[T][S], a[T][S];
        const float *from = checkpoint + place_of_states(p, e, l, t0);
#pragma unroll
        for (int s = 0; s < S; ++s) before[s] = w * S + s < N ? from[s * 32] : 0.0f;
        if (tile > 0) {  // wake the next tile's lines; a hint
#pragma unroll
            for (int i = 0; i < ROWS; ++i) {
                if (i * W >= rows) continue;
                const long long there = at + i * hop - (long long)T * e;
                prefetch(delta + there), prefetch(u + there), prefetch(dy + there);
                if (z) prefetch(z + there);
            }
        }
        __syncthreads();
#pragma unroll
        for (int t = 0; t < T; ++t) {  // forward again, Eq. (3.6)
            keep_order();
            const float2 x = step[t][lane];
            float sum = 0.0f;
#pragma unroll
            for (int s = 0; s < S; ++s) {
                a[t][s] = exp2f(x.x * a2[s]);
                h[t][s] = fmaf(a[t][s], t ? h[t ? t - 1 : 0][s] : before[s], x.y * Bs[t][w * S + s]);
                sum = fmaf(Cs[t][w * S + s], h[t][s], sum);
            }
            part[w][t][lane] = sum;
        }
        float v[16], sums[2];
#pragma unroll
        for (int t = T - 1; t >= 0; --t) {  // and back
            keep_order();
            const float2 x = step[t][lane];
            const float d = dys[t][lane];
            float gb = 0.0f, gd = 0.0f;
#pragma unroll
            for (int s = 0; s < S; ++s) {
                const float g = fmaf(Cs[t][w * S + s], d, q[s]);  // Eq. (7.6)
                v[(t % GROUP) * 2 * S + s] = g * x.y;
                v[(t % GROUP) * 2 * S + S + s] = d * h[t][s];
                gb = fmaf(g, Bs[t][w * S + s], gb);
                q[s] = a[t][s] * g;
                const float r = q[s] * (t ? h[t ? t - 1 : 0][s] : before[s]);
                gd = fmaf(a2[s], r, gd);
                da[s] = fmaf(x.x, r, da[s]);
            }
            gpart[w][t][lane] = make_float2(gb, gd);
            if (t % GROUP == 0) {  // Eq. (7.7)
                fold_16(v, lane);
                sums[t / GROUP % 2] = v[0];
            }
            if (t % (2 * GROUP) == 0) {
                fold<1, 1>(sums, lane);  // an odd lane now has a sum of the later group
                const int j = lane / 2, s = w * S + j % S, ahead = t + lane % 2 * GROUP + j / (2 * S);
                float *to = j % (2 * S) < S ? dB : dC;
                if (ahead < left && s < N) add_share(to + row + ahead * N + s, sums[0]);
            }
        }
        __syncthreads();
#pragma unroll
        for (int i = 0; i < ROWS; ++i) {
            if (i * W >= rows) continue;
            const int t = i * W + w;
            const float d = dys[t][lane], dt = step[t][lane].x;
            float sum = skip * uu[i], gb = 0.0f, gd = 0.0f;
#pragma unroll
            for (int k = 0; k < W; ++k) {
                const float2 x = gpart[k][t][lane];
                sum += part[k][t][lane], gb += x.x, gd += x.y;
            }
            dskip = fmaf(d, uu[i], dskip);
            float dd = fmaf(gb, uu[i], gd * LN2);  // Eq. (7.8); a2 = A log2(e)
            if (softplus) dd *= softplus_slope(dt);
            db += dd;
            du[at + i * hop] = from_float(fmaf(gb, dt, skip * d));
            ddelta[at + i * hop] = from_float(dd);
            if (z) {
                const float g = sigmoid_of(zz[i]);
                dz[at + i * hop] = from_float(out[i] * sum * g * fmaf(zz[i], 1.0f - g, 1.0f));
            }
        }
        __syncthreads();  // the next tile writes step and dys
    }
    part[w][0][lane] = dskip;
    part[w][T - 1][lane] = db;
    __syncthreads();
    if (w == 0 && p.live) {
        dskip = db = 0.0f;
        for (int k = 0; k < W; ++k) dskip += part[k][0][lane], db += part[k][T - 1][lane];
        dD[sequence * e + p.d] = dskip;
        dbias[sequence * e + p.d] = db;
    }
    store_states(dA + sequence * e * N, p, da);
    if (dh0 && p.begin == 0) store_states(dh0 + (long long)p.b * e * N, p, q);
}
