/*
 * Other drivers' connection strings, rewritten in libpq's.
 *
 * A URL's hosts and credentials are alike everywhere; its parameters are translated one by one, and
 * conn_options_parse() reads the result. Npgsql's and ODBC's lists are cut at their semicolons here.
 */
#include "client/pasted.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/closest.h"
#include "client/conninfo_text.h"
#include "client/pasted_words.h"
#include "lex/conninfo_hide.h"

enum { REWRITTEN_MAX = 4 * CONN_TEXT_MAX };

enum kind { KIND_PAIRS, KIND_URL, KIND_JDBC, KIND_R2DBC, KIND_LIST, KIND_PDO, KIND_PSQL };

struct reading {
    struct str text; /* what is left of it */
    enum kind kind;
    enum pasted_driver driver;
    struct arena *arena;
    struct pasted *out;
    struct err *e;
    struct str ssl;      /* the value of ssl=; p == NULL: not given */
    bool sslmode_given;  /* then ssl= does not count */
    bool secret_seen;    /* an unknown word may be a piece of it */
    struct str left_out; /* the name in front of the text, for a note */
};

static enum code pasted_no_memory(const struct reading *r)
{
    return err_set(r->e, E_NOMEM, "out of memory");
}

static void pasted_note(struct reading *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void pasted_note(struct reading *r, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    if (r->out->n_notes < PASTED_NOTES_MAX &&
        arena_vprintf(r->arena, &r->out->notes[r->out->n_notes], fmt, args))
        r->out->n_notes++;
    va_end(args);
}

/* ---- what stands around it ---- */

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("_.-", c) != NULL);
}

/* "postgresql" of "postgresql://…"; empty when there is none. */
static struct str scheme_of(struct str s)
{
    size_t n = 0;

    while (n < s.n && (is_name_char(s.p[n]) || s.p[n] == '+'))
        n++;
    return str_first(s, str_starts(str_from(s, n), STR("://")) ? n : 0);
}

static bool has_prefix(struct str s)
{
    static const struct str prefixes[] = { { "jdbc:", 5 }, { "r2dbc:", 6 }, { "dbi:Pg:", 7 } };

    for (size_t i = 0; i < COUNT_OF(prefixes); i++)
        if (str_starts_nocase(s, prefixes[i]))
            return true;
    return scheme_of(s).n > 0;
}

static struct str unquoted(struct str s)
{
    bool quoted = s.n >= 2 && (s.p[0] == '"' || s.p[0] == '\'') && s.p[s.n - 1] == s.p[0];

    return quoted ? str_of(s.p + 1, s.n - 2) : s;
}

/* DATABASE_URL=…, spring.datasource.url: …: the name; p == NULL: none. */
static struct str name_in_front(struct str s, struct str *rest)
{
    size_t n = 0;

    while (n < s.n && is_name_char(s.p[n]))
        n++;
    struct str name = str_first(s, n), after = str_trim(str_from(s, n));
    bool separated = n > 0 && (str_starts(after, STR("=")) || str_starts(after, STR(": ")));
    enum conn_option unused;

    if (!separated || conn_option_find(name, &unused))
        return str_of(NULL, 0);
    *rest = unquoted(str_trim(str_from(after, 1)));
    return has_prefix(*rest) ? name : str_of(NULL, 0);
}

static void unwrap(struct reading *r)
{
    struct str s = str_trim(r->text), rest;

    if (str_starts(s, STR("export ")))
        s = str_trim(str_from(s, 7));
    struct str name = name_in_front(s, &rest);
    if (name.p) {
        r->left_out = name;
        s = rest;
    } else if (str_starts(s, STR("psql "))) {
        r->left_out = STR("psql");
        s = str_trim(str_from(s, 5));
    }
    r->text = unquoted(s);
}

/* ---- which one it is ---- */

static bool begins_with_option(struct str s, struct str *word)
{
    size_t equals = str_find(s, '=');
    enum conn_option unused;

    *word = str_trim(str_first(s, equals));
    return equals < s.n && pasted_word_option(*word, &unused);
}

/* libpq's own words make a list of Npgsql's only with a semicolon and another word after it. */
static bool is_list(struct str s)
{
    struct str first, second;
    enum conn_option unused;

    bool option = begins_with_option(s, &first);
    if (str_equal_nocase(first, STR("Driver")) || str_equal_nocase(first, STR("DSN")))
        return str_find(s, '=') < s.n; /* ODBC's */
    if (!option)
        return false;
    if (!conn_option_find(first, &unused))
        return true;
    struct str rest = str_trim(str_from(s, str_find(s, ';') + 1));
    return str_find(s, ';') < str_find(s, ' ') && (rest.n == 0 || begins_with_option(rest, &second));
}

