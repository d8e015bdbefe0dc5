/* dot_kernel.c - plan, pack, and hand rows to the path that was chosen. SPDX-License-Identifier:
 * Apache-2.0 */
#include "kernels/dot_kernel.h"
#include "base/intops.h"

#include <string.h>

#define WIDEN_ROWS 16 /* rows of bytes that are widened at a time for a path that reads int32 */

static bool gemm(const struct brim_dot_kernel *d)
{
    return d->plan.path == BRIM_DOT_GEMM_F32 || d->plan.path == BRIM_DOT_GEMM_F64;
}

static bool lanes(const struct brim_dot_kernel *d)
{
    return d->plan.path == BRIM_DOT_LANES32 || d->plan.path == BRIM_DOT_LANES64;
}

static brim_status check_params(brim_ctx *ctx, const struct brim_dot_kernel_params *p)
{
    const int64_t x_limit = INT64_C(1) << 16, w_limit = INT64_C(1) << 15;

    if (p->groups == 0 || p->n % p->groups != 0) {
        return brim_fail(ctx, BRIM_ERR_ARG, "%zu outputs in %zu groups, expected a multiple", p->n,
                         p->groups);
    }
    if (p->x_min < -x_limit || p->x_max >= x_limit || p->x_min > p->x_max) {
        return brim_fail(ctx, BRIM_ERR_ARG, "input codes %lld..%lld, expected within 17 bits",
                         (long long)p->x_min, (long long)p->x_max);
    }
    for (size_t i = 0; i < p->n * p->k; i++) {
        if (p->w[i] < -w_limit || p->w[i] >= w_limit) {
            return brim_fail(ctx, BRIM_ERR_ARG, "weight code %ld, expected within 16 bits",
                             (long)p->w[i]);
        }
    }
    return BRIM_OK;
}

/* What the chosen path runs on; it says how much scratch it needs. */
static brim_status pack(brim_ctx *ctx, const struct brim_dot_kernel_params *p,
                        struct brim_dot_kernel *d)
{
    if (d->plan.path == BRIM_DOT_GEMM8) {
        return brim_dot_gemm8_pack(ctx, d, p->x_min, p->x_max);
    }
    if (gemm(d)) {
        return brim_dot_gemm_pack(ctx, d);
    }
    if (d->plan.path == BRIM_DOT_VECTORS) {
        return brim_dot_vectors_pack(ctx, d, p->x_min, p->x_max);
    }
    if (lanes(d)) {
        return brim_dot_lanes_pack(ctx, d);
    }
    if (d->plan.path == BRIM_DOT_ORDERED) {
        return brim_dot_ordered_pack(ctx, d);
    }
    if (d->plan.path == BRIM_DOT_SIMULATE) {
        BRIM_TRY(brim_dot_simulate_pack(ctx, d));
        return d->plan.lanes.count && d->safe && d->plan.codes8 && d->outputs >= 8
                   ? brim_dot_gemm8_pack(ctx, d, p->x_min, p->x_max)
                   : BRIM_OK;
    }
    if (!brim_mul_size(BRIM_DOT_LISTS(d->k), sizeof(int64_t), &d->scratch)) {
        return brim_fail(ctx, BRIM_ERR_NOMEM, "%zu weights: too large", d->k);
    }
    return BRIM_OK;
}

/* The stage whose registers vectors end; with float scales an exact one takes the place of those
 * behind it. */
static brim_status take_vectors(brim_ctx *ctx, const struct brim_dot_kernel_params *p,
                                struct brim_dot_kernel *d)
{
    const uint64_t length = p->vectors.length;
    brim_datapath *dp = &d->datapath;

    if (length == 0) {
        return BRIM_OK;
    }
    d->vectors = p->vectors;
    d->n_vectors = (size_t)((p->k + length - 1) / length);
    if (p->datapath == NULL) {
        *dp = (brim_datapath){2, {{.width = 64, .tile = length}, {.width = 64}}};
    }
    while (d->stage + 1 < dp->n_stages && dp->stage[d->stage].tile != length) {
        d->stage++;
    }
    if (d->stage + 1 == dp->n_stages) {
        return brim_fail(ctx, BRIM_ERR_ARG,
                         "no stage but the last has tiles of %zu products, the vectors",
                         (size_t)length);
    }
    if (p->vectors.scale != NULL) {
        dp->n_stages = d->stage + 2;
        dp->stage[d->stage + 1] = (brim_stage){.width = 64};
    }
    return BRIM_OK;
}

