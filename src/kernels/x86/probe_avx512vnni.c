/* probe_avx512vnni.c - dot products of four, and of two, in 64-byte registers. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/x86/probe_loop.h"

#define DOT(i)        "vpdpbusd %%zmm12,%%zmm13,%%zmm" i "\n"
#define SIMULATE32(i) "vpdpwssds %%zmm12,%%zmm13,%%zmm" i "\n"

BRIM_PROBE(avx512vnni, DOT, "vzeroupper\n")
BRIM_PROBE(avx512vnni_simulate32, SIMULATE32, "vzeroupper\n")
