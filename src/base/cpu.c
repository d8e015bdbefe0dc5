/* cpu.c - see cpu.h. SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"

#include <pthread.h>
#include <string.h>

#if defined(__x86_64__)
#    include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#    include <sys/auxv.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#    include <sys/syscall.h>
#    include <unistd.h>
#    define ARCH_REQ_XCOMP_PERM 0x1023
#    define XFEATURE_TILEDATA   18
#endif

/* ---- detection ---- */

#if defined(__x86_64__)

#    define BIT(word, i) (((word) >> (i)) & 1u)
#    define XCR0_AVX     UINT64_C(0x6)  /* xmm, ymm */
#    define XCR0_AVX512  UINT64_C(0xe6) /* and opmask, zmm */
#    define XCR0_AMX     UINT64_C(0x60000)

static uint64_t xgetbv0(void)
{
    uint32_t lo, hi;

    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

/* Linux gives the tile registers to processes that ask. */
static bool amx_permitted(void)
{
#    if defined(__linux__)
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_TILEDATA) == 0;
#    else
    return false;
#    endif
}

static uint32_t detect(void)
{
    uint32_t a, b, c, d, isa = 0;

    if (!__get_cpuid(1, &a, &b, &c, &d)) {
        return 0;
    }
    isa |= BIT(c, 19) ? BRIM_ISA_SSE41 : 0;
    const uint64_t saved = BIT(c, 27) ? xgetbv0() : 0;
    if ((saved & XCR0_AVX) != XCR0_AVX || !BIT(c, 28) || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        return isa;
    }
    const uint32_t b7 = b, c7 = c, d7 = d;
    const bool more = a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d);
    isa |= BIT(b7, 5) ? BRIM_ISA_AVX2 : 0;
    isa |= BIT(b7, 5) && more && BIT(a, 4) ? BRIM_ISA_AVXVNNI : 0;
    if ((saved & XCR0_AVX512) == XCR0_AVX512 && BIT(b7, 16) && BIT(b7, 17) && BIT(b7, 30) &&
        BIT(b7, 31)) {
        isa |= BRIM_ISA_AVX512;
        isa |= BIT(c7, 11) ? BRIM_ISA_AVX512VNNI : 0;
        isa |= BIT(c7, 1) ? BRIM_ISA_AVX512VBMI : 0;
    }
    if ((saved & XCR0_AMX) == XCR0_AMX && BIT(d7, 24) && BIT(d7, 25) && amx_permitted()) {
        isa |= BRIM_ISA_AMX;
    }
    return isa;
}

#elif defined(__aarch64__)

static uint32_t detect(void)
{
    uint32_t isa = BRIM_ISA_NEON;

#    if defined(__linux__)
    isa |= getauxval(AT_HWCAP) >> 20 & 1u ? BRIM_ISA_DOTPROD : 0; /* HWCAP_ASIMDDP */
#    endif
    return isa;
}

#elif defined(__wasm_simd128__)

static uint32_t detect(void) /* a module runs only where all of its instructions do */
{
#    if defined(__wasm_relaxed_simd__)
    return BRIM_ISA_SIMD128 | BRIM_ISA_RELAXED;
#    else
    return BRIM_ISA_SIMD128;
#    endif
}

#else

static uint32_t detect(void)
{
    return 0;
}

#endif

static uint32_t machine;

static void detect_once(void)
{
    machine = detect();
}

uint32_t brim_cpu_detect(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, detect_once);
    return machine;
}

/* ---- levels ---- */

#define AVX2        (BRIM_ISA_SSE41 | BRIM_ISA_AVX2)
#define AVX512      (AVX2 | BRIM_ISA_AVX512)
#define AVX512_VNNI (AVX512 | BRIM_ISA_AVX512VNNI | BRIM_ISA_AVX512VBMI)

static const struct level {
    const char *name, *what;
    uint32_t isa;  /* all that it allows */
    uint32_t must; /* what the machine has to have */
} levels[] = {
    {"scalar", "plain C", 0, 0},
#if defined(__x86_64__)
    {"sse41", "SSE4.1", BRIM_ISA_SSE41, BRIM_ISA_SSE41},
    {"avx2", "AVX2: Haswell, Zen", AVX2, AVX2},
    {"avxvnni", "AVX2 with VNNI: Alder Lake", AVX2 | BRIM_ISA_AVXVNNI, AVX2 | BRIM_ISA_AVXVNNI},
    {"avx512", "AVX-512 without VNNI: Skylake-X", AVX512, AVX512},
    {"avx512vnni", "AVX-512 with VNNI, VBMI where present: Cascade Lake, Ice Lake, Zen 4",
     AVX512_VNNI, AVX512 | BRIM_ISA_AVX512VNNI},
    {"amx", "AMX int8 tiles: Sapphire Rapids", AVX512_VNNI | BRIM_ISA_AVXVNNI | BRIM_ISA_AMX,
     AVX512 | BRIM_ISA_AVX512VNNI | BRIM_ISA_AMX},
#elif defined(__aarch64__)
    {"neon", "NEON: Cortex-A53, A72", BRIM_ISA_NEON, BRIM_ISA_NEON},
    {"dotprod", "NEON with dot products: Cortex-A76, Apple", BRIM_ISA_NEON | BRIM_ISA_DOTPROD,
     BRIM_ISA_NEON | BRIM_ISA_DOTPROD},
#elif defined(__wasm__)
    {"simd128", "WASM SIMD", BRIM_ISA_SIMD128, BRIM_ISA_SIMD128},
    {"relaxed", "WASM relaxed SIMD", BRIM_ISA_SIMD128 | BRIM_ISA_RELAXED,
     BRIM_ISA_SIMD128 | BRIM_ISA_RELAXED},
#endif
};
#define N_LEVELS (sizeof levels / sizeof *levels)

bool brim_cpu_mask(const char *name, uint32_t *isa)
{
    *isa = brim_cpu_detect();
    if (name == NULL || name[0] == '\0') {
        return true;
    }
    for (size_t i = 0; i < N_LEVELS; i++) {
        if (strcmp(levels[i].name, name) == 0) {
            const bool present = (*isa & levels[i].must) == levels[i].must;
            *isa &= levels[i].isa;
            return present;
        }
    }
    return false;
}

size_t brim_cpu_level_count(void)
{
    return N_LEVELS;
}

brim_cpu_level brim_cpu_level_at(size_t i)
{
    const struct level *l = &levels[i < N_LEVELS ? i : 0];

    return (brim_cpu_level){
        .name = l->name, .what = l->what, .present = (brim_cpu_detect() & l->must) == l->must};
}
