/* cifar.c - CIFAR-10 binary records. SPDX-License-Identifier: Apache-2.0 */
#include "data/readers.h"

#define RECORD_BYTES 3073u /* label, then 1024 red, 1024 green, 1024 blue */
#define CLASSES      10u

brim_status brim_cifar_parse(brim_ctx *ctx, const uint8_t *p, size_t n, struct brim_array *x,
                             struct brim_array *y)
{
    if (n == 0 || n % RECORD_BYTES != 0) {
        return brim_fail(ctx, BRIM_ERR_FILE,
                         "%s: %zu bytes, expected a positive multiple of %u (CIFAR-10 records)",
                         x->name, n, RECORD_BYTES);
    }
    for (size_t i = 0; i < n / RECORD_BYTES; i++) {
        if (p[i * RECORD_BYTES] >= CLASSES) {
            return brim_fail(ctx, BRIM_ERR_FILE,
                             "%s: record %zu has label %u, expected 0 to %u (not CIFAR-10)",
                             x->name, i, p[i * RECORD_BYTES], CLASSES - 1);
        }
    }
    x->element = y->element = BRIM_ELEMENT_U8;
    x->big_endian = y->big_endian = false;
    x->rank = 4;
    x->dim[0] = y->dim[0] = (int64_t)(n / RECORD_BYTES);
    x->dim[1] = 3;
    x->dim[2] = x->dim[3] = 32;
    y->rank = 1;
    x->bytes = p + 1;
    y->bytes = p;
    x->stride = y->stride = RECORD_BYTES;
    return BRIM_OK;
}
