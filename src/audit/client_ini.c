#include "audit/client_ini.h"

#include "audit/client_items.h"
#include "base/arena.h"
#include "client/conninfo_text.h"

struct ini {
    struct str rest, section, key, value;
    unsigned line;
    bool pair, open; /* a NAME = VALUE line; a line that begins a section */
    bool closed;     /* ... with its bracket */
};

/* The next line that says something. `comment`: the signs that begin one. */
static bool next_line(struct ini *ini, const char *comment)
{
    struct str line;

    while (str_split(&ini->rest, '\n', &line)) {
        ini->line++;
        line = str_trim(line);
        if (line.n == 0 || strchr(comment, line.p[0]))
            continue;
        ini->open = line.p[0] == '[';
        if (ini->open)
            ini->section = str_first(str_from(line, 1), str_find(str_from(line, 1), ']'));
        ini->closed = str_ends(line, STR("]"));
        size_t equals = str_find(line, '=');
        ini->pair = !ini->open && equals < line.n;
        ini->key = str_first(line, equals);
        ini->value = str_from(line, equals + 1);
        return true;
    }
    return false;
}

enum code client_ini_service(struct str text, struct client_items *items)
{
    struct ini ini = { .rest = text };
    size_t current = SIZE_MAX; /* items move when there are more */

    while (next_line(&ini, "#")) {
        enum conn_option option;
        if (ini.open) {
            if (!client_items_add(items, PURPOSE_SERVICE, ini.section, ini.line))
                return E_NOMEM;
            current = items->n - 1;
            continue;
        }
        if (current == SIZE_MAX)
            continue; /* in front of the first section: libpq passes it over */
        struct client_item *item = &items->items[current];
        if (!ini.pair || !conn_option_find(ini.key, &option))
            item->error = STR("libpq refuses the service: syntax error in service file");
        else if (option == CONN_SERVICE)
            item->error = STR("libpq refuses the service: nested service specifications not supported");
        else if (!item->options.v[option].p) {
            item->options.v[option] = ini.value;
            if (option == CONN_SSLMODE)
                item->mode_line = ini.line;
        }
    }
    return OK;
}

/* ---- PgBouncer ---- */

/* Its words for a connection are libpq's, but for those that shape the pool. */
static void read_database(struct client_item *item, struct str value, struct arena *arena)
{
    struct conn_options options = { 0 };
    struct str rest = value, word;
    struct err ignored;

    while (str_split(&rest, ' ', &word)) {
        struct conn_options one = { 0 };
        if (conn_options_parse(word, arena, &one, &ignored) != OK)
            continue;
        for (enum conn_option i = 0; i < CONN_OPTION_COUNT; i++)
            if (one.v[i].p)
                options.v[i] = one.v[i];
    }
    item->options = options;
}

static enum code put_server_tls(struct client_items *items)
{
    static const struct {
        const char *name;
        enum conn_option option;
    } map[] = { { "pgbouncer.server_tls_sslmode", CONN_SSLMODE },
                { "pgbouncer.server_tls_ca_file", CONN_SSLROOTCERT } };

    for (size_t s = 0; s < items->n_settings; s++)
        for (size_t m = 0; m < sizeof map / sizeof map[0]; m++)
            for (size_t i = 0;
                 i < items->n && items->settings[s].in_force && str_is(items->settings[s].name, map[m].name);
                 i++) {
                items->items[i].options.v[map[m].option] = items->settings[s].value;
                if (map[m].option == CONN_SSLMODE)
                    items->items[i].mode_line = items->settings[s].line;
            }
    return OK;
}

enum code client_ini_pgbouncer(struct str text, struct client_items *items)
{
    struct ini ini = { .rest = text };
    unsigned section = 0; /* where server_tls_sslmode would be added */

    if (!client_items_set(items, "pgbouncer", STR("file"), STR("yes"), 1))
        return E_NOMEM;
    while (next_line(&ini, "#;")) {
        struct str key = str_trim(ini.key), value = str_trim(ini.value);
        if (ini.open && str_equal_nocase(ini.section, STR("pgbouncer")))
            section = ini.line;
        if (!ini.pair) {
            bool include = str_starts(key, STR("%include"));
            if (ini.open && ini.closed)
                continue;
            struct client_item *item = client_items_add(items, PURPOSE_POOLER,
                                                        include ? STR("%include") : STR("a line"), ini.line);
            if (!item)
                return E_NOMEM;
            item->error =
                include ? STR("the included file was not given")
                        : STR("the line is neither a section nor a setting: PgBouncer refuses the file");
            item->elsewhere = include;
            continue;
        }
        if (str_equal_nocase(ini.section, STR("databases"))) {
            struct client_item *item = client_items_add(items, PURPOSE_POOLER, key, ini.line);
            if (!item)
                return E_NOMEM;
            read_database(item, value, items->arena);
        } else if (str_equal_nocase(ini.section, STR("pgbouncer"))) {
            if (!client_items_set(items, "pgbouncer", key, value, ini.line))
                return E_NOMEM;
        }
    }
    for (size_t i = 0; i < items->n; i++)
        items->items[i].mode_line = section;
    return put_server_tls(items);
}

/* ---- pgBackRest ---- */

/* Sections are [global], [global:COMMAND], [STANZA] and [STANZA:COMMAND]; what one of them says is judged wherever
 * it stands. Values of secrets stay where they are. [src: pgBackRest, "Configuration Reference"] */
static bool is_secret_of_backup(struct str key)
{
    return str_ends(key, STR("-cipher-pass")) || str_ends(key, STR("-key-secret")) ||
           str_ends(key, STR("-s3-token")) || str_ends(key, STR("-sftp-private-key-passphrase")) ||
           str_ends(key, STR("-azure-key"));
}

enum code client_ini_pgbackrest(struct str text, struct client_items *items)
{
    struct ini ini = { .rest = text };

    if (!client_items_set(items, "pgbackrest", STR("file"), STR("yes"), 1))
        return E_NOMEM;
    while (next_line(&ini, "#")) {
        struct str key = str_trim(ini.key), value = str_trim(ini.value);
        if (!ini.pair)
            continue;
        if (is_secret_of_backup(key) && value.n > 0)
            key = STR("secret"), value = STR("yes");
        if (!client_items_set(items, "pgbackrest", key, value, ini.line))
            return E_NOMEM;
    }
    return OK;
}
