/* oracle_net.c - see oracle_net.h. SPDX-License-Identifier: Apache-2.0 */
#include "oracle/oracle_net.h"

#include <math.h>

#include "oracle/datapath_oracle.h"

#define MOST_K 4096

int oracle_out(int in, int before, int after, int kernel, int dilation, int stride)
{
    return (in + before + after - (dilation * (kernel - 1) + 1)) / stride + 1;
}

/* The code at a position of the padded input. */
static int32_t code(const struct oracle_conv *c, int b, int channel, int y, int x)
{
    if (y < 0 || y >= c->h || x < 0 || x >= c->w) {
        return c->x_zero;
    }
    return c->x[((b * c->c_in + channel) * c->h + y) * c->w + x];
}

static int64_t one(const struct oracle_conv *c, int b, int n, int oy, int ox,
                   struct oracle_counts *counts)
{
    const int cg = c->c_in / c->groups, group = n / (c->c_out / c->groups);
    int32_t w[MOST_K], x[MOST_K];
    int64_t weight_sum = 0;
    size_t count = 0;

    for (int ky = 0; ky < c->kh; ky++) {
        for (int kx = 0; kx < c->kw; kx++) {
            for (int k = 0; k < cg && count < MOST_K; k++) {
                w[count] = c->weights[((n * cg + k) * c->kh + ky) * c->kw + kx] -
                           (c->w_zero != 0 ? c->w_zero[n] : 0);
                x[count] =
                    code(c, b, group * cg + k, oy * c->stride_h - c->top + ky * c->dilation_h,
                         ox * c->stride_w - c->left + kx * c->dilation_w);
                weight_sum += w[count++];
            }
        }
    }
    struct oracle_events ev;
    const int64_t dot = oracle_dot(c->datapath, w, x, count, &ev);
    counts->outputs++;
    counts->transient += (uint64_t)ev.transient;
    counts->persistent += (uint64_t)ev.persistent;
    counts->product += (uint64_t)ev.product;
    counts->min_width = ev.min_width > counts->min_width ? ev.min_width : counts->min_width;
    return dot - c->x_zero * weight_sum + (c->bias != 0 ? c->bias[n] : 0);
}

void oracle_conv_run(const struct oracle_conv *c, int64_t *acc, struct oracle_counts *counts)
{
    const int oh = oracle_out(c->h, c->top, c->bottom, c->kh, c->dilation_h, c->stride_h);
    const int ow = oracle_out(c->w, c->left, c->right, c->kw, c->dilation_w, c->stride_w);

    for (int b = 0; b < c->batch; b++) {
        for (int n = 0; n < c->c_out; n++) {
            for (int y = 0; y < oh; y++) {
                for (int x = 0; x < ow; x++) {
                    *acc++ = one(c, b, n, y, x, counts);
                }
            }
        }
    }
}

double oracle_round(double v)
{
    const double below = floor(v), rest = v - below;

    if (rest < 0.5 || (rest == 0.5 && fmod(below, 2.0) == 0.0)) {
        return below;
    }
    return below + 1.0;
}

int64_t oracle_requantize(int64_t acc, float xs, float ws, float ys, int64_t zero, int64_t lo,
                          int64_t hi)
{
    const float scaled = xs * ws, multiplier = scaled / ys;
    const float v = (float)acc * multiplier;
    const double q = oracle_round((double)v) + (double)zero;

    return q < (double)lo ? lo : q > (double)hi ? hi : (int64_t)q;
}
