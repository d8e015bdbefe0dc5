/* read_target.c - one target from its JSON object. SPDX-License-Identifier: Apache-2.0
 *
 * Every field is named in a table; what is not there is an error that names it, so that a slip of
 * the pen does not become a target that was not meant.
 */
#include "target/read_target.h"

#include <string.h>

#include "base/ctx.h"

#define MAX_PAD   4096
#define MAX_LANES 256
#define MAX_BLOCK 65536 /* products of all lanes */
#define COUNT(a)  (sizeof(a) / sizeof *(a))

static const char *const fits[] = {"raw", "type", "range", "zero", "wide"};
static const char *const walks[] = {"kernel-channel", "channel-kernel"};
static const char *const orders[] = {"exact", "any"};

/* Where a value stands: "input" of the target, or "min" of "input". */
struct place {
    brim_ctx *ctx;
    const char *outer, *field; /* outer NULL: a field of the target itself */
};

static struct place within(const struct place *at, const char *field)
{
    return (struct place){at->ctx, at->field, field};
}

static brim_status wrong(const struct place *at, const char *expected)
{
    return brim_fail(at->ctx, BRIM_ERR_FILE, "field '%s%s%s': expected %s",
                     at->outer != NULL ? at->outer : "", at->outer != NULL ? "." : "", at->field,
                     expected);
}

/* No field but these. */
static brim_status check_fields(const struct place *at, json_t *object, const char *const *known,
                                size_t n)
{
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value)
    {
        bool found = false;
        for (size_t i = 0; i < n && !found; i++) {
            found = strcmp(key, known[i]) == 0;
        }
        if (!found) {
            return brim_fail(at->ctx, BRIM_ERR_FILE, "field '%s%s%.60s': is not known",
                             at->field != NULL ? at->field : "", at->field != NULL ? "." : "", key);
        }
    }
    return BRIM_OK;
}

/* One of a list of words; absent: the first. */
static brim_status read_word(const struct place *at, json_t *value, const char *const *words,
                             size_t n, const char *expected, unsigned *out)
{
    *out = 0;
    if (value == NULL) {
        return BRIM_OK;
    }
    for (unsigned i = 0; json_is_string(value) && i < n; i++) {
        if (strcmp(json_string_value(value), words[i]) == 0) {
            *out = i;
            return BRIM_OK;
        }
    }
    return wrong(at, expected);
}

static brim_status read_int(const struct place *at, json_t *value, int64_t lo, int64_t hi,
                            const char *expected, int64_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < lo ||
        json_integer_value(value) > hi) {
        return wrong(at, expected);
    }
    *out = json_integer_value(value);
    return BRIM_OK;
}

/* A multiple to fill up to, or a number of lanes; absent: 1. */
static brim_status read_count(const struct place *at, json_t *value, int64_t hi,
                              const char *expected, uint32_t *out)
{
    int64_t v = 1;

    if (value != NULL) {
        BRIM_TRY(read_int(at, value, 1, hi, expected, &v));
    }
    *out = (uint32_t)v;
    return BRIM_OK;
}

static brim_status read_text(const struct place *at, struct brim_arena *arena, json_t *value,
                             const char **out)
{
    if (!json_is_string(value) || json_string_length(value) == 0) {
        return wrong(at, "text");
    }
    *out = brim_arena_strdup(arena, json_string_value(value));
    return *out == NULL ? BRIM_ERR_NOMEM : BRIM_OK;
}

