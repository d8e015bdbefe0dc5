/* spec.c - "kind:files?key=value&..." taken apart. SPDX-License-Identifier: Apache-2.0
 *
 * The options begin at the last '?'. A ':' in a path is taken literally where the kind has one
 * path; idx and npy split images from labels at it.
 */
#include "data/spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static brim_status bad(const struct brim_arena *a, const char *key, const char *value,
                       const char *expected)
{
    return brim_fail(a->ctx, BRIM_ERR_ARG, "data: %s=%s is not valid, expected %s", key, value,
                     expected);
}

/* A decimal number that fits a double and ends at `end` (one of its characters, or the end). */
static bool parse_real(const char *s, const char *end, double *v, const char **stop)
{
    char *e;

    if (*s == '\0' || strchr("+-.0123456789", *s) == NULL) {
        return false;
    }
    *v = strtod(s, &e);
    *stop = e;
    return e != s && (*e == '\0' || strchr(end, *e) != NULL) && *v >= -1e300 && *v <= 1e300;
}

static bool parse_count(const char *s, uint64_t max, uint64_t *v)
{
    char *e;

    if (*s < '0' || *s > '9') {
        return false;
    }
    errno = 0;
    *v = strtoull(s, &e, 10);
    return errno == 0 && *e == '\0' && *v <= max;
}

/* "0.5,0.4,0.3" */
static brim_status parse_list(struct brim_arena *a, const char *key, const char *value,
                              double **out, size_t *n)
{
    size_t count = 1;

    for (const char *p = value; *p != '\0'; p++) {
        count += *p == ',';
    }
    double *v = brim_arena_alloc(a, count, sizeof *v);
    if (v == NULL) {
        return BRIM_ERR_NOMEM;
    }
    const char *p = value;
    for (size_t i = 0; i < count; i++) {
        if (!parse_real(p, ",", &v[i], &p)) {
            return bad(a, key, value, "numbers separated by commas");
        }
        p += *p == ',';
    }
    *out = v;
    *n = count;
    return BRIM_OK;
}

/* "3x32x32" or "3,32,32" */
static brim_status parse_shape(const struct brim_arena *a, const char *value,
                               struct brim_data_spec *spec)
{
    static const char *const expected = "1 to 7 positive sizes such as 3x32x32";
    const char *p = value;
    char *e;

    for (spec->rank = 0; spec->rank < BRIM_SAMPLE_MAX_RANK;) {
        errno = 0;
        const long long v = *p >= '0' && *p <= '9' ? strtoll(p, &e, 10) : 0;
        if (v <= 0 || errno != 0 || v > INT32_MAX) {
            return bad(a, "shape", value, expected);
        }
        spec->dim[spec->rank++] = v;
        if (*e == '\0') {
            return BRIM_OK;
        }
        if (*e != 'x' && *e != ',') {
            return bad(a, "shape", value, expected);
        }
        p = e + 1;
    }
    return bad(a, "shape", value, expected);
}

static brim_status set_count(const struct brim_arena *a, const char *key, const char *value,
                             uint64_t min, size_t *out)
{
    uint64_t v;

    if (!parse_count(value, INT64_MAX, &v) || v < min) {
        return bad(a, key, value, min > 0 ? "a positive integer" : "a non-negative integer");
    }
    *out = (size_t)v;
    return BRIM_OK;
}

static brim_status set_real(const struct brim_arena *a, const char *key, const char *value,
                            double *out)
{
    const char *stop;

    return parse_real(value, "", out, &stop) ? BRIM_OK : bad(a, key, value, "a finite number");
}

static brim_status set_layout(const struct brim_arena *a, const char *value,
                              struct brim_data_spec *spec)
{
    spec->nhwc = strcmp(value, "nhwc") == 0;
    return spec->nhwc || strcmp(value, "nchw") == 0 ? BRIM_OK
                                                    : bad(a, "layout", value, "nchw or nhwc");
}

static brim_status set_std(struct brim_arena *a, const char *value, struct brim_data_spec *spec)
{
    BRIM_TRY(parse_list(a, "std", value, &spec->std, &spec->n_std));
    for (size_t i = 0; i < spec->n_std; i++) {
        if (spec->std[i] <= 0.0) {
            return bad(a, "std", value, "positive numbers");
        }
    }
    return BRIM_OK;
}

