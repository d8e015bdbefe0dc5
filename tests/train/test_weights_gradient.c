/* test_weights_gradient.c - gradients of the quantizers of weights against central differences in
 * double; straight-through parts against their definition. SPDX-License-Identifier: Apache-2.0
 *
 * Straight through: a code is u + r with r held still. So the function that is differentiated is
 * sum over k of a[k] * scale * (u[k] + r[k]), u in double from the parameters, a = d loss / d w. */
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "testing.h"
#include "train/weights_parts.h"

#define N 3
#define K 48

struct fixture {
    brim_ctx *ctx;
    struct brim_params params;
    struct brim_weights_spec spec;
    struct brim_weights *w;
    float start[N * K], a[N * K], out[N * K];
    uint8_t keep[N * K];
    double r[N * K];    /* code - u */
    bool beyond[N * K]; /* the code is at the end of its range */
};

static void open_fixture(struct fixture *f, struct brim_rng *r, enum brim_train_method method,
                         enum brim_train_norm norm, const char *datapath)
{
    f->ctx = testing_ctx(1);
    brim_params_init(&f->params, f->ctx);
    f->spec = (struct brim_weights_spec){.name = "fc",
                                         .n = N,
                                         .k = K,
                                         .method = method,
                                         .norm = norm,
                                         .bits = 5,
                                         .x_max = 15,
                                         .w = f->start};
    ASSERT_OK(f->ctx, brim_datapath_parse(f->ctx, datapath, &f->spec.datapath));
    for (size_t i = 0; i < N * K; i++) {
        f->start[i] = (float)brim_rng_normal(r) * 0.1F;
        f->a[i] = (float)brim_rng_normal(r);
        f->keep[i] = brim_rng_below(r, 8) != 0;
    }
    ASSERT_OK(f->ctx, brim_weights_create(&f->params, &f->spec, &f->w));
    ASSERT_OK(f->ctx, brim_weights_prune(f->w, f->keep));
}

static void close_fixture(struct fixture *f)
{
    brim_weights_free(f->w);
    brim_params_free(&f->params);
    brim_ctx_free(f->ctx);
}

static void run(struct fixture *f)
{
    brim_params_zero_grad(&f->params);
    ASSERT_OK(f->ctx, brim_weights_forward(f->w, f->out));
    ASSERT_OK(f->ctx, brim_weights_backward(f->w, f->a));
}

/* u of row c from the definition of the normed quantizers; theta: v, d, t of the row. */
static void normed_codes(const struct fixture *f, size_t c, const double *v, double d,
                         const double *t, double *u)
{
    const struct brim_weights *w = f->w;
    const uint8_t *keep = f->keep + c * K;
    double e[K], norm[K], mean[K];

    for (size_t i = 0; i < w->leaves; i++) {
        double sum = 0.0, count = 0.0;
        for (size_t k = i * w->leaf; k < brim_min_size(K, (i + 1) * w->leaf); k++) {
            sum += keep[k] != 0 ? v[k] : 0.0;
            count += keep[k] != 0;
        }
        mean[i] = w->centred ? sum / count : 0.0;
        norm[i] = 0.0;
        for (size_t k = i * w->leaf; k < brim_min_size(K, (i + 1) * w->leaf); k++) {
            norm[i] += keep[k] != 0 ? fabs(v[k] - mean[i]) : 0.0;
        }
        e[i] = exp2(t[i]);
    }
    for (size_t j = 0; j < w->plan.n_limits; j++) {
        const size_t span =
            w->plan.limit[j].tile / w->leaf + (w->plan.limit[j].tile == K && K % w->leaf != 0);
        for (size_t from = 0; from < w->leaves; from += span) {
            const size_t to = brim_min_size(w->leaves, from + span);
            const double cap = exp2(d) * brim_normed_cap(w, &w->plan.limit[j]);
            double sum = 0.0;
            for (size_t i = from; i < to; i++) {
                sum += e[i];
            }
            for (size_t i = from; i < to; i++) {
                e[i] *= fmin(1.0, cap / sum);
            }
        }
    }
    for (size_t k = 0; k < K; k++) {
        const size_t i = k / w->leaf;
        u[k] = keep[k] != 0 && norm[i] > 0.0 ? e[i] * (v[k] - mean[i]) / (norm[i] * exp2(d)) : 0.0;
    }
}

/* The function that is differentiated, on row c with parameter `which` moved by h: 0..K-1 v, K d,
 * then t. */
