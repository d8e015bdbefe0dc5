/* reference.h - a float graph evaluated in double, by the definition of its operators.
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a network's forward pass is compared with, and what central differences are taken of. It
 * shares nothing with the engine but the graph: values are in the graph's order, sums are plain
 * loops. Parameters are found by name, as the network names them.
 */
#ifndef BRIM_TESTS_TRAIN_REFERENCE_H
#define BRIM_TESTS_TRAIN_REFERENCE_H

#include "train/network.h"

struct reference {
    const struct brim_graph *g;
    const struct brim_params *params;
    double **param; /* [params->count] values in double */
    size_t n;       /* samples */
    bool training;  /* BatchNormalization by the batch */
};

void reference_open(struct reference *r, const struct brim_graph *g,
                    const struct brim_params *params, size_t n, bool training);
void reference_close(struct reference *r);
/* The output for x, [n][size]; the caller frees it. */
double *reference_output(const struct reference *r, const float *x);
/* Mean loss of that output. */
double reference_loss(const struct reference *r, const float *x, const struct brim_targets *t);

#endif
