/* loss.c - what the network's output is compared with. SPDX-License-Identifier: Apache-2.0
 *
 * Symbols     z logits of a sample, C classes, s smoothing, t target, q teacher, T temperature
 * Loss        (1 - share) * -sum t log softmax(z) + share * T^2 * KL(softmax(q/T) || softmax(z/T)),
 *             t = (1 - s) [label] + s / C; squared error: sum (y - v)^2 / size. Mean over the batch.
 * Gradient    (1 - share) (softmax(z) - t) + share * T (softmax(z/T) - softmax(q/T))
 * Source      distillation: Hinton et al., arXiv 1503.02531, section 2; smoothing: Szegedy et al.,
 *             arXiv 1512.00567, section 7.
 * All in double; a shard's samples in order, then shards in order. */
#include <math.h>

#include "train/engine.h"

/* log of the sum of exp(z / t), and the largest z / t. */
static double log_sum(const float *z, size_t n, double t)
{
    double most = -HUGE_VAL, sum = 0;

    for (size_t i = 0; i < n; i++) {
        most = fmax(most, (double)z[i] / t);
    }
    for (size_t i = 0; i < n; i++) {
        sum += exp((double)z[i] / t - most);
    }
    return most + log(sum);
}

static double cross_entropy(const struct brim_targets *t, const float *z, size_t n, int64_t label,
                            double weight, double by, float *dz)
{
    const double norm = log_sum(z, n, 1), rest = t->smoothing / (double)n;
    double loss = 0;

    for (size_t i = 0; i < n; i++) {
        const double log_p = (double)z[i] - norm;
        const double target = (i == (size_t)label ? 1 - t->smoothing : 0) + rest;
        loss -= target > 0 ? target * log_p : 0;
        dz[i] = (float)(weight * by * (exp(log_p) - target));
    }
    return weight * loss;
}

/* Adds to dz. */
static double distill(const struct brim_targets *t, const float *z, const float *q, size_t n,
                      double by, float *dz)
{
    const double heat = t->temperature, z_norm = log_sum(z, n, heat), q_norm = log_sum(q, n, heat);
    double loss = 0;

    for (size_t i = 0; i < n; i++) {
        const double log_p = (double)z[i] / heat - z_norm;
        const double log_q = (double)q[i] / heat - q_norm;
        const double teacher = exp(log_q);
        loss += teacher > 0 ? teacher * (log_q - log_p) : 0;
        dz[i] += (float)(t->share * by * heat * (exp(log_p) - teacher));
    }
    return t->share * heat * heat * loss;
}

static double squared_error(const float *y, const float *value, size_t n, double by, float *dy)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++) {
        const double d = (double)y[i] - (double)value[i];
        sum += d * d;
        dy[i] = (float)(2 * d * by / (double)n);
    }
    return sum / (double)n;
}

brim_status brim_net_loss(struct brim_network *net, const struct brim_net_call *call)
{
    const struct brim_targets *t = call->targets;
    const size_t n = net->output->size;
    const double by = 1.0 / (double)call->n;
    double sum = 0;

    for (size_t i = call->first; i < call->first + call->count; i++) {
        const float *y = net->output->data + i * n;
        float *dy = net->output->grad + i * n;
        if (t->value != NULL) {
            sum += squared_error(y, t->value + i * n, n, by, dy);
            continue;
        }
        sum += cross_entropy(t, y, n, t->label[i], t->teacher != NULL ? 1 - t->share : 1, by, dy);
        if (t->teacher != NULL) {
            sum += distill(t, y, t->teacher + i * n, n, by, dy);
        }
    }
    net->loss[call->shard] = sum;
    return BRIM_OK;
}

brim_status brim_net_check_targets(const struct brim_network *net, size_t n,
                                   const struct brim_targets *t)
{
    const size_t classes = net->output->size;

    if ((t->label == NULL) == (t->value == NULL)) {
        return brim_fail(net->ctx, BRIM_ERR_ARG, "targets: expected either labels or values");
    }
    if (t->teacher != NULL && !(t->temperature > 0 && t->share >= 0 && t->share <= 1)) {
        return brim_fail(net->ctx, BRIM_ERR_ARG,
                         "targets: temperature %g and share %g, expected > 0 and 0..1",
                         t->temperature, t->share);
    }
    if (!(t->smoothing >= 0 && t->smoothing <= 1)) {
        return brim_fail(net->ctx, BRIM_ERR_ARG, "targets: smoothing %g, expected 0..1",
                         t->smoothing);
    }
    for (size_t i = 0; t->label != NULL && i < n; i++) {
        if (t->label[i] < 0 || (uint64_t)t->label[i] >= classes) {
            return brim_fail(net->ctx, BRIM_ERR_ARG,
                             "sample %zu of the batch: label %lld, expected 0..%zu", i,
                             (long long)t->label[i], classes - 1);
        }
    }
    return BRIM_OK;
}
