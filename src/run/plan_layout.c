/* plan_layout.c - which values lie channel fastest. SPDX-License-Identifier: Apache-2.0
 *
 * A value does when the step that computes it can write it so and every step that reads it can take
 * it: convolutions in integers, sums, and means, but no other operator. A sum wants all of its
 * three values one way, so a value that cannot takes the others of its sums along, until nothing
 * changes. Steps convert where two ways meet.
 */
#include "run/step.h"

#define TILE 16

void brim_transpose_bytes(const uint8_t *x, size_t rows, size_t columns, uint8_t flip, uint8_t *y)
{
    for (size_t first = 0; first < columns; first += TILE) {
        const size_t last = first + TILE < columns ? first + TILE : columns;
        for (size_t r = 0; r < rows; r++) {
            for (size_t c = first; c < last; c++) {
                y[c * rows + r] = x[r * columns + c] ^ flip;
            }
        }
    }
}

static bool is_image_conv(const struct brim_dot_step *s)
{
    return s->dot->kind == BRIM_DOT_CONV && s->dot->conv.rank == 2;
}

static bool is_image(const struct brim_plan *plan, int32_t value)
{
    const struct brim_type *t = &plan->g->values[value].type;

    return t->shape.rank == 4 && (t->dtype == BRIM_UINT8 || t->dtype == BRIM_INT8) &&
           !plan->wanted[value];
}

static void mark_written(struct brim_plan *plan, const struct brim_step *s)
{
    if (s->dot != NULL && is_image_conv(s->dot) && s->dot->emit == BRIM_EMIT_CODES) {
        plan->bytes[s->dot->out] = is_image(plan, s->dot->out);
    } else if (s->code != NULL && s->code->kind != BRIM_CODE_MEAN) {
        plan->bytes[s->code->out] = is_image(plan, s->code->out);
    }
}

static void unmark_read(struct brim_plan *plan, const struct brim_step *s)
{
    const struct brim_node *n = &plan->g->nodes[s->node];

    if (s->dot != NULL) {
        plan->bytes[s->dot->dot->x] = plan->bytes[s->dot->dot->x] && is_image_conv(s->dot);
    } else if (s->code == NULL) {
        for (size_t i = 0; i < n->n_in; i++) {
            if (n->in[i] >= 0) {
                plan->bytes[n->in[i]] = false;
            }
        }
    }
}

/* True when a value changed. */
static bool settle_sum(struct brim_plan *plan, const struct brim_code_step *s)
{
    bool *a = &plan->bytes[s->in[0]], *b = &plan->bytes[s->in[1]], *y = &plan->bytes[s->out];

    if ((*a && *b && *y) || (!*a && !*b && !*y)) {
        return false;
    }
    *a = *b = *y = false;
    return true;
}

brim_status brim_plan_layout(struct brim_plan *plan)
{
    bool changed = true;

    plan->bytes = brim_arena_zalloc(&plan->arena, plan->g->n_values + 1, sizeof *plan->bytes);
    if (plan->bytes == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < plan->n_steps; i++) {
        mark_written(plan, &plan->steps[i]);
    }
    for (size_t i = 0; i < plan->n_steps; i++) {
        unmark_read(plan, &plan->steps[i]);
    }
    while (changed) {
        changed = false;
        for (size_t i = 0; i < plan->n_steps; i++) {
            const struct brim_code_step *s = plan->steps[i].code;
            changed |= s != NULL && s->kind == BRIM_CODE_ADD && settle_sum(plan, s);
        }
    }
    for (size_t i = 0; i < plan->n_steps; i++) {
        const struct brim_step *s = &plan->steps[i];
        if (s->dot != NULL) {
            s->dot->x_bytes = plan->bytes[s->dot->dot->x];
            s->dot->y_bytes = plan->bytes[s->dot->out];
        } else if (s->code != NULL) {
            s->code->x_bytes = plan->bytes[s->code->in[0]];
            s->code->y_bytes = plan->bytes[s->code->out];
        }
    }
    return BRIM_OK;
}
