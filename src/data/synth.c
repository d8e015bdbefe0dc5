/* synth.c - glyphs drawn with a random pen, and plain noise. SPDX-License-Identifier: Apache-2.0
 *
 * A glyph is a few strokes between points of a 64 x 64 drawing board. Drawing one:
 *   1. every point is moved a little, then the whole goes through a random affine map: rotation
 *      (1-t^2, 2t)/(1+t^2) of a random t, two scales, a shear, a shift;
 *   2. a pixel's ink falls linearly in the squared distance to the nearest stroke, from 1 inside
 * the pen's radius to 0 about a pixel outside;
 *   3. a second, thinner pen leaves one short scratch; paper and ink get random greys; noise last.
 * Only + - * / and conversions of doubles are used, so every machine draws the same bytes.
 */
#include "data/synth.h"

#include "base/intops.h"
#include "base/rng.h"

#define MAX_POINTS 18

/* Points x, y on the board, origin at its centre; LIFT starts a new stroke. */
struct glyph {
    int n;
    int8_t xy[MAX_POINTS][2];
};

#define LIFTED 127
#define LIFT                                                                                       \
    {                                                                                              \
        LIFTED, LIFTED                                                                             \
    }

static const struct glyph glyphs[BRIM_GLYPH_CLASSES] = {
    /* 0 ring */
    {13,
     {{30, 0},
      {26, 15},
      {15, 26},
      {0, 30},
      {-15, 26},
      {-26, 15},
      {-30, 0},
      {-26, -15},
      {-15, -26},
      {0, -30},
      {15, -26},
      {26, -15},
      {30, 0}}},
    /* 1 arc: a ring that is open on the right */
    {9,
     {{15, 26},
      {0, 30},
      {-15, 26},
      {-26, 15},
      {-30, 0},
      {-26, -15},
      {-15, -26},
      {0, -30},
      {15, -26}}},
    /* 2 triangle */
    {4, {{0, -30}, {28, 24}, {-28, 24}, {0, -30}}},
    /* 3 square */
    {5, {{-26, -26}, {26, -26}, {26, 26}, {-26, 26}, {-26, -26}}},
    /* 4 plus */
    {5, {{0, -30}, {0, 30}, LIFT, {-30, 0}, {30, 0}}},
    /* 5 tee */
    {5, {{-28, -26}, {28, -26}, LIFT, {0, -26}, {0, 30}}},
    /* 6 zigzag */
    {4, {{-26, -28}, {26, -28}, {-26, 28}, {26, 28}}},
    /* 7 arrow */
    {6, {{0, 30}, {0, -30}, LIFT, {-22, -6}, {0, -30}, {22, -6}}},
    /* 8 hourglass */
    {5, {{-24, -28}, {24, -28}, {-24, 28}, {24, 28}, {-24, -28}}},
    /* 9 aitch */
    {8, {{-24, -28}, {-24, 28}, LIFT, {24, -28}, {24, 28}, LIFT, {-24, 0}, {24, 0}}},
};

struct segment {
    double x0, y0, x1, y1;
};

struct pen {
    double radius, soft; /* full ink inside the radius, none beyond radius + soft */
};

static double between(struct brim_rng *r, double lo, double hi)
{
    return lo + (hi - lo) * brim_rng_uniform(r);
}

/* Squared distance from a point to a segment. */
static double distance2(const struct segment *s, double x, double y)
{
    const double dx = s->x1 - s->x0, dy = s->y1 - s->y0;
    const double length2 = dx * dx + dy * dy;
    double t = length2 > 0.0 ? ((x - s->x0) * dx + (y - s->y0) * dy) / length2 : 0.0;

    t = t < 0.0 ? 0.0 : t > 1.0 ? 1.0 : t;
    const double ex = x - (s->x0 + t * dx), ey = y - (s->y0 + t * dy);
    return ex * ex + ey * ey;
}

