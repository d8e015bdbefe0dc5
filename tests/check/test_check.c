/* test_check.c - brim-check agrees with brim, and with nothing else. SPDX-License-Identifier:
 * Apache-2.0 */
#include "testing.h"

#include <jansson.h>
#include <stdlib.h>

#include "brim/certify.h"
#include "brim/onnx.h"
#include "check/check.h"
#include "check/networks.h"

/* What brim says about a model: a certificate, to be released with brim_json_free(). */
static char *certificate_of(const struct ob *model, const char *datapath)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_graph *g = NULL;
    brim_certificate *cert = NULL;
    brim_datapath dp;
    char *json = NULL;

    ASSERT_OK(ctx, brim_datapath_parse(ctx, datapath, &dp));
    ASSERT_OK(ctx, brim_onnx_load_memory(ctx, model->data, model->n, &g));
    const brim_status s = brim_certify(ctx, g, &dp, &cert);
    if (s != BRIM_ERR_REFUTED) {
        ASSERT_OK(ctx, s);
    }
    ASSERT_OK(ctx, brim_certificate_json(ctx, cert, &json));
    brim_certificate_free(cert);
    brim_graph_free(g);
    brim_ctx_free(ctx);
    return json;
}

/* Check, and require this verdict and a reason that holds `text`. */
static void expect(const struct ob *model, const char *json, enum verdict verdict, const char *text)
{
    struct check c = {0};

    check_certificate(&c, model->data, model->n, json, strlen(json));
    if (c.verdict != verdict || strstr(c.reason, text) == NULL) {
        fail_msg("verdict %d, \"%s\"; expected %d, \"%s\"", (int)c.verdict, c.reason, (int)verdict,
                 text);
    }
    check_free(&c);
}

static void both_programs_agree(void **state)
{
    (void)state;
    const struct qdq_network q = qdq_network_default();
    struct ob model;

    qdq_network_build(&q, &model);
    const char *const safe[] = {"17", "32", "17/2,18", "16/1,20s", "20q", "17/2s,17/4g,24"};
    for (size_t i = 0; i < sizeof safe / sizeof *safe; i++) {
        char *json = certificate_of(&model, safe[i]);
        expect(&model, json, VERDICT_PROVEN, "");
        brim_json_free(json);
    }
    const char *const unsafe[] = {"16", "8", "15/2,32", "20/2,16", "2"};
    for (size_t i = 0; i < sizeof unsafe / sizeof *unsafe; i++) {
        char *json = certificate_of(&model, unsafe[i]);
        expect(&model, json, VERDICT_REFUSED, "refuted, as the certificate says");
        brim_json_free(json);
    }
}

static void integer_operators_too(void **state)
{
    (void)state;
    struct ob model;

    integer_network_build(&model);
    char *json = certificate_of(&model, "24");
    expect(&model, json, VERDICT_PROVEN, "");
    brim_json_free(json);
    json = certificate_of(&model, "12/3,20");
    expect(&model, json, VERDICT_REFUSED, "refuted, as the certificate says");
    brim_json_free(json);
}

/* A certificate with one value of one layer replaced. */
static char *tampered(const char *json, size_t layer, const char *key, json_t *value)
{
    json_t *root = json_loads(json, 0, NULL);
    json_t *o = json_array_get(json_object_get(root, "layers"), layer);

    if (strchr(key, '.') != NULL) {
        o = json_object_get(o, "worst");
        key = strchr(key, '.') + 1;
    }
    assert_int_equal(json_object_set_new(o, key, value), 0);
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

static void every_changed_value_is_refused(void **state)
{
    (void)state;
    const struct {
        const char *key, *text;
        json_t *value;
    } changes[] = {
        {"k", "the model's k is 4", json_integer(5)},
        {"n", "the model's n is 4", json_integer(3)},
        {"groups", "the model's groups is 2", json_integer(1)},
        {"x_min", "the model's x_min is 0", json_integer(-1)},
        {"x_max", "the model's x_max is 255", json_integer(254)},
        {"x_zero", "the model's x_zero is 3", json_integer(0)},
        {"need", "stage 1 needs 17 bits, the certificate says 16", json_pack("[i]", 16)},
        {"need", "not one width for each of 1 stages", json_pack("[i,i]", 17, 17)},
        {"datapath", "the model's verdict is 'refuted'", json_string("16")},
        {"datapath", "is not a datapath", json_string("16/0")},
        {"worst.channel", "the model's channel is 2", json_integer(1)},
        {"worst.sum_min", "the model's sum_min is -32640", json_integer(-1)},
        {"worst.sum_max", "the model's sum_max is 33150", json_integer(1)},
        {"outside_bits", "the model's outside_bits is 17", json_integer(18)},
        {"verdict", "the model's verdict is 'proven'", json_string("refuted")},
        {"codes", "the model's codes is", json_string("00")},
        {"name", "the certificate has 'other' in its place", json_string("other")},
    };
    const struct qdq_network q = qdq_network_default();
    struct ob model;

    qdq_network_build(&q, &model);
    char *json = certificate_of(&model, "20");
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char *bad = tampered(json, 0, changes[i].key, changes[i].value);
        expect(&model, bad, VERDICT_REFUSED, changes[i].text);
        expect(&model, bad, VERDICT_REFUSED, "layer 'conv'");
        free(bad);
    }
    char *missing = tampered(json, 1, "k", json_null());
    expect(&model, missing, VERDICT_ERROR, "layer 'fc': \"k\" is missing");
    free(missing);
    brim_json_free(json);
}

