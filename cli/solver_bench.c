/* solver_bench.c - brim bench solver: how long one layer takes. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"

struct options {
    int64_t repeat, k, n;
};

static const struct cli_option options[] = {
    {.name = "repeat",
     .kind = CLI_INT,
     .value = "N",
     .offset = offsetof(struct options, repeat),
     .lo = 1,
     .hi = 99,
     .help = "runs per line, of which the median is shown (default 5)"},
    {.name = "k",
     .kind = CLI_INT,
     .value = "K",
     .offset = offsetof(struct options, k),
     .lo = 8,
     .hi = 16384,
     .help = "reduction length (default 3072)"},
    {.name = "n",
     .kind = CLI_INT,
     .value = "N",
     .offset = offsetof(struct options, n),
     .lo = 1,
     .hi = 16384,
     .help = "outputs (default 768)"},
};

static const struct cli_verb verb = {
    .name = "bench solver",
    .operands = "",
    .summary = "how long the solvers take on this machine",
    .details =
        "Solve one synthetic layer (W4, A8, datapath 16/128,32) with each solver and budget after its\n"
        "second moments, and print the median time, the relative error, and the share of zero codes.",
    .options = options,
    .n_options = sizeof options / sizeof *options,
};

static const struct {
    const char *solver_name, *budget_name;
    brim_solver solver;
    brim_budget budget;
} cases[] = {
    {"rtn", "project", BRIM_SOLVER_RTN, BRIM_BUDGET_PROJECT},
    {"optq", "none", BRIM_SOLVER_OPTQ, BRIM_BUDGET_NONE},
    {"optq", "axe", BRIM_SOLVER_OPTQ, BRIM_BUDGET_AXE},
    {"gpfq", "axe", BRIM_SOLVER_GPFQ, BRIM_BUDGET_AXE},
    {"qronos", "axe", BRIM_SOLVER_QRONOS, BRIM_BUDGET_AXE},
    {"optq", "exact", BRIM_SOLVER_OPTQ, BRIM_BUDGET_EXACT},
};
#define N_CASES (sizeof cases / sizeof *cases)

struct workload {
    brim_layer_problem problem;
    brim_datapath datapath;
    float *w;
    double *h;
    int16_t *codes;
    float *scale;
};

struct result {
    double seconds, rel_error, sparsity;
};

/* xorshift64*: the bench needs noise, not statistics. Sum of four uniforms, about normal. */
static double noise(uint64_t *state)
{
    double sum = -2;

    for (int i = 0; i < 4; i++) {
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        sum += (double)((*state * UINT64_C(0x2545f4914f6cdd1d)) >> 11) * 0x1p-53;
    }
    return sum;
}

/* Neighbouring inputs are correlated, 0.9^|i-j|, as in an image; positive definite for any k. */
static void fill(struct workload *b, size_t n, size_t k, uint64_t seed)
{
    uint64_t state = seed + 1;

    for (size_t i = 0; i < n * k; i++) {
        b->w[i] = (float)(0.05 * noise(&state));
    }
    for (size_t i = 0; i < k; i++) {
        double decay = 1;
        for (size_t j = i; j < k; j++) {
            b->h[i * k + j] = b->h[j * k + i] = 1000 * decay;
            decay *= 0.9;
        }
    }
}

static void release(struct workload *b)
{
    free(b->w);
    free(b->h);
    free(b->codes);
    free(b->scale);
}

