/* probe_avx512vbmi.c - tables of 64 bytes. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/x86/probe_loop.h"

#define LOOKUP(i) BRIM_TWO("zmm", "vpermb", "vpaddb", i)

BRIM_PROBE(avx512vbmi_lookup, LOOKUP, "vzeroupper\n")
