/* activations.c - what range a value takes. SPDX-License-Identifier: Apache-2.0
 *
 * Histograms of |x| over [0, limit) whose limit doubles when something larger comes: two bins become
 * one, exactly, because floor(floor(2a)/2) = floor(a). So one pass is enough, and counts do not
 * depend on the order of the data or on how workers share it: the last limit is the least power of
 * two above every |x|.
 *
 * Cost     a multiplication and an increment per element; 128 kB per value and worker.
 * Example  4 bins, limit 4: 1.5 and 3.5 are in bins 1 and 3. Then 5 comes: limit 8, bins 0 and 1;
 *          5 goes to bin 2. (test_activations.c)
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/clones.h"
#include "base/intops.h"
#include "base/parallel.h"
#include "calibrate/calibrate.h"
#include "calibrate/feed.h"

#define BINS         ((size_t)8192)
#define PER_RUN      4u
#define RUNS_AT_ONCE 32u /* between two reports of progress */

struct watch {
    struct brim_feed feed;
    const int32_t *values;
    size_t n_values, first_run;
    struct brim_activation *seen; /* [threads][n_values] */
};

static brim_status activation_create(brim_ctx *ctx, struct brim_activation *a)
{
    *a = (struct brim_activation){.min = DBL_MAX, .max = -DBL_MAX, .integer = true, .n_bins = BINS};
    a->bin = brim_zalloc(ctx, 2 * BINS, sizeof *a->bin);
    return a->bin != NULL ? BRIM_OK : BRIM_ERR_NOMEM;
}

/* Make the limit at least `limit`, a power of two. */
static void grow(struct brim_activation *a, double limit)
{
    int now, then;

    if (a->limit >= limit) {
        return;
    }
    if (a->limit > 0.0) {
        (void)frexp(a->limit, &now);
        (void)frexp(limit, &then);
        const int shift = then - now < 63 ? then - now : 63;
        for (size_t i = 0; i < 2 * BINS; i++) {
            const size_t side = i / BINS * BINS;
            const uint64_t count = a->bin[i];
            a->bin[i] = 0;
            a->bin[side + ((i - side) >> shift)] += count;
        }
    }
    a->limit = limit;
}

#define LANES 16 /* ranges kept side by side */

