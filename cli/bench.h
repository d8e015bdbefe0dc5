/* bench.h - the parts of brim bench, each with options of its own. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef BRIM_CLI_BENCH_H
#define BRIM_CLI_BENCH_H

#include "cli/cli.h"

cli_run_fn cli_bench_kernels, cli_bench_model, cli_bench_solver;

/* --list: the machine's levels and kernels, and the layers of the operand where there is one. */
int cli_list_kernels(struct cli *cli);

/* Peers of a module; the default one, beside the program, may be missing. With `path` "none" there
 * are none. They stay loaded until the process ends. CLI_OK, or an error said. */
int cli_load_peers(struct cli *cli, const char *path, const brim_bench_peer **peers, size_t *n);

#endif
