/* fuzz_idx.c - any bytes as an idx file. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "fuzz/fuzz_array.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    brim_ctx *ctx = fuzz_array_ctx();
    struct brim_array x = {.name = "x"};

    if (ctx != NULL) {
        fuzz_array_use(ctx, brim_idx_parse(ctx, data, size, &x), &x);
        brim_ctx_free(ctx);
    }
    return 0;
}
