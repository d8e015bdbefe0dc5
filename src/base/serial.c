/* serial.c - parallel.h for one thread: builds of the kernels alone, which have no OpenMP and no
 * OpenBLAS. SPDX-License-Identifier: Apache-2.0 */
#include "base/parallel.h"

void brim_parallel_init(void) {}

int brim_serial_begin(void)
{
    return 1;
}

void brim_serial_end(int setting)
{
    (void)setting;
}

brim_status brim_parallel_for(brim_ctx *ctx, size_t n, brim_parallel_body *body, void *arg)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++) {
        BRIM_TRY(body(arg, i, 0));
    }
    return BRIM_OK;
}
