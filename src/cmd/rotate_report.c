/* The reports of a renewal. */
#include "cmd/rotate_report.h"

#include "base/buf.h"
#include "base/check.h"
#include "cmd/certtext.h"
#include "pki/expiry.h"
#include "renew/servers.h"

#include <inttypes.h>
#include <time.h>

/* ---- for people ---- */

static bool failed_now(const struct renew_report *r)
{
    return !renew_outcome_ok(r->outcome);
}

static const char *why_due(const struct renew_report *r)
{
    if (r->other_ca)
        return "the certificate in use was issued by another CA";
    return r->due.due ? "it is due" : "it was forced";
}

static void print_failure(const struct cmd *cmd, const struct renew_report *r)
{
    char text[EXPIRY_DATE_SIZE];

    if (r->outcome == RENEW_WAITING) {
        (void)fprintf(cmd->out, "  The last attempt failed: %s\n", err_text(&r->why));
        (void)fprintf(cmd->out, "  The next attempt is made after %s.\n",
                      expiry_date(r->due.next_attempt_unix_s, text));
        return;
    }
    (void)fprintf(cmd->out, "  Failed at the step \"%s\": %s\n", renew_event_name(r->step),
                  err_text(&r->why));
    if (r->why.detail[0])
        (void)fprintf(cmd->out, "  %s\n", r->why.detail);
    if (r->why.hint[0])
        (void)fprintf(cmd->out, "  HINT:  %s\n", r->why.hint);
    if (r->outcome == RENEW_KEPT)
        (void)fprintf(cmd->out, "  The old %s in force.\n",
                      r->source == RENEW_BUNDLE ? "roots stay" : "certificate stays");
}

/* ---- a bundle, for people ---- */

static void print_changes(const struct cmd *cmd, const struct renew_report *r)
{
    char date[EXPIRY_DATE_SIZE];

    for (size_t i = 0; i < r->n_changes; i++) {
        const struct bundle_change *c = &r->changes[i];
        int64_t when = c->what == BUNDLE_KEPT ? c->until_unix_s : c->not_after_unix_s;
        (void)fprintf(cmd->out, "  %-10s  %.*s, %s %s\n", bundle_what_name(c->what), STR_ARG(c->subject),
                      c->what == BUNDLE_KEPT ? "until" : "valid until", expiry_date(when, date));
    }
}

static void print_servers(const struct cmd *cmd, const struct renew_report *r)
{
    if (r->outcome == RENEW_NOT_DUE)
        return;
    for (size_t i = 0; i < r->n_servers; i++) {
        const struct renew_server *s = &r->servers[i];
        (void)fprintf(cmd->out, "  %.*s (%.*s): %s%s\n", STR_ARG(s->label), STR_ARG(s->setting),
                      s->result == OK ? "verified with the new roots" : "not verified: ",
                      s->result == OK ? "" : err_text(&s->why));
    }
    if (r->n_servers == 0 && !failed_now(r))
        (void)fprintf(cmd->out,
                      "  No upstream names the file in sslrootcert: no server was checked. Name some in "
                      "%.*s.endpoints.\n",
                      STR_ARG(r->name));
}

static void print_bundle(const struct cmd *cmd, const struct renew_report *r)
{
    char text[EXPIRY_DATE_SIZE];

    print_changes(cmd, r);
    print_servers(cmd, r);
    if (r->not_after_unix_s)
        (void)fprintf(cmd->out, "  The first of the roots in force expires at %s.\n",
                      expiry_date(r->not_after_unix_s, text));
}

static void print_renewed(const struct cmd *cmd, const struct renew_report *r)
{
    if (!r->client)
        (void)fprintf(cmd->out, "  SHA-256 %s%s\n", r->sha256,
                      r->served ? ", served by every listener." : ", not checked at any listener.");
    else if (r->served)
        (void)fprintf(cmd->out, "  SHA-256 %s, accepted by the upstream server.\n", r->sha256);
    else
        (void)fprintf(
            cmd->out,
            "  SHA-256 %s\n  The client's copy is still the old one: give it the new \"%.*s\" and its key.\n",
            r->sha256, STR_ARG(r->file));
}

