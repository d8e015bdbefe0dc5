/* load_tflite.c - a TensorFlow Lite file becomes a checked graph. SPDX-License-Identifier: Apache-2.0
 */
#include "brim/tflite.h"

#include "base/file.h"
#include "tflite/builder.h"

enum { OPSET = 13 }; /* the first with a scale for every output */

static brim_status load_graph(struct brim_tflite_model *m, const char *path, struct brim_graph **g)
{
    BRIM_TRY(brim_tflite_read(m));
    BRIM_TRY(brim_graph_create(m->ctx, g));
    (*g)->path = brim_arena_strdup(&(*g)->arena, path);
    if ((*g)->path == NULL) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(brim_graph_set_opset(*g, "", OPSET));
    struct brim_tflite_builder b = {.ctx = m->ctx, .m = m, .g = *g};
    BRIM_TRY(brim_tflite_build_graph(&b));
    if (m->flat.bad) {
        return brim_fail(m->ctx, BRIM_ERR_FILE, "an operator's options point outside of the file");
    }
    BRIM_TRY(brim_graph_sort(*g));
    BRIM_TRY(brim_graph_prune_dead(*g));
    BRIM_TRY(brim_graph_infer(*g));
    return brim_graph_fold_moves(*g);
}

static brim_status load_bytes(brim_ctx *ctx, const void *data, size_t n, const char *path,
                              brim_graph **graph)
{
    struct brim_arena arena;
    struct brim_graph *g = NULL;

    brim_arena_init(&arena, ctx);
    struct brim_tflite_model m = {.ctx = ctx, .arena = &arena, .flat = {.data = data, .size = n}};
    const brim_status status = load_graph(&m, path, &g);
    brim_arena_free(&arena);
    if (status != BRIM_OK) {
        brim_graph_free(g);
        return status;
    }
    *graph = g;
    return BRIM_OK;
}

brim_status brim_tflite_load(brim_ctx *ctx, const char *path, brim_graph **graph)
{
    struct brim_buffer file;

    brim_clear_error(ctx);
    brim_status status = brim_file_read(ctx, path, &file);
    if (status == BRIM_OK) {
        status = load_bytes(ctx, file.data, file.size, path, graph);
        if (status != BRIM_OK) {
            status = brim_fail_at(ctx, status, "%s", path);
        }
    }
    brim_buffer_free(&file);
    return status;
}

brim_status brim_tflite_load_memory(brim_ctx *ctx, const void *data, size_t n, brim_graph **graph)
{
    brim_clear_error(ctx);
    return load_bytes(ctx, data, n, "", graph);
}
