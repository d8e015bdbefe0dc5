/* fuzz_array.h - what the fuzz targets of array files share. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_TESTS_FUZZ_FUZZ_ARRAY_H
#define BRIM_TESTS_FUZZ_FUZZ_ARRAY_H

#include <stdlib.h>

#include "data/readers.h"

static inline brim_ctx *fuzz_array_ctx(void)
{
    brim_ctx_params p;
    brim_ctx *ctx = NULL;

    brim_ctx_params_init(&p);
    p.max_tensor_bytes = (size_t)1 << 20;
    return brim_ctx_create(&p, &ctx) == BRIM_OK ? ctx : NULL;
}

/* Read every element of what was accepted; a refusal must have said why. */
static inline void fuzz_array_use(brim_ctx *ctx, brim_status status, const struct brim_array *a)
{
    double v[64];
    int64_t label;

    if (status != BRIM_OK && brim_error(ctx)[0] == '\0') {
        abort();
    }
    brim_clear_error(ctx);
    if (status != BRIM_OK) {
        return;
    }
    const size_t size = brim_array_sample_size(a), element = brim_element_size(a->element);
    for (size_t i = 0; i < (size_t)a->dim[0]; i++) {
        const uint8_t *p = a->bytes + i * a->stride;
        (void)brim_array_integer(a, i, &label);
        for (size_t at = 0; at < size; at += 64) {
            brim_array_convert(a, p + at * element, size - at < 64 ? size - at : 64, v);
        }
    }
}

#endif
