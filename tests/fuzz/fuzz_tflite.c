/* fuzz_tflite.c - any bytes as a TensorFlow Lite file: loading, the dot view, saving.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "brim/onnx.h"
#include "brim/tflite.h"
#include "graph/dot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(brim_ctx *ctx, const brim_graph *g)
{
    struct brim_dots dots;
    char hash[65];

    if (brim_dots_find(ctx, g, &dots) == BRIM_OK) {
        for (size_t i = 0; i < dots.count; i++) {
            if (dots.dot[i].codes && brim_dot_hash(ctx, &dots.dot[i], hash) != BRIM_OK) {
                abort();
            }
        }
        brim_dots_free(&dots);
    }
    brim_clear_error(ctx);
    if (brim_onnx_save(ctx, g, "/dev/null") != BRIM_OK) {
        abort(); /* what loads can be written */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    brim_ctx_params p;
    brim_ctx *ctx = NULL;
    brim_graph *g = NULL;

    brim_ctx_params_init(&p);
    p.max_tensor_bytes = (size_t)1 << 20;
    p.max_file_bytes = (size_t)1 << 20;
    if (brim_ctx_create(&p, &ctx) != BRIM_OK) {
        return 0;
    }
    if (brim_tflite_load_memory(ctx, data, size, &g) == BRIM_OK) {
        use(ctx, g);
        brim_graph_free(g);
    } else if (brim_error(ctx)[0] == '\0') {
        abort(); /* a refusal without a sentence */
    }
    brim_ctx_free(ctx);
    return 0;
}
