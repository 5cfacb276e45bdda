/* Root acts as the owner of a directory. */
#include "os/owner.h"

#include "base/check.h"
#include "os/files.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

/* Root's, where it cannot be told: what comes next says why. */
static enum code owner_of(const char *path, struct stat *out, struct err *e)
{
    char bare[OS_PATH_MAX], parent[OS_PATH_MAX];
    struct str s = str_c(path);

    *out = (struct stat){ .st_uid = 0 };
    while (s.n > 1 && s.p[s.n - 1] == '/')
        s.n--;
    if (!str_to_c(s, bare, sizeof bare))
        return err_set(e, E_LIMIT, "path name is too long: \"%s\"", path);
    if (stat(bare, out) == 0 || errno != ENOENT)
        return OK;
    TRY(os_dir_of(bare, parent, e));
    (void)!stat(parent, out);
    return OK;
}

/* His groups, too: a key may be readable for one of them. An owner without a name has the directory's. */
static bool take_groups(const struct stat *st)
{
    const struct passwd *row = getpwuid(st->st_uid);

    return row ? initgroups(row->pw_name, row->pw_gid) == 0 && setegid(row->pw_gid) == 0
               : setgroups(1, &st->st_gid) == 0 && setegid(st->st_gid) == 0;
}

static enum code owner_fail(const char *path, struct err *e)
{
    return err_set(e, E_ACCESS, "could not act as the owner of \"%s\": %m", path);
}

enum code os_owner_enter(const char *path, struct os_owner *out, struct err *e)
{
    struct os_owner before = { .changed = true };
    struct stat st;

    *out = (struct os_owner){ 0 };
    if (geteuid() != 0)
        return OK;
    TRY(owner_of(path, &st, e));
    if (st.st_uid == 0)
        return OK;
    before.n_groups = getgroups(OS_OWNER_GROUPS_MAX, before.groups);
    if (before.n_groups < 0)
        before.n_groups = 0; /* more than there is room for: root needs none of them */
    if (take_groups(&st) && seteuid(st.st_uid) == 0) {
        *out = before;
        return OK;
    }
    enum code code = owner_fail(path, e);
    os_owner_leave(&before);
    return code;
}

void os_owner_leave(struct os_owner *owner)
{
    if (!owner->changed)
        return;
    owner->changed = false;
    CHECK(seteuid(0) == 0 && setegid(0) == 0 && setgroups((size_t)owner->n_groups, owner->groups) == 0);
}

void os_owner_auto(struct os_owner *owner)
{
    os_owner_leave(owner);
}

enum code os_owner_become(const char *path, struct err *e)
{
    struct stat st;

    if (geteuid() != 0)
        return OK;
    TRY(owner_of(path, &st, e));
    if (st.st_uid == 0)
        return OK;
    if (!take_groups(&st) || setresgid(getegid(), getegid(), getegid()) != 0 ||
        setresuid(st.st_uid, st.st_uid, st.st_uid) != 0)
        return owner_fail(path, e);
    return OK;
}
