/* dataset.c - open a description, hand out samples. SPDX-License-Identifier: Apache-2.0
 *
 * The bytes stay as the file has them; brim_data_read() converts what it is asked for:
 * raw -> scale*(raw-zero) -> nchw -> (v-mean)/std, in double, rounded to float once.
 */
#include <float.h>
#include <string.h>

#include "base/file.h"
#include "base/intops.h"
#include "brim/data.h"
#include "data/readers.h"
#include "data/spec.h"
#include "data/synth.h"

#define SYNTH_DEFAULT_LIMIT 2000u

struct brim_data {
    brim_ctx *ctx;
    struct brim_arena arena;
    struct brim_data_spec spec;
    struct brim_buffer x_file, y_file;
    struct brim_array x, y;
    bool labelled;
    size_t first, count; /* samples handed out: first..first+count-1 of the arrays */
    int rank;
    int64_t dim[BRIM_SAMPLE_MAX_RANK];
    size_t sample_size, channels;
};

void brim_data_free(brim_data *data)
{
    if (data == NULL) {
        return;
    }
    brim_ctx *ctx = data->ctx;
    brim_buffer_free(&data->x_file);
    brim_buffer_free(&data->y_file);
    brim_arena_free(&data->arena);
    brim_free(ctx, data);
}

static brim_status open_pair(struct brim_data *d, brim_status (*parse)(brim_ctx *, const uint8_t *,
                                                                       size_t, struct brim_array *))
{
    d->x.name = d->spec.path[0];
    BRIM_TRY(brim_file_read(d->ctx, d->x.name, &d->x_file));
    BRIM_TRY(parse(d->ctx, d->x_file.data, d->x_file.size, &d->x));
    if (d->spec.n_paths < 2) {
        return BRIM_OK;
    }
    d->y.name = d->spec.path[1];
    BRIM_TRY(brim_file_read(d->ctx, d->y.name, &d->y_file));
    BRIM_TRY(parse(d->ctx, d->y_file.data, d->y_file.size, &d->y));
    d->labelled = true;
    return BRIM_OK;
}

static brim_status open_cifar(struct brim_data *d)
{
    d->x.name = d->spec.path[0];
    d->labelled = true;
    if (d->spec.n_paths == 1) {
        BRIM_TRY(brim_file_read(d->ctx, d->x.name, &d->x_file));
        return brim_cifar_parse(d->ctx, d->x_file.data, d->x_file.size, &d->x, &d->y);
    }
    brim_buffer_init(&d->x_file, d->ctx, d->ctx->params.max_file_bytes);
    for (size_t i = 0; i < d->spec.n_paths; i++) {
        struct brim_buffer part;
        brim_status status = brim_file_read(d->ctx, d->spec.path[i], &part);
        d->x.name = d->spec.path[i];
        if (status == BRIM_OK) { /* each file on its own, so that the message names it */
            status = brim_cifar_parse(d->ctx, part.data, part.size, &d->x, &d->y);
        }
        if (status == BRIM_OK) {
            status = brim_buffer_append(&d->x_file, part.data, part.size);
        }
        brim_buffer_free(&part);
        BRIM_TRY(status);
    }
    return brim_cifar_parse(d->ctx, d->x_file.data, d->x_file.size, &d->x, &d->y);
}

static brim_status open_npz(struct brim_data *d)
{
    d->x.name = d->spec.path[0];
    BRIM_TRY(brim_file_read(d->ctx, d->x.name, &d->x_file));
    BRIM_TRY(brim_npz_parse(&d->arena, d->x_file.data, d->x_file.size, &d->x, &d->y));
    d->labelled = d->y.rank > 0;
    return BRIM_OK;
}

static brim_status open_csv(struct brim_data *d)
{
    const char *path = d->spec.path[0];

    d->x.name = d->y.name = path;
    BRIM_TRY(brim_file_read(d->ctx, path, &d->x_file));
    BRIM_TRY(brim_buffer_append(&d->x_file, "", 1));
    BRIM_TRY(brim_csv_parse(&d->arena, (const char *)d->x_file.data, d->x_file.size - 1,
                            d->spec.label, &d->x, &d->y));
    brim_buffer_free(&d->x_file);
    d->labelled = d->y.rank > 0;
    return BRIM_OK;
}

