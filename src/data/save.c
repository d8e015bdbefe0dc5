/* save.c - a dataset as one .npz file. SPDX-License-Identifier: Apache-2.0
 *
 * Stored members with a fixed date, so the same data gives the same bytes.
 */
#include <string.h>
#include <zlib.h>

#include "base/file.h"
#include "brim/data.h"

#define DOS_DATE 0x21u /* 1980-01-01, the earliest that zip knows */

struct member {
    const char *name;
    uint32_t crc, size, local;
};

static brim_status put16(struct brim_buffer *b, unsigned v)
{
    const uint8_t p[2] = {(uint8_t)(v & 255), (uint8_t)(v >> 8 & 255)};
    return brim_buffer_append(b, p, sizeof p);
}

static brim_status put32(struct brim_buffer *b, uint32_t v)
{
    BRIM_TRY(put16(b, v & 0xffff));
    return put16(b, v >> 16);
}

/* What local and central headers share: version, flags, method, time, date, crc, sizes, lengths. */
static brim_status put_common(struct brim_buffer *b, const struct member *m)
{
    BRIM_TRY(put16(b, 20));
    BRIM_TRY(put32(b, 0));
    BRIM_TRY(put16(b, 0));
    BRIM_TRY(put16(b, DOS_DATE));
    BRIM_TRY(put32(b, m->crc));
    BRIM_TRY(put32(b, m->size));
    BRIM_TRY(put32(b, m->size));
    BRIM_TRY(put16(b, (unsigned)strlen(m->name)));
    return put16(b, 0);
}

static brim_status put_directory(struct brim_buffer *b, const struct member *m, unsigned n)
{
    const size_t start = b->size;

    for (unsigned i = 0; i < n; i++) {
        BRIM_TRY(put32(b, 0x02014b50));
        BRIM_TRY(put16(b, 20));
        BRIM_TRY(put_common(b, &m[i]));
        for (int k = 0; k < 5; k++) { /* comment, disk, attributes */
            BRIM_TRY(put16(b, 0));
        }
        BRIM_TRY(put32(b, m[i].local));
        BRIM_TRY(brim_buffer_append(b, m[i].name, strlen(m[i].name)));
    }
    const size_t size = b->size - start;
    BRIM_TRY(put32(b, 0x06054b50));
    BRIM_TRY(put32(b, 0));
    BRIM_TRY(put16(b, n));
    BRIM_TRY(put16(b, n));
    BRIM_TRY(put32(b, (uint32_t)size));
    BRIM_TRY(put32(b, (uint32_t)start));
    return put16(b, 0);
}

/* Append member `m` whose content is already laid out in `body`. */
static brim_status put_member(struct brim_buffer *b, struct member *m,
                              const struct brim_buffer *body)
{
    if (body->size > UINT32_MAX || b->size > UINT32_MAX - body->size - 1024) {
        return brim_fail(b->ctx, BRIM_ERR_UNSUPPORTED,
                         "data: more than 4 GiB, expected less for one npz file");
    }
    uLong crc = crc32(0, NULL, 0);
    for (size_t at = 0; at < body->size; at += (size_t)1 << 30) {
        const size_t left = body->size - at;
        crc = crc32(crc, body->data + at, (uInt)(left < (size_t)1 << 30 ? left : (size_t)1 << 30));
    }
    m->crc = (uint32_t)crc;
    m->size = (uint32_t)body->size;
    m->local = (uint32_t)b->size;
    BRIM_TRY(put32(b, 0x04034b50));
    BRIM_TRY(put_common(b, m));
    BRIM_TRY(brim_buffer_append(b, m->name, strlen(m->name)));
    return brim_buffer_append(b, body->data, body->size);
}

