/* cmd_train.c - brim train MODEL|--arch TEXT -o OUT --data DATA --val DATA. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/override.h"
#include "cli/train_history.h"

struct options {
    const char *output, *data, *val, *arch, *datapath, *augment, *distill, *prune, *checkpoint,
        *history, *config;
    int64_t method, norm, init, wbits, abits, input_bits, edge_bits, epochs, float_epochs, batch,
        schedule, optimizer, calib, prune_stages, prune_epochs, prune_block;
    double rate, float_rate, warmup, weight_decay, smoothing, penalty;
    bool fold_batchnorm, prune_regrow, prune_last, resume;
    struct cli_list layers;
};

#define FIELD(name) offsetof(struct options, name)

static const struct cli_option options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CLI_STRING,
     .value = "OUT.onnx",
     .offset = FIELD(output),
     .help = "the trained model (required)"},
    {.name = "history",
     .kind = CLI_STRING,
     .value = "FILE",
     .offset = FIELD(history),
     .help = "what was measured in every epoch, as JSON (default: not written)"},
    {.name = "data",
     .kind = CLI_STRING,
     .value = "DATA",
     .offset = FIELD(data),
     .help = "training data (required; see brim data --help)"},
    {.name = "val",
     .kind = CLI_STRING,
     .value = "DATA",
     .offset = FIELD(val),
     .help = "validation data, which chooses the epoch that is kept (required)"},
    {.name = "arch",
     .kind = CLI_STRING,
     .value = "TEXT",
     .offset = FIELD(arch),
     .help = "random weights instead of MODEL: mlp:784-256-10, cnn:1x28x28-c8-p-c16-p-10"},
    {.name = "method",
     .letter = 'm',
     .kind = CLI_CHOICE,
     .value = "float|qat|a2q|a2q+|pqs",
     .offset = FIELD(method),
     .help = "what is trained (default float)"},
    {.name = "epochs",
     .letter = 'e',
     .kind = CLI_INT,
     .value = "N",
     .offset = FIELD(epochs),
     .lo = 1,
     .hi = 100000,
     .help = "of the last phase (default 10)"},
    {.name = "float-epochs",
     .kind = CLI_INT,
     .value = "N",
     .offset = FIELD(float_epochs),
     .lo = 0,
     .hi = 100000,
     .help = "in float, before anything is quantized (default 0)"},
    {.name = "batch",
     .letter = 'b',
     .kind = CLI_INT,
     .value = "N",
     .offset = FIELD(batch),
     .lo = 1,
     .hi = 65536,
     .help = "samples of a step (default 64)"},
    {.name = "lr",
     .kind = CLI_REAL,
     .value = "RATE",
     .offset = FIELD(rate),
     .lo = 0,
     .hi = 1000,
     .help = "learning rate (default 0.001)"},
    {.name = "float-lr",
     .kind = CLI_REAL,
     .value = "RATE",
     .offset = FIELD(float_rate),
     .lo = 0,
     .hi = 1000,
     .help = "learning rate of what is trained in float before that (default: that of --lr)"},
    {.name = "schedule",
     .kind = CLI_CHOICE,
     .value = "cosine|step",
     .offset = FIELD(schedule),
     .help = "how the rate falls (default cosine; step: a tenth at 1/2, a hundredth at 3/4)"},
    {.name = "warmup",
     .kind = CLI_REAL,
     .value = "EPOCHS",
     .offset = FIELD(warmup),
     .lo = 0,
     .hi = 100000,
     .help =
         "in which the rate rises to that, at the beginning of each phase and stage (default 0)"},
    {.name = "optimizer",
     .kind = CLI_CHOICE,
     .value = "sgd|adamw",
     .offset = FIELD(optimizer),
     .help = "sgd has momentum 0.9 (default adamw)"},
    {.name = "weight-decay",
     .kind = CLI_REAL,
     .value = "D",
     .offset = FIELD(weight_decay),
     .lo = 0,
     .hi = 1000,
     .help = "of weights (default 0.0001)"},
    {.name = "smoothing",
     .kind = CLI_REAL,
     .value = "S",
     .offset = FIELD(smoothing),
     .lo = 0,
     .hi = 1,
     .help = "of labels (default 0)"},
    {.name = "augment",
     .kind = CLI_STRING,
     .value = "flip,cropN,shiftN,cutoutN",
     .offset = FIELD(augment),
     .help = "vary images: mirror, shift by up to N pixels, cut a square of N out"},
    {.name = "distill",
     .kind = CLI_STRING,
     .value = "SHARE[:T]",
     .offset = FIELD(distill),
     .help =
         "share of the loss that compares with MODEL's outputs, at temperature T (default 0, 2)"},
    {.name = "fold-batchnorm",
     .kind = CLI_FLAG,
     .offset = FIELD(fold_batchnorm),
     .help = "with float: fold BatchNormalization into the weights at the end"},
    {.name = "norm",
     .kind = CLI_CHOICE,
     .value = "auto|l1|zero-centred|per-sign",
     .offset = FIELD(norm),
     .help =
         "how a2q and a2q+ keep the budget (default auto: l1 with a2q and in depthwise layers,\n"
         "zero-centred with a2q+)"},
    {.name = "init",
     .kind = CLI_CHOICE,
     .value = "weights|quantize|project",
     .offset = FIELD(init),
     .help = "where quantized weights begin: the float ones, brim quantize's, their projection\n"
             "(default weights)"},
    {.name = "wbits",
     .letter = 'w',
     .kind = CLI_INT,
     .value = "2..8",
     .offset = FIELD(wbits),
     .lo = 2,
     .hi = 8,
     .help = "weight bits (default 8)"},
    {.name = "abits",
     .letter = 'a',
     .kind = CLI_BITS,
     .value = "2..8|16|auto",
     .offset = FIELD(abits),
     .lo = 2,
     .hi = 8,
     .also = 16,
     .help = "activation bits (default 8); auto = as brim quantize chooses them"},
    {.name = "input-bits",
     .kind = CLI_BITS,
     .value = "2..8|16|auto",
     .offset = FIELD(input_bits),
     .lo = 2,
     .hi = 8,
     .also = 16,
     .help = "bits of the model's own inputs (default 8); auto = as --abits"},
    {.name = "edge-bits",
     .kind = CLI_BITS,
     .value = "2..8|auto",
     .offset = FIELD(edge_bits),
     .lo = 2,
     .hi = 8,
     .help =
         "bits of weights and inputs in the first and last layers (default 8); auto = as the rest"},
    {.name = "datapath",
     .kind = CLI_STRING,
     .value = "D",
     .offset = FIELD(datapath),
     .help = "registers of every dot product: 16, 16/64,32 ... (default 32)"},
    {.name = "penalty",
     .kind = CLI_REAL,
     .value = "S",
     .offset = FIELD(penalty),
     .lo = 0,
     .hi = 1000000,
     .help = "strength of a2q's regularizer (default 0.001)"},
    {.name = "calib",
     .kind = CLI_INT,
     .value = "N",
     .offset = FIELD(calib),
     .lo = 1,
     .hi = 1000000000,
     .help = "training samples that input ranges are taken from (default 1024)"},
    {.name = "layer",
     .kind = CLI_LIST,
     .value = "'PATTERN:KEY=V,...'",
     .offset = FIELD(layers),
     .help = "override for layers of this name: wbits= abits= datapath= dense or float\n"
             "(repeatable)"},
    {.name = "prune",
     .kind = CLI_STRING,
     .value = "KEEP:GROUP",
     .offset = FIELD(prune),
     .help = "pqs: keep KEEP of every GROUP inputs, in layers that do not read the model's input"},
    {.name = "prune-stages",
     .kind = CLI_INT,
     .value = "R",
     .offset = FIELD(prune_stages),
     .lo = 1,
     .hi = 64,
     .help = "pqs: steps to that many zeros (default 3)"},
    {.name = "prune-epochs",
     .kind = CLI_INT,
     .value = "N",
     .offset = FIELD(prune_epochs),
     .lo = 1,
     .hi = 100000,
     .help = "pqs: epochs after each (default 2)"},
    {.name = "prune-block",
     .kind = CLI_INT,
     .value = "B",
     .offset = FIELD(prune_block),
     .lo = 1,
     .hi = 4096,
     .help = "pqs: outputs that share a pattern (default 1)"},
    {.name = "prune-regrow",
     .kind = CLI_FLAG,
     .offset = FIELD(prune_regrow),
     .help = "pqs: choose the pattern anew at every step, of weights that learn in it or not"},
    {.name = "prune-last",
     .kind = CLI_FLAG,
     .offset = FIELD(prune_last),
     .help = "pqs: prune the quantized weights, for comparison"},
    {.name = "checkpoint",
     .kind = CLI_STRING,
     .value = "FILE",
     .offset = FIELD(checkpoint),
     .help = "the state of the run, written after every epoch and when interrupted"},
    {.name = "resume",
     .kind = CLI_FLAG,
     .offset = FIELD(resume),
     .help = "go on from the checkpoint, to the same bits; every other option has to be the same"},
    {.name = "config",
     .kind = CLI_STRING,
     .value = "FILE",
     .offset = FIELD(config),
     .help = "options from a file, lines NAME = VALUE; the command line wins"},
};

const struct cli_verb verb_train = {
    .name = "train",
    .operands = "[MODEL]",
    .max_operands = 1,
    .summary = "train in float, or towards a narrow accumulator: qat, a2q, a2q+, pqs",
    .details =
        "Train a float ONNX model, or random weights of an --arch, and write the epoch that does best on\n"
        "the validation data: a float model, or a quantized one whose every dot product has been proven\n"
        "to fit its datapath. Without a terminal there is one line of JSON per epoch on stderr.",
    .options = options,
    .n_options = sizeof options / sizeof *options,
};

/* ---- options ---- */