/* Range of n elements, and whether all are finite. */
BRIM_CLONES
static bool range(const float *x, size_t n, float *lo, float *hi)
{
    float low[LANES], high[LANES];
    size_t whole = n / LANES * LANES;

    for (size_t l = 0; l < LANES; l++) {
        low[l] = high[l] = x[0];
    }
    for (size_t i = 0; i < whole; i += LANES) {
        for (size_t l = 0; l < LANES; l++) {
            low[l] = x[i + l] < low[l] ? x[i + l] : low[l];
            high[l] = x[i + l] > high[l] ? x[i + l] : high[l];
        }
    }
    *lo = *hi = x[0];
    for (size_t l = 0; l < LANES; l++) {
        *lo = low[l] < *lo ? low[l] : *lo;
        *hi = high[l] > *hi ? high[l] : *hi;
    }
    for (size_t i = whole; i < n; i++) {
        *lo = x[i] < *lo ? x[i] : *lo;
        *hi = x[i] > *hi ? x[i] : *hi;
    }
    uint32_t bad = 0;
    for (size_t i = 0; i < n; i++) { /* a NaN is neither less nor greater */
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bad |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return bad == 0;
}

/* Range and kind of n elements, one or more; false when one is not finite. */
static bool scan(struct brim_activation *a, const float *x, size_t n)
{
    float lo, hi;
    bool integer = a->integer;

    if (!range(x, n, &lo, &hi)) {
        return false;
    }
    for (size_t i = 0; integer && i < n; i++) {
        integer = x[i] >= 0.0f && x[i] <= 255.0f && x[i] == (float)(int)x[i];
    }
    a->integer = integer;
    a->min = (double)lo < a->min ? (double)lo : a->min;
    a->max = (double)hi > a->max ? (double)hi : a->max;
    return true;
}

/* The largest magnitude of every channel of a value [samples][channels][plane]. */
static bool observe_channels(brim_ctx *ctx, struct brim_activation *a, const struct brim_shape *s,
                             const float *x, size_t n)
{
    if (s->rank < 2 || n == 0) {
        return true;
    }
    const size_t channels = (size_t)s->dim[1];
    size_t plane = 1;
    for (int i = 2; i < s->rank; i++) {
        plane *= (size_t)s->dim[i];
    }
    if (a->channel_max == NULL) {
        a->channels = channels;
        a->channel_max = brim_zalloc(ctx, channels + 1, sizeof *a->channel_max);
    }
    for (size_t i = 0; i < n / plane && a->channel_max != NULL && channels == a->channels; i++) {
        float *most = &a->channel_max[i % channels], lo, hi;
        (void)range(x + i * plane, plane, &lo, &hi);
        *most = hi > *most ? hi : *most;
        *most = -lo > *most ? -lo : *most;
    }
    return a->channel_max != NULL;
}

static bool observe(struct brim_activation *a, const float *x, size_t n)
{
    int exponent;

    if (n == 0) {
        return true;
    }
    if (!scan(a, x, n)) {
        return false;
    }
    const double largest = a->max > -a->min ? a->max : -a->min;
    if (largest > 0.0) {
        (void)frexp(largest, &exponent); /* largest < 2^exponent */
        grow(a, ldexp(1.0, exponent));
    }
    const double per_unit = a->limit > 0.0 ? (double)BINS / a->limit : 0.0; /* a power of two */
    for (size_t i = 0; i < n; i++) {
        const double v = (double)x[i];
        const size_t side = v < 0.0 ? BINS : 0;
        a->bin[side + (size_t)((v < 0.0 ? -v : v) * per_unit)]++;
    }
    return true;
}

static void merge(struct brim_activation *to, struct brim_activation *from)
{
    to->min = from->min < to->min ? from->min : to->min;
    to->max = from->max > to->max ? from->max : to->max;
    to->integer = to->integer && from->integer;
    grow(to, from->limit);
    grow(from, to->limit);
    for (size_t i = 0; i < 2 * BINS; i++) {
        to->bin[i] += from->bin[i];
    }
    if (to->channel_max == NULL) {
        to->channel_max = from->channel_max;
        to->channels = from->channels;
        from->channel_max = NULL;
    }
    for (size_t i = 0; from->channel_max != NULL && i < to->channels; i++) {
        const float v = from->channel_max[i];
        to->channel_max[i] = v > to->channel_max[i] ? v : to->channel_max[i];
    }
}

static brim_status watch_run(void *arg, size_t i, int worker)
{
    struct watch *w = arg;
    const size_t first = (w->first_run + i) * w->feed.per_run;
    const size_t n = brim_min_size(w->feed.per_run, brim_data_count(w->feed.data) - first);
    const struct brim_tensor *t;

    BRIM_TRY(brim_feed_run(&w->feed, worker, first, n));
    for (size_t v = 0; v < w->n_values; v++) {
        BRIM_TRY(brim_feed_value(&w->feed, worker, w->values[v], &t));
        size_t count = (size_t)brim_shape_count(&t->type.shape);
        count = w->feed.fixed ? count / w->feed.per_run * n : count;
        if (!observe(&w->seen[(size_t)worker * w->n_values + v], t->data, count)) {
            return brim_fail(w->feed.ctx, BRIM_ERR_FILE,
                             "value '%s': samples %zu to %zu give a NaN or an infinity",
                             w->feed.g->values[w->values[v]].name, first, first + n - 1);
        }
        if (!observe_channels(w->feed.ctx, &w->seen[(size_t)worker * w->n_values + v],
                              &t->type.shape, t->data, count)) {
            return BRIM_ERR_NOMEM;
        }
    }
    return BRIM_OK;
}

static brim_status watch_all(brim_ctx *ctx, struct watch *w)
{
    const size_t count = brim_data_count(w->feed.data);
    const size_t runs = (count + w->feed.per_run - 1) / w->feed.per_run;

    for (; w->first_run < runs; w->first_run += RUNS_AT_ONCE) {
        const size_t n = brim_min_size(RUNS_AT_ONCE, runs - w->first_run);
        BRIM_TRY(brim_progress(ctx, "ranges", w->first_run, runs));
        BRIM_TRY(brim_parallel_for(ctx, n, watch_run, w));
    }
    return brim_progress(ctx, "ranges", runs, runs);
}

brim_status brim_calibrate_activations(brim_ctx *ctx, const struct brim_graph *float_graph,
                                       const brim_data *data, const int32_t *values,
                                       size_t n_values, struct brim_activation *out)
{
    const size_t n_seen = (size_t)ctx->threads * n_values;
    struct watch w = {.values = values, .n_values = n_values};

    memset(out, 0, n_values * sizeof *out);
    w.seen = brim_zalloc(ctx, n_seen + 1, sizeof *w.seen);
    brim_status status = w.seen != NULL ? BRIM_OK : BRIM_ERR_NOMEM;
    for (size_t i = 0; status == BRIM_OK && i < n_seen; i++) {
        status = activation_create(ctx, &w.seen[i]);
    }
    if (status == BRIM_OK) {
        status = brim_feed_open(&w.feed, ctx, float_graph, data, PER_RUN);
    }
    if (status == BRIM_OK) {
        status = brim_feed_watch(&w.feed, values, n_values);
    }
    if (status == BRIM_OK) {
        status = watch_all(ctx, &w);
    }
    if (status == BRIM_OK) {
        for (size_t i = n_values; i < n_seen; i++) {
            merge(&w.seen[i % n_values], &w.seen[i]);
        }
        memcpy(out, w.seen, n_values * sizeof *out);
        memset(w.seen, 0, n_values * sizeof *out);
    }
    brim_feed_close(&w.feed);
    if (w.seen != NULL) {
        brim_activations_free(ctx, w.seen, n_seen);
    }
    brim_free(ctx, w.seen);
    return status;
}

void brim_activations_free(brim_ctx *ctx, struct brim_activation *a, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        brim_free(ctx, a[i].bin);
        brim_free(ctx, a[i].channel_max);
        a[i].bin = NULL;
        a[i].channel_max = NULL;
    }
}
