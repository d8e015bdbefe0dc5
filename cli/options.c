/* options.c - one table per verb feeds parsing, --help and error messages.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

#define COMMON(field) offsetof(struct cli, field)

static const struct cli_option common[] = {
    {.name = "json",
     .kind = CLI_FLAG,
     .offset = COMMON(json),
     .help = "one JSON document on stdout"},
    {.name = "threads",
     .letter = 'j',
     .kind = CLI_INT,
     .value = "N",
     .offset = COMMON(threads),
     .lo = 0,
     .hi = 256,
     .help = "worker threads, 0 = one per core (default 0); never changes a result"},
    {.name = "seed",
     .kind = CLI_INT,
     .value = "N",
     .offset = COMMON(seed),
     .lo = 0,
     .hi = INT64_MAX,
     .help = "seed of whatever is random (default 1)"},
    {.name = "cpu",
     .kind = CLI_STRING,
     .value = "LEVEL",
     .offset = COMMON(cpu),
     .help =
         "no instruction set beyond this one (default $BRIM_CPU, else all); never changes a result;\n"
         "brim bench kernels --list names them"},
    {.name = "quiet",
     .letter = 'q',
     .kind = CLI_FLAG,
     .offset = COMMON(quiet),
     .help = "no progress, no notes"},
    {.name = "verbose",
     .letter = 'v',
     .kind = CLI_FLAG,
     .offset = COMMON(verbose),
     .help = "tell more on stderr"},
    {.name = "help", .letter = 'h', .kind = CLI_FLAG, .offset = COMMON(help), .help = "this text"},
};
#define N_COMMON (sizeof common / sizeof *common)

static size_t distance(const char *a, const char *b)
{
    enum { MAX = 32 };
    size_t row[MAX + 1];
    const size_t n = strlen(a), m = strlen(b);

    if (n > MAX || m > MAX) {
        return MAX;
    }
    for (size_t j = 0; j <= m; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            const size_t change = diagonal + (a[i - 1] != b[j - 1]);
            const size_t shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = change < shorter ? change : shorter;
        }
    }
    return row[m];
}

const char *cli_nearest(const char *word, const char *const *known, size_t n)
{
    const char *best = NULL;
    size_t least = strlen(word) / 2 + 1;

    least = least > 3 ? 3 : least;
    for (size_t i = 0; i < n; i++) {
        const size_t d = distance(word, known[i]);
        if (d < least) {
            least = d;
            best = known[i];
        }
    }
    return best;
}

bool cli_parse_int(const char *text, int64_t lo, int64_t hi, int64_t *out)
{
    char *end;

    if (!(text[0] >= '0' && text[0] <= '9') &&
        !(text[0] == '-' && text[1] >= '0' && text[1] <= '9')) {
        return false;
    }
    errno = 0;
    const long long v = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0' || v < lo || v > hi) {
        return false;
    }
    *out = v;
    return true;
}

bool cli_parse_real(const char *text, double lo, double hi, double *out)
{
    char *end;

    if (text[0] == '\0' || strspn(text, "0123456789.eE+-") != strlen(text)) {
        return false;
    }
    errno = 0;
    const double v = strtod(text, &end);
    if (errno != 0 || *end != '\0' || !isfinite(v) || v < lo || v > hi) {
        return false;
    }
    *out = v;
    return true;
}

static bool parse_choice(const char *words, const char *text, int64_t *out)
{
    const size_t n = strlen(text);
    int64_t index = 0;

    for (const char *w = words; w != NULL; w = strchr(w, '|'), w = w != NULL ? w + 1 : NULL) {
        const size_t length = strcspn(w, "|");
        if (length == n && memcmp(w, text, n) == 0) {
            *out = index;
            return true;
        }
        index++;
    }
    return false;
}

/* Store one option's value; false when it is not one. */
static bool store(const struct cli_option *o, void *fields, const char *text)
{
    char *const field = (char *)fields + o->offset;
    int64_t number = 0;
    double real = 0;

    switch (o->kind) {
    case CLI_FLAG:
        *(bool *)(void *)field = true;
        return true;
    case CLI_STRING:
        *(const char **)(void *)field = text;
        return text[0] != '\0';
    case CLI_LIST: {
        struct cli_list *list = (void *)field;
        if (list->n == CLI_LIST_MAX || text[0] == '\0') {
            return false;
        }
        list->item[list->n++] = text;
        return true;
    }
    case CLI_REAL:
        if (!cli_parse_real(text, (double)o->lo, (double)o->hi, &real)) {
            return false;
        }
        *(double *)(void *)field = real;
        return true;
    case CLI_INT:
        if (!cli_parse_int(text, o->lo, o->hi, &number)) {
            return false;
        }
        break;
    case CLI_BITS:
        if (strcmp(text, "auto") != 0 && !cli_parse_int(text, o->lo, o->hi, &number) &&
            !(o->also != 0 && cli_parse_int(text, o->also, o->also, &number))) {
            return false;
        }
        break;
    case CLI_CHOICE:
        if (!parse_choice(o->value, text, &number)) {
            return false;
        }
        break;
    }
    *(int64_t *)(void *)field = number;
    return true;
}

