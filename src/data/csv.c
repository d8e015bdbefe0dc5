/* csv.c - lines of numbers. SPDX-License-Identifier: Apache-2.0
 *
 * No quoting: a quote is not part of a number. Every line has as many fields as the first.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "data/readers.h"

#define MAX_COLUMNS ((size_t)1 << 20)

struct table {
    struct brim_arena *arena;
    const char *name;
    char separator; /* ' ' stands for any run of blanks */
    size_t columns, rows;
    bool header;
    double *value; /* [rows][columns] */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\r' || (c == '\t');
}

/* The next field of [p, end), blanks around it dropped; *next is past its separator, or NULL. */
static void next_field(const struct table *t, const char **p, const char **last, const char **next,
                       const char *end)
{
    const char *s = *p;

    while (s < end && is_blank(*s) && (t->separator == ' ' || *s != t->separator)) {
        s++;
    }
    const char *e = s;
    while (e < end && *e != t->separator && !(t->separator == ' ' && is_blank(*e))) {
        e++;
    }
    *next = e < end ? e + 1 : NULL;
    if (t->separator == ' ') { /* trailing blanks end the line, they do not open a field */
        while (*next != NULL && *next < end && is_blank(**next)) {
            (*next)++;
        }
        *next = *next == end ? NULL : *next;
    }
    while (e > s && is_blank(e[-1])) {
        e--;
    }
    *p = s;
    *last = e;
}

static bool number(const char *s, const char *e, double *v)
{
    char *stop;

    if (s == e) {
        return false;
    }
    *v = strtod(s, &stop);
    return stop == e;
}

static bool line_is_empty(const char *s, const char *e)
{
    while (s < e && is_blank(*s)) {
        s++;
    }
    return s == e;
}

static const char *line_end(const char *p, const char *end)
{
    const char *e = memchr(p, '\n', (size_t)(end - p));
    return e != NULL ? e : end;
}

/* Separator, number of columns, and whether the first line is a header. */
static brim_status look_at_first_line(struct table *t, const char *p, const char *e)
{
    const size_t n = (size_t)(e - p);
    double v;

    t->separator = memchr(p, ',', n) != NULL    ? ','
                   : memchr(p, ';', n) != NULL  ? ';'
                   : memchr(p, '\t', n) != NULL ? '\t'
                                                : ' ';
    for (const char *next = p; next != NULL; t->columns++) {
        const char *s = next, *last;
        next_field(t, &s, &last, &next, e);
        t->header = t->header || !number(s, last, &v);
    }
    if (t->columns > MAX_COLUMNS) {
        return brim_fail(t->arena->ctx, BRIM_ERR_FILE, "%s: %zu columns, expected at most %zu",
                         t->name, t->columns, MAX_COLUMNS);
    }
    return BRIM_OK;
}

static brim_status parse_line(const struct table *t, size_t line, const char *p, const char *e,
                              double *out)
{
    size_t column = 0;

    for (const char *next = p; next != NULL; column++) {
        const char *s = next, *last;
        next_field(t, &s, &last, &next, e);
        if (column < t->columns && !number(s, last, &out[column])) {
            return brim_fail(t->arena->ctx, BRIM_ERR_FILE,
                             "%s: line %zu, column %zu: '%.*s' is not a number", t->name, line,
                             column, (int)(last - s < 32 ? last - s : 32), s);
        }
    }
    if (column != t->columns) {
        return brim_fail(t->arena->ctx, BRIM_ERR_FILE, "%s: line %zu has %zu columns, expected %zu",
                         t->name, line, column, t->columns);
    }
    return BRIM_OK;
}

