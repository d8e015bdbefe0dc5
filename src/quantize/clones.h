/* clones.h - one loop, compiled for several vector widths. SPDX-License-Identifier: Apache-2.0
 *
 * The loops so marked do the same IEEE operations in the same order on every lane (the build
 * forbids contraction), so the clones give the same bits. */
#ifndef BRIM_QUANTIZE_CLONES_H
#define BRIM_QUANTIZE_CLONES_H

#include <features.h>

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) &&       \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__OPTIMIZE__)
#    define BRIM_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#    define BRIM_CLONES
#endif

#endif
