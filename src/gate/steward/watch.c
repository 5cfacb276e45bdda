/*
 * inotify tells that something moved; hashes tell whether it matters.
 *
 * Directories are watched, not files: a file that is replaced takes its watch with it. Every directory on the
 * way through symbolic links is among them, so that swapping a link far from the file is seen. File systems
 * that tell nothing (NFS) and directories that are replaced as a whole are caught by a slow look now and
 * then.
 */
#include "gate/steward/watch.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "conf/files.h"
#include "gate/load/http_access.h"
#include "gate/load/server_tls.h"
#include "gate/load/snapshot.h"
#include "net/loop.h"
#include "os/files.h"
#include "policy/policy.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SETTLE_MS = 1000,     /* of silence before a change is read */
    LOOK_MS = 60000,      /* without any event */
    FIRST_LOOK_MS = 2000, /* what changed between the load and the watch */
    LINKS_MAX = 16,       /* on the way to one file */
    WATCH_HASH = 32,
    WATCH_ARENA_MAX = 16 * 1024 * 1024
};

enum {
    EVENTS = IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO
};

struct watched {
    const char *path;
    bool rules; /* counts by identity */
    STAILQ_ENTRY(watched) entry;
};

/* What matters in one directory. Others write there too: logs, locks, temporary files. */
struct watched_name {
    int wd;
    const char *name; /* NULL: everything */
    STAILQ_ENTRY(watched_name) entry;
};

struct state {
    uint8_t certificates[WATCH_HASH];
    uint8_t rules[WATCH_HASH];
};

struct watch {
    struct loop *loop;
    watch_fn *fn;
    void *arg;
    struct arena arena; /* of the paths */
    STAILQ_HEAD(, watched) files;
    STAILQ_HEAD(, watched_name) names;
    int fd; /* inotify; -1: none */
    struct poll *poll;
    struct timer *settle; /* runs while something is unsettled */
    struct timer *look;
    bool settling;
    struct state tried;
    struct state seen;
};

/* ---- hashes ---- */

static void hash_u64(EVP_MD_CTX *md, uint64_t value)
{
    (void)EVP_DigestUpdate(md, &value, sizeof value);
}

static void hash_identity(EVP_MD_CTX *md, const char *path)
{
    struct stat st;
    bool there = stat(path, &st) == 0;

    (void)EVP_DigestUpdate(md, path, strlen(path) + 1);
    hash_u64(md, there ? (uint64_t)st.st_dev : 0);
    hash_u64(md, there ? (uint64_t)st.st_ino : 0);
}

/* Owner and mode too: a key that was refused for them may now be good. */
static void hash_content(EVP_MD_CTX *md, const char *path)
{
    AUTO(buf) struct buf content = BUF_INIT(OS_FILE_LIMIT);
    struct stat st;
    struct err e;

    (void)EVP_DigestUpdate(md, path, strlen(path) + 1);
    if (stat(path, &st) != 0) {
        hash_u64(md, (uint64_t)errno);
        return;
    }
    hash_u64(md, st.st_mode);
    hash_u64(md, st.st_uid);
    if (!S_ISREG(st.st_mode))
        return;
    enum code code = os_read_file(path, &content, &e);
    hash_u64(md, (uint64_t)code);
    hash_u64(md, content.n);
    if (code == OK)
        (void)EVP_DigestUpdate(md, content.p, content.n);
    buf_fini_secret(&content);
}

static bool is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* The sum over the entries: the order of a directory means nothing. */
static void hash_directory(EVP_MD_CTX *md, const char *dir, bool rules)
{
    uint8_t sum[WATCH_HASH] = { 0 }, one[WATCH_HASH];
    char path[OS_PATH_MAX];
    struct dirent *entry;
    struct err e;
    DIR *d = opendir(dir);

    while (d && (entry = readdir(d)) != NULL) {
        EVP_MD_CTX *inner = is_dot(entry->d_name) ? NULL : EVP_MD_CTX_new();
        if (inner && EVP_DigestInit_ex(inner, EVP_sha256(), NULL) == 1 &&
            os_path(dir, entry->d_name, path, &e) == OK) {
            if (rules)
                hash_identity(inner, path);
            else
                hash_content(inner, path);
            (void)EVP_DigestFinal_ex(inner, one, NULL);
            for (size_t i = 0; i < sizeof sum; i++)
                sum[i] ^= one[i];
        }
        EVP_MD_CTX_free(inner);
    }
    if (d)
        (void)closedir(d);
    (void)EVP_DigestUpdate(md, sum, sizeof sum);
}

static void hash_files(struct watch *watch, bool rules, uint8_t out[WATCH_HASH])
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    struct watched *file;

    memset(out, 0, WATCH_HASH);
    if (!md || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(md);
        return;
    }
    STAILQ_FOREACH (file, &watch->files, entry) {
        if (file->rules != rules)
            continue;
        if (rules)
            hash_identity(md, file->path);
        else
            hash_content(md, file->path);
        if (os_is_directory(file->path))
            hash_directory(md, file->path, rules);
    }
    (void)EVP_DigestFinal_ex(md, out, NULL);
    EVP_MD_CTX_free(md);
}

