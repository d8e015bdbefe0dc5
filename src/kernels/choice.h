/* choice.h - which kernel was chosen, and why, in words. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_KERNELS_CHOICE_H
#define BRIM_KERNELS_CHOICE_H

#include <stddef.h>

struct brim_choice {
    const char *family, *variant;
    char why[240];
};

struct brim_gemm;
struct brim_conv_kernel;
struct brim_dot_kernel;

/* For products of m rows. */
void brim_gemm_choice(const struct brim_gemm *gemm, size_t m, struct brim_choice *choice);
void brim_conv_kernel_choice(const struct brim_conv_kernel *kernel, struct brim_choice *choice);
void brim_dot_kernel_choice(const struct brim_dot_kernel *kernel, struct brim_choice *choice);

#endif
