/* dot_simulate.c - rows through the simulator's passes. SPDX-License-Identifier: Apache-2.0
 *
 * Lanes are outputs, 32 to a panel that is packed when the kernel is made; or, where that leaves
 * lanes empty (16 outputs, depthwise layers), lanes are 16 rows by two outputs, and the rows are
 * packed here. Shared rows and panels meet in cells (dot_cells.h), 8 by 32 at a time.
 *
 * What is not asked is not computed. A unit of outputs (a panel, or 8 pairs) whose bounds say that
 * no stage can overflow has no events; its prefixes matter only while their bound exceeds the
 * min_width seen so far.
 */
#include <assert.h>

#include "base/intops.h"
#include "kernels/dot_cells.h"
#include "kernels/dot_kernel.h"

#define ROWS                                                                                       \
    ((size_t)32) /* packed at a time at most: a panel stays in the caches while they pass */
#define FIRST_CACHE  ((size_t)48 << 10) /* bytes; of the cores this was measured on */
#define SECOND_CACHE ((size_t)1 << 20)
#define WORDS        ((size_t)BRIM_SIMULATE_WORDS)
#define LANES        ((size_t)BRIM_SIMULATE_LANES)
#define PAIRS        ((size_t)BRIM_SIMULATE_ROWS) /* of outputs, a unit where lanes are rows */

/* ---- pack ---- */

static uint32_t half(int32_t v, unsigned shift)
{
    return (uint32_t)v << shift & 0xffff;
}

static brim_status pack_weights(brim_ctx *ctx, const struct brim_dot_kernel *d, unsigned shift,
                                struct brim_dot_pack *pack)
{
    pack->panel = brim_zalloc(ctx, d->groups * d->panels * d->k, LANES * sizeof *pack->panel);
    pack->word = brim_zalloc(ctx, d->groups * d->pairs * d->k, sizeof *pack->word);
    if (pack->panel == NULL || pack->word == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t c = 0; c < d->n; c++) {
        const size_t g = c / d->outputs, o = c % d->outputs, l = o % LANES;
        int16_t *panel =
            pack->panel + (g * d->panels + o / LANES) * d->k * LANES + 2 * (l % WORDS) + l / WORDS;
        uint32_t *word = pack->word + (g * d->pairs + o / 2) * d->k;

        for (size_t j = 0; j < d->k; j++) {
            const uint32_t w = half(d->w[c * d->k + j], shift);

            panel[j * LANES] = (int16_t)(uint16_t)w;
            word[j] |= w << 16 * (o % 2);
        }
    }
    return BRIM_OK;
}

/* Scratch: words of ROWS rows, twice where inputs are scaled (as lanes: 16 rows and their panel),
 * and behind them a row and the lists of brim_datapath_dot(). */
brim_status brim_dot_simulate_pack(brim_ctx *ctx, struct brim_dot_kernel *d)
{
    const unsigned shift = d->plan.passes.w_shift;
    size_t size;

    d->panels = (d->outputs + LANES - 1) / LANES;
    d->pairs = (d->outputs + 1) / 2;
    if (!brim_mul_size(d->groups * d->panels, d->k, &size) ||
        !brim_mul_size(size, LANES * sizeof(uint32_t), &size) ||
        !brim_mul_size(d->k, 2 * ROWS * sizeof(uint32_t) + 3 * sizeof(int64_t), &d->scratch)) {
        return brim_fail(ctx, BRIM_ERR_NOMEM, "%zu outputs of %zu weights: too large", d->n, d->k);
    }
    if (shift > 0) {
        BRIM_TRY(pack_weights(ctx, d, shift, &d->scaled));
    }
    return shift == 0 || d->plan.lanes.count || d->plan.lanes.recheck
               ? pack_weights(ctx, d, 0, &d->plain)
               : BRIM_OK;
}

/* Shifts by a number that is not known take two instructions, and mask. */
#define PACK_ROW(type)                                                                             \
    if (shift == 0) {                                                                              \
        PACK_CODES(type, 0)                                                                        \
    } else {                                                                                       \
        PACK_CODES(type, shift)                                                                    \
    }
