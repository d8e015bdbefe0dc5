/* pairing.c - an order of channels in which fewer products meet that overflow together.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Idea        A first-stage register adds the products of a tile: on x86-maddubs of two neighbouring
 *             input channels. Which channels are neighbours is free (channels.h), and a weight of 100
 *             is no risk beside one of -30. So channels are exchanged while that lessens the loss.
 * Symbols     P, N    sums of a tile's positive weights, and of the magnitudes of the negative ones
 *             mu, nu  input range of the operand
 *             R_hi = nu P - mu N, R_lo = -(nu N - mu P)   the register's reach (algorithms eq. 0.1)
 *             loss = sum over layers of 1 / (n k) sum over tiles and outputs of
 *                    (max(0, R_hi - H) + max(0, L - R_lo))^2
 * Invariant   Every exchange kept lessens the loss, which is an integer in each layer.
 * Cost        An exchange costs outputs * tiles it touches; only channels in a tile with loss are
 *             offered for exchange, in at most ROUNDS rounds.
 * Example     four channels with weights 100, 90, -80, -70 of one output, pairs, inputs 0..255: (100, 90)
 *             reaches 48450; (100, -80) and (90, -70) reach 25500. tests/fix/test_pairing.c
 */
#include "fix/pairing.h"

#include <string.h>

#include "base/clones.h"
#include "base/intops.h"

#define ROUNDS 6
#define MOST   (1u << 20)

/* A layer's registers while channels move. */
struct state {
    const struct brim_layer_walk *walk;
    size_t n, taps, channels, tiles;
    int64_t mu, nu, hi, lo;
    int32_t *w;         /* [taps][channels][n] by the channel's old number */
    size_t *tile;       /* [taps][channels] the tile of a place */
    int64_t *pos, *neg; /* [tiles][n] */
    uint64_t *loss;     /* [tiles] */
    double share;       /* of a unit of loss, per weight */
    /* one exchange */
    size_t *touched; /* [2 * taps] tiles, each once */
    size_t n_touched;
    int64_t *try_pos, *try_neg; /* [2 * taps][n] */
    uint64_t *try_loss;
};

BRIM_CLONES static void pairing_add(size_t n, const int32_t *restrict w, int64_t sign,
                                    int64_t *restrict pos, int64_t *restrict neg)
{
    for (size_t c = 0; c < n; c++) {
        pos[c] += sign * (w[c] > 0 ? w[c] : 0);
        neg[c] += sign * (w[c] < 0 ? -w[c] : 0);
    }
}

BRIM_CLONES static uint64_t pairing_loss(size_t n, const int64_t *restrict pos,
                                         const int64_t *restrict neg, const int64_t limit[4])
{
    const int64_t mu = limit[0], nu = limit[1], hi = limit[2], lo = limit[3];
    uint64_t sum = 0;

    for (size_t c = 0; c < n; c++) {
        const int64_t above = nu * pos[c] - mu * neg[c] - hi,
                      below = nu * neg[c] - mu * pos[c] + lo;
        const int64_t beyond = (above > 0 ? above : 0) + (below > 0 ? below : 0);
        const uint64_t units = ((uint64_t)beyond + 63) / 64;
        const uint64_t capped = units < MOST ? units : MOST; /* the sum stays within 62 bits */
        sum += capped * capped;
    }
    return sum;
}

static uint64_t tile_loss(const struct state *s, const int64_t *pos, const int64_t *neg)
{
    const int64_t limit[4] = {s->mu, s->nu, s->hi, s->lo};

    return pairing_loss(s->n, pos, neg, limit);
}

static const int32_t *weights(const struct state *s, size_t tap, size_t channel)
{
    return s->w + (tap * s->channels + channel) * s->n;
}

static brim_status allocate(struct brim_arena *a, struct state *s)
{
    const size_t places = s->taps * s->channels;

    s->w = brim_arena_alloc(a, places * s->n, sizeof *s->w);
    s->tile = brim_arena_alloc(a, places, sizeof *s->tile);
    s->pos = brim_arena_zalloc(a, s->tiles * s->n, sizeof *s->pos);
    s->neg = brim_arena_zalloc(a, s->tiles * s->n, sizeof *s->neg);
    s->loss = brim_arena_alloc(a, s->tiles, sizeof *s->loss);
    s->touched = brim_arena_alloc(a, 2 * s->taps, sizeof *s->touched);
    s->try_pos = brim_arena_alloc(a, 2 * s->taps * s->n, sizeof *s->try_pos);
    s->try_neg = brim_arena_alloc(a, 2 * s->taps * s->n, sizeof *s->try_neg);
    s->try_loss = brim_arena_alloc(a, 2 * s->taps, sizeof *s->try_loss);
    return s->w == NULL || s->tile == NULL || s->pos == NULL || s->neg == NULL || s->loss == NULL ||
                   s->touched == NULL || s->try_pos == NULL || s->try_neg == NULL ||
                   s->try_loss == NULL
               ? BRIM_ERR_NOMEM
               : BRIM_OK;
}

static brim_status start(struct brim_arena *a, const struct brim_pairing_layer *l, size_t channels,
                         struct state *s)
{
    const struct brim_layer_walk *walk = l->walk;
    const unsigned width = walk->target->datapath.stage[0].width;

