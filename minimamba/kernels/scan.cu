// scan.cu -- one recurrence, h_t = a_t h_{t-1} + b_t, climbed in six rungs, Eq. (3.1).
//
//   scan_serial          a thread a row                     depth l
//   scan_hillis_steele   doubling in shared memory          Eq. (4.3)
//   scan_blelloch        up-sweep and down-sweep            Eqs. (4.4), (4.5)
//   scan_warp            doubling by shuffles, no barrier
//   scan_block           warps, then a scan of their totals; tiles follow each other, Eq. (4.6)
//   scan_totals          the pair of a long chunk: with scan_block before and after it, three
//                        kernels scan one very long sequence on the whole device
//
// All but the first scan pairs (a, b), the map h -> a h + b, with the operator of Eq. (4.1).
// a, b, h: (outer, l, inner), a row is one (outer, inner); h0: (outer, inner).  `reverse` runs time
// from the end.  -DREAL=float or double; -DCOMPLEX for complex numbers of it.  A tile is THREADS
// steps; steps past the end are the identity, which changes nothing.

#ifdef COMPLEX
struct num {
    REAL re, im;
};
__device__ __forceinline__ num multiply(num a, num b) {
    num r;
    r.re = a.re * b.re - a.im * b.im;
    r.im = a.re * b.im + a.im * b.re;
    return r;
}
__device__ __forceinline__ num multiply_add(num a, num b, num c) {
    num r = multiply(a, b);
    r.re += c.re;
    r.im += c.im;
    return r;
}
__device__ __forceinline__ num real(REAL x) {
    num r;
    r.re = x;
    r.im = 0;
    return r;
}
__device__ __forceinline__ num from_lane_below(num x, int by) {
    x.re = __shfl_up_sync(0xffffffffu, x.re, by);
    x.im = __shfl_up_sync(0xffffffffu, x.im, by);
    return x;
}
__device__ __forceinline__ num from_last_lane(num x) {
    x.re = __shfl_sync(0xffffffffu, x.re, 31);
    x.im = __shfl_sync(0xffffffffu, x.im, 31);
    return x;
}
#else
typedef REAL num;
__device__ __forceinline__ num multiply(num a, num b) { return a * b; }
__device__ __forceinline__ num multiply_add(num a, num b, num c) { return a * b + c; }
__device__ __forceinline__ num real(REAL x) { return x; }
__device__ __forceinline__ num from_lane_below(num x, int by) { return __shfl_up_sync(0xffffffffu, x, by); }
__device__ __forceinline__ num from_last_lane(num x) { return __shfl_sync(0xffffffffu, x, 31); }
#endif

struct Pair {
    num a, b;  // the map h -> a h + b
};
__device__ __forceinline__ Pair identity() {
    Pair p;
    p.a = real(1);
    p.b = real(0);
    return p;
}
__device__ __forceinline__ Pair then(Pair first, Pair second) {  // Eq. (4.1)
    Pair p;
    p.a = multiply(second.a, first.a);
    p.b = multiply_add(second.a, first.b, second.b);
    return p;
}

// Where step t of a row lies.
struct Row {
    const num *a, *b;
    num *h;
    int l, inner, reverse;
    __device__ long long at(int t) const { return (long long)(reverse ? l - 1 - t : t) * inner; }
    __device__ Pair load(int t, int end) const {
        if (t >= end) return identity();
        Pair p;
        p.a = a[at(t)];
        p.b = b[at(t)];
        return p;
    }
    __device__ void store(int t, int end, num x) const {
        if (t < end) h[at(t)] = x;
    }
};
__device__ __forceinline__ Row row_of(int row, const num *a, const num *b, num *h, int l, int inner, int reverse) {
    const long long first = (long long)(row / inner) * l * inner + row % inner;
    Row r;
    r.a = a + first;
    r.b = b + first;
    r.h = h + first;
    r.l = l;
    r.inner = inner;
    r.reverse = reverse;
    return r;
}
// The state before a tile enters through its first step.
__device__ __forceinline__ Pair after(num state, Pair p) {
    p.b = multiply_add(p.a, state, p.b);
    return p;
}

extern "C" __global__ void scan_serial(const num *a, const num *b, const num *h0, num *h, int rows, int l, int inner,
                                       int reverse) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= rows) return;
    const Row row = row_of(i, a, b, h, l, inner, reverse);
    num state = h0[i];
    for (int t = 0; t < l; ++t) {
        const Pair p = row.load(t, l);
        state = multiply_add(p.a, state, p.b);
        row.store(t, l, state);
    }
}

extern "C" __global__ void scan_hillis_steele(const num *a, const num *b, const num *h0, num *h, int rows, int l,
                                              int inner, int reverse) {
    __shared__ Pair buffer[2][THREADS];
    const int i = threadIdx.x;
    const Row row = row_of(blockIdx.x, a, b, h, l, inner, reverse);
    num state = h0[blockIdx.x];
    for (int t0 = 0; t0 < l; t0 += THREADS) {
        int now = 0;
        const Pair mine = row.load(t0 + i, l);
        buffer[0][i] = i == 0 ? after(state, mine) : mine;
        __syncthreads();
        for (int span = 1; span < THREADS; span *= 2) {  // each step comes to span 2 span steps
            const Pair p = buffer[now][i];
            buffer[1 - now][i] = i < span ? p : then(buffer[now][i - span], p);
            now = 1 - now;
            __syncthreads();
        }
        row.store(t0 + i, l, buffer[now][i].b);
        state = buffer[now][THREADS - 1].b;
        __syncthreads();  // all have read before the next tile is written
    }
}

