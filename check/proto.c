/* proto.c - see proto.h. SPDX-License-Identifier: Apache-2.0 */
#include "check/proto.h"

#include <string.h>

static bool stop(struct wire *w)
{
    w->bad = true;
    w->at = w->end;
    return false;
}

bool wire_varint(struct wire *w, uint64_t *value)
{
    uint64_t v = 0;

    if (w->at == w->end) {
        return false;
    }
    for (unsigned shift = 0; shift < 64 && w->at < w->end; shift += 7) {
        const uint8_t byte = *w->at++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = v;
            return true;
        }
    }
    return stop(w);
}

static bool fixed(struct wire *w, size_t n, uint64_t *value)
{
    if ((size_t)(w->end - w->at) < n) {
        return stop(w);
    }
    *value = 0;
    for (size_t i = 0; i < n; i++) {
        *value |= (uint64_t)*w->at++ << (8 * i);
    }
    return true;
}

bool wire_next(struct wire *w, struct wire_field *f)
{
    uint64_t key;

    if (!wire_varint(w, &key)) {
        return false;
    }
    f->number = key >> 3;
    f->type = (unsigned)(key & 7);
    f->value = 0;
    f->bytes = (struct wire){w->at, w->at, false};
    if (f->type == WIRE_FIXED32 || f->type == WIRE_FIXED64) {
        return fixed(w, f->type == WIRE_FIXED32 ? 4 : 8, &f->value);
    }
    if ((f->type != WIRE_VARINT && f->type != WIRE_BYTES) || !wire_varint(w, &f->value)) {
        return stop(w);
    }
    if (f->type == WIRE_BYTES) {
        if (f->value > (uint64_t)(w->end - w->at)) {
            return stop(w);
        }
        f->bytes = (struct wire){w->at, w->at + f->value, false};
        w->at += f->value;
    }
    return true;
}

const char *wire_text(struct check *c, const struct wire *bytes)
{
    const size_t n = (size_t)(bytes->end - bytes->at);

    if (n > 0 && memchr(bytes->at, 0, n) != NULL) {
        check_broken(c, "a name holds a NUL byte");
        return NULL;
    }
    char *text = check_alloc(c, n + 1, 1);
    if (text != NULL && n > 0) {
        memcpy(text, bytes->at, n);
    }
    return text;
}