static brim_status parse_lines(struct table *t, const char *text, const char *end)
{
    size_t line = 0, rows = 0, cells;

    for (const char *p = text; p < end; p = line_end(p, end) + 1) {
        t->rows += line_is_empty(p, line_end(p, end)) ? 0 : 1;
    }
    t->rows -= t->header ? 1 : 0;
    if (t->rows == 0) {
        return brim_fail(t->arena->ctx, BRIM_ERR_FILE, "%s: holds no samples", t->name);
    }
    /* A line has at least one byte per field and separator, so this is about the file's size. */
    if (!brim_mul_size(t->rows, t->columns, &cells) || cells > (size_t)(end - text) + 1) {
        return brim_fail(t->arena->ctx, BRIM_ERR_FILE,
                         "%s: lines differ in their number of columns, expected %zu in each",
                         t->name, t->columns);
    }
    t->value = brim_arena_alloc(t->arena, cells, sizeof *t->value);
    if (t->value == NULL) {
        return BRIM_ERR_NOMEM;
    }
    bool header = t->header;
    for (const char *p = text; p < end; p = line_end(p, end) + 1) {
        const char *e = line_end(p, end);
        line++;
        if (line_is_empty(p, e)) {
            continue;
        }
        if (!header) {
            BRIM_TRY(parse_line(t, line, p, e, t->value + rows++ * t->columns));
        }
        header = false;
    }
    return BRIM_OK;
}

/* The column that `label` means: a header's name or a number. */
static brim_status label_column(const struct table *t, const char *first, const char *e,
                                const char *label, size_t *column)
{
    char *stop;
    size_t i = 0;

    for (const char *next = first; t->header && next != NULL; i++) {
        const char *s = next, *last;
        next_field(t, &s, &last, &next, e);
        if (strlen(label) == (size_t)(last - s) && memcmp(label, s, strlen(label)) == 0) {
            *column = i;
            return BRIM_OK;
        }
    }
    errno = 0;
    const long long v = strtoll(label, &stop, 10);
    if (*label == '\0' || *stop != '\0' || errno != 0 || v < 0 || (size_t)v >= t->columns) {
        return brim_fail(t->arena->ctx, BRIM_ERR_ARG,
                         "%s: label=%s names no column, expected 0 to %zu%s", t->name, label,
                         t->columns - 1, t->header ? " or a name of the first line" : "");
    }
    *column = (size_t)v;
    return BRIM_OK;
}

/* Move the label column to the end of its own array. */
static brim_status split_label(const struct table *t, size_t column, struct brim_array *y)
{
    double *label = brim_arena_alloc(t->arena, t->rows, sizeof *label);

    if (label == NULL || t->value == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < t->rows; i++) {
        const double *from = t->value + i * t->columns;
        double *to = t->value + i * (t->columns - 1);
        label[i] = from[column];
        memmove(to, from, column * sizeof *to);
        memmove(to + column, from + column + 1, (t->columns - 1 - column) * sizeof *to);
    }
    y->rank = 1;
    y->dim[0] = (int64_t)t->rows;
    y->bytes = (const uint8_t *)label;
    y->stride = sizeof *label;
    return BRIM_OK;
}

brim_status brim_csv_parse(struct brim_arena *arena, const char *text, size_t n, const char *label,
                           struct brim_array *x, struct brim_array *y)
{
    struct table t = {.arena = arena, .name = x->name};
    const char *const end = text + n;
    size_t columns, column = 0;

    while (text < end && line_is_empty(text, line_end(text, end))) {
        text = line_end(text, end) == end ? end : line_end(text, end) + 1;
    }
    if (text == end) {
        return brim_fail(arena->ctx, BRIM_ERR_FILE, "%s: holds no samples", x->name);
    }
    if (memchr(text, '\0', (size_t)(end - text)) != NULL) {
        return brim_fail(arena->ctx, BRIM_ERR_FILE, "%s: holds a zero byte, expected text",
                         x->name);
    }
    BRIM_TRY(look_at_first_line(&t, text, line_end(text, end)));
    BRIM_TRY(parse_lines(&t, text, end));
    columns = t.columns;
    x->element = y->element = BRIM_ELEMENT_F64;
    x->big_endian = y->big_endian = brim_host_is_big_endian();
    y->rank = 0;
    if (label != NULL && strcmp(label, "-1") != 0) {
        BRIM_TRY(label_column(&t, text, line_end(text, end), label, &column));
        if (--columns == 0) {
            return brim_fail(arena->ctx, BRIM_ERR_FILE,
                             "%s: the label is the only column, expected values beside it",
                             x->name);
        }
        BRIM_TRY(split_label(&t, column, y));
    }
    x->rank = 2;
    x->dim[0] = (int64_t)t.rows;
    x->dim[1] = (int64_t)columns;
    x->bytes = (const uint8_t *)t.value;
    x->stride = columns * sizeof *t.value;
    return BRIM_OK;
}
