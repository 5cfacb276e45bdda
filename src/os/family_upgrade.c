/*
 * Request, check, successor, hand-over, the new program in the parent's place.
 *
 * The parent decides nothing of the hand-over itself: whether the successor has it all is agreed between the two gates, and
 * the one that gives says so. Until then the successor may end, or be ended, and nothing was.
 */
#include "os/family_upgrade.h"

#include "base/check.h"
#include "base/env.h"
#include "base/log.h"
#include "os/descriptors.h"
#include "os/family_again.h"
#include "os/family_start.h"
#include "os/notify.h"
#include "os/packet.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CHECK_MS = 120 * 1000, /* it may ask for a passphrase */
    LINKED_MS = 120 * 1000,
    ANSWER_MS = 10 * 1000, /* of the gate, that it has given up */
    BEGIN_MS = 5 * 1000,
    SAID_READ = 16 * 1024, /* of what a check has said */
    SAID_MAX = 400         /* of the line that is passed on */
};

static int64_t now_ms(const struct family *f)
{
    return env_mono_us(f->params->env) / 1000;
}

static void enter(struct family *f, enum upgrade_step step, int64_t limit_ms)
{
    f->upgrade.step = step;
    f->upgrade.until_ms = limit_ms > 0 ? now_ms(f) + limit_ms : 0;
}

static void tell(const struct family *f, enum family_answer answer, const char *text)
{
    char line[768];

    int n = snprintf(line, sizeof line, "%c%s", (char)answer, text);
    size_t length = n < 0 ? 0 : (size_t)n < sizeof line ? (size_t)n : sizeof line - 1;
    for (size_t i = 0; i < length; i++)
        if (line[i] == '\n')
            line[i] = ' ';
    line[length] = '\n'; /* instead of the NUL */
    if (f->upgrade.report >= 0)
        (void)!write(f->upgrade.report, line, length + 1); /* whoever has asked may have gone */
}

static void log_end_of(const struct family *f, enum family_answer answer, const char *text)
{
    struct log_line line;
    bool done = answer == FAMILY_DONE;

    f->params->env->log->format = atomic_load(&f->shared->json) ? LOG_JSON : LOG_TEXT;
    log_begin(&line, f->params->env, done ? SEV_LOG : SEV_WARNING, done ? "upgraded" : "upgrade_failed");
    if (done)
        log_c(&line, "message", "the gate and its parent run the new program");
    else if (answer == FAMILY_SILENT)
        log_c(&line, "message", "the gate has handed everything over to the new program");
    else
        log_c(&line, "message", "the gate was not upgraded, and serves on");
    log_c(&line, done ? "sessions" : "reason", text);
    log_end(&line);
}

void family_upgrade_end(struct family *f, enum family_answer answer, const char *text)
{
    struct upgrade *u = &f->upgrade;

    log_end_of(f, answer, text);
    os_notify("READY=1\nSTATUS=");
    tell(f, answer, text);
    os_close(&u->report);
    os_close(&u->program);
    os_close(&u->said);
    *u = (struct upgrade){ .report = -1, .program = -1, .said = -1 };
}

/* ---- the request ---- */

static bool is_ours(const struct family *f, pid_t pid)
{
    for (size_t i = 0; i < f->n; i++)
        if (pid == f->gates[i].pid || pid == f->gates[i].clerk)
            return true;
    return false;
}

/* A descriptor of the process that asks. What it is decides whether it is opened at all. */
static int open_theirs(pid_t pid, int number, mode_t type, int flags)
{
    char path[64];
    struct stat st;

    (void)snprintf(path, sizeof path, "/proc/%ld/fd/%d", (long)pid, number);
    int seen = open(path, O_PATH | O_CLOEXEC);
    if (seen < 0)
        return -1;
    bool fits = fstat(seen, &st) == 0 && (st.st_mode & S_IFMT) == type;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", seen);
    int fd = fits ? open(path, flags | O_CLOEXEC) : -1;
    (void)close(seen);
    return fd;
}

/* Who asks has opened the new program; it must lie where we see it, too. NULL, or why not. */
static const char *take_program(struct family *f, const struct signalfd_siginfo *info)
{
    struct upgrade *u = &f->upgrade;
    char link[64];

    if (info->ssi_code != SI_QUEUE || !(info->ssi_int & FAMILY_ASK_PROGRAM)) {
        memcpy(u->path, f->path, sizeof u->path);
        u->program = open(u->path, O_PATH | O_CLOEXEC);
        return u->program >= 0 ? NULL : strerror(errno);
    }
    u->program = open_theirs((pid_t)info->ssi_pid, (info->ssi_int & FAMILY_ASK_REPORT) + 1, S_IFREG, O_PATH);
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", u->program);
    ssize_t n = u->program >= 0 ? readlink(link, u->path, sizeof u->path - 1) : -1;
    u->path[n > 0 ? n : 0] = '\0';
    if (!family_is_at(u->path, u->program))
        return "the gate does not see the new program at its path";
    return NULL;
}

