/* cli.h - what every verb of the command line uses. SPDX-License-Identifier: Apache-2.0
 *
 * A verb is one file, cmd_<verb>.c: a table of options, a struct they are stored in, a function.
 * The table feeds parsing, --help and error messages. Results go to stdout (text, or one JSON
 * document with --json), everything else to stderr. Exit codes: 0 yes or done, 1 error, 2 usage,
 * 3 a negative answer.
 */
#ifndef BRIM_CLI_CLI_H
#define BRIM_CLI_CLI_H

#include <brim/brim.h>
#include <jansson.h>
#include <stdio.h>

enum { CLI_OK = 0, CLI_ERROR = 1, CLI_USAGE = 2, CLI_NEGATIVE = 3 };

enum cli_kind {
    CLI_FLAG,   /* bool */
    CLI_STRING, /* const char * */
    CLI_LIST,   /* struct cli_list: may be repeated */
    CLI_INT,    /* int64_t in [lo, hi] */
    CLI_BITS,   /* int64_t in [lo, hi], or `also`, or 0 for the word "auto" */
    CLI_REAL,   /* double in [lo, hi] */
    CLI_CHOICE  /* int64_t: index of the word in `value`, words separated by '|' */
};

#define CLI_LIST_MAX 64

struct cli_list {
    size_t n;
    const char *item[CLI_LIST_MAX];
};

struct cli_option {
    const char *name;
    char letter; /* 0 = none */
    enum cli_kind kind;
    const char *value; /* placeholder in the help, the words of a CHOICE, NULL for a FLAG */
    size_t offset;     /* of the field in the verb's struct */
    int64_t lo, hi, also;
    const char *help;
};

struct cli_verb {
    const char *name;
    const char *operands; /* as in the usage line: "MODEL" */
    size_t min_operands, max_operands;
    const char *summary; /* one line, for brim help */
    const char *details; /* what it promises, for --help */
    const struct cli_option *options;
    size_t n_options;
};

struct cli {
    brim_ctx *ctx;
    const struct cli_verb *verb;
    bool help, json, quiet, verbose;
    int64_t threads, seed;
    const char *cpu; /* NULL = BRIM_CPU, else all that the machine has */
    size_t n_operands;
    const char *operand[8];
    /* progress */
    bool terminal, line_open;
    const char *stage;
    char note[160]; /* more to say about the stage "train" */
    double stage_start, last_shown;
};

typedef int cli_run_fn(struct cli *cli, char **argv); /* argv: after the verb, NULL-terminated */

/* One line per verb in main.c. */
struct cli_command {
    const struct cli_verb *verb;
    cli_run_fn *run;
};
extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;

/* ---- options.c ---- */
/* Parse into `fields` (already holding the defaults) and create the context. False when the verb
 * should end with *code: after --help, or a usage error. */
bool cli_start(struct cli *cli, const struct cli_verb *verb, void *fields, char **argv, int *code);
void cli_help(FILE *to, const struct cli_verb *verb);
/* Options of the verb and those of every verb; NULL when there is none of this name. */
const struct cli_option *cli_find_option(const struct cli_verb *verb, const char *name);
const char *cli_nearest_option(const struct cli_verb *verb, const char *name);
/* The known word nearest to `word`, or NULL when none is near. */
const char *cli_nearest(const char *word, const char *const *known, size_t n);
bool cli_parse_int(const char *text, int64_t lo, int64_t hi, int64_t *out);
bool cli_parse_real(const char *text, double lo, double hi, double *out);

/* ---- say.c ---- */
/* `text` with whatever is no printable UTF-8 as \xNN: what is printed may not steer a terminal.
 * CLI_ESCAPED(n) bytes are enough for a text of n bytes. */
#define CLI_ESCAPED(n) (4 * (n) + 1)
void cli_escape(const char *text, char *out, size_t size);
/* "brim: ..." on stderr, one line. Returns the exit code it is given. */
int cli_fail(struct cli *cli, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The library's sentence; the exit code that fits `status`. */
int cli_fail_status(struct cli *cli, brim_status status);
int cli_usage(const struct cli_verb *verb, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Print the document (and release it); exit code `code`, or an error when stdout is closed. */
int cli_print_json(struct cli *cli, json_t *document, int code);
/* 0, or CLI_ERROR with a sentence: find out before a long computation. */
int cli_check_output(struct cli *cli, const char *path);
double cli_seconds(void);
/* Callbacks of the context; `user` is the struct cli. */
bool cli_progress(void *user, const char *stage, uint64_t done, uint64_t total);
void cli_log(void *user, brim_log_level level, const char *line);
void cli_end_progress(struct cli *cli);

/* ---- interrupt.c ---- */
void cli_catch_signals(void);
bool cli_interrupted(void);
/* Die of the signal that was caught, if any, so that the shell sees it. */
void cli_reraise(void);

/* ---- columns.c: aligned columns ---- */
struct cli_table {
    size_t columns, cells, capacity;
    char **cell; /* row-major, first row the headings */
};
void cli_table_init(struct cli_table *t, size_t columns, const char *const *headings);
void cli_cell(struct cli_table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cli_table_print(struct cli_table *t); /* and releases it */

/* ---- config.c: options from a file ---- */
/* argv with the options of the file that --config names in front of the others, so that those win; argv
 * itself when none is named. NULL: *code. Release with cli_config_free(). */
char **cli_config_read(const struct cli_verb *verb, char **argv, int *code);
void cli_config_free(char **config, char **argv);

/* ---- open.c: what several verbs do ---- */
int cli_load(struct cli *cli, const char *path, brim_graph **graph);
int cli_open_data(struct cli *cli, const char *spec, brim_data **data);
int cli_parse_datapath(struct cli *cli, const char *option, const char *text, brim_datapath *dp);
json_t *cli_need_json(const unsigned *need, size_t n);
void cli_need_text(const unsigned *need, size_t n, char *text, size_t size);

/* ---- whole_file.c: a text file, whole or not at all ---- */
typedef void cli_writer(FILE *f, const void *what);
int cli_write_file(struct cli *cli, const char *path, cli_writer *writer, const void *what);

/* ---- npy_rows.c: rows of float32 appended to a .npy file, whole or not at all ---- */
struct cli_npy;
struct cli_npy *cli_npy_create(const char *path);
void cli_npy_row(struct cli_npy *f, const float *y, size_t n);
/* Complete the file and put it in place, or with `keep` false drop it. 0, or an errno. */
int cli_npy_close(struct cli_npy *f, bool keep);

cli_run_fn cmd_bench, cmd_certify, cmd_data, cmd_demo, cmd_fix, cmd_help, cmd_import, cmd_inspect,
    cmd_profile, cmd_quantize, cmd_run, cmd_train, cmd_version;
extern const struct cli_verb verb_bench, verb_certify, verb_data, verb_demo, verb_fix, verb_help,
    verb_import, verb_inspect, verb_profile, verb_quantize, verb_run, verb_train, verb_version;

#endif