/* Behind the path's scratch: rows of bytes, widened. */
static brim_status add_widened(brim_ctx *ctx, struct brim_dot_kernel *d)
{
    size_t bytes;

    d->widened = (d->scratch + 63) / 64 * 64;
    if (!brim_mul_size(d->k, WIDEN_ROWS * sizeof(int32_t), &bytes) ||
        !brim_add_size(d->widened, bytes, &d->scratch)) {
        return brim_fail(ctx, BRIM_ERR_NOMEM, "%zu weights: too large", d->k);
    }
    return BRIM_OK;
}

static brim_status fill_kernel(brim_ctx *ctx, const struct brim_dot_kernel_params *p,
                               struct brim_dot_kernel *d)
{
    static const brim_datapath exact = {1, {{.width = 64}}};
    size_t count;

    d->n = p->n;
    d->k = p->k;
    d->groups = p->groups;
    d->datapath = p->datapath != NULL ? *p->datapath : exact;
    if (!brim_mul_size(p->n, p->k, &count)) {
        return brim_fail(ctx, BRIM_ERR_NOMEM, "%zu outputs of %zu weights: too large", p->n, p->k);
    }
    BRIM_TRY(check_params(ctx, p));
    d->outputs = p->n / p->groups;
    d->bound = brim_alloc(ctx, p->n + 1, sizeof *d->bound);
    d->w = brim_alloc(ctx, count + 1, sizeof *d->w);
    if (d->w == NULL || d->bound == NULL) {
        return BRIM_ERR_NOMEM;
    }
    d->simulate = brim_simulate_choose(ctx->isa);
    BRIM_TRY(take_vectors(ctx, p, d));
    BRIM_TRY(brim_dot_plan_make(ctx, p, &d->datapath, &d->plan, d->bound));
    d->safe = true;
    for (size_t c = 0; c < p->n; c++) {
        d->safe = d->safe && d->bound[c] != BRIM_DOT_UNSAFE;
    }
    if (count > 0) {
        memcpy(d->w, p->w, count * sizeof *d->w);
    }
    BRIM_TRY(pack(ctx, p, d));
    return add_widened(ctx, d);
}

brim_status brim_dot_kernel_create(brim_ctx *ctx, const struct brim_dot_kernel_params *p,
                                   struct brim_dot_kernel **kernel)
{
    struct brim_dot_kernel *d = brim_zalloc(ctx, 1, sizeof *d);

    if (d == NULL) {
        return BRIM_ERR_NOMEM;
    }
    const brim_status s = fill_kernel(ctx, p, d);
    if (s != BRIM_OK) {
        brim_dot_kernel_free(ctx, d);
        return s;
    }
    *kernel = d;
    return BRIM_OK;
}

void brim_dot_kernel_free(brim_ctx *ctx, struct brim_dot_kernel *kernel)
{
    if (kernel != NULL) {
        for (size_t g = 0; kernel->gemm != NULL && g < kernel->n_gemm; g++) {
            brim_gemm_free(ctx, kernel->gemm[g]);
        }
        brim_free(ctx, (void *)kernel->gemm);
        brim_free(ctx, kernel->w);
        brim_free(ctx, kernel->bound);
        brim_free(ctx, kernel->panel);
        brim_free(ctx, kernel->scales);
        brim_free(ctx, kernel->plain.panel);
        brim_free(ctx, kernel->plain.word);
        brim_free(ctx, kernel->scaled.panel);
        brim_free(ctx, kernel->scaled.word);
        brim_free(ctx, kernel->real);
        brim_free(ctx, kernel);
    }
}

bool brim_dot_kernel_is_total(const struct brim_dot_kernel *kernel)
{
    return kernel->plan.total;
}

bool brim_dot_kernel_fits32(const struct brim_dot_kernel *kernel)
{
    return kernel->plan.fits32;
}

size_t brim_dot_kernel_scratch(const struct brim_dot_kernel *kernel)
{
    return kernel->scratch;
}

void brim_dot_counts_add(struct brim_dot_counts *to, const struct brim_dot_counts *from)
{
    to->outputs += from->outputs;
    to->transient += from->transient;
    to->persistent += from->persistent;
    to->product += from->product;
    to->min_width = from->min_width > to->min_width ? from->min_width : to->min_width;
}

int64_t brim_dot_finish(const struct brim_lane_stage *s, int64_t total)
{
    if (s->value == BRIM_LANE_CLIP) {
        return brim_clip_i64(total, s->lo, s->hi);
    }
    if (s->value == BRIM_LANE_WRAP) {
        const uint64_t mask = 2 * (uint64_t)s->hi + 1;

        return (int64_t)(((uint64_t)total - (uint64_t)s->lo) & mask) + s->lo;
    }
    return total;
}