static void print_one(const struct cmd *cmd, const struct renew_report *r)
{
    char text[EXPIRY_DATE_SIZE];
    enum tint tint = failed_now(r) ? TINT_BAD : TINT_GOOD;

    (void)fprintf(cmd->out, "%.*s (%s): %s%s%s\n", STR_ARG(r->name), renew_source_name(r->source),
                  cmd_tint(cmd, tint), renew_outcome_name(r->outcome), cmd_tint_end(cmd));
    if (r->outcome == RENEW_WOULD && r->source != RENEW_BUNDLE)
        (void)fprintf(cmd->out, "  Because %s.\n", why_due(r));
    if (failed_now(r))
        print_failure(cmd, r);
    if (r->source == RENEW_BUNDLE) {
        print_bundle(cmd, r);
        return;
    }
    if (r->not_after_unix_s)
        (void)fprintf(cmd->out, "  The certificate in force expires at %s.\n",
                      expiry_date(r->not_after_unix_s, text));
    if (r->outcome == RENEW_NOT_DUE)
        (void)fprintf(cmd->out, "  It is due for renewal at %s.\n", expiry_date(r->due.renew_unix_s, text));
    if (r->outcome == RENEW_RENEWED || r->outcome == RENEW_FINISHED)
        print_renewed(cmd, r);
}

void rotate_print(const struct cmd *cmd, const char *target, const struct renew_report *reports, size_t n)
{
    (void)fprintf(cmd->out, "%s\n", target);
    for (size_t i = 0; i < n; i++)
        print_one(cmd, &reports[i]);
}

/* ---- for programs ---- */

static json_t *json_time(int64_t unix_s)
{
    time_t when = (time_t)unix_s;
    char text[32];
    struct tm tm;

    if (unix_s == 0 || !gmtime_r(&when, &tm) || !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm))
        return json_null();
    return json_string(text);
}

static json_t *json_changes(const struct renew_report *r)
{
    json_t *array = json_array();

    for (size_t i = 0; i < r->n_changes; i++) {
        const struct bundle_change *c = &r->changes[i];
        json_t *object = json_object();
        (void)json_object_set_new(object, "change", json_string(bundle_what_name(c->what)));
        (void)json_object_set_new(object, "subject", json_of(c->subject));
        (void)json_object_set_new(object, "sha256", json_string(c->sha256));
        (void)json_object_set_new(object, "not_after", json_time(c->not_after_unix_s));
        (void)json_object_set_new(object, "until", json_time(c->until_unix_s));
        (void)json_array_append_new(array, object);
    }
    return array;
}

/* Nobody was asked where nothing was to change. */
static json_t *json_servers(const struct renew_report *r)
{
    json_t *array = json_array();

    for (size_t i = 0; i < r->n_servers && r->outcome != RENEW_NOT_DUE; i++) {
        const struct renew_server *s = &r->servers[i];
        json_t *object = json_object();
        (void)json_object_set_new(object, "endpoint", json_of(s->label));
        (void)json_object_set_new(object, "setting", json_of(s->setting));
        (void)json_object_set_new(object, "verified", json_boolean(s->result == OK));
        (void)json_object_set_new(object, "error",
                                  s->result == OK ? json_null() : json_string(err_text(&s->why)));
        (void)json_array_append_new(array, object);
    }
    return array;
}

static json_t *report_json(const char *target, const struct renew_report *r)
{
    json_t *object = json_object();
    bool failed = failed_now(r);

    (void)json_object_set_new(object, "target", json_string(target));
    (void)json_object_set_new(object, "pair", json_stringn(r->name.p, r->name.n));
    (void)json_object_set_new(object, "file", r->file.n > 0 ? json_of(r->file) : json_null());
    (void)json_object_set_new(object, "source", json_string(renew_source_name(r->source)));
    (void)json_object_set_new(object, "result", json_string(renew_outcome_name(r->outcome)));
    (void)json_object_set_new(object, "due", json_boolean(r->due.due));
    (void)json_object_set_new(object, "step", failed ? json_string(renew_event_name(r->step)) : json_null());
    (void)json_object_set_new(object, "error", failed ? json_string(err_text(&r->why)) : json_null());
    (void)json_object_set_new(object, "detail",
                              failed && r->why.detail[0] ? json_string(r->why.detail) : json_null());
    (void)json_object_set_new(object, "not_before", json_time(r->not_before_unix_s));
    (void)json_object_set_new(object, "not_after", json_time(r->not_after_unix_s));
    (void)json_object_set_new(object, "sha256", r->sha256[0] ? json_string(r->sha256) : json_null());
    (void)json_object_set_new(object, "served", r->served ? json_true() : json_null());
    (void)json_object_set_new(object, "renew_at", json_time(r->due.renew_unix_s));
    (void)json_object_set_new(object, "next_attempt",
                              json_time(r->outcome == RENEW_WAITING ? r->due.next_attempt_unix_s : 0));
    if (r->source == RENEW_BUNDLE) {
        (void)json_object_set_new(object, "changes", json_changes(r));
        (void)json_object_set_new(object, "servers", json_servers(r));
    }
    return object;
}