/* KEEP:GROUP. */
static int fill_prune(const struct options *o, brim_train_params *p)
{
    char keep[8];
    int64_t kept, group;
    const size_t n = o->prune == NULL ? 0 : strcspn(o->prune, ":");

    if (o->prune == NULL) {
        if (p->method == BRIM_TRAIN_PQS) {
            return cli_usage(&verb_train, "--method pqs needs --prune KEEP:GROUP");
        }
        return o->prune_last || o->prune_regrow || o->prune_block > 1
                   ? cli_usage(&verb_train,
                               "--prune-last, --prune-regrow and --prune-block need --prune")
                   : CLI_OK;
    }
    if (p->method != BRIM_TRAIN_PQS) {
        return cli_usage(&verb_train, "--prune needs --method pqs");
    }
    if (n >= sizeof keep || o->prune[n] != ':') {
        return cli_usage(&verb_train, "prune: '%s', expected KEEP:GROUP", o->prune);
    }
    memcpy(keep, o->prune, n);
    keep[n] = '\0';
    if (!cli_parse_int(keep, 1, 63, &kept) || !cli_parse_int(o->prune + n + 1, 2, 64, &group) ||
        kept >= group) {
        return cli_usage(&verb_train,
                         "prune: '%s', expected KEEP:GROUP with 1 <= KEEP < GROUP <= 64", o->prune);
    }
    p->prune.keep = (unsigned)kept;
    p->prune.group = (unsigned)group;
    p->prune.block = (unsigned)o->prune_block;
    p->prune_stages = (size_t)o->prune_stages;
    p->prune_epochs = (size_t)o->prune_epochs;
    p->prune_last = o->prune_last;
    p->prune_regrow = o->prune_regrow;
    if (p->prune_last && p->prune_regrow) {
        return cli_usage(&verb_train, "--prune-regrow is of float weights, --prune-last of others");
    }
    return CLI_OK;
}

