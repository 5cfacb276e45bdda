#include "cmd/cert_revoke.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "cmd/cert_job.h"
#include "cmd/certtext.h"
#include "os/owner.h"
#include "pki/journal.h"

#include <openssl/x509.h>

enum { SERIALS_TEXT_LIMIT = 400 };

/* ---- revoke ---- */

/*
 * The serial of a certificate's file (`server` is the gate's own, as for renew), or the argument as people write
 * serials: upper case, colons.
 */
static enum code serial_of(const struct cert_job *job, const char *argument, struct str *out, struct err *e)
{
    AUTO(cert_list) struct cert_list list = { .n = 0 };
    AUTO(buf) struct buf text = BUF_INIT(SERIALS_TEXT_LIMIT);
    char own[OS_PATH_MAX] = "";

    if (job->place.gate_dir[0] && str_is(str_c(argument), "server"))
        TRY(os_path(job->place.gate_dir, "tls/server.crt", own, e));
    const char *file = own[0] && os_exists(own) ? own : argument;
    if (cert_is_path(file) && os_exists(file)) {
        TRY(cert_chain_load(file, &list, e));
        return name_serial_hex(X509_get0_serialNumber(list.items[0]), job->arena, out, e);
    }
    for (const char *c = argument; *c && text.n < SERIALS_TEXT_LIMIT / 2; c++)
        if (*c != ':')
            (void)buf_append_byte(&text, (uint8_t)(*c >= 'A' && *c <= 'F' ? *c - 'A' + 'a' : *c));
    return arena_str(job->arena, buf_str(&text), out) ? OK : err_set(e, E_NOMEM, "out of memory");
}

struct found {
    struct ca_entry *entries;
    bool *match; /* one per entry: this is meant */
    size_t n;    /* all of the journal */
    struct str serial;
    struct str name;
    int64_t now_s;
};

/* The journal's text of a subject is for people: a common name may hold "/CN=", or be escaped. */
static bool bears(const struct cert_job *job, struct ca *ca, const struct ca_entry *entry, struct str name)
{
    AUTO(cert) X509 *cert = NULL;
    struct name_value cn;
    struct err ignored;

    return ca_issued(ca, entry->serial_hex, &cert, &ignored) == OK &&
           name_cn(X509_get_subject_name(cert), job->arena, &cn, &ignored) == OK && cn.present &&
           str_equal(cn.value, name);
}

/* By its serial, or by its name if it is still good for anything. */
static bool matches(const struct cert_job *job, struct ca *ca, const struct found *found,
                    const struct ca_entry *entry)
{
    if (str_equal(entry->serial_hex, found->serial))
        return true;
    return !entry->revoked_unix_s && entry->not_after_unix_s >= found->now_s &&
           bears(job, ca, entry, found->name);
}

static enum code refuse_several(const struct found *found, struct err *e)
{
    AUTO(buf) struct buf serials = BUF_INIT(SERIALS_TEXT_LIMIT);

    for (size_t i = 0; i < found->n; i++)
        if (found->match[i])
            (void)buf_printf(&serials, " %.*s", STR_ARG(found->entries[i].serial_hex));
    (void)err_set(e, E_PARAM, "several certificates have the name \"%.*s\"", STR_ARG(found->name));
    err_detail(e, "Their serial numbers:%.*s%s", STR_ARG(buf_str(&serials)), buf_ok(&serials) ? "" : " ...");
    err_hint(e, "Name one of them, or revoke them all with --all.");
    return E_PARAM;
}

static enum code cert_revoke_find(const struct cert_job *job, struct ca *ca, struct found *found,
                                  struct err *e)
{
    size_t n = 0;

    found->now_s = env_now_s(&job->cmd->env);
    found->name = str_c(job->cmd->args[0]);
    TRY(serial_of(job, job->cmd->args[0], &found->serial, e));
    TRY(ca_entries(ca, job->arena, &found->entries, &found->n, e));
    found->match = arena_array(job->arena, found->n, sizeof *found->match);
    if (!found->match)
        return err_set(e, E_NOMEM, "out of memory");
    for (size_t i = 0; i < found->n; i++)
        n += found->match[i] = matches(job, ca, found, &found->entries[i]);
    if (n == 0)
        return err_set(e, E_UNDEFINED, "this CA has issued no valid certificate \"%s\"", job->cmd->args[0]);
    return n > 1 && !cmd_flag(job->cmd, OPT_cert_all) ? refuse_several(found, e) : OK;
}

static enum code report_revoked(const struct cert_job *job, const struct found *found, enum ca_reason reason,
                                struct err *e)
{
    json_t *array = json_array();

