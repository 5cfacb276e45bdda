/* Reports of the probe, shown. */
#include "cmd/probe_report.h"

#include "client/pasted.h"
#include "cmd/certtext.h"
#include "cmd/cmd.h"
#include "probe/problems.h"

enum { LABEL_WIDTH = 23, LINE_WIDTH = 100 }; /* columns of the text report */

static const char *const proofs[] = { [PROOF_NO] = "no", [PROOF_CA] = "ca", [PROOF_FULL] = "full" };

/* ---- for people ---- */

/* Words of a stranger: control bytes would move the cursor or colour the screen. */
static void say_text(FILE *out, struct str text, const char *indent)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c == '\n')
            (void)fprintf(out, "\n%s", indent);
        else if (c == '\t')
            (void)fputs("    ", out);
        else if (c < 0x20 || c == 0x7f)
            (void)fprintf(out, "\\x%02x", c);
        else
            (void)fputc(c, out);
    }
}

/* The table says which endpoint it is about: "connection to server at … failed: " and advice can go. */
static void say_error(FILE *out, struct str error, const char *indent)
{
    struct str line;
    bool first = true;

    while (str_split(&error, '\n', &line)) {
        if (str_starts(line, STR("\t")))
            continue;
        (void)fprintf(out, "%s%s", first ? "" : "\n", first ? "" : indent);
        say_text(out, probe_short_error(line), indent);
        first = false;
    }
}

static void say_modes(const struct cmd *cmd, const struct probe_report *r)
{
    static const char *const proves[] = {
        [PROOF_NO] = "nothing", [PROOF_CA] = "a CA you trust", [PROOF_FULL] = "this host"
    };

    (void)fprintf(cmd->out, "\n  %-12s %-9s %-10s %s\n", "sslmode", "connects", "encrypted", "proves");
    for (unsigned mode = 0; mode < PROBE_MODES; mode++) {
        const struct mode_verdict *v = &r->modes[mode];
        (void)fprintf(cmd->out, "  %-12s %-9s ", sslmode_name((enum sslmode)mode),
                      v->connects ? "yes" : "no");
        if (v->connects) {
            (void)fprintf(cmd->out, "%-10s %s\n", v->encrypted ? "yes" : "no", proves[v->verified]);
            continue;
        }
        say_error(cmd->out, v->error, "                         ");
        (void)fputc('\n', cmd->out);
    }
}

/* What the connection string itself amounts to. */
static void say_written(const struct cmd *cmd, const struct probe_report *r)
{
    const struct pasted *p = r->target.pasted;
    struct conn_meaning m = r->meaning;

    if (!p)
        return;
    (void)fprintf(cmd->out, "\n  As written, %s %s, and verifies %s.\n", pasted_driver_name(p->driver),
                  m.encrypts ? "always encrypts"
                  : m.tries  ? "continues unencrypted if the server has no TLS"
                             : "does not require encryption",
                  m.name    ? "this host"
                  : m.chain ? "the CA, not the host"
                            : "nothing");
    for (size_t i = 0; i < p->n_notes; i++) {
        (void)fputs("    ", cmd->out);
        say_text(cmd->out, p->notes[i], "    ");
        (void)fputc('\n', cmd->out);
    }
}

static void say_list(const struct cmd *cmd, const char *label, const struct str_list_of *list)
{
    if (list->n == 0)
        return;
    size_t column = LABEL_WIDTH;
    (void)fprintf(cmd->out, "  %-20s ", label);
    for (size_t i = 0; i < list->n; i++) {
        column += list->items[i].n + 2;
        if (i > 0 && column > LINE_WIDTH) {
            (void)fprintf(cmd->out, ",\n%*s", LABEL_WIDTH, "");
            column = LABEL_WIDTH + list->items[i].n + 2;
        } else if (i > 0) {
            (void)fputs(", ", cmd->out);
        }
        say_text(cmd->out, list->items[i], "");
    }
    (void)fputc('\n', cmd->out);
}

static void say_auth(const struct cmd *cmd, const char *label, const struct auth_seen *auth)
{
    (void)fprintf(cmd->out, "  %-20s ", label);
    if (auth->reached)
        say_text(cmd->out, auth->method, "");
    else
        say_text(cmd->out, auth->refusal, "                       ");
    (void)fputs(auth->scram_plus ? ", channel binding offered\n" : "\n", cmd->out);
}

static const char *answer_text(char answer, char buf[2])
{
    buf[0] = answer > ' ' && answer < 0x7f ? answer : '?';
    buf[1] = '\0';
    return answer ? buf : "none";
}

