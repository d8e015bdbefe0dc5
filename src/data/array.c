/* array.c - element types and byte orders to numbers. SPDX-License-Identifier: Apache-2.0 */
#include "data/array.h"

#include <string.h>

size_t brim_element_size(enum brim_element e)
{
    switch (e) {
    case BRIM_ELEMENT_U8:
    case BRIM_ELEMENT_I8:
    case BRIM_ELEMENT_BOOL:
        return 1;
    case BRIM_ELEMENT_U16:
    case BRIM_ELEMENT_I16:
    case BRIM_ELEMENT_F16:
        return 2;
    case BRIM_ELEMENT_U32:
    case BRIM_ELEMENT_I32:
    case BRIM_ELEMENT_F32:
        return 4;
    case BRIM_ELEMENT_U64:
    case BRIM_ELEMENT_I64:
    case BRIM_ELEMENT_F64:
        return 8;
    }
    return 1;
}

bool brim_host_is_big_endian(void)
{
    const uint16_t one = 1;
    uint8_t first;

    memcpy(&first, &one, 1);
    return first == 0;
}

brim_status brim_array_check(brim_ctx *ctx, struct brim_array *a, size_t available)
{
    size_t sample = brim_element_size(a->element);
    size_t total = 0;
    bool fits = true;

    if (a->rank < 1 || a->rank > BRIM_ARRAY_MAX_RANK) {
        return brim_fail(ctx, BRIM_ERR_FILE, "%s: array has rank %d, expected 1 to %d", a->name,
                         a->rank, BRIM_ARRAY_MAX_RANK);
    }
    for (int i = 0; i < a->rank; i++) {
        if (a->dim[i] == 0) {
            return brim_fail(ctx, BRIM_ERR_FILE, "%s: array is empty (dimension %d is 0)", a->name,
                             i);
        }
        fits =
            fits && a->dim[i] > 0 && (i == 0 || brim_mul_size(sample, (size_t)a->dim[i], &sample));
    }
    if (!fits || !brim_mul_size(sample, (size_t)a->dim[0], &total) || total > available) {
        return brim_fail(ctx, BRIM_ERR_FILE,
                         "%s: truncated: its shape needs more than the %zu bytes that are there",
                         a->name, available);
    }
    if (total < available) {
        return brim_fail(ctx, BRIM_ERR_FILE, "%s: %zu bytes follow the array, expected none",
                         a->name, available - total);
    }
    a->stride = sample;
    return BRIM_OK;
}

size_t brim_array_sample_size(const struct brim_array *a)
{
    size_t n = 1;

    for (int i = 1; i < a->rank; i++) {
        n *= (size_t)a->dim[i]; /* cannot overflow: brim_array_check */
    }
    return n;
}

/* The bits of one element, in the low bytes. */
static uint64_t load(const uint8_t *p, size_t size, bool big_endian)
{
    uint64_t bits = 0;

    for (size_t i = 0; i < size; i++) {
        bits |= (uint64_t)p[big_endian ? size - 1 - i : i] << (8 * i);
    }
    return bits;
}

/* Two's complement of `size` bytes to int64. */
static int64_t sign_extend(uint64_t bits, size_t size)
{
    const unsigned shift = (unsigned)(64 - 8 * size);
    const uint64_t sign = UINT64_C(1) << 63;
    const uint64_t top = bits << shift;
    int64_t v;

    const uint64_t wide = shift == 0 ? top : (top & sign) != 0 ? ~(~top >> shift) : top >> shift;
    memcpy(&v, &wide, sizeof v);
    return v;
}

static double half_to_double(uint64_t bits)
{
    const uint64_t sign = (bits >> 15) << 63;
    const uint64_t exponent = (bits >> 10) & 31;
    const uint64_t fraction = bits & 1023;
    uint64_t wide;
    double v;

    if (exponent == 0) { /* zero or subnormal: fraction * 2^-24 */
        v = (double)fraction * 0x1p-24;
        return sign != 0 ? -v : v;
    }
    if (exponent == 31) {
        wide = sign | UINT64_C(0x7ff) << 52 | fraction << 42;
    } else {
        wide = sign | (exponent + 1023 - 15) << 52 | fraction << 42;
    }
    memcpy(&v, &wide, sizeof v);
    return v;
}

static double single_to_double(uint64_t bits)
{
    const uint32_t low = (uint32_t)bits;
    float f;

    memcpy(&f, &low, sizeof f);
    return (double)f;
}

static double element_value(enum brim_element e, uint64_t bits)
{
    double v = 0.0;

    switch (e) {
    case BRIM_ELEMENT_U8:
    case BRIM_ELEMENT_U16:
    case BRIM_ELEMENT_U32:
    case BRIM_ELEMENT_U64:
        return (double)bits;
    case BRIM_ELEMENT_BOOL:
        return bits != 0 ? 1.0 : 0.0;
    case BRIM_ELEMENT_I8:
    case BRIM_ELEMENT_I16:
    case BRIM_ELEMENT_I32:
    case BRIM_ELEMENT_I64:
        return (double)sign_extend(bits, brim_element_size(e));
    case BRIM_ELEMENT_F16:
        return half_to_double(bits);
    case BRIM_ELEMENT_F32:
        return single_to_double(bits);
    case BRIM_ELEMENT_F64:
        memcpy(&v, &bits, sizeof v);
        return v;
    }
    return v;
}

void brim_array_convert(const struct brim_array *a, const uint8_t *p, size_t n, double *out)
{
    const size_t size = brim_element_size(a->element);

    if (a->element == BRIM_ELEMENT_U8) {
        for (size_t i = 0; i < n; i++) {
            out[i] = p[i];
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = element_value(a->element, load(p + i * size, size, a->big_endian));
    }
}

bool brim_array_integer(const struct brim_array *a, size_t i, int64_t *out)
{
    const size_t size = brim_element_size(a->element);
    const uint64_t bits = load(a->bytes + i * a->stride, size, a->big_endian);
    const double v = element_value(a->element, bits);

    if (a->element == BRIM_ELEMENT_I64) {
        *out = sign_extend(bits, size);
        return true;
    }
    if (a->element == BRIM_ELEMENT_U64) {
        *out = bits <= INT64_MAX ? (int64_t)bits : 0;
        return bits <= INT64_MAX;
    }
    if (!(v > -0x1p53 && v < 0x1p53) || (double)(int64_t)v != v) {
        return false;
    }
    *out = (int64_t)v;
    return true;
}
