/* fuzz_checkpoint.c - any bytes as the records of a checkpoint. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "train/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    brim_ctx *ctx = NULL;
    struct brim_checkpoint c;
    volatile uint8_t sink = 0; /* every byte is read */

    if (brim_ctx_create(NULL, &ctx) != BRIM_OK) {
        return 0;
    }
    const brim_status s = brim_checkpoint_parse(ctx, data, size, &c);
    if (s != BRIM_OK && brim_error(ctx)[0] == '\0') {
        abort(); /* a refusal without a sentence */
    }
    for (size_t i = 0; s == BRIM_OK && i < c.count; i++) {
        const struct brim_record *r = &c.record[i];
        const size_t bytes = r->kind == BRIM_RECORD_BYTES ? 1 : r->kind == BRIM_RECORD_F32 ? 4 : 8;
        for (size_t k = 0; k < r->count * bytes; k++) {
            sink = r->data[k];
        }
        if (brim_checkpoint_find(&c, r->name) != r) {
            abort(); /* a name that is not unique */
        }
    }
    brim_checkpoint_free(&c);
    brim_ctx_free(ctx);
    (void)sink;
    return 0;
}
