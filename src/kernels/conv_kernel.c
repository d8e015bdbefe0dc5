/* conv_kernel.c - an image, padded, as the rows of a product. SPDX-License-Identifier: Apache-2.0
 *
 * The image is copied into a plane [height][width][channel] with its padding written out. In it a
 * patch is kh runs of kw * channels bytes, the same distance apart for every output:
 *
 *     plane row r        . . [ kw*c ] . .
 *     plane row r+1      . . [ kw*c ] . .      segments of one row of gemm.h's product
 *     plane row r+2      . . [ kw*c ] . .
 *
 * FLAT    stride 1: outputs are products of rows one pixel apart, through whole rows of the plane.
 *         What the product gives for the kw - 1 positions between the rows of outputs is dropped.
 *         A 1x1 kernel without padding needs no plane, nothing is dropped, and all images are one
 *         product.
 * GATHER  other strides, dilations along rows, groups, and runs that the product's variant would
 *         copy anyway (tile registers want whole units of 64 bytes) when there are outputs enough
 *         to pay for it: patches are copied, a block of them at a time that stays in the
 *         first-level cache, the last unit of each filled up with weights of 0.
 * DEPTH   as many groups as channels and outputs: depthwise.h on the plane.
 */
#include "kernels/conv.h"

#include <stdio.h>
#include <string.h>

#include "base/cpu.h"
#include "base/intops.h"
#include "kernels/choice.h"
#include "kernels/depthwise.h"
#include "kernels/depthwise_variant.h"
#include "kernels/gemm.h"
#include "kernels/gemm_variant.h"

#define PATCH_BYTES ((size_t)24 << 10)
#define SLACK       ((size_t)64) /* behind what a product reads */
#define SEGMENTS    64           /* kernel rows whose places fit on the stack */

/* Outputs from which on tile registers pay for gathered patches: a product of n outputs takes a
 * patch n / 128 cycles a byte on VNNI, a quarter of that in tiles, and the copy about a sixth of a
 * cycle with what goes with it. (ResNet-8, of whose layers of stride 1 only those of 16 and 32
 * outputs are concerned, is as fast with 16 as with 64, and 1.4 times as fast as with all gathered.) */
#define TILE_OUTPUTS ((size_t)64)
#define MANY         64 /* rows, for which a product's variant is asked */

enum way { FLAT, GATHER, DEPTH };

struct brim_conv_kernel {
    struct brim_conv_kernel_params p; /* w is not kept */
    enum way way;
    struct brim_depthwise *depthwise;
    struct brim_gemm **gemm;  /* [groups] */
    size_t segments, segment; /* of a row in the plane: number, bytes */
    size_t patch;             /* bytes of a gathered row */
};

/* ---- creation ---- */

static bool contiguous(const struct brim_conv_kernel_params *p)
{
    return p->groups == 1 && (p->dilation_w == 1 || p->kw == 1) && p->kh <= SEGMENTS;
}

static enum way choose_way(const struct brim_conv_kernel_params *p)
{
    if (p->groups > 1 && p->groups == p->channels && p->groups == p->n) {
        return DEPTH;
    }
    return contiguous(p) && p->stride_h == 1 && p->stride_w == 1 ? FLAT : GATHER;
}

static brim_status create_depthwise(brim_ctx *ctx, const struct brim_conv_kernel_params *p,
                                    struct brim_depthwise **depthwise)
{
    const struct brim_depthwise_params d = {.w = p->w,
                                            .channels = p->channels,
                                            .kh = p->kh,
                                            .kw = p->kw,
                                            .stride_h = p->stride_h,
                                            .stride_w = p->stride_w,
                                            .dilation_h = p->dilation_h,
                                            .dilation_w = p->dilation_w,
                                            .x_min = p->x_min,
                                            .x_max = p->x_max,
                                            .epilogue = p->epilogue};

    return brim_depthwise_create(ctx, &d, depthwise);
}

/* The epilogue of channels from `first` on. */
static struct brim_epilogue epilogue_from(const struct brim_epilogue *e, size_t first)
{
    struct brim_epilogue part = *e;

    part.offset = e->offset != NULL ? e->offset + first : NULL;
    part.multiplier = e->multiplier != NULL ? e->multiplier + first : NULL;
    part.bias = e->bias != NULL ? e->bias + first : NULL;
    return part;
}

