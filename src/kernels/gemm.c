/* gemm.c - the products' driver: blocks, spans, tiles. SPDX-License-Identifier: Apache-2.0
 *
 *     for rows, as many as stay in L2                  copied first where their bytes need changing
 *         for panels, as many as a tile has            their weights of a block stay in L1
 *             for blocks of the reduction
 *                 for tiles of rows
 *                     totals of the tile               and, after the last block, its epilogue
 *
 * so the totals never leave the caches. x is read where it lies unless its codes must be shifted,
 * its ends may not be read beyond, or a variant wants spans that the segments do not fill.
 */
#include "kernels/gemm.h"
#include "base/cpu.h"
#include "base/intops.h"
#include "kernels/gemm_pack.h"

#include <string.h>

/* Bytes of x that stay in L2 while all panels pass; and of weights that stay in L1 while all rows
 * pass, one tile's at a time. */
#define ROWS_BYTES    ((size_t)1 << 20)
#define WEIGHTS_BYTES ((size_t)36 << 10)
/* Rows made at a time, and their bytes: with what they are made of, some twice that, and weights
 * they stay in L1. */
#define MADE_ROWS   ((size_t)24)
#define MADE_BYTES  ((size_t)12 << 10)
#define PASSED_ROWS 64 /* so few rows use weights too seldom to keep them in L1 */

/* ---- plans ---- */

/* The consecutive spans of one block of the reduction. */
struct piece {
    const struct brim_gemm_span *span;
    size_t spans;
};

/* How a run of m rows goes about it. */
struct plan {
    size_t rows;                     /* at a time: the most, or for m rows */
    size_t block, blocks;            /* of the reduction: quads, number */
    size_t x_stride;                 /* of copied rows */
    size_t pieces, spans, totals, x; /* offsets into scratch: [tiles][blocks], ... */
    size_t tile_totals;              /* of these, twice where unit > 1 */
    size_t bytes;
    unsigned tile_rows, tile_panels, unit; /* largest of the variants */
    unsigned step;                         /* of tile registers, where x is not copied */
};

static size_t align64(size_t v)
{
    return (v + 63) & ~(size_t)63;
}

static size_t span_bound(const struct brim_gemm_packed *g, unsigned tile)
{
    return g->segments + g->quads / brim_gemm_tile_quads(g, tile) + 1;
}

/* Quads that tile registers take of segments as they lie: the most that divide them, unless so few
 * that a copy in whole units is faster. */
static unsigned tile_step(const struct brim_gemm_packed *g, unsigned unit)
{
    unsigned step = unit;

    while (g->segment_quads % step != 0) {
        step--;
    }
    return 2 * step >= unit ? step : unit;
}

/* What does not depend on the number of rows: runs of few rows are short, and divisions are not. */
static struct plan make_plan(const struct brim_gemm_packed *g,
                             const struct brim_gemm_variant *const *of)
{
    struct plan plan = {.tile_rows = 1, .tile_panels = 1, .unit = 1};
    bool shaped = false;
    size_t spans = 0;

    for (size_t i = 0; i < g->panels; i++) {
        plan.tile_rows = of[i]->rows > plan.tile_rows ? of[i]->rows : plan.tile_rows;
        plan.tile_panels = of[i]->panels > plan.tile_panels ? of[i]->panels : plan.tile_panels;
        plan.unit = of[i]->unit > plan.unit ? of[i]->unit : plan.unit;
        shaped |= of[i]->begin != NULL;
    }
    plan.step = shaped ? tile_step(g, plan.unit) : plan.unit;
    plan.block = plan.unit > 1 ? g->panel_quads : g->block;
    plan.blocks = (g->quads + plan.block - 1) / plan.block;
    plan.rows = brim_max_size(ROWS_BYTES / (4 * g->panel_quads), plan.tile_rows);
    if (g->panels * g->panel_quads * 4 * BRIM_GEMM_PANEL <= WEIGHTS_BYTES) {
        plan.rows = plan.tile_rows;
    }
    plan.x_stride = 4 * g->panel_quads;
    plan.x_stride += plan.x_stride % 2048 == 0 ? 64 : 0; /* rows in different sets of L1 */
    for (unsigned tile = 0; tile < BRIM_GEMM_TILES; tile++) {
        spans += span_bound(g, tile);
    }
    plan.spans = align64(BRIM_GEMM_TILES * plan.blocks * sizeof(struct piece));
    plan.totals = plan.spans + align64(spans * sizeof(struct brim_gemm_span));
    return plan;
}

