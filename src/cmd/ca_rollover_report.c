/* The reports of a rollover. */
#include "cmd/ca_rollover_report.h"

#include "base/arena.h"
#include "base/check.h"
#include "client/pasted_words.h"
#include "cmd/certtext.h"
#include "conf/settings.h"
#include "pki/expiry.h"
#include "renew/rollover_steps.h"

#include <ctype.h>
#include <inttypes.h>

enum {
    TEXT_ARENA = 1 << 20,
    TEXT_FIRST = 4096,
    DAY_S = 86400,
    HOUR_S = 3600,
    MINUTE_S = 60,
    SILENCE_MAX = 32,
    MICROS = 1000000
};

/* ---- words ---- */

/* "3 d", "5 h", "2 min", "now". */
static const char *silence_text(int64_t seconds, char out[SILENCE_MAX])
{
    if (seconds >= DAY_S)
        (void)snprintf(out, SILENCE_MAX, "%" PRId64 " d", seconds / DAY_S);
    else if (seconds >= HOUR_S)
        (void)snprintf(out, SILENCE_MAX, "%" PRId64 " h", seconds / HOUR_S);
    else if (seconds >= MINUTE_S)
        (void)snprintf(out, SILENCE_MAX, "%" PRId64 " min", seconds / MINUTE_S);
    else
        (void)snprintf(out, SILENCE_MAX, "now");
    return out;
}

static const char *sides_text(const struct rollover *r)
{
    return r->server_side && r->client_side ? "server CA and client CA"
           : r->server_side                 ? "server CA"
                                            : "client CA";
}

static const char *issuer_name(enum rollover_issuer issuer)
{
    static const char *const names[] = {
        [ROLLOVER_ISSUER_OLD] = "old", [ROLLOVER_ISSUER_NEXT] = "new", [ROLLOVER_ISSUER_OTHER] = "other"
    };

    return names[issuer];
}

static const char *holds_text(const struct rollover_holds *holds)
{
    return holds->old && holds->next ? "old and new" : holds->next ? "new" : "old";
}

/* What to do next. */
static const char *next_verb(const struct rollover *r)
{
    switch (r->past.phase) {
    case ROLLOVER_IDLE:
    case ROLLOVER_FINISHED:
    case ROLLOVER_ABORTED:
    case ROLLOVER_STARTING:
        return "start";
    case ROLLOVER_STARTED:
    case ROLLOVER_ISSUING:
        return "servers";
    case ROLLOVER_ISSUED:
    case ROLLOVER_FINISHING:
        return "finish";
    case ROLLOVER_ABORTING:
        break;
    }
    return "abort";
}

static const char *phase_text(enum rollover_phase phase)
{
    switch (phase) {
    case ROLLOVER_IDLE:
        return "no rollover is under way";
    case ROLLOVER_STARTING:
        return "\"start\" was interrupted; the new CA has issued nothing";
    case ROLLOVER_STARTED:
        return "started: both roots are in force, the old CA's certificates are served";
    case ROLLOVER_ISSUING:
        return "\"servers\" was interrupted; both roots are in force";
    case ROLLOVER_ISSUED:
        return "issued: both roots are in force, the new CA's certificates are served";
    case ROLLOVER_FINISHING:
        return "\"finish\" was interrupted; the new CA's certificates are served";
    case ROLLOVER_FINISHED:
        return "no rollover is under way; the last one was finished";
    case ROLLOVER_ABORTING:
        return "\"abort\" was interrupted";
    case ROLLOVER_ABORTED:
        break;
    }
    return "no rollover is under way; the last one was aborted";
}

/* ---- status, for people ---- */

