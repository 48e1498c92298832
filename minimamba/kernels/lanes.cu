// lanes.cu -- how the selective scan kernels divide the work, and how a tile gets into shared memory.
//
// A lane is a channel: a block owns 32 channels of one sequence, and its warp w owns the states
// [w S, w S + S) of each.  Time runs in a plain loop, in tiles of T steps.  batch x channels is
// parallelism enough, so the scan over time needs no second pass, no shuffle and no barrier per
// state; B and C are read by 32 channels at once; channel-last makes every load coalesced.
//
// u, delta, z, y: (b, l, e)   B, C: (b, l, n)   A: (e, n)   h0, h_last: (b, e, n)
// grid (ceil(e/32) * b, segments), block (32 W).  A segment is a stretch of time that one block
// walks; there is more than one only where b e is too small to fill the device.

constexpr int N = STATES, S = STATES_PER_LANE, T = TILE;
constexpr int W = (N + S - 1) / S;                // warps
constexpr int THREADS = 32 * W;
constexpr int ROWS = (T + W - 1) / W;             // steps of a tile that one warp prepares
constexpr int PAD = (W * S + 3) / 4 * 4;          // a row of B in shared memory, in 16-byte words
constexpr int V = N % 4 ? 1 : 4;                  // elements in one load of B
constexpr int LOADS = (T * N / V + THREADS - 1) / THREADS;
static_assert(T % K == 0 && W <= 32, "checkpoints come at whole fractions of a tile");

struct __align__(sizeof(io_t) * V) Vec {
    io_t x[V];
};

// Where this thread works.
struct Place {
    int lane, w, d, b, begin, end;  // channel d of sequence b, steps [begin, end)
    bool live;                      // the last block may have channels to spare
    bool whole;                     // all 32 live, and rows divide among the warps: no masks needed
};
__device__ __forceinline__ Place place(int e, int l, int segment) {
    Place p;
    const int blocks = (e + 31) / 32, first = blockIdx.x % blocks * 32;
    p.lane = threadIdx.x % 32;
    p.w = threadIdx.x / 32;
    p.d = first + p.lane;
    p.b = blockIdx.x / blocks;
    p.begin = blockIdx.y * segment;
    p.end = min(l, p.begin + segment);
    p.live = p.d < e;
    p.whole = first + 32 <= e && T % W == 0;
    return p;
}
__device__ __forceinline__ bool is_whole(const Place &p, int t0) { return p.whole && t0 + T <= p.end; }

// Warp w prepares rows w, w + W, w + 2 W, ... of a tile.  `rows` is how many steps lie ahead of row w.
__device__ __forceinline__ int rows_ahead(const Place &p, int t0) {
    return p.live ? min(T, p.end - t0) - p.w : 0;
}
template <bool whole>
__device__ __forceinline__ void load_rows(const io_t *from, int rows, int hop, io_t (&to)[ROWS]) {
#pragma unroll
    for (int i = 0; i < ROWS; ++i) to[i] = whole || i * W < rows ? from[i * hop] : io_t{};
}

// A tile of B or C: T rows of N numbers lie one after another in memory.
__device__ __forceinline__ void load_matrix(const io_t *from, int left, Vec (&to)[LOADS]) {
#pragma unroll
    for (int k = 0; k < LOADS; ++k) {
        const int i = (threadIdx.x + k * THREADS) * V;
        to[k] = i < min(T, left) * N ? *(const Vec *)(from + i) : Vec{};
    }
}
__device__ __forceinline__ void store_matrix(const Vec (&from)[LOADS], float (*to)[PAD]) {
#pragma unroll
    for (int k = 0; k < LOADS; ++k) {
        const int i = (threadIdx.x + k * THREADS) * V;
#pragma unroll
        for (int j = 0; j < V; ++j)
            if (i + j < T * N) to[(i + j) / N][(i + j) % N] = to_float(from[k].x[j]);
    }
}
// Columns past the last state stay zero: their decay is 1, their drive 0.
__device__ __forceinline__ void clear_padding(float (*m)[PAD]) {
    if (W * S > N)
        for (int i = threadIdx.x; i < T * (PAD - N); i += THREADS) m[i / max(1, PAD - N)][N + i % max(1, PAD - N)] = 0.0f;
}

// Where this lane's first state before step t lies in the kept states (b, ceil(l/K), ceil(e/32), n, 32).
__device__ __forceinline__ long long place_of_states(const Place &p, int e, int l, int t) {
    const int blocks = (e + 31) / 32;
    const long long step = (long long)p.b * ((l + K - 1) / K) + t / K;
    return ((step * blocks + blockIdx.x % blocks) * N + p.w * S) * 32 + p.lane;
}
// A lane's S numbers of an array (..., e, n); zero where there is no channel or no state.
__device__ __forceinline__ void load_states(const float *from, const Place &p, float (&x)[S]) {
#pragma unroll
    for (int s = 0; s < S; ++s) {
        const int i = p.w * S + s;
        x[s] = from && p.live && i < N ? from[(long long)p.d * N + i] : 0.0f;
    }
}
__device__ __forceinline__ void store_states(float *to, const Place &p, const float (&x)[S]) {
#pragma unroll
    for (int s = 0; s < S; ++s) {
        const int i = p.w * S + s;
        if (p.live && i < N) to[(long long)p.d * N + i] = x[s];
    }
}
// exp(delta A) = 2^(delta A log2 e): one multiplication and one exponential a step.
__device__ __forceinline__ void load_decay(const float *A, const Place &p, float (&a2)[S]) {
    load_states(A, p, a2);
#pragma unroll
    for (int s = 0; s < S; ++s) a2[s] *= LOG2E;
}
__device__ __forceinline__ float step_size(float delta, float bias, int softplus) {
    return softplus ? softplus_of(delta + bias) : delta + bias;
}
