/* cmd_demo.c - brim demo: the main job on a model and data of the repository.
 * SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "cli/cli.h"
#include "cli/train_history.h"

struct options {
    const char *model;
};

static const struct cli_option options[] = {
    {.name = "model",
     .kind = CLI_STRING,
     .value = "MODEL.onnx",
     .offset = offsetof(struct options, model),
     .help = "another float model for synth:glyphs"},
};

const struct cli_verb verb_demo = {
    .name = "demo",
    .operands = "",
    .summary = "the main job on glyphs: quantize, certify, run, six widths; train the last",
    .details =
        "Quantize the small glyph network that ships with brim to 8-bit weights and activations for\n"
        "32-, 20-, 18-, 16-, 14- and 12-bit accumulators, certify each, run each on 2,000 images that\n"
        "neither training nor calibration has seen, and print one table. At 12 bits quantization alone\n"
        "loses much; the last row has been trained on from there by A2Q+, for the same 12 bits.",
    .options = options,
    .n_options = sizeof options / sizeof *options,
};

static const unsigned widths[] = {32, 20, 18, 16, 14, 12};
#define N_WIDTHS (sizeof widths / sizeof *widths)
#define N_ROWS   (N_WIDTHS + 1) /* the last: trained, at the last width */

/* Streams of the generator that training (seeds 1000 and 2000) does not use. */
#define CALIBRATION "synth:glyphs?limit=512&seed=1"
#define FRESH       "synth:glyphs?limit=2000&seed=3"
#define TRAINING    "synth:glyphs?limit=6000&seed=4"
#define VALIDATION  "synth:glyphs?limit=500&seed=5"

struct row {
    unsigned width;
    double accuracy, seconds;
    int64_t largest; /* largest absolute partial sum that any input can reach */
    bool proven;
};

static brim_status accuracy_of(struct cli *cli, const brim_graph *graph, const brim_data *data,
                               double *accuracy)
{
    brim_run_params p;
    brim_run_report *report = NULL;

    brim_run_params_init(&p);
    p.count = false;
    const brim_status s = brim_run(cli->ctx, graph, data, &p, &report);
    if (s == BRIM_OK) {
        *accuracy = (double)report->top1 / (double)report->samples;
    }
    brim_run_report_free(report);
    return s;
}

static void largest_sum(const brim_certificate *cert, struct row *row)
{
    row->proven = cert->proven;
    for (size_t i = 0; i < cert->n_layers; i++) {
        const brim_certificate_layer *l = &cert->layers[i];
        row->largest = l->sum_max > row->largest ? l->sum_max : row->largest;
        row->largest = -l->sum_min > row->largest ? -l->sum_min : row->largest;
    }
}

/* Certify and run a quantized graph. */
static brim_status finish_row(struct cli *cli, const brim_graph *quantized, const brim_data *fresh,
                              struct row *row)
{
    brim_certificate *cert = NULL;

    brim_status s = brim_certify(cli->ctx, quantized, NULL, &cert);
    if (s == BRIM_OK) {
        largest_sum(cert, row);
        s = accuracy_of(cli, quantized, fresh, &row->accuracy);
    }
    brim_certificate_free(cert);
    return s;
}

static brim_status one_width(struct cli *cli, const brim_graph *graph, const brim_data *calib,
                             const brim_data *fresh, struct row *row)
{
    const double start = cli_seconds();
    brim_quantize_params p;
    brim_graph *quantized = NULL;

    brim_quantize_params_init(&p);
    p.datapath = (brim_datapath){.n_stages = 1, .stage = {{.width = (uint8_t)row->width}}};
    brim_status s = brim_quantize(cli->ctx, graph, calib, &p, &quantized, NULL);
    if (s == BRIM_OK) {
        s = finish_row(cli, quantized, fresh, row);
    }
    row->seconds = cli_seconds() - start;
    brim_graph_free(quantized);
    return s;
}

static void on_step(void *user, const brim_train_step *step)
{
    cli_train_note(user, step);
}

/* On from where quantization ends, under the same budget. */
static brim_status train_row(struct cli *cli, const brim_graph *graph, const brim_data *fresh,
                             struct row *row)
{
    const double start = cli_seconds();
    brim_train_params p;
    brim_data *data = NULL, *val = NULL;
    brim_graph *trained = NULL;

