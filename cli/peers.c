/* peers.c - other libraries' kernels, from a module that is loaded when there is one.
 * SPDX-License-Identifier: Apache-2.0
 *
 * They are no dependency of brim: bench/peers/ is a shared object that finds its libraries itself.
 */
#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

#include "cli/bench.h"

#define MODULE "brim-peers.so"

/* MODULE in the folder of the running program; "" when that cannot be told. */
static void beside_program(char *path, size_t size)
{
    const ssize_t n = readlink("/proc/self/exe", path, size - sizeof MODULE);
    char *slash;

    path[n > 0 ? n : 0] = '\0';
    slash = strrchr(path, '/');
    if (slash == NULL) {
        path[0] = '\0';
    } else {
        memcpy(slash + 1, MODULE, sizeof MODULE);
    }
}

int cli_load_peers(struct cli *cli, const char *path, const brim_bench_peer **peers, size_t *n)
{
    char beside[1024];
    union { /* an object pointer becomes a function's, as POSIX allows */
        void *object;
        brim_bench_peers_fn *function;
    } symbol;

    *peers = NULL;
    *n = 0;
    if (path == NULL) {
        beside_program(beside, sizeof beside);
        if (beside[0] == '\0' || access(beside, R_OK) != 0) {
            return CLI_OK;
        }
        path = beside;
    } else if (strcmp(path, "none") == 0) {
        return CLI_OK;
    }
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (module == NULL) {
        return cli_fail(cli, CLI_ERROR, "%s", dlerror());
    }
    symbol.object = dlsym(module, BRIM_BENCH_PEERS);
    if (symbol.object == NULL) {
        return cli_fail(cli, CLI_ERROR, "%s: no module of peers, it has no '%s'", path,
                        BRIM_BENCH_PEERS);
    }
    *peers = symbol.function(n);
    return CLI_OK;
}
