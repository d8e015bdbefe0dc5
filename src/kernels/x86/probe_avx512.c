/* probe_avx512.c - what 64-byte registers can do without VNNI. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/x86/probe_loop.h"

#define SUM16(i)      BRIM_TWO("zmm", "vpmaddubsw", "vpaddw", i)
#define PAIR(i)       BRIM_THREE("zmm", i)
#define SUM32(i)      BRIM_TWO("zmm", "vpmaddwd", "vpaddd", i)
#define LOOKUP(i)     BRIM_TWO("zmm", "vpshufb", "vpaddb", i)
#define SIMULATE16(i) BRIM_TWO("zmm", "vpmullw", "vpaddsw", i)

BRIM_PROBE(avx512_16, SUM16, "vzeroupper\n")
BRIM_PROBE(avx512_pair, PAIR, "vzeroupper\n")
BRIM_PROBE(avx512_32, SUM32, "vzeroupper\n")
BRIM_PROBE(avx512_lookup, LOOKUP, "vzeroupper\n")
BRIM_PROBE(avx512_simulate16, SIMULATE16, "vzeroupper\n")
