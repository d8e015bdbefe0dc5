/* probe_amx.c - products of tiles. SPDX-License-Identifier: Apache-2.0
 *
 * Four tiles of 16 x 16 totals: a product of 16 x 64 by 64 x 16 codes takes 16 cycles and answers
 * after 52.
 */
#include <stdint.h>

void brim_probe_amx(uint64_t rounds);

#define FOUR                                                                                       \
    "tdpbusd %%tmm4,%%tmm5,%%tmm0\ntdpbusd %%tmm4,%%tmm5,%%tmm1\n"                                 \
    "tdpbusd %%tmm4,%%tmm5,%%tmm2\ntdpbusd %%tmm4,%%tmm5,%%tmm3\n"

void brim_probe_amx(uint64_t rounds)
{
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};

    for (int i = 0; i < 8; i++) {
        config.row_bytes[i] = 64;
        config.rows[i] = 16;
    }
    __asm__ volatile("ldtilecfg %1\n.balign 64\n1:\n" FOUR FOUR FOUR FOUR
                     "dec %0\njnz 1b\ntilerelease\n"
                     : "+r"(rounds)
                     : "m"(config)
                     : "cc");
}