/* Storage for all samples of the shape in d->x. */
static brim_status synth_storage(struct brim_data *d, enum brim_element element, void **out)
{
    size_t bytes = brim_element_size(element);
    bool fits = true;

    for (int i = d->x.rank - 1; i >= 0; i--) {
        d->x.stride = bytes; /* after the loop: without dim[0] */
        fits = fits && brim_mul_size(bytes, (size_t)d->x.dim[i], &bytes);
    }
    if (!fits || bytes > d->ctx->params.max_tensor_bytes) {
        return brim_fail(d->ctx, BRIM_ERR_ARG, "data: %s: limit=%lld samples exceed %zu bytes",
                         d->x.name, (long long)d->x.dim[0], d->ctx->params.max_tensor_bytes);
    }
    d->x.element = element;
    d->x.big_endian = brim_host_is_big_endian();
    *out = brim_arena_alloc(&d->arena, bytes, 1);
    d->x.bytes = *out;
    return *out != NULL ? BRIM_OK : BRIM_ERR_NOMEM;
}

static brim_status make_glyphs(struct brim_data *d)
{
    const size_t n = d->spec.limit;
    void *pixel;

    d->x.name = d->y.name = "synth:glyphs";
    d->x.rank = 4;
    d->x.dim[0] = d->y.dim[0] = (int64_t)n;
    d->x.dim[1] = 1;
    d->x.dim[2] = d->x.dim[3] = BRIM_GLYPH_SIDE;
    BRIM_TRY(synth_storage(d, BRIM_ELEMENT_U8, &pixel));
    uint8_t *label = brim_arena_alloc(&d->arena, n, 1);
    if (label == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        label[i] = brim_synth_glyph(d->spec.seed, d->spec.offset + i,
                                    (uint8_t *)pixel + i * (size_t)BRIM_GLYPH_PIXELS);
    }
    d->y.element = BRIM_ELEMENT_U8;
    d->y.rank = 1;
    d->y.bytes = label;
    d->y.stride = 1;
    d->labelled = true;
    return BRIM_OK;
}

static brim_status make_noise(struct brim_data *d)
{
    const size_t n = d->spec.limit;
    void *x = NULL;

    d->x.name = "synth:noise";
    d->x.rank = d->spec.rank + 1;
    d->x.dim[0] = (int64_t)n;
    for (int i = 0; i < d->spec.rank; i++) {
        d->x.dim[i + 1] = d->spec.dim[i];
    }
    BRIM_TRY(synth_storage(d, BRIM_ELEMENT_F32, &x));
    const size_t size = brim_array_sample_size(&d->x);
    for (size_t i = 0; i < n; i++) {
        brim_synth_noise(d->spec.seed, d->spec.offset + i, (float *)x + i * size, size);
    }
    return BRIM_OK;
}

static brim_status open_kind(struct brim_data *d)
{
    switch (d->spec.kind) {
    case BRIM_DATA_CIFAR:
        return open_cifar(d);
    case BRIM_DATA_IDX:
        return open_pair(d, brim_idx_parse);
    case BRIM_DATA_NPY:
        return open_pair(d, brim_npy_parse);
    case BRIM_DATA_NPZ:
        return open_npz(d);
    case BRIM_DATA_CSV:
        return open_csv(d);
    case BRIM_DATA_GLYPHS:
    case BRIM_DATA_NOISE:
        /* Samples are made for the offset asked, so the arrays begin there already. */
        d->spec.limit = d->spec.limit > 0 ? d->spec.limit : SYNTH_DEFAULT_LIMIT;
        BRIM_TRY(d->spec.kind == BRIM_DATA_GLYPHS ? make_glyphs(d) : make_noise(d));
        d->spec.offset = 0;
        return BRIM_OK;
    }
    return brim_fail(d->ctx, BRIM_ERR_INTERNAL, "data: unknown kind");
}

