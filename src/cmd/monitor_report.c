/* Rows of all targets, shown. */
#include "cmd/monitor_report.h"

#include "base/check.h"
#include "base/clean.h"
#include "cmd/certtext.h"
#include "pki/issuers.h"

#include <inttypes.h>
#include <stdlib.h>

enum { NAGIOS_TOLD_MAX = 5, DAYS_TEXT_MAX = 64 };

struct told_row {
    const struct monitor_target *target;
    const struct monitor_row *row;
};

/* ---- order ---- */

static int compare(const void *a, const void *b)
{
    const struct monitor_row *x = ((const struct told_row *)a)->row, *y = ((const struct told_row *)b)->row;

    if (x->status != y->status)
        return x->status > y->status ? -1 : 1;
    if (monitor_row_is_dated(x) != monitor_row_is_dated(y))
        return monitor_row_is_dated(x) ? 1 : -1;
    return x->not_after_s < y->not_after_s ? -1 : x->not_after_s > y->not_after_s;
}

/* All rows, the weakest first; returned to caller. NULL: none, or memory ran out. */
static struct told_row *ordered(const struct monitor_run *run, size_t *out_n)
{
    const struct monitor_row *row;
    size_t n = 0;

    for (size_t i = 0; i < run->n; i++)
        n += run->targets[i].n_rows;
    struct told_row *rows = n ? calloc(n, sizeof *rows) : NULL;
    *out_n = 0;
    for (size_t i = 0; rows && i < run->n; i++) {
        STAILQ_FOREACH (row, &run->targets[i].rows, next) {
            rows[(*out_n)++] = (struct told_row){ &run->targets[i], row };
        }
    }
    if (rows)
        qsort(rows, n, sizeof *rows, compare);
    return rows;
}

/* ---- text ---- */

static void monitor_report_put(FILE *out, struct str text)
{
    char *room = malloc(text.n * CLEAN_GROWTH + 1);

    if (!room)
        return;
    struct str clean = clean_into(CLEAN_NAME, text, room);
    (void)fprintf(out, "%.*s", STR_ARG(clean));
    free(room);
}

static const char *days_text(const struct monitor_row *row, char out[DAYS_TEXT_MAX])
{
    if (!monitor_row_is_dated(row))
        (void)snprintf(out, DAYS_TEXT_MAX, "-");
    else if (row->life.not_yet)
        (void)snprintf(out, DAYS_TEXT_MAX, "not yet valid");
    else if (row->not_after_s == INT64_MAX)
        (void)snprintf(out, DAYS_TEXT_MAX, "no expiry");
    else if (row->life.over)
        (void)snprintf(out, DAYS_TEXT_MAX, "expired %" PRId64 " d ago", -row->life.days_left);
    else
        (void)snprintf(out, DAYS_TEXT_MAX, "%" PRId64 " d, %.0f %%", row->life.days_left,
                       100 * row->life.life_left);
    return out;
}

static bool names_itself(const struct told_row *told)
{
    return str_equal(told->target->text, told->row->where);
}

static void say_row(const struct cmd *cmd, const struct told_row *told)
{
    const struct monitor_row *row = told->row;
    char days[DAYS_TEXT_MAX];

    (void)fprintf(cmd->out, "%s%-8s%s  %-15s  %-15s  ",
                  cmd_tint(cmd, row->status == MONITOR_OK ? TINT_GOOD : TINT_BAD),
                  monitor_status_name(row->status), cmd_tint_end(cmd), days_text(row, days), row->kind);
    if (row->info.subject.n > 0) {
        monitor_report_put(cmd->out, row->info.subject);
        (void)fputs("  ", cmd->out);
    }
    monitor_report_put(cmd->out, row->where);
    if (!names_itself(told)) {
        (void)fputs("  (", cmd->out);
        monitor_report_put(cmd->out, told->target->text);
        (void)fputc(')', cmd->out);
    }
    (void)fputc('\n', cmd->out);
    if (row->error.n > 0) {
        (void)fprintf(cmd->out, "%10s", "");
        monitor_report_put(cmd->out, row->error);
        (void)fputc('\n', cmd->out);
    }
}

bool monitor_print(const struct cmd *cmd, const struct monitor_run *run)
{
    size_t n;
    struct told_row *rows = ordered(run, &n);

    for (size_t i = 0; i < n; i++)
        say_row(cmd, &rows[i]);
    for (size_t i = 0; i < run->n; i++)
        if (run->targets[i].n_rows == 0)
            (void)fprintf(cmd->out, "%-8s  %-15s  %-15s  %.*s\n", "unknown", "-", "target",
                          STR_ARG(run->targets[i].text));
    free(rows);
    return rows || n == 0;
}

/* ---- JSON ---- */

static json_t *monitor_report_text_or_null(struct str text)
{
    return text.n > 0 ? json_of(text) : json_null();
}

static json_t *date_json(const struct monitor_row *row, int64_t unix_s)
{
    char text[TIME_TEXT_MAX];

    bool known = monitor_row_is_dated(row) || (row->seen && unix_s != 0);
    return known && unix_s != INT64_MAX ? json_string(time_text(unix_s, text)) : json_null();
}

static json_t *texts_json(const struct str *texts, size_t n)
{
    json_t *array = json_array();

    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(array, json_of(texts[i]));
    return array;
}

static json_t *served_json(enum monitor_served served)
{
    return served == SERVED_NOT_CHECKED ? json_null() : json_boolean(served == SERVED_MATCHES);
}