    brim_train_params_init(&p);
    p.method = BRIM_TRAIN_A2Q_PLUS;
    p.norm_auto = false;
    p.norm = BRIM_NORM_PER_SIGN;
    p.init = BRIM_INIT_QUANTIZE;
    p.datapath = (brim_datapath){.n_stages = 1, .stage = {{.width = (uint8_t)row->width}}};
    p.batch = 32;
    p.rate = 0.003;
    p.on_step = on_step;
    p.user = cli;
    brim_status s = brim_data_open(cli->ctx, TRAINING, &data);
    if (s == BRIM_OK) {
        s = brim_data_open(cli->ctx, VALIDATION, &val);
    }
    if (s == BRIM_OK) {
        s = brim_train(cli->ctx, graph, data, val, &p, &trained, NULL);
    }
    if (s == BRIM_OK) {
        s = finish_row(cli, trained, fresh, row);
    }
    row->seconds = cli_seconds() - start;
    brim_graph_free(trained);
    brim_data_free(val);
    brim_data_free(data);
    return s;
}

static json_t *row_json(const struct row *row)
{
    return json_pack("{s:I,s:f,s:I,s:s,s:f}", "width", (json_int_t)row->width, "top1",
                     row->accuracy, "largest_sum", (json_int_t)row->largest, "verdict",
                     row->proven ? "proven" : "refuted", "seconds", row->seconds);
}

static int print_json(struct cli *cli, const struct row *row, double float_accuracy)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < N_WIDTHS; i++) {
        json_array_append_new(rows, row_json(&row[i]));
    }
    return cli_print_json(cli,
                          json_pack("{s:f,s:o,s:o}", "float_top1", float_accuracy, "widths", rows,
                                    "trained", row_json(&row[N_WIDTHS])),
                          CLI_OK);
}

static void print_text(const struct row *row, double float_accuracy)
{
    static const char *const headings[] = {
        "accumulator",    "made by", "accuracy %", "largest partial sum",
        "register holds", "verdict", "seconds"};
    struct cli_table t;

    printf("float accuracy %.2f %% on 2,000 fresh glyphs; 8-bit weights and activations:\n\n",
           100 * float_accuracy);
    cli_table_init(&t, sizeof headings / sizeof *headings, headings);
    for (size_t i = 0; i < N_ROWS; i++) {
        cli_cell(&t, "%u bits", row[i].width);
        cli_cell(&t, "%s", i < N_WIDTHS ? "quantize" : "train a2q+");
        cli_cell(&t, "%.2f", 100 * row[i].accuracy);
        cli_cell(&t, "%lld", (long long)row[i].largest);
        cli_cell(&t, "%lld", (long long)brim_register_max(row[i].width));
        cli_cell(&t, "%s", row[i].proven ? "proven" : "refuted");
        cli_cell(&t, "%.1f", row[i].seconds);
    }
    cli_table_print(&t);
}

/* Where the model is: in the installed share folder, else in the source tree. */
static const char *find_model(const struct options *o)
{
    if (o->model != NULL) {
        return o->model;
    }
    return access(BRIM_SHARE_DIR "/glyphs.onnx", R_OK) == 0 ? BRIM_SHARE_DIR "/glyphs.onnx"
                                                            : BRIM_GLYPHS_DIR "/glyphs.onnx";
}

static int run_demo(struct cli *cli, const brim_graph *graph, const brim_data *calib,
                    const brim_data *fresh)
{
    struct row row[N_ROWS] = {{0}};
    double float_accuracy = 0;

    brim_status s = accuracy_of(cli, graph, fresh, &float_accuracy);
    for (size_t i = 0; i < N_WIDTHS && s == BRIM_OK; i++) {
        row[i].width = widths[i];
        s = one_width(cli, graph, calib, fresh, &row[i]);
    }
    if (s == BRIM_OK) {
        row[N_WIDTHS].width = widths[N_WIDTHS - 1];
        s = train_row(cli, graph, fresh, &row[N_WIDTHS]);
    }
    if (s != BRIM_OK) {
        return cli_fail_status(cli, s);
    }
    if (cli->json) {
        return print_json(cli, row, float_accuracy);
    }
    cli_end_progress(cli);
    print_text(row, float_accuracy);
    return CLI_OK;
}

int cmd_demo(struct cli *cli, char **argv)
{
    struct options o = {0};
    brim_graph *graph = NULL;
    brim_data *calib = NULL, *fresh = NULL;
    int code;

    if (!cli_start(cli, &verb_demo, &o, argv, &code)) {
        return code;
    }
    code = cli_load(cli, find_model(&o), &graph);
    if (code == CLI_OK) {
        code = cli_open_data(cli, CALIBRATION, &calib);
    }
    if (code == CLI_OK) {
        code = cli_open_data(cli, FRESH, &fresh);
    }
    if (code == CLI_OK) {
        code = run_demo(cli, graph, calib, fresh);
    }
    brim_data_free(fresh);
    brim_data_free(calib);
    brim_graph_free(graph);
    return code;
}