/* What one dot product went through is added to the counts of its path. */
static void add_events(struct brim_dot_counts *counts, const brim_events *ev)
{
    const struct brim_dot_counts one = {0, ev->transient, ev->persistent, ev->product,
                                        ev->min_width};

    brim_dot_counts_add(counts, &one);
}

/* The factors of the output with these weights; NULL where vectors have none. */
static const brim_factors *factors_of(const struct brim_dot_kernel *d, const int32_t *w,
                                      const uint16_t *x_code, uint32_t *own, brim_factors *factors)
{
    const struct brim_dot_vectors *v = &d->vectors;
    const size_t first = d->k == 0 ? 0 : (size_t)(w - d->w) / d->k * d->n_vectors;

    if (d->n_vectors == 0) {
        return NULL;
    }
    *factors = (brim_factors){v->length, v->w_code == NULL ? v->factor + first : own};
    for (size_t g = 0; v->w_code != NULL && g < d->n_vectors; g++) {
        own[g] = brim_scale_product(v->w_code[first + g], x_code[g], 32, 32 - v->shift);
    }
    return factors;
}

int64_t brim_dot_one(const struct brim_dot_kernel *d, const int32_t *w, const int32_t *x,
                     const uint16_t *x_code, int64_t *lists, struct brim_dot_counts *counts)
{
    brim_factors buffer;
    const brim_factors *factors = factors_of(d, w, x_code, (uint32_t *)(lists + 2 * d->k), &buffer);
    brim_events ev;

    if (!d->plan.lanes.count) {
        return brim_datapath_dot_scaled(&d->datapath, factors, w, x, d->k, lists, NULL);
    }
    const int64_t y = brim_datapath_dot_scaled(&d->datapath, factors, w, x, d->k, lists, &ev);
    add_events(counts, &ev);
    return y;
}

double brim_dot_one_real(const struct brim_dot_kernel *d, const int32_t *w, const int32_t *x,
                         int64_t *lists, struct brim_dot_counts *counts)
{
    const float *scale = d->vectors.scale + (size_t)(w - d->w) / d->k * d->n_vectors;
    const bool count = d->plan.lanes.count;
    brim_events all = {.min_width = 0};
    double sum = 0.0;

    for (size_t g = 0; g < d->n_vectors; g++) {
        const size_t first = g * d->vectors.length;
        const size_t k = brim_min_size(d->vectors.length, d->k - first);
        brim_events ev = {.min_width = 0};
        const int64_t v =
            brim_datapath_dot(&d->datapath, w + first, x + first, k, lists, count ? &ev : NULL);
        sum += (double)scale[g] * (double)v;
        all.transient |= ev.transient;
        all.persistent |= ev.persistent;
        all.product |= ev.product;
        all.min_width = ev.min_width > all.min_width ? ev.min_width : all.min_width;
    }
    all.transient &= !all.persistent;
    if (count) {
        add_events(counts, &all);
    }
    return sum;
}

static void run_scalar(const struct brim_dot_kernel *d, const struct brim_dot_rows *r,
                       struct brim_dot_counts *counts)
{
    const int32_t *w = d->w + r->group * d->outputs * d->k;

    for (size_t i = 0; i < r->m; i++) {
        const int32_t *x = brim_dot_row(r, i);
        for (size_t c = 0; c < d->outputs; c++) {
            if (d->vectors.scale != NULL) {
                brim_dot_write_real(r, i, c,
                                    brim_dot_one_real(d, w + c * d->k, x, r->scratch, counts));
            } else {
                brim_dot_write(
                    r, i, c,
                    brim_dot_one(d, w + c * d->k, x, brim_dot_row_codes(r, i), r->scratch, counts));
            }
        }
    }
}

/* Rows of int32, or of what the path reads. */
static void run_path(const struct brim_dot_kernel *d, const struct brim_dot_rows *r,
                     struct brim_dot_counts *counts)
{
    if (d->plan.path == BRIM_DOT_GEMM8) {
        brim_dot_gemm8_run(d, r);
    } else if (d->plan.path == BRIM_DOT_VECTORS) {
        brim_dot_vectors_run(d, r);
    } else if (gemm(d)) {
        brim_dot_gemm_run(d, r);
    } else if (lanes(d)) {
        brim_dot_lanes_run(d, r, counts);
    } else if (d->plan.path == BRIM_DOT_SIMULATE) {
        brim_dot_simulate_run(d, r, counts);
    } else if (d->plan.path == BRIM_DOT_ORDERED) {
        brim_dot_ordered_run(d, r, counts);
    } else {
        run_scalar(d, r, counts);
    }
}

