/* datapath_oracle.h - docs/semantics.md once more, as plainly as possible.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Written from the document and sharing nothing with the library: it reads the text form itself,
 * recurses over the tiles, sorts by selection and adds in 128 bits. Slow on purpose. */
#ifndef BRIM_TESTS_ORACLE_DATAPATH_ORACLE_H
#define BRIM_TESTS_ORACLE_DATAPATH_ORACLE_H

#include <stddef.h>
#include <stdint.h>

struct oracle_events {
    int transient, persistent, product, min_width;
};

/* `datapath` must be well formed. Aborts when memory runs out. */
int64_t oracle_dot(const char *datapath, const int32_t *w, const int32_t *x, size_t k,
                   struct oracle_events *ev);

/* What the first stage of tiles of `vector` products hands on is multiplied by factor[tile]. */
int64_t oracle_dot_scaled(const char *datapath, size_t vector, const uint32_t *factor,
                          const int32_t *w, const int32_t *x, size_t k, struct oracle_events *ev);

/* Smallest width >= 2 whose two's complement register holds both lo and hi. */
int oracle_width(int64_t lo, int64_t hi);

#endif