struct brim_gemm {
    struct brim_gemm_packed packed;
    struct brim_epilogue epilogue;
    const struct brim_epilogue_variant *finish;
    const struct brim_gemm_variant **many, **few; /* [panels] */
    struct plan many_plan, few_plan;
    uint8_t tiles; /* bit i: some panels' 16-bit sums have it */
};

/* ---- panels that one tile can have ---- */

struct group {
    const struct brim_gemm_variant *variant;
    size_t panel, panels;
    unsigned tile; /* of 16-bit sums */
};

/* From `panel` on: panels of one variant and, where that matters, with a tile of 16-bit sums that
 * all their proofs allow. */
static struct group make_group(const struct brim_gemm_packed *g,
                               const struct brim_gemm_variant *const *of, size_t panel)
{
    struct group group = {.variant = of[panel], .panel = panel, .panels = 1};
    const bool lane = group.variant->need == BRIM_GEMM_LANE;
    uint8_t tiles = g->proof[panel].tiles;

    for (size_t i = panel + 1; i < g->panels && group.panels < group.variant->panels; i++) {
        if (of[i] != group.variant || (lane && (tiles & g->proof[i].tiles) == 0)) {
            break;
        }
        tiles &= g->proof[i].tiles;
        group.panels++;
    }
    while (lane && (tiles >> group.tile & 1) == 0) {
        group.tile++;
    }
    return group;
}

static uint8_t tiles_used(const struct brim_gemm_packed *g,
                          const struct brim_gemm_variant *const *of)
{
    uint8_t used = 0;

    for (size_t i = 0; i < g->panels;) {
        const struct group group = make_group(g, of, i);

        used |= (uint8_t)(1u << group.tile);
        i += group.panels;
    }
    return used;
}

/* ---- creation ---- */

/* Tile registers pay for a copy of x where it serves many outputs. */
static bool tiles_pay(const struct brim_gemm_packed *g)
{
    return g->panels >= 4 || g->segment_quads % tile_step(g, BRIM_GEMM_QUADS) == 0;
}

static brim_status choose(brim_ctx *ctx, const struct brim_gemm_params *p, struct brim_gemm *g)
{
    const uint32_t avoid = p->avoid | (tiles_pay(&g->packed) ? 0 : (uint32_t)BRIM_ISA_AMX);
    const uint32_t isa = ctx->isa & ~avoid;
    const char *const name = p->variant;
    const struct brim_gemm_variant *named = name != NULL ? brim_gemm_find(name) : NULL;
    bool centred = false;

    if (name != NULL && named == NULL) {
        return brim_fail(ctx, BRIM_ERR_ARG, "no gemm variant is named %s", name);
    }
    if (named != NULL && (named->isa & ~ctx->isa) != 0) {
        return brim_fail(ctx, BRIM_ERR_ARG, "gemm variant %s: not on this processor", name);
    }
    for (size_t i = 0; i < g->packed.panels; i++) {
        const struct brim_gemm_proof proof = g->packed.proof[i];
        const enum brim_gemm_need need = brim_gemm_proven(proof);

        if (named != NULL && named->need > need) {
            return brim_fail(ctx, BRIM_ERR_ARG,
                             "gemm variant %s: 16-bit sums of outputs %zu..%zu may overflow", name,
                             i * BRIM_GEMM_PANEL, i * BRIM_GEMM_PANEL + BRIM_GEMM_PANEL - 1);
        }
        if (named != NULL && (named->bounds & ~proof.bounds) != 0) {
            return brim_fail(ctx, BRIM_ERR_ARG, "gemm variant %s: not for codes so large", name);
        }
        g->many[i] = named != NULL ? named : brim_gemm_choose(isa, need, proof.bounds, false);
        g->few[i] = named != NULL ? named : brim_gemm_choose(isa, need, proof.bounds, true);
        centred |= g->many[i]->centred || g->few[i]->centred;
    }
    return centred ? brim_gemm_pack_start(ctx, &g->packed) : BRIM_OK;
}

