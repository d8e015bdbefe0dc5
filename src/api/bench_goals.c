/* bench_goals.c - the ratios that brim is held to. SPDX-License-Identifier: Apache-2.0
 *
 * A ratio compares two implementations that were measured in one set, round by round. Where several
 * are named, the fastest counts: the fastest of ours against the fastest of the others.
 */
#include <math.h>
#include <string.h>

#include "api/bench_measure.h"

#define RESNET "3136x64x576|784x128x1152|196x256x2304"

#define WIDE   "128x768x768|128x3072x768|128x768x3072|512x4096x4096"
#define NARROW "32x256x768 P=8|32x256x768 P=12|32x256x768 P=16"

static const struct goal {
    const char *what;
    double bar;
    bool each; /* for every shape */
    bool warm;
    const char *family;
    const char *name, *kind;         /* ours: any of these names, and of these kinds */
    const char *against, *than_kind; /* NULL = the share of our own limit */
    const char *shapes;              /* NULL = all */
} goals[] = {
    {"AVX2: certified 16-bit GEMM / best exact 32-bit GEMM", 1.5, false, false, "gemm", "avx2-16",
     "whole", "avx2-32|avx2-pair", "whole", NULL},
    {"AVX2: certified tile 128 / certified whole reduction", 0.95, false, false, "gemm", "avx2-16",
     "tile 128", "avx2-16", "whole", NULL},
    {"AVX-512BW: certified 16-bit GEMM / best exact 32-bit GEMM", 1.35, false, false, "gemm",
     "avx512-16", "whole|tile 128", "avx512-32|avx512-pair", "whole", NULL},
    {"VNNI GEMM: share of its probe (128 MAC a cycle), ResNet shapes, warm", 0.85, false, true,
     "gemm", "avx512vnni", "whole", NULL, NULL, RESNET},
    {"VNNI GEMM / XNNPACK, both requantized", 1.3, false, false, "gemm", "avx512vnni", "codes",
     "XNNPACK qs8", "own result", NULL},
    {"VNNI GEMM / gemmlowp", 10, false, false, "gemm", "avx512vnni", "whole", "gemmlowp", "totals",
     NULL},
    {"AMX GEMM / oneDNN's best with packed weights, warm", 1.0, false, true, "gemm", "amx", "whole",
     "oneDNN matmul|oneDNN inner product|oneDNN gemm", "totals", NULL},
    {"ternary lookup GEMV, AVX2, in cache / 2-bit multiply-add", 2.0, false, true, "lookup", "avx2",
     "certified", "gemv avx2", "certified", "1x768x768|1x768x3072|1x3072x768"},
    {"ternary lookup GEMM, AVX2, N >= 768 / best exact 32-bit GEMM", 2.3, false, true, "lookup",
     "avx2", "certified", "gemm avx2-32|gemm avx2-pair", "certified", WIDE},
    {"ternary lookup GEMM, AVX2, N >= 768 / certified 16-bit GEMM", 1.0, true, true, "lookup",
     "avx2", "ternary", "gemm avx2-16", "certified", WIDE},
    {"shared-pattern 2:4 / dense VNNI", 1.4, false, true, "sparse", "avx512vnni",
     "2:4 shared by 32", "avx512vnni", "dense", NULL},
    {"simulator, saturating, P <= 16 / plain scalar loop", 120, false, true, "simulate", "saturate",
     "saturate", "scalar loop", "saturate", NARROW},
    {"simulator, saturating, P 17..32 / plain scalar loop", 100, false, true, "simulate",
     "saturate", "saturate", "scalar loop", "saturate", "32x256x768 P=17|32x256x768 P=20"},
    {"simulator, wrap / exact GEMM", 0.95, false, true, "simulate", "wrap", "wrap", "exact gemm",
     "exact gemm", NULL},
    {"simulator, proven safe / exact GEMM", 0.95, false, true, "simulate", "proven", "proven",
     "exact gemm", "exact gemm", NULL},
    {"simulator, PQS / exact GEMM", 0.95, false, true, "simulate", "sorted", "sorted", "exact gemm",
     "exact gemm", NULL},
};
#define N_GOALS (sizeof goals / sizeof *goals)