/* SHARE[:TEMPERATURE]. */
static int fill_distill(const struct cli *cli, const struct options *o, brim_train_params *p)
{
    char share[32];
    const size_t n = o->distill == NULL ? 0 : strcspn(o->distill, ":");

    if (o->distill == NULL) {
        return CLI_OK;
    }
    if (cli->n_operands == 0) {
        return cli_usage(&verb_train, "--distill needs a MODEL to learn from");
    }
    if (n < sizeof share) {
        memcpy(share, o->distill, n);
        share[n] = '\0';
        if (cli_parse_real(share, 0, 1, &p->distill) &&
            (o->distill[n] == '\0' ||
             (cli_parse_real(o->distill + n + 1, 0, 1000, &p->temperature) &&
              p->temperature > 0))) {
            return CLI_OK;
        }
    }
    return cli_usage(&verb_train, "distill: '%s', expected SHARE in 0..1, or SHARE:TEMPERATURE",
                     o->distill);
}

static void on_step(void *user, const brim_train_step *step)
{
    cli_train_note(user, step);
}

static void on_epoch(void *user, const brim_train_epoch *epoch)
{
    cli_train_epoch(user, epoch);
}

/* Quantized methods have options that float would ignore. */
static int check_method(const struct options *o)
{
    if (o->method != BRIM_TRAIN_FLOAT && o->fold_batchnorm) {
        return cli_usage(&verb_train, "--fold-batchnorm is for --method float: others always fold");
    }
    if (o->method == BRIM_TRAIN_FLOAT && (o->datapath != NULL || o->layers.n > 0 || o->init != 0 ||
                                          o->float_epochs > 0 || o->float_rate > 0.0)) {
        return cli_usage(
            &verb_train,
            "--datapath, --layer, --init, --float-epochs and --float-lr need a --method "
            "other than float");
    }
    if (o->norm != 0 && o->method != BRIM_TRAIN_A2Q && o->method != BRIM_TRAIN_A2Q_PLUS) {
        return cli_usage(&verb_train, "--norm needs --method a2q or a2q+");
    }
    return CLI_OK;
}

