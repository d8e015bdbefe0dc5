/* load32.h - 4 bytes from anywhere. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_KERNELS_X86_LOAD32_H
#define BRIM_KERNELS_X86_LOAD32_H

#include <stdint.h>
#include <string.h>

static inline int32_t brim_load32(const uint8_t *p)
{
    int32_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

#endif