static void say_negotiation(const struct cmd *cmd, const struct probe_report *r)
{
    char ssl[2], gss[2];

    (void)fprintf(cmd->out, "  %-20s SSLRequest %s, GSSENCRequest %s, direct TLS %s\n", "answers",
                  answer_text(r->ssl_answer, ssl), answer_text(r->gss_answer, gss),
                  r->direct_tls == ANSWER_YES ? "yes" : "no");
    if (!r->tls)
        return;
    (void)fprintf(cmd->out, "  %-20s %.*s, %.*s, %.*s%s\n", "TLS", STR_ARG(r->tls_version),
                  STR_ARG(r->tls_cipher), STR_ARG(r->tls_group), r->alpn ? ", ALPN postgresql" : "");
    (void)fprintf(cmd->out, "  %-20s %s\n", "client certificate",
                  r->cert_requested ? "asked for" : "not asked for");
    say_list(cmd, "accepted CAs", &r->ca_names);
    say_list(cmd, "protocols", &r->protocols);
    say_list(cmd, "ciphers", &r->ciphers);
    say_list(cmd, "groups", &r->groups);
}

static void say_facts(const struct cmd *cmd, const struct probe_report *r)
{
    (void)fputc('\n', cmd->out);
    for (size_t i = 0; i < r->n_addresses; i++) {
        (void)fprintf(cmd->out, "  %-20s %.*s%s", i ? "" : "addresses", STR_ARG(r->addresses[i].text),
                      r->addresses[i].reachable ? "\n" : ": ");
        if (r->addresses[i].reachable)
            continue;
        say_text(cmd->out, r->addresses[i].error, "");
        (void)fputc('\n', cmd->out);
    }
    if (!r->reachable)
        return;
    if (!r->unix_socket)
        say_negotiation(cmd, r);
    say_auth(cmd, r->unix_socket ? "authentication" : "auth without TLS", &r->auth_plain);
    if (r->tls)
        say_auth(cmd, "auth over TLS", &r->auth_tls);
}

static void say_chain(const struct cmd *cmd, const struct probe_report *r)
{
    for (size_t i = 0; i < r->n_chain; i++) {
        (void)fprintf(cmd->out, "\n  certificate %zu\n", i);
        cert_print(cmd->out, &r->chain[i], env_now_s(&cmd->env));
    }
}

static void say_problems(const struct cmd *cmd, const struct probe_report *r)
{
    if (r->n_problems > 0)
        (void)fputs("\n  problems\n", cmd->out);
    for (int severity = PROBLEM_HIGH; severity >= PROBLEM_LOW; severity--) {
        for (size_t i = 0; i < r->n_problems; i++) {
            const struct problem *p = &r->problems[i];
            if (p->severity != (enum problem_severity)severity)
                continue;
            (void)fprintf(cmd->out, "  %-8s %s: ", problem_severity_name(p->severity), p->id);
            say_text(cmd->out, p->what, "           ");
            (void)fputc('\n', cmd->out);
        }
    }
}

void probe_print(const struct cmd *cmd, const struct probe_report *r)
{
    (void)fprintf(cmd->out, "%.*s: %ssafe for verify-full: %s%s, because ", STR_ARG(r->target.text),
                  cmd_tint(cmd, r->safe ? TINT_GOOD : TINT_BAD), r->safe ? "yes" : "no", cmd_tint_end(cmd));
    say_text(cmd->out, r->because, "");
    (void)fputc('\n', cmd->out);
    say_modes(cmd, r);
    say_written(cmd, r);
    say_facts(cmd, r);
    say_chain(cmd, r);
    say_problems(cmd, r);
}

/* ---- JSON ---- */

static json_t *written_json(const struct probe_report *r)
{
    const struct pasted *p = r->target.pasted;
    json_t *o, *notes;

    if (!p)
        return json_null();
    o = json_object();
    notes = json_array();
    for (size_t i = 0; i < p->n_notes; i++)
        (void)json_array_append_new(notes, json_of(p->notes[i]));
    (void)json_object_set_new(o, "driver", json_string(pasted_driver_name(p->driver)));
    (void)json_object_set_new(o, "encrypts", json_boolean(r->meaning.encrypts));
    (void)json_object_set_new(o, "verified",
                              json_string(proofs[r->meaning.name    ? PROOF_FULL
                                                 : r->meaning.chain ? PROOF_CA
                                                                    : PROOF_NO]));
    (void)json_object_set_new(o, "notes", notes);
    return o;
}

