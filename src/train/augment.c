/* augment.c - flip, crop, shift, cutout. SPDX-License-Identifier: Apache-2.0
 *
 * Every image draws the same number of random values whatever they turn out to be, from a generator of
 * its own: what it becomes depends on nothing else. Cutout: DeVries and Taylor, arXiv 1708.04552.
 */
#include "train/augment.h"

#include <stdlib.h>
#include <string.h>

#include "base/intops.h"

/* The number that follows `word` at `text`, which `length` characters must be; 0 when it is none. */
static size_t number_after(const char *text, size_t length, const char *word)
{
    const size_t n = strlen(word);
    size_t value = 0;

    if (length <= n || length > n + 3 || memcmp(text, word, n) != 0) {
        return 0;
    }
    for (size_t i = n; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return 0;
        }
        value = 10 * value + (size_t)(text[i] - '0');
    }
    return value;
}

brim_status brim_augment_parse(brim_ctx *ctx, const char *text, struct brim_augment *a)
{
    *a = (struct brim_augment){.flip = false};
    for (const char *at = text; at != NULL && *text != '\0';) {
        const size_t n = strcspn(at, ",");
        const size_t crop = number_after(at, n, "crop"), shift = number_after(at, n, "shift");
        const size_t cutout = number_after(at, n, "cutout");
        if (n == 4 && memcmp(at, "flip", 4) == 0) {
            a->flip = true;
        } else if ((crop > 0 || shift > 0) && a->reach > 0) {
            return brim_fail(ctx, BRIM_ERR_ARG, "augment: '%s', expected one of cropN and shiftN",
                             text);
        } else if (crop > 0 || shift > 0) {
            a->reach = crop + shift;
            a->edges = shift > 0;
        } else if (cutout > 0) {
            a->cutout = cutout;
        } else {
            return brim_fail(ctx, BRIM_ERR_ARG,
                             "augment: '%.*s', expected flip, cropN, shiftN or cutoutN", (int)n,
                             at);
        }
        at = at[n] == ',' ? at + n + 1 : NULL;
    }
    return BRIM_OK;
}

/* Where an image was before it moved by (down, right), mirrored or not. */
struct move {
    int64_t down, right;
    bool mirror, edges;
};

static void move_plane(const float *from, size_t height, size_t width, const struct move *m,
                       float *to)
{
    const int64_t h = (int64_t)height, w = (int64_t)width;

    for (int64_t i = 0; i < h; i++) {
        const int64_t row = i - m->down, near_row = brim_max_i64(0, brim_min_i64(row, h - 1));
        for (int64_t j = 0; j < w; j++) {
            const int64_t column = (m->mirror ? w - 1 - j : j) - m->right;
            const int64_t near_column = brim_max_i64(0, brim_min_i64(column, w - 1));
            const bool inside = row == near_row && column == near_column;
            to[i * w + j] = inside || m->edges ? from[near_row * w + near_column] : 0.0f;
        }
    }
}

/* A square around a pixel anywhere; what leaves the image is not missed. */
static void cut(float *x, size_t channels, size_t height, size_t width, size_t side, size_t row,
                size_t column)
{
    const size_t top = row > side / 2 ? row - side / 2 : 0;
    const size_t left = column > side / 2 ? column - side / 2 : 0;
    const size_t bottom = brim_min_size(height, row - side / 2 + side);
    const size_t right = brim_min_size(width, column - side / 2 + side);

    for (size_t c = 0; c < channels; c++) {
        for (size_t i = top; i < bottom; i++) {
            memset(x + (c * height + i) * width + left, 0, (right - left) * sizeof *x);
        }
    }
}

void brim_augment_apply(const struct brim_augment *a, struct brim_rng *rng, size_t channels,
                        size_t height, size_t width, float *x, float *scratch)
{
    const size_t plane = height * width;
    const int64_t reach = (int64_t)a->reach;
    struct move m = {.edges = a->edges};

    m.mirror = brim_rng_below(rng, 2) == 1 && a->flip;
    m.down = brim_rng_range(rng, -reach, reach);
    m.right = brim_rng_range(rng, -reach, reach);
    const size_t row = (size_t)brim_rng_below(rng, height);
    const size_t column = (size_t)brim_rng_below(rng, width);

    if (m.mirror || m.down != 0 || m.right != 0) {
        memcpy(scratch, x, channels * plane * sizeof *x);
        for (size_t c = 0; c < channels; c++) {
            move_plane(scratch + c * plane, height, width, &m, x + c * plane);
        }
    }
    if (a->cutout > 0) {
        cut(x, channels, height, width, a->cutout, row, column);
    }
}
