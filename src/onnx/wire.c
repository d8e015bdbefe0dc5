/* wire.c - protobuf-c with an arena for an allocator. SPDX-License-Identifier: Apache-2.0 */
#include "onnx/wire.h"

struct wire_memory {
    struct brim_arena *arena;
    bool failed;
};

static void *wire_alloc(void *user, size_t n)
{
    struct wire_memory *m = user;
    void *p = brim_arena_alloc(m->arena, n > 0 ? n : 1, 1);

    m->failed = m->failed || p == NULL;
    return p;
}

static void wire_free(void *user, void *p)
{
    (void)user; /* the arena frees everything at once */
    (void)p;
}

brim_status brim_wire_unpack(struct brim_arena *arena, const void *data, size_t n, pb_model **model)
{
    struct wire_memory memory = {arena, false};
    ProtobufCAllocator allocator = {wire_alloc, wire_free, &memory};

    pb_model *m = brim__onnx__model__unpack(&allocator, n, data);
    if (m == NULL) {
        return memory.failed ? BRIM_ERR_NOMEM
                             : brim_fail(arena->ctx, BRIM_ERR_FILE,
                                         "is not an ONNX file, or is truncated or damaged");
    }
    *model = m;
    return BRIM_OK;
}

brim_status brim_wire_pack(struct brim_arena *arena, const pb_model *model, uint8_t **data,
                           size_t *n)
{
    const size_t size = brim__onnx__model__get_packed_size(model);
    uint8_t *out = brim_arena_alloc(arena, size + 1, 1);

    if (out == NULL) {
        return BRIM_ERR_NOMEM;
    }
    *n = brim__onnx__model__pack(model, out);
    *data = out;
    return BRIM_OK;
}