static enum kind kind_of(const struct reading *r)
{
    struct str s = r->text;

    if (r->left_out.p && str_is(r->left_out, "psql") && str_starts(s, STR("-")))
        return KIND_PSQL;
    if (str_starts_nocase(s, STR("jdbc:")))
        return KIND_JDBC;
    if (str_starts_nocase(s, STR("r2dbc:")))
        return KIND_R2DBC;
    if (scheme_of(s).n > 0)
        return KIND_URL;
    if (str_starts(s, STR("pgsql:")) || str_starts_nocase(s, STR("dbi:Pg:")))
        return KIND_PDO;
    return is_list(s) ? KIND_LIST : KIND_PAIRS;
}

bool pasted_recognized(struct str text)
{
    struct reading r = { .text = text };

    unwrap(&r);
    return r.left_out.p || kind_of(&r) != KIND_PAIRS;
}

/* The text tells whose it is; the version is the one that was asked for, if any. */
static void pasted_chose(struct reading *r, enum pasted_driver driver)
{
    if (pasted_family(r->driver) != driver)
        r->driver = driver;
}

static bool is_libpq(const struct reading *r)
{
    return pasted_family(r->driver) == PASTED_LIBPQ;
}

/* ---- single parameters ---- */

static void note_left_out(struct reading *r, struct str keyword)
{
    struct closest near = closest_begin(keyword);
    bool plain = keyword.n > 0 && keyword.n <= CLOSEST_NAME_MAX;

    for (size_t i = 0; i < keyword.n; i++)
        plain = plain && (is_name_char(keyword.p[i]) || keyword.p[i] == ' ');
    if (!plain || r->secret_seen) {
        pasted_note(r, "a parameter that libpq does not have is ignored");
        return;
    }
    for (enum conn_option i = 0; i < CONN_OPTION_COUNT; i++)
        closest_offer(&near, str_c(conn_option_keyword(i)));
    if (near.best.p)
        pasted_note(r, "\"%.*s\" is not a parameter of libpq and is ignored; did you mean \"%.*s\"?",
                    STR_ARG(keyword), STR_ARG(near.best));
    else
        pasted_note(r, "\"%.*s\" is not a parameter of libpq and is ignored", STR_ARG(keyword));
}

/*
 * One parameter as libpq has it. False: it is no option of libpq's, and has been dealt with.
 * libpq's own words stay as they are, but for sslmode=no-verify.
 */
static bool translate(struct reading *r, struct str keyword, struct str *value, enum conn_option *option)
{
    bool libpq = is_libpq(r);

    if (str_equal_nocase(keyword, STR("ssl"))) {
        r->ssl = *value;
        return false;
    }
    if (pasted_family(r->driver) == PASTED_NODE && str_is(keyword, "uselibpqcompat")) {
        r->out->libpq_compat = str_is(*value, "true");
        return false;
    }
    if (pasted_not_validating(keyword, *value, r->driver)) {
        r->out->no_verify = true;
        pasted_note(r, "%.*s: the server's certificate is not verified", STR_ARG(keyword));
        return false;
    }
    if (!(libpq ? conn_option_find(keyword, option) : pasted_word_option(keyword, option))) {
        note_left_out(r, keyword);
        return false;
    }
    r->secret_seen |= conninfo_is_secret(str_c(conn_option_keyword(*option)));
    if (*option == CONN_SSLMODE) {
        r->out->no_verify |= str_equal_nocase(*value, STR("no-verify"));
        if (str_equal_nocase(*value, STR("no-verify")))
            pasted_note(r, "sslmode=no-verify of node-postgres means require: the server is not verified");
        *value = pasted_sslmode(*value, libpq);
        r->sslmode_given = true;
    }
    if (*option == CONN_TARGET_SESSION_ATTRS && !libpq)
        *value = pasted_session_attrs(*value);
    return true;
}

/* The sslmode that ssl= amounts to. NULL: none. */
static const char *ssl_means(struct reading *r)
{
    const char *means = pasted_ssl_means(r->ssl, r->driver);

    if (!means)
        return NULL;
    r->out->no_verify |= str_equal_nocase(r->ssl, STR("no-verify"));
    if (is_libpq(r))
        pasted_note(r, "ssl=%.*s is read as sslmode=%s", STR_ARG(r->ssl), means);
    else
        pasted_note(r, "ssl=%.*s of %s is read as sslmode=%s", STR_ARG(r->ssl), pasted_driver_name(r->driver),
                    means);
    return means;
}

