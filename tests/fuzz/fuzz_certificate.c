/* fuzz_certificate.c - any bytes as a model and a certificate for brim-check: an answer and, unless
 * it is "proven", a sentence. SPDX-License-Identifier: Apache-2.0
 *
 * The input is a model's length as two little-endian bytes, the model, the certificate.
 */
#include <stdlib.h>

#include "check/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct check c = {0};

    if (size < 2) {
        return 0;
    }
    const size_t rest = size - 2, wanted = data[0] | (size_t)data[1] << 8;
    const size_t model = wanted < rest ? wanted : rest;
    const bool proven =
        check_certificate(&c, data + 2, model, (const char *)data + 2 + model, rest - model);
    if (proven != (c.reason[0] == '\0') || proven != (c.verdict == VERDICT_PROVEN)) {
        abort(); /* a refusal without a sentence, or a sentence without a refusal */
    }
    check_free(&c);
    return 0;
}
