/* hash.h - SHA-256 (libmd) of the integers that a certificate speaks about.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_BASE_HASH_H
#define BRIM_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define BRIM_HASH_CHARS 65 /* 64 hex digits and a NUL */

/* Lowercase hex of the SHA-256 of `n` bytes. */
void brim_hash_hex(const void *data, size_t n, char hex[BRIM_HASH_CHARS]);

#endif
