/* parallel.c - see parallel.h. SPDX-License-Identifier: Apache-2.0 */
#include "base/parallel.h"

#include <omp.h>

brim_status brim_parallel_for(brim_ctx *ctx, size_t n, brim_parallel_body *body, void *arg)
{
    size_t first_bad = n;
    brim_status result = BRIM_OK;
    const int threads = ctx->threads < (int)n || n > INT32_MAX ? ctx->threads : (int)n;

    if (threads <= 1) {
        for (size_t i = 0; i < n; i++) {
            BRIM_TRY(body(arg, i, 0));
        }
        return BRIM_OK;
    }
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (size_t i = 0; i < n; i++) {
        const brim_status s = body(arg, i, omp_get_thread_num());
        if (s != BRIM_OK) {
#pragma omp critical(brim_parallel_status)
            if (i < first_bad) {
                first_bad = i;
                result = s;
            }
        }
    }
    return result;
}
