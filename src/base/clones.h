/* clones.h - one loop, compiled for several vector widths, chosen at load time.
 * SPDX-License-Identifier: Apache-2.0
 *
 * For loops that do the same operations in the same order on every lane: the build forbids
 * contraction, so all clones give the same bits. Not under ThreadSanitizer, whose runtime starts
 * after the choice. Static functions only: clang drops the plain symbol of any other.
 */
#ifndef BRIM_BASE_CLONES_H
#define BRIM_BASE_CLONES_H

#include <features.h>

#if defined(__has_feature)
#    if __has_feature(thread_sanitizer)
#        define BRIM_TSAN 1
#    endif
#elif defined(__SANITIZE_THREAD__)
#    define BRIM_TSAN 1
#endif
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(BRIM_TSAN)
#    define BRIM_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#    define BRIM_CLONES
#endif

#endif
