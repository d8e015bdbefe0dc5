/* hash.c - see hash.h. SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <sys/types.h>

#include <sha2.h>

void brim_hash_hex(const void *data, size_t n, char hex[BRIM_HASH_CHARS])
{
    static const char digit[] = "0123456789abcdef";
    uint8_t d[SHA256_DIGEST_LENGTH];
    SHA2_CTX c;

    SHA256Init(&c);
    SHA256Update(&c, data, n);
    SHA256Final(d, &c);
    for (size_t i = 0; i < sizeof d; i++) {
        hex[2 * i] = digit[d[i] >> 4];
        hex[2 * i + 1] = digit[d[i] & 15];
    }
    hex[2 * sizeof d] = '\0';
}