static void every_changed_model_is_refused(void **state)
{
    (void)state;
    const struct qdq_network q = qdq_network_default();
    struct qdq_network other;
    struct ob model;

    qdq_network_build(&q, &model);
    char *json = certificate_of(&model, "20");
    for (size_t i = 0; i < 16; i++) {
        other = q;
        other.conv_w[i] ^= 1;
        qdq_network_build(&other, &model);
        expect(&model, json, VERDICT_REFUSED, "layer 'conv': the model's codes is");
    }
    other = q;
    other.x_clip = 16;
    qdq_network_build(&other, &model);
    expect(&model, json, VERDICT_REFUSED, "layer 'fc': the model's codes is");
    other = q;
    other.x_zero = 4;
    qdq_network_build(&other, &model);
    expect(&model, json, VERDICT_REFUSED, "layer 'conv': the model's codes is");
    other = q;
    other.conv_b[0] = INT32_MAX;
    qdq_network_build(&other, &model);
    expect(&model, json, VERDICT_REFUSED, "layer 'conv': the model's outside_bits is 33");
    brim_json_free(json);
}

static void layers_may_be_neither_missing_nor_extra(void **state)
{
    (void)state;
    const struct qdq_network q = qdq_network_default();
    struct ob model, integer;

    qdq_network_build(&q, &model);
    integer_network_build(&integer);
    char *json = certificate_of(&model, "20");
    json_t *root = json_loads(json, 0, NULL);
    json_t *list = json_object_get(root, "layers");
    json_array_append_new(list, json_deep_copy(json_array_get(list, 1)));
    char *extra = json_dumps(root, 0);
    expect(&model, extra, VERDICT_REFUSED, "layer 'fc': the model has no such integer layer");
    json_array_remove(list, 2);
    json_array_remove(list, 1);
    char *less = json_dumps(root, 0);
    expect(&model, less, VERDICT_REFUSED, "layer 'fc': the certificate leaves it out");
    expect(&integer, json, VERDICT_REFUSED, "layer 'qconv': the certificate has 'conv'");
    free(extra);
    free(less);
    json_decref(root);
    brim_json_free(json);
}

static void the_models_own_statement_is_held_against_it(void **state)
{
    (void)state;
    struct qdq_network q = qdq_network_default();
    struct ob model;
    struct check c = {0};
    char text[200];

    qdq_network_build(&q, &model);
    char *json = certificate_of(&model, "20");
    json_t *root = json_loads(json, 0, NULL);
    const char *codes = json_string_value(
        json_object_get(json_array_get(json_object_get(root, "layers"), 1), "codes"));
    snprintf(text, sizeof text, "{\"datapath\":\"16\",\"codes\":\"%s\"}", codes);
    q.fc_metadata = text;
    qdq_network_build(&q, &model);
    assert_true(check_certificate(&c, model.data, model.n, json, strlen(json)));
    assert_string_equal(c.note, "layer 'fc': the certificate is about datapath 20, the model "
                                "declares 16");
    check_free(&c);
    q.fc_metadata = "{\"datapath\":\"20\",\"codes\":\"00\"}";
    qdq_network_build(&q, &model);
    expect(&model, json, VERDICT_REFUSED, "layer 'fc': codes or ranges changed");
    q.fc_metadata = "{\"datapath\":";
    qdq_network_build(&q, &model);
    expect(&model, json, VERDICT_ERROR, "layer 'fc': the model's metadata is malformed");
    q.fc_metadata = NULL;
    qdq_network_build(&q, &model);
    ob_metadata(&model, "brim.layer.ghost", "{}");
    expect(&model, json, VERDICT_REFUSED, "no such integer layer");
    json_decref(root);
    brim_json_free(json);
}

