/* external.c - tensors kept in a file beside the model. SPDX-License-Identifier: Apache-2.0
 *
 * The location is a path inside the model's folder; one that leaves it, by "..", by an absolute
 * path or by a symbolic link, is refused.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "onnx/tensor.h"

struct location {
    const char *path;
    size_t offset, length; /* length SIZE_MAX when the file does not say */
};

static bool parse_size(const char *text, size_t *out)
{
    size_t v = 0;

    if (text[0] == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || !brim_mul_size(v, 10, &v) ||
            !brim_add_size(v, (size_t)(*text - '0'), &v)) {
            return false;
        }
    }
    *out = v;
    return true;
}

static brim_status parse_location(const struct brim_onnx_source *s, const pb_tensor *t,
                                  struct location *l)
{
    *l = (struct location){"", 0, SIZE_MAX};
    for (size_t i = 0; i < t->n_external_data; i++) {
        const char *key = t->external_data[i]->key, *value = t->external_data[i]->value;
        bool good = key != NULL && value != NULL;
        if (good && strcmp(key, "location") == 0) {
            l->path = value;
        } else if (good && strcmp(key, "offset") == 0) {
            good = parse_size(value, &l->offset);
        } else if (good && strcmp(key, "length") == 0) {
            good = parse_size(value, &l->length);
        }
        if (!good) {
            return brim_fail(s->arena->ctx, BRIM_ERR_FILE,
                             "%s: external data entry '%s' is '%s', expected a whole number",
                             s->where, key == NULL ? "" : key, value == NULL ? "" : value);
        }
    }
    if (l->path[0] == '\0') {
        return brim_fail(s->arena->ctx, BRIM_ERR_FILE, "%s: external data has no location",
                         s->where);
    }
    return BRIM_OK;
}

static bool has_parent_step(const char *path)
{
    while (*path != '\0') {
        const size_t n = strcspn(path, "/\\");
        if (n == 2 && path[0] == '.' && path[1] == '.') {
            return true;
        }
        path += n;
        path += *path != '\0';
    }
    return false;
}

/* The real path of the data file, when it lies inside the folder. */
static brim_status resolve(const struct brim_onnx_source *s, const char *path, char **full)
{
    char folder[PATH_MAX], file[PATH_MAX];
    brim_ctx *ctx = s->arena->ctx;

    if (path[0] == '/' || path[0] == '\\' || has_parent_step(path)) {
        return brim_fail(ctx, BRIM_ERR_FILE, "%s: external data '%s' is outside the model's folder",
                         s->where, path);
    }
    const char *joined = brim_arena_printf(s->scratch, "%s/%s", s->folder, path);
    if (joined == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (realpath(s->folder, folder) == NULL || realpath(joined, file) == NULL) {
        return brim_fail(ctx, BRIM_ERR_IO, "%s: external data '%s': %s", s->where, path,
                         strerror(errno));
    }
    const size_t n = strcmp(folder, "/") == 0 ? 0 : strlen(folder);
    if (strncmp(folder, file, n) != 0 || file[n] != '/') {
        return brim_fail(ctx, BRIM_ERR_FILE, "%s: external data '%s' is outside the model's folder",
                         s->where, path);
    }
    *full = brim_arena_strdup(s->scratch, file);
    return *full == NULL ? BRIM_ERR_NOMEM : BRIM_OK;
}

static brim_status read_segment(const struct brim_onnx_source *s, const struct location *l, FILE *f,
                                size_t want, const uint8_t **bytes)
{
    brim_ctx *ctx = s->arena->ctx;
    size_t end = 0;
    const bool sized = fseeko(f, 0, SEEK_END) == 0;
    const off_t size = sized ? ftello(f) : -1;

    if (size < 0) {
        return brim_fail(ctx, BRIM_ERR_IO, "%s: external data '%s': %s", s->where, l->path,
                         strerror(errno));
    }
    if (!brim_add_size(l->offset, want, &end) || end > (size_t)size) {
        return brim_fail(ctx, BRIM_ERR_FILE,
                         "%s: external data '%s' has %lld bytes, expected %zu from offset %zu",
                         s->where, l->path, (long long)size, want, l->offset);
    }
    uint8_t *data = brim_arena_alloc(s->scratch, want + 1, 1);
    if (data == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (fseeko(f, (off_t)l->offset, SEEK_SET) != 0 || fread(data, 1, want, f) != want) {
        return brim_fail(ctx, BRIM_ERR_IO, "%s: external data '%s' cannot be read", s->where,
                         l->path);
    }
    *bytes = data;
    return BRIM_OK;
}

brim_status brim_onnx_external_read(const struct brim_onnx_source *source, const pb_tensor *t,
                                    size_t want, const uint8_t **bytes)
{
    brim_ctx *ctx = source->arena->ctx;
    struct location l;
    char *full = NULL;

    if (source->folder == NULL) {
        return brim_fail(ctx, BRIM_ERR_FILE,
                         "%s: is external data, which a model in memory cannot have",
                         source->where);
    }
    BRIM_TRY(parse_location(source, t, &l));
    if (l.length != SIZE_MAX && l.length != want) {
        return brim_fail(ctx, BRIM_ERR_FILE, "%s: has %zu bytes of external data, expected %zu",
                         source->where, l.length, want);
    }
    BRIM_TRY(resolve(source, l.path, &full));
    struct stat st;
    FILE *f =
        full != NULL && stat(full, &st) == 0 && S_ISREG(st.st_mode) ? fopen(full, "rb") : NULL;
    if (f == NULL) {
        return brim_fail(ctx, BRIM_ERR_IO, "%s: external data '%s': %s", source->where, l.path,
                         strerror(errno));
    }
    const brim_status status = read_segment(source, &l, f, want, bytes);
    fclose(f);
    return status;
}
