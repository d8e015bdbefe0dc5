/* consumer.c - a stranger's program: what it uses is what is installed. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include <brim/brim.h>

int main(void)
{
    const int32_t w[] = {8, 8};
    brim_datapath dp;
    brim_ctx *ctx;
    unsigned need[BRIM_MAX_STAGES];

    if (brim_ctx_create(NULL, &ctx) != BRIM_OK || brim_datapath_parse(ctx, "8", &dp) != BRIM_OK ||
        brim_datapath_need(ctx, &dp, w, 2, 0, 15, need, NULL) != BRIM_OK) {
        return 1;
    }
    printf("brim %s: codes (8, 8) times 0..15 need %u bits\n", brim_version(), need[0]);
    brim_ctx_free(ctx);
    return need[0] == 9 && !brim_datapath_fits(&dp, need) ? 0 : 1;
}
