/* main.c - the verbs, and how a run of brim begins and ends. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "cli/cli.h"

const struct cli_command cli_commands[] = {
    {&verb_inspect, cmd_inspect}, {&verb_import, cmd_import},   {&verb_quantize, cmd_quantize},
    {&verb_train, cmd_train},     {&verb_certify, cmd_certify}, {&verb_fix, cmd_fix},
    {&verb_run, cmd_run},         {&verb_profile, cmd_profile}, {&verb_data, cmd_data},
    {&verb_demo, cmd_demo},       {&verb_bench, cmd_bench},     {&verb_version, cmd_version},
    {&verb_help, cmd_help},
};
const size_t cli_command_count = sizeof cli_commands / sizeof *cli_commands;

static const struct cli_command *find_command(const char *name)
{
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        name = "help";
    } else if (strcmp(name, "--version") == 0) {
        name = "version";
    }
    for (size_t i = 0; i < cli_command_count; i++) {
        if (strcmp(cli_commands[i].verb->name, name) == 0) {
            return &cli_commands[i];
        }
    }
    return NULL;
}

static int unknown_verb(const char *name)
{
    const char *known[sizeof cli_commands / sizeof *cli_commands];

    for (size_t i = 0; i < cli_command_count; i++) {
        known[i] = cli_commands[i].verb->name;
    }
    const char *nearest = cli_nearest(name, known, cli_command_count);
    if (nearest != NULL) {
        return cli_usage(NULL, "unknown verb '%s', did you mean '%s'", name, nearest);
    }
    return cli_usage(NULL, "unknown verb '%s'", name);
}

int main(int argc, char **argv)
{
    struct cli cli = {0};

    if (argc < 2) {
        return cli_usage(NULL, "expected a verb");
    }
    const struct cli_command *command = find_command(argv[1]);
    if (command == NULL) {
        return unknown_verb(argv[1]);
    }
    cli_catch_signals();
    int code = command->run(&cli, argv + 2);
    cli_end_progress(&cli);
    brim_ctx_free(cli.ctx);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "brim: standard output: %s\n", strerror(errno));
        code = CLI_ERROR;
    }
    cli_reraise();
    return code;
}