/* What an inventory asks for besides: whose it is, what for, where. */
static void put_inventory(json_t *object, const struct monitor_row *row)
{
    struct str uses[CERT_USES_MAX];
    char hex[CERT_SHA256_TEXT] = "";
    size_t n_uses = row->cert ? cert_uses(&row->info, uses) : 0;

    if (row->cert)
        cert_sha256_text(row->info.sha256, hex);
    (void)json_object_set_new(object, "issuer", monitor_report_text_or_null(row->info.issuer));
    (void)json_object_set_new(object, "issuer_path", texts_json(row->path, row->n_path));
    (void)json_object_set_new(object, "serial", monitor_report_text_or_null(row->info.serial));
    (void)json_object_set_new(object, "sans", texts_json(row->info.sans, row->info.n_sans));
    (void)json_object_set_new(object, "key", monitor_report_text_or_null(row->info.key));
    (void)json_object_set_new(object, "sha256", monitor_report_text_or_null(str_c(hex)));
    (void)json_object_set_new(object, "usage", texts_json(uses, n_uses));
    (void)json_object_set_new(object, "location", json_of(row->where));
    (void)json_object_set_new(object, "deployed", monitor_report_text_or_null(row->deployed));
}

static json_t *row_json(const struct monitor_target *target, const struct monitor_row *row)
{
    bool ends = monitor_row_is_dated(row) && row->not_after_s != INT64_MAX;
    json_t *object = json_pack(
        "{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o}", "target", json_of(target->text), "kind",
        row->kind, "subject", monitor_report_text_or_null(row->info.subject), "not_before",
        date_json(row, row->not_before_s), "not_after", date_json(row, row->not_after_s), "days_left",
        ends || (row->seen && row->not_after_s != 0) ? json_integer(row->life.days_left) : json_null(),
        "life_left", ends ? json_real(row->life.life_left) : json_null(), "status",
        monitor_status_name(row->status), "error", monitor_report_text_or_null(row->error), "served_matches",
        served_json(row->served));

    if (object)
        put_inventory(object, row);
    return object;
}

enum code monitor_say_json(const struct cmd *cmd, const struct monitor_run *run, struct err *e)
{
    static const struct monitor_row nothing = { .kind = "target", .status = MONITOR_UNKNOWN };
    json_t *array = json_array();
    const struct monitor_row *row;

    for (size_t i = 0; array && i < run->n; i++) {
        if (STAILQ_EMPTY(&run->targets[i].rows))
            (void)json_array_append_new(array, row_json(&run->targets[i], &nothing));
        STAILQ_FOREACH (row, &run->targets[i].rows, next) {
            (void)json_array_append_new(array, row_json(&run->targets[i], row));
        }
    }
    return json_print(cmd->out, array, e);
}

/* ---- statuses ---- */

static enum monitor_status worst_of(const struct monitor_run *run)
{
    enum monitor_status worst = MONITOR_OK;

    for (size_t i = 0; i < run->n; i++)
        if (monitor_target_status(&run->targets[i]) > worst)
            worst = monitor_target_status(&run->targets[i]);
    return worst;
}

int monitor_exit(const struct monitor_run *run)
{
    const struct monitor_row *row;
    bool seen = false;

    if (worst_of(run) == MONITOR_OK)
        return EXIT_FINE;
    for (size_t i = 0; i < run->n; i++) {
        STAILQ_FOREACH (row, &run->targets[i].rows, next) {
            seen = seen || row->status != MONITOR_UNKNOWN;
        }
    }
    return seen ? EXIT_FINDING : EXIT_CANNOT_RUN;
}

static void tell_nagios(const struct cmd *cmd, const struct told_row *told)
{
    const struct monitor_row *row = told->row;
    char days[DAYS_TEXT_MAX];

    monitor_report_put(cmd->out, row->info.subject.n > 0 ? row->info.subject : row->where);
    if (row->info.subject.n > 0) {
        (void)fputs(" at ", cmd->out);
        monitor_report_put(cmd->out, row->where);
    }
    if (monitor_row_is_dated(row))
        (void)fprintf(cmd->out, ": %s", days_text(row, days));
    if (row->error.n > 0) {
        (void)fputs(": ", cmd->out);
        monitor_report_put(cmd->out, row->error);
    }
}

int monitor_nagios(const struct cmd *cmd, const struct monitor_run *run)
{
    static const char *const words[] = { "OK", "WARNING", "CRITICAL", "UNKNOWN" };
    enum monitor_status worst = worst_of(run);
    const struct monitor_row *first = NULL;
    size_t n;
    struct told_row *rows = ordered(run, &n);

    (void)fprintf(cmd->out, "PGSEAL MONITOR %s", words[monitor_status_number(worst)]);
    for (size_t i = 0; i < n && i < NAGIOS_TOLD_MAX && (i == 0 || rows[i].row->status != MONITOR_OK); i++) {
        (void)fputs(i ? "; " : " - ", cmd->out);
        tell_nagios(cmd, &rows[i]);
    }
    for (size_t i = 0; i < n; i++) {
        const struct monitor_row *row = rows[i].row;
        if (monitor_row_is_dated(row) && row->not_after_s != INT64_MAX &&
            (!first || row->not_after_s < first->not_after_s))
            first = row;
    }
    if (first)
        (void)fprintf(cmd->out, " | days_left=%" PRId64, first->life.days_left);
    (void)fputc('\n', cmd->out);
    free(rows);
    return (int)monitor_status_number(worst);
}