static void print_phase(const struct cmd *cmd, const struct rollover *r)
{
    char date[EXPIRY_DATE_SIZE];

    (void)fprintf(cmd->out, "%s\n", phase_text(r->past.phase));
    if (r->busy)
        (void)fprintf(cmd->out, "  Another process is working on it.\n");
    if (r->past.start_unix_s)
        (void)fprintf(cmd->out, "  started      %s\n  this step    %s\n",
                      expiry_date(r->past.start_unix_s, date),
                      expiry_date(r->past.phase_unix_s, (char[EXPIRY_DATE_SIZE]){ 0 }));
    if (rollover_unfinished(r->past.phase) && !r->busy)
        (void)fprintf(
            cmd->out,
            "  Interrupted at the step \"%s\". Run \"%s\" again to continue, or \"abort\" to go back.\n",
            r->past.step ? rollover_step_name(r->past.step) : "begin", next_verb(r));
    if (r->past.failed.n > 0)
        (void)fprintf(cmd->out, "  The last attempt failed: %.*s\n", STR_ARG(r->past.failed));
}

static void print_roots(const struct cmd *cmd, const char *title, const struct cert_list *roots,
                        int64_t now_s)
{
    AUTO(arena) struct arena arena = { .blocks = NULL };
    char date[EXPIRY_DATE_SIZE];
    struct cert_info info;
    struct err ignored;

    arena_init(&arena, TEXT_ARENA, TEXT_FIRST);
    for (size_t i = 0; i < roots->n; i++)
        if (cert_describe(roots->items[i], &arena, &info, &ignored) == OK)
            (void)fprintf(cmd->out, "  %-12s %.*s, valid until %s (%" PRId64 " days)\n", title,
                          STR_ARG(info.subject), expiry_date(info.not_after_unix_s, date),
                          expiry_judge(info.not_before_unix_s, info.not_after_unix_s, now_s).days_left);
}

static void print_files(const struct cmd *cmd, const struct rollover *r)
{
    for (size_t i = 0; i < r->n_files; i++)
        (void)fprintf(cmd->out, "  %-12s %.*s (%.*s)\n", holds_text(&r->files[i].holds),
                      STR_ARG(r->files[i].path), STR_ARG(r->files[i].setting));
    for (size_t i = 0; i < r->n_pairs; i++)
        if (r->pairs[i].issuer != ROLLOVER_ISSUER_OTHER)
            (void)fprintf(cmd->out, "  %-12s %.*s, issued by the %s CA\n", "certificate",
                          STR_ARG(r->pairs[i].cert), issuer_name(r->pairs[i].issuer));
}

static void print_client(const struct cmd *cmd, const struct rollover_verdict *v, int64_t now_s)
{
    const struct rollover_client *c = v->client;
    char silence[SILENCE_MAX];

    (void)fprintf(
        cmd->out, "  %s%-15s%s  %-7s  %.*s%s%.*s",
        v->state == ROLLOVER_READY_READY  ? cmd_tint(cmd, TINT_GOOD)
        : v->breaks == ROLLOVER_BREAKS_NO ? ""
                                          : cmd_tint(cmd, TINT_BAD),
        rollover_readiness_name(v->state),
        v->state == ROLLOVER_READY_READY || v->breaks != ROLLOVER_BREAKS_NO ? cmd_tint_end(cmd) : "",
        silence_text(now_s - c->seen_unix_s, silence), STR_ARG(c->user.n ? c->user : STR("(no user named)")),
        c->address.n ? " from " : ", local", STR_ARG(c->address));
    if (c->application.n > 0)
        (void)fprintf(cmd->out, ", %.*s", STR_ARG(c->application));
    (void)fprintf(cmd->out, ": %s", v->why);
    if (c->not_tested.n > 0 && v->state == ROLLOVER_READY_UNPROVED)
        (void)fprintf(cmd->out, "; its address is not tested: %.*s", STR_ARG(c->not_tested));
    (void)fprintf(cmd->out, "%s%s\n", v->recent ? "" : "; too long ago to count",
                  v->accepted ? "; accepted" : "");
}

