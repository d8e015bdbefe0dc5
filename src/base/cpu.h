/* cpu.h - which instruction sets a context may use. SPDX-License-Identifier: Apache-2.0
 *
 * Found once per process from the processor and from what the operating system saves (xgetbv; AMX
 * also needs its permission), never from a model name. A context may be held below that by a level
 * of brim_cpu_levels(), so that every kernel can be run wherever a newer one would be chosen.
 */
#ifndef BRIM_BASE_CPU_H
#define BRIM_BASE_CPU_H

#include "base/ctx.h"

enum brim_isa { /* bits; a kernel names all that it needs, 0 = plain C */
                BRIM_ISA_SSE41 = 1 << 0,
                BRIM_ISA_AVX2 = 1 << 1,
                BRIM_ISA_AVXVNNI = 1 << 2,
                BRIM_ISA_AVX512 = 1 << 3, /* F, BW, DQ and VL */
                BRIM_ISA_AVX512VNNI = 1 << 4,
                BRIM_ISA_AVX512VBMI = 1 << 5,
                BRIM_ISA_AMX = 1 << 6, /* tiles with int8 products */
                BRIM_ISA_NEON = 1 << 8,
                BRIM_ISA_DOTPROD = 1 << 9,
                BRIM_ISA_SIMD128 = 1 << 12,
                BRIM_ISA_RELAXED = 1 << 13
};

/* What this machine has. */
uint32_t brim_cpu_detect(void);

/* What a context may use: the machine's sets within the level `name`; NULL or "" = all of them.
 * False: no level has this name, or the machine lacks it. */
bool brim_cpu_mask(const char *name, uint32_t *isa);

#endif