#define PACK_CODES(type, shift)                                                                    \
    for (size_t j = 0; j < k; j++) {                                                               \
        const uint32_t v = (uint32_t)((const type *)x)[j] << (shift);                              \
                                                                                                   \
        to[j] = (v & 0xffff) | v << 16;                                                            \
    }

BRIM_CLONES
static void pack_int32(const void *x, size_t k, unsigned shift, uint32_t *to){PACK_ROW(int32_t)}

BRIM_CLONES
    static void pack_uint8(const void *x, size_t k, unsigned shift, uint32_t *to){PACK_ROW(uint8_t)}

BRIM_CLONES static void pack_int8(const void *x, size_t k, unsigned shift, uint32_t *to)
{
    PACK_ROW(int8_t)
}

/* A row's codes, each twice in a word. */
static void pack_row(const struct brim_dot_rows *r, size_t row, size_t k, unsigned shift,
                     uint32_t *to)
{
    const size_t at = row * r->x_stride;

    switch (r->codes) {
    case BRIM_DOT_INT32:
        pack_int32((const int32_t *)r->x + at, k, shift, to);
        break;
    case BRIM_DOT_UINT8:
        pack_uint8((const uint8_t *)r->x + at, k, shift, to);
        break;
    case BRIM_DOT_INT8:
        pack_int8((const int8_t *)r->x + at, k, shift, to);
        break;
    }
}

/* ---- run ---- */

struct job {
    const struct brim_dot_kernel *d;
    const struct brim_dot_rows *r;
    const struct brim_dot_extremes *extremes; /* asked for instead of values and counts, or NULL */
    struct brim_dot_counts *counts;
    const uint8_t *bound; /* of the group's outputs */
    uint32_t *plain, *scaled;
    bool plain_is_read; /* by anything but scaled passes */
    int64_t *lists;
    struct brim_cell_luck luck;
};

/* Where the cells of a call lie: lane l of shared row r is row row0 + r, output output0 + l; or,
 * lanes being rows, row row0 + l % 16, output output0 + 2 * r + l / 16. */
struct place {
    bool lanes_are_rows;
    size_t row0, rows, output0, outputs;
};

/* Element (row, output) at row * stride + output of y32, or of y where that is NULL. */
struct target {
    int64_t *y;
    int32_t *y32;
    size_t stride;
};

static void job_start(struct job *job, const struct brim_dot_kernel *d,
                      const struct brim_dot_rows *r, struct brim_dot_counts *counts)
{
    uint32_t *words = r->scratch;

    *job = (struct job){.d = d,
                        .r = r,
                        .counts = counts,
                        .bound = d->bound + r->group * d->outputs,
                        .plain = words,
                        .scaled = words + ROWS * d->k,
                        .plain_is_read = d->plan.passes.x_shift == 0 || d->plan.lanes.count ||
                                         d->plan.lanes.recheck,
                        .lists = (int64_t *)(void *)(words + 2 * ROWS * d->k)};
    if (d->plan.passes.x_shift == 0) {
        job->scaled = job->plain;
    }
}

static bool lane_is_used(const struct place *p, size_t shared, size_t lane, size_t *row, size_t *c)
{
    *row = p->row0 + (p->lanes_are_rows ? lane % WORDS : shared);
    *c = p->output0 + (p->lanes_are_rows ? 2 * shared + lane / WORDS : lane);
    return *row < p->row0 + p->rows && *c < p->output0 + p->outputs;
}

BRIM_CLONES
static void copy32(const int32_t *from, size_t n, int32_t *to)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = from[i];
    }
}

BRIM_CLONES
static void copy64(const int32_t *from, size_t n, int64_t *to)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = from[i];
    }
}

