/* test_certify.c - bounds against brute force, witnesses, the register outside, stale statements.
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/intops.h"
#include "brim/certify.h"
#include "brim/onnx.h"
#include "certify/prove.h"
#include "check/networks.h"

static struct brim_dot small_dot(const int32_t *w, size_t n, size_t k, int64_t x_min, int64_t x_max)
{
    return (struct brim_dot){.name = "small",
                             .codes = true,
                             .n = n,
                             .k = k,
                             .groups = 1,
                             .w = w,
                             .x_min = x_min,
                             .x_max = x_max};
}

static brim_datapath parse(brim_ctx *ctx, const char *text)
{
    brim_datapath dp;

    ASSERT_OK(ctx, brim_datapath_parse(ctx, text, &dp));
    return dp;
}

/* The extreme of any partial sum of any order, by trying every subset and every input. */
static void brute(const int32_t *w, size_t k, int64_t x_min, int64_t x_max, int64_t *lo,
                  int64_t *hi)
{
    *lo = *hi = 0;
    for (unsigned subset = 0; subset < 1u << k; subset++) {
        int64_t x[4] = {x_min, x_min, x_min, x_min};
        for (;;) {
            int64_t sum = 0;
            size_t i = 0;
            for (size_t j = 0; j < k; j++) {
                sum += (subset >> j & 1) != 0 ? w[j] * x[j] : 0;
            }
            *lo = brim_min_i64(*lo, sum);
            *hi = brim_max_i64(*hi, sum);
            while (i < k && x[i] == x_max) {
                x[i++] = x_min;
            }
            if (i == k) {
                break;
            }
            x[i]++;
        }
    }
}

static void the_bound_equals_brute_force(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int64_t ranges[][2] = {{0, 3}, {-2, 1}, {-4, 3}, {0, 0}};
    struct brim_arena arena;

    brim_arena_init(&arena, ctx);
    for (size_t r = 0; r < 4; r++) {
        for (int code = 0; code < 7 * 7 * 7; code++) {
            const int32_t w[3] = {code % 7 - 3, code / 7 % 7 - 3, code / 49 - 3};
            const struct brim_dot d = small_dot(w, 1, 3, ranges[r][0], ranges[r][1]);
            brim_certificate_layer l;
            int64_t lo, hi;
            brute(w, 3, ranges[r][0], ranges[r][1], &lo, &hi);
            const unsigned need = brim_width_of(lo, hi);
            for (unsigned width = 2; width <= 8; width++) {
                const brim_datapath dp = {.n_stages = 1, .stage = {{.width = (uint8_t)width}}};
                ASSERT_OK(ctx, brim_certify_layer(&arena, &d, &dp, &l));
                assert_int_equal(l.sum_min, lo);
                assert_int_equal(l.sum_max, hi);
                assert_int_equal(l.need[0], need);
                assert_int_equal(l.proven, need <= width);
                assert_int_equal(l.witness == NULL, l.proven);
            }
        }
    }
    brim_arena_free(&arena);
    brim_ctx_free(ctx);
}

static void the_a2q_plus_trap_is_refuted(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int32_t w[2] = {8, 8};
    const struct brim_dot d = small_dot(w, 1, 2, 0, 15);
    const brim_datapath dp = parse(ctx, "8");
    struct brim_arena arena;
    brim_certificate_layer l;

    brim_arena_init(&arena, ctx);
    ASSERT_OK(ctx, brim_certify_layer(&arena, &d, &dp, &l));
    assert_false(l.proven);
    assert_int_equal(l.need[0], 9);
    assert_int_equal(l.witness->value, 240);
    assert_int_equal(l.witness->x[0], 15);
    assert_int_equal(l.witness->x[1], 15);
    brim_arena_free(&arena);
    brim_ctx_free(ctx);
}

/* Rmin = -2^(P-1) fits P bits, Rmax = 2^(P-1) does not. */
static void twos_complement_is_not_symmetric(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int32_t down[2] = {-8, -8}, up[2] = {8, 8};
    const struct brim_dot low = small_dot(down, 1, 2, 0, 8), high = small_dot(up, 1, 2, 0, 8);
    const brim_datapath dp = parse(ctx, "8");
    struct brim_arena arena;
    brim_certificate_layer l;

    brim_arena_init(&arena, ctx);
    ASSERT_OK(ctx, brim_certify_layer(&arena, &low, &dp, &l));
    assert_true(l.proven);
    assert_int_equal(l.sum_min, -128);
    ASSERT_OK(ctx, brim_certify_layer(&arena, &high, &dp, &l));
    assert_false(l.proven);
    assert_int_equal(l.witness->value, 128);
    brim_arena_free(&arena);
    brim_ctx_free(ctx);
}

