/* xnnpack.c - the qs8 fully-connected operator; it requantizes to int8. SPDX-License-Identifier:
 * Apache-2.0 */
#include <stdlib.h>
#include <xnnpack.h>

#include "peers.h"

static void destroy(void *state)
{
    (void)xnn_delete_operator(state);
}

static void *create(const brim_bench_product *p)
{
    xnn_operator_t op = NULL;

    if (xnn_initialize(NULL) != xnn_status_success ||
        xnn_create_fully_connected_nc_qs8(p->k, p->n, p->k, p->n, 0, 1.0F, 1.0F, p->w, NULL, 0,
                                          256.0F, -128, 127, 0, &op) != xnn_status_success) {
        return NULL;
    }
    if (xnn_setup_fully_connected_nc_qs8(op, p->m, (const int8_t *)p->x, p->y, NULL) !=
        xnn_status_success) {
        destroy(op);
        return NULL;
    }
    return op;
}

static void run(void *state)
{
    (void)xnn_run_operator(state, NULL);
}

const brim_bench_peer peer_xnnpack = {
    .name = "XNNPACK qs8", .create = create, .run = run, .destroy = destroy};