/* The results of a pair's two outputs, a row each 16 apart. */
static void write_pair(const struct target *t, const struct place *p, size_t pair,
                       const int32_t *value)
{
    const size_t at = p->row0 * t->stride + p->output0 + 2 * pair;
    const bool both = 2 * pair + 1 < p->outputs;

    if (t->y32 != NULL) {
        for (size_t d = 0; d < p->rows; d++) {
            t->y32[at + d * t->stride] = value[d];
        }
        for (size_t d = 0; both && d < p->rows; d++) {
            t->y32[at + d * t->stride + 1] = value[WORDS + d];
        }
        return;
    }
    for (size_t d = 0; d < p->rows; d++) {
        t->y[at + d * t->stride] = value[d];
    }
    for (size_t d = 0; both && d < p->rows; d++) {
        t->y[at + d * t->stride + 1] = value[WORDS + d];
    }
}

static void write_lanes(const struct target *t, const struct place *p, unsigned rows,
                        const int32_t *lanes)
{
    for (size_t i = 0; i < rows; i++) {
        const size_t at = (p->row0 + i) * t->stride + p->output0;
        const int32_t *value = lanes + i * LANES;

        if (p->lanes_are_rows) {
            write_pair(t, p, i, value);
        } else if (t->y32 != NULL) {
            copy32(value, p->outputs, t->y32 + at);
        } else {
            copy64(value, p->outputs, t->y + at);
        }
    }
}

static void write_values(const struct job *job, const struct place *p, const struct brim_cells *c)
{
    const struct target t = {job->r->y, job->r->y32, job->r->y_stride};

    write_lanes(&t, p, c->rows, c->value);
}

/* Cells in which a product does not fit and that matters, by the reference. */
static void redo_odd(struct job *job, const struct place *p, struct brim_cells *c)
{
    const struct brim_dot_kernel *d = job->d;
    const size_t n = (size_t)c->rows * LANES;
    int32_t *x = (int32_t *)(void *)(job->lists + 2 * d->k);

    for (size_t i = 0; i < n; i++) {
        size_t row, o;

        if (c->odd[i] != 0 && lane_is_used(p, i / LANES, i % LANES, &row, &o)) {
            const int32_t *w = d->w + (job->r->group * d->outputs + o) * d->k;

            brim_dot_widen(job->r, row, d->k, x);
            c->value[i] = (int32_t)brim_dot_one(d, w, x, NULL, job->lists, job->counts);
            c->exit[i] = 0;
            c->persistent[i] = 0;
            c->odd[i] = 0;
        }
    }
}

/* Lanes beyond the rows and outputs hold zeros, which are no events. */
BRIM_CLONES
static void tally(const struct brim_cells *c, struct brim_dot_counts *counts)
{
    const size_t n = (size_t)c->rows * LANES;
    int32_t transient = 0, persistent = 0, product = 0, least = 0, most = 0;

    for (size_t i = 0; i < n; i++) {
        transient += c->exit[i] & ~c->persistent[i];
        persistent += c->persistent[i];
        product += c->odd[i];
        least = least < c->least[i] ? least : c->least[i];
        most = most > c->most[i] ? most : c->most[i];
    }
    const unsigned width = brim_width_of(least, most);
    counts->transient += (uint64_t)transient;
    counts->persistent += (uint64_t)persistent;
    counts->product += (uint64_t)product;
    counts->min_width = width > counts->min_width ? (uint8_t)width : counts->min_width;
}

/* No event is possible, and no prefix that the layer's min_width does not hold already. */
static bool nothing_to_count(const struct job *job, size_t output, size_t outputs)
{
    for (size_t c = output; c < output + outputs; c++) {
        if (job->bound[c] > job->counts->min_width) {
            return false;
        }
    }
    return true;
}

/* Values alone are asked, and have a place of 32 outputs a row: the pass writes them there (3 % of
 * 32 x 256 x 768). */
static bool values_have_a_place(const struct job *job, const struct place *p)
{
    const struct brim_lane_plan *lanes = &job->d->plan.lanes;

    return !lanes->count && !lanes->recheck && job->r->y32 != NULL && !p->lanes_are_rows &&
           p->outputs == LANES;
}

