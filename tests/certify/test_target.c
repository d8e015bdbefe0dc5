/* test_target.c - bounds on named targets against brute force, witnesses, real models.
 * SPDX-License-Identifier: Apache-2.0 */
#include "starving.h"

#include <time.h>

#include "base/intops.h"
#include "base/rng.h"
#include "brim/certify.h"
#include "brim/onnx.h"
#include "certify/prove_target.h"
#include "check/networks.h"

/* Seconds for a model of the size of a MobileNet; what a sanitizer or no optimisation adds is no
 * concern. */
#define LIMIT 1.0
#if !defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    undef LIMIT
#    define LIMIT 60.0
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#        undef LIMIT
#        define LIMIT 60.0
#    endif
#endif

static struct brim_dot small_dot(const int32_t *w, size_t n, size_t k)
{
    return (struct brim_dot){.name = "small",
                             .kind = BRIM_DOT_MATMUL,
                             .codes = true,
                             .n = n,
                             .k = k,
                             .groups = 1,
                             .w = w,
                             .w_dtype = BRIM_INT8,
                             .x_dtype = BRIM_UINT8,
                             .x_max = 255};
}

static const brim_target *find(brim_ctx *ctx, const char *name, brim_targets **table)
{
    static brim_target plain;
    const brim_target *t;

    ASSERT_OK(ctx, brim_targets_load(ctx, NULL, table));
    ASSERT_OK(ctx, brim_targets_find(ctx, *table, name, &plain, &t));
    return t;
}

static brim_target_layer prove(brim_ctx *ctx, struct brim_arena *arena, const brim_target *t,
                               const struct brim_dot *d)
{
    struct brim_layer_walk walk;
    brim_target_layer l;

    ASSERT_OK(ctx, brim_layer_walk(arena, t, d, &walk));
    ASSERT_OK(ctx, brim_prove_target(arena, &walk, &l));
    return l;
}

/* ---- brute force ---- */

struct trial {
    brim_target target;
    struct brim_dot dot;
    struct brim_layer_walk walk;
    int32_t w[8], x[8], slot_w[24], slot_x[24], order[24];
    bool overflows;
};

static void look(struct trial *t, const int32_t *w, const int32_t *x)
{
    int64_t scratch[48];
    brim_events seen;

    brim_datapath_dot(&t->target.datapath, w, x, t->walk.slots, scratch, &seen);
    t->overflows = t->overflows || seen.transient || seen.persistent;
}

/* Every order of the slots from `at` on. */
static void permute(struct trial *t, size_t at)
{
    const size_t n = t->walk.slots;
    int32_t w[24] = {0}, x[24] = {0};

    if (at == n) {
        for (size_t i = 0; i < n; i++) {
            w[i] = t->slot_w[t->order[i]];
            x[i] = t->slot_x[t->order[i]];
        }
        look(t, w, x);
        return;
    }
    for (size_t i = at; i < n; i++) {
        const int32_t a = t->order[at], b = t->order[i];
        t->order[at] = b;
        t->order[i] = a;
        permute(t, at + 1);
        t->order[at] = a;
        t->order[i] = b;
    }
}

static void try_all_inputs(struct trial *t, size_t k)
{
    if (k < t->dot.k) {
        for (int64_t x = t->dot.x_min; x <= t->dot.x_max; x++) {
            t->x[k] = (int32_t)x;
            try_all_inputs(t, k + 1);
        }
        return;
    }
    brim_walk_inputs(&t->walk, t->x, t->slot_x);
    for (size_t i = 0; i < t->walk.slots; i++) {
        t->order[i] = (int32_t)i;
    }
    if (t->target.any_order) {
        permute(t, 0);
    } else {
        look(t, t->slot_w, t->slot_x);
    }
}