static bool may_ask(const struct family *f, const struct signalfd_siginfo *info)
{
    bool sent = info->ssi_code == SI_USER || info->ssi_code == SI_QUEUE;

    return sent && (info->ssi_uid == 0 || info->ssi_uid == geteuid()) && !is_ours(f, (pid_t)info->ssi_pid);
}

static void refuse_another(const struct signalfd_siginfo *info, const char *why)
{
    char line[256];
    int report = info->ssi_code == SI_QUEUE
                     ? open_theirs((pid_t)info->ssi_pid, info->ssi_int & FAMILY_ASK_REPORT, S_IFIFO,
                                   O_WRONLY | O_NONBLOCK)
                     : -1;

    if (report < 0)
        return;
    int n = snprintf(line, sizeof line, "%c%s\n", FAMILY_REFUSED, why);
    (void)!write(report, line, n > 0 ? (size_t)n : 0);
    (void)close(report);
}

void family_upgrade_asked(struct family *f, const struct signalfd_siginfo *info)
{
    struct upgrade *u = &f->upgrade;

    if (!may_ask(f, info))
        return;
    if (f->stopping || u->step != UPGRADE_NONE) {
        refuse_another(info, f->stopping ? "the gate is stopping" : "another upgrade is under way");
        return;
    }
    if (info->ssi_code == SI_QUEUE)
        u->report = open_theirs((pid_t)info->ssi_pid, info->ssi_int & FAMILY_ASK_REPORT, S_IFIFO,
                                O_WRONLY | O_NONBLOCK);
    char text[128];
    (void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\nSTATUS=upgrading",
                   env_mono_us(f->params->env));
    os_notify(text);
    const char *why = take_program(f, info);
    if (why)
        family_upgrade_end(f, FAMILY_FAILED, why);
    else if (f->n == GENERATIONS_MAX)
        family_upgrade_end(f, FAMILY_REFUSED, "too many earlier generations of the gate still have sessions");
    else if (!family_start_check(f))
        family_upgrade_end(f, FAMILY_FAILED, strerror(errno));
    else {
        enter(f, UPGRADE_CHECKING, CHECK_MS);
        tell(f, FAMILY_STEP, "checking"); /* who has asked is not needed any more */
    }
}

/* ---- the successor ---- */

static void end_successor(struct family *f)
{
    struct generation *successor = &f->gates[f->newest + 1];

    if (f->newest + 1 >= f->n)
        return;
    if (!successor->over)
        (void)kill(successor->pid, SIGKILL); /* it is reaped as a stranger is */
    family_end_clerk(successor);
    family_close(successor);
    f->n--;
}

static void start_successor(struct family *f)
{
    int pair[2];

    if (!family_is_at(f->upgrade.path, f->upgrade.program)) {
        family_upgrade_end(f, FAMILY_REFUSED, "the new program was replaced meanwhile");
        return;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        family_upgrade_end(f, FAMILY_FAILED, strerror(errno));
        return;
    }
    tell(f, FAMILY_STEP, "starting the new program");
    bool started = family_start_successor(f, pair[1]);
    if (!started)
        family_upgrade_end(f, FAMILY_FAILED, strerror(errno));
    else if (!os_packet_send(f->gates[f->newest].orders, 'U', bytes_of("", 0), (const int[]){ pair[0], -1 },
                             false)) {
        end_successor(f);
        family_upgrade_end(f, FAMILY_FAILED, strerror(errno));
    } else {
        enter(f, UPGRADE_LINKED, LINKED_MS);
    }
    (void)close(pair[0]);
}

/* The gate is asked to give up: it may have committed itself at this moment, and then it does not. */
static void give_up(struct family *f, const char *why)
{
    (void)snprintf(f->upgrade.why, sizeof f->upgrade.why, "%s", why);
    (void)os_packet_send(f->gates[f->newest].orders, 'X', bytes_of("", 0), NULL, false);
    enter(f, UPGRADE_GIVEN_UP, ANSWER_MS);
}

/* Of what the check has said, the first error; without one, its last line. */
static void read_said(const struct family *f, char out[SAID_MAX + 1])
{
    char text[SAID_READ + 1];
    ssize_t n = pread(f->upgrade.said, text, SAID_READ, 0);

    while (n > 0 && text[n - 1] == '\n')
        n--;
    text[n > 0 ? n : 0] = '\0';
    const char *line = strstr(text, "ERROR:"), *last = strrchr(text, '\n');
    if (!line)
        line = last ? last + 1 : text;
    while (line > text && line[-1] != '\n')
        line--;
    (void)snprintf(out, SAID_MAX + 1, "%.*s", (int)strcspn(line, "\n"), line);
}