json_t *rotate_json(const char *target, const struct renew_report *reports, size_t n)
{
    json_t *array = json_array();

    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(array, report_json(target, &reports[i]));
    return array;
}

/* ---- for Prometheus ---- */

enum { METRICS_LIMIT = 1 << 20 };

/* A label's value. [src: Prometheus documentation, "Exposition formats"] */
static void label(struct buf *out, const char *name, struct str value)
{
    buf_printf(out, "%s=\"", name);
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '"' || value.p[i] == '\\')
            buf_append_byte(out, '\\');
        buf_append_byte(out, (uint8_t)(value.p[i] == '\n' ? ' ' : value.p[i]));
    }
    buf_append_c(out, "\"");
}

static void labels(struct buf *out, const char *metric, const char *target, const struct renew_report *r)
{
    buf_printf(out, "%s{", metric);
    label(out, "target", str_c(target));
    buf_append_c(out, ",");
    label(out, "pair", r->name);
}

void rotate_metrics_init(struct rotate_metrics *metrics)
{
    metrics->failed = metrics->not_after = metrics->run = BUF_INIT(METRICS_LIMIT);
}

void rotate_metrics_fini(struct rotate_metrics *metrics)
{
    buf_fini(&metrics->failed);
    buf_fini(&metrics->not_after);
    buf_fini(&metrics->run);
}

static void add_failed(struct rotate_metrics *metrics, const char *target, const struct renew_report *r,
                       const char *step)
{
    labels(&metrics->failed, "pgseal_rotate_failed", target, r);
    buf_append_c(&metrics->failed, ",");
    label(&metrics->failed, "step", str_c(step));
    buf_printf(&metrics->failed, "} %d\n", step[0] != '\0');
}

static void add_number(struct buf *out, const char *metric, const char *target, const struct renew_report *r,
                       int64_t value)
{
    labels(out, metric, target, r);
    buf_printf(out, "} %" PRId64 "\n", value);
}

void rotate_metrics_add_unread(struct rotate_metrics *metrics, const char *target, int64_t now_unix_s)
{
    const struct renew_report none = { .name = STR("") };

    add_failed(metrics, target, &none, renew_event_name(RENEW_BEGIN));
    add_number(&metrics->run, "pgseal_rotate_run_seconds", target, &none, now_unix_s);
}

void rotate_metrics_add(struct rotate_metrics *metrics, const char *target,
                        const struct renew_report *reports, size_t n, int64_t now_unix_s)
{
    for (size_t i = 0; i < n; i++) {
        const struct renew_report *r = &reports[i];
        add_failed(metrics, target, r, failed_now(r) ? renew_event_name(r->step) : "");
        if (r->not_after_unix_s != 0)
            add_number(&metrics->not_after, "pgseal_rotate_not_after_seconds", target, r,
                       r->not_after_unix_s);
        add_number(&metrics->run, "pgseal_rotate_run_seconds", target, r, now_unix_s);
    }
}

enum code rotate_metrics_text(const struct rotate_metrics *metrics, struct buf *out, struct err *e)
{
    const struct {
        const char *name, *help;
        const struct buf *lines;
    } families[] = {
        { "pgseal_rotate_failed", "1: the last run could not renew the pair; step says where it ended.",
          &metrics->failed },
        { "pgseal_rotate_not_after_seconds",
          "When the certificate in force expires, or the first of the roots.", &metrics->not_after },
        { "pgseal_rotate_run_seconds", "When it was last looked at.", &metrics->run },
    };

    for (size_t i = 0; i < COUNT_OF(families); i++) {
        buf_printf(out, "# HELP %s %s\n# TYPE %s gauge\n", families[i].name, families[i].help,
                   families[i].name);
        buf_append_buf(out, families[i].lines);
    }
    return buf_ok(out) ? OK : err_set(e, E_LIMIT, "the metrics are longer than %d bytes", METRICS_LIMIT);
}