/* sslrootcert=system is no file for some. */
static void settle_system(struct reading *r)
{
    struct str *v = r->out->options.v;
    const char *name = pasted_driver_name(r->driver);

    if (!str_is(v[CONN_SSLROOTCERT], "system"))
        return;
    if (is_libpq(r) && r->driver != PASTED_LIBPQ) {
        pasted_note(r, "%s reads sslrootcert=system as the name of a file", name);
        v[CONN_SSLROOTCERT] = STR("./system");
    } else if (!is_libpq(r) && pasted_system_verifies(r->driver, r->out->sslmode_given)) {
        pasted_note(r, "sslrootcert=system of %s is read as sslmode=verify-full", name);
        v[CONN_SSLMODE] = STR("verify-full");
    }
}

/* What ssl= means where there is no sslmode=, or what the driver does when nothing is said. */
static enum code settle_sslmode(struct reading *r)
{
    struct str *mode = &r->out->options.v[CONN_SSLMODE];
    const char *means = NULL;

    r->out->driver = r->driver;
    if (pasted_reader(r->driver)->reading == PASTED_READING_UNREAD && (r->sslmode_given || mode->n > 0)) {
        pasted_note(r, "%s does not read sslmode", pasted_driver_name(r->driver));
        *mode = STR("");
        r->sslmode_given = false;
    }
    r->out->sslmode_given = r->sslmode_given || r->ssl.p || mode->n > 0;
    if (r->sslmode_given || mode->n > 0)
        return OK;
    if (r->ssl.p) {
        means = ssl_means(r);
        if (!means) {
            enum code code = err_set(r->e, E_PARAM, "ssl= takes true, false or a value of sslmode");
            err_hint(r->e, "Write sslmode= with disable, allow, prefer, require, verify-ca or verify-full.");
            return code;
        }
    } else if (pasted_default_sslmode(r->driver)) {
        means = pasted_default_sslmode(r->driver);
        pasted_note(r, "without a TLS parameter, %s is read as sslmode=%s", pasted_driver_name(r->driver),
                    means);
    }
    if (means)
        *mode = str_c(means);
    return OK;
}

/* ---- URLs ---- */

/* Where the parameters begin. A ? in front of the @ that ends the credentials is one of their bytes. */
static size_t query_of(struct str s)
{
    size_t at = 0;

    while (at < s.n && s.p[at] != '@' && s.p[at] != '/')
        at++;
    size_t from = at < s.n && s.p[at] == '@' ? at : 0;
    return from + str_find(str_from(s, from), '?');
}

static void rewrite_query(struct reading *r, struct str query, struct buf *out)
{
    const char *before = "?";
    struct str pair;

    while (str_split(&query, '&', &pair)) {
        size_t equals = str_find(pair, '=');
        struct str keyword = str_first(pair, equals), value = str_from(pair, equals + 1);
        enum conn_option option;
        bool libpq = is_libpq(r);
        if (libpq && (equals == pair.n || str_find(keyword, '%') < keyword.n)) {
            buf_printf(out, "%s%.*s", before, STR_ARG(pair)); /* libpq's own parser has the words for it */
            before = "&";
            continue;
        }
        if (!translate(r, keyword, &value, &option))
            continue;
        buf_printf(out, "%s%s=", before, conn_option_keyword(option));
        before = "&";
        for (size_t i = 0; i < value.n; i++)
            buf_append_str(out,
                           value.p[i] == '+' && r->kind == KIND_JDBC ? STR("%20") : str_of(value.p + i, 1));
    }
}

/* `s`: what follows "://" in a URL. */
static enum code read_url(struct reading *r, struct str s)
{
    struct buf uri = BUF_INIT(REWRITTEN_MAX);
    size_t query = query_of(s);
    enum code code = OK;

    if (conninfo_uri_leftover(s))
        query = s.n; /* the parser refuses it: no part of a password is taken for a parameter */
    buf_printf(&uri, "postgresql://%.*s", STR_ARG(str_first(s, query)));
    rewrite_query(r, str_from(s, query + 1), &uri);
    if (!buf_ok(&uri))
        code = pasted_no_memory(r);
    if (code == OK)
        code = conn_options_parse(buf_str(&uri), r->arena, &r->out->options, r->e);
    buf_fini_secret(&uri);
    return code;
}

static enum code read_postgres_url(struct reading *r)
{
    struct str scheme = scheme_of(r->text);
    size_t plus = str_find(scheme, '+');
    struct str base = str_first(scheme, plus), driver = str_from(scheme, plus);

