// adam.cu -- one step of Adam for one array of weights: what array code does in some fourteen
// passes over it, in one.  A thread a number.

extern "C" __global__ void adam_update(
    const float *p, const float *g, const float *mean, const float *square,
    float *p_next, float *mean_next, float *square_next,
    float step_size, float root, float eps,  // lr / (1 - b1^step), sqrt(1 - b2^step)
    float b2, float rest1, float rest2,      // 1 - b1, 1 - b2, rounded once
    long long size) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= size) return;
    float d = g[i];
    float m = mean[i] + rest1 * (d - mean[i]);
    float s = b2 * square[i] + rest2 * (d * d);
    mean_next[i] = m;
    square_next[i] = s;
    p_next[i] = p[i] - step_size * (m / (sqrtf(s) / root + eps));
}
