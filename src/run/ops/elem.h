/* elem.h - elements of any type as double, int32 or int64. SPDX-License-Identifier: Apache-2.0
 *
 * For operators whose arithmetic is the same whatever the type: load a run, compute, store a run.
 */
#ifndef BRIM_RUN_OPS_ELEM_H
#define BRIM_RUN_OPS_ELEM_H

#include "run/op.h"

/* Elements [at, at + n) of t. Exact for every type but the 64-bit integers. */
void brim_elem_load(const struct brim_tensor *t, size_t at, size_t n, double *out);
/* Rounded to the float type of t (once, ties to even); an integer type must hold the value. */
void brim_elem_store(const struct brim_tensor *t, size_t at, size_t n, const double *in);

/* Elements of an integer type of at most 32 bits (uint32 modulo 2^32). */
void brim_elem_load_i32(const struct brim_tensor *t, size_t at, size_t n, int32_t *out);
/* Into an integer type that holds the values. */
void brim_elem_store_i32(const struct brim_tensor *t, size_t at, size_t n, const int32_t *in);

/* Elements of any integer type, modulo 2^64, and back, modulo 2^bits of the type. */
void brim_elem_load_u64(const struct brim_tensor *t, size_t at, size_t n, uint64_t *out);
void brim_elem_store_u64(const struct brim_tensor *t, size_t at, size_t n, const uint64_t *in);

/* The whole tensor in the call's scratch; NULL when out of memory. */
double *brim_elem_all(const struct brim_op_call *c, const struct brim_tensor *t);
int32_t *brim_elem_all_i32(const struct brim_op_call *c, const struct brim_tensor *t);

/* Element `at` as double. */
double brim_elem_get(const struct brim_tensor *t, size_t at);

static inline size_t brim_tensor_count(const struct brim_tensor *t)
{
    return (size_t)brim_shape_count(&t->type.shape);
}

#endif
