/* Tables of names, and how they compare: case, blanks, - and _ do not count. */
#include "client/pasted_words.h"

#include "base/check.h"
#include "client/conninfo_text.h"

enum { VERSION_PARTS = 3, VERSION_PART_MAX = 9999 };

static const struct pasted_reader drivers[] = {
#define X(name, driver, word, from, before, title, unset, ssl, require, reading, system, binding, direct,    \
          again, unless, changes)                                                                            \
    [PASTED_##name] = { PASTED_##driver,                                                                     \
                        word,                                                                                \
                        from,                                                                                \
                        before,                                                                              \
                        title,                                                                               \
                        unset,                                                                               \
                        ssl,                                                                                 \
                        PASTED_REQUIRE_##require,                                                            \
                        PASTED_READING_##reading,                                                            \
                        PASTED_SYSTEM_##system,                                                              \
                        PASTED_AGAIN_##again,                                                                \
                        unless,                                                                              \
                        changes },
#include "drivers.def"
#undef X
};

const struct pasted_reader *pasted_reader(enum pasted_driver driver)
{
    return &drivers[driver];
}

enum pasted_driver pasted_family(enum pasted_driver driver)
{
    return drivers[driver].family;
}

const char *pasted_driver_name(enum pasted_driver driver)
{
    return drivers[driver].title;
}

/* 42.2.5 as one number; what is missing is 0. A release candidate counts as its release. */
static bool version_number(struct str text, uint64_t *out)
{
    struct str part, rest = str_first(text, str_find(text, '-'));
    uint64_t number = 0;
    unsigned n = 0;

    if (str_starts(rest, STR("v")))
        rest = str_from(rest, 1);
    for (; n < VERSION_PARTS && str_split(&rest, '.', &part); n++) {
        uint32_t value;
        if (!str_to_u32(part, 0, VERSION_PART_MAX, &value))
            return false;
        number = number * (VERSION_PART_MAX + 1) + value;
    }
    for (unsigned i = n; i < VERSION_PARTS; i++)
        number *= VERSION_PART_MAX + 1;
    *out = number;
    return n > 0 && rest.n == 0 && text.p[text.n - 1] != '.';
}

static bool version_within(uint64_t version, const char *from, const char *before)
{
    uint64_t bound;

    if (*from && version_number(str_c(from), &bound) && version < bound)
        return false;
    return !*before || (version_number(str_c(before), &bound) && version < bound);
}

/* The narrowest row that speaks of the version; else the driver's first. */
static enum pasted_driver edition(enum pasted_driver driver, uint64_t version)
{
    for (size_t i = COUNT_OF(drivers); i-- > 0;)
        if (drivers[i].family == driver && (*drivers[i].from || *drivers[i].before) &&
            version_within(version, drivers[i].from, drivers[i].before))
            return (enum pasted_driver)i;
    return driver;
}

static bool driver_by_word(struct str word, enum pasted_driver *out)
{
    static const struct {
        const char *word;
        enum pasted_driver driver;
    } others[] = {
        { "psql", PASTED_LIBPQ },
        { "psycopg", PASTED_LIBPQ },
        { "psycopg2", PASTED_LIBPQ },
        { "django", PASTED_LIBPQ },
        { "rails", PASTED_LIBPQ },
        { "php", PASTED_LIBPQ },
        { "ruby", PASTED_LIBPQ },
        { "sqlalchemy", PASTED_LIBPQ },
        { "odbc", PASTED_LIBPQ },
        { "pgadmin", PASTED_LIBPQ },
        { "hikari", PASTED_JDBC },
        { "dbeaver", PASTED_JDBC },
        { "jdbc", PASTED_JDBC },
        { "node-postgres", PASTED_NODE },
        { "pg", PASTED_NODE },
        { "lib-pq", PASTED_LIB_PQ },
        { "tokio", PASTED_TOKIO },
        { "ecto", PASTED_POSTGREX },
        { "postgres.js", PASTED_POSTGRES_JS },
        { "deno-postgres", PASTED_DENO },
        { "postgresnio", PASTED_POSTGRES_NIO },
        { "vapor", PASTED_POSTGRES_NIO },
    };

    for (size_t i = 0; i < COUNT_OF(drivers); i++)
        if (drivers[i].family == (enum pasted_driver)i && str_equal_nocase(word, str_c(drivers[i].word))) {
            *out = (enum pasted_driver)i;
            return true;
        }
    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (str_equal_nocase(word, str_c(others[i].word))) {
            *out = others[i].driver;
            return true;
        }
    return false;
}

bool pasted_driver_find(struct str word, enum pasted_driver *out)
{
    size_t at = str_find(word, '@');
    uint64_t version = 0;

    if (at < word.n && !version_number(str_from(word, at + 1), &version))
        return false;
    if (!driver_by_word(str_first(word, at), out))
        return false;
    if (at < word.n)
        *out = edition(*out, version);
    return true;
}

bool pasted_scheme(struct str scheme, enum pasted_driver *out)
{
    static const char *const libpq[] = { "postgres", "postgresql", "postgis", "pgsql", "psql", "pg" };

    *out = PASTED_LIBPQ;
    for (size_t i = 0; i < COUNT_OF(libpq); i++)
        if (str_equal_nocase(scheme, str_c(libpq[i])))
            return true;
    *out = PASTED_POSTGREX;
    return str_equal_nocase(scheme, STR("ecto"));
}