    *s = (struct state){.walk = walk,
                        .n = walk->dot->n,
                        .taps = walk->dot->k / channels,
                        .channels = channels,
                        .tiles = (walk->slots + walk->tile - 1) / walk->tile,
                        .mu = brim_min_i64(walk->x_min, 0),
                        .nu = brim_max_i64(walk->x_max, 0),
                        .hi = brim_register_max(width),
                        .lo = brim_register_min(width),
                        .share = 1.0 / (double)(walk->dot->n * walk->dot->k)};
    BRIM_TRY(allocate(a, s));
    for (size_t i = 0; i < walk->slots; i++) {
        if (walk->k[i] >= 0) {
            s->tile[walk->k[i]] = i / walk->tile;
        }
    }
    for (size_t k = 0; k < walk->dot->k; k++) {
        for (size_t c = 0; c < s->n; c++) {
            s->w[k * s->n + c] = l->w[c * walk->dot->k + k];
        }
        pairing_add(s->n, s->w + k * s->n, 1, s->pos + s->tile[k] * s->n,
                    s->neg + s->tile[k] * s->n);
    }
    for (size_t t = 0; t < s->tiles; t++) {
        s->loss[t] = tile_loss(s, s->pos + t * s->n, s->neg + t * s->n);
    }
    return BRIM_OK;
}

/* Place of a tile among those that the exchange touches, copied when it is new. */
static size_t touch(struct state *s, size_t tile)
{
    for (size_t i = 0; i < s->n_touched; i++) {
        if (s->touched[i] == tile) {
            return i;
        }
    }
    const size_t i = s->n_touched++;
    s->touched[i] = tile;
    memcpy(s->try_pos + i * s->n, s->pos + tile * s->n, s->n * sizeof *s->pos);
    memcpy(s->try_neg + i * s->n, s->neg + tile * s->n, s->n * sizeof *s->neg);
    return i;
}

/* What the loss of this layer grows by when places a and b exchange their channels x and y. */
static double try_exchange(struct state *s, const size_t place[2], const size_t channel[2])
{
    int64_t change = 0;

    s->n_touched = 0;
    for (size_t tap = 0; tap < s->taps; tap++) {
        const size_t *tile = s->tile + tap * s->channels;
        if (tile[place[0]] == tile[place[1]]) {
            continue;
        }
        for (size_t side = 0; side < 2; side++) {
            const size_t at = touch(s, tile[place[side]]) * s->n;
            pairing_add(s->n, weights(s, tap, channel[side]), -1, s->try_pos + at, s->try_neg + at);
            pairing_add(s->n, weights(s, tap, channel[1 - side]), 1, s->try_pos + at,
                        s->try_neg + at);
        }
    }
    for (size_t i = 0; i < s->n_touched; i++) {
        s->try_loss[i] = tile_loss(s, s->try_pos + i * s->n, s->try_neg + i * s->n);
        change += (int64_t)s->try_loss[i] - (int64_t)s->loss[s->touched[i]];
    }
    return (double)change * s->share;
}

static void keep_exchange(struct state *s)
{
    for (size_t i = 0; i < s->n_touched; i++) {
        const size_t tile = s->touched[i];
        memcpy(s->pos + tile * s->n, s->try_pos + i * s->n, s->n * sizeof *s->pos);
        memcpy(s->neg + tile * s->n, s->try_neg + i * s->n, s->n * sizeof *s->neg);
        s->loss[tile] = s->try_loss[i];
    }
}

static bool in_trouble(const struct state *s, size_t n, size_t place)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t tap = 0; tap < s[i].taps; tap++) {
            if (s[i].loss[s[i].tile[tap * s[i].channels + place]] > 0) {
                return true;
            }
        }
    }
    return false;
}

/* Exchange place a with the first later or earlier one that lessens the loss; true when one did. */
static bool improve_place(struct state *s, size_t n, size_t a, size_t *order)
{
    bool any = false;

    for (size_t b = 0; b < s[0].channels; b++) {
        const size_t place[2] = {a, b}, channel[2] = {order[a], order[b]};
        double change = 0.0;
        for (size_t i = 0; a != b && i < n; i++) {
            change += try_exchange(&s[i], place, channel);
        }
        if (change < 0.0) {
            for (size_t i = 0; i < n; i++) {
                keep_exchange(&s[i]);
            }
            order[a] = channel[1];
            order[b] = channel[0];
            any = true;
        }
    }
    return any;
}

static double total_loss(const struct state *s, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++) {
        for (size_t t = 0; t < s[i].tiles; t++) {
            sum += (double)s[i].loss[t] * s[i].share;
        }
    }
    return sum;
}

brim_status brim_pairing_find(brim_ctx *ctx, const struct brim_pairing_layer *layer, size_t n,
                              size_t channels, size_t *order, double *gain)
{
    struct brim_arena arena;
    brim_status status = BRIM_OK;

    brim_arena_init(&arena, ctx);
    struct state *s = brim_arena_alloc(&arena, n, sizeof *s);
    status = s == NULL ? BRIM_ERR_NOMEM : BRIM_OK;
    for (size_t i = 0; status == BRIM_OK && i < n; i++) {
        status = start(&arena, &layer[i], channels, &s[i]);
    }
    for (size_t i = 0; i < channels; i++) {
        order[i] = i;
    }
    *gain = 0.0;
    if (status == BRIM_OK) {
        const double before = total_loss(s, n);
        bool any = before > 0.0;
        for (int round = 0; any && round < ROUNDS; round++) {
            any = false;
            for (size_t a = 0; a < channels; a++) {
                if (in_trouble(s, n, a)) {
                    any = improve_place(s, n, a, order) || any;
                }
            }
        }
        *gain = before > 0.0 ? 1.0 - total_loss(s, n) / before : 0.0;
    }
    brim_arena_free(&arena);
    return status;
}
