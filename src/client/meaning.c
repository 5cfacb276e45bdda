#include "client/meaning.h"

#include "base/arena.h"
#include "client/pasted.h"

static enum sslmode mode_of(const struct conn_options *options, enum pasted_driver driver)
{
    struct str word = options->v[CONN_SSLMODE], root = options->v[CONN_SSLROOTCERT];
    const char *unset = pasted_default_sslmode(driver);
    enum sslmode mode = SSLMODE_PREFER;
    struct err ignored;

    if (word.n == 0 && driver == PASTED_LIBPQ && str_is(root, "system"))
        return SSLMODE_VERIFY_FULL;
    if (word.n == 0 && unset)
        word = str_c(unset);
    if (word.n > 0 && conn_parse_sslmode(word, &mode, &ignored) != OK)
        mode = SSLMODE_PREFER; /* such a string is refused elsewhere */
    return mode;
}

/* What the word require does, where it is read as it is written. */
static void add_require(const struct conn_options *options, enum pasted_driver driver, bool root_file,
                        struct conn_meaning *m)
{
    bool root = options->v[CONN_SSLROOTCERT].n > 0;

    switch (pasted_reader(driver)->require) {
    case PASTED_REQUIRE_NOTHING:
        return;
    case PASTED_REQUIRE_ROOT:
        m->chain = root;
        return;
    case PASTED_REQUIRE_FILE:
        m->chain = root || root_file;
        return;
    case PASTED_REQUIRE_SYSTEM:
        m->chain = true;
        m->name = !root;
        return;
    }
}

bool conn_meaning_reads_root_file(enum pasted_driver driver)
{
    return pasted_reader(driver)->require == PASTED_REQUIRE_FILE;
}

struct conn_meaning conn_meaning(const struct conn_options *options, enum pasted_driver driver,
                                 bool root_file)
{
    enum sslmode mode = mode_of(options, driver);
    struct conn_meaning m = { .encrypts = mode >= SSLMODE_REQUIRE,
                              .tries = mode >= SSLMODE_PREFER,
                              .chain = mode >= SSLMODE_VERIFY_CA,
                              .name = mode == SSLMODE_VERIFY_FULL };

    if (mode == SSLMODE_REQUIRE)
        add_require(options, driver, root_file, &m);
    switch (pasted_reader(driver)->reading) {
    case PASTED_READING_WRITTEN:
    case PASTED_READING_UNREAD:
        break;
    case PASTED_READING_TIGHT:
        m.encrypts = m.tries;
        break;
    case PASTED_READING_CA:
        m.name = m.chain;
        break;
    case PASTED_READING_STRICT:
        m.chain = m.name = m.encrypts;
        break;
    case PASTED_READING_FULL:
        m.encrypts = m.chain = m.name = m.tries;
        break;
    case PASTED_READING_NEVER:
        m.chain = m.name = false;
        break;
    case PASTED_READING_CARELESS:
        m.encrypts = mode == SSLMODE_REQUIRE;
        m.chain = m.name = false;
        break;
    }
    return m;
}

struct conn_meaning conn_meaning_pasted(const struct pasted *pasted, bool root_file)
{
    enum pasted_driver driver = pasted->libpq_compat ? PASTED_NODE_9 : pasted->driver;
    struct conn_meaning m = conn_meaning(&pasted->options, driver, root_file);

    if (pasted->no_verify)
        m.chain = m.name = false;
    return m;
}

struct str conn_meaning_changes(const struct pasted *pasted)
{
    struct str mode = pasted->options.v[CONN_SSLMODE];
    bool settled = pasted->sslmode_given && (pasted_family(pasted->driver) == PASTED_LIB_PQ ||
                                             str_is(mode, "verify-full") || str_is(mode, "disable"));

    return settled || pasted->libpq_compat || pasted->no_verify
               ? STR("")
               : str_c(pasted_reader(pasted->driver)->changes);
}

bool conn_meaning_has_root_file(const struct conn_world *world, struct arena *arena)
{
    struct str path;

    return world->home.n > 0 &&
           arena_printf(arena, &path, "%.*s/.postgresql/root.crt", STR_ARG(world->home)) &&
           world->stat_file(world->ctx, path.p).error == 0;
}

static bool is_local(struct str host)
{
    return host.n == 0 || host.p[0] == '/' || host.p[0] == '@' || str_is(host, "localhost") ||
           str_is(host, "::1") || str_starts(host, STR("127."));
}

bool conn_meaning_is_local(const struct conn_options *options)
{
    struct str list = options->v[CONN_HOSTADDR].n > 0 ? options->v[CONN_HOSTADDR] : options->v[CONN_HOST];
    struct str host;

    while (str_split(&list, ',', &host))
        if (!is_local(str_trim(host)))
            return false;
    return true;
}
