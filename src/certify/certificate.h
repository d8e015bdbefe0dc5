/* certificate.h - a certificate and what it owns. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_CERTIFY_CERTIFICATE_H
#define BRIM_CERTIFY_CERTIFICATE_H

#include "base/alloc.h"
#include "brim/certify.h"

struct certificate {
    brim_certificate base; /* first: the public pointer is this one */
    struct brim_arena arena;
};

#endif
