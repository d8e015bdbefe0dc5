/* targets.c - the built-in targets and a file of the user's. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "target/read_target.h"
#include "target/targets.h"

/* share/brim/targets.json, byte for byte (src/target/sources.cmake). */
extern const unsigned char brim_targets_json[];
extern const size_t brim_targets_json_size;

struct brim_targets {
    struct brim_arena arena;
    size_t count;
    brim_target *target;
};

static const brim_target *find_named(const struct brim_targets *t, const char *name)
{
    for (size_t i = 0; i < t->count; i++) {
        if (strcmp(t->target[i].name, name) == 0) {
            return &t->target[i];
        }
    }
    return NULL;
}

static brim_status add_all(struct brim_targets *t, const json_t *root)
{
    brim_ctx *ctx = t->arena.ctx;
    const json_t *list = json_object_get(root, "targets");
    const json_t *format = json_object_get(root, "brim_targets");

    if (!json_is_integer(format) || json_integer_value(format) != 1) {
        return brim_fail(ctx, BRIM_ERR_FILE, "field 'brim_targets': expected 1, the format");
    }
    if (!json_is_array(list)) {
        return brim_fail(ctx, BRIM_ERR_FILE, "field 'targets': expected a list");
    }
    brim_target *all =
        brim_arena_zalloc(&t->arena, t->count + json_array_size(list) + 1, sizeof *all);
    if (all == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (t->count > 0) {
        memcpy(all, t->target, t->count * sizeof *all);
    }
    t->target = all;
    for (size_t i = 0; i < json_array_size(list); i++) {
        brim_target *next = &all[t->count];
        BRIM_TRY(brim_target_read(&t->arena, json_array_get(list, i), next));
        if (find_named(t, next->name) != NULL) {
            return brim_fail(ctx, BRIM_ERR_FILE, "target '%.60s': field 'name': is taken",
                             next->name);
        }
        t->count++;
    }
    return BRIM_OK;
}

static brim_status add_text(struct brim_targets *t, const void *text, size_t n)
{
    json_error_t error;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);

    if (root == NULL) {
        return brim_fail(t->arena.ctx, BRIM_ERR_FILE, "line %d: %s", error.line, error.text);
    }
    const brim_status s = add_all(t, root);
    json_decref(root);
    return s;
}

brim_status brim_targets_parse(brim_ctx *ctx, const void *text, size_t n, brim_targets **targets)
{
    *targets = NULL;
    brim_clear_error(ctx);
    struct brim_targets *t = brim_zalloc(ctx, 1, sizeof *t);
    if (t == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim_arena_init(&t->arena, ctx);
    brim_status s = add_text(t, brim_targets_json, brim_targets_json_size);
    if (s == BRIM_OK && text != NULL) {
        s = add_text(t, text, n);
    }
    if (s != BRIM_OK) {
        brim_targets_free(t);
        return s;
    }
    *targets = t;
    return BRIM_OK;
}

brim_status brim_targets_load(brim_ctx *ctx, const char *path, brim_targets **targets)
{
    struct brim_buffer text;

    if (path == NULL) {
        return brim_targets_parse(ctx, NULL, 0, targets);
    }
    *targets = NULL;
    brim_clear_error(ctx);
    brim_status s = brim_file_read(ctx, path, &text);
    if (s == BRIM_OK) {
        s = brim_targets_parse(ctx, text.size > 0 ? text.data : (const void *)"", text.size,
                               targets);
        if (s != BRIM_OK) {
            s = brim_fail_at(ctx, s, "%s", path);
        }
    }
    brim_buffer_free(&text);
    return s;
}

void brim_targets_free(brim_targets *targets)
{
    if (targets != NULL) {
        brim_ctx *ctx = targets->arena.ctx;
        brim_arena_free(&targets->arena);
        brim_free(ctx, targets);
    }
}

size_t brim_targets_count(const brim_targets *targets)
{
    return targets->count;
}

const brim_target *brim_targets_at(const brim_targets *targets, size_t i)
{
    return &targets->target[i];
}

/* accN: one register of N bits, whatever meets. The table's acc16, with another width. */
static bool plain_width(const struct brim_targets *t, const char *name, brim_target *plain)
{
    const brim_target *acc16 = find_named(t, "acc16");
    unsigned width = 0;

    if (acc16 == NULL || strncmp(name, "acc", 3) != 0 || name[3] == '0' || strlen(name) > 5) {
        return false;
    }
    for (const char *c = name + 3; *c != '\0'; c++) {
        if (*c < '0' || *c > '9') {
            return false;
        }
        width = 10 * width + (unsigned)(*c - '0');
    }
    if (width < 2 || width > 64) {
        return false;
    }
    *plain = *acc16;
    plain->name = name;
    plain->what = "one register, any order";
    plain->datapath.stage[0].width = (uint8_t)width;
    plain->outside = width > plain->outside ? width : plain->outside;
    return true;
}

static brim_status fail_unknown(brim_ctx *ctx, const struct brim_targets *t, const char *name)
{
    char known[400];
    size_t at = 0;

    known[0] = '\0';
    for (size_t i = 0; i < t->count && at < sizeof known; i++) {
        const int n =
            snprintf(known + at, sizeof known - at, "%s%s", i > 0 ? ", " : "", t->target[i].name);
        at += n > 0 ? (size_t)n : 0;
    }
    return brim_fail(ctx, BRIM_ERR_ARG, "target '%.60s' is not known, expected one of %s", name,
                     known);
}

brim_status brim_targets_find(brim_ctx *ctx, const brim_targets *targets, const char *name,
                              brim_target *plain, const brim_target **target)
{
    *target = find_named(targets, name);
    if (*target == NULL && plain_width(targets, name, plain)) {
        *target = plain;
    }
    return *target != NULL ? BRIM_OK : fail_unknown(ctx, targets, name);
}
