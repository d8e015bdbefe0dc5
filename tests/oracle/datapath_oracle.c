/* datapath_oracle.c - see datapath_oracle.h. SPDX-License-Identifier: Apache-2.0 */
#include "oracle/datapath_oracle.h"

#include <stdlib.h>

__extension__ typedef __int128 wide;

struct stage {
    int width;
    size_t tile;
    char mode; /* 'w', 's', 'q', 'g', 'p' */
    unsigned long rounds;
};

struct list {
    size_t n;
    wide *v;
};

struct eval {
    struct stage stage[8];
    int stages;
    const int32_t *w, *x;
    int scaled; /* the stage whose results are multiplied, or -1 */
    const uint32_t *factor;
    int exact; /* nothing is lost at the rails; overflows are noted instead */
    int transient, persistent;
};

static void append(struct list *l, wide v)
{
    l->v = realloc(l->v, (l->n + 1) * sizeof *l->v);
    if (l->v == NULL) {
        abort();
    }
    l->v[l->n++] = v;
}

static wide top(int width)
{
    return ((wide)1 << (width - 1)) - 1;
}

static wide bottom(int width)
{
    return -((wide)1 << (width - 1));
}

static int holds(int width, wide v)
{
    return bottom(width) <= v && v <= top(width);
}

int oracle_width(int64_t lo, int64_t hi)
{
    int width = 2;

    while (!holds(width, lo) || !holds(width, hi)) {
        width++;
    }
    return width;
}

static void parse(struct eval *e, const char *text)
{
    for (e->stages = 0; *text != '\0'; e->stages++) {
        struct stage *s = &e->stage[e->stages];
        char *end;

        *s = (struct stage){.mode = 'w', .tile = SIZE_MAX};
        s->width = (int)strtol(text, &end, 10);
        if (*end == '/') {
            s->tile = strtoul(end + 1, &end, 10);
        }
        if (*end != ',' && *end != '\0') {
            s->mode = *end++;
        }
        if (*end != ',' && *end != '\0') {
            s->rounds = strtoul(end, &end, 10);
        }
        text = *end == ',' ? end + 1 : end;
    }
}

/* What the stage's adder makes of the sum; *out notes that it left the register. */
static wide settle(const struct eval *e, const struct stage *s, wide sum, int *out)
{
    if (holds(s->width, sum)) {
        return sum;
    }
    *out = 1;
    if (e->exact) {
        return sum;
    }
    if (s->mode == 'w') {
        const wide size = (wide)1 << s->width;
        const wide low = ((sum - bottom(s->width)) % size + size) % size;

        return low + bottom(s->width);
    }
    return sum > 0 ? top(s->width) : bottom(s->width);
}

/* Remove and return the largest positive (sign 1) or most negative (sign -1); 0 if there is none.
 */
static wide take_extreme(struct list *l, int sign)
{
    size_t best = l->n;

    for (size_t i = 0; i < l->n; i++) {
        if (l->v[i] * sign > 0 && (best == l->n || l->v[i] * sign > l->v[best] * sign)) {
            best = i;
        }
    }
    if (best == l->n) {
        return 0;
    }
    const wide v = l->v[best];
    l->v[best] = 0;
    return v;
}

static int has_sign(const struct list *l, int sign)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->v[i] * sign > 0) {
            return 1;
        }
    }
    return 0;
}

static void sort_rounds(const struct eval *e, const struct stage *s, struct list *terms, int *out)
{
    for (unsigned long round = 0; s->rounds == 0 || round < s->rounds; round++) {
        struct list next = {0, NULL};

        if (!has_sign(terms, 1) || !has_sign(terms, -1)) {
            return;
        }
        for (;;) {
            const wide p = take_extreme(terms, 1), q = take_extreme(terms, -1);

            if (p == 0 && q == 0) {
                break;
            }
            append(&next, p != 0 && q != 0 ? settle(e, s, p + q, out) : p + q);
        }
        free(terms->v);
        *terms = next;
    }
}

static wide next_of_sign(struct list *l, int sign)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->v[i] * sign > 0) {
            const wide v = l->v[i];
            l->v[i] = 0;
            return v;
        }
    }
    return 0;
}

