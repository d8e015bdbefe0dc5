/* files.h - small files made by the data tests. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_TESTS_DATA_FILES_H
#define BRIM_TESTS_DATA_FILES_H

#include <stdlib.h>
#include <zlib.h>

#include "brim/data.h"
#include "testing.h"

/* A folder of its own for one test program, created once. */
static inline const char *files_folder(void)
{
    static char folder[] = "/tmp/brim-test-XXXXXX";
    static int made = 0;

    if (!made) {
        assert_non_null(mkdtemp(folder));
        made = 1;
    }
    return folder;
}

static inline int files_teardown(void **state)
{
    char command[96];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", files_folder());
    return system(command) == 0 ? 0 : 1;
}

static inline void files_write(const char *name, const void *data, size_t n)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", files_folder(), name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static inline void files_text(const char *name, const char *text)
{
    files_write(name, text, strlen(text));
}

/* Version 1 npy with this dictionary and these element bytes. */
static inline size_t files_npy(uint8_t *out, const char *dictionary, const void *data, size_t n)
{
    const size_t length = strlen(dictionary);

    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (uint8_t)(length & 255);
    out[9] = (uint8_t)(length >> 8);
    memcpy(out + 10, dictionary, length);
    memcpy(out + 10 + length, data, n);
    return 10 + length + n;
}

static inline void files_write_npy(const char *name, const char *descr, const char *shape,
                                   const void *data, size_t n)
{
    char dictionary[256];
    uint8_t file[4096];

    snprintf(dictionary, sizeof dictionary,
             "{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n", descr, shape);
    files_write(name, file, files_npy(file, dictionary, data, n));
}

/* Open a description in which '@' stands for the folder and a slash. */
static inline brim_status files_open(brim_ctx *ctx, const char *pattern, brim_data **data)
{
    char spec[512];
    size_t n = 0;

    for (const char *p = pattern; *p != '\0'; p++) {
        if (*p == '@') {
            n += (size_t)snprintf(spec + n, sizeof spec - n, "%s/", files_folder());
        } else {
            spec[n++] = *p;
        }
        assert_true(n + 1 < sizeof spec);
    }
    spec[n] = '\0';
    return brim_data_open(ctx, spec, data);
}

#endif
