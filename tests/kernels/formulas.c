/* formulas.c - see formulas.h. SPDX-License-Identifier: Apache-2.0 */
#include "formulas.h"

#include <string.h>

#define EMITS 5

const char *const check_emit_name[EMITS] = {[BRIM_EMIT_FLOAT] = "float",
                                            [BRIM_EMIT_CODES] = "codes",
                                            [BRIM_EMIT_ACC] = "totals",
                                            [BRIM_EMIT_CLIPPED] = "clipped totals",
                                            [BRIM_EMIT_WRAPPED] = "wrapped totals"};

size_t check_emit_size(enum brim_emit emit)
{
    return emit == BRIM_EMIT_CODES ? 1 : 4;
}

static float power_of_two(int exponent)
{
    float x = 1.0f;

    for (; exponent > 0; exponent--) {
        x *= 2.0f;
    }
    for (; exponent < 0; exponent++) {
        x *= 0.5f;
    }
    return x;
}

/* Mostly such that totals spread over the codes, often a power of two so that halves occur. */
static float a_multiplier(struct check *c, int64_t reach)
{
    const float spread = 0x1p10f * (float)(check_range(c, 1, 1 << 20)) * 0x1p-20f / (float)reach;
    const int power = (int)check_range(c, -12, 2);

    switch (brim_rng_below(&c->rng, 8)) {
    case 0:
        return power_of_two((int)check_range(c, -149, 96));
    case 1:
        return -spread;
    case 2:
    case 3:
        return (float)check_range(c, 1, 3) * power_of_two(power);
    default:
        return spread;
    }
}

void check_make_epilogue(struct check *c, struct brim_epilogue *e, size_t n, int64_t reach)
{
    const int64_t room = INT32_MAX - reach;
    const int32_t least = check_once_in(c, 2) ? 0 : -128;
    const int32_t a = (int32_t)check_range(c, least, least + 255);
    const int32_t b = (int32_t)check_range(c, least, least + 255);
    const bool whole = check_once_in(c, 2);
    float *const multiplier = check_buffer(c, "multipliers", n * sizeof(float), sizeof(float));
    float *const bias = check_buffer(c, "biases", n * sizeof(float), sizeof(float));
    int32_t *const offset = check_buffer(c, "offsets", n * sizeof(int32_t), sizeof(int32_t));

    for (size_t i = 0; i < n; i++) {
        multiplier[i] = a_multiplier(c, reach);
        bias[i] = (float)check_range(c, -1000, 1000) * power_of_two((int)check_range(c, -9, 9));
    }
    check_fill(c, check_any_pattern(c), offset, n,
               (int32_t)(check_once_in(c, 4) ? -room : -room / 4096),
               (int32_t)(check_once_in(c, 4) ? room : room / 4096));
    check_seal(c, multiplier);
    check_seal(c, bias);
    check_seal(c, offset);
    e->emit = (enum brim_emit)brim_rng_below(&c->rng, EMITS);
    e->offset = check_once_in(c, 3) ? NULL : offset;
    e->multiplier = brim_emits_acc(e->emit) ? NULL : multiplier;
    e->bias = e->emit == BRIM_EMIT_FLOAT && !check_once_in(c, 3) ? bias : NULL;
    e->zero = (int32_t)check_range(c, least, least + 255);
    e->lo = (float)((whole ? least : a < b ? a : b) - e->zero);
    e->hi = (float)((whole ? least + 255 : a < b ? b : a) - e->zero);
    e->most = (int32_t)(UINT32_MAX >> check_range(c, 1, 31)); /* of 2 to 32 bits */
    e->least = -e->most - 1;
}

/* acc on the epilogue's register. */
static int32_t put_on_register(const struct brim_epilogue *e, int64_t acc)
{
    const int64_t span = (int64_t)e->most - e->least + 1;

    if (e->emit == BRIM_EMIT_CLIPPED) {
        acc = acc < e->least ? e->least : acc > e->most ? e->most : acc;
    } else if (e->emit == BRIM_EMIT_WRAPPED) {
        acc = (acc - e->least) % span;
        acc += acc < 0 ? span + e->least : e->least;
    }
    return (int32_t)acc;
}

/* Half to even; |x| is small. */
static int32_t nearest(float x)
{
    const int32_t whole = (int32_t)x; /* towards zero */
    const float rest = x - (float)whole;
    const int32_t away = x < 0 ? -1 : 1;

    if (rest == 0.5f || rest == -0.5f) {
        return whole % 2 == 0 ? whole : whole + away;
    }
    return rest > 0.5f || rest < -0.5f ? whole + away : whole;
}

void check_emit(const struct brim_epilogue *e, int64_t total, size_t channel, void *y)
{
    const int32_t acc = (int32_t)(total + (e->offset != NULL ? e->offset[channel] : 0));

    if (brim_emits_acc(e->emit)) {
        const int32_t kept = put_on_register(e, acc);
        memcpy(y, &kept, sizeof kept);
        return;
    }
    const float scaled = (float)acc * e->multiplier[channel];
    if (e->emit == BRIM_EMIT_FLOAT) {
        const float value = e->bias != NULL ? scaled + e->bias[channel] : scaled;
        memcpy(y, &value, sizeof value);
        return;
    }
    const float clipped = scaled < e->lo ? e->lo : scaled > e->hi ? e->hi : scaled;
    *(uint8_t *)y = (uint8_t)(nearest(clipped) + e->zero);
}