static wide add_up(const struct eval *e, const struct stage *s, struct list *terms, int *out)
{
    wide sum = 0;

    if (s->mode == 'q') {
        sort_rounds(e, s, terms, out);
    }
    if (s->mode == 'g') {
        for (;;) {
            wide t = next_of_sign(terms, sum <= 0 ? 1 : -1);

            t = t != 0 ? t : next_of_sign(terms, sum <= 0 ? -1 : 1);
            if (t == 0) {
                return sum;
            }
            sum = settle(e, s, sum + t, out);
        }
    }
    for (size_t i = 0; i < terms->n; i++) {
        sum = settle(e, s, sum + terms->v[i], out);
    }
    return sum;
}

/* What one register of a stage hands on: one value, or the spilled ones and the rest. */
static struct list finish(struct eval *e, const struct stage *s, struct list *terms)
{
    struct list result = {0, NULL};
    wide total = 0;
    int out = 0;

    for (size_t i = 0; i < terms->n; i++) {
        total += terms->v[i];
    }
    if (s->mode != 'p') {
        append(&result, add_up(e, s, terms, &out));
        if (e->exact && !holds(s->width, total)) {
            e->persistent = 1;
        } else if (out) {
            e->transient = 1;
        }
        return result;
    }
    wide held = 0;
    for (size_t i = 0; i < terms->n; i++) {
        if (holds(s->width, held + terms->v[i])) {
            held += terms->v[i];
            continue;
        }
        e->transient = 1;
        append(&result, held);
        held = terms->v[i];
        if (!holds(s->width, held)) {
            append(&result, held);
            held = 0;
        }
    }
    append(&result, held);
    return result;
}

static struct list evaluate(struct eval *e, int i, size_t first, size_t n)
{
    struct list terms = {0, NULL};

    if (i == 0) {
        for (size_t j = first; j < first + n; j++) {
            append(&terms, (wide)e->w[j] * e->x[j]);
        }
    } else {
        const size_t tile = e->stage[i - 1].tile;

        for (size_t j = 0; j < n; j += tile) {
            struct list part = evaluate(e, i - 1, first + j, n - j < tile ? n - j : tile);

            for (size_t p = 0; p < part.n; p++) {
                append(&terms,
                       i - 1 == e->scaled ? part.v[p] * e->factor[(first + j) / tile] : part.v[p]);
            }
            free(part.v);
        }
    }
    struct list result = finish(e, &e->stage[i], &terms);
    free(terms.v);
    return result;
}

static void note_first_stage(const struct eval *e, size_t k, struct oracle_events *ev)
{
    wide sum = 0, lo = 0, hi = 0;

    for (size_t i = 0; i < k; i++) {
        const wide p = (wide)e->w[i] * e->x[i];

        sum = i % e->stage[0].tile == 0 ? p : sum + p;
        lo = sum < lo ? sum : lo;
        hi = sum > hi ? sum : hi;
        if (!holds(e->stage[0].width, p)) {
            ev->product = 1;
        }
    }
    ev->min_width = oracle_width((int64_t)lo, (int64_t)hi);
}

int64_t oracle_dot(const char *datapath, const int32_t *w, const int32_t *x, size_t k,
                   struct oracle_events *ev)
{
    return oracle_dot_scaled(datapath, 0, NULL, w, x, k, ev);
}

int64_t oracle_dot_scaled(const char *datapath, size_t vector, const uint32_t *factor,
                          const int32_t *w, const int32_t *x, size_t k, struct oracle_events *ev)
{
    struct eval e = {.w = w, .x = x, .scaled = -1, .factor = factor};

    parse(&e, datapath);
    for (int i = e.stages - 1; i-- > 0;) {
        e.scaled = e.stage[i].tile == vector ? i : e.scaled;
    }
    struct eval shadow = e;
    shadow.exact = 1;
    struct list result = evaluate(&e, e.stages - 1, 0, k);
    const int64_t value = (int64_t)result.v[0];

    free(result.v);
    *ev = (struct oracle_events){0};
    result = evaluate(&shadow, shadow.stages - 1, 0, k);
    free(result.v);
    ev->persistent = shadow.persistent;
    ev->transient = shadow.transient && !shadow.persistent;
    note_first_stage(&shadow, k, ev);
    return value;
}
