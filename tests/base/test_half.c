/* test_half.c - 16-bit floats, against their definition. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "testing.h"

#include "base/half.h"
#include "base/rng.h"

/* A binary16 pattern by its definition. */
static double half_value(uint16_t h)
{
    const int exponent = h >> 10 & 31, fraction = h & 1023;
    const double sign = (h & 0x8000) != 0 ? -1 : 1;

    if (exponent == 31) {
        return fraction != 0 ? (double)NAN : sign * (double)INFINITY;
    }
    return exponent == 0 ? sign * ldexp(fraction, -24)
                         : sign * ldexp(1024 + fraction, exponent - 25);
}

static void test_half_widens_exactly(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        const double want = half_value((uint16_t)h);
        const float got = brim_half_to_float((uint16_t)h);
        if (isnan(want)) {
            assert_true(isnan(got));
            assert_true(isnan(half_value(brim_half_from_float(got))));
        } else {
            assert_true((double)got == want && !signbit(got) == !signbit(want));
            assert_int_equal(brim_half_from_float(got), h);
        }
    }
}

/* Between neighbours: below the middle down, above it up, in the middle to the even one. */
static void test_half_rounds_to_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7c00; h++) {
        const double lo = half_value((uint16_t)h);
        const double hi = h == 0x7bff ? 65536 : half_value((uint16_t)(h + 1));
        const float middle = (float)((lo + hi) / 2);
        const uint32_t even = (h & 1) == 0 ? h : h + 1;
        assert_int_equal(brim_half_from_float(middle), even);
        assert_int_equal(brim_half_from_float(nextafterf(middle, 0)), h);
        assert_int_equal(brim_half_from_float(nextafterf(middle, INFINITY)), h + 1);
        assert_int_equal(brim_half_from_float(-middle), 0x8000 | even);
    }
    assert_int_equal(brim_half_from_float(1e30F), 0x7c00);
    assert_int_equal(brim_half_from_float(-INFINITY), 0xfc00);
}

static void test_bfloat_rounds_to_even(void **state)
{
    (void)state;
    for (uint32_t b = 0; b < 0x7f7f; b++) {
        const uint32_t middle = b << 16 | 0x8000;
        assert_int_equal(brim_bfloat_from_float(brim_bfloat_to_float((uint16_t)b)), b);
        assert_int_equal(brim_bfloat_from_float(brim_bits_float(middle)), (b & 1) == 0 ? b : b + 1);
        assert_int_equal(brim_bfloat_from_float(brim_bits_float(middle - 1)), b);
        assert_int_equal(brim_bfloat_from_float(brim_bits_float(middle + 1)), b + 1);
    }
    assert_true(isnan(brim_bfloat_to_float(brim_bfloat_from_float(NAN))));
    assert_int_equal(brim_bfloat_from_float(3.4e38F), 0x7f80);
}

/* A double just off a tie of float16 must not be moved onto it by the step through float. */
static void test_double_to_half_rounds_once(void **state)
{
    (void)state;
    struct brim_rng rng;

    brim_rng_init(&rng, 7, 0);
    for (int i = 0; i < 20000; i++) {
        const uint16_t h = (uint16_t)brim_rng_below(&rng, 0x7bff);
        const double lo = half_value(h), hi = half_value((uint16_t)(h + 1));
        const double tie = (lo + hi) / 2, off = (hi - lo) * 0x1p-30;
        assert_int_equal(brim_half_from_float(brim_float_to_odd(tie - off)), h);
        assert_int_equal(brim_half_from_float(brim_float_to_odd(tie + off)), h + 1);
        assert_int_equal(brim_half_from_float(brim_float_to_odd(-tie - off)), 0x8000 | (h + 1));
        assert_int_equal(brim_half_from_float(brim_float_to_odd(-tie + off)), 0x8000 | h);
    }
    assert_true(isinf(brim_float_to_odd(1e300)));
    assert_true(brim_float_to_odd(1.0) == 1.0F);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_widens_exactly),
        cmocka_unit_test(test_half_rounds_to_even),
        cmocka_unit_test(test_bfloat_rounds_to_even),
        cmocka_unit_test(test_double_to_half_rounds_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
