/* spec.h - the one-line description of a dataset, parsed. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_DATA_SPEC_H
#define BRIM_DATA_SPEC_H

#include "base/alloc.h"

#define BRIM_SAMPLE_MAX_RANK 7

enum brim_data_kind {
    BRIM_DATA_CIFAR,
    BRIM_DATA_IDX,
    BRIM_DATA_NPY,
    BRIM_DATA_NPZ,
    BRIM_DATA_CSV,
    BRIM_DATA_GLYPHS,
    BRIM_DATA_NOISE
};

struct brim_data_spec {
    enum brim_data_kind kind;
    size_t n_paths; /* cifar: 1 or more; idx, npy: images and perhaps labels; synth: none */
    const char **path;
    size_t offset, limit; /* limit 0 = to the end */
    double scale, zero;
    size_t n_mean, n_std; /* 0, 1, or one per channel */
    double *mean, *std;
    bool nhwc;
    const char *label; /* csv; NULL = not given */
    int rank;          /* shape=; 0 = not given */
    int64_t dim[BRIM_SAMPLE_MAX_RANK];
    uint64_t seed;
};

/* Everything lives in `arena`. */
BRIM_NODISCARD brim_status brim_data_spec_parse(struct brim_arena *arena, const char *text,
                                                struct brim_data_spec *spec);

#endif
