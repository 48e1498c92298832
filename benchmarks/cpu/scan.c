/* The yardstick: plain loops, as one would write them in C without thinking of vectors.
   Compiled on the spot with -DREAL=float or double, with and without -ffast-math.
   All arrays are contiguous and channel-last; u, delta, z, out (b, l, e); A (e, n); B, C (b, l, n). */
#include <string.h>
#include <tgmath.h>

/* h_t = a_t h_{t-1} + b_t for s independent sequences, time first. */
void recurrence(const REAL *restrict a, const REAL *restrict b, REAL *restrict h, long l, long s) {
  memcpy(h, b, sizeof(REAL) * s);
  for (long t = 1; t < l; t++)
    for (long i = 0; i < s; i++)
      h[t * s + i] = a[t * s + i] * h[(t - 1) * s + i] + b[t * s + i];
}

static inline REAL softplus(REAL x) { return x > 20 ? x : log1p(exp(x)); }
static inline REAL sigmoid(REAL x) { return 1 / (1 + exp(-x)); }

/* Forward. h: (e, n), to work in. */
void forward(const REAL *restrict u, const REAL *restrict delta, const REAL *restrict A,
             const REAL *restrict B, const REAL *restrict C, const REAL *restrict D,
             const REAL *restrict z, const REAL *restrict bias, REAL *restrict out, REAL *restrict h,
             long nb, long l, long e, long n) {
  for (long b = 0; b < nb; b++) {
    memset(h, 0, sizeof(REAL) * e * n);
    for (long t = 0; t < l; t++) {
      long o = (b * l + t) * e;
      const REAL *Bt = B + (b * l + t) * n, *Ct = C + (b * l + t) * n;
      for (long i = 0; i < e; i++) {
        REAL step = softplus(delta[o + i] + bias[i]), v = step * u[o + i], y = 0;
        REAL *hi = h + i * n;
        const REAL *Ai = A + i * n;
        for (long j = 0; j < n; j++) {
          hi[j] = exp(step * Ai[j]) * hi[j] + v * Bt[j];
          y += hi[j] * Ct[j];
        }
        out[o + i] = (y + D[i] * u[o + i]) * z[o + i] * sigmoid(z[o + i]);
      }
    }
  }
}

/* All eight gradients. states, decays: (l + 1, e, n) and (l, e, n) of one row; g: (e, n). */
void backward(const REAL *restrict u, const REAL *restrict delta, const REAL *restrict A,
              const REAL *restrict B, const REAL *restrict C, const REAL *restrict D,
              const REAL *restrict z, const REAL *restrict bias, const REAL *restrict dout,
              REAL *restrict du, REAL *restrict ddelta, REAL *restrict dA, REAL *restrict dB,
              REAL *restrict dC, REAL *restrict dD, REAL *restrict dz, REAL *restrict dbias,
              REAL *restrict states, REAL *restrict decays, REAL *restrict g, long nb, long l,
              long e, long n) {
  memset(dA, 0, sizeof(REAL) * e * n);
  memset(dD, 0, sizeof(REAL) * e);
  memset(dbias, 0, sizeof(REAL) * e);
  memset(dB, 0, sizeof(REAL) * nb * l * n);
  memset(dC, 0, sizeof(REAL) * nb * l * n);
  for (long b = 0; b < nb; b++) {
    memset(states, 0, sizeof(REAL) * e * n);
    memset(g, 0, sizeof(REAL) * e * n);
    for (long t = 0; t < l; t++) {
      long o = (b * l + t) * e;
      const REAL *Bt = B + (b * l + t) * n, *before = states + t * e * n;
      REAL *after = states + (t + 1) * e * n, *at = decays + t * e * n;
      for (long i = 0; i < e; i++) {
        REAL step = softplus(delta[o + i] + bias[i]), v = step * u[o + i];
        ddelta[o + i] = step; /* kept here until its gradient replaces it */
        for (long j = 0; j < n; j++) {
          REAL a = exp(step * A[i * n + j]);
          at[i * n + j] = a;
          after[i * n + j] = a * before[i * n + j] + v * Bt[j];
        }
      }
    }
    for (long t = l - 1; t >= 0; t--) {
      long o = (b * l + t) * e;
      const REAL *Bt = B + (b * l + t) * n, *Ct = C + (b * l + t) * n;
      REAL *dBt = dB + (b * l + t) * n, *dCt = dC + (b * l + t) * n;
      const REAL *before = states + t * e * n, *after = states + (t + 1) * e * n;
      const REAL *at = decays + t * e * n;
      for (long i = 0; i < e; i++) {
        REAL x = u[o + i], step = ddelta[o + i], zi = z[o + i], s = sigmoid(zi), y = D[i] * x;
        REAL dy = dout[o + i] * zi * s, v = step * x, dv = 0, decay = 0;
        const REAL *hi = after + i * n, *hp = before + i * n, *ai = at + i * n, *Ai = A + i * n;
        REAL *gi = g + i * n, *dAi = dA + i * n;
        for (long j = 0; j < n; j++) {
          y += hi[j] * Ct[j];
          dCt[j] += dy * hi[j];
          REAL gj = gi[j] + dy * Ct[j];
          dv += gj * Bt[j];
          dBt[j] += gj * v;
          gj *= ai[j];
          gi[j] = gj;
          REAL q = gj * hp[j];
          decay += q * Ai[j];
          dAi[j] += q * step;
        }
        dz[o + i] = dout[o + i] * y * s * (1 + zi * (1 - s));
        dD[i] += dy * x;
        du[o + i] = dy * D[i] + dv * step;
        REAL dstep = (dv * x + decay) * sigmoid(delta[o + i] + bias[i]);
        ddelta[o + i] = dstep;
        dbias[i] += dstep;
      }
    }
  }
}
