/* test_ports.c - a build of the kernels alone works: a context, its levels, the registers' arithmetic.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/cpu.h"
#include "brim/datapath.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);                                 \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

static int check_levels(void)
{
    for (size_t i = 0; i < brim_cpu_level_count(); i++) {
        const brim_cpu_level level = brim_cpu_level_at(i);
        uint32_t isa;

        printf("%s: %s%s\n", level.name, level.what, level.present ? "" : " (not here)");
        CHECK(brim_cpu_mask(level.name, &isa) == level.present);
    }
#if defined(__aarch64__) || defined(__wasm__) /* their vectors are part of them */
    CHECK(brim_cpu_level_at(1).present);
#endif
    return 0;
}

/* 10000 + 11000 + 12000 saturates a 16-bit register, then 200 are taken off. */
static int check_dot(brim_ctx *ctx)
{
    static const int32_t w[4] = {100, 100, 100, -2}, x[4] = {100, 110, 120, 100};
    brim_datapath datapath;
    int64_t scratch[4];

    CHECK(brim_datapath_parse(ctx, "16s", &datapath) == BRIM_OK);
    CHECK(brim_datapath_dot(&datapath, w, x, 4, scratch, NULL) == 32767 - 200);
    return 0;
}

int main(void)
{
    brim_ctx *ctx;

    CHECK(brim_ctx_create(NULL, &ctx) == BRIM_OK);
    const int status = check_levels() + check_dot(ctx);
    brim_ctx_free(ctx);
    return status;
}
