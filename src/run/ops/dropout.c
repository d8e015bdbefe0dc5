/* dropout.c - Dropout: a copy, or what training made of it. SPDX-License-Identifier: Apache-2.0
 *
 * In inference, and with ratio 0, the output is the input and the mask all true. In training each
 * element survives with probability 1-ratio and is scaled by 1/(1-ratio). The draws are those of
 * ONNX's reference for the attribute `seed`: MT19937 (Matsumoto, Nishimura 1998), initialised with
 * the seed by Knuth's recurrence, two outputs per uniform of 53 bits.
 */
#include <string.h>

#include "run/ops/cast.h"
#include "run/ops/table.h"

enum { STATE = 624, LAG = 397 };

struct twister {
    uint32_t s[STATE];
    size_t at;
};

static void seed_twister(struct twister *t, uint32_t seed)
{
    t->s[0] = seed;
    for (uint32_t i = 1; i < STATE; i++) {
        t->s[i] = 1812433253u * (t->s[i - 1] ^ t->s[i - 1] >> 30) + i;
    }
    t->at = STATE;
}

static uint32_t draw(struct twister *t)
{
    if (t->at == STATE) {
        for (size_t i = 0; i < STATE; i++) {
            const uint32_t y = (t->s[i] & 0x80000000u) | (t->s[(i + 1) % STATE] & 0x7fffffffu);
            t->s[i] = t->s[(i + LAG) % STATE] ^ y >> 1 ^ ((y & 1u) != 0 ? 0x9908b0dfu : 0);
        }
        t->at = 0;
    }
    uint32_t y = t->s[t->at++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

static double uniform(struct twister *t)
{
    const double high = draw(t) >> 5, low = draw(t) >> 6;

    return (high * 0x1p26 + low) * 0x1p-53;
}

/* The ratio that applies: 0 outside training. */
static double active_ratio(const struct brim_op_call *c)
{
    float ratio = 0.5F;

    if (c->n_in < 3 || c->in[2] == NULL || *(const uint8_t *)c->in[2]->data == 0) {
        return 0;
    }
    if (c->in[1] != NULL) {
        brim_cast(c->in[1]->type.dtype, c->in[1]->data, BRIM_FLOAT, &ratio, 1);
    }
    return (double)ratio;
}

static void drop(struct brim_op_call *c, double ratio, uint8_t *mask)
{
    const enum brim_dtype t = c->in[0]->type.dtype;
    const size_t n = (size_t)brim_shape_count(&c->in[0]->type.shape), size = brim_dtype_size(t);
    struct twister twister;

    seed_twister(&twister, (uint32_t)(uint64_t)brim_node_int(c->node, "seed", 0));
    for (size_t i = 0; i < n; i++) {
        double x;
        const bool kept = uniform(&twister) >= ratio;
        brim_cast(t, (const char *)c->in[0]->data + i * size, BRIM_DOUBLE, &x, 1);
        x = kept ? x / (1 - ratio) : 0;
        brim_cast(BRIM_DOUBLE, &x, t, (char *)c->out[0].data + i * size, 1);
        mask[i] = kept;
    }
}

static brim_status run_dropout(struct brim_op_call *c)
{
    const size_t n = (size_t)brim_shape_count(&c->in[0]->type.shape);
    const double ratio = active_ratio(c);
    uint8_t *mask = brim_arena_alloc(c->scratch, n + 1, sizeof *mask);

    if (mask == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (!(ratio >= 0 && ratio < 1)) {
        return brim_op_fail(c, BRIM_ERR_ARG, "the ratio is %g, expected at least 0 and less than 1",
                            ratio);
    }
    if (ratio > 0) {
        drop(c, ratio, mask);
    } else if (n > 0) {
        memset(mask, 1, n);
        memcpy(c->out[0].data, c->in[0]->data, n * brim_dtype_size(c->in[0]->type.dtype));
    }
    if (c->n_out > 1 && c->out[1].data != NULL) {
        brim_cast(BRIM_BOOL, mask, c->out[1].type.dtype, c->out[1].data, n);
    }
    return BRIM_OK;
}

const struct brim_op_kernel brim_kernels_dropout[] = {{"", "Dropout", run_dropout, NULL}};

const size_t brim_kernels_dropout_count =
    sizeof brim_kernels_dropout / sizeof brim_kernels_dropout[0];