    enum pasted_driver by_scheme;
    if (!pasted_scheme(base, &by_scheme)) {
        enum code code = err_set(r->e, E_PARAM, "\"%.*s://\" is not a scheme of PostgreSQL", STR_ARG(scheme));
        err_hint(r->e, "A URL begins with postgresql://, as in postgresql://user@host:5432/dbname.");
        return code;
    }
    if (by_scheme != PASTED_LIBPQ)
        pasted_chose(r, by_scheme);
    if (driver.n > 0) {
        pasted_chose(r, pasted_sqlalchemy(str_from(driver, 1)));
        pasted_note(r, "\"%.*s\" is specific to SQLAlchemy and is ignored", STR_ARG(driver));
    }
    return read_url(r, str_from(r->text, scheme.n + 3));
}

/* After jdbc: and r2dbc: comes postgresql:, with hosts after // or only a database. */
static enum code read_prefixed(struct reading *r)
{
    const char *name = r->kind == KIND_JDBC ? "jdbc" : "r2dbc";
    struct str rest = str_from(r->text, strlen(name) + 1), location;

    pasted_chose(r, r->kind == KIND_JDBC ? PASTED_JDBC : PASTED_R2DBC);
    if (str_starts(rest, STR("pool:")))
        rest = str_from(rest, 5);
    if (!str_starts(rest, STR("postgresql:"))) {
        enum code code = err_set(r->e, E_PARAM, "the URL is not for PostgreSQL's %s driver", name);
        err_hint(r->e, "Leave out \"%s:\" and write postgresql://user@host:5432/dbname.", name);
        return code;
    }
    rest = str_from(rest, strlen("postgresql:"));
    struct str front = str_first(rest, str_find(rest, '?'));
    if (r->kind == KIND_JDBC && str_find(front, '@') < front.n) {
        enum code code = err_set(r->e, E_PARAM, "a JDBC URL cannot have a user and password before the host");
        err_hint(r->e, "Write jdbc:postgresql://host:5432/dbname?user=NAME.");
        return code;
    }
    bool only_database = !str_starts(rest, STR("//"));
    if (!arena_printf(r->arena, &location, "%s%.*s", only_database ? "localhost/" : "",
                      STR_ARG(only_database ? rest : str_from(rest, 2))))
        return pasted_no_memory(r);
    pasted_note(r, "a %s URL is read as %s reads it", r->kind == KIND_JDBC ? "JDBC" : "R2DBC",
                pasted_driver_name(r->driver));
    TRY(read_url(r, location));
    if (r->out->options.v[CONN_HOST].n == 0)
        r->out->options.v[CONN_HOST] = STR("localhost");
    return OK;
}

/* ---- lists with semicolons ---- */

/* A value of Npgsql's or ODBC's: as it is, or in "…", '…' or {…}, the closing sign doubled inside. */
static bool take_value(struct str *rest, struct buf *value)
{
    struct str s = str_trim(*rest);
    char close = s.n == 0 ? '\0' : s.p[0] == '{' ? '}' : s.p[0] == '"' || s.p[0] == '\'' ? s.p[0] : '\0';

    if (!close) {
        size_t end = str_find(*rest, ';');
        buf_append_str(value, str_trim(str_first(*rest, end)));
        *rest = str_from(*rest, end + 1);
        return true;
    }
    for (s = str_from(s, 1); s.n > 0; s = str_from(s, 1)) {
        if (s.p[0] == close && (s.n < 2 || s.p[1] != close)) {
            s = str_trim(str_from(s, 1));
            *rest = str_from(s, 1);
            return s.n == 0 || s.p[0] == ';';
        }
        s = str_from(s, s.p[0] == close ? 1 : 0);
        buf_append_byte(value, (uint8_t)s.p[0]);
    }
    return false;
}

static enum code read_list_pair(struct reading *r, struct str *rest, struct buf *text)
{
    size_t equals = str_find(*rest, '=');
    struct str keyword = str_trim(str_first(*rest, equals)), value;
    enum conn_option option;

    if (equals == rest->n || str_find(keyword, ';') < keyword.n)
        return err_set(r->e, E_PARAM, "missing \"=\" in a connection string with semicolons");
    *rest = str_from(*rest, equals + 1);
    if (!take_value(rest, text))
        return err_set(r->e, E_PARAM, "a quote is not closed in a connection string with semicolons");
    if (!buf_ok(text))
        return pasted_no_memory(r);
    value = buf_str(text);
    if (str_equal_nocase(keyword, STR("ssl"))) {
        if (!arena_str(r->arena, value, &r->ssl))
            return pasted_no_memory(r);
        return OK;
    }
    if (!translate(r, keyword, &value, &option))
        return OK;
    return conn_options_set(&r->out->options, str_c(conn_option_keyword(option)), value, r->arena, r->e);
}

