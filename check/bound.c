/* bound.c - the proof, done again. SPDX-License-Identifier: Apache-2.0
 *
 * A product q*x with x in [x_min, x_max], x_min <= 0 <= x_max, lies between q*x_min and q*x_max, an
 * interval that contains 0. Whatever the order, an intermediate value is the sum of some of the
 * products, so it lies between the sum of the lower ends and the sum of the upper ends, and both
 * are reached. docs/check.md.
 */
#include "check/bound.h"

#include <string.h>

static bool number(const char **p, uint64_t *v)
{
    *v = 0;
    if (**p < '1' || **p > '9') {
        return false;
    }
    while (**p >= '0' && **p <= '9' && *v < UINT32_MAX) {
        *v = 10 * *v + (uint64_t)(*(*p)++ - '0');
    }
    return *v <= UINT32_MAX && (**p < '0' || **p > '9');
}

static bool parse_stage(const char **p, struct stage *s)
{
    uint64_t width, rounds;

    *s = (struct stage){0, 0};
    if (!number(p, &width) || width < 2 || width > 64) {
        return false;
    }
    s->width = (unsigned)width;
    if (**p == '/') {
        ++*p;
        if (!number(p, &s->tile)) {
            return false;
        }
    }
    if (**p != '\0' && strchr("sqgp", **p) != NULL) {
        const bool sorted = *(*p)++ == 'q';
        if (sorted && **p >= '1' && **p <= '9' && !number(p, &rounds)) {
            return false;
        }
    }
    return true;
}

bool datapath_parse(struct check *c, const char *text, struct datapath *dp)
{
    const char *p = text;
    bool good = true;

    *dp = (struct datapath){.n_stages = 0};
    while (good && dp->n_stages < MAX_STAGES) {
        struct stage *s = &dp->stage[dp->n_stages++];
        good = parse_stage(&p, s);
        if (*p != ',') {
            break;
        }
        p++;
    }
    good = good && *p == '\0' && (p == text || p[-1] != ',');
    for (size_t i = 0; i < dp->n_stages && good; i++) {
        const uint64_t tile = dp->stage[i].tile;
        const uint64_t before = i > 0 ? dp->stage[i - 1].tile : 1;
        good = i + 1 == dp->n_stages ? tile == 0 : tile != 0 && before != 0 && tile % before == 0;
    }
    return good || check_refuse(c, "'%.60s' is not a datapath", text);
}

unsigned bits_for(wide lo, wide hi)
{
    unsigned bits = 2;

    while (bits < 127 && (hi > ((wide)1 << (bits - 1)) - 1 || lo < -((wide)1 << (bits - 1)))) {
        bits++;
    }
    return bits;
}

struct range {
    wide lo, hi;
};

static void add_product(struct range *r, int64_t q, const struct layer *l)
{
    const wide a = (wide)q * l->x_min, b = (wide)q * l->x_max;

    r->lo += a < b ? a : b;
    r->hi += a < b ? b : a;
}

bool beyond_vectors(const struct layer *l, const struct datapath *dp, size_t stage)
{
    for (size_t i = 0; i < stage && l->vector > 0; i++) {
        if (dp->stage[i].tile == l->vector) {
            return true;
        }
    }
    return false;
}

/* Widest register among the tiles of one channel; the range of the last one in *r. */
static unsigned channel_need(const struct layer *l, size_t ch, const struct datapath *dp,
                             size_t stage, struct range *r)
{
    const uint64_t tile = dp->stage[stage].tile;
    const bool beyond = beyond_vectors(l, dp, stage);
    unsigned need = 2;

    *r = (struct range){0, 0};
    for (size_t i = 0; i < l->k; i++) {
        if (tile != 0 && i % tile == 0) {
            *r = (struct range){0, 0};
        }
        add_product(r, beyond ? layer_counted(l, ch, i) : l->w[ch * l->k + i], l);
        if (i + 1 == l->k || (tile != 0 && (i + 1) % tile == 0)) { /* ranges only grow */
            const unsigned bits = bits_for(r->lo, r->hi);
            need = bits > need ? bits : need;
        }
    }
    return need;
}

/* Bits of sum - x_zero * sum(w) + bias. */
static unsigned channel_outside(const struct layer *l, size_t c, const struct range *sum)
{
    const wide bias = l->bias != NULL ? l->bias[c] : 0;
    wide weights = 0;

    for (size_t i = 0; i < l->k; i++) {
        weights += layer_counted(l, c, i);
    }
    const int64_t least = l->zero_any ? l->x_min : l->x_zero;
    const int64_t most = l->zero_any ? l->x_max : l->x_zero;
    const wide a = weights * least, b = weights * most;
    return bits_for(sum->lo + bias - (a > b ? a : b), sum->hi + bias - (a < b ? a : b));
}

bool layer_bounds(struct check *c, const struct layer *l, const struct datapath *dp,
                  struct bounds *b)
{
    wide worst = -1;

    *b = (struct bounds){.proven = true, .outside_bits = 2};
    if (l->vector > 0 && !beyond_vectors(l, dp, dp->n_stages - 1)) {
        return check_refuse(c, "no stage but the last has tiles of %zu products, the vectors",
                            l->vector);
    }
    for (size_t ch = 0; ch < l->n; ch++) {
        struct range sum = {0, 0};
        for (size_t s = 0; s < dp->n_stages; s++) {
            const bool integer = l->factor != NULL || !beyond_vectors(l, dp, s);
            const unsigned bits = channel_need(l, ch, dp, s, &sum);
            const unsigned need = integer ? bits : 0; /* float scales: no register to bound */
            b->need[s] = need > b->need[s] ? need : b->need[s];
            b->proven = b->proven && need <= dp->stage[s].width;
        }
        const wide extent = sum.hi > -(sum.lo + 1) ? sum.hi : -(sum.lo + 1);
        if (bits_for(sum.lo, sum.hi) > 63) {
            return check_broken(c, "channel %zu: sums exceed 63 bits", ch);
        }
        if (extent > worst) {
            worst = extent;
            b->worst_channel = ch;
            b->sum_min = (int64_t)sum.lo;
            b->sum_max = (int64_t)sum.hi;
        }
        const unsigned outside = channel_outside(l, ch, &sum);
        b->outside_bits = outside > b->outside_bits ? outside : b->outside_bits;
    }
    b->proven = b->proven && b->outside_bits <= OUTSIDE_BITS;
    return true;
}