static void print_clients(const struct cmd *cmd, const struct rollover_report *report)
{
    const struct rollover_verdicts *all = report->verdicts;
    char date[EXPIRY_DATE_SIZE];

    if (!all) {
        (void)fprintf(cmd->out, "clients: not known: %s\n",
                      report->unseen.code == OK ? "the gate was not asked" : err_text(&report->unseen));
        return;
    }
    if (report->as_of_unix_s > 0)
        (void)fprintf(cmd->out,
                      "the gate does not answer: %s\n"
                      "its clients are read from the file " STATE_CLIENTS ", as of %s\n",
                      err_text(&report->unseen), expiry_date(report->as_of_unix_s, date));
    (void)fprintf(
        cmd->out,
        "clients (state, silent for, who, why): %zu, of which %zu are not ready and were seen within %u days\n",
        all->n, all->waiting, report->seen_days);
    for (size_t i = 0; i < all->n; i++)
        print_client(cmd, &all->items[i], report->now_unix_s);
    if (report->full)
        (void)fprintf(cmd->out,
                      "pgseal_clients is full: clients may have been forgotten; raise clients_limit\n");
}

/* The pair with which clients prove that they know the new CA. */
static bool find_proof(const struct rollover *r, char cert[OS_PATH_MAX], char key[OS_PATH_MAX])
{
    struct err ignored;

    if (r->past.own)
        return rollover_pair_paths(r, cert, key, &ignored) == OK && os_exists(cert) && os_exists(key);
    if (r->past.phase != ROLLOVER_ISSUED || !r->target.has_server)
        return false;
    return os_path("", r->target.server_cert, cert, &ignored) == OK &&
           os_path("", r->target.server_key, key, &ignored) == OK;
}

static void print_probe(const struct cmd *cmd, const struct rollover *r)
{
    char cert[OS_PATH_MAX], key[OS_PATH_MAX];

    if (r->foreign_probe)
        (void)fprintf(cmd->out,
                      "rollover_cert_file was not issued by the new CA: it proves nothing about that CA\n");
    if (!r->no_probe || !r->server_side)
        return;
    (void)fprintf(cmd->out, "rollover_cert_file is not set: no client can prove that it knows the new CA\n");
    if (find_proof(r, cert, key))
        (void)fprintf(cmd->out,
                      "  Set these in %s/pgseal.conf, and run: pgseal reload -D %s\n"
                      "  rollover_cert_file = '%s'\n  rollover_key_file = '%s'\n%s",
                      r->target.dir, r->target.dir, cert, key,
                      r->past.phase == ROLLOVER_STARTED ? "  rollover_probe = '1%'\n" : "");
}

/* A word of a shell. */
static void print_word(const struct cmd *cmd, struct str word)
{
    bool plain = word.n > 0;

    for (size_t i = 0; i < word.n; i++)
        plain = plain && (isalnum((unsigned char)word.p[i]) || strchr("/._-+@:,", word.p[i]));
    if (!plain)
        (void)fputc('\'', cmd->out);
    for (size_t i = 0; i < word.n; i++)
        (void)(word.p[i] == '\'' ? fputs("'\\''", cmd->out) : fputc(word.p[i], cmd->out));
    if (!plain)
        (void)fputc('\'', cmd->out);
}

/* The clients still have the files that were copied from these. */
static void print_client_files(const struct cmd *cmd, const struct rollover_report *report)
{
    const struct rollover *r = report->state;
    char dir[OS_PATH_MAX];

    if (report->n_client_files == 0)
        return;
    bool known = rollover_find_ca(r, true, dir);
    bool named = known && strcmp(dir, r->target.ca_dir) != 0;
    (void)fprintf(cmd->out, "client certificates of the old CA: %zu. %s, and give them to the clients:\n",
                  report->n_client_files, known ? "Renew them" : "Have the new CA issue them");
    for (size_t i = 0; i < report->n_client_files; i++) {
        (void)fprintf(cmd->out, "  %s", known ? "pgseal cert renew -D " : "");
        if (known)
            print_word(cmd, str_c(r->target.dir));
        if (named) {
            (void)fprintf(cmd->out, " --ca ");
            print_word(cmd, str_c(dir));
        }
        (void)fprintf(cmd->out, "%s", known ? " " : "");
        print_word(cmd, report->client_files[i]);
        (void)fprintf(cmd->out, "\n");
    }
}