static double normed_loss(const struct fixture *f, size_t c, size_t which, double h)
{
    const struct brim_weights *w = f->w;
    double v[K], t[K], u[K], sum = 0.0;
    double d = (double)w->d->value[c];

    for (size_t k = 0; k < K; k++) {
        v[k] = (double)w->v->value[c * K + k] + (which == k ? h : 0.0);
    }
    for (size_t i = 0; i < w->leaves; i++) {
        t[i] = (double)w->t->value[c * w->leaves + i] + (which == K + 1 + i ? h : 0.0);
    }
    d += which == K ? h : 0.0;
    normed_codes(f, c, v, d, t, u);
    for (size_t k = 0; k < K; k++) {
        const double code =
            f->beyond[c * K + k] ? (double)w->codes[c * K + k] : u[k] + f->r[c * K + k];
        sum += (double)f->a[c * K + k] * exp2(d) * code;
    }
    return sum;
}

static void near(double got, double want, double size)
{
    if (!(fabs(got - want) <= 1e-4 * (size + fabs(want)))) {
        fail_msg("gradient is %.9g, expected %.9g", got, want);
    }
}

static void check_normed(struct fixture *f)
{
    struct brim_weights *w = f->w;

    run(f);
    for (size_t c = 0; c < N; c++) {
        double v[K], t[K], u[K];
        for (size_t k = 0; k < K; k++) {
            v[k] = (double)w->v->value[c * K + k];
        }
        for (size_t i = 0; i < w->leaves; i++) {
            t[i] = (double)w->t->value[c * w->leaves + i];
        }
        normed_codes(f, c, v, (double)w->d->value[c], t, u);
        for (size_t k = 0; k < K; k++) {
            const double code = (double)w->codes[c * K + k];
            f->beyond[c * K + k] = fabs(u[k]) >= 16.0;
            assert_true(f->beyond[c * K + k] ? fabs(code) == 15.0
                                             : code == trunc(u[k]) || fabs(code - u[k]) < 1e-3);
            f->r[c * K + k] = code - u[k];
        }
        for (size_t which = 0; which < K + 1 + w->leaves; which++) {
            const double h = 1e-6;
            const double want =
                (normed_loss(f, c, which, h) - normed_loss(f, c, which, -h)) / (2.0 * h);
            const float got = which < K    ? w->v->grad[c * K + which]
                              : which == K ? w->d->grad[c]
                                           : w->t->grad[c * w->leaves + which - K - 1];
            near((double)got, want, 0.01);
        }
    }
}

/* Capped and free rows, one and several stages, both norms. */
static void normed_gradients_are_exact(void **state)
{
    static const char *const path[4] = {"9", "20", "8/16,9", "7/4,8/16,9"};
    struct brim_rng r;
    unsigned capped = 0, loose = 0;

    (void)state;
    brim_rng_init(&r, 21, 0);
    for (int round = 0; round < 48; round++) {
        struct fixture f;
        open_fixture(&f, &r, BRIM_TRAIN_A2Q, round % 2 ? BRIM_NORM_L1 : BRIM_NORM_ZERO_CENTRED,
                     path[round / 2 % 4]);
        for (size_t i = 0; i < f.w->t->count; i++) {
            f.w->t->value[i] += (float)(brim_rng_normal(&r) - 0.5);
        }
        for (size_t i = 0; i < f.w->d->count; i++) {
            f.w->d->value[i] += (float)brim_rng_uniform(&r);
        }
        const double before = brim_weights_penalty(f.w, 1.0);
        capped += before > 0.0;
        loose += before == 0.0;
        check_normed(&f);
        close_fixture(&f);
    }
    assert_true(capped > 10 && loose > 10);
}

/* Codes at the end of their range pass no gradient on, but move with the scale. */
static void clipped_codes_move_with_the_scale(void **state)
{
    struct brim_rng r;
    struct fixture f;

    (void)state;
    brim_rng_init(&r, 22, 0);
    open_fixture(&f, &r, BRIM_TRAIN_QAT, BRIM_NORM_L1, "32");
    ASSERT_OK(f.ctx, brim_weights_prune(f.w, NULL));
    f.w->d->value[0] -= 3.0F;
    run(&f);
    double want = 0.0;
    unsigned beyond = 0;
    for (size_t k = 0; k < K; k++) {
        const double u = (double)f.w->v->value[k] / (double)f.w->scale[0];
        const bool inside = fabs(u) <= 15.0;
        assert_true(f.w->v->grad[k] == (inside ? f.a[k] : 0.0F));
        assert_true(inside || abs(f.w->codes[k]) == 15);
        want += (double)f.a[k] * (inside ? (double)f.w->codes[k] - u : u < 0.0 ? -15.0 : 15.0);
        beyond += !inside;
    }
    assert_true(beyond > 5 && beyond < K);
    want *= (double)f.w->scale[0] * log(2.0) / sqrt(15.0 * K); /* LSQ's factor */
    near((double)f.w->d->grad[0], want, 1e-3);
    close_fixture(&f);
}

