/* dot_gemm8.c - totals of 8-bit codes by the integer products of gemm.h, finished by the last
 * register. SPDX-License-Identifier: Apache-2.0
 *
 * Rows of bytes and results of 32 bits go straight through; others are converted a block of rows at
 * a time. Totals are put on the register where the product makes them, in L1: in a pass behind it,
 * a tenth of the fastest product's time.
 */
#include "base/intops.h"
#include "kernels/dot_kernel.h"

/* Rows at a time: 32 KiB of totals, but enough rows for the products' tiles. */
static size_t rows_of(size_t outputs)
{
    const size_t rows = ((size_t)32 << 10) / sizeof(int32_t) / brim_max_size(outputs, 1);

    return brim_min_size(brim_max_size(rows, 48), 256);
}

static brim_status add_group(brim_ctx *ctx, struct brim_dot_kernel *d, size_t g, int64_t x_min,
                             int64_t x_max)
{
    const struct brim_lane_stage *last = &d->plan.lanes.stage[d->plan.lanes.n_stages - 1];
    const struct brim_epilogue e = {.emit = last->value == BRIM_LANE_CLIP   ? BRIM_EMIT_CLIPPED
                                            : last->value == BRIM_LANE_WRAP ? BRIM_EMIT_WRAPPED
                                                                            : BRIM_EMIT_ACC,
                                    .least = (int32_t)brim_max_i64(last->lo, INT32_MIN),
                                    .most = (int32_t)brim_min_i64(last->hi, INT32_MAX)};
    const struct brim_gemm_params p = {.w = d->w + g * d->outputs * d->k,
                                       .n = d->outputs,
                                       .k = d->k,
                                       .segments = 1,
                                       .x_min = (int32_t)x_min,
                                       .x_max = (int32_t)x_max,
                                       .x_signed = x_min < 0,
                                       .epilogue = e};

    return brim_gemm_create(ctx, &p, &d->gemm[g]);
}

/* Scratch: [block][k] bytes, [block][outputs] totals, the product's. */
brim_status brim_dot_gemm8_pack(brim_ctx *ctx, struct brim_dot_kernel *d, int64_t x_min,
                                int64_t x_max)
{
    size_t most = 0, x, y;

    d->n_gemm = d->groups;
    d->gemm = brim_zalloc(ctx, d->groups, sizeof(struct brim_gemm *));
    if (d->gemm == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t g = 0; g < d->groups; g++) {
        BRIM_TRY(add_group(ctx, d, g, x_min, x_max));
    }
    d->block8 = rows_of(d->outputs);
    for (size_t m = 1; m <= d->block8; m++) {
        most = brim_max_size(most, brim_gemm_scratch(d->gemm[0], m));
    }
    if (!brim_mul_size(d->block8, d->k, &x) ||
        !brim_mul_size(d->block8, d->outputs * sizeof(int32_t), &y) || !brim_add_size(x, 64, &x) ||
        !brim_add_size(x, y, &x) || !brim_add_size(x, 64, &x) || !brim_add_size(x, most, &x)) {
        return brim_fail(ctx, BRIM_ERR_NOMEM, "%zu weights: too large", d->k);
    }
    d->scratch = brim_max_size(d->scratch, x);
    return BRIM_OK;
}

BRIM_CLONES
static void narrow(const int32_t *from, size_t n, uint8_t *to)
{
    for (size_t j = 0; j < n; j++) {
        to[j] = (uint8_t)from[j];
    }
}

BRIM_CLONES
static void clip_totals(int32_t *v, size_t n, int32_t lo, int32_t hi)
{
    for (size_t i = 0; i < n; i++) {
        const int32_t at_least = v[i] > lo ? v[i] : lo;

        v[i] = at_least < hi ? at_least : hi;
    }
}

/* v may be known modulo 2^16 or 2^32 only: a register that wraps is no wider. */
BRIM_CLONES
static void wrap(int32_t *v, size_t n, int32_t lo, int32_t hi)
{
    const uint32_t mask = 2 * (uint32_t)hi + 1;

    for (size_t i = 0; i < n; i++) {
        v[i] = (int32_t)(((uint32_t)v[i] - (uint32_t)lo) & mask) + lo;
    }
}

BRIM_CLONES
static void widen(const int32_t *from, size_t n, int64_t *to)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = from[i];
    }
}

void brim_dot_finish32(const struct brim_lane_stage *s, int32_t *v, size_t n)
{
    if (s->value == BRIM_LANE_CLIP) {
        clip_totals(v, n, (int32_t)s->lo, (int32_t)s->hi);
    } else if (s->value == BRIM_LANE_WRAP) {
        wrap(v, n, (int32_t)s->lo, (int32_t)s->hi);
    }
}

static void run_block(const struct brim_dot_kernel *d, const struct brim_dot_rows *r, size_t first,
                      size_t m)
{
    uint8_t *bytes = r->scratch, *totals = bytes + (d->block8 * d->k + 63) / 64 * 64;
    uint8_t *rest = totals + (d->block8 * d->outputs * sizeof(int32_t) + 63) / 64 * 64;
    struct brim_gemm_rows g = {
        .m = m, .x = bytes, .x_stride = d->k, .y = totals, .y_stride = d->outputs, .scratch = rest};

    if (r->codes == BRIM_DOT_INT32) {
        for (size_t i = 0; i < m; i++) {
            narrow(brim_dot_row(r, first + i), d->k, bytes + i * d->k);
        }
    } else {
        g.x = (const uint8_t *)r->x + first * r->x_stride;
        g.x_stride = r->x_stride;
    }
    if (r->y32 != NULL) {
        g.y = r->y32 + first * r->y_stride;
        g.y_stride = r->y_stride;
    }
    brim_gemm_run(d->gemm[r->group], &g);
    for (size_t i = 0; r->y32 == NULL && i < m; i++) {
        widen((const int32_t *)g.y + i * d->outputs, d->outputs, r->y + (first + i) * r->y_stride);
    }
}

void brim_dot_gemm8_run(const struct brim_dot_kernel *d, const struct brim_dot_rows *r)
{
    for (size_t first = 0; first < r->m; first += d->block8) {
        run_block(d, r, first, brim_min_size(d->block8, r->m - first));
    }
}
