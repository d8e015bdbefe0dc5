/* dot.h - the dot-layer view of a graph: what the stages work on. SPDX-License-Identifier:
 * Apache-2.0
 *
 * A dot layer is a Conv, Gemm or MatMul with constant weights. It is FLOAT as found in a float
 * model, or CODES when weights and input are integers: QDQ (DequantizeLinear on both sides), or the
 * integer operators QLinearConv, QLinearMatMul, QGemm, ConvInteger, MatMulInteger.
 *
 * K order (everywhere in brim): kernel row, kernel column, input channel; channel fastest. A group
 * of a grouped convolution is a dot product of its own: n counts all outputs, k one group's
 * reduction; output c belongs to group c / (n / groups).
 */
#ifndef BRIM_GRAPH_DOT_H
#define BRIM_GRAPH_DOT_H

#include "brim/datapath.h"
#include "graph/graph.h"

/* How a float value becomes integer codes: code = clip(round_half_even(v / scale) + zero, lo, hi).
 */
struct brim_grid {
    enum brim_dtype dtype; /* UINT8, INT8, UINT16, INT16: the type that stores the codes */
    int64_t lo, hi;        /* codes in use: [0, 2^bits-1] or [-2^(bits-1), 2^(bits-1)-1] */
    int64_t zero;          /* code of 0.0 */
    float scale;
    /* Vectors of neighbouring channels with scales of their own: an integer times `scale`. */
    size_t vector;        /* channels of one, 0 = none; zero is 0 then */
    unsigned scale_bits;  /* of the integers, 3..10 */
    const uint16_t *code; /* [ceil(channels / vector)]; NULL: found at run time from each vector */
};

#define BRIM_DOMAIN "brim" /* of brim's own operators */
/* The grid of a node VectorQuantize: its inputs behind x, which are constants, as the tensors
 * `value`[6]. False when they are missing or make no grid. */
bool brim_vector_grid(const struct brim_tensor *const *value, struct brim_grid *grid);

enum brim_dot_kind { BRIM_DOT_CONV, BRIM_DOT_MATMUL }; /* Gemm and MatMul are both MATMUL */

struct brim_conv_geometry { /* 1-D convolutions have height 1 */
    int64_t c_in, c_out, groups;
    int64_t kh, kw, stride_h, stride_w, dilation_h, dilation_w;
    int64_t pad_top, pad_left, pad_bottom,
        pad_right; /* SAME_* are resolved at run time: see auto_pad */
    int auto_pad;  /* 0 = the pads above, 1 = SAME_UPPER, 2 = SAME_LOWER */
    int rank;      /* spatial rank, 1 or 2 */
};

struct brim_dot {
    size_t node; /* the Conv/Gemm/MatMul/QLinear... node */
    const char *name, *op_type;
    enum brim_dot_kind kind;
    bool codes;                     /* integer weights and input */
    struct brim_conv_geometry conv; /* CONV only */
    size_t n, k, groups;

    /* FLOAT: weights [n][k] in K order. */
    const float *w_f32;

    /* CODES: weight codes [n][k] in K order, weight zero point already subtracted. */
    const int32_t *w;
    const int32_t *w_zero;            /* [n] the zero points; NULL: all 0 */
    enum brim_dtype w_dtype, x_dtype; /* the types that store the codes */
    size_t vector;        /* products that share a scale of their own; 0 = one scale per output */
    const float *w_scale; /* [n]; of single-level vectors [n][ceil(k/vector)] */
    const uint32_t
        *factor;          /* [n][ceil(k/vector)] what each vector's sum is multiplied by, two-level
                               vectors (docs/semantics.md section 11); NULL: single-level or none */
    int64_t x_min, x_max; /* input codes, zero point not subtracted; always has 0, x_zero */
    int64_t x_zero;       /* input zero point */
    bool x_zero_any;      /* found at run time, any of x_min..x_max: the value x_zero_value, of one
                             element, and x_zero is 0 */
    int32_t x_zero_value;
    float x_scale;
    const uint16_t
        *w_code; /* [n][ceil(k/vector)] integer scales of the weights' vectors, two-level;
                               NULL: single-level or none */
    unsigned product_shift; /* low bits that products of two integer scales lose, rounded half up;
                               w_scale is 2^product_shift times what the file says */
    const int32_t *bias_q;  /* [n] integer bias in units of x_scale*w_scale, or NULL */
    const float *bias;      /* [n] float bias when it is not integer, or NULL */
    bool has_datapath;      /* declared in the model's metadata */
    brim_datapath datapath;

    const uint16_t *x_code; /* [c_in or k] integer input scale of every channel; NULL = 1 */
    unsigned x_scale_bits;  /* > 0: those are found at run time, 0..2^bits-1, and x is float; the
                               factors above then are the greatest that there can be */

    int32_t x; /* value: float input (FLOAT), or the integer tensor that feeds it (CODES) */
    int32_t y; /* value: the layer's output (float, or the integer output of an integer operator) */
    int32_t weight; /* value: the constant weight tensor in the file's layout (float or integer) */
    int32_t bias_value; /* value of the bias, -1 if none */
};

static inline size_t brim_dot_vectors(const struct brim_dot *d)
{
    return d->vector == 0 ? 0 : (d->k + d->vector - 1) / d->vector;
}

/* The factors of output c as the datapath takes them; NULL when there are none. */
static inline const brim_factors *brim_dot_factors(const struct brim_dot *d, size_t c,
                                                   brim_factors *factors)
{
    if (d->factor == NULL) {
        return NULL;
    }
    *factors = (brim_factors){d->vector, d->factor + c * brim_dot_vectors(d)};
    return factors;
}

#define BRIM_MAX_PRODUCT_SHIFT 20
/* rho of docs/semantics.md section 11: what two integer scales come to. */
static inline uint32_t brim_dot_product(uint32_t w_code, uint32_t x_code, unsigned product_shift)
{
    return brim_scale_product(w_code, x_code, 32, 32 - product_shift);
}

/* The greatest integer scale that inputs of vector g of output n can have on this grid: 1 where they
 * have none of their own. d: n, groups, kind, geometry and vector. */
uint32_t brim_grid_vector_scale(const struct brim_grid *grid, const struct brim_dot *d, size_t n,
                                size_t g);

struct brim_dots {
    struct brim_arena arena;
    size_t count;
    struct brim_dot *dot; /* in node order */
};

/* Every dot layer of the graph. Weights are copied in K order into the arena of `dots`. */
BRIM_NODISCARD brim_status brim_dots_find(brim_ctx *ctx, const struct brim_graph *g,
                                          struct brim_dots *dots);
void brim_dots_free(struct brim_dots *dots);

/* SHA-256 (hex) of a CODES layer's statement: the ASCII line
 *   "brim-dot-1 n k groups x_min x_max x_zero\n"
 * followed by the codes [n][k] in K order, each as a little-endian int16. With vectors the line is
 *   "brim-dot-2 n k groups x_min x_max x_zero vector\n"
 * and behind the codes come the factors [n][ceil(k/vector)], each as a little-endian uint32 (none
 * when single-level). A zero point found at run time is the word "any" in the line. brim-check computes the same. */
BRIM_NODISCARD brim_status brim_dot_hash(brim_ctx *ctx, const struct brim_dot *d, char hex[65]);

/* Metadata: key "brim.layer.<node name>" holds one JSON object
 *   {"datapath":"16/64,32","k":576,"n":64,"x_min":0,"x_max":255,"need":[16,20],"codes":"<sha256>"},
 * and "product_shift" where it is not 0. */

#endif