extern "C" __global__ void scan_blelloch(const num *a, const num *b, const num *h0, num *h, int rows, int l, int inner,
                                         int reverse) {
    __shared__ Pair tree[THREADS];
    const int i = threadIdx.x;
    const Row row = row_of(blockIdx.x, a, b, h, l, inner, reverse);
    num state = h0[blockIdx.x];
    for (int t0 = 0; t0 < l; t0 += THREADS) {
        const Pair loaded = row.load(t0 + i, l), mine = i == 0 ? after(state, loaded) : loaded;
        tree[i] = mine;
        for (int span = 1; span < THREADS; span *= 2) {  // up: a node becomes left then right
            __syncthreads();
            const int right = (i + 1) * 2 * span - 1;
            if (right < THREADS) tree[right] = then(tree[right - span], tree[right]);
        }
        __syncthreads();
        if (i == THREADS - 1) tree[i] = identity();
        for (int span = THREADS / 2; span > 0; span /= 2) {  // down: what comes before left, before right
            __syncthreads();
            const int right = (i + 1) * 2 * span - 1;
            if (right < THREADS) {
                const Pair before = tree[right], left = tree[right - span];
                tree[right - span] = before;
                tree[right] = then(before, left);
            }
        }
        __syncthreads();
        row.store(t0 + i, l, then(tree[i], mine).b);
        if (t0 + THREADS < l) {  // the last thread knows the state after the tile
            __syncthreads();
            if (i == THREADS - 1) tree[0] = then(tree[i], mine);
            __syncthreads();
            state = tree[0].b;
            __syncthreads();
        }
    }
}

// Doubling inside a warp; all 32 lanes take part.
__device__ __forceinline__ Pair warp_scan(Pair p) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int span = 1; span < 32; span *= 2) {
        Pair below;
        below.a = from_lane_below(p.a, span);
        below.b = from_lane_below(p.b, span);
        if (lane >= span) p = then(below, p);
    }
    return p;
}
extern "C" __global__ void scan_warp(const num *a, const num *b, const num *h0, num *h, int rows, int l, int inner,
                                     int reverse) {
    const int i = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;  // a warp a row
    if (i >= rows) return;
    const Row row = row_of(i, a, b, h, l, inner, reverse);
    num state = h0[i];
    for (int t0 = 0; t0 < l; t0 += 32) {
        const Pair p = warp_scan(row.load(t0 + lane, l));
        const num mine = multiply_add(p.a, state, p.b);
        row.store(t0 + lane, l, mine);
        state = from_last_lane(mine);
    }
}

// Every thread gets the pair of steps up to its own, and the pair of the whole tile.
__device__ __forceinline__ Pair block_scan(Pair p, Pair *totals, Pair &tile) {
    const int w = threadIdx.x / 32;
    p = warp_scan(p);
    if (threadIdx.x % 32 == 31) totals[w] = p;
    __syncthreads();
    Pair before = identity();
    tile = identity();
    for (int v = 0; v < THREADS / 32; ++v) {
        if (v == w) before = tile;
        tile = then(tile, totals[v]);
    }
    __syncthreads();  // all have read before the next tile's totals are written
    return then(before, p);
}
// A block a row and chunk.  Chunk 0 starts from h0, chunk j from the state after chunk j - 1.
extern "C" __global__ void scan_block(const num *a, const num *b, const num *h0, num *h, int rows, int l, int inner,
                                      int reverse, const num *after_chunk, int chunk) {
    __shared__ Pair totals[THREADS / 32];
    const int i = blockIdx.x, j = blockIdx.y, begin = j * chunk, end = min(l, begin + chunk);
    const Row row = row_of(i, a, b, h, l, inner, reverse);
    num state = j ? after_chunk[(long long)i * gridDim.y + j - 1] : h0[i];
    for (int t0 = begin; t0 < end; t0 += THREADS) {
        Pair tile;
        const Pair p = block_scan(row.load(t0 + threadIdx.x, end), totals, tile);
        row.store(t0 + threadIdx.x, end, multiply_add(p.a, state, p.b));
        state = multiply_add(tile.a, state, tile.b);
    }
}
// The pair of each chunk, (rows, chunks) each: a recurrence over chunks, for the rung below to run.
extern "C" __global__ void scan_totals(const num *a, const num *b, num *total_a, num *total_b, int rows, int l,
                                       int inner, int reverse, int chunk) {
    __shared__ Pair totals[THREADS / 32];
    const int i = blockIdx.x, j = blockIdx.y, begin = j * chunk, end = min(l, begin + chunk);
    const Row row = row_of(i, a, b, (num *)0, l, inner, reverse);
    Pair all = identity();
    for (int t0 = begin; t0 < end; t0 += THREADS) {
        Pair tile;
        block_scan(row.load(t0 + threadIdx.x, end), totals, tile);
        all = then(all, tile);
    }
    if (threadIdx.x == 0) {
        total_a[(long long)i * gridDim.y + j] = all.a;
        total_b[(long long)i * gridDim.y + j] = all.b;
    }
}