static bool create(struct workload *b, size_t n, size_t k)
{
    b->w = malloc(n * k * sizeof *b->w);
    b->h = malloc(k * k * sizeof *b->h);
    b->codes = calloc(n * k, sizeof *b->codes);
    b->scale = malloc(n * sizeof *b->scale);
    b->problem = (brim_layer_problem){
        .n = n, .k = k, .w = b->w, .h = b->h, .x_max = 255, .datapath = &b->datapath};
    b->datapath =
        (brim_datapath){.n_stages = 2, .stage = {{.width = 16, .tile = 128}, {.width = 32}}};
    return b->w != NULL && b->h != NULL && b->codes != NULL && b->scale != NULL;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static brim_status measure(struct cli *cli, const struct options *o, size_t which,
                           struct workload *b, struct result *r)
{
    double seconds[99];
    brim_solve_params p;
    brim_layer_solution solution = {.codes = b->codes, .scale = b->scale};
    size_t zeros = 0;

    brim_solve_params_init(&p);
    p.wbits = 4;
    p.solver = cases[which].solver;
    p.budget = cases[which].budget;
    for (int64_t i = 0; i < o->repeat; i++) {
        const uint64_t done = which * (uint64_t)o->repeat + (uint64_t)i;
        if (!cli_progress(cli, "bench", done, N_CASES * (uint64_t)o->repeat)) {
            return BRIM_ERR_CANCELLED;
        }
        const double start = cli_seconds();
        const brim_status s = brim_solve_layer(cli->ctx, &b->problem, &p, &solution);
        if (s != BRIM_OK) {
            return s;
        }
        seconds[i] = cli_seconds() - start;
    }
    qsort(seconds, (size_t)o->repeat, sizeof *seconds, ascending);
    for (size_t i = 0; i < b->problem.n * b->problem.k; i++) {
        zeros += b->codes[i] == 0;
    }
    *r = (struct result){.seconds = seconds[o->repeat / 2],
                         .rel_error = solution.rel_error,
                         .sparsity = (double)zeros / (double)(b->problem.n * b->problem.k)};
    return BRIM_OK;
}

#define MOMENT_ROWS 4096

static int print_json(struct cli *cli, const struct options *o, const struct result *r,
                      const brim_bench_moments_report *m)
{
    json_t *lines = json_array();

    for (size_t i = 0; i < N_CASES; i++) {
        json_array_append_new(lines,
                              json_pack("{s:s,s:s,s:f,s:f,s:f}", "solver", cases[i].solver_name,
                                        "budget", cases[i].budget_name, "seconds", r[i].seconds,
                                        "rel_error", r[i].rel_error, "sparsity", r[i].sparsity));
    }
    return cli_print_json(cli,
                          json_pack("{s:I,s:I,s:s,s:I,s:{s:I,s:f,s:f,s:f,s:f,s:f},s:o}", "k",
                                    (json_int_t)o->k, "n", (json_int_t)o->n, "datapath",
                                    "16/128,32", "repeat", (json_int_t)o->repeat, "moments", "rows",
                                    (json_int_t)m->rows, "seconds", m->seconds, "gflops", m->gflops,
                                    "ssyrk_gflops", m->ssyrk, "sgemm_gflops", m->sgemm, "share",
                                    m->share, "solvers", lines),
                          CLI_OK);
}

static void print_text(const struct options *o, const struct result *r,
                       const brim_bench_moments_report *m)
{
    static const char *const headings[] = {"solver", "budget", "seconds", "rel error", "zeros"};
    struct cli_table t;

    printf("K=%lld N=%lld, 4-bit weights, inputs 0..255, datapath 16/128,32, median of %lld\n",
           (long long)o->k, (long long)o->n, (long long)o->repeat);
    printf("second moments of %zu rows, one core: %.3f s, %.1f Gflop/s, %.0f %% of this machine's "
           "ssyrk (%.1f) and sgemm (%.1f)\n",
           m->rows, m->seconds, m->gflops, 100 * m->share, m->ssyrk, m->sgemm);
    cli_table_init(&t, sizeof headings / sizeof *headings, headings);
    for (size_t i = 0; i < N_CASES; i++) {
        cli_cell(&t, "%s", cases[i].solver_name);
        cli_cell(&t, "%s", cases[i].budget_name);
        cli_cell(&t, "%.3f", r[i].seconds);
        cli_cell(&t, "%.6f", r[i].rel_error);
        cli_cell(&t, "%.3f", r[i].sparsity);
    }
    cli_table_print(&t);
}

static int measure_all(struct cli *cli, const struct options *o, struct workload *b)
{
    struct result result[N_CASES];
    brim_bench_moments_report moments;
    brim_status s;

    s = brim_bench_moments(cli->ctx, (size_t)o->k, MOMENT_ROWS, (unsigned)o->repeat, &moments);
    if (s != BRIM_OK) {
        return cli_fail_status(cli, s);
    }
    if (!create(b, (size_t)o->n, (size_t)o->k)) {
        return cli_fail(cli, CLI_ERROR, "out of memory");
    }
    fill(b, (size_t)o->n, (size_t)o->k, (uint64_t)cli->seed);
    for (size_t i = 0; i < N_CASES; i++) {
        s = measure(cli, o, i, b, &result[i]);
        if (s != BRIM_OK) {
            return cli_fail_status(cli, s);
        }
    }
    if (cli->json) {
        return print_json(cli, o, result, &moments);
    }
    cli_end_progress(cli);
    print_text(o, result, &moments);
    return CLI_OK;
}

int cli_bench_solver(struct cli *cli, char **argv)
{
    struct options o = {.repeat = 5, .k = 3072, .n = 768};
    struct workload b = {0};
    int code;

    if (!cli_start(cli, &verb, &o, argv, &code)) {
        return code;
    }
    code = measure_all(cli, &o, &b);
    release(&b);
    return code;
}