/* Which rows' values are not told by their totals. */
static void find_values(const struct job *job, const struct brim_cell_operands *plain,
                        const struct brim_cell_operands *scaled, struct brim_cells *c)
{
    const struct brim_dot_plan *plan = &job->d->plan;
    const struct brim_lane_plan *lanes = &plan->lanes;
    const bool finishes =
        lanes->n_stages == 1 && lanes->stage[0].value != BRIM_LANE_SATURATE && lanes->count;
    bool wanted[BRIM_SIMULATE_ROWS];

    for (unsigned r = 0; r < c->rows; r++) {
        wanted[r] = !lanes->count || (c->eventful[r] && !finishes);
        if (!wanted[r]) {
            brim_cells_finish(&lanes->stage[lanes->n_stages - 1], c, r);
        }
    }
    brim_cells_values(plan, job->d->simulate, plan->passes.w_shift > 0 ? scaled : plain, wanted, c);
}

static void find_extremes(struct job *job, const struct place *p,
                          const struct brim_cell_operands *plain, struct brim_cells *c)
{
    const struct brim_dot_kernel *d = job->d;
    const struct brim_dot_extremes *e = job->extremes;
    const struct target total = {NULL, e->total, e->y_stride},
                        least = {NULL, e->least, e->y_stride}, most = {NULL, e->most, e->y_stride};

    brim_cells_extremes(&d->plan, d->simulate, plain, c, &job->luck);
    write_lanes(&total, p, c->rows, c->total);
    write_lanes(&least, p, c->rows, c->least);
    write_lanes(&most, p, c->rows, c->most);
}

static void run_cells(struct job *job, const struct place *p,
                      const struct brim_cell_operands *plain,
                      const struct brim_cell_operands *scaled, struct brim_cells *c)
{
    const struct brim_dot_plan *plan = &job->d->plan;

    if (job->extremes != NULL) {
        find_extremes(job, p, plain, c);
        return;
    }
    if (values_have_a_place(job, p)) {
        brim_cells_values_to(plan, job->d->simulate, plan->passes.w_shift > 0 ? scaled : plain,
                             c->rows, job->r->y32 + p->row0 * job->r->y_stride + p->output0,
                             job->r->y_stride);
        return;
    }
    assert(job->counts != NULL);
    if (plan->lanes.count && nothing_to_count(job, p->output0, p->outputs)) {
        brim_cells_totals(plan, job->d->simulate, plain, c);
        write_values(job, p, c);
        return;
    }
    if (plan->lanes.count) {
        brim_cells_prefixes(plan, job->d->simulate, plain, c, &job->luck);
    } else if (plan->lanes.recheck) {
        brim_cells_products(plan, job->d->simulate, plain, c);
    }
    find_values(job, plain, scaled, c);
    if (plan->lanes.recheck) {
        redo_odd(job, p, c);
    }
    if (plan->lanes.count) {
        tally(c, job->counts);
    }
    write_values(job, p, c);
}

/* Lanes are outputs. */
static void run_panel(struct job *job, size_t panel, size_t first, size_t m, struct brim_cells *c)
{
    const struct brim_dot_kernel *d = job->d;
    const size_t at = (job->r->group * d->panels + panel) * d->k * LANES;
    struct brim_cell_operands plain = {.panel = d->plain.panel + at},
                              scaled = {.panel = d->scaled.panel + at};

    for (size_t i = 0; i < m; i += BRIM_SIMULATE_ROWS) {
        const struct place p = {.row0 = first + i,
                                .rows = brim_min_size(BRIM_SIMULATE_ROWS, m - i),
                                .output0 = panel * LANES,
                                .outputs = brim_min_size(LANES, d->outputs - panel * LANES)};

        c->rows = (unsigned)p.rows;
        for (size_t r = 0; r < p.rows; r++) {
            plain.shared[r] = job->plain + (i + r) * d->k;
            scaled.shared[r] = job->scaled + (i + r) * d->k;
        }
        run_cells(job, &p, &plain, &scaled, c);
    }
}

/* Rows packed at a time. A panel beyond half the first cache comes from the second for every 8 rows
 * anyway, so that fewer rows, which stay in the first, are better; if all panels fit the second. */
static size_t rows_at_once(const struct brim_dot_kernel *d)
{
    const size_t panel = d->k * LANES * sizeof(int16_t);

    return panel > FIRST_CACHE / 2 && panel * d->panels < SECOND_CACHE ? BRIM_SIMULATE_ROWS : ROWS;
}

