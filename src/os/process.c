/* Another program, watched until it ends. */
#include "os/process.h"

#include "base/buf.h"
#include "base/check.h"
#include "os/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    LOOK_MS = 100,    /* how often the child is asked whether it has ended */
    SAID_SHOWN = 500, /* bytes of standard error in an error's detail */
    CHUNK = 4096,
    CANNOT_RUN = 127
};

struct running {
    pid_t pid;
    int out, err, failed; /* ends of pipes to read; `failed` gets the errno of execvp() */
};

static void running_auto(struct running *r)
{
    os_close(&r->out);
    os_close(&r->err);
    os_close(&r->failed);
}

/* Only what is safe between fork() and exec: the process has no threads, but keep it short anyway. */
static _Noreturn void become(const struct os_process *process, int out, int err, int failed)
{
    int null = open("/dev/null", O_RDONLY);
    gid_t gid = getegid();
    uid_t uid = geteuid();
    sigset_t none;

    (void)setpgid(0, 0);
    (void)umask(022); /* a challenge that it puts into a web server's directory is read by others */
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    bool ok = null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
              dup2(err, STDERR_FILENO) >= 0 && chdir(process->dir) == 0;
    /* Real and saved IDs, too: an account that root acts as never becomes root again in its own programs. */
    ok = ok && setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0;
    if (ok)
        (void)execvp(process->argv[0], process->argv);
    int why = errno;
    (void)!write(failed, &why, sizeof why);
    _exit(CANNOT_RUN);
}

static enum code process_start(const struct os_process *process, struct running *r, struct err *e)
{
    int out[2] = { -1, -1 }, err[2] = { -1, -1 }, failed[2] = { -1, -1 };
    bool ok = pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0 && pipe2(failed, O_CLOEXEC) == 0;

    (void)fflush(NULL);
    r->pid = ok ? fork() : -1;
    if (r->pid == 0)
        become(process, out[1], err[1], failed[1]);
    int saved = errno;
    os_close(&out[1]);
    os_close(&err[1]);
    os_close(&failed[1]);
    r->out = out[0];
    r->err = err[0];
    r->failed = failed[0];
    if (r->pid < 0)
        return err_set(e, E_IO, "could not run \"%s\": %s", process->argv[0], strerror(saved));
    (void)setpgid(r->pid, r->pid);
    (void)fcntl(r->out, F_SETFL, O_NONBLOCK);
    (void)fcntl(r->err, F_SETFL, O_NONBLOCK);
    return OK;
}

/* Everything there is to read now; false at the end. `keep` is the newest part where it is limited. */
static bool drain(int fd, struct buf *out, bool keep_end)
{
    uint8_t chunk[CHUNK];
    ssize_t n;

    while ((n = read(fd, chunk, sizeof chunk)) > 0) {
        if (keep_end && out->n + (size_t)n > out->limit)
            buf_consume(out, out->n > CHUNK ? CHUNK : out->n);
        (void)buf_append(out, bytes_of(chunk, (size_t)n));
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static int64_t clock_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* True when it ended in time; `status` as of waitpid(). */
static bool watch(struct running *r, unsigned timeout_s, struct buf *out, struct buf *said, int *status)
{
    int64_t until = clock_ms() + (int64_t)timeout_s * 1000;
    bool ended = false;

    while (!ended && clock_ms() < until) {
        struct pollfd fds[] = { { .fd = r->out, .events = POLLIN }, { .fd = r->err, .events = POLLIN } };
        (void)poll(fds, 2, LOOK_MS);
        if (r->out >= 0 && !drain(r->out, out, false))
            os_close(&r->out);
        if (r->err >= 0 && !drain(r->err, said, true))
            os_close(&r->err);
        ended = waitpid(r->pid, status, WNOHANG) == r->pid;
        if (!ended && r->out < 0 && r->err < 0) /* it says no more: nothing wakes poll() */
            (void)usleep(LOOK_MS * 100);
    }
    if (!ended) {
        (void)kill(-r->pid, SIGKILL);
        (void)waitpid(r->pid, status, 0);
        return false;
    }
    if (r->out >= 0)
        (void)drain(r->out, out, false);
    if (r->err >= 0)
        (void)drain(r->err, said, true);
    (void)kill(-r->pid, SIGKILL); /* children that it left behind */
    return true;
}

/* The end of what it said, on one line. */
static void tell_said(const struct buf *said, struct err *e)
{
    struct str text = str_trim(buf_str(said));
    char line[SAID_SHOWN + 1];
    size_t n = 0;

    text = str_from(text, text.n > SAID_SHOWN ? text.n - SAID_SHOWN : 0);
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        line[n++] = c < ' ' || c == 0x7f ? ' ' : (char)c;
    }
    line[n] = '\0';
    if (n > 0)
        err_detail(e, "%s", line);
}

enum code os_process_failed(const struct os_process *process, int status, const struct buf *said,
                            struct err *e)
{
    (void)err_set(e, E_IO, "\"%s\" ended with status %d", process->argv[0], status);
    tell_said(said, e);
    return E_IO;
}

enum code os_process_run(const struct os_process *process, struct buf *out, int *out_status, struct buf *said,
                         struct err *e)
{
    AUTO(running) struct running r = { .out = -1, .err = -1, .failed = -1 };
    int status = 0, why = 0;

    TRY(process_start(process, &r, e));
    bool ended = watch(&r, process->timeout_s, out, said, &status);
    if (read(r.failed, &why, sizeof why) == sizeof why)
        return err_set(e, code_from_errno(why), "could not run \"%s\": %s", process->argv[0], strerror(why));
    if (!ended) {
        (void)err_set(e, E_CANCELED, "\"%s\" did not end within %u seconds", process->argv[0],
                      process->timeout_s);
        tell_said(said, e);
        return E_CANCELED;
    }
    if (WIFSIGNALED(status)) {
        (void)err_set(e, E_IO, "\"%s\" was terminated by signal %d: %s", process->argv[0], WTERMSIG(status),
                      strsignal(WTERMSIG(status)));
        tell_said(said, e);
        return E_IO;
    }
    if (!buf_ok(out))
        return err_set(e, E_LIMIT, "\"%s\" wrote more than %zu bytes", process->argv[0], out->limit);
    *out_status = WEXITSTATUS(status);
    return OK;
}
