#include "client/meaning.h"

#include "base/check.h"
#include "client/pasted.h"

enum require { REQUIRE_NOTHING, REQUIRE_ROOT, REQUIRE_FILE };
enum reading { READING_WRITTEN, READING_FULL, READING_NEVER };

static const struct {
    enum require require;
    enum reading reading;
    const char *changes;
} drivers[] = {
#define X(name, word, title, unset, require, reading, changes)                                               \
    [PASTED_##name] = { REQUIRE_##require, READING_##reading, changes },
#include "drivers.def"
#undef X
};

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

static bool require_verifies(const struct conn_options *options, enum pasted_driver driver, bool root_file)
{
    switch (drivers[driver].require) {
    case REQUIRE_NOTHING:
        return false;
    case REQUIRE_ROOT:
        return options->v[CONN_SSLROOTCERT].n > 0;
    case REQUIRE_FILE:
        return options->v[CONN_SSLROOTCERT].n > 0 || root_file;
    }
    UNREACHABLE();
}

struct conn_meaning conn_meaning(const struct conn_options *options, enum pasted_driver driver,
                                 bool root_file)
{
    enum sslmode mode = mode_of(options, driver);
    enum reading reading = drivers[driver].reading;
    struct conn_meaning m = { .encrypts = mode >= SSLMODE_REQUIRE, .tries = mode >= SSLMODE_PREFER };

    if (reading == READING_FULL && mode >= SSLMODE_PREFER)
        return (struct conn_meaning){ true, true, true, true };
    if (reading == READING_NEVER)
        return m;
    m.chain = mode >= SSLMODE_VERIFY_CA ||
              (mode == SSLMODE_REQUIRE && require_verifies(options, driver, root_file));
    m.name = mode == SSLMODE_VERIFY_FULL;
    return m;
}

struct conn_meaning conn_meaning_pasted(const struct pasted *pasted, bool root_file)
{
    enum pasted_driver driver = pasted->libpq_compat ? PASTED_PGX : pasted->driver;
    struct conn_meaning m = conn_meaning(&pasted->options, driver, root_file);

    if (pasted->no_verify)
        m.chain = m.name = false;
    return m;
}

struct str conn_meaning_changes(const struct pasted *pasted)
{
    struct str mode = pasted->options.v[CONN_SSLMODE];
    bool settled = pasted->sslmode_given && (pasted->driver == PASTED_LIB_PQ || str_is(mode, "verify-full") ||
                                             str_is(mode, "disable"));

    return settled || pasted->libpq_compat || pasted->no_verify ? STR("")
                                                                : str_c(drivers[pasted->driver].changes);
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