/* The dearest register of code k, and its price in codes; number -1 where nothing binds. */
static long paid_by(const struct brim_weights *w, size_t c, size_t k, double *lambda)
{
    const size_t sign = w->v->value[c * K + k] < 0.0F;
    long found = -1;

    *lambda = 0.0;
    for (size_t i = 0; i < w->plan.n_limits; i++) {
        const struct brim_limit *l = &w->plan.limit[i];
        const size_t number = 2 * (l->first + k / l->tile) + sign;
        const double price =
            (double)w->price[2 * c * w->plan.n_registers + number] / (double)BRIM_NEAREST_ONE;
        if (price > *lambda) {
            *lambda = price;
            found = (long)number;
        }
    }
    return found;
}

enum place { HELD, ACTIVE, BEYOND };

struct row {
    long paid[K];
    double p[K], sigma[K];
    enum place place[K];
};

static void place_codes(const struct fixture *f, size_t c, struct row *row)
{
    for (size_t k = 0; k < K; k++) {
        const double u = (double)f->w->v->value[c * K + k] / (double)f->w->scale[c];
        double lambda;
        row->paid[k] = paid_by(f->w, c, k, &lambda);
        row->sigma[k] = u < 0.0 ? -1.0 : 1.0;
        row->p[k] = fabs(u) - lambda;
        row->place[k] = row->p[k] <= 0.0 ? HELD : row->p[k] <= 15.0 ? ACTIVE : BEYOND;
        if (f->keep[c * K + k] == 0) {
            row->place[k] = HELD;
        }
    }
}

/* sum a s sigma (p + r) over a row, p the projection of |u| that keeps the sum of the codes of each
 * price; v[which] or (K) d moved by h. */
static double latent_loss(const struct fixture *f, size_t c, const struct row *row, size_t which,
                          double h)
{
    const double s = exp2((double)f->w->d->value[c] + (which == K ? h : 0.0));
    double loss = 0.0;

    for (size_t k = 0; k < K; k++) {
        double fall = 0.0, count = 0.0;
        for (size_t i = 0; i < K && row->paid[k] >= 0; i++) {
            if (row->place[i] == ACTIVE && row->paid[i] == row->paid[k]) {
                const double v = (double)f->w->v->value[c * K + i] + (which == i ? h : 0.0);
                fall += row->sigma[i] * v / s - row->p[i];
                count += 1.0;
            }
        }
        const double v = (double)f->w->v->value[c * K + k] + (which == k ? h : 0.0);
        const double u = row->sigma[k] * v / s;
        const double p = row->paid[k] >= 0 ? u - fall / count : u;
        const double code = row->place[k] == ACTIVE   ? p + f->r[c * K + k]
                            : row->place[k] == BEYOND ? 15.0
                                                      : 0.0;
        loss += (double)f->a[c * K + k] * s * row->sigma[k] * code;
    }
    return loss;
}

/* Of codes that are held at 0: what they want less what those that compete want. */
static double held_gradient(const struct fixture *f, size_t c, const struct row *row, size_t k)
{
    double sum = 0.0, count = 0.0;

    for (size_t i = 0; i < K && row->paid[k] >= 0; i++) {
        if (row->place[i] == ACTIVE && row->paid[i] == row->paid[k]) {
            sum += row->sigma[i] * (double)f->a[c * K + i];
            count += 1.0;
        }
    }
    return (double)f->a[c * K + k] - (count > 0.0 ? row->sigma[k] * sum / count : 0.0);
}