static void a_layer_is_proven_exactly_when_nothing_overflows(void **state)
{
    static const int64_t least[] = {0, -1, 1, -3, 2};
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;
    size_t proven = 0, refuted = 0;

    (void)state;
    brim_rng_init(&rng, 7, 0);
    for (int round = 0; round < 4000; round++) {
#define PICK(n) ((int64_t)brim_rng_below(&rng, (uint64_t)(n)))
        struct trial t = {.overflows = false};
        struct brim_arena arena;
        brim_target_layer l;
        const uint32_t lanes = 1 + (uint32_t)PICK(2), tile = 1 + (uint32_t)PICK(3);
        const brim_mode mode = PICK(2) ? BRIM_MODE_SATURATE : BRIM_MODE_WRAP;

        t.target = (brim_target){.name = "t", .outside = 64, .any_order = PICK(3) == 0};
        t.target.datapath.n_stages = 1 + (size_t)PICK(3);
        if (t.target.any_order && t.target.datapath.n_stages == 3) {
            t.target.datapath.n_stages = 2;
        }
        for (size_t i = 0; i < t.target.datapath.n_stages; i++) {
            const bool last = i + 1 == t.target.datapath.n_stages;
            t.target.datapath.stage[i] = (brim_stage){.width = (uint8_t)(3 + PICK(3) + (int64_t)i),
                                                      .mode = mode,
                                                      .tile = last ? 0 : (i + 1) * tile};
        }
        t.target.input = (brim_operand){least[PICK(5)], 9, BRIM_FIT_RANGE};
        t.target.weight = (brim_operand){-9, 9, BRIM_FIT_RAW};
        t.target.matrix = (brim_walk){.pad_run = 1,
                                      .pad_end = 1 + (uint32_t)PICK(2),
                                      .lanes = t.target.datapath.n_stages > 1 ? lanes : 1};
        t.dot = small_dot(t.w, 1, 1 + (size_t)PICK(t.target.any_order ? 3 : 5));
        t.dot.x_max = 1 + PICK(2);
        for (size_t i = 0; i < t.dot.k; i++) {
            t.w[i] = (int32_t)PICK(7) - 3;
        }
        brim_arena_init(&arena, ctx);
        ASSERT_OK(ctx, brim_layer_walk(&arena, &t.target, &t.dot, &t.walk));
        assert_true(t.walk.slots <= 24);
        brim_walk_weights(&t.walk, 0, t.slot_w);
        try_all_inputs(&t, 0);
        ASSERT_OK(ctx, brim_prove_target(&arena, &t.walk, &l));
        assert_int_equal(l.proven, !t.overflows);
        assert_int_equal(l.witness == NULL, l.proven);
        assert_int_equal(l.channels_at_risk, t.overflows);
        proven += l.proven;
        refuted += !l.proven;
        brim_arena_free(&arena);
#undef PICK
    }
    assert_true(proven > 500 && refuted > 500);
    brim_ctx_free(ctx);
}

/* ---- vpmaddubsw ---- */

static void the_pair_rule_is_the_known_one(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_targets *table;
    const brim_target *t = find(ctx, "x86-maddubs", &table);
    struct brim_arena arena;

    (void)state;
    brim_arena_init(&arena, ctx);
    size_t unsafe = 0;
    int32_t w[2 * 256];
    for (int32_t a = -128; a < 128; a++) {
        for (int32_t b = -128; b < 128; b++) {
            w[2 * (size_t)(b + 128)] = a;
            w[2 * (size_t)(b + 128) + 1] = b;
        }
        const struct brim_dot d = small_dot(w, 256, 2);
        const brim_target_layer l = prove(ctx, &arena, t, &d);
        assert_int_equal(l.registers, 256);
        size_t want = 0;
        for (int32_t b = -128; b < 128; b++) {
            const int64_t up = brim_max_i64(a, 0) + brim_max_i64(b, 0);
            const int64_t down = brim_max_i64(-a, 0) + brim_max_i64(-b, 0);
            want += up > 128 || down > 128;
        }
        assert_int_equal(l.at_risk, want);
        unsafe += want;
    }
    assert_int_equal(unsafe, 16257); /* 24.8 % of all pairs */
    brim_arena_free(&arena);
    brim_targets_free(table);
    brim_ctx_free(ctx);
}

