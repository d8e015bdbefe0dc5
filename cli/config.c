/* config.c - options from a file: lines "name = value", "#" begins a comment. SPDX-License-Identifier: Apache-2.0
 *
 * They become arguments in front of those of the command line, which therefore win. Options that may be
 * repeated are the exception: of those the first wins, so the file's go behind.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

#define LINE_MAX_BYTES 4096

struct config {
    const struct cli_verb *verb;
    const char *path;
    size_t line;
    size_t n, n_last; /* arguments in front of the command line, behind it */
    char **front, **last;
};

/* The file that argv names, or NULL. */
static const char *find_path(char **argv)
{
    for (size_t i = 0; argv[i] != NULL && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--config") == 0) {
            return argv[i + 1];
        }
        if (strncmp(argv[i], "--config=", 9) == 0) {
            return argv[i] + 9;
        }
    }
    return NULL;
}

static char *trim(char *s)
{
    s += strspn(s, " \t\r\n");
    for (size_t n = strlen(s); n > 0 && strchr(" \t\r\n", s[n - 1]) != NULL; n--) {
        s[n - 1] = '\0';
    }
    return s;
}

static int append(char ***list, size_t *n, const char *name, const char *value)
{
    const size_t size = strlen(name) + strlen(value) + 4;
    char *text = malloc(size), **larger = realloc(*list, (*n + 2) * sizeof **list);

    if (larger != NULL) {
        *list = larger;
    }
    if (text == NULL || larger == NULL) {
        free(text);
        return cli_usage(NULL, "out of memory");
    }
    (void)snprintf(text, size, value[0] != '\0' ? "--%s=%s" : "--%s", name, value);
    larger[(*n)++] = text;
    larger[*n] = NULL;
    return CLI_OK;
}

static int read_pair(struct config *c, const char *name, const char *value)
{
    const struct cli_option *o = cli_find_option(c->verb, name);

    if (o == NULL || strcmp(name, "config") == 0 || strcmp(name, "help") == 0) {
        const char *nearest = o == NULL ? cli_nearest_option(c->verb, name) : NULL;
        return cli_usage(c->verb, "%s:%zu: unknown key '%s'%s%s", c->path, c->line, name,
                         nearest != NULL ? ", did you mean " : "", nearest != NULL ? nearest : "");
    }
    if (value[0] == '\0') {
        return cli_usage(c->verb, "%s:%zu: '%s' has no value", c->path, c->line, name);
    }
    if (o->kind == CLI_FLAG) {
        if (strcmp(value, "no") == 0) {
            return CLI_OK;
        }
        if (strcmp(value, "yes") != 0) {
            return cli_usage(c->verb, "%s:%zu: '%s' is '%s', expected yes or no", c->path, c->line,
                             name, value);
        }
        return append(&c->front, &c->n, name, "");
    }
    return o->kind == CLI_LIST ? append(&c->last, &c->n_last, name, value)
                               : append(&c->front, &c->n, name, value);
}

static int read_line(struct config *c, char *line)
{
    char *comment = strchr(line, '#');

    if (comment != NULL) {
        *comment = '\0';
    }
    char *name = trim(line), *equals = strchr(name, '=');
    if (name[0] == '\0') {
        return CLI_OK;
    }
    if (equals == NULL) {
        return cli_usage(c->verb, "%s:%zu: '%s', expected NAME = VALUE", c->path, c->line, name);
    }
    *equals = '\0';
    return read_pair(c, trim(name), trim(equals + 1));
}

static int read_file(struct config *c)
{
    char line[LINE_MAX_BYTES];
    FILE *f = fopen(c->path, "r");
    int code = CLI_OK;

    if (f == NULL) {
        return cli_usage(c->verb, "%s: %s", c->path, strerror(errno));
    }
    while (code == CLI_OK && fgets(line, sizeof line, f) != NULL) {
        c->line++;
        const bool whole = strchr(line, '\n') != NULL || feof(f);
        code = whole ? read_line(c, line)
                     : cli_usage(c->verb, "%s:%zu: longer than %d characters", c->path, c->line,
                                 LINE_MAX_BYTES - 2);
    }
    if (code == CLI_OK && ferror(f)) {
        code = cli_usage(c->verb, "%s: %s", c->path, strerror(errno));
    }
    fclose(f);
    return code;
}

static void release(char **list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(list[i]);
    }
    free(list);
}

/* One NULL-terminated array: the file's options, the command line's, the file's repeatable ones; operands
 * behind "--" stay last. */
static char **join(struct config *c, char **argv)
{
    size_t n = 0, dashes = 0;

    while (argv[n] != NULL) {
        n++;
    }
    while (dashes < n && strcmp(argv[dashes], "--") != 0) { /* behind it there are no options */
        dashes++;
    }
    char **all = malloc((c->n + n + c->n_last + 1) * sizeof *all);
    if (all == NULL) {
        return NULL;
    }
    size_t at = 0;
    for (size_t i = 0; i < c->n; i++) {
        all[at++] = c->front[i];
    }
    for (size_t i = 0; i < dashes; i++) {
        all[at++] = argv[i];
    }
    for (size_t i = 0; i < c->n_last; i++) {
        all[at++] = c->last[i];
    }
    for (size_t i = dashes; i < n; i++) {
        all[at++] = argv[i];
    }
    all[at] = NULL;
    free(c->front);
    free(c->last);
    return all;
}

char **cli_config_read(const struct cli_verb *verb, char **argv, int *code)
{
    struct config c = {.verb = verb, .path = find_path(argv)};
    char **all = NULL;

    *code = CLI_OK;
    if (c.path == NULL) {
        return argv;
    }
    *code = read_file(&c);
    if (*code == CLI_OK && (all = join(&c, argv)) == NULL) {
        *code = cli_usage(NULL, "out of memory");
    }
    if (all == NULL) {
        release(c.front, c.n);
        release(c.last, c.n_last);
    }
    return all;
}

/* What is not argv's is the file's. */
void cli_config_free(char **config, char **argv)
{
    if (config == argv || config == NULL) {
        return;
    }
    for (size_t i = 0; config[i] != NULL; i++) {
        bool theirs = false;
        for (size_t k = 0; argv[k] != NULL; k++) {
            theirs = theirs || config[i] == argv[k];
        }
        if (!theirs) {
            free(config[i]);
        }
    }
    free(config);
}
