/* probe_loop.h - how a register-only loop is written. SPDX-License-Identifier: Apache-2.0
 *
 * Operands in registers 12 and 13, a product in 14, ones in 15, accumulators 0..11. The registers
 * hold whatever they held: integer instructions take the same time for all values.
 */
#ifndef BRIM_KERNELS_X86_PROBE_LOOP_H
#define BRIM_KERNELS_X86_PROBE_LOOP_H

#include <stdint.h>

/* A round: four times twelve, so that the loop's own two instructions take no port's time. */
#define BRIM_TWELVE(x)                                                                             \
    x("0") x("1") x("2") x("3") x("4") x("5") x("6") x("7") x("8") x("9") x("10") x("11")

#define BRIM_PROBE(name, body, end)                                                                \
    void brim_probe_##name(uint64_t rounds);                                                       \
    void brim_probe_##name(uint64_t rounds)                                                        \
    {                                                                                              \
        __asm__ volatile(".balign 64\n1:\n" BRIM_TWELVE(body) BRIM_TWELVE(body) BRIM_TWELVE(body)  \
                             BRIM_TWELVE(body) "dec %0\njnz 1b\n" end                              \
                         : "+r"(rounds)                                                            \
                         :                                                                         \
                         : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",   \
                           "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");  \
    }

/* product = 12 * 13, accumulator i += product; in registers r of three-operand instructions */
#define BRIM_TWO(r, multiply, add, i)                                                              \
    multiply " %%" r "12,%%" r "13,%%" r "14\n" add " %%" r "14,%%" r i ",%%" r i "\n"
/* products of bytes, added in pairs, and these in pairs, into 32 bits */
#define BRIM_THREE(r, i)                                                                           \
    "vpmaddubsw %%" r "12,%%" r "13,%%" r "14\nvpmaddwd %%" r "15,%%" r "14,%%" r "14\n"           \
    "vpaddd %%" r "14,%%" r i ",%%" r i "\n"

#endif