/* Is `word` one of the words, separated by '|'? */
static bool is_one_of(const char *words, const char *word)
{
    const size_t n = strlen(word);

    for (const char *w = words; w != NULL; w = strchr(w, '|'), w = w != NULL ? w + 1 : NULL) {
        if (strcspn(w, "|") == n && memcmp(w, word, n) == 0) {
            return true;
        }
    }
    return false;
}

static double median_time(const struct brim_bench *b, const struct goal *g,
                          const struct brim_bench_case *c)
{
    return brim_bench_median(g->warm ? c->warm : c->cold, b->params->repeat);
}

/* The fastest case of this shape with one of these names and kinds; NULL when none was measured. */
static const struct brim_bench_case *fastest(const struct brim_bench *b, const struct goal *g,
                                             const char *shape, const char *names,
                                             const char *kinds)
{
    const struct brim_bench_case *best = NULL;

    for (size_t i = 0; i < b->n_cases; i++) {
        const struct brim_bench_case *c = &b->cases[i];
        if (strcmp(c->family, g->family) == 0 && strcmp(c->shape, shape) == 0 &&
            is_one_of(names, c->name) && is_one_of(kinds, c->kind) &&
            (best == NULL || median_time(b, g, c) < median_time(b, g, best))) {
            best = c;
        }
    }
    return best;
}

/* The ratio on one shape; 0 when it was not measured. */
static double ratio_on(const struct brim_bench *b, const struct goal *g, const char *shape)
{
    const struct brim_bench_case *own = fastest(b, g, shape, g->name, g->kind);
    const double *other = NULL;

    if (own == NULL) {
        return 0;
    }
    if (g->against == NULL) {
        other = own->least;
    } else {
        const struct brim_bench_case *c = fastest(b, g, shape, g->against, g->than_kind);
        other = c == NULL ? NULL : g->warm ? c->warm : c->cold;
    }
    return other == NULL
               ? 0
               : brim_bench_ratio(other, g->warm ? own->warm : own->cold, b->params->repeat);
}

static void evaluate(const struct brim_bench *b, const struct goal *g, brim_bench_goal *out)
{
    double sum = 0;

    *out = (brim_bench_goal){.what = g->what, .bar = g->bar, .each = g->each};
    for (size_t i = 0; i < b->n_cases; i++) {
        const struct brim_bench_case *c = &b->cases[i];
        const bool seen = i > 0 && b->cases[i - 1].shape == c->shape; /* texts of one set are one */
        if (seen || strcmp(c->family, g->family) != 0 ||
            (g->shapes != NULL && !is_one_of(g->shapes, c->shape))) {
            continue;
        }
        const double ratio = ratio_on(b, g, c->shape);
        if (ratio > 0) {
            sum += log(ratio);
            out->least = out->shapes == 0 || ratio < out->least ? ratio : out->least;
            out->most = ratio > out->most ? ratio : out->most;
            out->shapes++;
        }
    }
    if (out->shapes > 0) {
        out->mean = exp(sum / (double)out->shapes);
        out->reached = (g->each ? out->least : out->mean) >= g->bar;
    }
}

brim_status brim_bench_goals(struct brim_bench *b, brim_bench_report *r)
{
    brim_bench_goal *goal = brim_arena_zalloc(b->arena, N_GOALS, sizeof *goal);

    if (goal == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < N_GOALS; i++) {
        if (brim_bench_wants_family(b, goals[i].family)) {
            evaluate(b, &goals[i], &goal[r->n_goals++]);
        }
    }
    r->goals = goal;
    return BRIM_OK;
}