static brim_status read_operand(const struct place *at, json_t *value, int64_t widest,
                                brim_operand *out)
{
    static const char *const known[] = {"min", "max", "fit"};
    const struct place min = within(at, "min"), max = within(at, "max"), fit = within(at, "fit");
    unsigned word;

    if (!json_is_object(value)) {
        return wrong(at, "an object with min and max");
    }
    BRIM_TRY(check_fields(at, value, known, COUNT(known)));
    BRIM_TRY(read_int(&min, json_object_get(value, "min"), -widest, 0,
                      widest > 32768 ? "-65536..0" : "-32768..0", &out->min));
    BRIM_TRY(read_int(&max, json_object_get(value, "max"), 1, widest - 1,
                      widest > 32768 ? "1..65535" : "1..32767", &out->max));
    BRIM_TRY(read_word(&fit, json_object_get(value, "fit"), fits, COUNT(fits),
                       "raw, type, range, zero or wide", &word));
    out->fit = (brim_operand_fit)word;
    return BRIM_OK;
}

static brim_status read_walk(const struct place *at, json_t *value, brim_walk *out)
{
    static const char *const known[] = {"walk", "pad_run", "pad_end", "lanes"};
    const struct place order = within(at, "walk"), run = within(at, "pad_run"),
                       end = within(at, "pad_end"), lanes = within(at, "lanes");
    unsigned word;

    *out = (brim_walk){.pad_run = 1, .pad_end = 1, .lanes = 1};
    if (json_is_string(value) && strcmp(json_string_value(value), "wide") == 0) {
        out->wide = true;
        return BRIM_OK;
    }
    if (!json_is_object(value)) {
        return wrong(at, "\"wide\" or an object with walk, pad_run, pad_end, lanes");
    }
    BRIM_TRY(check_fields(at, value, known, COUNT(known)));
    BRIM_TRY(read_word(&order, json_object_get(value, "walk"), walks, COUNT(walks),
                       "kernel-channel or channel-kernel", &word));
    out->order = (brim_walk_order)word;
    BRIM_TRY(
        read_count(&run, json_object_get(value, "pad_run"), MAX_PAD, "1..4096", &out->pad_run));
    BRIM_TRY(
        read_count(&end, json_object_get(value, "pad_end"), MAX_PAD, "1..4096", &out->pad_end));
    return read_count(&lanes, json_object_get(value, "lanes"), MAX_LANES, "1..256", &out->lanes);
}

static brim_status read_source(const struct place *at, struct brim_arena *arena, json_t *value,
                               brim_target *out)
{
    static const char *const known[] = {"project", "file"};
    const struct place project = within(at, "project"), file = within(at, "file");

    if (!json_is_object(value)) {
        return wrong(at, "an object with project and file");
    }
    BRIM_TRY(check_fields(at, value, known, COUNT(known)));
    BRIM_TRY(read_text(&project, arena, json_object_get(value, "project"), &out->project));
    return read_text(&file, arena, json_object_get(value, "file"), &out->file);
}

/* A list of operators; absent: none. */
static brim_status read_operators(const struct place *at, struct brim_arena *arena, json_t *value,
                                  brim_target *out)
{
    const size_t n = json_array_size(value);
    const char **all = brim_arena_zalloc(arena, n + 1, sizeof *all);

    if (all == NULL) {
        return BRIM_ERR_NOMEM;
    }
    out->wide_operators = all;
    if (value != NULL && !json_is_array(value)) {
        return wrong(at, "a list of operators");
    }
    for (size_t i = 0; i < n; i++) {
        BRIM_TRY(read_text(at, arena, json_array_get(value, i), &all[i]));
        out->n_wide_operators++;
    }
    return BRIM_OK;
}

static brim_status read_datapath(const struct place *at, json_t *value, brim_datapath *out)
{
    if (!json_is_string(value)) {
        return wrong(at, "a datapath");
    }
    const brim_status s = brim_datapath_parse(at->ctx, json_string_value(value), out);
    return s == BRIM_OK ? BRIM_OK : brim_fail_at(at->ctx, BRIM_ERR_FILE, "field '%s'", at->field);
}

