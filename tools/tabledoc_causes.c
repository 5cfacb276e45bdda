/* The page of the causes of failed connections, and of the SQLSTATEs that pgseal itself reports. */
#include "tabledoc_causes.h"

#include "base/buf.h"
#include "base/check.h"

#include <string.h>

static const struct {
    const char *id, *cause, *next;
} causes[] = {
#define X(name, id, cause, next) { id, cause, next },
#include "causes.def"
#undef X
};

static const struct {
    const char *sqlstate;
    int status;
    const char *text;
} errors[] = {
#define X(name, sqlstate, status, text) { sqlstate, status, text },
#include "errors.def"
#undef X
};

static void cell(struct buf *out, const char *text)
{
    for (const char *c = text; *c; c++)
        buf_printf(out, strchr("|<*_\\", *c) ? "\\%c" : "%c", *c);
}

void causes_page(struct buf *out)
{
    buf_append_c(
        out,
        "<!-- Made by tools/tabledoc from tables/causes.def and tables/errors.def; edit those. -->\n"
        "# Causes of failed connections\n\n"
        "A connection that the gate refuses is a line of its log with `cause=`, a row of `pgseal_failures`, and a "
        "label of the metric `pgseal_failures_total`. All of them use these words. How to get from the message "
        "that a client shows to the cause: [trouble.md](howto/trouble.md).\n\n");
    for (size_t i = 0; i < COUNT_OF(causes); i++) {
        buf_printf(out, "## %s\n\n", causes[i].id);
        buf_append_c(out, "Likely cause: ");
        cell(out, causes[i].cause);
        buf_append_c(out, ".\n\nNext step: ");
        cell(out, causes[i].next);
        buf_append_c(out, ".\n\n");
    }
    buf_append_c(
        out,
        "## SQLSTATE and exit status\n\n"
        "What pgseal reports with which SQLSTATE, and the exit status of a command that ends with it. The text is "
        "used where there is nothing more precise to say.\n\n"
        "| SQLSTATE | text | exit status |\n|---|---|---|\n");
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        buf_printf(out, "| `%s` | ", errors[i].sqlstate);
        cell(out, errors[i].text);
        buf_printf(out, " | %d |\n", errors[i].status);
    }
}