static void probe_report_put(json_t *object, const char *name, json_t *value)
{
    (void)json_object_set_new(object, name, value);
}

static json_t *probe_report_text_or_null(struct str text)
{
    return text.n > 0 ? json_of(text) : json_null();
}

static json_t *byte_or_null(char c)
{
    char text[2];

    return c ? json_string(answer_text(c, text)) : json_null();
}

static json_t *list_json(const struct str_list_of *list)
{
    json_t *array = json_array();

    for (size_t i = 0; i < list->n; i++)
        (void)json_array_append_new(array, json_of(list->items[i]));
    return array;
}

static json_t *modes_json(const struct probe_report *r)
{
    json_t *array = json_array();

    for (unsigned mode = 0; mode < PROBE_MODES; mode++) {
        const struct mode_verdict *v = &r->modes[mode];
        json_t *o = json_object();
        probe_report_put(o, "sslmode", json_string(sslmode_name((enum sslmode)mode)));
        probe_report_put(o, "connects", json_boolean(v->connects));
        probe_report_put(o, "encrypted", json_boolean(v->encrypted));
        probe_report_put(o, "verified", json_string(proofs[v->verified]));
        probe_report_put(o, "error", v->connects ? json_null() : json_of(v->error));
        (void)json_array_append_new(array, o);
    }
    return array;
}

static json_t *addresses_json(const struct probe_report *r)
{
    json_t *array = json_array();
    char hex[CERT_SHA256_TEXT];

    for (size_t i = 0; i < r->n_addresses; i++) {
        const struct address_seen *a = &r->addresses[i];
        json_t *o = json_object();
        probe_report_put(o, "address", json_of(a->text));
        probe_report_put(o, "reachable", json_boolean(a->reachable));
        cert_sha256_text(a->sha256, hex);
        probe_report_put(o, "sha256", a->has_certificate ? json_string(hex) : json_null());
        probe_report_put(o, "error", probe_report_text_or_null(a->error));
        (void)json_array_append_new(array, o);
    }
    return array;
}

static json_t *chain_json(const struct probe_report *r, int64_t now_s)
{
    json_t *array = json_array();

    for (size_t i = 0; i < r->n_chain; i++)
        (void)json_array_append_new(array, cert_json(&r->chain[i], now_s));
    return array;
}

static json_t *problems_json(const struct probe_report *r)
{
    json_t *array = json_array();

    for (size_t i = 0; i < r->n_problems; i++) {
        json_t *o = json_object();
        probe_report_put(o, "id", json_string(r->problems[i].id));
        probe_report_put(o, "severity", json_string(problem_severity_name(r->problems[i].severity)));
        probe_report_put(o, "what", json_of(r->problems[i].what));
        (void)json_array_append_new(array, o);
    }
    return array;
}

static void put_auth(json_t *o, const char *name, const char *refusal_name, const struct auth_seen *auth)
{
    probe_report_put(o, name, auth->reached ? probe_report_text_or_null(auth->method) : json_null());
    probe_report_put(o, refusal_name, probe_report_text_or_null(auth->refusal));
}

static json_t *report_json(const struct probe_report *r, int64_t now_s)
{
    json_t *o = json_object();

    probe_report_put(o, "endpoint", json_of(r->target.text));
    probe_report_put(o, "reachable", json_boolean(r->reachable));
    probe_report_put(o, "safe", json_boolean(r->safe));
    probe_report_put(o, "because", json_of(r->because));
    probe_report_put(o, "sslmodes", modes_json(r));
    probe_report_put(o, "written", written_json(r));
    probe_report_put(o, "addresses", addresses_json(r));
    probe_report_put(o, "plaintext_accepted", json_boolean(r->auth_plain.reached));
    probe_report_put(o, "sslrequest", byte_or_null(r->ssl_answer));
    probe_report_put(o, "gssenc", byte_or_null(r->gss_answer));
    probe_report_put(o, "direct_tls", json_boolean(r->direct_tls == ANSWER_YES));
    probe_report_put(o, "direct_tls_without_alpn", json_boolean(r->direct_no_alpn == ANSWER_YES));
    probe_report_put(o, "injected_bytes_accepted", json_boolean(r->injected == ANSWER_YES));
    probe_report_put(o, "alpn", r->alpn ? json_string("postgresql") : json_null());
    probe_report_put(o, "tls_version", probe_report_text_or_null(r->tls_version));
    probe_report_put(o, "tls_cipher", probe_report_text_or_null(r->tls_cipher));
    probe_report_put(o, "tls_group", probe_report_text_or_null(r->tls_group));
    probe_report_put(o, "tls_error", probe_report_text_or_null(r->tls_error));
    probe_report_put(o, "protocols", list_json(&r->protocols));
    probe_report_put(o, "ciphers", list_json(&r->ciphers));
    probe_report_put(o, "groups", list_json(&r->groups));
    put_auth(o, "auth_plain", "auth_plain_refusal", &r->auth_plain);
    put_auth(o, "auth_tls", "auth_tls_refusal", &r->auth_tls);
    probe_report_put(o, "scram_plus", json_boolean(r->auth_tls.scram_plus));
    probe_report_put(o, "client_cert_requested", json_boolean(r->cert_requested));
    probe_report_put(o, "client_ca_names", list_json(&r->ca_names));
    probe_report_put(o, "chain", chain_json(r, now_s));
    probe_report_put(o, "missing_issuer",
                     r->chain_report.fault == CHAIN_INCOMPLETE
                         ? probe_report_text_or_null(r->chain_report.missing)
                         : json_null());
    probe_report_put(o, "problems", problems_json(r));
    return o;
}

