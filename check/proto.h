/* proto.h - the protobuf wire format, read field by field. SPDX-License-Identifier: Apache-2.0
 *
 * https://protobuf.dev/programming-guides/encoding. A message is a run of fields; a field is a
 * varint key (number << 3 | type) and a value. Nothing is read past `end`.
 */
#ifndef BRIM_CHECK_PROTO_H
#define BRIM_CHECK_PROTO_H

#include "check/check.h"

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct wire {
    const uint8_t *at, *end;
    bool bad; /* truncated or malformed: reading has stopped */
};

struct wire_field {
    uint64_t number;
    unsigned type;
    uint64_t value;    /* VARINT, FIXED32, FIXED64 */
    struct wire bytes; /* BYTES: a string, bytes, a message, or packed numbers */
};

/* The next field; false at the end, and when w->bad. */
bool wire_next(struct wire *w, struct wire_field *f);
/* The next varint of a packed list; false at the end, and when w->bad. */
bool wire_varint(struct wire *w, uint64_t *value);
/* A NUL-terminated copy; NULL when it holds a NUL itself, or memory is short. */
const char *wire_text(struct check *c, const struct wire *bytes);

#endif