    for (size_t i = 0; i < found->n; i++) {
        const struct ca_entry *entry = &found->entries[i];
        if (!found->match[i])
            continue;
        if (job->cmd->json)
            (void)json_array_append_new(
                array, json_pack("{s:o, s:o, s:s}", "serial_hex", json_of(entry->serial_hex), "subject",
                                 json_of(entry->subject), "reason", ca_reason_name(reason)));
        else
            (void)fprintf(job->cmd->out, "revoked %.*s, %.*s (%s)\n", STR_ARG(entry->subject),
                          STR_ARG(entry->serial_hex), ca_reason_name(reason));
    }
    if (job->cmd->json)
        return json_print(job->cmd->out, array, e);
    json_decref(array);
    return OK;
}

enum code cert_revoke(struct cert_job *job, struct err *e)
{
    AUTO(os_owner) struct os_owner as = { 0 };
    AUTO(ca) struct ca *ca = NULL;
    const char *word = cmd_value(job->cmd, OPT_cert_reason);
    enum ca_reason reason = CA_REASON_UNSPECIFIED;
    struct found found = { .n = 0 };
    unsigned days;

    if (word && !ca_reason_from_name(str_c(word), &reason))
        return err_set(e, E_USAGE, "\"%s\" is not a revocation reason; see pgseal cert --help", word);
    TRY(cert_job_crl_days(job, &days, e));
    TRY(cert_job_ca(job, e));
    TRY(os_owner_enter(ca_place_owner(&job->place), &as, e));
    TRY(ca_place_open(&job->place, CA_SIGN, &job->cmd->env, &ca, e));
    TRY(cert_revoke_find(job, ca, &found, e));
    for (size_t i = 0; i < found.n; i++)
        if (found.match[i])
            TRY(ca_revoke(ca, found.entries[i].serial_hex, reason, e));
    TRY(ca_place_write_crl(&job->place, ca, days, &as, e));
    TRY(report_revoked(job, &found, reason, e));
    ca_place_explain_crl(&job->place, job->cmd, job->arena);
    return OK;
}

/* ---- list ---- */

static const char *state_of(const struct ca_entry *entry, int64_t now_s)
{
    if (entry->revoked_unix_s)
        return "revoked";
    return entry->not_after_unix_s < now_s ? "expired" : "valid";
}

static json_t *entry_json(const struct ca_entry *entry, int64_t now_s)
{
    char issued[TIME_TEXT_MAX], ends[TIME_TEXT_MAX], revoked[TIME_TEXT_MAX];
    json_t *object = json_pack("{s:o, s:s, s:o, s:s, s:s, s:o, s:s}", "serial_hex",
                               json_of(entry->serial_hex), "use", ca_use_name(entry->use), "subject",
                               json_of(entry->subject), "issued", time_text(entry->issued_unix_s, issued),
                               "not_after", time_text(entry->not_after_unix_s, ends), "sha256",
                               json_of(entry->sha256), "state", state_of(entry, now_s));

    if (!object)
        return NULL;
    if (entry->revoked_unix_s) {
        (void)json_object_set_new(object, "revoked", json_string(time_text(entry->revoked_unix_s, revoked)));
        (void)json_object_set_new(object, "reason", json_string(ca_reason_name(entry->reason)));
    } else {
        (void)json_object_set_new(object, "revoked", json_null());
        (void)json_object_set_new(object, "reason", json_null());
    }
    return object;
}

static enum code list_json(const struct cert_job *job, const struct found *found, struct err *e)
{
    json_t *array = json_array();

    for (size_t i = 0; i < found->n; i++)
        (void)json_array_append_new(array, entry_json(&found->entries[i], found->now_s));
    return json_print(job->cmd->out, array, e);
}

static void list_text(const struct cert_job *job, const struct found *found)
{
    FILE *out = job->cmd->out;
    char ends[TIME_TEXT_MAX];

    if (found->n)
        (void)fprintf(out, "%-32s  %-6s  %-7s  %-20s  %s\n", "serial", "use", "state", "until", "subject");
    for (size_t i = 0; i < found->n; i++) {
        const struct ca_entry *entry = &found->entries[i];
        (void)fprintf(out, "%-32.*s  %-6s  %-7s  %-20s  %.*s", STR_ARG(entry->serial_hex),
                      ca_use_name(entry->use), state_of(entry, found->now_s),
                      time_text(entry->not_after_unix_s, ends), STR_ARG(entry->subject));
        if (entry->revoked_unix_s)
            (void)fprintf(out, "  (%s)", ca_reason_name(entry->reason));
        (void)fputc('\n', out);
    }
}

enum code cert_list_issued(struct cert_job *job, struct err *e)
{
    AUTO(ca) struct ca *ca = NULL;
    struct found found = { .now_s = env_now_s(&job->cmd->env) };

    TRY(cert_job_ca(job, e));
    TRY(ca_place_open(&job->place, CA_READ, &job->cmd->env, &ca, e));
    TRY(ca_entries(ca, job->arena, &found.entries, &found.n, e));
    if (job->cmd->json)
        return list_json(job, &found, e);
    list_text(job, &found);
    return OK;
}
