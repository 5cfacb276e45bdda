/* Words of the command line → facts about a connection. */
#include "cmd/facts.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/ip.h"
#include "client/conninfo_text.h"
#include "client/meaning.h"
#include "client/pasted.h"
#include "cmd/driver_option.h"
#include "cmd/usage.h"
#include "lex/conninfo_hide.h"
#include "pki/name.h"
#include "pki/name_text.h"
#include "policy/match_text.h"

#include <netdb.h>
#include <stdlib.h>

enum { WORD_MAX = 64 * 1024, ROLES_MAX = 1000 };

struct reading {
    const struct cmd *cmd;
    struct arena *arena;
    struct facts *out;
    struct conn_options options;
    struct str addr; /* p == NULL: not given */
    struct str tls;
    struct str cert; /* as written; p == NULL: not given */
    enum pasted_driver driver;
    bool insists; /* the driver's prefer does not go on without TLS */
};

static void facts_note(struct reading *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void facts_note(struct reading *r, const char *fmt, ...)
{
    struct facts *f = r->out;
    va_list args;

    va_start(args, fmt);
    if (f->n_notes < FACT_NOTES_MAX && arena_vprintf(r->arena, &f->notes[f->n_notes], fmt, args))
        f->n_notes++;
    va_end(args);
}

/* ---- single facts ---- */

static int order_roles(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

static int read_roles(struct reading *r, struct str list)
{
    struct str *names = arena_array(r->arena, ROLES_MAX, sizeof *names);
    size_t n = 0;

    if (!names)
        return cmd_error(r->cmd, &(struct err){ .code = E_NOMEM });
    while (n < ROLES_MAX && str_split(&list, ',', &names[n]))
        n++;
    r->out->roles = (struct role_set){ names, n };
    r->out->have_roles = true;
    return -1;
}

static int read_address(struct reading *r)
{
    const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    char *text = arena_c(r->arena, r->addr);

    if (r->out->conn.is_local || !r->addr.p)
        return -1;
    if (!text || getaddrinfo(text, NULL, &hints, &found) != 0)
        return cmd_usage(r->cmd, "addr=%.*s is not an IP address", STR_ARG(r->addr));
    if (found->ai_addrlen <= sizeof r->out->conn.peer)
        memcpy(&r->out->conn.peer, found->ai_addr, found->ai_addrlen);
    ip_unmap(&r->out->conn.peer, &found->ai_addrlen);
    freeaddrinfo(found);
    return -1;
}

static void read_sni(struct reading *r, struct str value)
{
    r->out->sni = value;
    if (value.n > 0)
        facts_note(
            r,
            "sni=%.*s chooses the certificate (ssl_sni) and the server (upstream.\"sni:%.*s\"); no rule sees it",
            STR_ARG(value), STR_ARG(value));
}

/** Facts of our own; false for a word of libpq's. */
static bool own_fact(struct reading *r, struct str key, struct str value, int *out_status)
{
    *out_status = -1;
    if (str_is(key, "addr"))
        r->addr = value;
    else if (str_is(key, "tls"))
        r->tls = value;
    else if (str_is(key, "cert"))
        r->cert = value;
    else if (str_is(key, "sni"))
        read_sni(r, value);
    else if (str_is(key, "os_user"))
        r->out->os_user = value;
    else if (str_is(key, "san") && r->out->n_sans == FACT_SANS_MAX)
        *out_status = cmd_usage(r->cmd, "san= can be given %d times at most", FACT_SANS_MAX);
    else if (str_is(key, "san"))
        r->out->sans[r->out->n_sans++] = value;
    else if (str_is(key, "roles"))
        *out_status = read_roles(r, value);
    else
        return false;
    return true;
}

/* ---- words ---- */

static bool is_fact(struct str word)
{
    static const char *const ours[] = { "addr", "tls", "cert", "san", "sni", "os_user", "roles" };
    enum conn_option unused;

    return str_is_one_of(word, ours, COUNT_OF(ours)) || conn_option_find(word, &unused);
}

/* A certificate's name has blanks and signs of its own: without quotes it ends where the next fact begins. */
static struct str take_name(struct str *rest)
{
    struct str s = *rest;

    for (size_t i = 0; i < s.n; i++) {
        struct str word = str_from(s, i + 1);
        size_t end = 0;
        if (s.p[i] != ' ')
            continue;
        while (end < word.n && word.p[end] != '=' && word.p[end] != ' ')
            end++;
        bool next = end < word.n && word.p[end] == '=' && is_fact(str_first(word, end));
        if (next || str_is(str_first(word, end), "local")) {
            *rest = word;
            return str_trim(str_first(s, i));
        }
    }
    *rest = str_from(s, s.n);
    return str_trim(s);
}

/** Cut `key = value` off, with libpq's quotes; false at the end or on a fault (then *rest is not empty). */
static bool next_pair(struct reading *r, struct str *rest, struct str *key, struct str *value)
{
    AUTO(buf) struct buf text = BUF_INIT(WORD_MAX);

    *rest = str_trim(*rest);
    while (str_starts(*rest, STR("local "))) {
        r->out->conn.is_local = true;
        *rest = str_trim(str_from(*rest, 6));
    }
    size_t equals = str_find(*rest, '=');
    if (equals == rest->n)
        return false;
    *key = str_trim(str_first(*rest, equals));
    struct str s = str_from(*rest, equals + 1);
    while (s.n > 0 && s.p[0] == ' ')
        s = str_from(s, 1);
    bool quoted = str_starts(s, STR("'"));
    if (!quoted && str_is(*key, "cert")) {
        *rest = s;
        return arena_str(r->arena, take_name(rest), value);
    }
    if (quoted)
        s = str_from(s, 1);
    while (s.n > 0 && s.p[0] != (quoted ? '\'' : ' ')) {
        if (s.p[0] == '\\' && s.n > 1)
            s = str_from(s, 1);
        (void)buf_append_byte(&text, (uint8_t)s.p[0]);
        s = str_from(s, 1);
    }
    if (quoted && s.n == 0)
        return false;
    *rest = str_from(s, quoted ? 1 : 0);
    return arena_str(r->arena, buf_str(&text), value);
}

/* What is no fact may be a piece of a password that was not quoted. */
static struct str shown(const struct reading *r, struct str word)
{
    for (enum conn_option i = 0; i < CONN_OPTION_COUNT; i++)
        if (r->options.v[i].p && conninfo_is_secret(str_c(conn_option_keyword(i))))
            return STR(HIDDEN);
    return conninfo_hidden_word(r->arena, word);
}

static int read_pairs(struct reading *r, struct str word)
{
    struct str key, value;
    struct err e;
    int status;

    while (next_pair(r, &word, &key, &value)) {
        if (own_fact(r, key, value, &status)) {
            if (status >= 0)
                return status;
            continue;
        }
        if (conn_options_set(&r->options, key, value, r->arena, &e) != OK)
            return cmd_usage(r->cmd, "unknown fact \"%.*s\"", STR_ARG(shown(r, key)));
    }
    if (str_is(word, "local"))
        r->out->conn.is_local = true;
    else if (word.n > 0)
        return cmd_usage(r->cmd, "\"%.*s\" is not a fact such as user=alice", STR_ARG(shown(r, word)));
    return -1;
}

static int read_pasted(struct reading *r, struct str word)
{
    struct pasted pasted;
    struct err e;

    if (pasted_parse_for(word, r->driver, r->arena, &pasted, &e) != OK)
        return cmd_error(r->cmd, &e);
    r->insists = conn_meaning_pasted(&pasted, false).encrypts;
    for (size_t i = 0; i < pasted.n_notes; i++)
        facts_note(r, "%.*s", STR_ARG(pasted.notes[i]));
    for (enum conn_option i = 0; i < CONN_OPTION_COUNT; i++)
        if (pasted.options.v[i].p)
            r->options.v[i] = pasted.options.v[i];
    return -1;
}

static int read_word(struct reading *r, struct str word)
{
    bool is_name = str_starts(word, STR("san=")); /* which may be a URL */

    return !is_name && pasted_recognized(word) ? read_pasted(r, word) : read_pairs(r, word);
}

/* ---- what they mean together ---- */

static int settle_transport(struct reading *r)
{
    static const struct {
        bool attempts[2];
        size_t n;
    } modes[] = {
        [SSLMODE_DISABLE] = { { false }, 1 },      [SSLMODE_ALLOW] = { { false, true }, 2 },
        [SSLMODE_PREFER] = { { true, false }, 2 }, [SSLMODE_REQUIRE] = { { true }, 1 },
        [SSLMODE_VERIFY_CA] = { { true }, 1 },     [SSLMODE_VERIFY_FULL] = { { true }, 1 },
    };
    enum sslmode mode;
    struct err e;
    struct facts *f = r->out;

    f->n_attempts = 1;
    f->attempts[0] = true;
    if (f->conn.is_local)
        f->attempts[0] = false;
    else if (str_is(r->tls, "none"))
        f->attempts[0] = false;
    else if (r->tls.p && !str_is(r->tls, "1.2") && !str_is(r->tls, "1.3"))
        return cmd_usage(r->cmd, "tls= takes none, 1.2 or 1.3, not \"%.*s\"", STR_ARG(r->tls));
    f->tls_assumed = !f->conn.is_local && !r->tls.p && !f->sslmode.p;
    if (f->conn.is_local || r->tls.p || !f->sslmode.p)
        return -1;
    if (conn_parse_sslmode(f->sslmode, &mode, &e) != OK) {
        (void)cmd_error(r->cmd, &e);
        return EXIT_USAGE;
    }
    memcpy(f->attempts, modes[mode].attempts, sizeof f->attempts);
    f->n_attempts = r->insists ? 1 : modes[mode].n;
    return -1;
}

static int settle_replication(struct reading *r)
{
    struct str value = r->options.v[CONN_REPLICATION];
    bool on = false;

    if (!value.p)
        return -1;
    if (str_is(value, "database") || str_is(value, "logical"))
        r->out->conn.replication = REPLICATION_LOGICAL;
    else if (str_is(value, "physical") || (str_to_bool(value, &on) && on))
        r->out->conn.replication = REPLICATION_PHYSICAL;
    else if (!str_to_bool(value, &on))
        return cmd_usage(r->cmd, "replication= takes physical, database or off, not \"%.*s\"",
                         STR_ARG(value));
    return -1;
}

/**
 * A host that is a directory means a unix socket; every other host is the server's name, not the client's.
 */
static void settle_host(struct reading *r)
{
    struct str host = r->options.v[CONN_HOST];

    if (!host.p || host.n == 0)
        return;
    r->out->host = host;
    if (!r->addr.p && (host.p[0] == '/' || host.p[0] == '@'))
        r->out->conn.is_local = true;
}

static int settle_names(struct reading *r)
{
    struct facts *f = r->out;
    struct str user = r->options.v[CONN_USER], database = r->options.v[CONN_DBNAME];

    if (!user.p || user.n == 0)
        return cmd_usage(r->cmd, "user= is missing");
    f->conn.user = user;
    f->conn.database = database.p && database.n > 0 ? database : user;
    f->sslmode = r->options.v[CONN_SSLMODE];
    if (!f->conn.is_local && !r->addr.p)
        return cmd_usage(r->cmd, "addr=ADDRESS or local is missing");
    if (!f->have_roles)
        return -1;
    struct str *names = arena_array(r->arena, f->roles.n + 1, sizeof *names);
    if (!names)
        return cmd_error(r->cmd, &(struct err){ .code = E_NOMEM });
    if (f->roles.n > 0)
        memcpy(names, f->roles.names, f->roles.n * sizeof *names);
    names[f->roles.n] = user;
    qsort(names, f->roles.n + 1, sizeof *names, order_roles);
    f->roles = (struct role_set){ names, f->roles.n + 1 };
    f->conn.roles = &f->roles;
    return -1;
}

/* The name in the forms that rules compare. */
static int settle_certificate(struct reading *r)
{
    __attribute__((cleanup(x509_name_auto))) X509_NAME *name = NULL;
    struct fact_cert *cert = &r->out->cert;
    enum name_spelling spelling;
    struct name_value cn;
    struct err e;

    if (!r->cert.p)
        return -1;
    if (name_from_text(r->cert, &name, &spelling, &e) != OK)
        return cmd_usage(r->cmd, "cert= takes the subject of a certificate, such as CN=alice: %s",
                         err_text(&e));
    if (name_rfc2253(name, r->arena, &cert->dn, &e) != OK || name_cn(name, r->arena, &cn, &e) != OK)
        return cmd_error(r->cmd, &e);
    *cert = (struct fact_cert){ .given = true, .has_cn = cn.present, .dn = cert->dn, .cn = cn.value };
    if (!str_equal(cert->dn, r->cert))
        facts_note(r, "cert= is read as \"%.*s\" (RFC 2253)", STR_ARG(cert->dn));
    return -1;
}

int facts_read(const struct cmd *cmd, struct arena *arena, struct facts *out)
{
    struct reading r = { .cmd = cmd, .arena = arena, .out = out };
    int status = cmd_read_driver(cmd, OPT_explain_driver, &r.driver);

    *out = (struct facts){ .n_attempts = 0 };
    for (size_t i = 0; i < cmd->n_args && status < 0; i++)
        status = read_word(&r, str_c(cmd->args[i]));
    if (status < 0)
        settle_host(&r);
    if (status < 0)
        status = settle_names(&r);
    if (status < 0)
        status = read_address(&r);
    if (status < 0)
        status = settle_certificate(&r);
    if (status < 0)
        status = settle_replication(&r);
    return status < 0 ? settle_transport(&r) : status;
}

/* ---- host names ---- */

static bool confirms(const struct addrinfo *list, const struct sockaddr_storage *peer)
{
    for (; list; list = list->ai_next)
        if (peer_address_equal(peer, list->ai_addr))
            return true;
    return false;
}

void facts_look_up(struct arena *arena, struct conn_facts *facts, enum match_need need)
{
    struct name_lookup *lookup = &facts->lookup;
    struct addrinfo *found = NULL;
    char name[NI_MAXHOST];

    if (need == MATCH_NEED_REVERSE) {
        socklen_t length = facts->peer.ss_family == AF_INET ? sizeof(struct sockaddr_in)
                                                            : sizeof(struct sockaddr_in6);
        lookup->gai_error = getnameinfo((const struct sockaddr *)&facts->peer, length, name, sizeof name,
                                        NULL, 0, NI_NAMEREQD);
        bool ok = lookup->gai_error == 0 && arena_str(arena, str_c(name), &lookup->name);
        lookup->state = ok ? NAME_REVERSE : NAME_REVERSE_FAILED;
        return;
    }
    CHECK(need == MATCH_NEED_FORWARD);
    lookup->gai_error = getaddrinfo(lookup->name.p, NULL, NULL, &found);
    if (lookup->gai_error != 0)
        lookup->state = NAME_FORWARD_FAILED;
    else
        lookup->state = confirms(found, &facts->peer) ? NAME_CONFIRMED : NAME_MISMATCH;
    if (found)
        freeaddrinfo(found);
}