static brim_status fill(brim_ctx *ctx, const struct brim_gemm_params *p, struct brim_gemm *g)
{
    BRIM_TRY(brim_gemm_pack(ctx, p, &g->packed));
    g->epilogue = p->epilogue;
    g->epilogue.offset = g->packed.offset;
    g->finish = brim_epilogue_choose(ctx->isa);
    g->many = brim_alloc(ctx, g->packed.panels, sizeof(void *));
    g->few = brim_alloc(ctx, g->packed.panels, sizeof(void *));
    if (g->many == NULL || g->few == NULL) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(choose(ctx, p, g));
    g->tiles = tiles_used(&g->packed, g->many) | tiles_used(&g->packed, g->few);
    g->many_plan = make_plan(&g->packed, g->many);
    g->few_plan = make_plan(&g->packed, g->few);
    return BRIM_OK;
}

brim_status brim_gemm_create(brim_ctx *ctx, const struct brim_gemm_params *p,
                             struct brim_gemm **gemm)
{
    struct brim_gemm *g = brim_zalloc(ctx, 1, sizeof *g);

    if (g == NULL) {
        return BRIM_ERR_NOMEM;
    }
    const brim_status s = fill(ctx, p, g);
    if (s != BRIM_OK) {
        brim_gemm_free(ctx, g);
        return s;
    }
    *gemm = g;
    return BRIM_OK;
}

void brim_gemm_free(brim_ctx *ctx, struct brim_gemm *gemm)
{
    if (gemm != NULL) {
        brim_gemm_packed_free(ctx, &gemm->packed);
        brim_free(ctx, (void *)gemm->many);
        brim_free(ctx, (void *)gemm->few);
        brim_free(ctx, gemm);
    }
}

static const struct brim_gemm_variant *const *chosen(const struct brim_gemm *g, size_t m)
{
    return m <= BRIM_GEMM_FEW ? g->few : g->many;
}

size_t brim_gemm_certified(const struct brim_gemm *gemm)
{
    const struct brim_gemm_packed *g = &gemm->packed;
    bool pair = true;
    unsigned tile = 0, tiles = (1u << BRIM_GEMM_TILES) - 1;

    for (size_t i = 0; i < g->panels; i++) {
        pair = pair && g->proof[i].pair;
        tiles &= g->proof[i].tiles;
    }
    if (!pair || tiles == 0) {
        return pair ? 2 : 0;
    }
    while ((tiles >> tile & 1) == 0) {
        tile++;
    }
    return brim_min_size(g->k, 4 * brim_gemm_tile_quads(g, tile));
}

const struct brim_gemm_variant *brim_gemm_chosen(const struct brim_gemm *gemm, size_t m)
{
    const struct brim_gemm_variant *const *of = chosen(gemm, m), *least = of[0];

    for (size_t i = 1; i < gemm->packed.panels; i++) {
        least = of[i]->rank < least->rank ? of[i] : least;
    }
    return least;
}

bool brim_gemm_fits(const struct brim_gemm *gemm, size_t m)
{
    const struct plan *plan = m <= BRIM_GEMM_FEW ? &gemm->few_plan : &gemm->many_plan;

    return gemm->packed.segment_quads % plan->step == 0;
}

/* ---- scratch ---- */

/* For m rows: blocks of nearly as many, in whole tiles where these have a shape. */
static struct plan plan_for(const struct brim_gemm *gemm, size_t m)
{
    struct plan plan = m <= BRIM_GEMM_FEW ? gemm->few_plan : gemm->many_plan;
    const size_t times = m <= plan.rows ? 1 : (m + plan.rows - 1) / plan.rows;

    plan.rows = times == 1 ? brim_max_size(m, 1) : (m + times - 1) / times;
    if (plan.unit > 1) {
        plan.rows = (plan.rows + plan.tile_rows - 1) / plan.tile_rows * plan.tile_rows;
    }
    plan.tile_totals =
        (plan.blocks > 1 ? plan.rows : plan.tile_rows) * plan.tile_panels * (size_t)BRIM_GEMM_PANEL;
    plan.x = plan.totals + (plan.unit > 1 ? 2 : 1) * plan.tile_totals * sizeof(int32_t);
    plan.bytes = plan.x + brim_min_size(plan.rows, m) * plan.x_stride;
    return plan;
}

size_t brim_gemm_scratch(const struct brim_gemm *gemm, size_t m)
{
    return plan_for(gemm, m).bytes;
}

/* ---- x ---- */

/* All that runs ask of x. */
struct input {
    const uint8_t *x;
    size_t x_stride;
    const size_t *segment; /* NULL = one after another */
    size_t segment_bytes;  /* from one to the next then */
    size_t segment_quads, segments;
};

