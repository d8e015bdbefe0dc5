/* probe_avx2.c - what 32-byte registers can do. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/x86/probe_loop.h"

#define SUM16(i)      BRIM_TWO("ymm", "vpmaddubsw", "vpaddw", i)
#define PAIR(i)       BRIM_THREE("ymm", i)
#define SUM32(i)      BRIM_TWO("ymm", "vpmaddwd", "vpaddd", i)
#define SATURATE(i)   BRIM_TWO("ymm", "vpmaddubsw", "vpaddsw", i)
#define LOOKUP(i)     BRIM_TWO("ymm", "vpshufb", "vpaddb", i)
#define SIMULATE16(i) BRIM_TWO("ymm", "vpmullw", "vpaddsw", i)

BRIM_PROBE(avx2_16, SUM16, "vzeroupper\n")
BRIM_PROBE(avx2_pair, PAIR, "vzeroupper\n")
BRIM_PROBE(avx2_32, SUM32, "vzeroupper\n")
BRIM_PROBE(avx2_saturate, SATURATE, "vzeroupper\n")
BRIM_PROBE(avx2_lookup, LOOKUP, "vzeroupper\n")
BRIM_PROBE(avx2_simulate16, SIMULATE16, "vzeroupper\n")
