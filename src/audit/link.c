#include "audit/link.h"

#include "audit/collect_rules.h"
#include "base/arena.h"
#include "base/buf.h"
#include "client/conninfo_defaults.h"
#include "client/pasted.h"
#include "lex/conninfo_hide.h"

static bool put_endpoint(const struct conn_options *options, struct arena *arena, struct str *out)
{
    struct str host = options->v[CONN_HOST].n > 0 ? options->v[CONN_HOST] : options->v[CONN_HOSTADDR];
    struct str port = options->v[CONN_PORT], dbname = options->v[CONN_DBNAME];
    uint32_t number;

    if (options->v[CONN_SERVICE].n > 0 && host.n == 0)
        return arena_printf(arena, out, "service=%.*s", STR_ARG(options->v[CONN_SERVICE]));
    if (!str_to_u32(port, 1, UINT16_MAX, &number))
        port = port.n > 0 && options->port_of_uri ? STR(HIDDEN) : port;
    return arena_printf(arena, out, "%.*s%s%.*s%s%.*s", STR_ARG(host.n > 0 ? host : STR("localhost")),
                        port.n > 0 ? ":" : "", STR_ARG(port), dbname.n > 0 ? "/" : "",
                        STR_ARG(conninfo_hidden_word(arena, dbname)));
}

static bool put_mode(const struct conn_options *options, enum pasted_driver driver, bool given,
                     struct arena *arena, struct str *out)
{
    struct str mode = options->v[CONN_SSLMODE];
    const char *unset = pasted_default_sslmode(driver);

    if (given)
        return arena_printf(arena, out, "sslmode=%.*s", STR_ARG(mode));
    if (str_is(options->v[CONN_SSLROOTCERT], "system") && !unset)
        return arena_printf(arena, out, "sslrootcert=system, and so sslmode=verify-full");
    return arena_printf(arena, out, "sslmode=%s, the default of %s", unset ? unset : "prefer",
                        pasted_driver_name(driver));
}

static bool root_unseen(const struct conn_options *options, enum pasted_driver driver)
{
    return conn_meaning_reads_root_file(driver) && options->v[CONN_SSLROOTCERT].n == 0 &&
           str_is(options->v[CONN_SSLMODE], "require");
}

enum code link_of_options(const struct conn_options *options, struct arena *arena, struct subject_link *out)
{
    struct subject_link link = { .driver = PASTED_LIBPQ,
                                 .meaning = conn_meaning(options, PASTED_LIBPQ, false),
                                 .local = conn_meaning_is_local(options),
                                 .client_cert = options->v[CONN_SSLCERT],
                                 .root_unseen = root_unseen(options, PASTED_LIBPQ),
                                 .has_password = options->v[CONN_PASSWORD].n > 0 };

    if (!put_endpoint(options, arena, &link.endpoint) ||
        !put_mode(options, PASTED_LIBPQ, options->v[CONN_SSLMODE].n > 0, arena, &link.mode))
        return E_NOMEM;
    *out = link;
    return OK;
}

/* What was read, with all that was looked up for it. `source`: where sslmode came from; "": the text. */
static enum code link_settle(const struct pasted *pasted, bool root_file, const char *source,
                             struct arena *arena, struct subject_link *out, struct err *e)
{
    struct str word = pasted->options.v[CONN_SSLMODE];
    enum sslmode mode;

    if (word.n > 0)
        TRY(conn_parse_sslmode(word, &mode, e));
    struct subject_link link = { .driver = pasted->driver,
                                 .meaning = conn_meaning_pasted(pasted, root_file),
                                 .changes = conn_meaning_changes(pasted),
                                 .local = conn_meaning_is_local(&pasted->options),
                                 .client_cert = pasted->options.v[CONN_SSLCERT],
                                 .root_unseen = !root_file && root_unseen(&pasted->options, pasted->driver),
                                 .has_password = pasted->options.v[CONN_PASSWORD].n > 0 };
    if (!put_endpoint(&pasted->options, arena, &link.endpoint) ||
        !put_mode(&pasted->options, pasted->driver, pasted->sslmode_given, arena, &link.mode) ||
        !arena_printf(arena, &link.mode, "%.*s%s%s", STR_ARG(link.mode), source,
                      pasted->no_verify ? ", and verification turned off" : ""))
        return err_set(e, E_NOMEM, "out of memory");
    *out = link;
    return OK;
}

