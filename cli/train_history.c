/* train_history.c - see train_history.h. SPDX-License-Identifier: Apache-2.0 */
#include "cli/train_history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void cli_train_note(struct cli *cli, const brim_train_step *s)
{
    char accuracy[48] = "";

    if (s->accuracy >= 0) {
        (void)snprintf(accuracy, sizeof accuracy, ", accuracy %.2f %%", 100 * s->accuracy);
    }
    (void)snprintf(cli->note, sizeof cli->note, ", %s epoch %zu/%zu, loss %.4f%s, %.0f images/s",
                   s->phase, s->epoch, s->epochs, s->loss, accuracy, s->images_per_second);
}

static json_t *epoch_json(const brim_train_epoch *e)
{
    json_t *o =
        json_pack("{s:s,s:I,s:f,s:f,s:f,s:f,s:b}", "phase", e->phase, "epoch", (json_int_t)e->epoch,
                  "loss", e->loss, "rate", e->rate, "images_per_second", e->images_per_second,
                  "seconds", e->seconds, "best", e->best);

    json_object_set_new(o, "accuracy", e->accuracy >= 0 ? json_real(e->accuracy) : json_null());
    json_object_set_new(o, "mse", e->mse >= 0 ? json_real(e->mse) : json_null());
    return o;
}

static void epoch_text(const brim_train_epoch *e)
{
    fprintf(stderr, "%-9s epoch %3zu  ", e->phase, e->epoch);
    if (e->images_per_second > 0) {
        fprintf(stderr, "loss %.4f  ", e->loss);
    } else {
        fputs("before       ", stderr);
    }
    if (e->accuracy >= 0) {
        fprintf(stderr, "accuracy %6.2f %%", 100 * e->accuracy);
    } else {
        fprintf(stderr, "mse %.6g", e->mse);
    }
    fprintf(stderr, "  %7.0f images/s%s\n", e->images_per_second, e->best ? "  best" : "");
}

void cli_train_epoch(struct cli *cli, const brim_train_epoch *e)
{
    if (cli->quiet) {
        return;
    }
    if (cli->terminal) {
        cli_end_progress(cli);
        epoch_text(e);
        return;
    }
    json_t *o = epoch_json(e);
    if (o != NULL && json_dumpf(o, stderr, JSON_COMPACT | JSON_REAL_PRECISION(9)) == 0) {
        fputc('\n', stderr);
    }
    json_decref(o);
}

json_t *cli_train_json(const brim_train_report *r)
{
    json_t *epochs = json_array(), *layers = json_array();

    for (size_t i = 0; i < r->n_epochs; i++) {
        json_array_append_new(epochs, epoch_json(&r->epochs[i]));
    }
    for (size_t i = 0; i < r->n_layers; i++) {
        const brim_train_layer *l = &r->layers[i];
        json_array_append_new(layers, json_pack("{s:s,s:I,s:I,s:I,s:I,s:f,s:o}", "name", l->name,
                                                "k", (json_int_t)l->k, "n", (json_int_t)l->n,
                                                "wbits", (json_int_t)l->wbits, "abits",
                                                (json_int_t)l->abits, "sparsity", l->sparsity,
                                                "need", cli_need_json(l->need, l->n_stages)));
    }
    json_t *o = json_pack("{s:o,s:I,s:o,s:f,s:f}", "epochs", epochs, "best", (json_int_t)r->best,
                          "layers", layers, "seconds", r->seconds, "peak_rss_mb", r->peak_rss_mb);
    json_object_set_new(o, "top1", r->accuracy >= 0 ? json_real(r->accuracy) : json_null());
    json_object_set_new(o, "mse", r->mse >= 0 ? json_real(r->mse) : json_null());
    return o;
}

static void print_layers(const brim_train_report *r)
{
    static const char *const headings[] = {"layer", "K", "N", "weights", "inputs", "need", "zeros"};
    struct cli_table t;

    cli_table_init(&t, sizeof headings / sizeof *headings, headings);
    for (size_t i = 0; i < r->n_layers; i++) {
        const brim_train_layer *l = &r->layers[i];
        char need[64];
        cli_need_text(l->need, l->n_stages, need, sizeof need);
        cli_cell(&t, "%s", l->name);
        cli_cell(&t, "%zu", l->k);
        cli_cell(&t, "%zu", l->n);
        cli_cell(&t, "%u", l->wbits);
        cli_cell(&t, "%u", l->abits);
        cli_cell(&t, "%s", need);
        cli_cell(&t, "%.3f", l->sparsity);
    }
    cli_table_print(&t);
}

void cli_train_text(const brim_train_report *r, const char *path)
{
    const brim_train_epoch *best = &r->epochs[r->best];

    if (r->n_layers > 0) {
        print_layers(r);
    }
    printf("%s: ", path);
    if (r->n_layers > 0) {
        printf("%zu layers certified, ", r->n_layers);
    }
    if (r->accuracy >= 0) {
        printf("accuracy %.2f %%", 100 * r->accuracy);
    } else {
        printf("mse %.6g", r->mse);
    }
    printf(" (epoch %zu of %zu), %.1f s, %.0f MB\n", best->epoch, r->epochs[r->n_epochs - 1].epoch,
           r->seconds, r->peak_rss_mb);
}

static void write_json(FILE *f, const void *what)
{
    json_t *o = cli_train_json(what);

    if (o == NULL || json_dumpf(o, f, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) != 0) {
        errno = errno != 0 ? errno : ENOMEM;
    }
    json_decref(o);
    fputc('\n', f);
}

/* The model waits beside its place until the history is in its own. */
int cli_train_save(struct cli *cli, const brim_graph *graph, const brim_train_report *r,
                   const char *model, const char *history)
{
    struct stat st;
    const bool special = stat(model, &st) == 0 && !S_ISREG(st.st_mode);
    const size_t n = strlen(model) + 32;
    char *part = malloc(n);
    int code = CLI_OK;

    if (part == NULL) {
        return cli_fail(cli, CLI_ERROR, "out of memory");
    }
    (void)snprintf(part, n, special ? "%s" : "%s.%ld.part", model, (long)getpid());
    const brim_status s = brim_onnx_save(cli->ctx, graph, part);
    if (s != BRIM_OK) {
        code = cli_fail_status(cli, s);
    } else if (history != NULL) {
        code = cli_write_file(cli, history, write_json, r);
    }
    if (code == CLI_OK && !special && rename(part, model) != 0) {
        code = cli_fail(cli, CLI_ERROR, "%s: cannot write (%s)", model, strerror(errno));
    }
    if (code != CLI_OK && !special) {
        unlink(part);
    }
    free(part);
    return code;
}