static void a_witness_names_what_meets(void **state)
{
    static const int32_t w[] = {1, 2, 127, 1, 0, 2, 3, 127};
    brim_ctx *ctx = testing_ctx(1);
    brim_targets *table;
    const brim_target *t = find(ctx, "x86-maddubs", &table);
    struct brim_arena arena;
    struct brim_dot d = small_dot(w, 1, 8);

    (void)state;
    brim_arena_init(&arena, ctx);
    d.x_dtype = BRIM_INT8;
    d.x_min = -128;
    d.x_max = 127;
    d.x_zero = -5;
    brim_target_layer l = prove(ctx, &arena, t, &d);
    assert_false(l.proven);
    assert_int_equal(l.registers, 4);
    assert_int_equal(l.at_risk, 1);
    assert_int_equal(l.worst_value, 255 * 130);
    assert_int_equal(l.need[0], 17);
    assert_int_equal(l.n_meet, 2);
    assert_int_equal(l.meet[0], 6);
    assert_int_equal(l.meet[1], 7);
    assert_int_equal(l.witness->x[5], -5); /* the others are 0.0 */
    assert_int_equal(l.witness->x[6], 127);
    assert_int_equal(l.witness->x[7], 127);
    brim_targets_free(table);
    t = find(ctx, "x86-maddubs-any", &table); /* any two: 127 and 127 */
    l = prove(ctx, &arena, t, &d);
    assert_int_equal(l.worst_value, 255 * 254);
    assert_int_equal(l.registers, 1);
    assert_int_equal(l.meet[0] + l.meet[1], 2 + 7);
    brim_arena_free(&arena);
    brim_targets_free(table);
    brim_ctx_free(ctx);
}

static void what_operands_cannot_hold_is_refuted(void **state)
{
    static const int32_t w[] = {127, 127};
    brim_ctx *ctx = testing_ctx(1);
    brim_targets *table;
    const brim_target *t = find(ctx, "wasm-relaxed", &table);
    struct brim_arena arena;
    struct brim_dot d = small_dot(w, 1, 2);

    (void)state;
    brim_arena_init(&arena, ctx);
    brim_target_layer l = prove(ctx, &arena, t, &d);
    assert_false(l.proven);
    assert_false(l.fits);
    assert_null(l.witness);
    d.x_max = 127; /* 7 bits: any weights */
    l = prove(ctx, &arena, t, &d);
    assert_true(l.proven);
    assert_int_equal(l.need[0], 16);
    brim_arena_free(&arena);
    brim_targets_free(table);
    brim_ctx_free(ctx);
}

static void what_is_looked_up_counts_correction_and_bias(void **state)
{
    static const int32_t w[] = {100}, bias[] = {8000};
    brim_ctx *ctx = testing_ctx(1);
    brim_targets *table;
    const brim_target *t = find(ctx, "tfhe16", &table);
    struct brim_arena arena;
    struct brim_dot d = small_dot(w, 1, 1);

    (void)state;
    brim_arena_init(&arena, ctx);
    assert_true(prove(ctx, &arena, t, &d).proven); /* 25500 */
    d.bias_q = bias;
    brim_target_layer l = prove(ctx, &arena, t, &d);
    assert_false(l.proven);
    assert_int_equal(l.outside_bits, 17);
    assert_int_equal(l.witness->stage, 1);
    assert_int_equal(l.witness->value, 33500);
    d.x_zero = 10; /* takes 1000 off */
    assert_true(prove(ctx, &arena, t, &d).proven);
    brim_arena_free(&arena);
    brim_targets_free(table);
    brim_ctx_free(ctx);
}

/* ---- models ---- */

static void certify_file(const char *path, const char *target, uint64_t registers, uint64_t at_risk,
                         size_t channels, size_t channels_at_risk)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_targets *table;
    const brim_target *t = find(ctx, target, &table);
    brim_graph *g;
    brim_target_report *r;
    uint64_t all = 0, bad = 0;
    size_t outputs = 0, bad_outputs = 0;

    ASSERT_OK(ctx, brim_onnx_load(ctx, path, &g));
    assert_int_equal(brim_certify_target(ctx, g, t, &r), BRIM_ERR_REFUTED);
    for (size_t i = 0; i < r->n_layers; i++) {
        const brim_target_layer *l = &r->layers[i];
        all += l->registers;
        bad += l->at_risk;
        outputs += l->wide ? 0 : l->n;
        bad_outputs += l->channels_at_risk;
        assert_int_equal(l->witness == NULL, l->proven);
    }
    assert_int_equal(all, registers);
    assert_int_equal(bad, at_risk);
    assert_int_equal(outputs, channels);
    assert_int_equal(bad_outputs, channels_at_risk);
    brim_target_report_free(r);
    brim_graph_free(g);
    brim_targets_free(table);
    brim_ctx_free(ctx);
}

