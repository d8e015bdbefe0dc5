/* probe_avxvnni.c - dot products of four in 32-byte registers. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/x86/probe_loop.h"

#define DOT(i) "%{vex%} vpdpbusd %%ymm12,%%ymm13,%%ymm" i "\n"

BRIM_PROBE(avxvnni, DOT, "vzeroupper\n")
