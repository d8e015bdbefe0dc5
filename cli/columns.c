/* columns.c - aligned columns: the first left, numbers right. SPDX-License-Identifier: Apache-2.0
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

void cli_table_init(struct cli_table *t, size_t columns, const char *const *headings)
{
    *t = (struct cli_table){.columns = columns};
    for (size_t i = 0; i < columns; i++) {
        cli_cell(t, "%s", headings[i]);
    }
}

void cli_cell(struct cli_table *t, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (t->cells == t->capacity) {
        const size_t capacity = t->capacity == 0 ? 64 : 2 * t->capacity;
        char **cell = realloc(t->cell, capacity * sizeof *cell);
        if (cell == NULL) {
            return;
        }
        t->cell = cell;
        t->capacity = capacity;
    }
    const size_t size = n < 0 ? 0 : (size_t)n + 1;
    char *text = n < 0 ? NULL : malloc(size);
    char *safe = n < 0 ? NULL : malloc(CLI_ESCAPED(size));
    if (text != NULL && safe != NULL) {
        va_start(ap, fmt);
        vsnprintf(text, size, fmt, ap);
        va_end(ap);
        cli_escape(text, safe, CLI_ESCAPED(size));
        t->cell[t->cells++] = safe;
        safe = NULL;
    }
    free(text);
    free(safe);
}

/* A column of numbers is aligned right; "-" counts as one. */
static bool is_numeric(const struct cli_table *t, size_t column)
{
    for (size_t i = t->columns + column; i < t->cells; i += t->columns) {
        if (strcspn(t->cell[i], "0123456789") != strspn(t->cell[i], "+-.") ||
            t->cell[i][0] == '\0' || strpbrk(t->cell[i], "/,") != NULL) {
            return false;
        }
    }
    return true;
}

void cli_table_print(struct cli_table *t)
{
    for (size_t i = 0; i < t->cells; i++) {
        const size_t column = i % t->columns;
        size_t width = 0;
        for (size_t j = column; j < t->cells; j += t->columns) {
            const size_t n = strlen(t->cell[j]);
            width = n > width ? n : width;
        }
        const bool last = column + 1 == t->columns;
        if (column > 0 && is_numeric(t, column)) {
            printf("%*s%s", (int)width, t->cell[i], last ? "\n" : "  ");
        } else if (last) {
            printf("%s\n", t->cell[i]);
        } else {
            printf("%-*s  ", (int)width, t->cell[i]);
        }
    }
    for (size_t i = 0; i < t->cells; i++) {
        free(t->cell[i]);
    }
    free(t->cell);
    *t = (struct cli_table){0};
}
