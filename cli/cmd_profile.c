/* cmd_profile.c - brim profile MODEL --data DATA. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/profile.h"

#define FEW_WIDTHS 12 /* for which predictions need not be asked for */

struct options {
    const char *data, *widths, *order, *csv;
    bool predictions, no_predictions;
    int64_t at, top, sampled;
};

static const struct cli_option options[] = {
    {.name = "data",
     .letter = 'd',
     .kind = CLI_STRING,
     .value = "DATA",
     .offset = offsetof(struct options, data),
     .help = "what to run on (required; see brim data --help)"},
    {.name = "widths",
     .kind = CLI_STRING,
     .value = "A..B",
     .offset = offsetof(struct options, widths),
     .help = "register widths, 2..32 (default 8..24)"},
    {.name = "order",
     .kind = CLI_STRING,
     .value = "LIST",
     .offset = offsetof(struct options, order),
     .help = "of natural, wrap, q, qR (R rounds), g (default natural,wrap,q,g)"},
    {.name = "predictions",
     .kind = CLI_FLAG,
     .offset = offsetof(struct options, predictions),
     .help = "also run the model on every width and order (default for at most 12 widths)"},
    {.name = "no-predictions",
     .kind = CLI_FLAG,
     .offset = offsetof(struct options, no_predictions),
     .help = "only the exact run"},
    {.name = "at",
     .kind = CLI_INT,
     .value = "P",
     .offset = offsetof(struct options, at),
     .lo = 2,
     .hi = BRIM_PROFILE_MAX_WIDTH,
     .help = "list the first overflows of P bits (default: a declared register that overflows,\n"
             "else the widest that does)"},
    {.name = "top",
     .kind = CLI_INT,
     .value = "N",
     .offset = offsetof(struct options, top),
     .lo = 0,
     .hi = 1000,
     .help = "length of that list (default 20)"},
    {.name = "sampled",
     .kind = CLI_INT,
     .value = "N",
     .offset = offsetof(struct options, sampled),
     .lo = 0,
     .hi = 1000000,
     .help = "outputs a layer that are really sorted, where events of an order cannot be told\n"
             "without (default 1000)"},
    {.name = "csv",
     .kind = CLI_STRING,
     .value = "FILE",
     .offset = offsetof(struct options, csv),
     .help = "write one line per layer, width and order"},
};

const struct cli_verb verb_profile = {
    .name = "profile",
    .operands = "MODEL",
    .min_operands = 1,
    .max_operands = 1,
    .summary = "overflow of every layer at every width, in every order",
    .details =
        "Run the integer dot layers exactly, once, and tell for every register width how many dot\n"
        "products would overflow on the way (transient), in the end (persistent) or in a single\n"
        "product, in natural order, with wrap, sorted (q, qR) or sign-greedy (g); what the sums\n"
        "needed against the certified worst case; which predictions change; and where the first\n"
        "overflows are.",
    .options = options,
    .n_options = sizeof options / sizeof *options,
};

/* A..B, or A. */
static int parse_widths(const struct cli *cli, const char *text, brim_profile_params *p)
{
    const char *dots = strstr(text, "..");
    const size_t n = dots != NULL ? (size_t)(dots - text) : strlen(text);
    char first[16] = "";
    int64_t lo, hi;

    (void)snprintf(first, sizeof first, "%.*s", (int)(n < sizeof first ? n : 0), text);
    if (!cli_parse_int(first, 0, 1000, &lo) ||
        !cli_parse_int(dots != NULL ? dots + 2 : first, 0, 1000, &hi)) {
        return cli_usage(cli->verb, "--widths: '%s', expected A..B", text);
    }
    if (lo > hi) {
        return cli_usage(cli->verb, "--widths: %s is an empty range", text);
    }
    if (lo < 2 || hi > BRIM_PROFILE_MAX_WIDTH) {
        return cli_usage(cli->verb, "--widths: %s, expected widths in 2..%d", text,
                         BRIM_PROFILE_MAX_WIDTH);
    }
    p->first_width = (unsigned)lo;
    p->last_width = (unsigned)hi;
    return CLI_OK;
}

static int parse_orders(const struct cli *cli, const char *text, brim_profile_params *p)
{
    p->n_orders = 0;
    for (;; text++) {
        const size_t n = strcspn(text, ",");
        char name[32];
        if (p->n_orders == BRIM_PROFILE_MAX_ORDERS) {
            return cli_usage(cli->verb, "--order: more than %d orders", BRIM_PROFILE_MAX_ORDERS);
        }
        (void)snprintf(name, sizeof name, "%.*s", (int)(n < 31 ? n : 31), text);
        if (brim_profile_order_parse(cli->ctx, name, &p->order[p->n_orders++]) != BRIM_OK) {
            return cli_usage(cli->verb, "--order: %s", brim_error(cli->ctx));
        }
        text += n;
        if (*text == '\0') {
            return CLI_OK;
        }
    }
}

static int fill_params(const struct cli *cli, const struct options *o, brim_profile_params *p)
{
    int code = CLI_OK;

    brim_profile_params_init(p);
    if (o->widths != NULL) {
        code = parse_widths(cli, o->widths, p);
    }
    if (code == CLI_OK && o->order != NULL) {
        code = parse_orders(cli, o->order, p);
    }
    if (code == CLI_OK && o->predictions && o->no_predictions) {
        code = cli_usage(cli->verb, "--predictions and --no-predictions exclude each other");
    }
    p->predictions =
        o->predictions || (!o->no_predictions && p->last_width - p->first_width + 1 <= FEW_WIDTHS);
    p->at = (unsigned)o->at;
    p->top = (size_t)o->top;
    p->sampled = (size_t)o->sampled;
    p->seed = (uint64_t)cli->seed;
    return code;
}

static int execute(struct cli *cli, const struct options *o, const brim_profile_params *p,
                   const brim_graph *graph, const brim_data *data)
{
    brim_profile_report *report = NULL;
    const brim_status s = brim_profile(cli->ctx, graph, data, p, &report);
    int code;

    if (s != BRIM_OK) {
        return cli_fail_status(cli, s);
    }
    code = o->csv != NULL ? cli_profile_csv(cli, report, o->csv) : CLI_OK;
    if (code == CLI_OK && cli->json) {
        code = cli_print_json(cli, cli_profile_json(report), CLI_OK);
    } else if (code == CLI_OK) {
        cli_end_progress(cli);
        cli_profile_text(report);
    }
    brim_profile_report_free(report);
    return code;
}

int cmd_profile(struct cli *cli, char **argv)
{
    struct options o = {.top = 20, .sampled = 1000};
    brim_graph *graph = NULL;
    brim_data *data = NULL;
    brim_profile_params p;
    int code;

    if (!cli_start(cli, &verb_profile, &o, argv, &code)) {
        return code;
    }
    if (o.data == NULL) {
        return cli_usage(&verb_profile, "expected --data DATA");
    }
    code = fill_params(cli, &o, &p);
    if (code == CLI_OK && o.csv != NULL) {
        code = cli_check_output(cli, o.csv);
    }
    if (code == CLI_OK) {
        code = cli_load(cli, cli->operand[0], &graph);
    }
    if (code == CLI_OK) {
        code = cli_open_data(cli, o.data, &data);
    }
    if (code == CLI_OK) {
        code = execute(cli, &o, &p, graph, data);
    }
    brim_data_free(data);
    brim_graph_free(graph);
    return code;
}