static brim_status set_option(struct brim_arena *a, const char *key, const char *value,
                              struct brim_data_spec *spec)
{
    if (strcmp(key, "offset") == 0) {
        return set_count(a, key, value, 0, &spec->offset);
    }
    if (strcmp(key, "limit") == 0) {
        return set_count(a, key, value, 1, &spec->limit);
    }
    if (strcmp(key, "scale") == 0) {
        BRIM_TRY(set_real(a, key, value, &spec->scale));
        return spec->scale != 0.0 ? BRIM_OK : bad(a, key, value, "a number other than 0");
    }
    if (strcmp(key, "zero") == 0) {
        return set_real(a, key, value, &spec->zero);
    }
    if (strcmp(key, "mean") == 0) {
        return parse_list(a, key, value, &spec->mean, &spec->n_mean);
    }
    if (strcmp(key, "std") == 0) {
        return set_std(a, value, spec);
    }
    if (strcmp(key, "layout") == 0) {
        return set_layout(a, value, spec);
    }
    if (strcmp(key, "label") == 0 && spec->kind == BRIM_DATA_CSV) {
        spec->label = value;
        return BRIM_OK;
    }
    if (strcmp(key, "shape") == 0) {
        return parse_shape(a, value, spec);
    }
    if (strcmp(key, "seed") == 0 && spec->n_paths == 0) {
        return parse_count(value, UINT64_MAX, &spec->seed)
                   ? BRIM_OK
                   : bad(a, key, value, "a non-negative integer");
    }
    return brim_fail(a->ctx, BRIM_ERR_ARG,
                     "data: unknown option '%s', expected offset, limit, scale, zero, mean, std, "
                     "layout, shape, label (csv) or seed (synth)",
                     key);
}

/* `text` is a private copy: separators become terminators. */
static brim_status parse_options(struct brim_arena *a, char *text, struct brim_data_spec *spec)
{
    while (text != NULL && *text != '\0') {
        char *next = strchr(text, '&');
        if (next != NULL) {
            *next++ = '\0';
        }
        char *value = strchr(text, '=');
        if (value == NULL) {
            return brim_fail(a->ctx, BRIM_ERR_ARG,
                             "data: option '%s' has no value, expected %s=...", text, text);
        }
        *value++ = '\0';
        BRIM_TRY(set_option(a, text, value, spec));
        text = next;
    }
    return BRIM_OK;
}

static brim_status split_paths(struct brim_arena *a, char *text, char separator, size_t max,
                               struct brim_data_spec *spec)
{
    size_t n = 1;

    for (const char *p = text; *p != '\0'; p++) {
        n += *p == separator;
    }
    if (n > max) {
        return brim_fail(a->ctx, BRIM_ERR_ARG,
                         "data: '%s' has %zu paths, expected images and perhaps labels, separated "
                         "by one ':'",
                         text, n);
    }
    spec->path = brim_arena_alloc(a, n, sizeof *spec->path);
    if (spec->path == NULL) {
        return BRIM_ERR_NOMEM;
    }
    spec->n_paths = n;
    for (size_t i = 0; i < n; i++) {
        char *end = strchr(text, separator);
        spec->path[i] = text;
        if (end != NULL && n > 1) {
            *end = '\0';
            text = end + 1;
        }
        if (spec->path[i][0] == '\0') {
            return brim_fail(a->ctx, BRIM_ERR_ARG, "data: a path is empty");
        }
    }
    return BRIM_OK;
}

static brim_status parse_kind(struct brim_arena *a, const char *kind, char *rest,
                              struct brim_data_spec *spec)
{
    static const struct {
        const char *name;
        enum brim_data_kind kind;
        char separator;
        size_t max_paths;
    } known[] = {
        {"cifar", BRIM_DATA_CIFAR, ',', SIZE_MAX},
        {"idx", BRIM_DATA_IDX, ':', 2},
        {"npy", BRIM_DATA_NPY, ':', 2},
        {"npz", BRIM_DATA_NPZ, '\0', 1},
        {"csv", BRIM_DATA_CSV, '\0', 1},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(kind, known[i].name) == 0) {
            spec->kind = known[i].kind;
            return split_paths(a, rest, known[i].separator, known[i].max_paths, spec);
        }
    }
    if (strcmp(kind, "synth") != 0) {
        return brim_fail(a->ctx, BRIM_ERR_ARG,
                         "data: unknown kind '%s', expected cifar, idx, npy, npz, csv or synth",
                         kind);
    }
    if (strcmp(rest, "glyphs") != 0 && strcmp(rest, "noise") != 0) {
        return brim_fail(a->ctx, BRIM_ERR_ARG,
                         "data: unknown set 'synth:%s', expected glyphs or noise", rest);
    }
    spec->kind = rest[0] == 'g' ? BRIM_DATA_GLYPHS : BRIM_DATA_NOISE;
    return BRIM_OK;
}

brim_status brim_data_spec_parse(struct brim_arena *arena, const char *text,
                                 struct brim_data_spec *spec)
{
    *spec = (struct brim_data_spec){.scale = 1.0, .seed = 1};
    char *kind = brim_arena_strdup(arena, text);
    if (kind == NULL) {
        return BRIM_ERR_NOMEM;
    }
    char *options = strrchr(kind, '?');
    if (options != NULL) {
        *options++ = '\0';
    }
    char *rest = strchr(kind, ':');
    if (rest == NULL) {
        return brim_fail(arena->ctx, BRIM_ERR_ARG,
                         "data: '%s' names no kind, expected such as npz:FILE or synth:glyphs",
                         kind);
    }
    *rest++ = '\0';
    BRIM_TRY(parse_kind(arena, kind, rest, spec));
    BRIM_TRY(parse_options(arena, options, spec));
    if (spec->kind == BRIM_DATA_NOISE && spec->rank == 0) {
        return brim_fail(arena->ctx, BRIM_ERR_ARG,
                         "data: synth:noise needs the shape of a sample, such as ?shape=1x28x28");
    }
    return BRIM_OK;
}
