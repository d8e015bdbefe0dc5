/* replay.c - runs a fuzz target over files and folders, without libFuzzer. SPDX-License-Identifier:
 * Apache-2.0 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t size = 0, got;
    uint8_t chunk[4096];

    if (f == NULL) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return 1;
    }
    while ((got = fread(chunk, 1, sizeof chunk, f)) > 0) {
        uint8_t *larger = realloc(data, size + got); /* exact, so that a read past the end shows */
        if (larger == NULL) {
            break;
        }
        data = larger;
        memcpy(data + size, chunk, got);
        size += got;
    }
    fclose(f);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 0;
}

static int replay(const char *path, int *n_files)
{
    DIR *folder = opendir(path);
    int failed = 0;

    if (folder == NULL) {
        ++*n_files;
        return replay_file(path);
    }
    for (const struct dirent *e; (e = readdir(folder)) != NULL;) {
        char file[4096];
        if (e->d_name[0] != '.') {
            snprintf(file, sizeof file, "%s/%s", path, e->d_name);
            ++*n_files;
            failed |= replay_file(file);
        }
    }
    closedir(folder);
    return failed;
}

int main(int argc, char **argv)
{
    int n_files = 0, failed = 0;

    for (int i = 1; i < argc; i++) {
        failed |= replay(argv[i], &n_files);
    }
    printf("%d files replayed\n", n_files);
    return n_files == 0 || failed;
}
