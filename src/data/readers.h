/* readers.h - one function per file format. SPDX-License-Identifier: Apache-2.0
 *
 * Each parses bytes that somebody else owns and that nobody trusts. The array it fills points into
 * those bytes.
 */
#ifndef BRIM_DATA_READERS_H
#define BRIM_DATA_READERS_H

#include "data/array.h"

/* NumPy .npy, versions 1 to 3. a->name is set by the caller. */
BRIM_NODISCARD brim_status brim_npy_parse(brim_ctx *ctx, const uint8_t *p, size_t n,
                                          struct brim_array *a);

/* MNIST's IDX. a->name is set by the caller. */
BRIM_NODISCARD brim_status brim_idx_parse(brim_ctx *ctx, const uint8_t *p, size_t n,
                                          struct brim_array *a);

/* NumPy .npz: images are x, X, arr_0 or images; labels y, Y, labels or arr_1. Inflated members and
 * names live in `arena`. y->rank is 0 when there are no labels. */
BRIM_NODISCARD brim_status brim_npz_parse(struct brim_arena *arena, const uint8_t *p, size_t n,
                                          struct brim_array *x, struct brim_array *y);

/* CIFAR-10 binary records: a label byte, then 3 x 32 x 32 bytes. */
BRIM_NODISCARD brim_status brim_cifar_parse(brim_ctx *ctx, const uint8_t *p, size_t n,
                                            struct brim_array *x, struct brim_array *y);

/* Numbers in lines, separated by comma, semicolon, tab or blanks; a first line with a field that is
 * no number is a header. `label` is a column's number or header name, NULL or "-1" for none.
 * text[n] must be '\0'. Values live in `arena`; y->rank is 0 without a label column. */
BRIM_NODISCARD brim_status brim_csv_parse(struct brim_arena *arena, const char *text, size_t n,
                                          const char *label, struct brim_array *x,
                                          struct brim_array *y);

#endif
