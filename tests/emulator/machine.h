// machine.h -- a grid of blocks of warps of fibers, and the rules they meet by.
//
// Blocks run one after another.  In a block, one warp at a time runs until all its lanes wait; which
// warp goes next is the schedule: ascending, descending, or seeded random.  Checked on the way:
//   * a barrier that some live threads do not reach, or reach at another source line;
//   * a warp intrinsic whose mask names a lane that never comes, or a shuffle from outside the mask;
//   * with ThreadSanitizer, every pair of accesses that no barrier orders, in a block and between
//     blocks.  A switch of fibers orders nothing; __syncthreads and __syncwarp do; a shuffle does not.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "fibers.h"

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};
uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

// Every __shared__ variable lands in this linker section (language.h), so it can be poisoned.
extern char __start_emu_shared[] __attribute__((weak)), __stop_emu_shared[] __attribute__((weak));

namespace emu {
enum State { READY, AT_BLOCK, AT_WARP, DONE };
enum Order { ASCENDING, DESCENDING, RANDOM };
struct Fiber {
    Context context;
    State state;
    int line;       // where it waits
    unsigned mask;  // whom it waits for, at a warp intrinsic
    uint3 index;
    void *tsan;
};
// Two cells in turn: a thread that runs ahead to the next barrier must not release into this one.
struct Sync {
    unsigned done = 0;
    uint64_t cell[2];
};
struct Meeting : Sync {
    unsigned mask;
    uint64_t slot[2][32];  // what the lanes of this mask exchange
};
struct Warp {
    Meeting meet[8];
    int masks;
};

static std::vector<Fiber> fibers;
static std::vector<Warp> warps;
static std::vector<char> stacks;
static std::vector<Sync> block_syncs;
static Sync *block_sync;
static Fiber *current;
static Context main_context;
[[maybe_unused]] static void *main_tsan;
[[maybe_unused]] static uint64_t launch_sync;
static void (*body)(void *);
static void *body_argument;
static uint64_t rng = 1;
static int skipped_line;  // the barrier on this line is ignored: a planted bug
static std::string error;
static const size_t STACK = 128 * 1024;

EMU_QUIET static uint64_t random_bits() {  // xorshift64
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}
EMU_QUIET static void to_main() {
    EMU_TSAN(__tsan_switch_to_fiber(main_tsan, 1);)  // 1: this switch orders nothing
    context_swap(current->context, main_context);
}
EMU_QUIET static void to_fiber(Fiber &f) {
    current = &f;
    threadIdx = f.index;
    EMU_TSAN(__tsan_switch_to_fiber(f.tsan, 1);)
    context_swap(main_context, f.context);
}
EMU_QUIET static void entry() {
    body(body_argument);
    EMU_TSAN(__tsan_release(&launch_sync);)
    current->state = DONE;
    to_main();
    abort();
}
EMU_QUIET static void fail(const char *what, int line) {  // the first failure is the one to read
    char s[256];
    uint3 t = current->index;
    snprintf(s, sizeof s, "%s (line %d, block %u,%u,%u, thread %u,%u,%u)", what, line, blockIdx.x,
             blockIdx.y, blockIdx.z, t.x, t.y, t.z);
    if (error.empty()) error = s;
}

// ---- what a thread does when it must wait ---------------------------------------------------
EMU_QUIET static void block_barrier(int line) {
    if (line == skipped_line) return;
    [[maybe_unused]] void *s = &block_sync->cell[block_sync->done & 1];
    EMU_TSAN(__tsan_release(s);)
    current->state = AT_BLOCK;
    current->line = line;
    to_main();
    EMU_TSAN(__tsan_acquire(s);)
}
EMU_QUIET static Meeting &meeting(size_t warp, unsigned mask) {
    Warp &w = warps[warp];
    int i = 0;
    while (i < w.masks && w.meet[i].mask != mask) ++i;
    if (i == 8) fail("more than 8 different masks in one warp", 0), i = 7;
    if (i == w.masks) {
        w.meet[i].mask = mask;
        w.meet[i].done = 0;
        ++w.masks;
    }
    return w.meet[i];
}
EMU_QUIET static void warp_wait(int line, unsigned mask) {
    unsigned lane = (current - fibers.data()) & 31;
    if (!(mask >> lane & 1)) fail("a thread calls a warp intrinsic without its own bit in the mask", line);
    current->state = AT_WARP;
    current->line = line;
    current->mask = mask;
    to_main();
}
EMU_QUIET static void warp_barrier(int line, unsigned mask) {
    Meeting &m = meeting((current - fibers.data()) / 32, mask);
    [[maybe_unused]] void *s = &m.cell[m.done & 1];
    EMU_TSAN(__tsan_release(s);)
    warp_wait(line, mask);
    EMU_TSAN(__tsan_acquire(s);)
}
// Every lane of `mask` puts 8 bytes on the table; the answer is the table.
EMU_QUIET static const uint64_t *exchange(int line, unsigned mask, uint64_t mine) {
    int i = current - fibers.data();
    Meeting &m = meeting(i / 32, mask);
    uint64_t(&slot)[32] = m.slot[m.done & 1];
    slot[i & 31] = mine;
    warp_wait(line, mask);
    return slot;
}

// ---- who may go on --------------------------------------------------------------------------
EMU_QUIET static bool all_lanes_are_here(size_t low, size_t high, const Fiber &f) {
    for (size_t j = low; j < high; ++j) {
        const Fiber &g = fibers[j];
        if (!(f.mask >> (j - low) & 1) || g.state == DONE) continue;
        if (g.state != AT_WARP || g.mask != f.mask || g.line != f.line) return false;
    }
    return true;
}
EMU_QUIET static void release_warp(size_t w, size_t n) {
    size_t low = w * 32, high = low + 32 < n ? low + 32 : n;
    for (size_t i = low; i < high; ++i) {
        if (fibers[i].state != AT_WARP || !all_lanes_are_here(low, high, fibers[i])) continue;
        unsigned mask = fibers[i].mask;
        ++meeting(w, mask).done;
        for (size_t j = low; j < high; ++j)
            if (mask >> (j - low) & 1 && fibers[j].state == AT_WARP) fibers[j].state = READY;
    }
}
EMU_QUIET static bool release_block(size_t n) {
    int line = -1;
    for (size_t i = 0; i < n; ++i) {
        if (fibers[i].state == DONE) continue;
        current = &fibers[i];
        if (current->state != AT_BLOCK)
            return fail("deadlock: some threads wait at a warp intrinsic others never reach", current->line), false;
        if (line >= 0 && current->line != line)
            return fail("threads of one block wait at different __syncthreads()", current->line), false;
        line = current->line;
    }
    for (size_t i = 0; i < n; ++i)
        if (fibers[i].state == AT_BLOCK) fibers[i].state = READY;
    ++block_sync->done;
    return line >= 0;
}
EMU_QUIET static bool warp_is_ready(size_t w, size_t n) {
    for (size_t i = w * 32; i < w * 32 + 32 && i < n; ++i)
        if (fibers[i].state == READY) return true;
    return false;
}
EMU_QUIET static size_t next_warp(size_t n, int order) {
    size_t count = (n + 31) / 32, pick = count, seen = 0;
    for (size_t w = 0; w < count; ++w) {
        if (!warp_is_ready(w, n)) continue;
        ++seen;
        if (order == ASCENDING ? pick == count : order == DESCENDING || random_bits() % seen == 0) pick = w;
    }
    return pick;
}
EMU_QUIET static void run_block(size_t n, int order) {
    size_t left = n;
    while (left && error.empty()) {
        size_t w = next_warp(n, order);
        if (w == (n + 31) / 32) {
            if (!release_block(n)) break;
            continue;
        }
        size_t low = w * 32, lanes = low + 32 < n ? 32 : n - low, first = order == RANDOM ? random_bits() : 0;
        for (size_t k = 0; k < lanes; ++k) {
            Fiber &f = fibers[low + (order == DESCENDING ? lanes - 1 - k : (k + first) % lanes)];
            if (f.state != READY) continue;
            to_fiber(f);
            if (f.state == DONE) --left;
        }
        release_warp(w, n);
    }
}

// ---- a launch -------------------------------------------------------------------------------
#ifdef __SANITIZE_THREAD__
EMU_QUIET static void forget(void *p, size_t n) {  // ThreadSanitizer forgets who touched this memory
    unsigned long low = (unsigned long)p & ~7ul, high = ((unsigned long)p + n + 7) & ~7ul;
    __tsan_java_free(low, high - low);
    __tsan_java_alloc(low, high - low);
}
#endif
EMU_QUIET static void prepare_block(size_t n, size_t block) {
    unsigned x = gridDim.x, y = gridDim.y;
    blockIdx = {(unsigned)(block % x), (unsigned)(block / x % y), (unsigned)(block / x / y)};
    for (auto &w : warps) w.masks = 0;
    // all ones is NaN; a plain loop, since the sanitizers would look inside memset
    for (volatile char *p = __start_emu_shared; p < __stop_emu_shared; ++p) *p = (char)0xff;
    EMU_TSAN(if (__start_emu_shared) forget(__start_emu_shared, __stop_emu_shared - __start_emu_shared);
             forget(stacks.data(), n * STACK); forget(warps.data(), warps.size() * sizeof(Warp));)
    for (size_t i = 0; i < n; ++i) {
        Fiber &f = fibers[i];
        f.state = READY;
        f.index = {(unsigned)(i % blockDim.x), (unsigned)(i / blockDim.x % blockDim.y),
                   (unsigned)(i / blockDim.x / blockDim.y)};
        context_make(f.context, &stacks[i * STACK], STACK, entry);
        EMU_TSAN(f.tsan = __tsan_create_fiber(0);)
    }
}
EMU_QUIET static void launch(const unsigned *g, const unsigned *b, int order, uint64_t seed) {
    gridDim = {g[0], g[1], g[2]};
    blockDim = {b[0], b[1], b[2]};
    size_t n = (size_t)b[0] * b[1] * b[2], blocks = (size_t)g[0] * g[1] * g[2];
    error.clear();
    rng = seed * 2654435761u + 88172645463325252ull;
    if (fibers.size() < n + 1) fibers.resize(n + 1);
    current = fibers.data();
    if (n == 0 || n > 1024) return fail("a block has 1 to 1024 threads", 0);
    if (g[1] > 65535 || g[2] > 65535) return fail("grid y and z go up to 65535", 0);
    warps.resize((n + 31) / 32);
    if (stacks.size() < n * STACK) stacks.resize(n * STACK);
    block_syncs.assign(blocks, Sync());
    EMU_TSAN(main_tsan = __tsan_get_current_fiber();
             static bool once = (__tsan_java_init(8, 1ul << 46), true); (void)once;)
    for (size_t k = 0; k < blocks && error.empty(); ++k) {
        block_sync = &block_syncs[k];
        prepare_block(n, order == DESCENDING ? blocks - 1 - k : k);
        run_block(n, order);
        EMU_TSAN(for (size_t i = 0; i < n; ++i) __tsan_destroy_fiber(fibers[i].tsan);)
    }
    EMU_TSAN(__tsan_acquire(&launch_sync);)
}
}  // namespace emu