/* The products of rows of `k` codes, of which the layer has fewer: the others' weights are 0. */
static brim_status create_gemms(brim_ctx *ctx, const struct brim_conv_kernel_params *p, size_t k,
                                uint32_t avoid, struct brim_conv_kernel *c)
{
    const size_t n = p->n / p->groups, own = p->kh * p->kw * (p->channels / p->groups);
    int32_t *w = brim_zalloc(ctx, n * k + 1, sizeof *w);
    brim_status status = w == NULL ? BRIM_ERR_NOMEM : BRIM_OK;

    for (size_t g = 0; status == BRIM_OK && g < p->groups; g++) {
        for (size_t i = 0; i < n; i++) {
            memcpy(w + i * k, p->w + (g * n + i) * own, own * sizeof *w);
        }
        const struct brim_gemm_params gemm = {.w = w,
                                              .n = n,
                                              .k = k,
                                              .segments = c->way == FLAT ? c->segments : 1,
                                              .x_min = p->x_min,
                                              .x_max = p->x_max,
                                              .epilogue = epilogue_from(&p->epilogue, g * n),
                                              .avoid = avoid};
        brim_gemm_free(ctx, c->gemm[g]);
        c->gemm[g] = NULL;
        status = brim_gemm_create(ctx, &gemm, &c->gemm[g]);
    }
    brim_free(ctx, w);
    return status;
}

static size_t round_up(size_t v, size_t unit)
{
    return (v + unit - 1) / unit * unit;
}

static brim_status create_products(brim_ctx *ctx, const struct brim_conv_kernel_params *p,
                                   struct brim_conv_kernel *c)
{
    const bool few = p->n < TILE_OUTPUTS;
    const size_t k = p->kh * p->kw * (p->channels / p->groups);

    c->segments = contiguous(p) ? p->kh : 1;
    c->segment = k / c->segments;
    c->patch = round_up(k, 4);
    c->gemm = brim_zalloc(ctx, p->groups, sizeof(struct brim_gemm *));
    if (c->gemm == NULL) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(create_gemms(ctx, p, c->way == FLAT ? k : c->patch, 0, c));
    const size_t unit = 4 * (size_t)brim_gemm_chosen(c->gemm[0], MANY)->unit;
    if (unit == 4 || (c->way == FLAT && brim_gemm_fits(c->gemm[0], MANY))) {
        return BRIM_OK;
    }
    if (c->way == FLAT && few) {
        return create_gemms(ctx, p, k, BRIM_ISA_AMX, c);
    }
    c->way = GATHER;
    c->patch = round_up(k, unit);
    return create_gemms(ctx, p, c->patch, 0, c);
}

brim_status brim_conv_kernel_create(brim_ctx *ctx, const struct brim_conv_kernel_params *p,
                                    struct brim_conv_kernel **kernel)
{
    struct brim_conv_kernel *c = brim_zalloc(ctx, 1, sizeof *c);

    if (c == NULL) {
        return BRIM_ERR_NOMEM;
    }
    c->p = *p;
    c->p.w = NULL;
    c->way = choose_way(p);
    const brim_status status =
        c->way == DEPTH ? create_depthwise(ctx, p, &c->depthwise) : create_products(ctx, p, c);
    if (status != BRIM_OK) {
        brim_conv_kernel_free(ctx, c);
        return status;
    }
    *kernel = c;
    return BRIM_OK;
}

void brim_conv_kernel_free(brim_ctx *ctx, struct brim_conv_kernel *kernel)
{
    if (kernel == NULL) {
        return;
    }
    for (size_t g = 0; kernel->gemm != NULL && g < kernel->p.groups; g++) {
        brim_gemm_free(ctx, kernel->gemm[g]);
    }
    brim_free(ctx, kernel->gemm);
    brim_depthwise_free(ctx, kernel->depthwise);
    brim_free(ctx, kernel);
}

/* ---- the plane and the scratch ---- */

/* How a run goes about it. Offsets are into scratch. */
struct layout {
    size_t h, w;       /* of the plane */
    bool padded;       /* there is a plane; else the image is one */
    size_t element;    /* bytes of y */
    bool whole;        /* all images are one product of the pixels where they lie */
    size_t rows;       /* of one product */
    size_t work, more; /* the kernels' own scratch, gathered patches or outputs that are dropped */
    size_t bytes;
};

static size_t reach(size_t out, size_t stride, size_t kernel, size_t dilation)
{
    return (out - 1) * stride + (kernel - 1) * dilation + 1;
}

static bool add_part(size_t *bytes, size_t count, size_t size, size_t *at)
{
    size_t part;

    *at = *bytes;
    return brim_mul_size(count, size, &part) && brim_add_size(part, SLACK + 63, &part) &&
           brim_add_size(*bytes, part & ~(size_t)63, bytes);
}

static bool lay_out(const struct brim_conv_kernel *c, const struct brim_conv_images *v,
                    struct layout *l)
{
    const struct brim_conv_kernel_params *p = &c->p;
    size_t pixels, ignored;