enum code link_of_text_over(struct str text, enum pasted_driver driver, const struct conn_options *beside,
                            struct arena *arena, struct subject_link *out, struct err *e)
{
    const char *source = "";
    struct pasted pasted;

    TRY(pasted_parse_for(text, driver, arena, &pasted, e));
    if (pasted.options.v[CONN_SERVICE].n > 0)
        return err_set(e, E_PARAM, "it names the service \"%.*s\", which was not given",
                       STR_ARG(pasted.options.v[CONN_SERVICE]));
    bool libpq = pasted_family(pasted.driver) == PASTED_LIBPQ;
    for (size_t i = 0; libpq && i < CONN_OPTION_COUNT; i++)
        if (!pasted.options.v[i].p && beside->v[i].p) {
            pasted.options.v[i] = beside->v[i];
            if (i == CONN_SSLMODE) {
                pasted.sslmode_given = true;
                source = " of PGSSLMODE";
            }
        }
    return link_settle(&pasted, false, source, arena, out, e);
}

enum code link_of_text(struct str text, enum pasted_driver driver, struct arena *arena,
                       struct subject_link *out, struct err *e)
{
    const struct conn_options nothing = { .port_of_uri = false };

    return link_of_text_over(text, driver, &nothing, arena, out, e);
}

enum code link_of_text_here(struct str text, enum pasted_driver driver, struct arena *arena,
                            struct subject_link *out, struct err *e)
{
    struct conn_world world;
    struct pasted pasted;

    TRY(pasted_parse_for(text, driver, arena, &pasted, e));
    if (conn_world_system(arena, &world) != OK)
        return err_set(e, E_NOMEM, "out of memory");
    bool root_file = conn_meaning_reads_root_file(pasted.driver) && conn_meaning_has_root_file(&world, arena);
    if (pasted_family(pasted.driver) != PASTED_LIBPQ)
        return link_settle(&pasted, root_file, "", arena, out, e);
    struct conn_options written = pasted.options;
    TRY(conn_options_defaults(&pasted.options, &world, CONN_LIBPQ, arena, e));
    struct str mode = pasted.options.v[CONN_SSLMODE];
    bool by_root = str_is(mode, "verify-full") && str_is(pasted.options.v[CONN_SSLROOTCERT], "system");
    bool default_value = str_is(mode, "prefer") && !world.getenv(world.ctx, "PGSSLMODE");
    if (!pasted.sslmode_given && default_value)
        pasted.options.v[CONN_SSLMODE] = written.v[CONN_SSLMODE];
    else if (!pasted.sslmode_given) {
        pasted.sslmode_given = true;
        return link_settle(&pasted, root_file, by_root ? "" : " of the service file or environment", arena,
                           out, e);
    }
    return link_settle(&pasted, root_file, "", arena, out, e);
}

bool link_add(struct collected *collected, struct arena *arena, struct subject_connection connection,
              struct subject_link link)
{
    struct audit_subject *subject = &collected->subject;
    size_t n = subject->n_connections;
    struct subject_link *kept = ARENA_NEW(arena, struct subject_link);
    bool full = n == 0 || (n & (n - 1)) == 0; /* the list has room for the next power of two */
    struct subject_connection *list = full ? arena_array(arena, n ? 2 * n : 1, sizeof *list)
                                           : (struct subject_connection *)(uintptr_t)subject->connections;

    if (!kept || !list)
        return false;
    *kept = link;
    connection.link = kept;
    if (full && n > 0)
        memcpy(list, subject->connections, n * sizeof *list);
    list[n] = connection;
    subject->connections = list;
    subject->n_connections = n + 1;
    return true;
}
