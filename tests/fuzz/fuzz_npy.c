/* fuzz_npy.c - any bytes as an npy and as an npz file. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "fuzz/fuzz_array.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    brim_ctx *ctx = fuzz_array_ctx();
    struct brim_array x = {.name = "x"}, y = {.name = "y"};
    struct brim_arena arena;

    if (ctx == NULL) {
        return 0;
    }
    brim_arena_init(&arena, ctx);
    fuzz_array_use(ctx, brim_npy_parse(ctx, data, size, &x), &x);
    x = (struct brim_array){.name = "x"};
    const brim_status status = brim_npz_parse(&arena, data, size, &x, &y);
    if (status == BRIM_OK && y.rank > 0) {
        fuzz_array_use(ctx, status, &y);
    }
    fuzz_array_use(ctx, status, &x);
    brim_arena_free(&arena);
    brim_ctx_free(ctx);
    return 0;
}
