/* fuzz_onnx.c - any bytes as an ONNX file: loading, the dot view, cloning, saving.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz_model.h"

/* What loads can be copied, folded and written. */
static void copy_and_save(brim_ctx *ctx, const brim_graph *g)
{
    brim_graph *copy = NULL;

    if (brim_graph_clone(g, &copy) != BRIM_OK) {
        abort();
    }
    if (brim_graph_fold_batchnorm(copy) == BRIM_OK && brim_graph_fold_bias(copy) == BRIM_OK &&
        brim_graph_prune_dead(copy) == BRIM_OK &&
        brim_onnx_save(ctx, copy, "/dev/null") != BRIM_OK) {
        abort();
    }
    brim_graph_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_model(data, size, brim_onnx_load_memory, copy_and_save);
}
