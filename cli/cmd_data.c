/* cmd_data.c - brim data DATA. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "cli/cli.h"

#define MAX_CLASSES 4096

struct options {
    const char *output;
};

static const struct cli_option options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CLI_STRING,
     .value = "FILE.npz",
     .offset = offsetof(struct options, output),
     .help = "write samples (x) and labels (y) as one .npz file"},
};

const struct cli_verb verb_data = {
    .name = "data",
    .operands = "DATA",
    .min_operands = 1,
    .max_operands = 1,
    .summary = "what a data description holds; write it as .npz",
    .details =
        "Open DATA, read every sample, and print shape, count, labels and range.\n"
        "DATA is cifar:FILE[,FILE...] idx:IMAGES[:LABELS] npy:X[:Y] npz:FILE csv:FILE synth:glyphs,\n"
        "each with ?offset=&limit=&scale=&zero=&mean=&std=&layout=; gzipped files are read as such.",
    .options = options,
    .n_options = sizeof options / sizeof *options,
};

struct summary {
    size_t n, size, classes;
    int64_t dim[8];
    int rank;
    double min, max, mean;
    uint64_t count[MAX_CLASSES]; /* samples by label */
    uint64_t unlabelled;
};

static int read_all(struct cli *cli, const brim_data *data, struct summary *s)
{
    float *x = malloc(s->size * sizeof *x);
    double sum = 0;
    int code = CLI_OK;

    if (x == NULL) {
        return cli_fail(cli, CLI_ERROR, "out of memory");
    }
    s->min = (double)INFINITY;
    s->max = -(double)INFINITY;
    for (size_t i = 0; i < s->n && code == CLI_OK; i++) {
        int64_t label = -1;
        const brim_status status = brim_data_read(cli->ctx, data, i, 1, x, &label);
        if (status != BRIM_OK) {
            code = cli_fail_status(cli, status);
        } else if (!cli_progress(cli, "data", i, s->n)) {
            code = cli_fail_status(cli, BRIM_ERR_CANCELLED);
        }
        for (size_t j = 0; j < s->size && code == CLI_OK; j++) {
            s->min = fmin(s->min, (double)x[j]);
            s->max = fmax(s->max, (double)x[j]);
            sum += (double)x[j];
        }
        if (label >= 0 && label < MAX_CLASSES) {
            s->count[label]++;
            s->classes = (size_t)label + 1 > s->classes ? (size_t)label + 1 : s->classes;
        } else {
            s->unlabelled++;
        }
    }
    s->mean = sum / ((double)s->n * (double)s->size);
    free(x);
    return code;
}

static int print_json(struct cli *cli, const struct summary *s)
{
    json_t *shape = json_array(), *labels = json_array();

    for (int i = 0; i < s->rank; i++) {
        json_array_append_new(shape, json_integer(s->dim[i]));
    }
    for (size_t i = 0; i < s->classes; i++) {
        json_array_append_new(labels, json_integer((json_int_t)s->count[i]));
    }
    return cli_print_json(cli,
                          json_pack("{s:I,s:o,s:f,s:f,s:f,s:o}", "samples", (json_int_t)s->n,
                                    "shape", shape, "min", s->min, "max", s->max, "mean", s->mean,
                                    "labels", labels),
                          CLI_OK);
}

static void print_text(const struct summary *s)
{
    printf("samples  %zu\nshape    ", s->n);
    for (int i = 0; i < s->rank; i++) {
        printf("%s%lld", i > 0 ? " x " : "", (long long)s->dim[i]);
    }
    printf("\nrange    %.6g .. %.6g, mean %.6g\n", s->min, s->max, s->mean);
    if (s->classes == 0) {
        printf("labels   none\n");
        return;
    }
    printf("labels  ");
    for (size_t i = 0; i < s->classes; i++) {
        if (s->count[i] > 0) {
            printf(" %zu:%llu", i, (unsigned long long)s->count[i]);
        }
    }
    putchar('\n');
}

static int describe(struct cli *cli, const struct options *o, const brim_data *data)
{
    struct summary *s = calloc(1, sizeof *s);

    if (s == NULL) {
        return cli_fail(cli, CLI_ERROR, "out of memory");
    }
    s->n = brim_data_count(data);
    s->size = brim_data_sample_size(data);
    s->rank = brim_data_shape(data, s->dim);
    int code = read_all(cli, data, s);
    if (code == CLI_OK && o->output != NULL) {
        const brim_status status = brim_data_save_npz(cli->ctx, data, o->output);
        code = status == BRIM_OK ? CLI_OK : cli_fail_status(cli, status);
    }
    if (code == CLI_OK && cli->json) {
        code = print_json(cli, s);
    } else if (code == CLI_OK) {
        cli_end_progress(cli);
        print_text(s);
    }
    free(s);
    return code;
}

int cmd_data(struct cli *cli, char **argv)
{
    struct options o = {0};
    brim_data *data = NULL;
    int code;

    if (!cli_start(cli, &verb_data, &o, argv, &code)) {
        return code;
    }
    if (o.output != NULL && (code = cli_check_output(cli, o.output)) != CLI_OK) {
        return code;
    }
    if ((code = cli_open_data(cli, cli->operand[0], &data)) != CLI_OK) {
        return code;
    }
    code = describe(cli, &o, data);
    brim_data_free(data);
    return code;
}
