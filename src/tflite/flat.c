/* flat.c - tables of a flatbuffer, read with every position checked. SPDX-License-Identifier:
 * Apache-2.0 */
#include "tflite/flat.h"

#include "base/half.h"

/* n bytes at `at` are inside the buffer. */
static bool inside(struct brim_flat *f, size_t at, size_t n)
{
    if (at > f->size || n > f->size - at) {
        f->bad = true;
        return false;
    }
    return true;
}

static uint32_t word(const struct brim_flat *f, size_t at)
{
    const uint8_t *p = f->data + at;

    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint16_t half_word(const struct brim_flat *f, size_t at)
{
    return (uint16_t)(f->data[at] | f->data[at + 1] << 8);
}

/* Where the unsigned distance at `at` leads. */
static size_t follow(struct brim_flat *f, size_t at)
{
    if (!inside(f, at, 4)) {
        return 0;
    }
    const size_t to = at + word(f, at);
    return inside(f, to, 4) ? to : 0;
}

brim_flat_table brim_flat_root(struct brim_flat *f)
{
    return follow(f, 0);
}

/* Position of a field of n bytes; 0 when absent. */
static size_t field_at(struct brim_flat *f, brim_flat_table t, unsigned field, size_t n)
{
    if (t == 0 || !inside(f, t, 4)) {
        return 0;
    }
    const int64_t back = (int32_t)word(f, t);
    const int64_t vtable = (int64_t)t - back;
    if (vtable < 0 || !inside(f, (size_t)vtable, 4)) {
        f->bad = true;
        return 0;
    }
    const size_t v = (size_t)vtable, entry = 4 + 2 * (size_t)field;
    if (entry + 2 > half_word(f, v) || !inside(f, v + entry, 2)) {
        return 0; /* an older writer did not know the field */
    }
    const size_t offset = half_word(f, v + entry);
    return offset != 0 && inside(f, t + offset, n) ? t + offset : 0;
}

uint8_t brim_flat_byte(struct brim_flat *f, brim_flat_table t, unsigned field, uint8_t fallback)
{
    const size_t at = field_at(f, t, field, 1);

    return at == 0 ? fallback : f->data[at];
}

int32_t brim_flat_int(struct brim_flat *f, brim_flat_table t, unsigned field, int32_t fallback)
{
    const size_t at = field_at(f, t, field, 4);

    return at == 0 ? fallback : (int32_t)word(f, at);
}

float brim_flat_float(struct brim_flat *f, brim_flat_table t, unsigned field, float fallback)
{
    const size_t at = field_at(f, t, field, 4);

    return at == 0 ? fallback : brim_bits_float(word(f, at));
}

brim_flat_table brim_flat_child(struct brim_flat *f, brim_flat_table t, unsigned field)
{
    const size_t at = field_at(f, t, field, 4);

    return at == 0 ? 0 : follow(f, at);
}

struct brim_flat_vector brim_flat_vector_of(struct brim_flat *f, brim_flat_table t, unsigned field,
                                            size_t element)
{
    const size_t at = brim_flat_child(f, t, field);
    struct brim_flat_vector v = {0, 0};

    if (at == 0) {
        return v;
    }
    const size_t count = word(f, at);
    if (count > (f->size - at - 4) / element) {
        f->bad = true;
        return v;
    }
    v.at = at + 4;
    v.count = count;
    return v;
}

int32_t brim_flat_int_at(const struct brim_flat *f, struct brim_flat_vector v, size_t i)
{
    return (int32_t)word(f, v.at + 4 * i);
}

int64_t brim_flat_long_at(const struct brim_flat *f, struct brim_flat_vector v, size_t i)
{
    const uint64_t low = word(f, v.at + 8 * i), high = word(f, v.at + 8 * i + 4);

    return (int64_t)(low | high << 32);
}

float brim_flat_float_at(const struct brim_flat *f, struct brim_flat_vector v, size_t i)
{
    return brim_bits_float(word(f, v.at + 4 * i));
}

brim_flat_table brim_flat_table_at(struct brim_flat *f, struct brim_flat_vector v, size_t i)
{
    return follow(f, v.at + 4 * i);
}