static struct state look_at(struct watch *watch)
{
    struct state state;

    hash_files(watch, false, state.certificates);
    hash_files(watch, true, state.rules);
    return state;
}

static bool same(const struct state *a, const struct state *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* ---- settling ---- */

static void settle(struct watch *watch)
{
    if (!watch->settling)
        watch->seen = look_at(watch);
    watch->settling = true;
    timer_set(watch->settle, SETTLE_MS);
}

static void on_settled(void *arg)
{
    struct watch *watch = arg;
    struct state now = look_at(watch);

    if (!same(&now, &watch->seen)) {
        watch->seen = now;
        timer_set(watch->settle, SETTLE_MS);
        return;
    }
    watch->settling = false;
    if (same(&now, &watch->tried))
        return;
    bool rules = memcmp(now.rules, watch->tried.rules, WATCH_HASH) != 0;
    watch->fn(watch->arg, rules ? WATCH_EVERYTHING : WATCH_CERTIFICATES);
}

static void on_look(void *arg)
{
    struct watch *watch = arg;
    struct state now = look_at(watch);

    timer_set(watch->look, LOOK_MS);
    if (!watch->settling && !same(&now, &watch->tried))
        settle(watch);
}

static bool matters(const struct watch *watch, const struct inotify_event *event)
{
    const struct watched_name *name;

    if (event->mask & IN_Q_OVERFLOW)
        return true;
    STAILQ_FOREACH (name, &watch->names, entry)
        if (name->wd == event->wd &&
            (!name->name || (event->len > 0 && strcmp(event->name, name->name) == 0)))
            return true;
    return false;
}

static void on_event(void *arg, unsigned events)
{
    struct watch *watch = arg;
    _Alignas(struct inotify_event) char room[8192];
    bool any = false;
    ssize_t n;

    (void)events;
    while ((n = read(watch->fd, room, sizeof room)) > 0)
        for (size_t at = 0; at + sizeof(struct inotify_event) <= (size_t)n;) {
            const struct inotify_event *event = (const struct inotify_event *)(const void *)(room + at);
            any |= matters(watch, event);
            at += sizeof *event + event->len;
        }
    if (any)
        settle(watch);
}

/* ---- what is watched ---- */

/* name: what matters there; NULL: everything. Kernels that refuse leave the slow look. */
static void watch_directory(struct watch *watch, const char *dir, const char *name)
{
    struct watched_name *row;
    int wd = watch->fd < 0 ? -1 : inotify_add_watch(watch->fd, dir[0] ? dir : "/", EVENTS | IN_ONLYDIR);

    if (wd < 0)
        return;
    STAILQ_FOREACH (row, &watch->names, entry)
        if (row->wd == wd && (!row->name || (name && strcmp(row->name, name) == 0)))
            return;
    row = arena_alloc(&watch->arena, sizeof *row);
    if (!row)
        return;
    *row = (struct watched_name){ .wd = wd, .name = name ? arena_c(&watch->arena, str_c(name)) : NULL };
    STAILQ_INSERT_TAIL(&watch->names, row, entry);
}

/* The directory of `path`, and its last part. */
static const char *split(const char *path, char dir[OS_PATH_MAX])
{
    const char *last = strrchr(path, '/');
    size_t n = last ? (size_t)(last - path) : 0;

    while (n > 0 && path[n - 1] == '/')
        n--;
    (void)str_to_c(str_of(path, n), dir, OS_PATH_MAX);
    return last ? last + 1 : path;
}

static void watch_way(struct watch *watch, const char *path, int links);

/* path[0 … end) is a symbolic link: its directory matters, and the way that it points to. */
static void watch_link(struct watch *watch, const char *link, int links)
{
    char dir[OS_PATH_MAX], target[OS_PATH_MAX], whole[OS_PATH_MAX];
    struct err e;

    const char *name = split(link, dir);
    watch_directory(watch, dir, name);
    ssize_t n = readlink(link, target, sizeof target - 1);
    if (n <= 0)
        return;
    target[n] = '\0';
    if (os_path(dir[0] ? dir : "/", target, whole, &e) == OK)
        watch_way(watch, whole, links + 1);
}

static void watch_way(struct watch *watch, const char *path, int links)
{
    char prefix[OS_PATH_MAX];
    struct stat st;
    size_t length = strlen(path);

    if (links > LINKS_MAX || length >= sizeof prefix)
        return;
    for (size_t end = 1; end <= length; end++) {
        if (path[end] != '/' && path[end] != '\0')
            continue;
        memcpy(prefix, path, end);
        prefix[end] = '\0';
        if (lstat(prefix, &st) == 0 && S_ISLNK(st.st_mode))
            watch_link(watch, prefix, links);
    }
    const char *name = split(path, prefix);
    watch_directory(watch, prefix, name);
    if (os_is_directory(path))
        watch_directory(watch, path, NULL);
}

static void add_path(struct watch *watch, const char *path, bool rules)
{
    struct watched *file;
    char *copy;

    if (!path || path[0] != '/')
        return;
    STAILQ_FOREACH (file, &watch->files, entry)
        if (file->rules == rules && strcmp(file->path, path) == 0)
            return;
    file = arena_alloc(&watch->arena, sizeof *file);
    copy = arena_c(&watch->arena, str_c(path));
    if (!file || !copy)
        return;
    *file = (struct watched){ .path = copy, .rules = rules };
    STAILQ_INSERT_TAIL(&watch->files, file, entry);
    watch_way(watch, copy, 0);
}

static void add_text(struct watch *watch, struct str path, bool rules)
{
    char text[OS_PATH_MAX];

    if (path.n > 0 && str_to_c(path, text, sizeof text))
        add_path(watch, text, rules);
}

static void add_certificates(struct watch *watch, const struct snapshot *snapshot)
{
    const struct settings *settings = snapshot_settings(snapshot);
    const struct server_tls *hosts = snapshot_hosts(snapshot);
    struct settings_file_use use;
    const char *path;

    for (size_t i = 0; settings_file_use(settings, i, &use, &path); i++)
        if (settings_reads(settings, use.reader))
            add_path(watch, path, false);
    for (size_t i = 0; hosts->by_name && i < hosts->n; i++) {
        add_path(watch, hosts->hosts[i].cert_file, false);
        add_path(watch, hosts->hosts[i].key_file, false);
        add_path(watch, hosts->hosts[i].ca_file, false);
    }
    if (http_access_wants_tls(settings)) { /* those of TLS with clients, where it has none of its own */
        add_path(watch, http_access_cert_file(settings), false);
        add_path(watch, http_access_key_file(settings), false);
    }
    for (size_t i = 0; i < settings->n_routes; i++) {
        const struct upstream *upstream = snapshot_upstream(snapshot, &settings->routes[i]);
        if (!upstream->tls)
            continue;
        add_text(watch, upstream->files.root_file, false);
        add_text(watch, upstream->files.crl_file, false);
        add_text(watch, upstream->files.crl_dir, false);
        add_text(watch, upstream->files.cert, false);
        add_text(watch, upstream->files.key, false);
    }
}

static void add_rules(struct watch *watch, const struct snapshot *snapshot)
{
    const struct settings *settings = snapshot_settings(snapshot);
    size_t n;
    const struct server_tls *hosts = snapshot_hosts(snapshot);
    const struct policy_path *paths = policy_paths(snapshot_policy(snapshot), &n);

    if (settings->reload_on_change != CONF_RELOAD_ALL)
        return;
    for (size_t i = 0; i < settings->files.n; i++)
        add_text(watch, settings->files.at[i], true);
    for (size_t i = 0; i < n; i++)
        add_text(watch, paths[i].path, true);
    add_path(watch, settings->auth_file.path, true);
    for (size_t i = 0; i < hosts->n_paths; i++)
        add_text(watch, hosts->paths[i], true);
}

static void watch_forget(struct watch *watch)
{
    poll_close(watch->poll);
    watch->poll = NULL;
    if (watch->fd >= 0)
        (void)close(watch->fd);
    watch->fd = -1;
    STAILQ_INIT(&watch->files);
    STAILQ_INIT(&watch->names);
    arena_reset(&watch->arena);
}

void watch_follow(struct watch *watch, const struct snapshot *snapshot)
{
    watch_forget(watch);
    if (snapshot_settings(snapshot)->reload_on_change == CONF_RELOAD_OFF) {
        timer_stop(watch->look);
        timer_stop(watch->settle);
        watch->settling = false;
        return;
    }
    watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    watch->poll = watch->fd >= 0 ? poll_new(watch->loop, watch->fd, on_event, watch) : NULL;
    if (watch->poll)
        poll_set(watch->poll, POLL_READ);
    add_certificates(watch, snapshot);
    add_rules(watch, snapshot);
    timer_set(watch->look, FIRST_LOOK_MS);
}

void watch_mark(struct watch *watch)
{
    watch->tried = look_at(watch);
}

struct watch *watch_new(struct loop *loop, watch_fn *fn, void *arg)
{
    struct watch *watch = calloc(1, sizeof *watch);

    if (!watch)
        return NULL;
    *watch = (struct watch){ .loop = loop, .fn = fn, .arg = arg, .fd = -1 };
    STAILQ_INIT(&watch->files);
    STAILQ_INIT(&watch->names);
    arena_init(&watch->arena, WATCH_ARENA_MAX, 4096);
    watch->settle = timer_new(loop, on_settled, watch);
    watch->look = timer_new(loop, on_look, watch);
    if (!watch->settle || !watch->look) {
        watch_free(watch);
        return NULL;
    }
    return watch;
}

void watch_free(struct watch *watch)
{
    if (!watch)
        return;
    watch_forget(watch);
    timer_close(watch->settle);
    timer_close(watch->look);
    arena_fini(&watch->arena);
    free(watch);
}