static void a_refutation_needs_a_true_witness(void **state)
{
    (void)state;
    const struct qdq_network q = qdq_network_default();
    struct ob model;

    qdq_network_build(&q, &model);
    char *json = certificate_of(&model, "12");
    json_t *root = json_loads(json, 0, NULL);
    json_t *w = json_object_get(json_array_get(json_object_get(root, "layers"), 0), "witness");
    assert_int_equal(json_integer_value(json_object_get(w, "value")), 3060);
    json_object_set_new(w, "value", json_integer(3061));
    char *bad = json_dumps(root, 0);
    expect(&model, bad, VERDICT_REFUSED, "the witness does not overflow");
    free(bad);
    json_object_set_new(w, "value", json_integer(3060));
    json_array_set_new(json_object_get(w, "x"), 0, json_integer(256));
    bad = json_dumps(root, 0);
    expect(&model, bad, VERDICT_REFUSED, "input 0 of the witness is outside 0..255");
    free(bad);
    json_decref(root);
    brim_json_free(json);
}

static size_t read_file(const char *path, uint8_t **data)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    const long n = ftell(f);
    assert_true(n > 0);
    rewind(f);
    *data = malloc((size_t)n);
    assert_non_null(*data);
    assert_int_equal(fread(*data, 1, (size_t)n, f), (size_t)n);
    fclose(f);
    return (size_t)n;
}

static void expect_agreement(const char *path, const char *datapath)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_graph *g = NULL;
    brim_certificate *cert = NULL;
    brim_datapath dp;
    struct check c = {0};
    char *json = NULL;
    uint8_t *data = NULL;

    ASSERT_OK(ctx, brim_datapath_parse(ctx, datapath, &dp));
    ASSERT_OK(ctx, brim_onnx_load(ctx, path, &g));
    const brim_status s = brim_certify(ctx, g, &dp, &cert);
    assert_true(s == BRIM_OK || s == BRIM_ERR_REFUTED);
    ASSERT_OK(ctx, brim_certificate_json(ctx, cert, &json));
    const size_t n = read_file(path, &data);
    check_certificate(&c, data, n, json, strlen(json));
    assert_string_equal(c.reason, s == BRIM_OK ? "" : "refuted, as the certificate says");
    check_free(&c);
    free(data);
    brim_json_free(json);
    brim_certificate_free(cert);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

/* int8 models of another maker (QuantizeLinear/DequantizeLinear converted from TFLite). */
static void both_agree_on_other_peoples_models(void **state)
{
    (void)state;
    static const char *const datapath[] = {"24", "20", "16/2s,32", "17/16,20/64,24"};
    static const char *const model[] = {"resnet8-cifar10", "dscnn-kws", "ad-autoencoder"};
    char path[512];

    REQUIRE_DATA("mlperf-tiny/models/resnet8-cifar10-int8-qdq.onnx");
    for (size_t i = 0; i < sizeof model / sizeof *model; i++) {
        for (size_t j = 0; j < sizeof datapath / sizeof *datapath; j++) {
            snprintf(path, sizeof path, "%s/mlperf-tiny/models/%s-int8-qdq.onnx", BRIM_DATA_DIR,
                     model[i]);
            expect_agreement(path, datapath[j]);
        }
    }
}

/* Every truncation and many mutations: an answer, never a crash; and never "proven" for a
 * truncated model. */
static void hostile_bytes_get_an_answer(void **state)
{
    (void)state;
    const struct qdq_network q = qdq_network_default();
    struct ob model;

    qdq_network_build(&q, &model);
    char *json = certificate_of(&model, "20");
    for (size_t n = 0; n < model.n; n++) {
        struct check c = {0};
        struct ob *part = malloc(sizeof *part);
        assert_non_null(part);
        memcpy(part->data, model.data, n);
        check_certificate(&c, part->data, n, json, strlen(json));
        free(part);
        check_free(&c);
    }
    for (size_t n = 0; n + 1 < strlen(json); n++) {
        struct check c = {0};
        assert_false(check_certificate(&c, model.data, model.n, json, n));
        check_free(&c);
    }
    for (size_t i = 0; i < model.n; i++) {
        for (unsigned flip = 1; flip < 256; flip *= 4) {
            struct check c = {0};
            model.data[i] ^= (uint8_t)flip;
            check_certificate(&c, model.data, model.n, json, strlen(json));
            model.data[i] ^= (uint8_t)flip;
            check_free(&c);
        }
    }
    brim_json_free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_programs_agree),
        cmocka_unit_test(integer_operators_too),
        cmocka_unit_test(every_changed_value_is_refused),
        cmocka_unit_test(every_changed_model_is_refused),
        cmocka_unit_test(layers_may_be_neither_missing_nor_extra),
        cmocka_unit_test(the_models_own_statement_is_held_against_it),
        cmocka_unit_test(a_refutation_needs_a_true_witness),
        cmocka_unit_test(both_agree_on_other_peoples_models),
        cmocka_unit_test(hostile_bytes_get_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