json_t *probe_json(const struct probe_result *results, size_t n, int64_t now_s)
{
    json_t *array = json_array();

    for (size_t i = 0; i < n; i++) {
        if (results[i].code == OK &&
            json_array_append_new(array, report_json(&results[i].report, now_s)) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

/* ---- verdicts ---- */

static bool has_problem(const struct probe_report *r, enum problem_severity at_least)
{
    for (size_t i = 0; i < r->n_problems; i++) {
        if (r->problems[i].severity >= at_least)
            return true;
    }
    return false;
}

int probe_status(const struct probe_result *results, size_t n)
{
    bool answered = false;
    int status = EXIT_FINE;

    for (size_t i = 0; i < n; i++) {
        const struct probe_result *result = &results[i];
        answered |= result->code == OK && result->report.reachable;
        if (result->code != OK || !result->report.safe || has_problem(&result->report, PROBLEM_MEDIUM))
            status = EXIT_FINDING;
    }
    return answered ? status : EXIT_CANNOT_RUN;
}

enum { NAGIOS_OK, NAGIOS_WARNING, NAGIOS_CRITICAL, NAGIOS_UNKNOWN };

static int nagios_of(const struct probe_result *result)
{
    if (result->code != OK || !result->report.reachable)
        return NAGIOS_UNKNOWN;
    if (!result->report.safe || has_problem(&result->report, PROBLEM_HIGH))
        return NAGIOS_CRITICAL;
    return has_problem(&result->report, PROBLEM_MEDIUM) ? NAGIOS_WARNING : NAGIOS_OK;
}

/* What is worst about one endpoint, in one clause. */
static struct str nagios_reason(const struct probe_report *r)
{
    if (!r->safe)
        return r->because;
    for (int severity = PROBLEM_HIGH; severity >= PROBLEM_MEDIUM; severity--) {
        for (size_t i = 0; i < r->n_problems; i++) {
            if (r->problems[i].severity == (enum problem_severity)severity)
                return r->problems[i].what;
        }
    }
    return r->because;
}

/* CRITICAL beats UNKNOWN beats WARNING: an endpoint that is bad must not hide behind one that is away. */
static int graver(int a, int b)
{
    static const int rank[] = {
        [NAGIOS_OK] = 0, [NAGIOS_WARNING] = 1, [NAGIOS_CRITICAL] = 3, [NAGIOS_UNKNOWN] = 2
    };

    return rank[a] >= rank[b] ? a : b;
}

int probe_nagios(const struct cmd *cmd, const struct probe_result *results, size_t n)
{
    static const char *const words[] = { "OK", "WARNING", "CRITICAL", "UNKNOWN" };
    int status = NAGIOS_OK;

    for (size_t i = 0; i < n; i++)
        status = graver(status, nagios_of(&results[i]));
    (void)fprintf(cmd->out, "PGSEAL PROBE %s", words[status]);
    for (size_t i = 0; i < n; i++) {
        const struct probe_result *result = &results[i];
        (void)fputs(i ? "; " : " - ", cmd->out);
        if (result->code != OK) {
            say_text(cmd->out, str_c(err_text(&result->err)), "");
            continue;
        }
        say_text(cmd->out, result->report.target.text, "");
        (void)fputs(": ", cmd->out);
        say_text(cmd->out, nagios_reason(&result->report), " ");
    }
    (void)fputc('\n', cmd->out);
    return status;
}