/* What no single field can see. */
static brim_status check_whole(brim_ctx *ctx, const brim_target *t)
{
    const brim_walk *const walk[3] = {&t->convolution, &t->depthwise, &t->matrix};

    for (size_t i = 0; i < 3; i++) {
        if (walk[i]->lanes > 1 && t->datapath.n_stages == 1) {
            return brim_fail(ctx, BRIM_ERR_FILE,
                             "field 'lanes': expected 1, the datapath has one register for all");
        }
        if (walk[i]->lanes > 1 && t->datapath.stage[0].tile > MAX_BLOCK / walk[i]->lanes) {
            return brim_fail(ctx, BRIM_ERR_FILE,
                             "field 'lanes': %u registers of %llu products, expected at most %d "
                             "products together",
                             walk[i]->lanes, (unsigned long long)t->datapath.stage[0].tile,
                             MAX_BLOCK);
        }
    }
    for (size_t i = 0; i < t->datapath.n_stages; i++) {
        if (t->datapath.stage[i].mode > BRIM_MODE_SATURATE) {
            return brim_fail(ctx, BRIM_ERR_FILE,
                             "field 'datapath': stage %zu: expected a register that wraps or "
                             "saturates (s)",
                             i + 1);
        }
        if (t->any_order && t->datapath.stage[i].tile > 0 && i > 0) {
            return brim_fail(ctx, BRIM_ERR_FILE,
                             "field 'order': \"any\" is for at most one stage with tiles");
        }
    }
    return BRIM_OK;
}

static brim_status read_fields(struct brim_arena *arena, json_t *o, brim_target *out)
{
    static const char *const known[] = {"name",   "what",           "datapath",    "order",
                                        "input",  "weight",         "convolution", "depthwise",
                                        "matrix", "wide_operators", "outside",     "source"};
    const struct place none = {arena->ctx, NULL, NULL};
#define AT(field) (&(struct place){arena->ctx, NULL, field}), json_object_get(o, field)
    unsigned word;
    int64_t outside = 32;

    BRIM_TRY(check_fields(&none, o, known, COUNT(known)));
    BRIM_TRY(read_text(&(struct place){arena->ctx, NULL, "what"}, arena, json_object_get(o, "what"),
                       &out->what));
    BRIM_TRY(read_datapath(AT("datapath"), &out->datapath));
    if (json_object_get(o, "order") == NULL) {
        return wrong(&(struct place){arena->ctx, NULL, "order"}, "exact or any");
    }
    BRIM_TRY(read_word(AT("order"), orders, COUNT(orders), "exact or any", &word));
    out->any_order = word == 1;
    BRIM_TRY(read_operand(AT("input"), 65536, &out->input));
    BRIM_TRY(read_operand(AT("weight"), 32768, &out->weight));
    BRIM_TRY(read_walk(AT("convolution"), &out->convolution));
    BRIM_TRY(read_walk(AT("depthwise"), &out->depthwise));
    BRIM_TRY(read_walk(AT("matrix"), &out->matrix));
    BRIM_TRY(read_operators(&(struct place){arena->ctx, NULL, "wide_operators"}, arena,
                            json_object_get(o, "wide_operators"), out));
    if (json_object_get(o, "outside") != NULL) {
        BRIM_TRY(read_int(AT("outside"), 2, 64, "2..64", &outside));
    }
#undef AT
    out->outside = (unsigned)outside;
    BRIM_TRY(read_source(&(struct place){arena->ctx, NULL, "source"}, arena,
                         json_object_get(o, "source"), out));
    return check_whole(arena->ctx, out);
}

brim_status brim_target_read(struct brim_arena *arena, json_t *object, brim_target *out)
{
    const struct place name = {arena->ctx, NULL, "name"};

    *out = (brim_target){0};
    if (!json_is_object(object)) {
        return brim_fail(arena->ctx, BRIM_ERR_FILE, "a target is no object");
    }
    BRIM_TRY(read_text(&name, arena, json_object_get(object, "name"), &out->name));
    const brim_status s = read_fields(arena, object, out);
    return s == BRIM_OK ? BRIM_OK : brim_fail_at(arena->ctx, s, "target '%.60s'", out->name);
}