/* offset and limit, against what is there. */
static brim_status choose_samples(struct brim_data *d)
{
    const size_t total = (size_t)d->x.dim[0];

    if (d->spec.offset >= total) {
        return brim_fail(d->ctx, BRIM_ERR_ARG, "%s: offset=%zu, but there are only %zu samples",
                         d->x.name, d->spec.offset, total);
    }
    d->first = d->spec.offset;
    d->count = total - d->first;
    if (d->spec.limit > 0) {
        d->count = brim_min_size(d->count, d->spec.limit);
    }
    return BRIM_OK;
}

/* The sample's shape in the file's order, then in nchw. */
static brim_status choose_shape(struct brim_data *d)
{
    size_t size = 1;

    d->sample_size = brim_array_sample_size(&d->x);
    d->rank = d->x.rank > 1 ? d->x.rank - 1 : 1;
    for (int i = 0; i < d->rank; i++) {
        d->dim[i] = d->x.rank > 1 ? d->x.dim[i + 1] : 1;
    }
    if (d->spec.rank > 0) {
        d->rank = d->spec.rank;
        for (int i = 0; i < d->rank; i++) {
            d->dim[i] = d->spec.dim[i];
            if (!brim_mul_size(size, (size_t)d->dim[i], &size)) {
                size = 0;
            }
        }
        if (size != d->sample_size) {
            return brim_fail(d->ctx, BRIM_ERR_ARG,
                             "%s: shape= does not fit samples of %zu elements", d->x.name,
                             d->sample_size);
        }
    }
    if (d->spec.nhwc) {
        if (d->rank < 2) {
            return brim_fail(d->ctx, BRIM_ERR_ARG,
                             "%s: layout=nhwc needs samples of rank 2 or more, these have rank %d",
                             d->x.name, d->rank);
        }
        const int64_t channels = d->dim[d->rank - 1];
        memmove(d->dim + 1, d->dim, (size_t)(d->rank - 1) * sizeof d->dim[0]);
        d->dim[0] = channels;
    }
    d->channels = (size_t)d->dim[0];
    return BRIM_OK;
}

static brim_status check_channels(const struct brim_data *d, const char *key, size_t n)
{
    if (n > 1 && n != d->channels) {
        return brim_fail(d->ctx, BRIM_ERR_ARG,
                         "%s: %s= has %zu numbers, expected one or one per channel (%zu)",
                         d->x.name, key, n, d->channels);
    }
    return BRIM_OK;
}

static brim_status check_labels(const struct brim_data *d)
{
    int64_t v;

    if (!d->labelled) {
        return BRIM_OK;
    }
    if (brim_array_sample_size(&d->y) != 1) {
        return brim_fail(d->ctx, BRIM_ERR_FILE, "%s: labels have %zu elements each, expected one",
                         d->y.name, brim_array_sample_size(&d->y));
    }
    if (d->x.dim[0] != d->y.dim[0]) {
        return brim_fail(d->ctx, BRIM_ERR_FILE, "%s: %lld labels for the %lld samples of %s",
                         d->y.name, (long long)d->y.dim[0], (long long)d->x.dim[0], d->x.name);
    }
    for (size_t i = 0; i < (size_t)d->y.dim[0]; i++) {
        if (!brim_array_integer(&d->y, i, &v) || v < 0) {
            return brim_fail(d->ctx, BRIM_ERR_FILE,
                             "%s: label of sample %zu is not a non-negative integer below 2^63",
                             d->y.name, i);
        }
    }
    return BRIM_OK;
}

static brim_status open_all(struct brim_data *d, const char *spec)
{
    BRIM_TRY(brim_data_spec_parse(&d->arena, spec, &d->spec));
    BRIM_TRY(open_kind(d));
    BRIM_TRY(choose_samples(d));
    BRIM_TRY(choose_shape(d));
    BRIM_TRY(check_channels(d, "mean", d->spec.n_mean));
    BRIM_TRY(check_channels(d, "std", d->spec.n_std));
    return check_labels(d);
}