    *l = (struct layout){.element = p->epilogue.emit == BRIM_EMIT_CODES ? 1 : 4};
    l->h = brim_max_size(reach(v->h_out, p->stride_h, p->kh, p->dilation_h), v->top + v->h);
    l->w = brim_max_size(reach(v->w_out, p->stride_w, p->kw, p->dilation_w), v->left + v->w);
    l->padded = v->top + v->left > 0 || l->h > v->h || l->w > v->w;
    if (l->padded && (!brim_mul_size(l->h, l->w, &pixels) ||
                      !add_part(&l->bytes, pixels, p->channels, &ignored))) {
        return false;
    }
    if (c->way == DEPTH) {
        return add_part(&l->bytes, brim_depthwise_scratch(c->depthwise), 1, &l->work);
    }
    l->whole = c->way == FLAT && !l->padded && l->h == v->h_out && l->w == v->w_out;
    if (l->whole) {
        return brim_mul_size(v->h_out * v->w_out, v->count, &l->rows) &&
               add_part(&l->bytes, brim_gemm_scratch(c->gemm[0], l->rows), 1, &l->work);
    }
    l->rows = c->way == FLAT ? (v->h_out - 1) * l->w + v->w_out
                             : brim_min_size(v->h_out * v->w_out,
                                             brim_max_size(PATCH_BYTES / c->patch / 16 * 16, 16));
    const size_t last = v->h_out * v->w_out % l->rows;
    size_t work = 0;
    for (size_t g = 0; g < p->groups; g++) {
        work = brim_max_size(work, brim_gemm_scratch(c->gemm[g], l->rows));
        work = brim_max_size(work, c->way == FLAT ? 0 : brim_gemm_scratch(c->gemm[g], last));
    }
    return add_part(&l->bytes, work, 1, &l->work) &&
           add_part(&l->bytes, l->rows, c->way == FLAT ? p->n * l->element : c->patch, &l->more);
}

bool brim_conv_kernel_scratch(const struct brim_conv_kernel *kernel,
                              const struct brim_conv_images *images, size_t *bytes)
{
    struct layout l;

    if (images->count * images->h_out * images->w_out == 0) {
        *bytes = 0;
        return true;
    }
    if (!lay_out(kernel, images, &l)) {
        return false;
    }
    *bytes = l.bytes;
    return true;
}

/* The image into the plane; `first`: the padding, too. What lies behind one row of the image and in
 * front of the next is one run. */
static void load_plane(const struct brim_conv_kernel *c, const struct brim_conv_images *v,
                       const struct layout *l, const uint8_t *x, bool first, uint8_t *plane)
{
    const size_t pixel = c->p.channels, row = v->w * pixel, gap = l->w * pixel - row;
    uint8_t *to = plane + (v->top * l->w + v->left) * pixel, *const end =
                                                                 plane + l->h * l->w * pixel;

    if (first) {
        memset(plane, c->p.x_zero, (size_t)((v->h > 0 ? to : end) - plane));
    }
    for (size_t r = 0; r < v->h; r++, to += row + gap) {
        memcpy(to, x + r * row, row);
        if (first && r + 1 < v->h) {
            memset(to + row, c->p.x_zero, gap);
        }
    }
    if (first && v->h > 0) {
        to -= gap;
        memset(to, c->p.x_zero, (size_t)(end - to));
    }
}

/* ---- the three ways, for one image ---- */

struct image {
    const struct brim_conv_images *v;
    const struct layout *l;
    const uint8_t *plane; /* or the image itself */
    uint8_t *y, *scratch;
};

static void run_depth(const struct brim_conv_kernel *c, const struct image *m)
{
    const struct brim_depthwise_plane plane = {.x = m->plane,
                                               .row = m->l->w * c->p.channels,
                                               .h_out = m->v->h_out,
                                               .w_out = m->v->w_out,
                                               .y = m->y,
                                               .scratch = m->scratch + m->l->work};

    brim_depthwise_run(c->depthwise, &plane);
}

static void run_flat(const struct brim_conv_kernel *c, const struct image *m, size_t *segment)
{
    const bool keep_all = m->l->w == m->v->w_out;
    const size_t row = m->v->w_out * c->p.n * m->l->element;

    for (size_t i = 0; i < c->segments; i++) {
        segment[i] = i * c->p.dilation_h * m->l->w * c->p.channels;
    }
    uint8_t *const y = keep_all ? m->y : m->scratch + m->l->more;
    const struct brim_gemm_rows rows = {.m = m->l->rows,
                                        .x = m->plane,
                                        .x_stride = c->p.channels,
                                        .segment = segment,
                                        .slack = m->l->padded,
                                        .y = y,
                                        .y_stride = c->p.n,
                                        .scratch = m->scratch + m->l->work};
    brim_gemm_run(c->gemm[0], &rows);
    for (size_t r = 0; !keep_all && r < m->v->h_out; r++) {
        memcpy(m->y + r * row, y + r * m->l->w * c->p.n * m->l->element, row);
    }
}