enum pasted_driver pasted_sqlalchemy(struct str driver)
{
    if (str_is(driver, "asyncpg"))
        return PASTED_ASYNCPG;
    return str_is(driver, "pg8000") ? PASTED_PG8000 : PASTED_LIBPQ;
}

static bool skipped(char c)
{
    return c == ' ' || c == '-' || c == '_';
}

/* Equal but for case, blanks, - and _. */
static bool same_word(struct str a, struct str b)
{
    for (;;) {
        while (a.n > 0 && skipped(a.p[0]))
            a = str_from(a, 1);
        while (b.n > 0 && skipped(b.p[0]))
            b = str_from(b, 1);
        if (a.n == 0 || b.n == 0)
            return a.n == b.n;
        if (!str_equal_nocase(str_first(a, 1), str_first(b, 1)))
            return false;
        a = str_from(a, 1);
        b = str_from(b, 1);
    }
}

bool pasted_word_option(struct str word, enum conn_option *out)
{
    static const struct {
        const char *word;
        enum conn_option option;
    } others[] = {
        { "username", CONN_USER },
        { "userid", CONN_USER },
        { "uid", CONN_USER },
        { "pwd", CONN_PASSWORD },
        { "psw", CONN_PASSWORD },
        { "server", CONN_HOST },
        { "servername", CONN_HOST },
        { "datasource", CONN_HOST },
        { "database", CONN_DBNAME },
        { "db", CONN_DBNAME },
        { "initialcatalog", CONN_DBNAME },
        { "rootcertificate", CONN_SSLROOTCERT },
        { "sslcertificate", CONN_SSLCERT },
        { "timeout", CONN_CONNECT_TIMEOUT },
        { "targetservertype", CONN_TARGET_SESSION_ATTRS },
        { "targetsessionattributes", CONN_TARGET_SESSION_ATTRS },
        { "gssencryptionmode", CONN_GSSENCMODE },
    };

    for (enum conn_option i = 0; i < CONN_OPTION_COUNT; i++) {
        if (same_word(word, str_c(conn_option_keyword(i)))) {
            *out = i;
            return true;
        }
    }
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        if (same_word(word, str_c(others[i].word))) {
            *out = others[i].option;
            return true;
        }
    }
    return false;
}

struct str pasted_sslmode(struct str value, bool exact)
{
    if (same_word(value, STR("no-verify")))
        return STR("require");
    for (enum sslmode mode = SSLMODE_DISABLE; !exact && mode <= SSLMODE_VERIFY_FULL; mode++)
        if (same_word(value, str_c(sslmode_name(mode))))
            return str_c(sslmode_name(mode));
    return value;
}

struct str pasted_session_attrs(struct str value)
{
    static const char *const words[][2] = {
        { "any", "any" },
        { "primary", "primary" },
        { "master", "primary" },
        { "secondary", "standby" },
        { "slave", "standby" },
        { "standby", "standby" },
        { "prefersecondary", "prefer-standby" },
        { "preferslave", "prefer-standby" },
        { "preferstandby", "prefer-standby" },
        { "preferprimary", "any" },
        { "readwrite", "read-write" },
        { "readonly", "read-only" },
    };

    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (same_word(value, str_c(words[i][0])))
            return str_c(words[i][1]);
    return value;
}

const char *pasted_ssl_means(struct str value, enum pasted_driver driver)
{
    struct str mode = pasted_sslmode(value, false);
    bool on;

    if (value.n == 0)
        return pasted_family(driver) == PASTED_JDBC ? drivers[driver].ssl : NULL; /* "?ssl" */
    for (enum sslmode i = SSLMODE_DISABLE; i <= SSLMODE_VERIFY_FULL; i++)
        if (str_is(mode, sslmode_name(i)))
            return sslmode_name(i);
    if (!str_to_bool(value, &on))
        return NULL;
    return on ? drivers[driver].ssl : "disable";
}

const char *pasted_default_sslmode(enum pasted_driver driver)
{
    return pasted_family(driver) == PASTED_LIBPQ ? NULL : drivers[driver].unset;
}

bool pasted_system_verifies(enum pasted_driver driver, bool given)
{
    return drivers[driver].system == PASTED_SYSTEM_ALWAYS ||
           (drivers[driver].system == PASTED_SYSTEM_DEFAULT && !given);
}

bool pasted_not_validating(struct str keyword, struct str value, enum pasted_driver driver)
{
    bool on;

    if (same_word(keyword, STR("trustservercertificate")))
        return driver == PASTED_NPGSQL_5 && str_to_bool(value, &on) &&
               on; /* later ones verify by the mode alone */
    if (same_word(keyword, STR("sslfactory")))
        return str_ends(value, STR("NonValidatingFactory"));
    if (same_word(keyword, STR("sslaccept")))
        return str_is(value, "accept_invalid_certs");
    return same_word(keyword, STR("rejectUnauthorized")) && str_is(value, "false");
}
