/* What a path is. */
#include "monitor/directory.h"

#include "monitor/files.h"
#include "monitor/gate.h"
#include "monitor/postgres.h"
#include "os/files.h"

#include <sys/stat.h>

static bool directory_has(const char *dir, const char *name)
{
    char path[OS_PATH_MAX];
    struct err ignored;

    return os_path(dir, name, path, &ignored) == OK && os_exists(path);
}

bool monitor_is_gate(const char *dir)
{
    return directory_has(dir, "pgseal.conf");
}

bool monitor_is_postgres(const char *dir)
{
    return directory_has(dir, "postgresql.conf") ||
           (directory_has(dir, "PG_VERSION") && directory_has(dir, "postmaster.opts"));
}

enum code monitor_add_path(struct monitor_target *target, const char *path, struct err *e)
{
    struct stat st;

    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return monitor_add_file(target, path, e);
    if (monitor_is_gate(path))
        return monitor_add_gate(target, path, e);
    if (monitor_is_postgres(path))
        return monitor_add_postgres(target, path, e);
    return monitor_add_dir(target, path, e);
}