/* Signed inputs: the least code belongs to the witness. Later stages have witnesses too. */
static void witnesses_name_channel_and_stage(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int32_t w[2][6] = {{1, -1, 1, -1, 1, -1}, {7, 7, -7, -7, 7, 7}};
    const struct brim_dot d = small_dot(&w[0][0], 2, 6, -8, 7);
    struct brim_arena arena;
    brim_certificate_layer l;

    brim_arena_init(&arena, ctx);
    brim_datapath dp = parse(ctx, "7/2,16");
    ASSERT_OK(ctx, brim_certify_layer(&arena, &d, &dp, &l));
    assert_int_equal(l.need[0], 8);  /* 14 * -8 = -112 */
    assert_int_equal(l.need[1], 10); /* 28*7 + 14*8 = 308 or less */
    assert_int_equal(l.witness->channel, 1);
    assert_int_equal(l.witness->stage, 0);
    assert_int_equal(l.witness->value, 112); /* tile 1: -7, -7 by -8 */
    assert_int_equal(l.witness->x[0], 0);
    assert_int_equal(l.witness->x[2], -8);
    dp = parse(ctx, "8/2,9");
    ASSERT_OK(ctx, brim_certify_layer(&arena, &d, &dp, &l));
    assert_false(l.proven);
    assert_int_equal(l.witness->stage, 1);
    assert_true(l.witness->value > 255 || l.witness->value < -256);
    dp = parse(ctx, "8/2,10");
    ASSERT_OK(ctx, brim_certify_layer(&arena, &d, &dp, &l));
    assert_true(l.proven);
    assert_int_equal(l.worst_channel, 1);
    brim_arena_free(&arena);
    brim_ctx_free(ctx);
}

static void the_register_outside_is_part_of_the_statement(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int32_t w[2] = {100, 100};
    const int32_t fits[1] = {INT32_MAX - 200 * 245}, over[1] = {INT32_MAX - 200 * 245 + 1};
    struct brim_dot d = small_dot(w, 1, 2, 0, 255);
    const brim_datapath dp = parse(ctx, "32");
    struct brim_arena arena;
    brim_certificate_layer l;

    brim_arena_init(&arena, ctx);
    d.x_zero = 10; /* sum - 10*200 + bias <= 200*245 + bias */
    d.bias_q = fits;
    ASSERT_OK(ctx, brim_certify_layer(&arena, &d, &dp, &l));
    assert_true(l.proven);
    assert_int_equal(l.outside_bits, 32);
    d.bias_q = over;
    ASSERT_OK(ctx, brim_certify_layer(&arena, &d, &dp, &l));
    assert_false(l.proven);
    assert_int_equal(l.outside_bits, 33);
    assert_int_equal(l.witness->stage, 1);
    assert_true(l.witness->value == (int64_t)INT32_MAX + 1);
    d.x_zero = 256;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "zero point 256 lies outside",
                 brim_certify_layer(&arena, &d, &dp, &l));
    brim_arena_free(&arena);
    brim_ctx_free(ctx);
}

/* What leaves the datapath is bounded in 64-bit integers; a layer that exceeds them is refused. */
static void totals_beyond_63_bits_are_refused(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int32_t w[2] = {INT32_MAX, INT32_MAX};
    struct brim_dot d = small_dot(w, 1, 2, INT32_MIN, INT32_MAX);
    const brim_datapath dp = parse(ctx, "32");
    struct brim_arena arena;
    brim_certificate_layer l;

    brim_arena_init(&arena, ctx);
    d.x_zero = INT32_MIN;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "channel 0: sum, zero-point correction and bias exceed 63 bits",
                 brim_certify_layer(&arena, &d, &dp, &l));
    brim_arena_free(&arena);
    brim_ctx_free(ctx);
}

