/* cmd_run.c - brim run MODEL --data DATA. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "cli/profile.h"
#include "cli/target.h"

struct options {
    const char *data, *datapath, *target, *targets, *output, *profile;
    bool no_count;
    int64_t batch;
};

static const struct cli_option options[] = {
    {.name = "data",
     .letter = 'd',
     .kind = CLI_STRING,
     .value = "DATA",
     .offset = offsetof(struct options, data),
     .help = "what to run on (required; see brim data --help)"},
    {.name = "datapath",
     .kind = CLI_STRING,
     .value = "D",
     .offset = offsetof(struct options, datapath),
     .help = "run every integer dot layer on this datapath instead of its declared one"},
    {.name = "target",
     .kind = CLI_STRING,
     .value = "NAME",
     .offset = offsetof(struct options, target),
     .help =
         "run every integer dot layer as this target's kernels do: x86-maddubs, neon-mlal16, ..."},
    {.name = "targets",
     .kind = CLI_STRING,
     .value = "FILE",
     .offset = offsetof(struct options, targets),
     .help = "a file of targets of your own (docs/targets.md has the format)"},
    {.name = "no-count",
     .kind = CLI_FLAG,
     .offset = offsetof(struct options, no_count),
     .help = "count no overflows: faster, the same outputs"},
    {.name = "output",
     .letter = 'o',
     .kind = CLI_STRING,
     .value = "FILE.npy",
     .offset = offsetof(struct options, output),
     .help = "write the first output of every sample, float32"},
    {.name = "profile",
     .kind = CLI_STRING,
     .value = "FILE.json",
     .offset = offsetof(struct options, profile),
     .help = "write what brim profile --json --no-predictions prints, in a pass of its own"},
    {.name = "batch",
     .kind = CLI_INT,
     .value = "N",
     .offset = offsetof(struct options, batch),
     .lo = 1,
     .hi = 4096,
     .help = "samples a worker takes at a time (default 8); never changes a result"},
};

const struct cli_verb verb_run = {
    .name = "run",
    .operands = "MODEL",
    .min_operands = 1,
    .max_operands = 1,
    .summary = "predictions, accuracy, overflow counts",
    .details =
        "Execute a model over labelled or unlabelled data. Integer dot layers run on their datapath\n"
        "bit for bit, everything else in float32. Prints accuracy where there are labels, and per\n"
        "dot layer how many dot products overflowed and the narrowest register that was enough.",
    .options = options,
    .n_options = sizeof options / sizeof *options,
};

static json_t *layer_json(const brim_run_layer *l)
{
    return json_pack("{s:s,s:I,s:I,s:s,s:I,s:I,s:I,s:I,s:I}", "name", l->name, "k",
                     (json_int_t)l->k, "n", (json_int_t)l->n, "datapath", l->datapath, "outputs",
                     (json_int_t)l->outputs, "transient", (json_int_t)l->transient, "persistent",
                     (json_int_t)l->persistent, "product", (json_int_t)l->product, "min_width",
                     (json_int_t)l->min_width);
}

static int print_json(struct cli *cli, const brim_run_report *r)
{
    json_t *layers = json_array();
    const double n = r->samples > 0 ? (double)r->samples : 1;
    json_t *o = json_pack("{s:I}", "samples", (json_int_t)r->samples);

    for (size_t i = 0; i < r->n_layers; i++) {
        json_array_append_new(layers, layer_json(&r->layers[i]));
    }
    json_object_set_new(o, "top1", r->labelled ? json_real((double)r->top1 / n) : json_null());
    json_object_set_new(o, "top5", r->labelled ? json_real((double)r->top5 / n) : json_null());
    if (r->mse >= 0) {
        json_object_set_new(o, "mse", json_real(r->mse));
    }
    json_object_set_new(o, "seconds", json_real(r->seconds));
    json_object_set_new(o, "layers", layers);
    return cli_print_json(cli, o, CLI_OK);
}

static void print_text(const brim_run_report *r)
{
    static const char *const headings[] = {
        "layer", "K", "N", "datapath", "outputs", "transient", "persistent", "product", "width"};
    struct cli_table t;

    printf("samples  %zu in %.2f s\n", r->samples, r->seconds);
    if (r->labelled) {
        printf("top-1    %.2f %%\ntop-5    %.2f %%\n", 100 * (double)r->top1 / (double)r->samples,
               100 * (double)r->top5 / (double)r->samples);
    }
    if (r->mse >= 0) {
        printf("mse      %.6g\n", r->mse);
    }
    if (r->n_layers == 0) {
        return;
    }
    cli_table_init(&t, sizeof headings / sizeof *headings, headings);
    for (size_t i = 0; i < r->n_layers; i++) {
        const brim_run_layer *l = &r->layers[i];
        cli_cell(&t, "%s", l->name);
        cli_cell(&t, "%zu", l->k);
        cli_cell(&t, "%zu", l->n);
        cli_cell(&t, "%s", l->datapath);
        cli_cell(&t, "%llu", (unsigned long long)l->outputs);
        cli_cell(&t, "%llu", (unsigned long long)l->transient);
        cli_cell(&t, "%llu", (unsigned long long)l->persistent);
        cli_cell(&t, "%llu", (unsigned long long)l->product);
        cli_cell(&t, l->min_width > 0 ? "%u" : "-", l->min_width);
    }
    cli_table_print(&t);
}

static void keep_row(void *user, size_t sample, const float *y, size_t n)
{
    (void)sample;
    cli_npy_row(user, y, n);
}

/* What the layers run on instead of what they declare; NULL = nothing. */
struct instead {
    const brim_datapath *datapath;
    const brim_target *target;
};

