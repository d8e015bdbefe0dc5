/* model_bench.c - brim bench model: images per second, beside onnxruntime's.
 * SPDX-License-Identifier: Apache-2.0
 *
 * onnxruntime runs in a process of its own, bench/onnxruntime_peer.py, which says how long it took.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/bench.h"

#define MAX_BATCHES 16

struct options {
    int64_t repeat;
    const char *batch, *data, *peer;
};

static const struct cli_option options[] = {
    {.name = "batch",
     .kind = CLI_STRING,
     .value = "N[,N...]",
     .offset = offsetof(struct options, batch),
     .help = "images at a time, each a line (default 1,64)"},
    {.name = "data",
     .kind = CLI_STRING,
     .value = "DATA",
     .offset = offsetof(struct options, data),
     .help = "images to run (default: random ones); see brim data --help"},
    {.name = "peer",
     .kind = CLI_STRING,
     .value = "PYTHON|none",
     .offset = offsetof(struct options, peer),
     .help = "a Python that has onnxruntime (default: the checkout's .venv)"},
    {.name = "repeat",
     .kind = CLI_INT,
     .value = "N",
     .offset = offsetof(struct options, repeat),
     .lo = 1,
     .hi = 99,
     .help = "rounds, of which the median counts (default 11)"},
};

static const struct cli_verb verb = {
    .name = "bench model",
    .operands = "MODEL",
    .min_operands = 1,
    .max_operands = 1,
    .summary = "images per second of a whole model, against onnxruntime",
    .details =
        "Run a model on one pinned core, in turns with onnxruntime on the same file and the same core\n"
        "where it is installed, and print images per second and their ratio. Each round is at least\n"
        "20 ms of brim and as many runs of onnxruntime; times are processor times.",
    .options = options,
    .n_options = sizeof options / sizeof *options,
};

/* ---- the other process ---- */

struct peer {
    pid_t pid;
    FILE *to, *from;
    char name[256];    /* what it calls itself */
    size_t batch_sent; /* 0 = none yet */
};

static void close_peer(struct peer *p)
{
    if (p->to != NULL) {
        fclose(p->to);
    }
    if (p->from != NULL) {
        fclose(p->from);
    }
    if (p->pid > 0) {
        (void)waitpid(p->pid, NULL, 0);
    }
    *p = (struct peer){0};
}

static bool start_peer(struct peer *p, const char *python, const char *script, const char *model)
{
    int to[2], from[2];

    if (pipe(to) != 0) {
        return false;
    }
    if (pipe(from) != 0) {
        close(to[0]);
        close(to[1]);
        return false;
    }
    p->pid = fork();
    if (p->pid == 0) {
        (void)dup2(to[0], STDIN_FILENO);
        (void)dup2(from[1], STDOUT_FILENO);
        close(to[0]);
        close(to[1]);
        close(from[0]);
        close(from[1]);
        execl(python, python, script, model, (char *)NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    p->to = fdopen(to[1], "w");
    p->from = fdopen(from[0], "r");
    return p->pid > 0 && p->to != NULL && p->from != NULL;
}

/* Start it and hear what it says. False, with a note on stderr, when there is nobody. */
static bool open_peer(struct cli *cli, const struct options *o, struct peer *p)
{
    const char *python = o->peer != NULL ? o->peer : BRIM_BENCH_DIR "/../.venv/bin/python";
    const char *why = "python does not start";
    char line[256] = "";

    if (o->peer != NULL && strcmp(o->peer, "none") == 0) {
        return false;
    }
    signal(SIGPIPE, SIG_IGN);
    if (access(python, X_OK) != 0) {
        why = strerror(errno);
    } else if (start_peer(p, python, BRIM_BENCH_DIR "/onnxruntime_peer.py", cli->operand[0]) &&
               fgets(line, sizeof line, p->from) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "ready ", 6) == 0) {
            snprintf(p->name, sizeof p->name, "%s", line + 6);
            return true;
        }
        why = strncmp(line, "missing ", 8) == 0 ? line + 8 : line;
    }
    close_peer(p);
    if (!cli->quiet) {
        fprintf(stderr, "brim: no onnxruntime to compare with: %s: %s (make setup installs it)\n",
                python, why);
    }
    return false;
}

static double ask_peer(void *user, const float *x, size_t batch, size_t elements, unsigned count)
{
    struct peer *p = user;
    char line[64];
    double seconds;

    if (p->batch_sent != batch) {
        fprintf(p->to, "batch %zu %zu\n", batch, elements);
        if (fwrite(x, sizeof *x, batch * elements, p->to) != batch * elements) {
            return -1;
        }
        p->batch_sent = batch;
    }
    fprintf(p->to, "run %u\n", count);
    if (fflush(p->to) != 0 || fgets(line, sizeof line, p->from) == NULL) {
        return -1;
    }
    line[strcspn(line, "\n")] = '\0';
    return cli_parse_real(line, 0, 1000000, &seconds) ? seconds : -1;
}

