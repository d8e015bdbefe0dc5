/* npy_rows.c - rows of float32 into a .npy file (format 1.0), whole or not at all.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

#define HEADER 128 /* magic, version, length, dictionary: a multiple of 64, patched at the end */

struct cli_npy {
    FILE *file;
    char *path, *temporary;
    size_t rows, columns;
    int error; /* errno of the first failure */
};

static void release(struct cli_npy *f)
{
    free(f->path);
    free(f->temporary);
    free(f);
}

struct cli_npy *cli_npy_create(const char *path)
{
    struct cli_npy *f = calloc(1, sizeof *f);
    const size_t n = strlen(path) + 32;

    if (f == NULL || (f->path = strdup(path)) == NULL || (f->temporary = malloc(n)) == NULL) {
        if (f != NULL) {
            release(f);
        }
        errno = ENOMEM;
        return NULL;
    }
    snprintf(f->temporary, n, "%s.%ld.tmp", path, (long)getpid());
    f->file = fopen(f->temporary, "wbx");
    if (f->file == NULL) {
        const int error = errno;
        release(f);
        errno = error;
        return NULL;
    }
    const char blank[HEADER] = {0};
    if (fwrite(blank, HEADER, 1, f->file) != 1) {
        f->error = errno;
    }
    return f;
}

void cli_npy_row(struct cli_npy *f, const float *y, size_t n)
{
    if (f->error != 0) {
        return;
    }
    if (f->rows == 0) {
        f->columns = n;
    }
    for (size_t i = 0; i < n && f->error == 0; i++) {
        uint32_t bits;
        memcpy(&bits, &y[i], sizeof bits);
        const unsigned char byte[4] = {(unsigned char)bits, (unsigned char)(bits >> 8),
                                       (unsigned char)(bits >> 16), (unsigned char)(bits >> 24)};
        if (fwrite(byte, 4, 1, f->file) != 1) {
            f->error = errno;
        }
    }
    if (n != f->columns) {
        f->error = EINVAL;
    }
    f->rows++;
}

static void write_header(struct cli_npy *f)
{
    /* version 1.0, 118 bytes of dictionary */
    static const char magic[10] = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, HEADER - 10, 0};
    char header[HEADER];

    memset(header, ' ', sizeof header);
    memcpy(header, magic, sizeof magic);
    const int n = snprintf(header + 10, sizeof header - 10,
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }",
                           f->rows, f->columns);
    header[10 + n] = ' ';
    header[HEADER - 1] = '\n';
    if (fseek(f->file, 0, SEEK_SET) != 0 || fwrite(header, HEADER, 1, f->file) != 1 ||
        fflush(f->file) != 0 || fsync(fileno(f->file)) != 0) {
        f->error = errno;
    }
}

int cli_npy_close(struct cli_npy *f, bool keep)
{
    if (keep && f->error == 0) {
        write_header(f);
    }
    if (fclose(f->file) != 0 && f->error == 0) {
        f->error = errno;
    }
    if (keep && f->error == 0 && rename(f->temporary, f->path) != 0) {
        f->error = errno;
    }
    if (!keep || f->error != 0) {
        unlink(f->temporary);
    }
    const int error = keep ? f->error : 0;
    release(f);
    return error;
}
