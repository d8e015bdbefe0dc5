/* cmd_bench.c - brim bench: which of its parts. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/bench.h"

const struct cli_verb verb_bench = {
    .name = "bench",
    .operands = "kernels|model|solver",
    .min_operands = 1,
    .max_operands = 1,
    .summary = "how fast this machine runs kernels, models and solvers",
    .details = "kernels  every kernel against the machine's limits and against other libraries'\n"
               "model    images per second of a whole model, against onnxruntime\n"
               "solver   how long the solvers take for one layer\n\n"
               "Each has options of its own: brim bench model --help.",
};

static const struct {
    const char *name;
    cli_run_fn *run;
} parts[] = {
    {"kernels", cli_bench_kernels}, {"model", cli_bench_model}, {"solver", cli_bench_solver}};

int cmd_bench(struct cli *cli, char **argv)
{
    int code;

    for (size_t i = 0; argv[0] != NULL && i < sizeof parts / sizeof *parts; i++) {
        if (strcmp(argv[0], parts[i].name) == 0) {
            return parts[i].run(cli, argv + 1);
        }
    }
    if (!cli_start(cli, &verb_bench, NULL, argv, &code)) {
        return code;
    }
    return cli_usage(&verb_bench, "'%s', expected %s", cli->operand[0], verb_bench.operands);
}
