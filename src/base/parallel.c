/* parallel.c - see parallel.h. SPDX-License-Identifier: Apache-2.0 */
#include "base/parallel.h"

#include <cblas.h>
#include <omp.h>
#include <pthread.h>

static void pin_openblas(void)
{
    openblas_set_num_threads(1);
}

void brim_parallel_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, pin_openblas);
}

int brim_serial_begin(void)
{
    const int setting = omp_get_max_threads();

    omp_set_num_threads(1);
    return setting;
}

void brim_serial_end(int setting)
{
    omp_set_num_threads(setting);
}

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