/* As counted by a program of its own from the same files: 2.74 %, 85 %; 7.7 %, 86 %. */
static void real_models_have_the_pairs_that_others_count(void **state)
{
    (void)state;
    REQUIRE_DATA("mlperf-tiny/models/resnet8-cifar10-int8-qdq.onnx");
    certify_file(BRIM_DATA_DIR "/mlperf-tiny/models/resnet8-cifar10-int8-qdq.onnx", "x86-maddubs",
                 38672, 1058, 346, 294);
    certify_file(BRIM_DATA_DIR "/mlperf-tiny/models/dscnn-kws-int8-qdq.onnx", "x86-maddubs", 9856,
                 761, 332, 287);
}

/* Processor time: other programs may run as well. */
static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The layers of MobileNetV1 at full width: 4.2 million weights, with every kind of order. */
static void a_mobilenet_takes_less_than_a_second(void **state)
{
    static const size_t blocks[][2] = {
        {32, 64},   {64, 128},  {128, 128}, {128, 256}, {256, 256},  {256, 512},   {512, 512},
        {512, 512}, {512, 512}, {512, 512}, {512, 512}, {512, 1024}, {1024, 1024}, {1024, 1000}};
    brim_ctx *ctx = testing_ctx(1);
    struct brim_arena arena;
    struct brim_rng rng;
    brim_targets *table;
    int32_t *w;

    (void)state;
    brim_arena_init(&arena, ctx);
    brim_rng_init(&rng, 1, 0);
    w = brim_arena_alloc(&arena, (size_t)1 << 20, sizeof *w);
    assert_non_null(w);
    for (size_t i = 0; i < (size_t)1 << 20; i++) {
        w[i] = (int32_t)(brim_rng_u64(&rng) % 255) - 127;
    }
    ASSERT_OK(ctx, brim_targets_load(ctx, NULL, &table));
    for (size_t i = 0; i < brim_targets_count(table); i++) {
        const double start = now();
        size_t weights = 0;
        for (size_t b = 0; b < sizeof blocks / sizeof *blocks; b++) {
            const struct brim_dot d = small_dot(w, blocks[b][1], blocks[b][0]);
            (void)prove(ctx, &arena, brim_targets_at(table, i), &d);
            weights += d.n * d.k;
        }
        assert_true(weights > 4000000);
        print_message("%s: %.3f s\n", brim_targets_at(table, i)->name, now() - start);
        assert_true(now() - start < LIMIT);
    }
    brim_arena_free(&arena);
    brim_targets_free(table);
    brim_ctx_free(ctx);
}

static brim_status certify_network(brim_ctx *ctx, void *arg)
{
    const brim_target *target = arg;
    const struct qdq_network q = qdq_network_default();
    struct ob model;
    brim_graph *g = NULL;
    brim_target_report *r = NULL;

    qdq_network_build(&q, &model);
    brim_status s = brim_onnx_load_memory(ctx, model.data, model.n, &g);
    if (s == BRIM_OK) {
        s = brim_certify_target(ctx, g, target, &r);
        assert_int_equal(r != NULL, s == BRIM_ERR_REFUTED || s == BRIM_OK);
        s = s == BRIM_ERR_REFUTED ? BRIM_OK : s;
    }
    brim_target_report_free(r);
    brim_graph_free(g);
    return s;
}

static void every_allocation_may_fail(void **state)
{
    static const char *const names[] = {"x86-maddubs", "x86-maddubs-any", "tfhe16"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        brim_ctx *ctx = testing_ctx(1);
        brim_targets *table;
        brim_target t = *find(ctx, names[i], &table);
        assert_true(starving_try(certify_network, &t) > 10);
        brim_targets_free(table);
        brim_ctx_free(ctx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_layer_is_proven_exactly_when_nothing_overflows),
        cmocka_unit_test(the_pair_rule_is_the_known_one),
        cmocka_unit_test(a_witness_names_what_meets),
        cmocka_unit_test(what_operands_cannot_hold_is_refuted),
        cmocka_unit_test(what_is_looked_up_counts_correction_and_bias),
        cmocka_unit_test(real_models_have_the_pairs_that_others_count),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(a_mobilenet_takes_less_than_a_second),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
