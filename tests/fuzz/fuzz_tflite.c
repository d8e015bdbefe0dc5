/* fuzz_tflite.c - any bytes as a TensorFlow Lite file: loading, the dot view, saving.
 * SPDX-License-Identifier: Apache-2.0 */
#include "brim/tflite.h"

#include "fuzz/fuzz_model.h"

static void save(brim_ctx *ctx, const brim_graph *g)
{
    if (brim_onnx_save(ctx, g, "/dev/null") != BRIM_OK) {
        abort(); /* what loads can be written */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_model(data, size, brim_tflite_load_memory, save);
}
