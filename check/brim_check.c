/* brim_check.c - brim-check MODEL.onnx CERT.json. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/check.h"

#define MAX_FILE ((size_t)2 << 30)

static const char usage[] =
    "usage: brim-check [-q] MODEL.onnx CERT.json\n\n"
    "Verify a certificate of brim against the model alone, with arithmetic of its own.\n"
    "Exit codes: 0 proven, and everything the certificate says is true; 3 refuted, or something is\n"
    "not true (one sentence says what); 1 a file cannot be read or is malformed; 2 usage.\n";

/* A sentence on stderr. Names in it come from the model: control bytes are shown, not sent. */
static void say(const char *kind, const char *text)
{
    unsigned char before = 0;

    fprintf(stderr, "brim-check: %s", kind);
    for (const unsigned char *s = (const unsigned char *)text; *s != '\0'; s++) {
        const bool c1 = *s >= 0x80 && *s < 0xa0 && (before < 0x80 || before == 0xc2);
        fprintf(stderr, *s < ' ' || *s == 0x7f || c1 ? "\\x%02x" : "%c", *s);
        before = *s;
    }
    fputc('\n', stderr);
}

static uint8_t *read_file(struct check *c, const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t used = 0, capacity = 0;

    if (f == NULL) {
        check_broken(c, "%s: %s", path, strerror(errno));
        return NULL;
    }
    for (;;) {
        if (used == capacity) {
            capacity = capacity == 0 ? (size_t)1 << 16 : 2 * capacity;
            uint8_t *more = capacity <= MAX_FILE ? realloc(data, capacity) : NULL;
            if (more == NULL) {
                check_broken(c, "%s: too large", path);
                break;
            }
            data = more;
        }
        const size_t got = fread(data + used, 1, capacity - used, f);
        used += got;
        if (got == 0) {
            break;
        }
    }
    if (ferror(f)) {
        check_broken(c, "%s: %s", path, strerror(errno));
    }
    fclose(f);
    *size = used;
    return data;
}

static void check_files(struct check *c, const char *model_path, const char *cert_path)
{
    size_t model_size = 0, cert_size = 0;
    uint8_t *model = read_file(c, model_path, &model_size);
    uint8_t *cert = read_file(c, cert_path, &cert_size);

    if (c->reason[0] == '\0') {
        check_certificate(c, model, model_size, (const char *)cert, cert_size);
    }
    free(cert);
    free(model);
}

int main(int argc, char **argv)
{
    struct check c = {0};
    const bool quiet = argc > 1 && (strcmp(argv[1], "-q") == 0 || strcmp(argv[1], "--quiet") == 0);
    char **operand = argv + 1 + quiet;

    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(usage, stdout);
        return VERDICT_PROVEN;
    }
    if (argc - 1 - quiet != 2 || operand[0][0] == '-' || operand[1][0] == '-') {
        fputs("brim-check: expected MODEL.onnx and CERT.json (see brim-check --help)\n", stderr);
        return VERDICT_USAGE;
    }
    check_files(&c, operand[0], operand[1]);
    if (c.note[0] != '\0' && !quiet) {
        say("note: ", c.note);
    }
    if (c.reason[0] != '\0') {
        say("", c.reason);
    } else if (!quiet) {
        puts(
            "proven: the certificate is true of the model, and no input can overflow any register");
    }
    check_free(&c);
    return (int)c.verdict;
}
