// small.cu -- kernels with one planted fault each (and some without): the emulator's own tests.
extern "C" __global__ void add_without_atomic(float *x) {
    if (threadIdx.x == 0) x[0] += 1.0f;
}
extern "C" __global__ void add_with_atomic(float *x) {
    if (threadIdx.x == 0) atomicAdd(x, 1.0f);
}
extern "C" __global__ void two_barriers_for_one(float *x) {
    if (threadIdx.x < 40)
        __syncthreads();
    else
        __syncthreads();
    x[threadIdx.x] = 1.0f;
}
extern "C" __global__ void stuck(float *x) {
    if (threadIdx.x < 40) __syncwarp();
    __syncthreads();
}
extern "C" __global__ void outside_the_mask(float *x) {
    if (threadIdx.x % 32 < 16) x[threadIdx.x] = __shfl_down_sync(0xffffu, x[threadIdx.x], 8);
}
extern "C" __global__ void past_the_end(float *x) { x[threadIdx.x + 1] = 1.0f; }
extern "C" __global__ void past_the_end_of_shared(float *x) {
    __shared__ float s[64];
    s[threadIdx.x + 1] = 1.0f;
    __syncthreads();
    x[threadIdx.x] = s[threadIdx.x];
}
extern "C" __global__ void reads_what_nobody_wrote(float *x) {
    __shared__ float s[64];
    x[threadIdx.x] = s[threadIdx.x];
}
extern "C" __global__ void neighbour(float *x) {  // the barrier is needed
    __shared__ float s[64];
    s[threadIdx.x] = (float)threadIdx.x;
    __syncthreads();
    x[threadIdx.x] = s[63 - threadIdx.x];
}
extern "C" __global__ void half_warps(float *x) {  // halves shuffle a different number of times
    const int i = threadIdx.x, half = i / 16 % 2;
    const unsigned mask = half ? 0xffff0000u : 0xffffu;
    float v = (float)i;
    for (int k = 0; k < 1 + 2 * half; ++k) v = __shfl_xor_sync(mask, v, 1);
    v = __shfl_down_sync(0xffffffffu, v, 16);
    x[i] = v + (float)__ballot_sync(0xffffffffu, i % 32 < 3);
}
