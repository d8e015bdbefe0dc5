/* cmd_help.c - brim help [VERB]. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/cli.h"

const struct cli_verb verb_help = {
    .name = "help",
    .operands = "[VERB]",
    .max_operands = 1,
    .summary = "what the verbs are, or one of them in full",
    .details = "Print the list of verbs, or one verb's options.",
};

static json_t *verbs_json(void)
{
    json_t *verbs = json_array();

    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_verb *v = cli_commands[i].verb;
        json_array_append_new(verbs, json_pack("{s:s,s:s,s:s}", "name", v->name, "operands",
                                               v->operands, "summary", v->summary));
    }
    return json_pack("{s:o}", "verbs", verbs);
}

int cmd_help(struct cli *cli, char **argv)
{
    int code;

    if (!cli_start(cli, &verb_help, NULL, argv, &code)) {
        return code;
    }
    for (size_t i = 0; i < cli_command_count && cli->n_operands == 1; i++) {
        if (strcmp(cli_commands[i].verb->name, cli->operand[0]) == 0) {
            cli_help(stdout, cli_commands[i].verb);
            return CLI_OK;
        }
    }
    if (cli->n_operands == 1) {
        return cli_usage(&verb_help, "unknown verb '%s'", cli->operand[0]);
    }
    if (cli->json) {
        return cli_print_json(cli, verbs_json(), CLI_OK);
    }
    printf("brim %s: neural networks quantized so that every dot product provably fits a narrow "
           "accumulator\n\nusage: brim VERB [options]\n\n",
           brim_version());
    for (size_t i = 0; i < cli_command_count; i++) {
        printf("  %-10s %s\n", cli_commands[i].verb->name, cli_commands[i].verb->summary);
    }
    printf("\nbrim VERB --help tells the rest; brim-check verifies a certificate independently\n");
    return CLI_OK;
}
