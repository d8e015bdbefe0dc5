/* say.c - errors, progress, JSON, output paths. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

/* Bytes of the printable UTF-8 character that `s` begins with; 0 when there is none. */
static size_t printable(const unsigned char *s)
{
    if (s[0] < 0x80) {
        return s[0] >= ' ' && s[0] != 0x7f;
    }
    const size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || (s[0] == 0xc2 && s[1] < 0xa0)) { /* C1 controls */
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return n;
}

void cli_escape(const char *text, char *out, size_t size)
{
    const unsigned char *s = (const unsigned char *)text;

    while (*s != '\0' && size > 4) {
        const size_t n = printable(s);
        if (n > 0) {
            memcpy(out, s, n);
        } else {
            snprintf(out, size, "\\x%02x", *s);
        }
        out += n > 0 ? n : 4;
        size -= n > 0 ? n : 4;
        s += n > 0 ? n : 1;
    }
    *out = '\0';
}

/* Names come from files that nobody vouches for: they may not steer the terminal. */
static void __attribute__((format(printf, 1, 0))) say(const char *fmt, va_list ap)
{
    char text[4096], safe[CLI_ESCAPED(sizeof text)];

    vsnprintf(text, sizeof text, fmt, ap);
    cli_escape(text, safe, sizeof safe);
    fputs(safe, stderr);
}

int cli_fail(struct cli *cli, int code, const char *fmt, ...)
{
    va_list ap;

    cli_end_progress(cli);
    fputs("brim: ", stderr);
    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return code;
}

int cli_fail_status(struct cli *cli, brim_status status)
{
    const bool negative = status == BRIM_ERR_INFEASIBLE || status == BRIM_ERR_REFUTED;
    const char *text = brim_error(cli->ctx);

    if (status == BRIM_ERR_CANCELLED) {
        return cli_fail(cli, CLI_ERROR, "interrupted, nothing was written");
    }
    return cli_fail(cli, negative ? CLI_NEGATIVE : CLI_ERROR, "%s",
                    text[0] != '\0' ? text : brim_status_text(status));
}

int cli_usage(const struct cli_verb *verb, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "brim: %s%s", verb != NULL ? verb->name : "", verb != NULL ? ": " : "");
    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
    fprintf(stderr, " (see brim %s%s--help)\n", verb != NULL ? verb->name : "",
            verb != NULL ? " " : "");
    return CLI_USAGE;
}

int cli_print_json(struct cli *cli, json_t *document, int code)
{
    if (document == NULL) {
        return cli_fail(cli, CLI_ERROR, "out of memory, or a name that is not UTF-8");
    }
    cli_end_progress(cli);
    const int bad = json_dumpf(document, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(document);
    putchar('\n');
    return bad != 0 ? cli_fail(cli, CLI_ERROR, "standard output: %s", strerror(errno)) : code;
}

int cli_check_output(struct cli *cli, const char *path)
{
    struct stat st;
    char folder[4096];

    if (stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode)) {
            return cli_fail(cli, CLI_ERROR, "%s: cannot write (is a folder)", path);
        }
        if (access(path, W_OK) != 0) {
            return cli_fail(cli, CLI_ERROR, "%s: cannot write (%s)", path, strerror(errno));
        }
        if (!S_ISREG(st.st_mode)) {
            return CLI_OK;
        }
    }
    const char *slash = strrchr(path, '/');
    const size_t n = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    if (n >= sizeof folder || (slash != NULL && slash[1] == '\0')) {
        return cli_fail(cli, CLI_ERROR, "%s: cannot write (not a file name)", path);
    }
    memcpy(folder, n == 0 ? "." : path, n == 0 ? 1 : n);
    folder[n == 0 ? 1 : n] = '\0';
    if (access(folder, W_OK | X_OK) != 0) {
        return cli_fail(cli, CLI_ERROR, "%s: cannot write (%s)", path, strerror(errno));
    }
    return CLI_OK;
}

double cli_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void cli_end_progress(struct cli *cli)
{
    if (cli->line_open) {
        fputs("\r\033[K", stderr);
        cli->line_open = false;
    }
}

bool cli_progress(void *user, const char *stage, uint64_t done, uint64_t total)
{
    struct cli *cli = user;

    if (cli_interrupted()) {
        return false;
    }
    if (!cli->terminal) {
        return true;
    }
    const double now = cli_seconds();
    if (cli->stage == NULL || strcmp(cli->stage, stage) != 0 || done == 0) {
        cli->stage = stage;
        cli->stage_start = now;
    }
    if (now - cli->last_shown < 0.1 && done != total) {
        return true;
    }
    cli->last_shown = now;
    fprintf(stderr, "\r\033[K%s %llu/%llu", stage, (unsigned long long)done,
            (unsigned long long)total);
    if (strcmp(stage, "train") == 0) {
        fputs(cli->note, stderr);
    }
    if (done > 0 && done < total) {
        fprintf(stderr, ", %.0f s left",
                (now - cli->stage_start) * (double)(total - done) / (double)done);
    }
    fflush(stderr);
    cli->line_open = true;
    return true;
}

void cli_log(void *user, brim_log_level level, const char *line)
{
    struct cli *cli = user;
    const brim_log_level most = cli->quiet     ? BRIM_LOG_ERROR
                                : cli->verbose ? BRIM_LOG_DEBUG
                                               : BRIM_LOG_WARN;

    if (level <= most) {
        cli_fail(cli, CLI_OK, "%s", line);
    }
}
