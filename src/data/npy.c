/* npy.c - NumPy arrays, format versions 1 to 3. SPDX-License-Identifier: Apache-2.0
 *
 *     "\x93NUMPY" major minor  header length (2 bytes in version 1, else 4, little-endian)
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (60, 28, 28), }   padded with blanks
 *     elements
 *
 * The dictionary is Python source, of which this reads exactly what NumPy writes.
 */
#include <string.h>

#include "data/readers.h"

struct cursor {
    const char *p, *end;
};

static void skip_blanks(struct cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\t')) {
        c->p++;
    }
}

static bool take(struct cursor *c, const char *word)
{
    const size_t n = strlen(word);

    skip_blanks(c);
    if ((size_t)(c->end - c->p) < n || memcmp(c->p, word, n) != 0) {
        return false;
    }
    c->p += n;
    return true;
}

/* 'text' or "text", at most size-1 characters. */
static bool take_string(struct cursor *c, char *out, size_t size)
{
    size_t n = 0;

    skip_blanks(c);
    if (c->p == c->end || (*c->p != '\'' && *c->p != '"')) {
        return false;
    }
    const char quote = *c->p++;
    while (c->p < c->end && *c->p != quote) {
        if (n + 1 == size) {
            return false;
        }
        out[n++] = *c->p++;
    }
    out[n] = '\0';
    return c->p < c->end && *c->p++ == quote;
}

static bool take_count(struct cursor *c, int64_t *out)
{
    int64_t v = 0;

    skip_blanks(c);
    if (c->p == c->end || *c->p < '0' || *c->p > '9') {
        return false;
    }
    while (c->p < c->end && *c->p >= '0' && *c->p <= '9') {
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *c->p - '0', &v)) {
            return false;
        }
        c->p++;
    }
    (void)take(c, "L"); /* Python 2 wrote 60L */
    *out = v;
    return true;
}

/* (), (60,), (60, 28) */
static bool take_shape(struct cursor *c, struct brim_array *a)
{
    a->rank = 0;
    if (!take(c, "(")) {
        return false;
    }
    while (!take(c, ")")) {
        if (a->rank == BRIM_ARRAY_MAX_RANK || !take_count(c, &a->dim[a->rank])) {
            return false;
        }
        a->rank++;
        if (!take(c, ",")) {
            return take(c, ")");
        }
    }
    return true;
}

static brim_status set_type(brim_ctx *ctx, const char *descr, struct brim_array *a)
{
    static const struct {
        const char *code;
        enum brim_element element;
    } known[] = {
        {"u1", BRIM_ELEMENT_U8},  {"i1", BRIM_ELEMENT_I8},  {"b1", BRIM_ELEMENT_BOOL},
        {"u2", BRIM_ELEMENT_U16}, {"i2", BRIM_ELEMENT_I16}, {"f2", BRIM_ELEMENT_F16},
        {"u4", BRIM_ELEMENT_U32}, {"i4", BRIM_ELEMENT_I32}, {"f4", BRIM_ELEMENT_F32},
        {"u8", BRIM_ELEMENT_U64}, {"i8", BRIM_ELEMENT_I64}, {"f8", BRIM_ELEMENT_F64},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strchr("<>|=", descr[0]) != NULL && descr[0] != '\0' &&
            strcmp(descr + 1, known[i].code) == 0) {
            a->element = known[i].element;
            a->big_endian = descr[0] == '>';
            return BRIM_OK;
        }
    }
    return brim_fail(ctx, BRIM_ERR_UNSUPPORTED,
                     "%s: element type '%s' is not supported, expected b1, u1 to u8, i1 to i8, f2, "
                     "f4 or f8",
                     a->name, descr);
}

static brim_status parse_dictionary(brim_ctx *ctx, struct cursor c, struct brim_array *a)
{
    char key[16], descr[24] = "";
    bool fortran = false, has_descr = false, has_order = false, has_shape = false;
    bool good = take(&c, "{");

    while (good && !take(&c, "}")) {
        good = take_string(&c, key, sizeof key) && take(&c, ":");
        if (good && strcmp(key, "descr") == 0) {
            skip_blanks(&c);
            if (c.p < c.end && *c.p == '[') {
                return brim_fail(ctx, BRIM_ERR_UNSUPPORTED,
                                 "%s: holds records, expected an array of plain numbers", a->name);
            }
            good = has_descr = take_string(&c, descr, sizeof descr);
        } else if (good && strcmp(key, "fortran_order") == 0) {
            fortran = take(&c, "True");
            good = has_order = fortran || take(&c, "False");
        } else if (good && strcmp(key, "shape") == 0) {
            good = has_shape = take_shape(&c, a);
        } else {
            good = false;
        }
        if (good && !take(&c, ",")) {
            good = take(&c, "}");
            break;
        }
    }
    if (!good || !has_descr || !has_order || !has_shape) {
        return brim_fail(ctx, BRIM_ERR_FILE,
                         "%s: malformed npy header, expected descr, fortran_order and a shape of "
                         "rank at most %d",
                         a->name, BRIM_ARRAY_MAX_RANK);
    }
    if (fortran && a->rank > 1) {
        return brim_fail(ctx, BRIM_ERR_UNSUPPORTED,
                         "%s: array is in Fortran order, expected C order "
                         "(numpy.ascontiguousarray)",
                         a->name);
    }
    return set_type(ctx, descr, a);
}

brim_status brim_npy_parse(brim_ctx *ctx, const uint8_t *p, size_t n, struct brim_array *a)
{
    if (n < 10 || memcmp(p, "\x93NUMPY", 6) != 0) {
        return brim_fail(ctx, BRIM_ERR_FILE, "%s: not an npy file", a->name);
    }
    if (p[6] < 1 || p[6] > 3) {
        return brim_fail(ctx, BRIM_ERR_UNSUPPORTED, "%s: npy version %d, expected 1 to 3", a->name,
                         p[6]);
    }
    const size_t start = p[6] == 1 ? 10 : 12;
    if (n < start) {
        return brim_fail(ctx, BRIM_ERR_FILE, "%s: truncated npy header", a->name);
    }
    size_t length = (size_t)p[8] | (size_t)p[9] << 8;
    if (p[6] != 1) {
        length |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    }
    if (length > n - start) {
        return brim_fail(ctx, BRIM_ERR_FILE, "%s: truncated npy header", a->name);
    }
    const struct cursor c = {(const char *)p + start, (const char *)p + start + length};
    BRIM_TRY(parse_dictionary(ctx, c, a));
    a->bytes = p + start + length;
    return brim_array_check(ctx, a, n - start - length);
}