void brim_dot_widen(const struct brim_dot_rows *r, size_t row, size_t n, int32_t *to)
{
    const size_t first = row * r->x_stride;

    if (r->codes == BRIM_DOT_INT32) {
        memcpy(to, (const int32_t *)r->x + first, n * sizeof *to);
    } else if (r->codes == BRIM_DOT_UINT8) {
        for (size_t j = 0; j < n; j++) {
            to[j] = ((const uint8_t *)r->x)[first + j];
        }
    } else {
        for (size_t j = 0; j < n; j++) {
            to[j] = ((const int8_t *)r->x)[first + j];
        }
    }
}

/* Bytes for a path that reads int32, some rows at a time. */
static void run_widened(const struct brim_dot_kernel *d, const struct brim_dot_rows *r,
                        struct brim_dot_counts *counts)
{
    int32_t *x = (int32_t *)(void *)((char *)r->scratch + d->widened);

    for (size_t first = 0; first < r->m; first += WIDEN_ROWS) {
        struct brim_dot_rows some = *r;

        some.m = brim_min_size(WIDEN_ROWS, r->m - first);
        some.x = x;
        some.codes = BRIM_DOT_INT32;
        some.x_stride = d->k;
        some.y = r->y != NULL ? r->y + first * r->y_stride : NULL;
        some.y32 = r->y32 != NULL ? r->y32 + first * r->y_stride : NULL;
        some.real = r->real != NULL ? r->real + first * r->y_stride : NULL;
        some.x_code = brim_dot_row_codes(r, first);
        for (size_t i = 0; i < some.m; i++) {
            brim_dot_widen(r, first + i, d->k, x + i * d->k);
        }
        run_path(d, &some, counts);
    }
}

void brim_dot_kernel_run(const struct brim_dot_kernel *kernel, const struct brim_dot_rows *rows)
{
    struct brim_dot_counts counts = {.outputs = rows->m * kernel->outputs};

    if (rows->codes == BRIM_DOT_INT32 || kernel->plan.path == BRIM_DOT_SIMULATE ||
        kernel->plan.path == BRIM_DOT_GEMM8 || kernel->plan.path == BRIM_DOT_VECTORS) {
        run_path(kernel, rows, &counts);
    } else {
        run_widened(kernel, rows, &counts);
    }
    if (kernel->plan.lanes.count && rows->counts != NULL) {
        brim_dot_counts_add(rows->counts, &counts);
    }
}

bool brim_dot_kernel_has_extremes(const struct brim_dot_kernel *kernel)
{
    return kernel->plan.lanes.count && kernel->plan.sums32;
}

/* Codes or datapaths that the simulator's passes do not take. */
static void extremes_one_by_one(const struct brim_dot_kernel *d, const struct brim_dot_rows *r,
                                const struct brim_dot_extremes *e)
{
    int32_t *x = (int32_t *)(void *)((char *)r->scratch + d->widened);

    for (size_t i = 0; i < r->m; i++) {
        brim_dot_widen(r, i, d->k, x);
        for (size_t c = 0; c < d->outputs; c++) {
            const int32_t *w = d->w + (r->group * d->outputs + c) * d->k;
            int32_t sum = 0, least = 0, most = 0;

            for (size_t j = 0; j < d->k; j++) {
                sum += w[j] * x[j];
                least = sum < least ? sum : least;
                most = sum > most ? sum : most;
            }
            e->total[i * e->y_stride + c] = sum;
            e->least[i * e->y_stride + c] = least;
            e->most[i * e->y_stride + c] = most;
        }
    }
}

void brim_dot_kernel_extremes(const struct brim_dot_kernel *kernel,
                              const struct brim_dot_extremes *rows)
{
    const struct brim_dot_rows r = {.group = rows->group,
                                    .m = rows->m,
                                    .x = rows->x,
                                    .codes = rows->codes,
                                    .x_stride = rows->x_stride,
                                    .scratch = rows->scratch};

    if (kernel->plan.path == BRIM_DOT_SIMULATE) {
        brim_dot_simulate_extremes(kernel, &r, rows);
    } else {
        extremes_one_by_one(kernel, &r, rows);
    }
}
