/* Two files, a third that is new, hooks that count and fail. */
#include "world.h"

#include "base/buf.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void world_put(const char *path, const char *text, mode_t mode)
{
    struct os_owned owned = { mode, (uid_t)-1, (gid_t)-1 };
    struct os_target target = { path, owned, OS_WRITE_REPLACE };

    assert_int_equal(os_write_target(&target, str_bytes(str_c(text)), NULL), OK);
}

void world_expect(const char *path, const char *text, mode_t mode)
{
    AUTO(buf) struct buf bytes = BUF_INIT(1 << 16);
    struct stat st;

    if (!mode) {
        assert_false(os_exists(path));
        return;
    }
    assert_int_equal(os_read_file(path, &bytes, NULL), OK);
    assert_str(buf_str(&bytes), text);
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
}

void world_expect_old(const struct world *w)
{
    world_expect(w->path[0], WORLD_OLD_MAIN, 0640);
    world_expect(w->path[1], WORLD_OLD_HBA, 0600);
    world_expect(w->path[2], "", 0);
}

void world_expect_new(const struct world *w)
{
    world_expect(w->path[0], WORLD_NEW_MAIN, 0640);
    world_expect(w->path[1], WORLD_NEW_HBA, 0600);
    world_expect(w->path[2], WORLD_NEW_MORE, 0644);
}

static enum code hook(struct world *w, char letter, struct err *e)
{
    size_t n = strlen(w->calls);

    assert_true(n + 1 < sizeof w->calls);
    w->calls[n] = letter;
    if (w->during)
        w->during(w, letter);
    if (w->fail != letter || w->times == 0)
        return OK;
    w->times--;
    return err_set(e, E_CONFIG, "the hook %c does not like it", letter);
}

static enum code hook_also(void *ctx, struct err *e)
{
    return hook(ctx, 'a', e);
}

static enum code hook_check(void *ctx, struct err *e)
{
    return hook(ctx, 'c', e);
}

static enum code hook_reload(void *ctx, struct err *e)
{
    return hook(ctx, 'r', e);
}

static enum code hook_back(void *ctx, struct err *e)
{
    return hook(ctx, 'b', e);
}

static enum code hook_prove(void *ctx, struct err *e)
{
    return hook(ctx, 'p', e);
}

struct change_params world_params(struct world *w)
{
    return (struct change_params){
        .state = w->state,
        .uid = geteuid(),
        .env = &w->env,
        .hooks = { hook_also, hook_check, hook_reload, hook_prove, w->has_back ? hook_back : NULL, w },
    };
}

void world_fill(struct world *w)
{
    static const char *const names[] = { "main.conf", "hba.conf", "conf.d/new.conf" };
    static const char *const old[] = { WORLD_OLD_MAIN, WORLD_OLD_HBA, "" };
    static const char *const new[] = { WORLD_NEW_MAIN, WORLD_NEW_HBA, WORLD_NEW_MORE };
    char conf_d[OS_PATH_MAX];

    w->env = env_system();
    assert_int_equal(os_path(w->root, "state", w->state, NULL), OK);
    assert_int_equal(os_path(w->root, "conf.d", conf_d, NULL), OK);
    assert_int_equal(os_mkdir(conf_d, 0755, NULL), OK);
    for (size_t i = 0; i < WORLD_FILES; i++) {
        assert_int_equal(os_path(w->root, names[i], w->path[i], NULL), OK);
        w->plan[i] = (struct change_file){ .path = w->path[i],
                                           .existed = i < 2,
                                           .stays = true,
                                           .before = str_bytes(str_c(old[i])),
                                           .after = str_bytes(str_c(new[i])),
                                           .mode = 0644 };
    }
    world_put(w->path[0], WORLD_OLD_MAIN, 0640);
    world_put(w->path[1], WORLD_OLD_HBA, 0600);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void world_clean(const struct world *w)
{
    assert_int_equal(nftw(w->root, remove_one, 8, FTW_PHYS | FTW_DEPTH), 0);
}

void world_make(struct world *w)
{
    /* In memory, where there is room for files: a disk takes its time over each fsync. */
    const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

    memset(w, 0, sizeof *w);
    (void)snprintf(w->root, sizeof w->root, "%s/pgseal-change-XXXXXX", parent);
    assert_non_null(mkdtemp(w->root));
    world_fill(w);
}

const char *world_path(const struct world *w, const char *name)
{
    static char paths[4][OS_PATH_MAX];
    static unsigned turn;
    char *path = paths[turn++ % COUNT_OF(paths)];

    assert_int_equal(os_path(w->root, name, path, NULL), OK);
    return path;
}

enum code world_open(struct world *w, struct change_report *out, struct err *e)
{
    struct change_params params = world_params(w);
    AUTO(change) struct change *change = NULL;

    memset(w->calls, 0, sizeof w->calls);
    return change_open(&params, &change, out, e);
}

enum code world_apply(struct world *w, struct change_report *out, struct err *e)
{
    struct change_params params = world_params(w);
    AUTO(change) struct change *change = NULL;

    memset(w->calls, 0, sizeof w->calls);
    TRY(change_open(&params, &change, out, e));
    return change_apply(change, w->plan, WORLD_FILES, out, e);
}

enum code world_undo(struct world *w, bool force, struct change_report *out, struct err *e)
{
    struct change_params params = world_params(w);
    AUTO(change) struct change *change = NULL;

    params.force = force;
    memset(w->calls, 0, sizeof w->calls);
    TRY(change_open(&params, &change, out, e));
    return change_undo(change, out, e);
}

struct change_status world_look(struct world *w)
{
    struct change_params params = world_params(w);
    struct change_status status;

    assert_int_equal(change_look(&params, &status, NULL), OK);
    return status;
}

char world_state(const struct world *w)
{
    static const char *const old[] = { WORLD_OLD_MAIN, WORLD_OLD_HBA, "" };
    static const char *const new[] = { WORLD_NEW_MAIN, WORLD_NEW_HBA, WORLD_NEW_MORE };
    char found = 0;

    for (size_t i = 0; i < WORLD_FILES; i++) {
        AUTO(buf) struct buf bytes = BUF_INIT(1 << 16);
        enum code code = os_read_file(w->path[i], &bytes, NULL);
        assert_true(code == OK || (code == E_NO_FILE && i == 2));
        bool is_old = str_is(buf_str(&bytes), old[i]) && (code == OK) == (i < 2);
        assert_true(is_old || str_is(buf_str(&bytes), new[i]));
        char this = is_old ? 'o' : 'n';
        found = !found || found == this ? this : 'm';
    }
    return found;
}

void world_expect_tidy(const struct world *w)
{
    const char *const dirs[] = { "", "conf.d" };

    for (size_t i = 0; i < COUNT_OF(dirs); i++) {
        DIR *dir = opendir(world_path(w, dirs[i]));
        assert_non_null(dir);
        for (const struct dirent *entry; (entry = readdir(dir));)
            if (entry->d_name[0] == '.')
                assert_true(str_is(str_c(entry->d_name), ".") || str_is(str_c(entry->d_name), ".."));
        (void)closedir(dir);
    }
}
