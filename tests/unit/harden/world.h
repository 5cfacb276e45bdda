/**
 * A server's configuration as a change sees it: two files and a directory in a temporary folder, a third that is new, and
 * hooks that count and fail.
 */
#ifndef PGSEAL_TESTS_WORLD_H
#define PGSEAL_TESTS_WORLD_H

#include "../unit.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "harden/change.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORLD_FILES = 3 };

struct world {
    char root[64];
    char state[OS_PATH_MAX];
    char path[WORLD_FILES]
             [OS_PATH_MAX]; /* main.conf 0640, hba.conf 0600, and conf.d/new.conf, which is not there */
    struct change_file plan[WORLD_FILES];
    struct env env;
    char calls[64];  /* a letter per call: a check r p */
    char fail;       /* the letter of the hook that fails; 0: none */
    unsigned passes; /* … but not the first so many times */
    void (*during)(struct world *w, char letter);
};

#define WORLD_OLD_MAIN "# main\nssl = off\n"
#define WORLD_NEW_MAIN "# main\nssl = on\n"
#define WORLD_OLD_HBA "host all all 0.0.0.0/0 md5\n"
#define WORLD_NEW_HBA "hostssl all all 0.0.0.0/0 md5\n"
#define WORLD_NEW_MORE "ssl_min_protocol_version = 'TLSv1.3'\n"

static inline void world_put(const char *path, const char *text, mode_t mode)
{
    struct os_owned owned = { mode, (uid_t)-1, (gid_t)-1 };
    struct os_target target = { path, owned, OS_WRITE_REPLACE };

    assert_int_equal(os_write_target(&target, str_bytes(str_c(text)), NULL), OK);
}

/* 0: there is none; else its mode, and it holds `text`. */
static inline void world_expect(const char *path, const char *text, mode_t mode)
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

static inline void world_expect_old(const struct world *w)
{
    world_expect(w->path[0], WORLD_OLD_MAIN, 0640);
    world_expect(w->path[1], WORLD_OLD_HBA, 0600);
    world_expect(w->path[2], "", 0);
}

static inline void world_expect_new(const struct world *w)
{
    world_expect(w->path[0], WORLD_NEW_MAIN, 0640);
    world_expect(w->path[1], WORLD_NEW_HBA, 0600);
    world_expect(w->path[2], WORLD_NEW_MORE, 0644);
}

static inline enum code world_hook(struct world *w, char letter, struct err *e)
{
    size_t n = strlen(w->calls);

    assert_true(n + 1 < sizeof w->calls);
    w->calls[n] = letter;
    if (w->during)
        w->during(w, letter);
    if (w->fail != letter)
        return OK;
    if (w->passes > 0) {
        w->passes--;
        return OK;
    }
    return err_set(e, E_CONFIG, "the hook %c does not like it", letter);
}

static inline enum code world_also(void *ctx, struct err *e)
{
    return world_hook(ctx, 'a', e);
}

static inline enum code world_check(void *ctx, struct err *e)
{
    return world_hook(ctx, 'c', e);
}

static inline enum code world_reload(void *ctx, struct err *e)
{
    return world_hook(ctx, 'r', e);
}

static inline enum code world_prove(void *ctx, struct err *e)
{
    return world_hook(ctx, 'p', e);
}

static inline struct change_params world_params(struct world *w)
{
    return (struct change_params){
        .state = w->state,
        .uid = geteuid(),
        .env = &w->env,
        .hooks = { world_also, world_check, world_reload, world_prove, w },
    };
}

/* In a directory that is there; files as they were at first. */
static inline void world_fill(struct world *w)
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

static inline void world_clean(const struct world *w)
{
    char command[OS_PATH_MAX];

    (void)snprintf(command, sizeof command, "rm -rf %s", w->root);
    assert_int_equal(system(command), 0);
}

#endif
