/* check.h - the one state of a check: its memory, and why it failed.
 * SPDX-License-Identifier: Apache-2.0
 *
 * brim-check shares no source with brim. It reads an .onnx file and a certificate, recomputes
 * everything the certificate says, and believes nothing. Functions return false after writing one
 * sentence into `reason`; `verdict` is then the exit code.
 */
#ifndef BRIM_CHECK_CHECK_H
#define BRIM_CHECK_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum verdict {
    VERDICT_PROVEN = 0, /* the certificate agrees with the model, and every register is safe */
    VERDICT_ERROR = 1,  /* a file cannot be read, or is malformed */
    VERDICT_USAGE = 2,  /* the command line */
    VERDICT_REFUSED = 3 /* refuted, or the certificate says something else than the model */
};

struct check {
    struct check_block *blocks; /* everything allocated, freed at once */
    size_t allocated;
    enum verdict verdict;
    char reason[512];
    char note[512]; /* worth saying, but no reason to refuse */
};

/* Zeroed memory that lives as long as the check; NULL (and a reason) when there is none. */
void *check_alloc(struct check *c, size_t count, size_t size);
void check_free(struct check *c);

/* Record why, once; always false. */
bool check_broken(struct check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool check_refuse(struct check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Prepend "where: " to the reason; always false. */
bool check_at(struct check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The whole check, over bytes in memory (what the fuzzer drives). False unless proven and agreed. */
bool check_certificate(struct check *c, const uint8_t *model, size_t model_size, const char *cert,
                       size_t cert_size);

#endif
