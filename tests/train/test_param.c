/* test_param.c - the list of what training learns. SPDX-License-Identifier: Apache-2.0 */
#include "starving.h"
#include "train/param.h"

static void adds_zeroed_parameters_that_stay_where_they_are(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_params p;
    struct brim_param *first;

    (void)state;
    brim_params_init(&p, ctx);
    first = brim_params_add(&p, "conv1", "weight", 5);
    assert_non_null(first);
    for (size_t i = 1; i < 100; i++) {
        assert_non_null(brim_params_add(&p, "more", "bias", i));
    }
    assert_int_equal(p.count, 100);
    assert_ptr_equal(p.param[0], first);
    assert_string_equal(first->name, "conv1.weight");
    assert_true(first->learned && !first->decay);
    assert_float_equal(first->rate, 1, 0);
    for (size_t i = 0; i < 5; i++) {
        assert_float_equal(first->value[i], 0, 0);
        assert_float_equal(first->grad[i], 0, 0);
        first->value[i] = first->grad[i] = 3;
    }
    brim_params_zero_grad(&p);
    assert_float_equal(first->grad[4], 0, 0);
    assert_float_equal(first->value[4], 3, 0);
    brim_params_free(&p);
    brim_ctx_free(ctx);
}

static brim_status add_some(brim_ctx *ctx, void *arg)
{
    struct brim_params p;
    brim_status s = BRIM_OK;

    (void)arg;
    brim_params_init(&p, ctx);
    for (size_t i = 0; i < 40 && s == BRIM_OK; i++) {
        s = brim_params_add(&p, "layer", "weight", 3000) != NULL ? BRIM_OK : BRIM_ERR_NOMEM;
    }
    brim_params_free(&p);
    return s;
}

static void running_out_of_memory_is_refused(void **state)
{
    (void)state;
    assert_true(starving_try(add_some, NULL) > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adds_zeroed_parameters_that_stay_where_they_are),
        cmocka_unit_test(running_out_of_memory_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
