/* test_semantics.c - recompute every row of every table of docs/semantics.md, with the library and
 * with the oracle. SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdlib.h>

#include "base/intops.h"
#include "brim/datapath.h"
#include "oracle/datapath_oracle.h"

#define MAX_CELLS 8
#define MAX_K     8

struct row {
    size_t n;
    char cell[MAX_CELLS][96]; /* trimmed, without backquotes */
};

/* The integers of a cell, separated by anything. */
static size_t numbers(const char *cell, int32_t out[MAX_K])
{
    size_t n = 0;
    char *end;

    while (*cell != '\0') {
        const long v = strtol(cell, &end, 10);

        if (end == cell) {
            cell++;
            continue;
        }
        assert_true(n < MAX_K);
        out[n++] = (int32_t)v;
        cell = end;
    }
    return n;
}

static long number(const char *cell)
{
    int32_t v[MAX_K];

    assert_int_equal(numbers(cell, v), 1);
    return v[0];
}

static bool split(const char *line, struct row *row)
{
    row->n = 0;
    if (*line != '|') {
        return false;
    }
    for (const char *p = line + 1; *p != '\0' && *p != '\n';) {
        size_t n = 0;

        assert_true(row->n < MAX_CELLS);
        char *cell = row->cell[row->n++];
        for (; *p != '|'; p++) {
            assert_true(*p != '\0' && n + 1 < sizeof row->cell[0]);
            if (*p != '`' && (*p != ' ' || n > 0)) {
                cell[n++] = *p;
            }
        }
        while (n > 0 && cell[n - 1] == ' ') {
            n--;
        }
        cell[n] = '\0';
        p++;
    }
    return true;
}

/* | datapath | products | result | events | needs | */
static void check_sum(brim_ctx *ctx, const struct row *r)
{
    const int32_t one[MAX_K] = {1, 1, 1, 1, 1, 1, 1, 1};
    int32_t w[MAX_K];
    int64_t scratch[2 * MAX_K];
    brim_datapath dp;
    brim_events ev;
    struct oracle_events oracle;
    char events[64];
    const size_t k = numbers(r->cell[1], w);

    ASSERT_OK(ctx, brim_datapath_parse(ctx, r->cell[0], &dp));
    const int64_t value = brim_datapath_dot(&dp, w, one, k, scratch, &ev);
    (void)snprintf(events, sizeof events, "%s%s%s%s", ev.transient ? "transient" : "",
                   ev.persistent ? "persistent" : "",
                   ev.product && (ev.transient || ev.persistent) ? " " : "",
                   ev.product ? "product" : "");
    if (value != number(r->cell[2]) || strcmp(events, r->cell[3]) != 0 ||
        ev.min_width != number(r->cell[4])) {
        fail_msg("%s of %s: got %lld, '%s', %u", r->cell[0], r->cell[1], (long long)value, events,
                 ev.min_width);
    }
    assert_int_equal(oracle_dot(r->cell[0], w, one, k, &oracle), value);
    assert_true(oracle.transient == ev.transient && oracle.persistent == ev.persistent &&
                oracle.product == ev.product && oracle.min_width == ev.min_width);
}

/* | vectors of | factors | datapath | products | result | events | needs outside | */
static void check_scaled(brim_ctx *ctx, const struct row *r)
{
    const int32_t one[MAX_K] = {1, 1, 1, 1, 1, 1, 1, 1};
    int32_t w[MAX_K], listed[MAX_K];
    uint32_t factor[MAX_K];
    int64_t scratch[2 * MAX_K];
    unsigned need[BRIM_MAX_STAGES];
    brim_datapath dp;
    brim_events ev;
    struct oracle_events oracle;
    const size_t k = numbers(r->cell[3], w), n = numbers(r->cell[1], listed);
    const brim_factors factors = {(uint64_t)number(r->cell[0]), factor};

    for (size_t i = 0; i < n; i++) {
        factor[i] = (uint32_t)listed[i];
    }
    ASSERT_OK(ctx, brim_datapath_parse(ctx, r->cell[2], &dp));
    assert_int_equal(n, (k + factors.vector - 1) / factors.vector);
    assert_int_equal(brim_datapath_dot_scaled(&dp, &factors, w, one, k, scratch, &ev),
                     number(r->cell[4]));
    assert_string_equal(r->cell[5], ev.transient ? "transient" : ev.persistent ? "persistent" : "");
    ASSERT_OK(ctx, brim_datapath_need_scaled(ctx, &dp, &factors, w, k, 0, 1, need, NULL));
    assert_int_equal(need[dp.n_stages - 1], number(r->cell[6]));
    assert_int_equal(oracle_dot_scaled(r->cell[2], factors.vector, factor, w, one, k, &oracle),
                     number(r->cell[4]));
    assert_true(oracle.transient == ev.transient && oracle.persistent == ev.persistent);
}

