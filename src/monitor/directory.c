/* What a path is. */
#include "monitor/directory.h"

#include "monitor/files.h"
#include "monitor/gate.h"
#include "monitor/postgres.h"
#include "os/files.h"

/* Has a pgseal.conf. */
static bool monitor_is_gate(const char *dir)
{
    return os_has(dir, "pgseal.conf");
}

/* Has a postgresql.conf, or is a PGDATA whose postgresql.conf is elsewhere (Debian). */
static bool monitor_is_postgres(const char *dir)
{
    return os_has(dir, "postgresql.conf") || (os_has(dir, "PG_VERSION") && os_has(dir, "postmaster.opts"));
}

enum code monitor_add_path(struct monitor_target *target, const char *path, struct err *e)
{
    if (!os_is_directory(path))
        return monitor_add_file(target, path, e);
    if (monitor_is_gate(path))
        return monitor_add_gate(target, path, e);
    if (monitor_is_postgres(path))
        return monitor_add_postgres(target, path, e);
    return monitor_add_dir(target, path, e);
}