/* ---- results ---- */

static json_t *line_json(const brim_bench_model_report *r)
{
    json_t *o =
        json_pack("{s:I,s:f}", "batch", (json_int_t)r->batch, "images_per_second", r->images);

    if (r->peer_images > 0) {
        json_object_set_new(o, "peer_images_per_second", json_real(r->peer_images));
        json_object_set_new(o, "ratio", json_real(r->ratio));
        json_object_set_new(o, "least", json_real(r->least));
        json_object_set_new(o, "most", json_real(r->most));
    }
    return o;
}

static int print_json(struct cli *cli, const struct options *o, const struct peer *p,
                      const brim_bench_model_report *r, size_t n)
{
    json_t *lines = json_array();

    for (size_t i = 0; i < n; i++) {
        json_array_append_new(lines, line_json(&r[i]));
    }
    return cli_print_json(
        cli,
        json_pack("{s:s,s:I,s:o,s:o}", "model", cli->operand[0], "repeat", (json_int_t)o->repeat,
                  "peer", p->pid > 0 ? json_string(p->name) : json_null(), "lines", lines),
        CLI_OK);
}

static void print_text(const struct options *o, const struct peer *p,
                       const brim_bench_model_report *r, size_t n)
{
    static const char *const headings[] = {"batch", "images/s", "peer", "ratio", "least", "most"};
    const bool compared = p->pid > 0;
    struct cli_table t;

    printf("one core, medians of %lld rounds, peer: %s\n", (long long)o->repeat,
           compared ? p->name : "none");
    cli_table_init(&t, compared ? 6 : 2, headings);
    for (size_t i = 0; i < n; i++) {
        cli_cell(&t, "%zu", r[i].batch);
        cli_cell(&t, "%.0f", r[i].images);
        if (compared) {
            cli_cell(&t, "%.0f", r[i].peer_images);
            cli_cell(&t, "%.2f", r[i].ratio);
            cli_cell(&t, "%.2f", r[i].least);
            cli_cell(&t, "%.2f", r[i].most);
        }
    }
    cli_table_print(&t);
}

/* ---- the whole ---- */

static bool parse_batches(const char *text, size_t *batch, size_t *n)
{
    char number[16];
    int64_t value;

    *n = 0;
    for (const char *c = text; *n < MAX_BATCHES; c++) {
        const size_t length = strcspn(c, ",");
        if (length >= sizeof number) {
            return false;
        }
        memcpy(number, c, length);
        number[length] = '\0';
        if (!cli_parse_int(number, 1, 4096, &value)) {
            return false;
        }
        batch[(*n)++] = (size_t)value;
        c += length;
        if (*c == '\0') {
            return true;
        }
    }
    return false;
}

static int measure(struct cli *cli, const struct options *o, const brim_graph *graph,
                   const brim_data *data, const size_t *batch, size_t n)
{
    brim_bench_model_report report[MAX_BATCHES];
    brim_bench_model_params p;
    struct peer peer = {0};
    int code = CLI_OK;

    brim_bench_model_params_init(&p);
    p.repeat = (unsigned)o->repeat;
    p.data = data;
    p.user = &peer;
    p.peer = open_peer(cli, o, &peer) ? ask_peer : NULL;
    for (size_t i = 0; i < n && code == CLI_OK; i++) {
        const brim_status s = brim_bench_model(cli->ctx, graph, &p, batch[i], &report[i]);
        code = s == BRIM_OK ? CLI_OK : cli_fail_status(cli, s);
    }
    if (code == CLI_OK) {
        cli_end_progress(cli);
        if (cli->json) {
            code = print_json(cli, o, &peer, report, n);
        } else {
            print_text(o, &peer, report, n);
        }
    }
    close_peer(&peer);
    return code;
}

int cli_bench_model(struct cli *cli, char **argv)
{
    struct options o = {.repeat = 11, .batch = "1,64"};
    size_t batch[MAX_BATCHES], n;
    brim_graph *graph = NULL;
    brim_data *data = NULL;
    int code;

    if (!cli_start(cli, &verb, &o, argv, &code)) {
        return code;
    }
    if (!parse_batches(o.batch, batch, &n)) {
        return cli_usage(&verb, "--batch: '%s', expected at most %d whole numbers in 1..4096",
                         o.batch, MAX_BATCHES);
    }
    code = cli_load(cli, cli->operand[0], &graph);
    if (code == CLI_OK && o.data != NULL) {
        code = cli_open_data(cli, o.data, &data);
    }
    if (code == CLI_OK) {
        code = measure(cli, &o, graph, data, batch, n);
    }
    brim_data_free(data);
    brim_graph_free(graph);
    return code;
}