/* Of somebody else's CA: what the operator has to bring before "servers" can go on. */
static bool print_to_bring(const struct cmd *cmd, const struct rollover *r)
{
    struct err ignored;
    struct str how;
    bool any = false;

    if (r->past.own || (r->past.phase != ROLLOVER_STARTED && r->past.phase != ROLLOVER_ISSUING))
        return false;
    for (size_t i = 0; i < r->n_pairs; i++) {
        if (!rollover_is_to_bring(r, &r->pairs[i]) ||
            rollover_how_to_bring(r, &r->pairs[i], &how, &ignored) != OK)
            continue;
        (void)fprintf(cmd->out, "Next: when the clients are ready, %.*s\n", STR_ARG(how));
        any = true;
    }
    return any;
}

void rollover_print_status(const struct cmd *cmd, const struct rollover_report *report)
{
    const struct rollover *r = report->state;

    print_phase(cmd, r);
    if (!rollover_open_phase(r->past.phase)) {
        (void)fprintf(cmd->out, "Start one with: pgseal ca rollover start -D %s\n", r->target.dir);
        return;
    }
    (void)fprintf(cmd->out, "%s, %s\n", sides_text(r), r->past.own ? "the gate's own" : "not the gate's own");
    print_roots(cmd, "old root", &r->old, report->now_unix_s);
    print_roots(cmd, "new root", &r->next, report->now_unix_s);
    print_files(cmd, r);
    print_probe(cmd, r);
    print_clients(cmd, report);
    for (size_t i = 0; report->obstacles && i < report->obstacles->n; i++)
        (void)fprintf(cmd->out, "not ready: %.*s\n", STR_ARG(report->obstacles->items[i]));
    print_client_files(cmd, report);
    if (!print_to_bring(cmd, r))
        (void)fprintf(cmd->out, "Next: pgseal ca rollover %s -D %s\n", next_verb(r), r->target.dir);
}

/* ---- after start ---- */

static void print_settings(const struct cmd *cmd, const struct rollover *r)
{
    if (!r->server_side)
        return;
    if (!r->past.own)
        (void)fprintf(
            cmd->out,
            "To see who knows the new CA, have it issue a certificate with the names of the gate's, and set "
            "rollover_cert_file, rollover_key_file and rollover_probe (docs/evidence.md).\n");
    else
        (void)fprintf(
            cmd->out,
            "To see who verifies certificates at all, set these as well, after: pgseal cert issue -D %s "
            "canary --host canary.invalid --out %s/tls\n"
            "  canary = '0.1%%'\n  canary_cert_file = 'tls/canary.crt'\n  canary_key_file = "
            "'tls/canary.key'\n",
            r->target.dir, r->target.dir);
    (void)fprintf(
        cmd->out,
        "A connection that is tested fails if the client does not know the new CA, or verifies as it should "
        "(docs/evidence.md).\n");
}

static const char *again_text(enum pasted_again again)
{
    switch (again) {
    case PASTED_AGAIN_NEXT:
        return "reads it at the next connection";
    case PASTED_AGAIN_RESTART:
        return "does not read it again: restart the application";
    case PASTED_AGAIN_UNKNOWN:
        break;
    }
    return "may not read it again: restart the application";
}

static const enum pasted_driver all_drivers[] = {
#define X(name, driver, word, from, before, title, unset, ssl, require, reading, system, binding, direct,    \
          again, unless, changes)                                                                            \
    PASTED_##name,
#include "drivers.def"
#undef X
};

static void print_drivers(const struct cmd *cmd)
{
    (void)fprintf(cmd->out, "When a client's file is replaced, its driver\n");
    for (size_t i = 0; i < COUNT_OF(all_drivers); i++) {
        const struct pasted_reader *reader = pasted_reader(all_drivers[i]);
        if (pasted_family(all_drivers[i]) != all_drivers[i])
            continue;
        (void)fprintf(cmd->out, "  %-20s %s%s%s\n", reader->title, again_text(reader->again),
                      reader->unless[0] ? "; " : "", reader->unless);
    }
}

