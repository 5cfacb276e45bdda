/*
 * The clerk as a process: one socket, one request at a time, nothing else.
 *
 * While a statement runs, SQLite asks now and then whether it is to stop; then the socket is looked at for a 'K',
 * the only thing that may come meanwhile. Whoever does not get that far (a regular expression, a long text's
 * replace()) is killed by the gate, or by its own limits.
 */
#include "clerk/process.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "clerk/clerk.h"
#include "os/sandbox.h"
#include "pki/name.h"
#include "regex/regex.h"
#include "status/clerk_wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    REQUEST_CPU_S = 15, /* of one request: longer than the gate waits for any */
    READ_STEP = 1 << 20
};
#define MEMORY_MAX ((size_t)2 << 30)

struct process {
    int fd;
    bool canceled;
    bool gone;
    uint8_t ahead[CLERK_HEADER]; /* read while a statement ran */
    size_t n_ahead;
};

/* ---- the socket ---- */

static bool process_read_all(int fd, uint8_t *to, size_t n)
{
    while (n > 0) {
        ssize_t got = recv(fd, to, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        to += got;
        n -= (size_t)got;
    }
    return true;
}

static bool write_all(int fd, struct bytes data)
{
    while (data.n > 0) {
        ssize_t sent = send(fd, data.p, data.n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        data = bytes_from(data, (size_t)sent);
    }
    return true;
}

static bool read_frame(struct process *p, char *out_type, struct buf *body)
{
    if (!process_read_all(p->fd, p->ahead + p->n_ahead, sizeof p->ahead - p->n_ahead))
        return false;
    p->n_ahead = 0;
    struct rd r = rd_over(bytes_of(p->ahead, sizeof p->ahead));
    *out_type = (char)rd_u8(&r);
    uint32_t length = rd_u32(&r);
    if (length < 4 || length - 4 > CLERK_REQUEST_MAX)
        return false;
    for (size_t left = length - 4; left > 0;) {
        size_t n = left < READ_STEP ? left : READ_STEP;
        if (!buf_reserve(body, n) || !process_read_all(p->fd, body->p + body->n, n))
            return false;
        body->n += n;
        left -= n;
    }
    return true;
}

/* ---- what a statement asks ---- */

static bool canceled(void *ctx)
{
    struct process *p = ctx;

    if (p->canceled)
        return true;
    ssize_t got = recv(p->fd, p->ahead + p->n_ahead, sizeof p->ahead - p->n_ahead, MSG_DONTWAIT);
    if (got == 0)
        p->gone = true;
    if (got > 0)
        p->n_ahead += (size_t)got;
    if (p->n_ahead < sizeof p->ahead)
        return p->gone;
    p->canceled = true;
    if (p->ahead[0] == CLERK_CANCEL)
        p->n_ahead = 0;
    else
        p->gone = true; /* the gate never says anything else meanwhile */
    return true;
}

static bool act(void *ctx, const struct clerk_action *action, struct clerk_acted *out)
{
    struct process *p = ctx;
    AUTO(buf) struct buf frame = BUF_INIT(4096);
    AUTO(buf) struct buf body = BUF_INIT(4096);
    char type = CLERK_CANCEL;

    clerk_action_frame(&frame, action);
    if (p->gone || !buf_ok(&frame) || !write_all(p->fd, buf_bytes(&frame)))
        return false;
    while (type == CLERK_CANCEL) {
        buf_reset(&body);
        if (!read_frame(p, &type, &body)) {
            p->gone = true;
            return false;
        }
        p->canceled = p->canceled || type == CLERK_CANCEL;
    }
    return type == CLERK_ACTED && clerk_read_acted(buf_bytes(&body), out);
}

/* ---- limits ---- */

static void limit(int resource, rlim_t soft)
{
    struct rlimit now;

    if (getrlimit((__rlimit_resource_t)resource, &now) != 0)
        return;
    now.rlim_cur = now.rlim_max != RLIM_INFINITY && soft > now.rlim_max ? now.rlim_max : soft;
    (void)setrlimit((__rlimit_resource_t)resource, &now);
}

/* From now on so much more, then SIGXCPU. */
static void grant_cpu(void)
{
    struct rusage used;

    if (getrusage(RUSAGE_SELF, &used) == 0)
        limit(RLIMIT_CPU, (rlim_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec + REQUEST_CPU_S));
}

/* What is set up at first use must be there before the doors close. */
static void warm_up(void)
{
    AUTO(arena) struct arena arena;
    struct regex_match match;
    unsigned number;
    struct err e;

    arena_init(&arena, 1 << 20, 1024);
    struct regex_set *set = regex_set_new(&arena);
    if (set != NULL && regex_set_add(set, STR("(?i)^a+$"), false, &number, &e) == OK &&
        regex_search(set, number, STR("aaa"), &match, &e) != OK)
        return; /* the first statement that needs it will say so */
}

static bool confine(struct err *e)
{
    enum sandbox_state state;

    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0);
    (void)prctl(PR_SET_DUMPABLE, 0);
    return sandbox_bare(MEMORY_MAX, &state, e) == OK;
}

/* ---- the whole ---- */

static int serve(struct process *p, struct clerk *clerk)
{
    AUTO(buf) struct buf out = BUF_INIT((size_t)CLERK_REPLY_MAX + 16);
    AUTO(buf) struct buf body = BUF_INIT(CLERK_REQUEST_MAX);
    char type;

    while (!p->gone && read_frame(p, &type, &body)) {
        p->canceled = false;
        grant_cpu();
        buf_reset(&out);
        if (!clerk_answer(clerk, type, &body, &out))
            return EXIT_FAILURE;
        if (!write_all(p->fd, buf_bytes(&out)))
            break;
        if (out.size > 4 * CLERK_CHUNK)
            buf_fini(&out);
    }
    return EXIT_SUCCESS;
}

int clerk_process(int fd)
{
    struct process p = { .fd = fd };
    struct env env = env_system();
    const struct clerk_host host = {
        .ctx = &p, .env = &env, .canceled = canceled, .act = act, .field_known = name_field_known
    };
    struct err e = { 0 };
    struct stat st;

    if (fstat(fd, &st) != 0 || !S_ISSOCK(st.st_mode)) {
        (void)fprintf(stderr, "pgseal: \"clerk\" can only be started by \"pgseal serve\"\n");
        return 2;
    }
    struct clerk *clerk = clerk_new(&host);
    if (clerk == NULL)
        return EXIT_FAILURE;
    warm_up();
    int status = confine(&e) ? serve(&p, clerk) : EXIT_FAILURE;
    clerk_free(clerk);
    return status;
}
