/* probe_sse41.c - what 16-byte registers can do. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/x86/probe_loop.h"

#define SUM16(i) "movdqa %%xmm12,%%xmm14\npmaddubsw %%xmm13,%%xmm14\npaddw %%xmm14,%%xmm" i "\n"
#define PAIR(i)                                                                                    \
    "movdqa %%xmm12,%%xmm14\npmaddubsw %%xmm13,%%xmm14\npmaddwd %%xmm15,%%xmm14\n"                 \
    "paddd %%xmm14,%%xmm" i "\n"
#define SUM32(i) "movdqa %%xmm12,%%xmm14\npmaddwd %%xmm13,%%xmm14\npaddd %%xmm14,%%xmm" i "\n"

BRIM_PROBE(sse41_16, SUM16, "")
BRIM_PROBE(sse41_pair, PAIR, "")
BRIM_PROBE(sse41_32, SUM32, "")