static void run_outputs(struct job *job, struct brim_cells *c)
{
    const struct brim_dot_kernel *d = job->d;
    const size_t rows = rows_at_once(d);

    for (size_t first = 0; first < job->r->m; first += rows) {
        const size_t m = brim_min_size(rows, job->r->m - first);

        for (size_t i = 0; i < m; i++) {
            if (job->plain_is_read) {
                pack_row(job->r, first + i, d->k, 0, job->plain + i * d->k);
            }
            if (job->scaled != job->plain) {
                pack_row(job->r, first + i, d->k, d->plan.passes.x_shift, job->scaled + i * d->k);
            }
        }
        for (size_t panel = 0; panel < d->panels; panel++) {
            run_panel(job, panel, first, m, c);
        }
    }
}

/* 16 rows as a panel: their words side by side. `words` holds the rows, then the panel. */
static const int16_t *interleave(const struct job *job, size_t first, size_t m, unsigned shift,
                                 uint32_t *words)
{
    const size_t k = job->d->k;
    const uint32_t *row[WORDS] = {NULL};

    for (size_t i = 0; i < m; i++) {
        pack_row(job->r, first + i, k, shift, words + i * k);
        row[i] = words + i * k;
    }
    job->d->simulate->interleave(row, k, words + WORDS * k);
    return (const int16_t *)(const void *)(words + WORDS * k);
}

/* Lanes are rows, times two outputs. */
static void run_rows(struct job *job, struct brim_cells *c)
{
    const struct brim_dot_kernel *d = job->d;
    const size_t at = job->r->group * d->pairs * d->k;

    for (size_t first = 0; first < job->r->m; first += WORDS) {
        const size_t m = brim_min_size(WORDS, job->r->m - first);
        struct brim_cell_operands plain = {.panel = NULL}, scaled = {.panel = NULL};

        if (job->plain_is_read) {
            plain.panel = interleave(job, first, m, 0, job->plain);
            scaled.panel = plain.panel;
        }
        if (job->scaled != job->plain) {
            scaled.panel = interleave(job, first, m, d->plan.passes.x_shift, job->scaled);
        }
        for (size_t pair = 0; pair < d->pairs; pair += PAIRS) {
            const struct place p = {.lanes_are_rows = true,
                                    .row0 = first,
                                    .rows = m,
                                    .output0 = 2 * pair,
                                    .outputs = brim_min_size(2 * PAIRS, d->outputs - 2 * pair)};

            c->rows = (unsigned)((p.outputs + 1) / 2);
            for (size_t r = 0; r < c->rows; r++) {
                plain.shared[r] = d->plain.word + at + (pair + r) * d->k;
                scaled.shared[r] = d->scaled.word + at + (pair + r) * d->k;
            }
            run_cells(job, &p, &plain, &scaled, c);
        }
    }
}

static void run_all(struct job *job)
{
    const struct brim_dot_kernel *d = job->d;
    const size_t m = job->r->m;
    struct brim_cells cells;

    /* Panels of cells; packing 16 rows costs about two. */
    if ((m + WORDS - 1) / WORDS * (d->pairs + 2) < m * d->panels) {
        run_rows(job, &cells);
    } else {
        run_outputs(job, &cells);
    }
}

void brim_dot_simulate_run(const struct brim_dot_kernel *d, const struct brim_dot_rows *r,
                           struct brim_dot_counts *counts)
{
    struct job job;

    if (r->m == 0 || d->outputs == 0) {
        return;
    }
    job_start(&job, d, r, counts);
    counts->min_width = r->counts != NULL ? r->counts->min_width : 0;
    if (d->gemm != NULL && nothing_to_count(&job, 0, d->outputs)) {
        brim_dot_gemm8_run(d, r);
    } else {
        run_all(&job);
    }
}

void brim_dot_simulate_extremes(const struct brim_dot_kernel *d, const struct brim_dot_rows *r,
                                const struct brim_dot_extremes *e)
{
    struct job job;

    if (r->m > 0 && d->outputs > 0) {
        job_start(&job, d, r, NULL);
        job.extremes = e;
        run_all(&job);
    }
}