void rollover_print_started(const struct cmd *cmd, const struct rollover_report *report)
{
    const struct rollover *r = report->state;

    rollover_print_status(cmd, report);
    print_settings(cmd, r);
    for (size_t i = 0; i < r->n_files; i++)
        if (!r->files[i].lists && r->server_side) {
            (void)fprintf(cmd->out, "Clients need the old root and the new one as their sslrootcert: %.*s\n",
                          STR_ARG(r->files[i].path));
            break;
        }
    if (r->server_side)
        print_drivers(cmd);
}

/* ---- who is not ready ---- */

void rollover_print_unready(const struct cmd *cmd, const struct rollover_report *report, bool forced)
{
    const struct rollover_verdicts *all = report->verdicts;

    if (!all)
        (void)fprintf(cmd->out, "%s: what clients know: %s\n", forced ? "not known" : "not ready",
                      report->unseen.code == OK ? "the gate was not asked" : err_text(&report->unseen));
    for (size_t i = 0; all && i < all->n; i++) {
        const struct rollover_verdict *v = &all->items[i];
        if (!v->recent || v->state == ROLLOVER_READY_READY || (v->accepted && !forced))
            continue;
        (void)fprintf(cmd->out, "%s",
                      forced ? v->breaks == ROLLOVER_BREAKS_YES     ? "breaks:   "
                               : v->breaks == ROLLOVER_BREAKS_MAYBE ? "may break:"
                                                                    : "goes on:  "
                             : "not ready:");
        print_client(cmd, v, report->now_unix_s);
    }
    if (report->full)
        (void)fprintf(cmd->out,
                      "%s  pgseal_clients is full: clients may have been forgotten; raise clients_limit\n",
                      forced ? "may break:" : "not ready:");
    for (size_t i = 0; report->obstacles && i < report->obstacles->n; i++)
        (void)fprintf(cmd->out, "%s  %.*s\n",
                      forced ? "breaks:   " : "not ready:", STR_ARG(report->obstacles->items[i]));
}

/* ---- for programs ---- */

static json_t *json_time(int64_t unix_s)
{
    char text[TIME_TEXT_MAX];

    return unix_s == 0 ? json_null() : json_string(time_text(unix_s, text));
}

static json_t *json_roots(const struct cert_list *roots, int64_t now_s)
{
    AUTO(arena) struct arena arena = { .blocks = NULL };
    json_t *array = json_array();
    struct cert_info info;
    struct err ignored;

    arena_init(&arena, TEXT_ARENA, TEXT_FIRST);
    for (size_t i = 0; i < roots->n; i++)
        if (cert_describe(roots->items[i], &arena, &info, &ignored) == OK)
            (void)json_array_append_new(array, cert_json(&info, now_s));
    return array;
}

static json_t *json_files(const struct rollover *r)
{
    json_t *array = json_array();

    for (size_t i = 0; i < r->n_files; i++)
        (void)json_array_append_new(
            array, json_pack("{s:o, s:o, s:s, s:b, s:b}", "file", json_of(r->files[i].path), "setting",
                             json_of(r->files[i].setting), "kind", r->files[i].lists ? "lists" : "roots",
                             "old", (int)r->files[i].holds.old, "new",
                             (int)(r->files[i].holds.next && !r->files[i].holds.missing)));
    return array;
}

static json_t *json_pairs(const struct rollover *r)
{
    json_t *array = json_array();

    for (size_t i = 0; i < r->n_pairs; i++)
        (void)json_array_append_new(
            array, json_pack("{s:o, s:o, s:s, s:o}", "name", json_of(r->pairs[i].name), "file",
                             json_of(r->pairs[i].cert), "issuer", issuer_name(r->pairs[i].issuer),
                             "not_after", json_time(r->pairs[i].not_after_unix_s)));
    return array;
}

static json_t *json_client_files(const struct rollover_report *report)
{
    json_t *array = json_array();

    for (size_t i = 0; i < report->n_client_files; i++)
        (void)json_array_append_new(array, json_of(report->client_files[i]));
    return array;
}