static brim_graph *load(brim_ctx *ctx, const struct qdq_network *q)
{
    struct ob model;
    brim_graph *g = NULL;

    qdq_network_build(q, &model);
    ASSERT_OK(ctx, brim_onnx_load_memory(ctx, model.data, model.n, &g));
    return g;
}

static void a_whole_network_is_certified(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const struct qdq_network q = qdq_network_default();
    brim_graph *g = load(ctx, &q);
    const brim_datapath wide = parse(ctx, "20"), narrow = parse(ctx, "12");
    brim_certificate *cert = NULL;

    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "declares no datapath", brim_certify(ctx, g, NULL, &cert));
    ASSERT_OK(ctx, brim_certify(ctx, g, &wide, &cert));
    assert_true(cert->proven);
    assert_int_equal(cert->n_layers, 2);
    const brim_certificate_layer *conv = &cert->layers[0], *fc = &cert->layers[1];
    assert_string_equal(conv->name, "conv");
    assert_int_equal(conv->groups, 2);
    assert_int_equal(conv->k, 4);
    assert_int_equal(conv->x_zero, 3);
    assert_int_equal(conv->sum_max, 255 * 130);
    assert_int_equal(conv->sum_min, -255 * 128);
    assert_int_equal(conv->worst_channel, 2);
    assert_int_equal(conv->need[0], 17);
    assert_string_equal(fc->name, "fc");
    assert_int_equal(fc->x_max, 15);
    assert_int_equal(fc->sum_max, 15 * 150);
    assert_int_equal(fc->need[0], 13);
    brim_certificate_free(cert);
    ASSERT_FAILS(ctx, BRIM_ERR_REFUTED, "layer 'conv', channel 0, stage 1: a sum reaches 3060",
                 brim_certify(ctx, g, &narrow, &cert));
    assert_non_null(cert);
    brim_certificate_free(cert);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

