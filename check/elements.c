/* elements.c - the elements of a constant. SPDX-License-Identifier: Apache-2.0
 *
 * TensorProto keeps them as raw_data (9, little-endian), or as int32_data (5) and float_data (4),
 * packed or one by one. Two 4-bit elements share a byte, the first in the low half.
 */
#include <string.h>

#include "check/network.h"

#define FIELD_FLOATS   4u
#define FIELD_INT32S   5u
#define FIELD_RAW      9u
#define FIELD_EXTERNAL 13u
#define FIELD_LOCATION 14u

bool type_range(uint64_t type, int64_t *lo, int64_t *hi)
{
    static const struct {
        uint64_t type;
        int64_t lo, hi;
    } known[] = {
        {TYPE_UINT8, 0, 255},
        {TYPE_INT8, -128, 127},
        {TYPE_UINT16, 0, 65535},
        {TYPE_INT16, -32768, 32767},
        {TYPE_UINT4, 0, 15},
        {TYPE_INT4, -8, 7},
        {TYPE_INT32, INT32_MIN, INT32_MAX},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].type == type) {
            *lo = known[i].lo;
            *hi = known[i].hi;
            return true;
        }
    }
    return false;
}

static size_t bits_of(uint64_t type)
{
    switch (type) {
    case TYPE_UINT4:
    case TYPE_INT4:
        return 4;
    case TYPE_UINT8:
    case TYPE_INT8:
        return 8;
    case TYPE_UINT16:
    case TYPE_INT16:
        return 16;
    default:
        return 32; /* INT32, FLOAT */
    }
}

/* Where elements go, and how many have come. */
struct sink {
    size_t bits, count, n;
    bool is_signed, too_many;
    uint32_t *value; /* bit patterns, sign-extended */
};

static void put(struct sink *s, uint32_t pattern)
{
    if (s->n == s->count) {
        s->too_many = true;
        return;
    }
    if (s->bits < 32) {
        const uint32_t mask = (UINT32_C(1) << s->bits) - 1;
        const uint32_t sign = UINT32_C(1) << (s->bits - 1);
        pattern &= mask;
        if (s->is_signed && (pattern & sign) != 0) {
            pattern |= ~mask;
        }
    }
    s->value[s->n++] = pattern;
}

/* A byte of two 4-bit elements; the last half may be padding. */
static void put_nibbles(struct sink *s, uint32_t byte)
{
    put(s, byte & 15);
    if (s->n < s->count) {
        put(s, byte >> 4);
    }
}

static void put_raw(struct sink *s, struct wire raw)
{
    const size_t step = s->bits < 8 ? 1 : s->bits / 8;

    while ((size_t)(raw.end - raw.at) >= step) {
        uint32_t pattern = 0;
        for (size_t i = 0; i < step; i++) {
            pattern |= (uint32_t)*raw.at++ << (8 * i);
        }
        if (s->bits == 4) {
            put_nibbles(s, pattern);
        } else {
            put(s, pattern);
        }
    }
    s->too_many = s->too_many || raw.at != raw.end;
}

static void put_varints(struct sink *s, const struct wire_field *f)
{
    struct wire packed = f->bytes;
    uint64_t value = f->value;
    bool more = f->type == WIRE_VARINT || wire_varint(&packed, &value);

    while (more) {
        if (s->bits == 4) {
            put_nibbles(s, (uint32_t)value);
        } else {
            put(s, (uint32_t)value);
        }
        more = f->type == WIRE_BYTES && wire_varint(&packed, &value);
    }
    s->too_many = s->too_many || packed.bad;
}

static const uint32_t *decode(struct check *c, const struct tensor *t, bool floats)
{
    struct wire body = t->body;
    struct wire_field f;
    int64_t lo = 0, hi = 0;

    type_range(t->type, &lo, &hi);
    struct sink s = {.bits = bits_of(t->type), .count = t->count, .is_signed = lo < 0};
    /* an element takes four bits at least: a shape alone cannot ask for memory */
    if (t->count / 2 > (size_t)(body.end - body.at) ||
        (s.value = check_alloc(c, t->count, sizeof *s.value)) == NULL) {
        check_broken(c, "constant '%s': holds less than its shape says", t->name);
        return NULL;
    }
    while (wire_next(&body, &f)) {
        if (f.number == FIELD_EXTERNAL || (f.number == FIELD_LOCATION && f.value != 0)) {
            check_broken(c, "constant '%s': is stored in another file, not supported", t->name);
            return NULL;
        }
        if (f.number == FIELD_RAW && f.type == WIRE_BYTES) {
            put_raw(&s, f.bytes);
        } else if (f.number == FIELD_INT32S && !floats) {
            put_varints(&s, &f);
        } else if (f.number == FIELD_FLOATS && floats) {
            if (f.type == WIRE_BYTES) {
                put_raw(&s, f.bytes);
            } else {
                put(&s, (uint32_t)f.value);
            }
        }
    }
    if (s.n != t->count || s.too_many) {
        check_broken(c, "constant '%s': holds another number of elements than its shape says",
                     t->name);
        return NULL;
    }
    return s.value;
}

const int32_t *tensor_ints(struct check *c, const struct tensor *t)
{
    int64_t lo, hi;

    if (!type_range(t->type, &lo, &hi)) {
        check_broken(c, "constant '%s': type %llu, expected an integer of at most 32 bits", t->name,
                     (unsigned long long)t->type);
        return NULL;
    }
    return (const int32_t *)(const void *)decode(c, t, false);
}

const float *tensor_floats(struct check *c, const struct tensor *t)
{
    if (t->type != TYPE_FLOAT) {
        check_broken(c, "constant '%s': type %llu, expected float", t->name,
                     (unsigned long long)t->type);
        return NULL;
    }
    return (const float *)(const void *)decode(c, t, true);
}

const int64_t *tensor_longs(struct check *c, const struct tensor *t)
{
    struct wire body = t->body;
    struct wire_field f;
    int64_t *v = check_alloc(c, t->count, sizeof *v);

    while (v != NULL && t->type == TYPE_INT64 && wire_next(&body, &f)) {
        if (f.number != FIELD_RAW || f.type != WIRE_BYTES ||
            (size_t)(f.bytes.end - f.bytes.at) / 8 != t->count) {
            continue;
        }
        for (size_t i = 0; i < t->count; i++) {
            uint64_t pattern = 0;
            for (size_t b = 0; b < 8; b++) {
                pattern |= (uint64_t)*f.bytes.at++ << (8 * b);
            }
            memcpy(&v[i], &pattern, sizeof pattern);
        }
        return v;
    }
    check_broken(c, "constant '%s': expected 64-bit integers as raw data", t->name);
    return NULL;
}