static json_t *json_text_or_null(struct str text)
{
    return text.n > 0 ? json_of(text) : json_null();
}

static json_t *json_client(const struct rollover_verdict *v, int64_t now_s)
{
    const struct rollover_client *c = v->client;

    return json_pack(
        "{s:o, s:o, s:o, s:s, s:s, s:s, s:b, s:b, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "user",
        json_text_or_null(c->user), "address", json_text_or_null(c->address), "application",
        json_text_or_null(c->application), "state", rollover_readiness_name(v->state), "why", v->why,
        "breaks", rollover_breaks_name(v->breaks), "counts", (int)v->recent, "accepted", (int)v->accepted,
        "last_seen", json_time(c->seen_unix_s), "silent_seconds", (json_int_t)(now_s - c->seen_unix_s),
        "verifies", json_text_or_null(c->verifies), "verified_at", json_time(c->verified_unix_s), "proved_at",
        json_time(c->next_us / MICROS), "failed_at", json_time(c->failed_us / MICROS), "not_tested",
        json_text_or_null(c->not_tested), "cert_issuer", json_text_or_null(c->cert_issuer), "cert_not_after",
        json_time(c->cert_end_unix_s));
}

static json_t *json_clients(const struct rollover_report *report)
{
    json_t *array = report->verdicts ? json_array() : json_null();

    for (size_t i = 0; report->verdicts && i < report->verdicts->n; i++)
        (void)json_array_append_new(array, json_client(&report->verdicts->items[i], report->now_unix_s));
    return array;
}

/* What to do where a driver's file of roots was replaced. */
static json_t *json_drivers(const struct rollover *r)
{
    static const char *const again[] = { [PASTED_AGAIN_NEXT] = "next connection",
                                         [PASTED_AGAIN_RESTART] = "restart",
                                         [PASTED_AGAIN_UNKNOWN] = "unknown" };
    json_t *array = json_array();

    for (size_t i = 0; r->server_side && i < COUNT_OF(all_drivers); i++) {
        const struct pasted_reader *reader = pasted_reader(all_drivers[i]);
        if (pasted_family(all_drivers[i]) == all_drivers[i])
            (void)json_array_append_new(array,
                                        json_pack("{s:s, s:s, s:s}", "driver", reader->title, "reads_again",
                                                  again[reader->again], "unless", reader->unless));
    }
    return array;
}

static json_t *json_obstacles(const struct rollover_obstacles *obstacles)
{
    json_t *array = json_array();

    for (size_t i = 0; obstacles && i < obstacles->n; i++)
        (void)json_array_append_new(array, json_of(obstacles->items[i]));
    return array;
}

json_t *rollover_json(const struct rollover_report *report)
{
    const struct rollover *r = report->state;
    bool open = rollover_open_phase(r->past.phase);

    return json_pack(
        "{s:s, s:b, s:b, s:o, s:o, s:o, s:o, s:b, s:b, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:o, s:b, s:s}",
        "phase", rollover_phase_name(r->past.phase), "interrupted",
        (int)(rollover_unfinished(r->past.phase) && !r->busy), "running", (int)r->busy, "step",
        json_text_or_null(str_c(rollover_step_name(r->past.step))), "failed",
        json_text_or_null(r->past.failed), "started_at", json_time(r->past.start_unix_s), "since",
        json_time(r->past.phase_unix_s), "own", (int)r->past.own, "server_side",
        (int)(open && r->server_side), "client_side", (int)(open && r->client_side), "foreign_probe",
        (int)r->foreign_probe, "drivers", json_drivers(r), "old", json_roots(&r->old, report->now_unix_s),
        "new", json_roots(&r->next, report->now_unix_s), "files", json_files(r), "certificates",
        json_pairs(r), "client_files", json_client_files(report), "clients", json_clients(report),
        "clients_as_of", json_time(report->as_of_unix_s), "unseen",
        report->unseen.code == OK ? json_null() : json_string(err_text(&report->unseen)), "obstacles",
        json_obstacles(report->obstacles), "clients_full", (int)report->full, "next", next_verb(r));
}
