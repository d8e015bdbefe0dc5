/* dump_values.c - run a model on .npy inputs and write any of its values as .npy files.
 * SPDX-License-Identifier: Apache-2.0
 *
 *     dump_values MODEL FOLDER [-d DATAPATH | -t TARGET] VALUE[,VALUE...] INPUT.npy...
 *
 * writes FOLDER/0.npy, FOLDER/1.npy, ... in the order asked for. Inputs are in the graph's order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "brim/brim.h"
#include "run/plan.h"

#define MOST 256

static const struct {
    enum brim_dtype dtype;
    const char *descr;
} types[] = {{BRIM_FLOAT, "<f4"}, {BRIM_UINT8, "|u1"}, {BRIM_INT8, "|i1"},  {BRIM_UINT16, "<u2"},
             {BRIM_INT16, "<i2"}, {BRIM_INT32, "<i4"}, {BRIM_INT64, "<i8"}, {BRIM_BOOL, "|b1"}};

#define N_TYPES (sizeof types / sizeof types[0])

/* ---- .npy, as numpy.save writes it ---- */

static brim_status read_npy(brim_ctx *ctx, const char *path, struct brim_buffer *b,
                            struct brim_tensor *t)
{
    size_t type = 0;

    BRIM_TRY(brim_file_read(ctx, path, b));
    if (b->size < 10 || memcmp(b->data, "\x93NUMPY\1", 7) != 0) {
        return brim_fail(ctx, BRIM_ERR_FILE, "%s: not a .npy file of version 1", path);
    }
    const size_t head = 10u + b->data[8] + 256u * b->data[9];
    if (head > b->size) {
        return brim_fail(ctx, BRIM_ERR_FILE, "%s: truncated", path);
    }
    b->data[head - 1] = '\0';
    const char *text = (const char *)b->data + 10, *shape = strstr(text, "'shape': (");
    while (type < N_TYPES && strstr(text, types[type].descr) == NULL) {
        type++;
    }
    if (type == N_TYPES || shape == NULL || strstr(text, "'fortran_order': False") == NULL) {
        return brim_fail(ctx, BRIM_ERR_FILE, "%s: unexpected header %s", path, text);
    }
    *t = (struct brim_tensor){.type.dtype = types[type].dtype, .data = b->data + head};
    for (char *p = (char *)b->data + (shape + 10 - (const char *)b->data); *p != ')';) {
        if (*p == ',' || *p == ' ') {
            p++;
        } else if (t->type.shape.rank < BRIM_MAX_RANK) {
            t->type.shape.dim[t->type.shape.rank++] = strtoll(p, &p, 10);
        } else {
            return brim_fail(ctx, BRIM_ERR_FILE, "%s: unexpected shape", path);
        }
    }
    const size_t want =
        (size_t)brim_shape_count(&t->type.shape) * brim_dtype_size(types[type].dtype);
    return want == b->size - head
               ? BRIM_OK
               : brim_fail(ctx, BRIM_ERR_FILE, "%s: wrong number of elements", path);
}

static brim_status write_npy(brim_ctx *ctx, const char *path, const struct brim_tensor *t)
{
    struct brim_buffer b;
    char head[256];
    size_t type = 0, n = 0;

    while (type < N_TYPES && types[type].dtype != t->type.dtype) {
        type++;
    }
    if (type == N_TYPES) {
        return brim_fail(ctx, BRIM_ERR_UNSUPPORTED, "%s: type %s", path,
                         brim_dtype_name(t->type.dtype));
    }
    n += (size_t)snprintf(head, sizeof head, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                          types[type].descr);
    for (int i = 0; i < t->type.shape.rank; i++) {
        n += (size_t)snprintf(head + n, sizeof head - n, "%lld,", (long long)t->type.shape.dim[i]);
    }
    n += (size_t)snprintf(head + n, sizeof head - n, "), }\n");
    const uint8_t magic[] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)n, (uint8_t)(n >> 8)};
    brim_buffer_init(&b, ctx, SIZE_MAX);
    BRIM_TRY(brim_buffer_append(&b, magic, sizeof magic));
    BRIM_TRY(brim_buffer_append(&b, head, n));
    BRIM_TRY(brim_buffer_append(
        &b, t->data, (size_t)brim_shape_count(&t->type.shape) * brim_dtype_size(t->type.dtype)));
    BRIM_TRY(brim_file_write(ctx, path, b.data, b.size));
    brim_buffer_free(&b);
    return BRIM_OK;
}