/* | weight scale | input scale | bits | kept | factor | */
static void check_product(const struct row *r)
{
    assert_int_equal(brim_scale_product((uint32_t)number(r->cell[0]), (uint32_t)number(r->cell[1]),
                                        (unsigned)number(r->cell[2]), (unsigned)number(r->cell[3])),
                     number(r->cell[4]));
}

/* | w | x | x_zero | bias_q | total | acc | */
static void check_acc(const struct row *r)
{
    int32_t w[MAX_K], x[MAX_K];
    const size_t k = numbers(r->cell[0], w);
    const long zero = number(r->cell[2]), bias = number(r->cell[3]);
    int64_t total = 0, sum = 0, direct = bias;

    assert_int_equal(numbers(r->cell[1], x), k);
    for (size_t i = 0; i < k; i++) {
        total += (int64_t)w[i] * x[i];
        sum += w[i];
        direct += w[i] * (x[i] - zero);
    }
    assert_int_equal(total, number(r->cell[4]));
    assert_int_equal(total - zero * sum + bias, number(r->cell[5]));
    assert_int_equal(direct, number(r->cell[5])); /* oracle 21: folding is an identity */
}

/* | w | x_min | x_max | datapath | need | witness of stage 1 | reaches | */
static void check_need(brim_ctx *ctx, const struct row *r)
{
    int32_t w[MAX_K], need_want[MAX_K], x_want[MAX_K], x[MAX_K];
    const size_t k = numbers(r->cell[0], w);
    const long x_min = number(r->cell[1]), x_max = number(r->cell[2]);
    unsigned need[BRIM_MAX_STAGES];
    brim_datapath dp;

    ASSERT_OK(ctx, brim_datapath_parse(ctx, r->cell[3], &dp));
    ASSERT_OK(ctx, brim_datapath_need(ctx, &dp, w, k, x_min, x_max, need, NULL));
    assert_int_equal(numbers(r->cell[4], need_want), dp.n_stages);
    for (size_t i = 0; i < dp.n_stages; i++) {
        assert_int_equal(need[i], need_want[i]);
    }
    assert_int_equal(brim_datapath_witness(&dp, 0, w, k, x_min, x_max, x), number(r->cell[6]));
    assert_int_equal(numbers(r->cell[5], x_want), k);
    assert_memory_equal(x, x_want, k * sizeof *x);
}

/* | acc | x_scale | w_scale | y_scale | y_zero | lo | hi | q | */
static void check_requantize(const struct row *r)
{
    const float x_scale = strtof(r->cell[1], NULL), w_scale = strtof(r->cell[2], NULL);
    const float y_scale = strtof(r->cell[3], NULL);
    const volatile float scale = x_scale * w_scale;
    const volatile float multiplier = scale / y_scale;
    const volatile float y = (float)number(r->cell[0]) * multiplier;
    const int64_t q = (int64_t)brim_rint((double)y) + number(r->cell[4]);

    assert_int_equal(brim_clip_i64(q, number(r->cell[5]), number(r->cell[6])), number(r->cell[7]));
}

static void check_row(brim_ctx *ctx, const char *first_heading, const struct row *r)
{
    if (strcmp(first_heading, "datapath") == 0) {
        check_sum(ctx, r);
    } else if (strcmp(first_heading, "vectors of") == 0) {
        check_scaled(ctx, r);
    } else if (strcmp(first_heading, "weight scale") == 0) {
        check_product(r);
    } else if (strcmp(first_heading, "acc") == 0) {
        check_requantize(r);
    } else if (r->n == 6) {
        check_acc(r);
    } else {
        check_need(ctx, r);
    }
}

static void every_row_holds(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    FILE *f = fopen(BRIM_SOURCE_DIR "/docs/semantics.md", "r");
    char line[512], heading[96] = "";
    struct row row;
    int rows = 0;

    (void)state;
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        if (!split(line, &row)) {
            heading[0] = '\0';
        } else if (heading[0] == '\0') {
            memcpy(heading, row.cell[0], sizeof heading);
        } else if (row.cell[0][0] != '-' || row.cell[0][1] != '-') {
            check_row(ctx, heading, &row);
            rows++;
        }
    }
    (void)fclose(f);
    assert_int_equal(rows, 56);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