static int fill_params(struct cli *cli, const struct options *o, struct cli_overrides *overrides,
                       brim_train_params *p)
{
    brim_train_params_init(p);
    p->method = (brim_train_method)o->method;
    p->epochs = (size_t)o->epochs;
    p->float_epochs = (size_t)o->float_epochs;
    p->batch = (size_t)o->batch;
    p->rate = o->rate;
    p->float_rate = o->float_rate;
    p->warmup = o->warmup;
    p->schedule = (brim_train_schedule)o->schedule;
    p->optimizer = (brim_train_optimizer)o->optimizer;
    p->weight_decay = o->weight_decay;
    p->smoothing = o->smoothing;
    p->augment = o->augment;
    p->fold_batchnorm = o->fold_batchnorm;
    p->norm_auto = o->norm == 0;
    p->norm = o->norm == 0 ? BRIM_NORM_L1 : (brim_train_norm)(o->norm - 1);
    p->init = (brim_train_init)o->init;
    p->wbits = (unsigned)o->wbits;
    p->abits = (unsigned)o->abits;
    p->input_bits = (unsigned)o->input_bits;
    p->edge_bits = (unsigned)o->edge_bits;
    p->penalty = o->penalty;
    p->calib = (size_t)o->calib;
    p->checkpoint = o->checkpoint;
    p->resume = o->resume;
    p->on_epoch = on_epoch;
    p->on_step = on_step;
    p->user = cli;
    if (o->datapath != NULL) {
        const int code = cli_parse_datapath(cli, "datapath", o->datapath, &p->datapath);
        if (code != CLI_OK) {
            return code;
        }
    }
    int code = check_method(o);
    if (code == CLI_OK) {
        code = fill_prune(o, p);
    }
    if (code == CLI_OK) {
        code = fill_distill(cli, o, p);
    }
    if (code == CLI_OK) {
        code = cli_parse_overrides(cli, &o->layers, overrides);
        p->overrides = overrides->item;
        p->n_overrides = overrides->n;
    }
    return code;
}

