/* vector_quantize.c - brim's own operator VectorQuantize, and what it computes. SPDX-License-Identifier:
 * Apache-2.0
 *
 * y = VectorQuantize(x, scale, low, high, top, split): quantized and dequantized with a scale for
 * every vector of channels (axis 1), found at run time. In files it is a function of ONNX operators
 * with the same bits (onnx/function.c).
 */
#include "base/clones.h"
#include "base/intops.h"
#include "run/ops/table.h"
#include "run/vector.h"

#define LANES    64 /* positions side by side */
#define CHANNELS 16 /* of a block of codes */

/* One vector: n channels, `lanes` positions of each. */
struct vector {
    const float *x;
    float *out;
    size_t n, lanes, plane;
    float lo, hi, scale, top; /* codes; grid's scale; greatest integer scale, 0 = `given` */
    float given;
};

/* The integer scale of every position. */
BRIM_CLONES
static void find_scales(const struct vector *v, float *scale)
{
    const float unit = v->hi * v->scale;

    for (size_t l = 0; l < v->lanes; l++) {
        scale[l] = 0.0f;
    }
    for (size_t c = 0; c < v->n; c++) {
        for (size_t l = 0; l < v->lanes; l++) {
            const float x = v->x[c * v->plane + l], a = x < 0.0f ? -x : x;
            scale[l] = a > scale[l] ? a : scale[l];
        }
    }
    for (size_t l = 0; l < v->lanes; l++) {
        float t = scale[l] / unit;
        t = t < v->top ? t : v->top;
        float up = (float)(int32_t)t;
        up += up < t ? 1.0f : 0.0f; /* ceil */
        up = up > 1.0f ? up : 1.0f;
        scale[l] = scale[l] > 0.0f ? up : 0.0f;
    }
}

/* The code that a float stands for at a scale; any where that is 0, as all of the vector are then. */
static inline float code_of(const struct vector *v, float x, float scale)
{
    float q = x / (scale > 0.0f ? scale : 1.0f);

    q = q > v->lo ? q : v->lo;
    q = q < v->hi ? q : v->hi;
    return (float)brim_rint_small(q);
}

BRIM_CLONES
static void quantize_vector(const struct vector *v, const float *scale, enum brim_vector_out what)
{
    for (size_t c = 0; c < v->n; c++) {
        const float *x = v->x + c * v->plane;
        float *out = v->out + c * v->plane;
        for (size_t l = 0; l < v->lanes; l++) {
            const float s = scale[l] * v->scale;
            const float code = code_of(v, x[l], s);
            out[l] = code * (what == BRIM_VECTOR_REAL ? s : scale[l]);
        }
    }
}

/* The codes of a vector's channels, `lanes` of each channel in a row. */
BRIM_CLONES
static void find_codes(const struct vector *v, const float *scale, uint8_t *code)
{
    for (size_t c = 0; c < v->n; c++) {
        const float *x = v->x + c * v->plane;
        for (size_t l = 0; l < v->lanes; l++) {
            code[c * LANES + l] = (uint8_t)(int32_t)code_of(v, x[l], scale[l] * v->scale);
        }
    }
}

/* n channels of a vector: several runs of at most LANES, so that a buffer holds them. */
static void write_codes(const struct vector *v, const float *scale, size_t position, size_t channel,
                        uint8_t *to)
{
    uint8_t code[CHANNELS * LANES];
    struct vector some = *v;

    for (size_t first = 0; first < v->n; first += CHANNELS) {
        some.n = brim_min_size(CHANNELS, v->n - first);
        some.x = v->x + first * v->plane;
        find_codes(&some, scale, code);
        for (size_t l = 0; l < v->lanes; l++) {
            for (size_t c = 0; c < some.n; c++) {
                to[l * position + (first + c) * channel] = code[c * LANES + l];
            }
        }
    }
}

static struct vector of_grid(const struct brim_grid *grid, size_t stride)
{
    return (struct vector){.plane = stride,
                           .lo = (float)grid->lo,
                           .hi = (float)grid->hi,
                           .scale = grid->scale,
                           .top = (float)((1u << grid->scale_bits) - 1u)};
}

void brim_vector_codes(const struct brim_grid *grid, size_t channels, size_t positions,
                       const float *x, size_t stride, const struct brim_vector_codes *to)
{
    struct vector v = of_grid(grid, stride);
    float scale[LANES];

    for (size_t c = 0, g = 0; c < channels; c += grid->vector, g++) {
        v.n = brim_min_size(grid->vector, channels - c);
        for (size_t p = 0; p < positions; p += LANES) {
            v.lanes = brim_min_size(LANES, positions - p);
            v.x = x + c * stride + p;
            find_scales(&v, scale);
            for (size_t l = 0; l < v.lanes; l++) {
                to->scale[(p + l) * to->vectors + g] = (uint16_t)scale[l];
            }
            write_codes(&v, scale, to->position, to->channel,
                        to->code + p * to->position + c * to->channel);
        }
    }
}

void brim_vector_quantize(const struct brim_grid *grid, size_t channels, size_t plane,
                          const float *x, enum brim_vector_out what, float *out)
{
    struct vector v = of_grid(grid, plane);
    float scale[LANES];

    for (size_t c = 0, g = 0; c < channels; c += grid->vector, g++) {
        v.n = brim_min_size(grid->vector, channels - c);
        for (size_t p = 0; p < plane; p += LANES) {
            v.lanes = brim_min_size(LANES, plane - p);
            v.x = x + c * plane + p;
            v.out = out + c * plane + p;
            if (grid->code == NULL) {
                find_scales(&v, scale);
            }
            for (size_t l = 0; l < v.lanes && grid->code != NULL; l++) {
                scale[l] = (float)grid->code[g];
            }
            quantize_vector(&v, scale, what);
        }
    }
}

static brim_status run_vector_quantize(struct brim_op_call *c)
{
    const struct brim_shape *s = &c->in[0]->type.shape;
    struct brim_grid grid;
    size_t plane = 1;

    if (!brim_vector_grid(c->in, &grid)) {
        return brim_op_fail(c, BRIM_ERR_UNSUPPORTED, "its grid is not constant");
    }
    for (int i = 2; i < s->rank; i++) {
        plane *= (size_t)s->dim[i];
    }
    const size_t channels = (size_t)s->dim[1], step = channels * plane;
    for (size_t i = 0; i < (size_t)s->dim[0]; i++) {
        brim_vector_quantize(&grid, channels, plane, (const float *)c->in[0]->data + i * step,
                             BRIM_VECTOR_REAL, (float *)c->out[0].data + i * step);
    }
    return BRIM_OK;
}

const struct brim_op_kernel brim_kernels_vector[] = {
    {BRIM_DOMAIN, "VectorQuantize", run_vector_quantize, NULL},
};
const size_t brim_kernels_vector_count = sizeof brim_kernels_vector / sizeof brim_kernels_vector[0];