static size_t segment_at(const struct brim_gemm_packed *g, const struct brim_gemm_rows *r, size_t s)
{
    return r->segment != NULL ? r->segment[s] : s * (g->k / g->segments);
}

static bool needs_copy(const struct brim_gemm_packed *g, const struct brim_gemm_rows *r,
                       unsigned unit)
{
    return g->shift != 0 || (g->k / g->segments % 4 != 0 && !r->slack) ||
           g->segment_quads % unit != 0;
}

/* Rows [first, first + m): segments one after another in whole quads, zeros behind. */
static void copy_rows(const struct brim_gemm_packed *g, const struct brim_gemm_rows *r,
                      const struct plan *plan, size_t first, size_t m, uint8_t *to)
{
    const size_t length = g->k / g->segments;

    for (size_t i = 0; i < m; i++, to += plan->x_stride) {
        const uint8_t *from = (const uint8_t *)r->x + (first + i) * r->x_stride;

        for (size_t s = 0; s < g->segments; s++) {
            const uint8_t *x = from + segment_at(g, r, s);
            uint8_t *part = to + 4 * s * g->segment_quads;

            for (size_t j = 0; j < length; j++) {
                part[j] = (uint8_t)(x[j] + g->shift);
            }
            memset(part + length, 0, 4 * g->segment_quads - length);
        }
        memset(to + 4 * g->quads, 0, 4 * (g->panel_quads - g->quads));
    }
}

/* The input as the copy is: one segment of whole units. */
static struct input copied(const struct brim_gemm_packed *g, const struct plan *plan, uint8_t *x)
{
    return (struct input){.x = x,
                          .x_stride = plan->x_stride,
                          .segment_quads = plan->unit > 1 ? g->panel_quads : g->quads,
                          .segments = 1};
}

static struct input in_place(const struct brim_gemm_packed *g, const struct brim_gemm_rows *r,
                             size_t first)
{
    return (struct input){.x = (const uint8_t *)r->x + first * r->x_stride,
                          .x_stride = r->x_stride,
                          .segment = r->segment,
                          .segment_bytes = g->k / g->segments,
                          .segment_quads = g->segment_quads,
                          .segments = g->segments};
}

/* ---- spans ---- */

/* Cut the reduction at ends of segments, tiles and blocks. Gives the number of spans. */
static size_t make_spans(const struct input *in, size_t block, size_t length, struct piece *piece,
                         struct brim_gemm_span *span)
{
    const size_t quads = in->segments * in->segment_quads;
    size_t count = 0, segment = 0, segment_start = 0, tile_end = 0, block_end = 0;

    for (size_t q = 0, next; q < quads; q = next) {
        if (q == block_end) {
            *piece++ = (struct piece){.span = span + count};
            block_end = brim_min_size(q + block, quads);
        }
        if (q == tile_end) {
            tile_end = brim_min_size(q + length, block_end);
        }
        if (q == segment_start + in->segment_quads) {
            segment++;
            segment_start = q;
        }
        next = brim_min_size(segment_start + in->segment_quads, tile_end);
        const size_t start =
            in->segment != NULL ? in->segment[segment] : segment * in->segment_bytes;
        span[count++] = (struct brim_gemm_span){.x = start + 4 * (q - segment_start),
                                                .quads = (uint32_t)(next - q),
                                                .widen = next == tile_end};
        piece[-1].spans++;
    }
    return count;
}

static void make_pieces(const struct brim_gemm *g, const struct input *in, const struct plan *plan,
                        uint8_t *scratch)
{
    struct piece *piece = (struct piece *)(void *)(scratch + plan->pieces);
    struct brim_gemm_span *span = (struct brim_gemm_span *)(void *)(scratch + plan->spans);

    for (unsigned tile = 0; tile < BRIM_GEMM_TILES; tile++) {
        if (g->tiles >> tile & 1) {
            const size_t length = tile == 0 ? plan->block : brim_gemm_tile_quads(&g->packed, tile);

            span += make_spans(in, plan->block, length, piece + tile * plan->blocks, span);
        }
    }
}

/* ---- the loops ---- */

