/* probe.c - the table of probes. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/probe.h"

#include "base/cpu.h"

/* Each addition needs the one before. Of registers, since recent processors add constants while
 * renaming, several in a cycle; and hidden from the compiler, which would add them up. */
#define ADD                                                                                        \
    x += one;                                                                                      \
    __asm__ volatile("" : "+r"(x));
#define ADD4  ADD ADD ADD ADD
#define ADD16 ADD4 ADD4 ADD4 ADD4

void brim_probe_chain(uint64_t rounds)
{
    uint64_t x = 0, one = 1;

    __asm__ volatile("" : "+r"(one));
    for (uint64_t i = 0; i < rounds; i++) {
        ADD16 ADD16 ADD16 ADD16
    }
}

#if defined(__x86_64__)

void brim_probe_sse41_16(uint64_t rounds);
void brim_probe_sse41_pair(uint64_t rounds);
void brim_probe_sse41_32(uint64_t rounds);
void brim_probe_avx2_16(uint64_t rounds);
void brim_probe_avx2_pair(uint64_t rounds);
void brim_probe_avx2_32(uint64_t rounds);
void brim_probe_avx2_saturate(uint64_t rounds);
void brim_probe_avx2_lookup(uint64_t rounds);
void brim_probe_avx2_simulate16(uint64_t rounds);
void brim_probe_avx512_16(uint64_t rounds);
void brim_probe_avx512_pair(uint64_t rounds);
void brim_probe_avx512_32(uint64_t rounds);
void brim_probe_avx512_simulate16(uint64_t rounds);
void brim_probe_avx512_lookup(uint64_t rounds);
void brim_probe_avxvnni(uint64_t rounds);
void brim_probe_avx512vnni(uint64_t rounds);
void brim_probe_avx512vnni_simulate32(uint64_t rounds);
void brim_probe_avx512vbmi_lookup(uint64_t rounds);
void brim_probe_amx(uint64_t rounds);

/* clang-format off */
const struct brim_probe brim_probes[] = {
    {"sse41-16", "xmm pmaddubsw + paddw", BRIM_ISA_SSE41, 48 * 16, brim_probe_sse41_16},
    {"sse41-pair", "xmm pmaddubsw + pmaddwd + paddd", BRIM_ISA_SSE41, 48 * 16, brim_probe_sse41_pair},
    {"sse41-32", "xmm pmaddwd + paddd", BRIM_ISA_SSE41, 48 * 8, brim_probe_sse41_32},
    {"avx2-16", "ymm vpmaddubsw + vpaddw", BRIM_ISA_AVX2, 48 * 32, brim_probe_avx2_16},
    {"avx2-pair", "ymm vpmaddubsw + vpmaddwd + vpaddd", BRIM_ISA_AVX2, 48 * 32, brim_probe_avx2_pair},
    {"avx2-32", "ymm vpmaddwd + vpaddd", BRIM_ISA_AVX2, 48 * 16, brim_probe_avx2_32},
    {"avx2-saturate", "ymm vpmaddubsw + vpaddsw", BRIM_ISA_AVX2, 48 * 32, brim_probe_avx2_saturate},
    {"avx2-lookup", "ymm vpshufb + vpaddb, lookups", BRIM_ISA_AVX2, 48 * 32, brim_probe_avx2_lookup},
    {"avx2-simulate16", "ymm vpmullw + vpaddsw", BRIM_ISA_AVX2, 48 * 16, brim_probe_avx2_simulate16},
    {"avx512-16", "zmm vpmaddubsw + vpaddw", BRIM_ISA_AVX512, 48 * 64, brim_probe_avx512_16},
    {"avx512-pair", "zmm vpmaddubsw + vpmaddwd + vpaddd", BRIM_ISA_AVX512, 48 * 64, brim_probe_avx512_pair},
    {"avx512-32", "zmm vpmaddwd + vpaddd", BRIM_ISA_AVX512, 48 * 32, brim_probe_avx512_32},
    {"avx512-lookup", "zmm vpshufb + vpaddb, lookups", BRIM_ISA_AVX512, 48 * 64, brim_probe_avx512_lookup},
    {"avx512-simulate16", "zmm vpmullw + vpaddsw", BRIM_ISA_AVX512, 48 * 32, brim_probe_avx512_simulate16},
    {"avxvnni", "ymm vpdpbusd", BRIM_ISA_AVXVNNI, 48 * 32, brim_probe_avxvnni},
    {"avx512vnni", "zmm vpdpbusd", BRIM_ISA_AVX512VNNI, 48 * 64, brim_probe_avx512vnni},
    {"avx512vnni-simulate32", "zmm vpdpwssds, one product a lane", BRIM_ISA_AVX512VNNI, 48 * 16, brim_probe_avx512vnni_simulate32},
    {"avx512vbmi-lookup", "zmm vpermb + vpaddb, lookups", BRIM_ISA_AVX512VBMI, 48 * 64, brim_probe_avx512vbmi_lookup},
    {"amx", "tdpbusd", BRIM_ISA_AMX, 16 * 16 * 16 * 64, brim_probe_amx},
};
/* clang-format on */
const size_t brim_probe_count = sizeof brim_probes / sizeof *brim_probes;

#else

const struct brim_probe brim_probes[] = {{0}};
const size_t brim_probe_count = 0;

#endif
