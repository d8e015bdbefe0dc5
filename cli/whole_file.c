/* whole_file.c - text files, written whole or not at all. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

/* 0, or an errno; the temporary file is gone or renamed. */
static int write_then_rename(const char *path, const char *temporary, cli_writer *writer,
                             const void *what)
{
    FILE *f = fopen(temporary, "wx");
    int error = 0;

    if (f == NULL) {
        return errno;
    }
    errno = 0;
    writer(f, what);
    if (ferror(f) || fflush(f) != 0 || fsync(fileno(f)) != 0) {
        error = errno != 0 ? errno : EIO;
    }
    if (fclose(f) != 0 && error == 0) {
        error = errno;
    }
    if (error == 0 && rename(temporary, path) != 0) {
        error = errno;
    }
    if (error != 0) {
        unlink(temporary);
    }
    return error;
}

int cli_write_file(struct cli *cli, const char *path, cli_writer *writer, const void *what)
{
    const size_t n = strlen(path) + 32;
    char *temporary = malloc(n);
    int error = ENOMEM;

    if (temporary != NULL) {
        (void)snprintf(temporary, n, "%s.%ld.tmp", path, (long)getpid());
        error = write_then_rename(path, temporary, writer, what);
    }
    free(temporary);
    return error == 0 ? CLI_OK
                      : cli_fail(cli, CLI_ERROR, "%s: cannot write (%s)", path, strerror(error));
}
