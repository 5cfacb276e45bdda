/**
 * A server's configuration as a change sees it: two files and a directory in a temporary folder, a third that is new, and
 * hooks that count and fail.
 */
#ifndef PGSEAL_TESTS_WORLD_H
#define PGSEAL_TESTS_WORLD_H

#include "../unit.h"

#include "base/check.h"
#include "base/env.h"
#include "harden/change.h"

enum { WORLD_FILES = 3 };

struct world {
    char root[64];
    char state[OS_PATH_MAX];
    char path[WORLD_FILES]
             [OS_PATH_MAX]; /* main.conf 0640, hba.conf 0600, and conf.d/new.conf, which is not there */
    struct change_file plan[WORLD_FILES];
    struct env env;
    bool has_back;  /* there is a hook for the reload on the way back */
    char calls[64]; /* a letter per call: a c r p b */
    char fail;      /* the letter of the hook that fails; 0: none */
    unsigned times; /* … so many times */
    void (*during)(struct world *w, char letter);
};

#define WORLD_OLD_MAIN "# main\nssl = off\n"
#define WORLD_NEW_MAIN "# main\nssl = on\n"
#define WORLD_OLD_HBA "host all all 0.0.0.0/0 md5\n"
#define WORLD_NEW_HBA "hostssl all all 0.0.0.0/0 md5\n"
#define WORLD_NEW_MORE "ssl_min_protocol_version = 'TLSv1.3'\n"

/** A new folder with the files as they were at first; world_clean() removes it. */
void world_make(struct world *w);
void world_clean(const struct world *w);
/** In a directory that is there: the files as they were at first. */
void world_fill(struct world *w);
/** Hooks that note their letter in w->calls. */
struct change_params world_params(struct world *w);

/** Open, apply or undo, close; w->calls begins anew. The code is that of the first that failed. */
enum code world_apply(struct world *w, struct change_report *out, struct err *e);
enum code world_undo(struct world *w, bool force, struct change_report *out, struct err *e);
/** Open and close. */
enum code world_open(struct world *w, struct change_report *out, struct err *e);
struct change_status world_look(struct world *w);

void world_put(const char *path, const char *text, mode_t mode);
/** It holds `text` and has this mode; 0: there is none. */
void world_expect(const char *path, const char *text, mode_t mode);
void world_expect_old(const struct world *w);
void world_expect_new(const struct world *w);
/** 'o', 'n', or 'm' for some of both. Fails where a file is neither. */
char world_state(const struct world *w);
/** Nothing stands beside the files. */
void world_expect_tidy(const struct world *w);
/** A path below the root; four at a time. */
const char *world_path(const struct world *w, const char *name);

#endif
