/* param.c - see param.h. SPDX-License-Identifier: Apache-2.0 */
#include "train/param.h"

#include <string.h>

void brim_params_init(struct brim_params *p, brim_ctx *ctx)
{
    *p = (struct brim_params){0};
    brim_arena_init(&p->arena, ctx);
}

void brim_params_free(struct brim_params *p)
{
    brim_arena_free(&p->arena);
    p->param = NULL;
    p->count = p->capacity = 0;
}

/* Room for one more; the array that was too small stays in the arena. */
static bool reserve(struct brim_params *p)
{
    if (p->count < p->capacity) {
        return true;
    }
    const size_t capacity = p->capacity == 0 ? 32 : 2 * p->capacity;
    struct brim_param **param = brim_arena_alloc(&p->arena, capacity, sizeof(void *));
    if (param == NULL) {
        return false;
    }
    if (p->count > 0) {
        memcpy(param, p->param, p->count * sizeof(void *));
    }
    p->param = param;
    p->capacity = capacity;
    return true;
}

struct brim_param *brim_params_add(struct brim_params *p, const char *name, const char *part,
                                   size_t count)
{
    struct brim_param *added = brim_arena_zalloc(&p->arena, 1, sizeof *added);

    if (added == NULL || !reserve(p)) {
        return NULL;
    }
    *added = (struct brim_param){
        .name = brim_arena_printf(&p->arena, "%s.%s", name, part),
        .count = count,
        .value = brim_arena_zalloc(&p->arena, count, sizeof(float)),
        .grad = brim_arena_zalloc(&p->arena, count, sizeof(float)),
        .learned = true,
        .rate = 1,
    };
    if (added->name == NULL || added->value == NULL || added->grad == NULL) {
        return NULL;
    }
    p->param[p->count++] = added;
    return added;
}

void brim_params_zero_grad(struct brim_params *p)
{
    for (size_t i = 0; i < p->count; i++) {
        memset(p->param[i]->grad, 0, p->param[i]->count * sizeof(float));
    }
}
