/* history.c - what is known of every epoch. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "train/fit.h"

const char *const brim_phase_names[3] = {"float", "prune", "quantized"};

brim_status brim_history_add(struct brim_history *h, const brim_train_epoch *epoch)
{
    if (h->count == h->capacity) {
        const size_t capacity = h->capacity == 0 ? 64 : 2 * h->capacity;
        brim_train_epoch *larger = brim_arena_alloc(&h->arena, capacity, sizeof *larger);
        if (larger == NULL) {
            return BRIM_ERR_NOMEM;
        }
        if (h->count > 0) {
            memcpy(larger, h->epoch, h->count * sizeof *larger);
        }
        h->epoch = larger;
        h->capacity = capacity;
    }
    h->epoch[h->count++] = *epoch;
    h->trained = epoch->epoch; /* an epoch that only validates has the number of the one before */
    return BRIM_OK;
}