static void on_checked(struct family *f, int status)
{
    char said[SAID_MAX + 1], text[SAID_MAX + 64];

    f->upgrade.checker = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        start_successor(f);
        return;
    }
    read_said(f, said);
    if (WIFSIGNALED(status))
        (void)snprintf(text, sizeof text, "the new program was terminated by signal %d: %s", WTERMSIG(status),
                       strsignal(WTERMSIG(status)));
    else if (*said)
        (void)snprintf(text, sizeof text, "the new program could not serve: %s", said);
    else
        (void)snprintf(text, sizeof text, "the new program could not serve: it ended with status %d",
                       WEXITSTATUS(status));
    family_upgrade_end(f, FAMILY_REFUSED, text);
}

void family_upgrade_reaped(struct family *f, pid_t pid, int status)
{
    struct upgrade *u = &f->upgrade;

    if (pid == u->checker && u->step == UPGRADE_CHECKING)
        on_checked(f, status);
    else if (u->step == UPGRADE_LINKED && f->newest + 1 < f->n && pid == f->gates[f->newest + 1].pid)
        give_up(f, "the new program ended before it took over");
}

/* ---- what the gates say ---- */

/* How the successor ended tells more than that it did. */
static void on_abandoned(struct family *f, const char *text)
{
    const struct generation *successor = f->newest + 1 < f->n ? &f->gates[f->newest + 1] : NULL;
    char why[PARENT_PACKET_MAX + 64];

    (void)snprintf(why, sizeof why, "%s", *text || !*f->upgrade.why ? text : f->upgrade.why);
    if (successor && successor->over && WIFSIGNALED(successor->status))
        (void)snprintf(why, sizeof why, "the new program was terminated by signal %d: %s",
                       WTERMSIG(successor->status), strsignal(WTERMSIG(successor->status)));
    end_successor(f);
    family_upgrade_end(f, FAMILY_REFUSED, why);
}

static void on_begun(struct family *f)
{
    struct log_line line;

    family_again(f);
    const char *why = strerror(errno);
    /* The gates are of the new program, we are not: that serves, too. */
    log_begin(&line, f->params->env, SEV_WARNING, "parent_stays");
    log_c(&line, "message", "the gate runs the new program, its parent still the one from before");
    log_c(&line, "reason", why);
    log_end(&line);
    memcpy(f->path, f->upgrade.path, sizeof f->path);
    family_upgrade_end(f, FAMILY_DONE, f->upgrade.result);
}

/* It may be late, or it hangs: we stay what we are. */
static void on_silent(struct family *f)
{
    memcpy(f->path, f->upgrade.path, sizeof f->path);
    family_upgrade_end(f, FAMILY_SILENT,
                       "the new program has taken everything over, but does not say that it serves");
}

void family_upgrade_word(struct family *f, const struct generation *gate, enum parent_word word,
                         const char *text)
{
    struct upgrade *u = &f->upgrade;
    bool linked = u->step == UPGRADE_LINKED || u->step == UPGRADE_GIVEN_UP;
    bool newest = gate == &f->gates[f->newest];

    switch (word) {
    case PARENT_COMMITTED:
        if (!linked || !newest || f->newest + 1 >= f->n)
            return;
        f->newest++;
        (void)snprintf(u->result, sizeof u->result, "%s", text);
        enter(f, UPGRADE_COMMITTED, BEGIN_MS);
        return;
    case PARENT_ABANDONED:
        if (linked && newest)
            on_abandoned(f, text);
        return;
    case PARENT_BEGUN:
        if (u->step == UPGRADE_COMMITTED && newest)
            on_begun(f);
        return;
    }
}

/* ---- time ---- */

void family_upgrade_look(struct family *f)
{
    struct upgrade *u = &f->upgrade;

    if (u->until_ms == 0 || now_ms(f) < u->until_ms)
        return;
    switch (u->step) {
    case UPGRADE_NONE:
        break;
    case UPGRADE_CHECKING:
        (void)kill(u->checker, SIGKILL);
        family_upgrade_end(f, FAMILY_REFUSED, "the new program did not finish its check in time");
        break;
    case UPGRADE_LINKED:
        give_up(f, "the new program did not take over in time");
        break;
    case UPGRADE_GIVEN_UP:
        on_abandoned(f, "");
        break;
    case UPGRADE_COMMITTED:
        on_silent(f);
        break;
    }
}

int family_upgrade_wait_ms(const struct family *f)
{
    int64_t left = f->upgrade.until_ms - now_ms(f);

    return f->upgrade.until_ms == 0 ? -1 : left > 0 ? (int)left : 0;
}

void family_upgrade_stop(struct family *f)
{
    if (f->upgrade.step == UPGRADE_CHECKING) {
        (void)kill(f->upgrade.checker, SIGKILL);
        family_upgrade_end(f, FAMILY_REFUSED, "the gate is stopping");
    }
}