brim_status brim_data_open(brim_ctx *ctx, const char *spec, brim_data **data)
{
    if (spec == NULL || data == NULL) {
        return brim_fail(ctx, BRIM_ERR_ARG, "data: no description given");
    }
    *data = NULL;
    struct brim_data *d = brim_zalloc(ctx, 1, sizeof *d);
    if (d == NULL) {
        return BRIM_ERR_NOMEM;
    }
    d->ctx = ctx;
    brim_arena_init(&d->arena, ctx);
    brim_buffer_init(&d->x_file, ctx, ctx->params.max_file_bytes);
    brim_buffer_init(&d->y_file, ctx, ctx->params.max_file_bytes);
    const brim_status status = open_all(d, spec);
    if (status != BRIM_OK) {
        brim_data_free(d);
        return status;
    }
    *data = d;
    return BRIM_OK;
}

brim_status brim_data_slice(brim_ctx *ctx, const brim_data *data, size_t first, size_t n,
                            brim_data **slice)
{
    *slice = NULL;
    if (n == 0 || first > data->count || n > data->count - first) {
        return brim_fail(ctx, BRIM_ERR_ARG, "data: samples %zu to %zu asked of %zu", first,
                         first + n, data->count);
    }
    struct brim_data *d = brim_alloc(ctx, 1, sizeof *d);
    if (d == NULL) {
        return BRIM_ERR_NOMEM;
    }
    *d = *data; /* all but what it owns */
    d->ctx = ctx;
    brim_arena_init(&d->arena, ctx);
    brim_buffer_init(&d->x_file, ctx, 0);
    brim_buffer_init(&d->y_file, ctx, 0);
    d->first += first;
    d->count = n;
    *slice = d;
    return BRIM_OK;
}

size_t brim_data_count(const brim_data *data)
{
    return data->count;
}

int brim_data_shape(const brim_data *data, int64_t dim[8])
{
    for (int i = 0; i < data->rank; i++) {
        dim[i] = data->dim[i];
    }
    return data->rank;
}

size_t brim_data_sample_size(const brim_data *data)
{
    return data->sample_size;
}

bool brim_data_has_labels(const brim_data *data)
{
    return data->labelled;
}

#define CHUNK 256u /* elements converted at a time, on the stack */

/* One sample; false when a value is not finite as a float. */
static bool read_sample(const struct brim_data *d, size_t sample, float *x)
{
    const struct brim_data_spec *s = &d->spec;
    const size_t element = brim_element_size(d->x.element);
    const size_t plane = d->sample_size / d->channels;
    const uint8_t *p = d->x.bytes + sample * d->x.stride;
    double v[CHUNK];
    bool finite = true;

    for (size_t at = 0; at < d->sample_size; at += CHUNK) {
        const size_t n = brim_min_size(CHUNK, d->sample_size - at);
        brim_array_convert(&d->x, p + at * element, n, v);
        for (size_t i = 0; i < n; i++) {
            const size_t j = at + i; /* position in the file */
            const size_t c = s->nhwc ? j % d->channels : j / plane;
            const double mean = s->n_mean == 0 ? 0.0 : s->mean[s->n_mean > 1 ? c : 0];
            const double std = s->n_std == 0 ? 1.0 : s->std[s->n_std > 1 ? c : 0];
            const float f = (float)((s->scale * (v[i] - s->zero) - mean) / std);
            x[s->nhwc ? c * plane + j / d->channels : j] = f;
            finite = finite && f >= -FLT_MAX && f <= FLT_MAX;
        }
    }
    return finite;
}

brim_status brim_data_read(brim_ctx *ctx, const brim_data *data, size_t first, size_t n, float *x,
                           int64_t *labels)
{
    if (first > data->count || n > data->count - first) {
        return brim_fail(ctx, BRIM_ERR_ARG, "data: samples %zu to %zu asked of %zu", first,
                         first + n, data->count);
    }
    for (size_t i = 0; i < n; i++) {
        const size_t sample = data->first + first + i;
        if (!read_sample(data, sample, x + i * data->sample_size)) {
            return brim_fail(ctx, BRIM_ERR_FILE, "%s: sample %zu holds a NaN or an infinity",
                             data->x.name, sample);
        }
        if (labels != NULL &&
            (!data->labelled || !brim_array_integer(&data->y, sample, &labels[i]))) {
            labels[i] = -1;
        }
    }
    return BRIM_OK;
}