static int check_options(struct cli *cli, const struct options *o, struct cli_overrides *overrides,
                         brim_train_params *p)
{
    if ((cli->n_operands == 0) == (o->arch == NULL)) {
        return cli_usage(&verb_train, "expected a MODEL or an --arch, one of the two");
    }
    if (o->output == NULL || o->data == NULL || o->val == NULL) {
        return cli_usage(&verb_train, "expected %s",
                         o->output == NULL ? "--output OUT.onnx"
                         : o->data == NULL ? "--data DATA"
                                           : "--val DATA");
    }
    if (o->resume && o->checkpoint == NULL) {
        return cli_usage(&verb_train, "--resume needs --checkpoint");
    }
    const char *const written[] = {o->output, o->history, o->checkpoint};
    int code = fill_params(cli, o, overrides, p);
    for (size_t i = 0; i < 3 && code == CLI_OK; i++) {
        code = written[i] != NULL ? cli_check_output(cli, written[i]) : CLI_OK;
    }
    return code;
}

/* ---- the run ---- */

static int say_interrupted(struct cli *cli, const struct options *o)
{
    if (o->checkpoint != NULL && access(o->checkpoint, R_OK) == 0) {
        return cli_fail(cli, CLI_ERROR, "interrupted, '%s' holds what was done (--resume goes on)",
                        o->checkpoint);
    }
    return cli_fail_status(cli, BRIM_ERR_CANCELLED);
}

static int train(struct cli *cli, const struct options *o, const brim_train_params *p,
                 const brim_graph *graph, const brim_data *data, const brim_data *val)
{
    brim_graph *out = NULL;
    brim_train_report *report = NULL;
    int code;

    brim_status s = brim_train(cli->ctx, graph, data, val, p, &out, &report);
    if (s == BRIM_OK && cli_interrupted()) {
        s = BRIM_ERR_CANCELLED;
    }
    if (s == BRIM_OK) {
        code = cli_train_save(cli, out, report, o->output, o->history);
    } else {
        code = s == BRIM_ERR_CANCELLED ? say_interrupted(cli, o) : cli_fail_status(cli, s);
    }
    if (code == CLI_OK && cli->json) {
        code = cli_print_json(cli, cli_train_json(report), CLI_OK);
    } else if (code == CLI_OK) {
        cli_end_progress(cli);
        cli_train_text(report, o->output);
    }
    brim_train_report_free(report);
    brim_graph_free(out);
    return code;
}

static int open_model(struct cli *cli, const struct options *o, brim_graph **graph)
{
    if (o->arch == NULL) {
        return cli_load(cli, cli->operand[0], graph);
    }
    const brim_status s = brim_train_arch(cli->ctx, o->arch, graph);
    if (s == BRIM_ERR_ARG) {
        return cli_usage(&verb_train, "%s", brim_error(cli->ctx));
    }
    return s == BRIM_OK ? CLI_OK : cli_fail_status(cli, s);
}

static int run(struct cli *cli, const struct options *o)
{
    struct cli_overrides overrides = {0};
    brim_train_params p;
    brim_graph *graph = NULL;
    brim_data *data = NULL, *val = NULL;

    int code = check_options(cli, o, &overrides, &p);
    if (code == CLI_OK) {
        code = open_model(cli, o, &graph);
    }
    if (code == CLI_OK) {
        code = cli_open_data(cli, o->data, &data);
    }
    if (code == CLI_OK) {
        code = cli_open_data(cli, o->val, &val);
    }
    if (code == CLI_OK) {
        code = train(cli, o, &p, graph, data, val);
    }
    brim_data_free(val);
    brim_data_free(data);
    brim_graph_free(graph);
    return code;
}

int cmd_train(struct cli *cli, char **argv)
{
    struct options o = {.wbits = 8,
                        .abits = 8,
                        .input_bits = 8,
                        .edge_bits = 8,
                        .epochs = 10,
                        .batch = 64,
                        .rate = 0.001,
                        .optimizer = BRIM_OPTIMIZER_ADAMW,
                        .weight_decay = 0.0001,
                        .penalty = 0.001,
                        .calib = 1024,
                        .prune_stages = 3,
                        .prune_epochs = 2,
                        .prune_block = 1};
    int code;
    char **all = cli_config_read(&verb_train, argv, &code);

    if (all == NULL) {
        return code;
    }
    if (cli_start(cli, &verb_train, &o, all, &code)) {
        code = run(cli, &o);
    }
    cli_config_free(all, argv);
    return code;
}
