/* fuzz_model.h - any bytes as a model: loaded and used, or refused with a sentence.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_TESTS_FUZZ_MODEL_H
#define BRIM_TESTS_FUZZ_MODEL_H

#include <stdlib.h>

#include "brim/onnx.h"
#include "graph/dot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef brim_status fuzz_load(brim_ctx *ctx, const void *data, size_t n, brim_graph **graph);
typedef void fuzz_use(brim_ctx *ctx, const brim_graph *g);

/* The dot view of what has loaded. */
static inline void fuzz_dots(brim_ctx *ctx, const brim_graph *g)
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
}

static inline int fuzz_model(const uint8_t *data, size_t size, fuzz_load *load, fuzz_use *use)
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
    if (load(ctx, data, size, &g) == BRIM_OK) {
        fuzz_dots(ctx, g);
        use(ctx, g);
        brim_graph_free(g);
    } else if (brim_error(ctx)[0] == '\0') {
        abort(); /* a refusal without a sentence */
    }
    brim_ctx_free(ctx);
    return 0;
}

#endif