/* Ink in [0, 1] at a squared distance from the pen's centre. */
static double ink_at(const struct pen *pen, double d2)
{
    const double in = pen->radius * pen->radius;
    const double out = (pen->radius + pen->soft) * (pen->radius + pen->soft);

    return d2 <= in ? 1.0 : d2 >= out ? 0.0 : (out - d2) / (out - in);
}

/* Strokes of a class in pixel coordinates. */
static int place(struct brim_rng *r, const struct glyph *g, struct segment *out)
{
    const double t = between(r, -0.27, 0.27); /* tan of half the angle: about +-30 degrees */
    const double c = (1.0 - t * t) / (1.0 + t * t), s = 2.0 * t / (1.0 + t * t);
    const double size = between(r, 0.17, 0.36); /* pixels per unit of the board */
    const double wide = size * between(r, 0.8, 1.2), high = size * between(r, 0.8, 1.2);
    const double shear = between(r, -0.3, 0.3);
    const double cx = 13.5 + between(r, -3.0, 3.0), cy = 13.5 + between(r, -3.0, 3.0);
    double last_x = 0.0, last_y = 0.0;
    bool down = false;
    int n = 0;

    for (int i = 0; i < g->n; i++) {
        if (g->xy[i][0] == LIFTED) {
            down = false;
            continue;
        }
        const double px = g->xy[i][0] + between(r, -4.0, 4.0);
        const double py = g->xy[i][1] + between(r, -4.0, 4.0);
        const double ux = wide * (px + shear * py), uy = high * py;
        const double x = cx + c * ux - s * uy, y = cy + s * ux + c * uy;
        if (down) {
            out[n++] = (struct segment){last_x, last_y, x, y};
        }
        last_x = x;
        last_y = y;
        down = true;
    }
    return n;
}

static struct segment scratch(struct brim_rng *r)
{
    const double x = between(r, 2.0, 25.0), y = between(r, 2.0, 25.0);
    const double dx = between(r, -9.0, 9.0), dy = between(r, -9.0, 9.0); /* in this order */

    return (struct segment){x, y, x + dx, y + dy};
}

uint8_t brim_synth_glyph(uint64_t seed, uint64_t index, uint8_t pixel[BRIM_GLYPH_PIXELS])
{
    struct segment stroke[MAX_POINTS] = {{0}};
    struct brim_rng r;

    brim_rng_init(&r, seed, index);
    const uint8_t label = (uint8_t)brim_rng_below(&r, BRIM_GLYPH_CLASSES);
    const int n = place(&r, &glyphs[label], stroke);
    const struct segment mark = scratch(&r);
    const struct pen pen = {between(&r, 0.4, 1.5), 1.0}, thin = {between(&r, 0.1, 0.7), 1.0};
    const double paper = between(&r, 0.0, 70.0);
    const double ink = paper + between(&r, 70.0, 185.0);
    const double mark_ink = between(&r, 0.3, 0.9), noise = between(&r, 4.0, 34.0);

    for (int i = 0; i < BRIM_GLYPH_PIXELS; i++) {
        const int row = i / BRIM_GLYPH_SIDE, column = i % BRIM_GLYPH_SIDE;
        const double x = column, y = row;
        double nearest = distance2(&stroke[0], x, y);
        for (int k = 1; k < n; k++) {
            const double d2 = distance2(&stroke[k], x, y);
            nearest = d2 < nearest ? d2 : nearest;
        }
        const double a = ink_at(&pen, nearest);
        const double b = mark_ink * ink_at(&thin, distance2(&mark, x, y));
        const double v = paper + (ink - paper) * (a > b ? a : b) + noise * brim_rng_normal(&r);
        pixel[i] = v <= 0.0 ? 0 : v >= 255.0 ? 255 : (uint8_t)brim_rint(v);
    }
    return label;
}

void brim_synth_noise(uint64_t seed, uint64_t index, float *x, size_t n)
{
    struct brim_rng r;

    brim_rng_init(&r, seed, index);
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)brim_rng_normal(&r);
    }
}