static const struct cli_option *find(const struct cli_option *table, size_t n, const char *name,
                                     size_t length)
{
    for (size_t i = 0; i < n; i++) {
        if (strlen(table[i].name) == length && memcmp(table[i].name, name, length) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

static const struct cli_option *find_letter(const struct cli_option *table, size_t n, char letter)
{
    for (size_t i = 0; i < n; i++) {
        if (table[i].letter == letter) {
            return &table[i];
        }
    }
    return NULL;
}

const struct cli_option *cli_find_option(const struct cli_verb *verb, const char *name)
{
    const struct cli_option *o = find(verb->options, verb->n_options, name, strlen(name));

    return o != NULL ? o : find(common, N_COMMON, name, strlen(name));
}

const char *cli_nearest_option(const struct cli_verb *verb, const char *name)
{
    const char *known[64];
    size_t n = 0;

    for (size_t i = 0; i < verb->n_options && n < 64 - N_COMMON; i++) {
        known[n++] = verb->options[i].name;
    }
    for (size_t i = 0; i < N_COMMON; i++) {
        known[n++] = common[i].name;
    }
    return cli_nearest(name, known, n);
}

static int unknown_option(const struct cli_verb *verb, const char *arg)
{
    char name[48];

    snprintf(name, sizeof name, "%.*s", (int)strcspn(arg + strspn(arg, "-"), "="),
             arg + strspn(arg, "-"));
    const char *nearest = cli_nearest_option(verb, name);
    if (nearest != NULL) {
        return cli_usage(verb, "unknown option '%s', did you mean --%s", arg, nearest);
    }
    return cli_usage(verb, "unknown option '%s'", arg);
}

static int bad_value(const struct cli_verb *verb, const struct cli_option *o, const char *text)
{
    switch (o->kind) {
    case CLI_CHOICE:
        return cli_usage(verb, "--%s: '%s' is none of %s", o->name, text, o->value);
    case CLI_INT:
        if (o->hi == INT64_MAX) {
            return cli_usage(verb, "--%s: '%s', expected a whole number from %lld", o->name, text,
                             (long long)o->lo);
        }
        return cli_usage(verb, "--%s: '%s', expected a whole number in %lld..%lld", o->name, text,
                         (long long)o->lo, (long long)o->hi);
    case CLI_REAL:
        return cli_usage(verb, "--%s: '%s', expected a number in %lld..%lld", o->name, text,
                         (long long)o->lo, (long long)o->hi);
    case CLI_BITS:
        return cli_usage(verb, "--%s: '%s', expected %s", o->name, text, o->value);
    case CLI_LIST:
        return cli_usage(verb, "--%s: empty, or given more than %d times", o->name, CLI_LIST_MAX);
    case CLI_FLAG:
    case CLI_STRING:
        break;
    }
    return cli_usage(verb, "--%s: empty, expected %s", o->name, o->value);
}

/* One option at argv[*i]; its value may be the next argument. CLI_OK or CLI_USAGE. */
static int parse_option(struct cli *cli, const struct cli_verb *verb, void *fields, char **argv,
                        int *i)
{
    const char *arg = argv[*i];
    const char *value = NULL;
    const struct cli_option *o;
    void *into = fields;

    if (arg[1] == '-') {
        const size_t length = strcspn(arg + 2, "=");
        o = find(verb->options, verb->n_options, arg + 2, length);
        if (o == NULL && (o = find(common, N_COMMON, arg + 2, length)) != NULL) {
            into = cli;
        }
        value = arg[2 + length] == '=' ? arg + 3 + length : NULL;
    } else {
        o = find_letter(verb->options, verb->n_options, arg[1]);
        if (o == NULL && (o = find_letter(common, N_COMMON, arg[1])) != NULL) {
            into = cli;
        }
        value = arg[2] != '\0' ? arg + 2 : NULL;
    }
    if (o == NULL) {
        return unknown_option(verb, arg);
    }
    if (o->kind == CLI_FLAG && value != NULL) {
        return cli_usage(verb, "--%s takes no value", o->name);
    }
    if (o->kind != CLI_FLAG && value == NULL) {
        value = argv[*i + 1];
        if (value == NULL) {
            return cli_usage(verb, "--%s needs a value: %s", o->name, o->value);
        }
        ++*i;
    }
    return store(o, into, value) ? CLI_OK : bad_value(verb, o, value);
}

static int parse_all(struct cli *cli, const struct cli_verb *verb, void *fields, char **argv)
{
    bool only_operands = false;

    for (int i = 0; argv[i] != NULL; i++) {
        if (!only_operands && strcmp(argv[i], "--") == 0) {
            only_operands = true;
        } else if (!only_operands && argv[i][0] == '-' && argv[i][1] != '\0') {
            const int code = parse_option(cli, verb, fields, argv, &i);
            if (code != CLI_OK) {
                return code;
            }
        } else if (cli->n_operands == verb->max_operands) {
            return cli_usage(verb, "unexpected '%s', expected %s", argv[i],
                             verb->max_operands == 0 ? "no operand" : verb->operands);
        } else {
            cli->operand[cli->n_operands++] = argv[i];
        }
    }
    if (!cli->help && cli->n_operands < verb->min_operands) {
        return cli_usage(verb, "expected %s", verb->operands);
    }
    return CLI_OK;
}

static void help_option(FILE *to, const struct cli_option *o)
{
    char left[80];
    int n = 0;

    if (o->letter != 0) {
        n = snprintf(left, sizeof left, "-%c, ", o->letter);
    } else {
        n = snprintf(left, sizeof left, "    ");
    }
    snprintf(left + n, sizeof left - (size_t)n, "--%s%s%s", o->name, o->value != NULL ? " " : "",
             o->value != NULL ? o->value : "");
    fprintf(to, strlen(left) <= 30 ? "  %-30s  %s\n" : "  %s\n%34s%s\n", left,
            strlen(left) <= 30 ? o->help : "", o->help);
}

void cli_help(FILE *to, const struct cli_verb *verb)
{
    fprintf(to, "usage: brim %s%s%s [options]\n\n%s\n", verb->name,
            verb->operands[0] != '\0' ? " " : "", verb->operands, verb->details);
    if (verb->n_options > 0) {
        fprintf(to, "\noptions\n");
    }
    for (size_t i = 0; i < verb->n_options; i++) {
        help_option(to, &verb->options[i]);
    }
    fprintf(to, "\neverywhere\n");
    for (size_t i = 0; i < N_COMMON; i++) {
        help_option(to, &common[i]);
    }
    fprintf(to, "\nexit codes: 0 yes or done, 1 error, 2 usage, 3 a negative answer\n");
}

/* The level asked for is one that this machine has. */
static int check_cpu(const struct cli *cli)
{
    const char *env = getenv("BRIM_CPU");
    const char *from = cli->cpu != NULL ? "cpu" : "BRIM_CPU";
    const char *name = cli->cpu != NULL ? cli->cpu : env;
    char known[160] = "";

    if (name == NULL || name[0] == '\0') {
        return CLI_OK;
    }
    for (size_t i = 0; i < brim_cpu_level_count(); i++) {
        const brim_cpu_level level = brim_cpu_level_at(i);
        if (strcmp(name, level.name) == 0) {
            return level.present ? CLI_OK
                                 : cli_usage(cli->verb, "%s: this machine has no '%s'", from, name);
        }
        const size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? "|" : "", level.name);
    }
    return cli_usage(cli->verb, "%s: '%s' is none of %s", from, name, known);
}

static int create_ctx(struct cli *cli)
{
    brim_ctx_params p;

    const int code = check_cpu(cli);
    if (code != CLI_OK) {
        return code;
    }
    brim_ctx_params_init(&p);
    p.cpu = cli->cpu;
    p.threads = (int)cli->threads;
    p.seed = (uint64_t)cli->seed;
    p.user = cli;
    p.progress = cli_progress;
    p.log = cli_log;
    const brim_status s = brim_ctx_create(&p, &cli->ctx);
    if (s != BRIM_OK) {
        return cli_fail(cli, CLI_ERROR, "%s", brim_status_text(s));
    }
    return CLI_OK;
}

bool cli_start(struct cli *cli, const struct cli_verb *verb, void *fields, char **argv, int *code)
{
    cli->verb = verb;
    cli->threads = 0;
    cli->seed = 1;
    *code = parse_all(cli, verb, fields, argv);
    if (*code != CLI_OK) {
        return false;
    }
    if (cli->help) {
        cli_help(stdout, verb);
        return false;
    }
    cli->terminal = isatty(STDERR_FILENO) == 1 && !cli->quiet;
    *code = create_ctx(cli);
    return *code == CLI_OK;
}