/* ---- the program ---- */

struct request {
    const char *model, *folder, *datapath, *target;
    char *names;
    char **inputs;
    size_t n_inputs;
};

static brim_status find_values(brim_ctx *ctx, const brim_graph *g, char *names, int32_t *wanted,
                               size_t *n)
{
    for (char *name = strtok(names, ","); name != NULL; name = strtok(NULL, ",")) {
        const int32_t v = brim_graph_find_value(g, name);
        if (v < 0 || *n == MOST) {
            return brim_fail(ctx, BRIM_ERR_ARG, "value '%s': not in the model", name);
        }
        wanted[(*n)++] = v;
    }
    return BRIM_OK;
}

static brim_status dump(brim_ctx *ctx, const struct request *r)
{
    struct brim_buffer file[8];
    struct brim_tensor in[8];
    int32_t wanted[MOST];
    struct brim_plan_params p = {.wanted = wanted};
    brim_datapath dp;
    brim_targets *targets = NULL;
    brim_target plain;
    brim_graph *g;
    struct brim_plan *plan;
    struct brim_workspace *ws;
    char path[4096];

    BRIM_TRY(brim_onnx_load(ctx, r->model, &g));
    BRIM_TRY(find_values(ctx, g, r->names, wanted, &p.n_wanted));
    for (size_t i = 0; i < r->n_inputs; i++) {
        BRIM_TRY(read_npy(ctx, r->inputs[i], &file[i], &in[i]));
    }
    if (r->datapath != NULL) {
        BRIM_TRY(brim_datapath_parse(ctx, r->datapath, &dp));
        p.datapath = &dp;
    }
    if (r->target != NULL) {
        BRIM_TRY(brim_targets_load(ctx, NULL, &targets));
        BRIM_TRY(brim_targets_find(ctx, targets, r->target, &plain, &p.target));
    }
    BRIM_TRY(brim_plan_create(ctx, g, &p, &plan));
    BRIM_TRY(brim_workspace_create(ctx, plan, &ws));
    BRIM_TRY(brim_plan_run(plan, ws, in, r->n_inputs));
    for (size_t i = 0; i < p.n_wanted; i++) {
        snprintf(path, sizeof path, "%s/%zu.npy", r->folder, i);
        BRIM_TRY(write_npy(ctx, path, brim_workspace_value(ws, wanted[i])));
    }
    size_t integer = 0;
    const brim_datapath *unused;
    for (size_t i = 0; i < brim_plan_dots(plan)->count; i++) {
        integer += brim_plan_dot_runs(plan, i, &unused);
    }
    printf("%zu integer layers\n", integer);
    brim_workspace_free(ws);
    brim_plan_free(plan);
    brim_targets_free(targets);
    for (size_t i = 0; i < r->n_inputs; i++) {
        brim_buffer_free(&file[i]);
    }
    brim_graph_free(g);
    return BRIM_OK;
}

int main(int argc, char **argv)
{
    struct request r = {.model = argc > 1 ? argv[1] : NULL, .folder = argc > 2 ? argv[2] : NULL};
    int next = 3;
    brim_ctx *ctx;

    if (argc > 5 && (strcmp(argv[3], "-d") == 0 || strcmp(argv[3], "-t") == 0)) {
        *(argv[3][1] == 'd' ? &r.datapath : &r.target) = argv[4];
        next = 5;
    }
    if (argc <= next || argc - next - 1 > 8) {
        fprintf(
            stderr,
            "usage: dump_values MODEL FOLDER [-d DATAPATH | -t TARGET] VALUE,... INPUT.npy...\n");
        return 2;
    }
    r.names = argv[next];
    r.inputs = argv + next + 1;
    r.n_inputs = (size_t)(argc - next - 1);
    if (brim_ctx_create(NULL, &ctx) != BRIM_OK) {
        return 1;
    }
    const brim_status status = dump(ctx, &r);
    if (status != BRIM_OK) {
        fprintf(stderr, "dump_values: %s\n", brim_error(ctx));
    }
    brim_ctx_free(ctx);
    return status == BRIM_OK ? 0 : 1;
}
