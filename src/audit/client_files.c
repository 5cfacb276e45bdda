#include "audit/client_files.h"

#include "audit/client_ini.h"
#include "audit/client_items.h"
#include "audit/client_text.h"
#include "audit/client_yaml.h"
#include "base/check.h"

static bool client_files_has(struct str text, const char *part)
{
    return text.n > 0 && memmem(text.p, text.n, part, strlen(part)) != NULL;
}

static bool is_yaml(struct str name)
{
    return str_ends(name, STR(".yml")) || str_ends(name, STR(".yaml"));
}

enum client_file client_file_kind(struct str name, struct str text)
{
    static const char *const profiles[] = { ".profile",  ".bash_profile", ".bashrc", ".zshrc",
                                            ".zprofile", ".zshenv",       "profile", "environment" };

    if (client_files_has(name, "pg_service") || str_ends(name, STR(".pg_service.conf")))
        return CLIENT_FILE_SERVICE;
    if (client_files_has(name, "pgbouncer") ||
        (str_ends(name, STR(".ini")) && client_files_has(text, "[pgbouncer]")))
        return CLIENT_FILE_PGBOUNCER;
    if (client_files_has(name, "pgbackrest") && client_files_has(text, "["))
        return CLIENT_FILE_PGBACKREST;
    if (is_yaml(name) && client_files_has(text, "postgresql:") &&
        (client_files_has(text, "restapi:") || client_files_has(text, "authentication:")))
        return CLIENT_FILE_PATRONI;
    if (str_is(name, ".pgpass") || str_is(name, "pgpass.conf"))
        return CLIENT_FILE_PASSWORDS;
    if (str_is_one_of(name, profiles, COUNT_OF(profiles)) || str_starts(name, STR(".env")) ||
        str_ends(name, STR(".env")))
        return CLIENT_FILE_ENVIRONMENT;
    return CLIENT_FILE_TEXT;
}

enum code client_file_read(enum client_file kind, struct str name, struct str text, enum pasted_driver driver,
                           struct client_items *items)
{
    switch (kind) {
    case CLIENT_FILE_SERVICE:
        return client_ini_service(text, items);
    case CLIENT_FILE_PGBOUNCER:
        return client_ini_pgbouncer(text, items);
    case CLIENT_FILE_PGBACKREST:
        return client_ini_pgbackrest(text, items);
    case CLIENT_FILE_ENVIRONMENT:
        return client_text_environment(text, driver, items);
    case CLIENT_FILE_PATRONI:
        return client_yaml_patroni(text, items);
    case CLIENT_FILE_PASSWORDS:
        return client_items_set(items, "passfile", STR("file"), STR("yes"), 0) ? OK : E_NOMEM;
    case CLIENT_FILE_TEXT:
        return client_text_scan(name, text, driver, items);
    }
    UNREACHABLE();
}

bool client_file_found(const struct client_items *items)
{
    return items->n + items->n_settings > 0;
}
