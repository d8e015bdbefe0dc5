/* fuzz_targets.c - any bytes as a file of targets; what is accepted judges a small layer.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "certify/prove_target.h"
#include "target/targets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(brim_ctx *ctx, const brim_target *target)
{
    static const int32_t w[2 * 18] = {127, -128, 3, 0, 127, 127, -5, 1, 90};
    const struct brim_dot d = {.name = "layer",
                               .op_type = "QLinearConv",
                               .kind = BRIM_DOT_CONV,
                               .codes = true,
                               .n = 2,
                               .k = 18,
                               .groups = 1,
                               .conv = {.c_in = 2, .c_out = 2, .groups = 1, .kh = 3, .kw = 3},
                               .w = w,
                               .w_dtype = BRIM_INT8,
                               .x_dtype = BRIM_UINT8,
                               .x_max = 255};
    struct brim_arena arena;
    struct brim_layer_walk walk;
    brim_target_layer layer;

    brim_arena_init(&arena, ctx);
    if (brim_layer_walk(&arena, target, &d, &walk) != BRIM_OK ||
        brim_prove_target(&arena, &walk, &layer) != BRIM_OK) {
        abort(); /* a refuted layer has a witness that overflows */
    }
    brim_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    brim_ctx *ctx = NULL;
    brim_targets *targets;

    if (brim_ctx_create(NULL, &ctx) != BRIM_OK) {
        return 0;
    }
    const brim_status s = brim_targets_parse(ctx, data, size, &targets);
    if ((s == BRIM_OK) != (brim_error(ctx)[0] == '\0')) {
        abort();
    }
    for (size_t i = 0; s == BRIM_OK && i < brim_targets_count(targets); i++) {
        judge(ctx, brim_targets_at(targets, i));
    }
    brim_targets_free(targets);
    brim_ctx_free(ctx);
    return 0;
}