static unsigned check_latent(struct fixture *f)
{
    unsigned held = 0;

    run(f);
    for (size_t c = 0; c < N; c++) {
        struct row row;
        place_codes(f, c, &row);
        for (size_t k = 0; k < K; k++) {
            f->r[c * K + k] = row.sigma[k] * (double)f->w->codes[c * K + k] - row.p[k];
        }
        for (size_t which = 0; which <= K; which++) {
            const double h = 1e-6;
            const bool kept = which == K || f->keep[c * K + which] != 0;
            double want = (latent_loss(f, c, &row, which, h) - latent_loss(f, c, &row, which, -h)) /
                          (2.0 * h);
            if (which < K && row.place[which] == HELD) {
                want = held_gradient(f, c, &row, which);
                held += kept;
            }
            if (which == K) {
                near((double)f->w->d->grad[c], want / sqrt(15.0 * K), 1e-3);
            } else {
                near((double)f->w->v->grad[c * K + which], kept ? want : 0.0, 0.1);
            }
        }
    }
    return held;
}

static void latent_gradients_are_exact(void **state)
{
    static const char *const path[4] = {"9", "20", "8/16,9", "7/4,8/16,9"};
    struct brim_rng r;
    unsigned held = 0;

    (void)state;
    brim_rng_init(&r, 23, 0);
    for (int round = 0; round < 40; round++) {
        struct fixture f;
        open_fixture(&f, &r, round % 5 == 0 ? BRIM_TRAIN_QAT : BRIM_TRAIN_A2Q, BRIM_NORM_PER_SIGN,
                     path[round % 4]);
        for (size_t i = 0; i < f.w->d->count; i++) {
            f.w->d->value[i] -= (float)brim_rng_uniform(&r) * 2.0F;
        }
        held += check_latent(&f);
        close_fixture(&f);
    }
    assert_true(held > 200);
}

/* The regularizer's gradient, and nothing of it where every norm is within its cap. */
static void penalty_is_its_gradient(void **state)
{
    struct brim_rng r;
    struct fixture f;

    (void)state;
    brim_rng_init(&r, 24, 0);
    open_fixture(&f, &r, BRIM_TRAIN_A2Q, BRIM_NORM_L1, "7/4,8/16,9");
    brim_params_zero_grad(&f.params);
    assert_true(brim_weights_penalty(f.w, 0.5) > 1.0);
    float want_d = f.w->d->grad[1], want_t = f.w->t->grad[f.w->leaves + 2];
    struct {
        float *value;
        double want;
    } const at[2] = {{&f.w->d->value[1], (double)want_d},
                     {&f.w->t->value[f.w->leaves + 2], (double)want_t}};
    for (size_t i = 0; i < 2; i++) {
        const float h = 1.0F / 1024, old = *at[i].value;
        *at[i].value = old + h;
        const double above = brim_weights_penalty(f.w, 0.0);
        *at[i].value = old - h;
        const double below = brim_weights_penalty(f.w, 0.0);
        *at[i].value = old;
        near(at[i].want, 0.5 * (above - below) / (2.0 * (double)h), 0.01);
    }
    for (size_t i = 0; i < f.w->t->count; i++) {
        f.w->t->value[i] = -20.0F;
    }
    assert_true(brim_weights_penalty(f.w, 0.5) == 0.0);
    close_fixture(&f);
}

/* The same bits for any number of threads. */
static void threads_change_nothing(void **state)
{
    (void)state;
    for (int norm = 0; norm < 3; norm++) {
        static float want[2 * N * K + N];
        for (int threads = 1; threads <= 3; threads++) {
            struct brim_rng r;
            struct fixture f;
            brim_rng_init(&r, 25, 0);
            open_fixture(&f, &r, BRIM_TRAIN_A2Q, (enum brim_train_norm)norm, "8/16,9");
            brim_weights_free(f.w);
            f.params.count = 0;
            f.ctx->threads = threads;
            ASSERT_OK(f.ctx, brim_weights_create(&f.params, &f.spec, &f.w));
            run(&f);
            if (threads == 1) {
                memcpy(want, f.out, sizeof f.out);
                memcpy(want + N * K, f.w->v->grad, sizeof f.out);
                memcpy(want + 2 * N * K, f.w->d->grad, N * sizeof(float));
            }
            assert_memory_equal(want, f.out, sizeof f.out);
            assert_memory_equal(want + N * K, f.w->v->grad, sizeof f.out);
            assert_memory_equal(want + 2 * N * K, f.w->d->grad, N * sizeof(float));
            close_fixture(&f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normed_gradients_are_exact),
        cmocka_unit_test(clipped_codes_move_with_the_scale),
        cmocka_unit_test(latent_gradients_are_exact),
        cmocka_unit_test(penalty_is_its_gradient),
        cmocka_unit_test(threads_change_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