/* `runs` runs of n bytes, `step` apart, one behind another; compilers do best with a size they
 * know. */
static inline void copy_runs(uint8_t *to, const uint8_t *from, size_t runs, size_t step, size_t n)
{
    if (n == 4) {
        for (size_t i = 0; i < runs; i++) {
            memcpy(to + 4 * i, from + i * step, 4);
        }
    } else if (n % 16 == 0) {
        for (size_t i = 0; i < runs; i++, from += step) {
            for (size_t j = 0; j < n; j += 16, to += 16) {
                memcpy(to, from + j, 16);
            }
        }
    } else {
        for (size_t i = 0; i < runs; i++) {
            memcpy(to + i * n, from + i * step, n);
        }
    }
}

/* Patch of the output at (r, p), group g. */
static void gather(const struct brim_conv_kernel *c, const struct image *m, size_t r, size_t p,
                   size_t g, uint8_t *to)
{
    const struct brim_conv_kernel_params *q = &c->p;
    const size_t line = m->l->w * q->channels, group = q->channels / q->groups;
    const uint8_t *from =
        m->plane + r * q->stride_h * line + p * q->stride_w * q->channels + g * group;

    if (contiguous(q)) {
        copy_runs(to, from, q->kh, q->dilation_h * line, c->segment);
        return;
    }
    for (size_t i = 0; i < q->kh; i++, to += q->kw * group) {
        copy_runs(to, from + i * q->dilation_h * line, q->kw, q->dilation_w * q->channels, group);
    }
}

static void run_gathered(const struct brim_conv_kernel *c, const struct image *m)
{
    const size_t positions = m->v->h_out * m->v->w_out, n = c->p.n / c->p.groups;
    uint8_t *const patches = m->scratch + m->l->more;

    for (size_t first = 0; first < positions; first += m->l->rows) {
        const size_t count = brim_min_size(m->l->rows, positions - first);
        for (size_t g = 0; g < c->p.groups; g++) {
            size_t r = first / m->v->w_out, p = first % m->v->w_out;
            for (size_t i = 0; i < count; i++) {
                gather(c, m, r, p, g, patches + i * c->patch);
                p = p + 1 < m->v->w_out ? p + 1 : 0;
                r += p == 0;
            }
            const struct brim_gemm_rows rows = {.m = count,
                                                .x = patches,
                                                .x_stride = c->patch,
                                                .y =
                                                    m->y + (first * c->p.n + g * n) * m->l->element,
                                                .y_stride = c->p.n,
                                                .scratch = m->scratch + m->l->work};
            brim_gemm_run(c->gemm[g], &rows);
        }
    }
}

static void run_image(const struct brim_conv_kernel *c, const struct image *m)
{
    size_t segment[SEGMENTS];

    if (c->way == DEPTH) {
        run_depth(c, m);
    } else if (c->way == FLAT) {
        run_flat(c, m, segment);
    } else {
        run_gathered(c, m);
    }
}

void brim_conv_kernel_run(const struct brim_conv_kernel *kernel,
                          const struct brim_conv_images *images, const uint8_t *x, void *y,
                          void *scratch)
{
    const struct brim_conv_kernel *c = kernel;
    struct layout l;

    if (images->count * images->h_out * images->w_out == 0 || !lay_out(c, images, &l)) {
        return;
    }
    const size_t x_bytes = images->h * images->w * c->p.channels;
    const size_t y_bytes = images->h_out * images->w_out * c->p.n * l.element;
    struct image m = {.v = images, .l = &l, .plane = x, .y = y, .scratch = scratch};
    if (l.whole) {
        run_image(c, &m);
        return;
    }
    if (l.padded) {
        m.plane = scratch;
    }
    for (size_t i = 0; i < images->count; i++, m.y += y_bytes) {
        if (l.padded) {
            load_plane(c, images, &l, x + i * x_bytes, i == 0, scratch);
        } else {
            m.plane = x + i * x_bytes;
        }
        run_image(c, &m);
    }
}

void brim_conv_kernel_choice(const struct brim_conv_kernel *kernel, struct brim_choice *choice)
{
    struct brim_choice product;

    if (kernel->way == DEPTH) {
        choice->family = "depthwise";
        choice->variant = brim_depthwise_chosen(kernel->depthwise)->name;
        (void)snprintf(choice->why, sizeof choice->why, "every channel by itself");
        return;
    }
    brim_gemm_choice(kernel->gemm[0], MANY, &product);
    choice->family = "conv";
    choice->variant = product.variant;
    (void)snprintf(choice->why, sizeof choice->why, "%s: %.170s",
                   kernel->way == FLAT ? "read where it lies" : "patches, a block at a time",
                   product.why);
}
