/* idx.c - MNIST's IDX arrays. SPDX-License-Identifier: Apache-2.0
 *
 *     0 0 type rank, rank x uint32 dimension, elements; everything big-endian
 */
#include "data/readers.h"

brim_status brim_idx_parse(brim_ctx *ctx, const uint8_t *p, size_t n, struct brim_array *a)
{
    static const struct {
        uint8_t code;
        enum brim_element element;
    } known[] = {
        {0x08, BRIM_ELEMENT_U8},  {0x09, BRIM_ELEMENT_I8},  {0x0b, BRIM_ELEMENT_I16},
        {0x0c, BRIM_ELEMENT_I32}, {0x0d, BRIM_ELEMENT_F32}, {0x0e, BRIM_ELEMENT_F64},
    };
    const size_t n_known = sizeof known / sizeof known[0];
    size_t t = 0;

    if (n < 4 || p[0] != 0 || p[1] != 0) {
        return brim_fail(ctx, BRIM_ERR_FILE, "%s: not an idx file", a->name);
    }
    while (t < n_known && known[t].code != p[2]) {
        t++;
    }
    if (t == n_known) {
        return brim_fail(ctx, BRIM_ERR_FILE, "%s: idx element type 0x%02x is unknown", a->name,
                         p[2]);
    }
    a->element = known[t].element;
    a->big_endian = true;
    a->rank = p[3];
    if (a->rank < 1 || a->rank > BRIM_ARRAY_MAX_RANK) {
        return brim_fail(ctx, BRIM_ERR_FILE, "%s: array has rank %d, expected 1 to %d", a->name,
                         a->rank, BRIM_ARRAY_MAX_RANK);
    }
    const size_t start = 4 + 4 * (size_t)a->rank;
    if (n < start) {
        return brim_fail(ctx, BRIM_ERR_FILE, "%s: truncated idx header", a->name);
    }
    for (int i = 0; i < a->rank; i++) {
        const uint8_t *d = p + 4 + 4 * (size_t)i;
        a->dim[i] = (int64_t)d[0] << 24 | (int64_t)d[1] << 16 | (int64_t)d[2] << 8 | d[3];
    }
    a->bytes = p + start;
    return brim_array_check(ctx, a, n - start);
}