static void a_network_is_refuted_outside_its_datapath(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    struct qdq_network q = qdq_network_default();
    const brim_datapath wide = parse(ctx, "32");
    brim_certificate *cert = NULL;

    q.conv_b[3] = INT32_MIN;
    brim_graph *g = load(ctx, &q);
    ASSERT_FAILS(ctx, BRIM_ERR_REFUTED,
                 "layer 'conv', channel 3: sum, zero-point correction and bias reach -2147483675, "
                 "which needs 33 bits, expected at most 32 outside the datapath",
                 brim_certify(ctx, g, &wide, &cert));
    assert_int_equal(cert->layers[0].witness->stage, 1);
    brim_certificate_free(cert);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

static void statements_must_be_complete(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    struct qdq_network q = qdq_network_default();
    const brim_datapath wide = parse(ctx, "20");
    brim_certificate *cert = NULL;
    static const char *const incomplete[] = {"{\"datapath\":\"20\"}",
                                             "{\"datapath\":\"20\",\"codes\":7}"};

    for (size_t i = 0; i < 2; i++) {
        q.fc_metadata = incomplete[i];
        brim_graph *g = load(ctx, &q);
        ASSERT_FAILS(ctx, BRIM_ERR_FILE, "layer 'fc': metadata has no hash of the codes",
                     brim_certify(ctx, g, &wide, &cert));
        assert_null(cert);
        brim_graph_free(g);
    }
    brim_ctx_free(ctx);
}

/* The hash that a fresh certificate finds is accepted; one changed weight makes it stale. */
static void stale_statements_are_errors(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    struct qdq_network q = qdq_network_default();
    const brim_datapath wide = parse(ctx, "20");
    brim_certificate *cert = NULL;
    char text[256];

    brim_graph *g = load(ctx, &q);
    ASSERT_OK(ctx, brim_certify(ctx, g, &wide, &cert));
    snprintf(text, sizeof text,
             "{\"datapath\":\"16\",\"k\":4,\"n\":3,\"x_min\":0,\"x_max\":15,\"need\":[13],"
             "\"codes\":\"%s\"}",
             cert->layers[1].hash);
    brim_certificate_free(cert);
    brim_graph_free(g);
    q.fc_metadata = text;
    g = load(ctx, &q);
    ASSERT_OK(ctx, brim_certify(ctx, g, &wide, &cert));
    brim_certificate_free(cert);
    brim_graph_free(g);
    q.fc_w[0]++;
    g = load(ctx, &q);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "layer 'fc': codes or ranges changed after quantization",
                 brim_certify(ctx, g, &wide, &cert));
    assert_null(cert);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

static void the_json_is_stable_and_complete(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "name",     "k",    "n",       "groups", "x_min",        "x_max", "x_zero",
        "datapath", "need", "verdict", "worst",  "outside_bits", "codes", "witness"};
    brim_ctx *ctx = testing_ctx(1);
    const struct qdq_network q = qdq_network_default();
    brim_graph *g = load(ctx, &q);
    const brim_datapath narrow = parse(ctx, "12");
    brim_certificate *cert = NULL;
    char *a = NULL, *b = NULL;
    size_t i = 0;
    const char *key;
    json_t *value;

    assert_int_equal(brim_certify(ctx, g, &narrow, &cert), BRIM_ERR_REFUTED);
    ASSERT_OK(ctx, brim_certificate_json(ctx, cert, &a));
    ASSERT_OK(ctx, brim_certificate_json(ctx, cert, &b));
    assert_string_equal(a, b);
    json_t *root = json_loads(a, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    assert_int_equal(json_integer_value(json_object_get(root, "brim_certificate")), 1);
    assert_string_equal(json_string_value(json_object_get(root, "verdict")), "refuted");
    json_t *layer = json_array_get(json_object_get(root, "layers"), 0);
    json_object_foreach(layer, key, value)
    {
        assert_true(i < sizeof keys / sizeof *keys);
        assert_string_equal(key, keys[i++]);
    }
    assert_int_equal(i, sizeof keys / sizeof *keys);
    json_decref(root);
    brim_json_free(a);
    brim_json_free(b);
    brim_certificate_free(cert);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

/* Allocations left before one fails; SIZE_MAX = never. */
struct budget {
    size_t left;
};

static void *limited_alloc(void *user, size_t bytes)
{
    struct budget *b = user;

    if (b->left == 0) {
        return NULL;
    }
    b->left -= b->left == SIZE_MAX ? 0 : 1;
    return malloc(bytes);
}

static void limited_free(void *user, void *p)
{
    (void)user;
    free(p);
}

/* Fail the first allocation, the second ... until certifying succeeds: each time "out of memory",
 * never a verdict. Leaks show under the sanitizers. */
static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    struct budget budget = {SIZE_MAX};
    const struct qdq_network q = qdq_network_default();
    brim_ctx_params p;
    brim_ctx *ctx;
    size_t n = 0;

    brim_ctx_params_init(&p);
    p.alloc = limited_alloc;
    p.free = limited_free;
    p.user = &budget;
    assert_int_equal(brim_ctx_create(&p, &ctx), BRIM_OK);
    brim_graph *g = load(ctx, &q);
    const brim_datapath narrow = parse(ctx, "12");
    for (bool done = false; !done; n++) {
        brim_certificate *cert = NULL;
        char *json = NULL;
        budget.left = n;
        brim_status s = brim_certify(ctx, g, &narrow, &cert);
        if (s == BRIM_ERR_REFUTED) {
            s = brim_certificate_json(ctx, cert, &json);
            done = s == BRIM_OK;
        }
        budget.left = SIZE_MAX;
        if (!done) {
            assert_int_equal(s, BRIM_ERR_NOMEM);
            assert_string_not_equal(brim_error(ctx), "");
        } else {
            brim_json_free(json);
        }
        brim_certificate_free(cert);
        brim_clear_error(ctx);
    }
    assert_true(n > 4);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bound_equals_brute_force),
        cmocka_unit_test(the_a2q_plus_trap_is_refuted),
        cmocka_unit_test(twos_complement_is_not_symmetric),
        cmocka_unit_test(witnesses_name_channel_and_stage),
        cmocka_unit_test(the_register_outside_is_part_of_the_statement),
        cmocka_unit_test(totals_beyond_63_bits_are_refused),
        cmocka_unit_test(a_whole_network_is_certified),
        cmocka_unit_test(a_network_is_refuted_outside_its_datapath),
        cmocka_unit_test(statements_must_be_complete),
        cmocka_unit_test(stale_statements_are_errors),
        cmocka_unit_test(the_json_is_stable_and_complete),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
