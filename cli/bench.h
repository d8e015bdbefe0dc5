/* bench.h - the parts of brim bench, each with options of its own. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef BRIM_CLI_BENCH_H
#define BRIM_CLI_BENCH_H

#include "cli/cli.h"

cli_run_fn cli_bench_model, cli_bench_solver;

#endif
