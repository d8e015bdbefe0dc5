/* inputs.c - see inputs.h. SPDX-License-Identifier: Apache-2.0
 *
 * [1] Esser et al., "Learned Step Size Quantization", arXiv 1902.08153.
 *
 * Symbols     s      scale = 2^d, d learned
 *             t      x / s, one rounding, as QuantizeLinear divides
 *             lo, hi ends of the range of codes, zero point subtracted
 *             y      s * rint(clip(t, lo, hi)); the ends are integers, so clipping first is the same
 * Gradient    dy/dx = 1 where lo <= t <= hi, else 0                                    [1] eq. (5)
 *             dy/ds = rint(t) - t inside, lo below, hi above                           [1] eq. (3)
 *             dy/dd = s ln 2 dy/ds
 * Differs     from [1]: the scale is learned as its logarithm, so it cannot become negative and a
 *             step changes it by a share of itself; the range may have a zero point.
 * Determinism sums over elements run in LANES fixed lanes, joined in a fixed tree.
 * Example     s = 0.5, codes 0..3, x = (-1, 0.25, 0.3, 9), dy = 1: y = (0, 0, 0.5, 1.5),
 *             dx = (0, 1, 1, 0), dy/ds = 0 - 0.5 + 0.4 + 3: test_inputs.c: worked_example. */
#include "train/inputs.h"

#include <math.h>
#include <string.h>

#include "base/clones.h"
#include "base/intops.h"

#define LANES 16
#define CHUNK 512 /* elements, whole LANES: outputs go through a buffer, so that y may be x */

/* round half to even of |t| < 2^22 */
static inline float round_even(float t)
{
    return (t + 0x1.8p23f) - 0x1.8p23f;
}

static inline float clip(float t, float lo, float hi)
{
    const float above = t < lo ? lo : t;
    return above > hi ? hi : above;
}

/* Lowest and highest code with the zero point subtracted. */
static void ends_of(const struct brim_grid *g, float end[2])
{
    end[0] = (float)(g->lo - g->zero);
    end[1] = (float)(g->hi - g->zero);
}

brim_status brim_inputs_init(struct brim_inputs *q, struct brim_params *params, const char *name,
                             const struct brim_grid *grid, bool fixed)
{
    brim_ctx *ctx = params->arena.ctx;

    *q = (struct brim_inputs){.grid = *grid};
    if (grid->vector != 0) {
        return brim_fail(ctx, BRIM_ERR_UNSUPPORTED,
                         "layer '%s': inputs with scales of vectors cannot be trained", name);
    }
    if (!(grid->scale > 0.0F) || !isfinite(grid->scale)) {
        return brim_fail(ctx, BRIM_ERR_ARG,
                         "layer '%s': the inputs' scale is %g, expected a positive number", name,
                         (double)grid->scale);
    }
    if (fixed) {
        return BRIM_OK;
    }
    q->scale = brim_params_add(params, name, "input_scale", 1);
    if (q->scale == NULL) {
        return BRIM_ERR_NOMEM;
    }
    q->scale->value[0] = log2f(grid->scale);
    brim_inputs_refresh(q);
    return BRIM_OK;
}

void brim_inputs_refresh(struct brim_inputs *q)
{
    if (q->scale != NULL) {
        q->grid.scale = exp2f(q->scale->value[0]);
    }
}

BRIM_CLONES static void fake_quantize(const float *restrict x, size_t n, float s, float lo,
                                      float hi, float *restrict y)
{
    for (size_t i = 0; i < n; i++) {
        y[i] = s * round_even(clip(x[i] / s, lo, hi));
    }
}

void brim_inputs_forward(const struct brim_inputs *q, const float *x, size_t count, float *y)
{
    float end[2], chunk[CHUNK];

    ends_of(&q->grid, end);
    for (size_t i = 0; i < count; i += CHUNK) {
        const size_t n = brim_min_size(CHUNK, count - i);
        fake_quantize(x + i, n, q->grid.scale, end[0], end[1], chunk);
        memcpy(y + i, chunk, n * sizeof(float));
    }
}

/* n a multiple of LANES. */
BRIM_CLONES static void pass_gradient(const float *restrict x, const float *restrict dy, size_t n,
                                      float s, float lo, float hi, float *restrict dx,
                                      float *restrict lane)
{
    for (size_t i = 0; i < n; i += LANES) {
        for (size_t j = 0; j < LANES; j++) {
            const float t = x[i + j] / s;
            const float c = clip(t, lo, hi);
            const bool inside = c == t;
            const float ds = inside ? round_even(c) - t : c;
            dx[i + j] = inside ? dy[i + j] : 0.0F;
            lane[j] += ds * dy[i + j];
        }
    }
}

static double sum_of_lanes(const float lane[LANES])
{
    double sum = 0.0;

    for (size_t j = 0; j < LANES; j++) {
        sum += (double)lane[j];
    }
    return sum;
}

double brim_inputs_backward(const struct brim_inputs *q, const float *x, const float *dy,
                            size_t count, float *dx)
{
    double sum = 0.0;
    float end[2], chunk[CHUNK];

    ends_of(&q->grid, end);
    for (size_t i = 0; i < count; i += CHUNK) {
        const size_t n = brim_min_size(CHUNK, count - i);
        const size_t whole = n - n % LANES;
        float lane[LANES] = {0};

        pass_gradient(x + i, dy + i, whole, q->grid.scale, end[0], end[1], chunk, lane);
        if (whole < n) { /* zeros add nothing: a gradient of 0 */
            float x_tail[LANES] = {0}, dy_tail[LANES] = {0};
            memcpy(x_tail, x + i + whole, (n - whole) * sizeof(float));
            memcpy(dy_tail, dy + i + whole, (n - whole) * sizeof(float));
            pass_gradient(x_tail, dy_tail, LANES, q->grid.scale, end[0], end[1], chunk + whole,
                          lane);
        }
        memcpy(dx + i, chunk, n * sizeof(float));
        sum += sum_of_lanes(lane);
    }
    return sum * (double)q->grid.scale * 0.69314718055994530942;
}

void brim_inputs_learn(struct brim_inputs *q, double gradient, size_t elements)
{
    if (q->scale != NULL && elements > 0) {
        const int64_t largest = brim_max_i64(q->grid.hi - q->grid.zero, q->grid.zero - q->grid.lo);
        q->scale->grad[0] += (float)(gradient / sqrt((double)elements * (double)largest));
    }
}