/* Npgsql has ports in its host list: a:5433,b. */
static enum code split_ports(struct reading *r)
{
    struct str *v = r->out->options.v, list = v[CONN_HOST], part;
    AUTO(buf) struct buf hosts = BUF_INIT(CONN_TEXT_MAX);
    AUTO(buf) struct buf ports = BUF_INIT(CONN_TEXT_MAX);
    struct str port = v[CONN_PORT].n > 0 ? v[CONN_PORT] : STR("5432");

    if (str_find(list, ':') == list.n || (list.n > 0 && list.p[0] == '['))
        return OK;
    for (const char *comma = ""; str_split(&list, ',', &part); comma = ",") {
        size_t colon = str_find(part, ':');
        buf_printf(&hosts, "%s%.*s", comma, STR_ARG(str_trim(str_first(part, colon))));
        buf_printf(&ports, "%s%.*s", comma, STR_ARG(colon < part.n ? str_from(part, colon + 1) : port));
    }
    bool ok = buf_ok(&hosts) && buf_ok(&ports) && arena_str(r->arena, buf_str(&hosts), &v[CONN_HOST]) &&
              arena_str(r->arena, buf_str(&ports), &v[CONN_PORT]);
    return ok ? OK : pasted_no_memory(r);
}

static enum code read_list(struct reading *r)
{
    struct str rest = r->text;
    struct buf value = BUF_INIT(CONN_TEXT_MAX);
    enum code code = OK;

    pasted_chose(r, PASTED_NPGSQL);
    pasted_note(r, "a connection string with semicolons is read as Npgsql reads it");
    for (rest = str_trim(rest); code == OK && rest.n > 0; rest = str_trim(rest)) {
        buf_reset(&value);
        code = read_list_pair(r, &rest, &value);
    }
    buf_fini_secret(&value);
    return code == OK ? split_ports(r) : code;
}

/* PDO and DBI put blanks in the semicolons' places, and libpq reads the rest. */
static enum code read_pdo(struct reading *r)
{
    struct str list = str_from(r->text, str_starts(r->text, STR("pgsql:")) ? 6 : 7);
    struct buf pairs = BUF_INIT(CONN_TEXT_MAX);

    for (size_t i = 0; i < list.n; i++)
        buf_append_byte(&pairs, list.p[i] == ';' ? (uint8_t)' ' : (uint8_t)list.p[i]);
    enum code code = buf_ok(&pairs) ? conn_options_parse(buf_str(&pairs), r->arena, &r->out->options, r->e)
                                    : pasted_no_memory(r);
    buf_fini_secret(&pairs);
    return code;
}

static enum code refuse_psql_options(const struct reading *r)
{
    enum code code = err_set(r->e, E_PARAM, "the options of psql are not read");
    err_hint(r->e, "Write host= for -h, port= for -p, user= for -U and dbname= for -d.");
    return code;
}

/* ---- any ---- */

static enum code read_kind(struct reading *r)
{
    switch (r->kind) {
    case KIND_PAIRS:
        return conn_options_parse(r->text, r->arena, &r->out->options, r->e);
    case KIND_URL:
        return read_postgres_url(r);
    case KIND_JDBC:
    case KIND_R2DBC:
        return read_prefixed(r);
    case KIND_LIST:
        return read_list(r);
    case KIND_PDO:
        return read_pdo(r);
    case KIND_PSQL:
        return refuse_psql_options(r);
    }
    UNREACHABLE();
}

enum code pasted_parse(struct str text, struct arena *arena, struct pasted *out, struct err *e)
{
    return pasted_parse_for(text, PASTED_LIBPQ, arena, out, e);
}

enum code pasted_parse_for(struct str text, enum pasted_driver driver, struct arena *arena,
                           struct pasted *out, struct err *e)
{
    struct pasted pasted = { .n_notes = 0 };
    struct reading r = { .text = text, .driver = driver, .arena = arena, .out = &pasted, .e = e };

    if (text.n > CONN_TEXT_MAX)
        return err_set(e, E_LIMIT, "connection string is longer than %d bytes", CONN_TEXT_MAX);
    if (str_has_nul(text))
        return err_set(e, E_PARAM, "connection string holds a NUL byte");
    unwrap(&r);
    r.kind = kind_of(&r);
    if (r.left_out.p)
        pasted_note(&r, "\"%.*s\" before the connection string is ignored", STR_ARG(r.left_out));
    TRY(read_kind(&r));
    TRY(settle_sslmode(&r));
    settle_system(&r);
    *out = pasted;
    return OK;
}
