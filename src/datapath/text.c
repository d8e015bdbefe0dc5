/* text.c - the text form of a datapath, and what makes one well formed.
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/ctx.h"
#include "brim/datapath.h"

static brim_status check_stage(brim_ctx *ctx, const brim_datapath *dp, size_t i)
{
    const brim_stage *s = &dp->stage[i];
    const bool last = i + 1 == dp->n_stages;

    if (s->width < 2 || s->width > 64) {
        return brim_fail(ctx, BRIM_ERR_ARG, "stage %zu: width %u, expected 2..64", i + 1,
                         (unsigned)s->width);
    }
    if ((unsigned)s->mode > BRIM_MODE_SPILL) {
        return brim_fail(ctx, BRIM_ERR_ARG, "stage %zu: unknown mode %u", i + 1, (unsigned)s->mode);
    }
    if (s->rounds != 0 && s->mode != BRIM_MODE_SORTED) {
        return brim_fail(ctx, BRIM_ERR_ARG, "stage %zu: rounds belong to mode q only", i + 1);
    }
    if (last && s->tile != 0) {
        return brim_fail(ctx, BRIM_ERR_ARG,
                         "stage %zu: the last stage sums the whole reduction, expected no tile",
                         i + 1);
    }
    if (last && s->mode == BRIM_MODE_SPILL) {
        return brim_fail(ctx, BRIM_ERR_ARG, "stage %zu: the last stage has nowhere to spill to",
                         i + 1);
    }
    if (!last && s->tile == 0) {
        return brim_fail(ctx, BRIM_ERR_ARG,
                         "stage %zu: no tile, expected one in every stage but the last", i + 1);
    }
    if (!last && i > 0 && s->tile % dp->stage[i - 1].tile != 0) {
        return brim_fail(ctx, BRIM_ERR_ARG,
                         "stage %zu: tile %" PRIu64 ", expected a multiple of %" PRIu64, i + 1,
                         s->tile, dp->stage[i - 1].tile);
    }
    return BRIM_OK;
}

brim_status brim_datapath_check(brim_ctx *ctx, const brim_datapath *dp)
{
    if (dp->n_stages < 1 || dp->n_stages > BRIM_MAX_STAGES) {
        return brim_fail(ctx, BRIM_ERR_ARG, "%zu stages, expected 1..%d", dp->n_stages,
                         BRIM_MAX_STAGES);
    }
    for (size_t i = 0; i < dp->n_stages; i++) {
        BRIM_TRY(check_stage(ctx, dp, i));
    }
    return BRIM_OK;
}

/* Decimal digits without a leading zero, 1..max; false leaves *p where it was. */
static bool parse_number(const char **p, uint64_t max, uint64_t *value)
{
    const char *c = *p;
    uint64_t v = 0;

    if (*c < '1' || *c > '9') {
        return false;
    }
    for (; *c >= '0' && *c <= '9'; c++) {
        const uint64_t digit = (uint64_t)(*c - '0');

        if (v > (max - digit) / 10) {
            return false;
        }
        v = 10 * v + digit;
    }
    *p = c;
    *value = v;
    return true;
}

static brim_mode parse_mode(const char **p)
{
    static const char letter[] = "sqgp";
    const char *hit = **p == '\0' ? NULL : strchr(letter, **p);

    if (hit == NULL) {
        return BRIM_MODE_WRAP;
    }
    *p += 1;
    return (brim_mode)(BRIM_MODE_SATURATE + (hit - letter));
}

static brim_status parse_stage(brim_ctx *ctx, const char **p, size_t i, brim_stage *s)
{
    uint64_t v;

    memset(s, 0, sizeof *s);
    if (!parse_number(p, 64, &v)) {
        return brim_fail(ctx, BRIM_ERR_ARG, "stage %zu: no width, expected 2..64", i + 1);
    }
    s->width = (uint8_t)v;
    if (**p == '/') {
        *p += 1;
        if (!parse_number(p, UINT32_MAX, &s->tile)) {
            return brim_fail(ctx, BRIM_ERR_ARG,
                             "stage %zu: no tile length after '/', expected 1..%" PRIu32, i + 1,
                             UINT32_MAX);
        }
    }
    s->mode = parse_mode(p);
    if (s->mode == BRIM_MODE_SORTED && **p >= '0' && **p <= '9') {
        if (!parse_number(p, UINT32_MAX, &v)) {
            return brim_fail(ctx, BRIM_ERR_ARG,
                             "stage %zu: bad rounds after 'q', expected 1..%" PRIu32, i + 1,
                             UINT32_MAX);
        }
        s->rounds = (uint32_t)v;
    }
    return BRIM_OK;
}

static brim_status parse_stages(brim_ctx *ctx, const char *text, brim_datapath *dp)
{
    const char *p = text;

    memset(dp, 0, sizeof *dp);
    for (;;) {
        const size_t i = dp->n_stages;

        if (i == BRIM_MAX_STAGES) {
            return brim_fail(ctx, BRIM_ERR_ARG, "more than %d stages", BRIM_MAX_STAGES);
        }
        BRIM_TRY(parse_stage(ctx, &p, i, &dp->stage[i]));
        dp->n_stages = i + 1;
        if (*p == '\0') {
            return brim_datapath_check(ctx, dp);
        }
        if (*p != ',') {
            return brim_fail(ctx, BRIM_ERR_ARG,
                             "stage %zu: unexpected text at byte %zu, expected "
                             "width[/tile][s|q[rounds]|g|p], stages separated by commas",
                             i + 1, (size_t)(p - text) + 1);
        }
        p++;
    }
}

brim_status brim_datapath_parse(brim_ctx *ctx, const char *text, brim_datapath *dp)
{
    brim_datapath parsed;
    const brim_status s = parse_stages(ctx, text, &parsed);

    if (s != BRIM_OK) {
        return brim_fail_at(ctx, s, "datapath '%.80s'", text);
    }
    *dp = parsed;
    return BRIM_OK;
}

void brim_datapath_print(const brim_datapath *dp, char text[BRIM_DATAPATH_TEXT])
{
    static const char *const letter[] = {"", "s", "q", "g", "p"};
    size_t at = 0;

    text[0] = '\0';
    for (size_t i = 0; i < dp->n_stages && i < BRIM_MAX_STAGES; i++) {
        const brim_stage *s = &dp->stage[i];
        const char *mode = (unsigned)s->mode <= BRIM_MODE_SPILL ? letter[s->mode] : "?";
        char tile[24] = "", rounds[16] = "";

        if (s->tile != 0) {
            (void)snprintf(tile, sizeof tile, "/%" PRIu64, s->tile);
        }
        if (s->rounds != 0) {
            (void)snprintf(rounds, sizeof rounds, "%" PRIu32, s->rounds);
        }
        const int n = snprintf(text + at, BRIM_DATAPATH_TEXT - at, "%s%u%s%s%s", i > 0 ? "," : "",
                               (unsigned)s->width, tile, mode, rounds);
        if (n < 0 || (size_t)n >= BRIM_DATAPATH_TEXT - at) {
            return;
        }
        at += (size_t)n;
    }
}