static int execute(struct cli *cli, const struct options *o, const struct instead *instead,
                   const brim_graph *graph, const brim_data *data)
{
    brim_run_params p;
    brim_run_report *report = NULL;
    struct cli_npy *file = NULL;

    brim_run_params_init(&p);
    p.datapath = instead->datapath;
    p.target = instead->target;
    p.count = !o->no_count;
    p.batch = (size_t)o->batch;
    if (o->output != NULL) {
        file = cli_npy_create(o->output);
        if (file == NULL) {
            return cli_fail(cli, CLI_ERROR, "%s: cannot write (%s)", o->output, strerror(errno));
        }
        p.output = keep_row;
        p.user = file;
    }
    const brim_status s = brim_run(cli->ctx, graph, data, &p, &report);
    const int error = file != NULL ? cli_npy_close(file, s == BRIM_OK) : 0;
    int code = CLI_OK;
    if (s != BRIM_OK) {
        code = cli_fail_status(cli, s);
    } else if (error != 0) {
        code = cli_fail(cli, CLI_ERROR, "%s: cannot write (%s)", o->output, strerror(error));
    } else if (cli->json) {
        code = print_json(cli, report);
    } else {
        cli_end_progress(cli);
        print_text(report);
    }
    brim_run_report_free(report);
    return code;
}

static int write_profile(struct cli *cli, const char *path, const brim_graph *graph,
                         const brim_data *data)
{
    brim_profile_params p;
    brim_profile_report *report = NULL;

    brim_profile_params_init(&p);
    p.seed = (uint64_t)cli->seed;
    const brim_status s = brim_profile(cli->ctx, graph, data, &p, &report);
    const int code = s != BRIM_OK ? cli_fail_status(cli, s) : cli_profile_save(cli, report, path);
    brim_profile_report_free(report);
    return code;
}

int cmd_run(struct cli *cli, char **argv)
{
    struct options o = {.batch = 8};
    brim_graph *graph = NULL;
    brim_data *data = NULL;
    brim_datapath dp;
    struct cli_target t = {0};
    int code;

    if (!cli_start(cli, &verb_run, &o, argv, &code)) {
        return code;
    }
    if (o.data == NULL) {
        return cli_usage(&verb_run, "expected --data DATA");
    }
    if (o.datapath != NULL && (code = cli_parse_datapath(cli, "datapath", o.datapath, &dp)) != 0) {
        return code;
    }
    if (o.target == NULL ? o.targets != NULL : o.datapath != NULL) {
        return cli_usage(&verb_run, o.target == NULL ? "--targets goes with --target"
                                                     : "--datapath does not go with --target");
    }
    if (o.output != NULL && (code = cli_check_output(cli, o.output)) != CLI_OK) {
        return code;
    }
    if (o.profile != NULL && (code = cli_check_output(cli, o.profile)) != CLI_OK) {
        return code;
    }
    code = o.target != NULL ? cli_find_target(cli, o.target, o.targets, &t) : CLI_OK;
    if (code == CLI_OK) {
        code = cli_load(cli, cli->operand[0], &graph);
    }
    if (code == CLI_OK) {
        code = cli_open_data(cli, o.data, &data);
    }
    if (code == CLI_OK && o.profile != NULL) {
        code = write_profile(cli, o.profile, graph, data);
    }
    if (code == CLI_OK) {
        const struct instead instead = {o.datapath != NULL ? &dp : NULL, t.target};
        code = execute(cli, &o, &instead, graph, data);
    }
    cli_target_free(&t);
    brim_data_free(data);
    brim_graph_free(graph);
    return code;
}