struct run {
    const struct brim_gemm *gemm;
    const struct plan *plan;
    const struct piece *piece; /* [tiles][blocks] */
    struct group group;
    int32_t *totals;
    struct input in;
    size_t first, rows; /* of those that were asked for */
    const struct brim_gemm_source *source;
    size_t m;
    void *y;
    size_t y_stride;
    unsigned step, shaped; /* of the tile registers: quads at a time, rows */
    void (*end)(void);
    struct brim_epilogue_block waiting; /* totals of the last tile, no rows = none */
    bool odd;                           /* it has the second place of totals */
};

static size_t element_bytes(enum brim_emit emit)
{
    return emit == BRIM_EMIT_CODES ? 1 : 4;
}

static bool finished(const struct run *r)
{
    return r->gemm->epilogue.emit == BRIM_EMIT_ACC && r->gemm->epilogue.offset == NULL;
}

/* Totals that stay 32 bits go where they belong; but where they wait for an epilogue, to a place
 * that is still in L1 then. */
static bool direct(const struct run *r)
{
    const bool wait = r->group.variant->begin != NULL;

    return (wait ? finished(r) : brim_emits_acc(r->gemm->epilogue.emit)) &&
           (r->group.panel + r->group.panels) * BRIM_GEMM_PANEL <= r->gemm->packed.n;
}

static void finish_waiting(struct run *r)
{
    if (r->waiting.rows != 0) {
        r->gemm->finish->run(&r->gemm->epilogue, &r->waiting);
        r->waiting.rows = 0;
    }
}

/* Totals of tile registers take long to arrive: they wait until the next tile's are on their way
 * (5 % of 32 x 256 x 768 clipped or as codes). */
static void finish(struct run *r, const struct brim_gemm_tile *t, size_t first)
{
    const struct brim_epilogue *e = &r->gemm->epilogue;
    const size_t column = r->group.panel * BRIM_GEMM_PANEL;

    finish_waiting(r);
    r->waiting = (struct brim_epilogue_block){
        .total = t->y,
        .stride = t->y_stride,
        .rows = t->rows,
        .columns = brim_min_size(r->group.panels * BRIM_GEMM_PANEL, r->gemm->packed.n - column),
        .first = column,
        .y = (uint8_t *)r->y + (first * r->y_stride + column) * element_bytes(e->emit),
        .y_stride = r->y_stride};

    if (r->group.variant->begin == NULL) {
        finish_waiting(r);
    }
    r->odd = !r->odd && r->plan->unit > 1;
}

/* The next tile's first row and rows: nearly equal ones, or where tile registers have a shape, full
 * ones, the last rows joined to some that are done already. */
static size_t next_tile(const struct run *r, size_t done, unsigned *rows)
{
    const struct brim_gemm_variant *v = r->group.variant;
    const size_t most = r->source != NULL ? brim_min_size(v->rows, MADE_ROWS) : v->rows;
    const size_t rest = r->rows - done, tiles = (rest + most - 1) / most;

    if (v->unit == 1) {
        *rows = (unsigned)((rest + tiles - 1) / tiles);
    } else {
        const size_t full = rest <= v->rows / 2 ? v->rows / 2 : v->rows;

        *rows = (unsigned)brim_min_size(r->rows < v->rows ? rest : full, r->rows);
    }
    return brim_min_size(done, r->rows - *rows);
}

static void shape(struct run *r, unsigned rows)
{
    const struct brim_gemm_variant *v = r->group.variant;

    if (v->begin != NULL && r->shaped != rows && !(r->shaped == v->rows && 2 * rows == v->rows)) {
        v->begin(rows, r->step);
        r->shaped = rows;
        r->end = v->end;
    }
}

/* The weights that come after those of a block: their first panel. */
static const int8_t *next_weights(const struct run *r, size_t block)
{
    const struct brim_gemm_packed *g = &r->gemm->packed;
    const size_t panel = r->group.panel + r->group.panels, quad = 4 * (size_t)BRIM_GEMM_PANEL;

    if (block + 1 < r->plan->blocks) {
        return g->w + (r->group.panel * g->panel_quads + (block + 1) * r->plan->block) * quad;
    }
    return g->w + (panel < g->panels ? panel * g->panel_quads * quad : 0);
}

/* Of the tile of rows from `first` on; and have those of the next in sight, or of the next panels. */
static void make_rows(const struct run *r, size_t first, struct brim_gemm_tile *t)
{
    const struct brim_gemm_source *source = r->source;
    const size_t end = r->first + first + t->rows, next = end < r->m ? end : 0;

    if (r->group.panel == 0) {
        source->make(source->state, r->first + first, t->rows);
    }
    t->source = source->x + next * source->x_stride;
    t->source_stride = source->x_stride;
}

