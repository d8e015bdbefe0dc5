/* weights.c - see weights.h. SPDX-License-Identifier: Apache-2.0 */
#include "weights.h"

#include <string.h>

const char *const check_fit_name[] = {[CHECK_AS_DRAWN] = "as drawn",
                                      [CHECK_FITS] = "fitting",
                                      [CHECK_FULL] = "full",
                                      [CHECK_BEYOND] = "beyond"};

int32_t check_some_x_max(struct check *c, enum check_fit fit)
{
    static const int32_t any[] = {255, 255, 255, 127, 127, 64, 15, 7, 3, 1};
    /* 32767 = 7 * 31 * 151, 32768 = 2^15, 32769 = 9 * 11 * 331; 127, 128 = 2^7, 129 = 3 * 43 */
    static const int32_t edge[] = {31, 151, 217, 64, 128, 33, 99, 255, 7, 3, 1, 43};
    const bool full = fit == CHECK_FULL || fit == CHECK_BEYOND;
    const size_t n = full ? sizeof edge / sizeof *edge : sizeof any / sizeof *any;

    return (full ? edge : any)[brim_rng_below(&c->rng, n)];
}

/* Weights of the group that weight `at` belongs to, from `at` on, in order: the next, or the end. */
static size_t next_in_group(const struct check_weights *d, enum check_group group, size_t at)
{
    if (at % 2 == 0) {
        return at + 1;
    }
    const size_t next = at + 3, end = 4 * d->quads;

    return group == CHECK_LANES && next < end && d->tile[next / 4] == d->tile[at / 4] ? next : end;
}

/* Weight `at` is the first of its group. */
static bool begins_group(const struct check_weights *d, enum check_group group, size_t at)
{
    return at % 2 == 0 &&
           (group == CHECK_PAIRS || at < 4 || d->tile[at / 4] != d->tile[at / 4 - 1]);
}

struct room {
    int32_t up, down; /* what positive and negative weights may still add, both >= 0 */
};

static struct room room_of(const struct check_weights *d)
{
    return (struct room){d->sum_max / d->x_max, -d->sum_min / d->x_max};
}

static void take(struct room *r, int8_t w)
{
    r->up -= w > 0 ? w : 0;
    r->down += w < 0 ? w : 0;
}

static void clip_group(const struct check_weights *d, size_t first, int8_t *w)
{
    struct room r = room_of(d);

    for (size_t at = first; at < 4 * d->quads; at = next_in_group(d, d->group, at)) {
        w[at] = (int8_t)(w[at] > r.up ? r.up : w[at] < -r.down ? -r.down : w[at]);
        take(&r, w[at]);
    }
}

/* Let the weights of the group use up what room there is, and `excess`. */
static void fill_group(const struct check_weights *d, size_t first, int8_t *w, struct room excess)
{
    struct room r = room_of(d);

    for (size_t at = first; at < 4 * d->quads; at = next_in_group(d, d->group, at)) {
        take(&r, w[at]);
    }
    r.up += excess.up;
    r.down += excess.down;
    for (size_t at = first; at < 4 * d->quads; at = next_in_group(d, d->group, at)) {
        if (!d->real[at]) {
            continue;
        }
        if (w[at] > 0 || (w[at] == 0 && at % 4 < 2)) {
            const int32_t more = r.up < 127 - w[at] ? r.up : 127 - w[at];
            w[at] = (int8_t)(w[at] + more);
            r.up -= more;
        } else {
            const int32_t more = r.down < 128 + w[at] ? r.down : 128 + w[at];
            w[at] = (int8_t)(w[at] - more);
            r.down -= more;
        }
    }
}

void check_draw_weights(struct check *c, const struct check_weights *d, int8_t *w)
{
    const size_t n = 4 * d->quads;

    for (size_t at = 0; at < n; at += 64) {
        int32_t codes[64];
        const size_t some = n - at < 64 ? n - at : 64;

        check_fill(c, d->pattern, codes, some, d->w_min, d->w_max);
        for (size_t i = 0; i < some; i++) {
            w[at + i] = (int8_t)(d->real[at + i] ? codes[i] : 0);
        }
    }
    if (d->fit == CHECK_AS_DRAWN || d->group == CHECK_FREE) {
        return;
    }
    /* one lane of one tile, or all such pairs of it, has one too many, of one sign */
    const uint32_t bad_tile = d->tile[brim_rng_below(&c->rng, d->quads)];
    const size_t bad_lane = check_once_in(c, 2) ? 0 : 2;
    const int32_t up = d->fit == CHECK_BEYOND && check_once_in(c, 2);
    const struct room excess = {up, d->fit == CHECK_BEYOND && up == 0}, none = {0};
    for (size_t at = 0; at < n; at++) {
        if (begins_group(d, d->group, at)) {
            const bool bad = d->tile[at / 4] == bad_tile && at % 4 == bad_lane;

            clip_group(d, at, w);
            if (d->fit != CHECK_FITS) {
                fill_group(d, at, w, bad ? excess : none);
            }
        }
    }
}

bool check_weights_fit(const struct check_weights *d, const int8_t *w, enum check_group group)
{
    for (size_t first = 0; group != CHECK_FREE && first < 4 * d->quads; first++) {
        if (!begins_group(d, group, first)) {
            continue;
        }
        int64_t up = 0, down = 0;
        for (size_t at = first; at < 4 * d->quads; at = next_in_group(d, group, at)) {
            up += w[at] > 0 ? w[at] : 0;
            down += w[at] < 0 ? w[at] : 0;
        }
        if (up * d->x_max > d->sum_max || down * d->x_max < d->sum_min) {
            return false;
        }
    }
    return true;
}
