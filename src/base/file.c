/* file.c - whole-file reading (gzip too) and atomic writing. SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

brim_status brim_file_read(brim_ctx *ctx, const char *path, struct brim_buffer *out)
{
    uint8_t chunk[1 << 15];
    struct stat st;
    int n, zerr = 0;

    brim_buffer_init(out, ctx, ctx->params.max_file_bytes);
    if (stat(path, &st) != 0) {
        return brim_fail(ctx, BRIM_ERR_IO, "%s: %s", path, strerror(errno));
    }
    if (S_ISDIR(st.st_mode)) {
        return brim_fail(ctx, BRIM_ERR_IO, "%s: is a folder, expected a file", path);
    }
    gzFile f = gzopen(path, "rb"); /* reads plain files as they are */
    if (f == NULL) {
        return brim_fail(ctx, BRIM_ERR_IO, "%s: %s", path, strerror(errno));
    }
    brim_status status = BRIM_OK;
    while (status == BRIM_OK && (n = gzread(f, chunk, sizeof chunk)) > 0) {
        status = brim_buffer_append(out, chunk, (size_t)n);
    }
    if (status == BRIM_OK) {
        const char *text = gzerror(f, &zerr);
        if (zerr == Z_ERRNO) {
            status = brim_fail(ctx, BRIM_ERR_IO, "%s: %s", path, strerror(errno));
        } else if (zerr != Z_OK && zerr != Z_STREAM_END) {
            status = brim_fail(ctx, BRIM_ERR_FILE, "%s: damaged gzip data (%s)", path, text);
        }
    } else {
        status = brim_fail_at(ctx, status, "%s", path);
    }
    gzclose(f);
    return status;
}

static brim_status write_all(brim_ctx *ctx, int fd, const uint8_t *data, size_t n, const char *path)
{
    while (n > 0) {
        const ssize_t w = write(fd, data, n);
        if (w < 0 && errno == EINTR) {
            continue;
        }
        if (w <= 0) {
            return brim_fail(ctx, BRIM_ERR_IO, "%s: cannot write (%s)", path, strerror(errno));
        }
        data += w;
        n -= (size_t)w;
    }
    return BRIM_OK;
}

/* What replaces a device or a pipe cannot be renamed into place. */
static brim_status write_special(brim_ctx *ctx, const char *path, const void *data, size_t n)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return brim_fail(ctx, BRIM_ERR_IO, "%s: cannot write (%s)", path, strerror(errno));
    }
    const brim_status status = write_all(ctx, fd, data, n, path);
    close(fd);
    return status;
}

brim_status brim_file_write(brim_ctx *ctx, const char *path, const void *data, size_t n)
{
    struct stat st;
    struct brim_arena scratch;

    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        if (S_ISDIR(st.st_mode)) {
            return brim_fail(ctx, BRIM_ERR_IO, "%s: cannot write (is a folder)", path);
        }
        return write_special(ctx, path, data, n);
    }
    brim_arena_init(&scratch, ctx);
    char *tmp = brim_arena_printf(&scratch, "%s.%ld.tmp", path, (long)getpid());
    if (tmp == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim_status status = BRIM_OK;
    const int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        status = brim_fail(ctx, BRIM_ERR_IO, "%s: cannot write (%s)", path, strerror(errno));
    } else {
        status = write_all(ctx, fd, data, n, path);
        if (status == BRIM_OK && fsync(fd) != 0 && errno != EINVAL) {
            status = brim_fail(ctx, BRIM_ERR_IO, "%s: cannot write (%s)", path, strerror(errno));
        }
        close(fd);
        if (status == BRIM_OK && rename(tmp, path) != 0) {
            status = brim_fail(ctx, BRIM_ERR_IO, "%s: cannot write (%s)", path, strerror(errno));
        }
        if (status != BRIM_OK) {
            unlink(tmp);
        }
    }
    brim_arena_free(&scratch);
    return status;
}
