/* check_epilogue.c - totals to floats, codes or totals. SPDX-License-Identifier: Apache-2.0 */
#include "checkasm.h"
#include "formulas.h"

#include <string.h>

static size_t count(void)
{
    return brim_epilogue_variant_count;
}

static struct check_variant variant(size_t i)
{
    return (struct check_variant){brim_epilogue_variants[i].name, brim_epilogue_variants[i].isa};
}

static void run(struct check *c, size_t i)
{
    const size_t rows = (size_t)check_range(c, 1, 9), columns = check_length(c, 16, 100);
    const size_t stride = columns + (size_t)check_range(c, 0, 9);
    const size_t y_stride = columns + (size_t)check_range(c, 0, 9);
    struct brim_epilogue e;
    const size_t first = (size_t)check_range(c, 0, 40);
    const int32_t reach = (int32_t)(INT32_C(1) << brim_rng_below(&c->rng, 31));

    check_make_epilogue(c, &e, first + columns, reach);
    check_describe(c, "%s, %zu rows of %zu columns from %zu, strides %zu %zu, totals to %d",
                   check_emit_name[e.emit], rows, columns, first, stride, y_stride, reach);
    int32_t *total =
        check_buffer(c, "totals", ((rows - 1) * stride + columns) * sizeof *total, sizeof *total);
    const enum check_pattern p = check_any_pattern(c);
    check_fill(c, p, total, (rows - 1) * stride + columns, -reach, reach);
    const size_t size = check_emit_size(e.emit), bytes = ((rows - 1) * y_stride + columns) * size;
    uint8_t *got = check_buffer(c, "y", bytes, size),
            *want = check_buffer(c, "expected y", bytes, size);

    memcpy(want, got, bytes);
    for (size_t r = 0; r < rows; r++) {
        for (size_t j = 0; j < columns; j++) {
            check_emit(&e, total[r * stride + j], first + j, want + (r * y_stride + j) * size);
        }
    }
    check_seal(c, total);
    const struct brim_epilogue_block b = {.total = total,
                                          .stride = stride,
                                          .rows = rows,
                                          .columns = columns,
                                          .first = first,
                                          .y = got,
                                          .y_stride = y_stride};
    brim_epilogue_variants[i].run(&e, &b);
    check_same(c, got, want, size, y_stride);
}

const struct check_family check_epilogue = {"epilogue", count, variant, 2000, run};