/* One block of the reduction. The next weights may come while the first tile is made. */
static void run_block(struct run *r, size_t block)
{
    const struct brim_gemm_packed *g = &r->gemm->packed;
    const struct piece *piece = r->piece + r->group.tile * r->plan->blocks + block;
    const size_t panel_bytes = g->panel_quads * 4 * BRIM_GEMM_PANEL;
    const bool is_direct = direct(r), one = r->plan->blocks == 1;
    struct brim_gemm_tile t = {
        .panels = (unsigned)r->group.panels,
        .x_stride = r->in.x_stride,
        .span = piece->span,
        .spans = piece->spans,
        .w = g->w + r->group.panel * panel_bytes + block * r->plan->block * 4 * BRIM_GEMM_PANEL,
        .w_stride = panel_bytes,
        .y_stride = is_direct ? r->y_stride : r->group.panels * BRIM_GEMM_PANEL,
        .add = block > 0,
        .pass = r->rows <= PASSED_ROWS,
        .step = r->step,
        .zero = g->zero,
        .start = g->start != NULL ? g->start + r->group.panel * BRIM_GEMM_PANEL : NULL};

    for (size_t done = 0; done < r->rows;) {
        const size_t first = next_tile(r, done, &t.rows);

        t.next = done == 0 ? next_weights(r, block) : NULL;
        t.x = r->in.x + first * r->in.x_stride;
        t.y = is_direct ? (int32_t *)r->y + first * r->y_stride + r->group.panel * BRIM_GEMM_PANEL
                        : r->totals + (one ? r->odd * r->plan->tile_totals : first * t.y_stride);
        if (r->source != NULL) {
            make_rows(r, first, &t);
        }
        shape(r, t.rows);
        r->group.variant->run(&t);
        if (block + 1 == r->plan->blocks && !(is_direct && finished(r))) {
            finish(r, &t, first);
        }
        done = first + t.rows;
    }
}

/* Fewer at a time cost more than they save, and tile registers would be idle meanwhile. */
static bool makes_in_time(const struct plan *plan, const struct brim_gemm_packed *g)
{
    return plan->blocks == 1 && plan->unit == 1 && plan->tile_rows >= MADE_ROWS &&
           MADE_ROWS * 4 * g->quads <= MADE_BYTES;
}

void brim_gemm_run(const struct brim_gemm *gemm, const struct brim_gemm_rows *rows)
{
    const struct brim_gemm_packed *g = &gemm->packed;
    const struct plan plan = plan_for(gemm, rows->m);
    uint8_t *const scratch = rows->scratch, *const x = scratch + plan.x;
    const bool copy = needs_copy(g, rows, plan.step);
    const bool in_time = !copy && makes_in_time(&plan, g);
    struct run r = {.gemm = gemm,
                    .plan = &plan,
                    .piece = (const struct piece *)(void *)(scratch + plan.pieces),
                    .totals = (int32_t *)(void *)(scratch + plan.totals),
                    .source = in_time ? rows->source : NULL,
                    .m = rows->m,
                    .step = copy ? plan.unit : plan.step,
                    .in = copy ? copied(g, &plan, x) : in_place(g, rows, 0),
                    .y_stride = rows->y_stride};

    make_pieces(gemm, &r.in, &plan, scratch);
    if (rows->source != NULL && !in_time) {
        rows->source->make(rows->source->state, 0, rows->m);
    }
    for (size_t first = 0; first < rows->m; first += plan.rows) {
        r.first = first;
        r.rows = brim_min_size(plan.rows, rows->m - first);
        r.y = (uint8_t *)rows->y + first * rows->y_stride * element_bytes(gemm->epilogue.emit);
        if (copy) {
            copy_rows(g, rows, &plan, first, r.rows, x);
        } else {
            r.in = in_place(g, rows, first);
        }
        for (size_t i = 0; i < g->panels; i += r.group.panels) {
            r.group = make_group(g, chosen(gemm, rows->m), i);
            for (size_t block = 0; block < plan.blocks; block++) {
                run_block(&r, block);
            }
        }
    }
    finish_waiting(&r);
    if (r.end != NULL) {
        r.end();
    }
}