static brim_status put_npy_header(struct brim_buffer *b, const char *descr, size_t count,
                                  const int64_t *dim, int rank)
{
    const size_t start = b->size;

    BRIM_TRY(brim_buffer_append(b, "\x93NUMPY\x01\x00\x00\x00", 10));
    BRIM_TRY(brim_buffer_printf(b, "{'descr': '%s', 'fortran_order': False, 'shape': (%zu,", descr,
                                count));
    for (int i = 0; i < rank; i++) {
        BRIM_TRY(brim_buffer_printf(b, " %lld%s", (long long)dim[i], i + 1 < rank ? "," : ""));
    }
    BRIM_TRY(brim_buffer_printf(b, "), }"));
    while ((b->size - start) % 64 != 63) {
        BRIM_TRY(brim_buffer_append(b, " ", 1));
    }
    BRIM_TRY(brim_buffer_append(b, "\n", 1));
    const size_t length = b->size - start - 10;
    b->data[start + 8] = (uint8_t)(length & 255);
    b->data[start + 9] = (uint8_t)(length >> 8);
    return BRIM_OK;
}

/* Little-endian, whatever this machine is. */
static brim_status put_bits(struct brim_buffer *b, uint64_t bits, size_t size)
{
    uint8_t p[8];

    for (size_t i = 0; i < size; i++) {
        p[i] = (uint8_t)(bits >> (8 * i) & 255);
    }
    return brim_buffer_append(b, p, size);
}

static brim_status put_x(struct brim_buffer *b, const brim_data *data)
{
    brim_ctx *ctx = b->ctx;
    int64_t dim[8];
    const int rank = brim_data_shape(data, dim);
    const size_t size = brim_data_sample_size(data);
    float *x = brim_alloc(ctx, size, sizeof *x);
    brim_status status = x != NULL ? BRIM_OK : BRIM_ERR_NOMEM;

    if (status == BRIM_OK) {
        status = put_npy_header(b, "<f4", brim_data_count(data), dim, rank);
    }
    for (size_t i = 0; status == BRIM_OK && i < brim_data_count(data); i++) {
        status = brim_data_read(ctx, data, i, 1, x, NULL);
        for (size_t k = 0; status == BRIM_OK && k < size; k++) {
            uint32_t bits;
            memcpy(&bits, &x[k], sizeof bits);
            status = put_bits(b, bits, sizeof bits);
        }
    }
    brim_free(ctx, x);
    return status;
}

static brim_status put_y(struct brim_buffer *b, const brim_data *data)
{
    brim_ctx *ctx = b->ctx;
    float *x = brim_alloc(ctx, brim_data_sample_size(data), sizeof *x);
    brim_status status = x != NULL ? BRIM_OK : BRIM_ERR_NOMEM;
    int64_t label;

    if (status == BRIM_OK) {
        status = put_npy_header(b, "<i8", brim_data_count(data), NULL, 0);
    }
    for (size_t i = 0; status == BRIM_OK && i < brim_data_count(data); i++) {
        status = brim_data_read(ctx, data, i, 1, x, &label);
        if (status == BRIM_OK) {
            status = put_bits(b, (uint64_t)label, sizeof label);
        }
    }
    brim_free(ctx, x);
    return status;
}

static brim_status put_array(struct brim_buffer *out, const brim_data *data, struct member *m,
                             brim_status (*put)(struct brim_buffer *, const brim_data *))
{
    struct brim_buffer body;

    brim_buffer_init(&body, out->ctx, out->max);
    brim_status status = put(&body, data);
    if (status == BRIM_OK) {
        status = put_member(out, m, &body);
    }
    brim_buffer_free(&body);
    return status;
}

brim_status brim_data_save_npz(brim_ctx *ctx, const brim_data *data, const char *path)
{
    struct member m[2] = {{.name = "x.npy"}, {.name = "y.npy"}};
    const unsigned n = brim_data_has_labels(data) ? 2 : 1;
    struct brim_buffer out;

    brim_buffer_init(&out, ctx, ctx->params.max_file_bytes);
    brim_status status = put_array(&out, data, &m[0], put_x);
    if (status == BRIM_OK && n == 2) {
        status = put_array(&out, data, &m[1], put_y);
    }
    if (status == BRIM_OK) {
        status = put_directory(&out, m, n);
    }
    if (status == BRIM_OK) {
        status = brim_file_write(ctx, path, out.data, out.size);
    }
    brim_buffer_free(&out);
    return status;
}
