/* Both ends of the line between a gate and its parent, and the parent's life. */
#include "os/parent.h"

#include "base/check.h"
#include "base/env.h"
#include "base/log.h"
#include "os/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    ANSWER_MS = 5000,
    STATUS_MAX = 4096, /* of /proc/PID/status */
    SIGNALED = 128,    /* + signal: the exit status of who cannot end by it */
    ENVIRONMENT_MAX = 64
};

/* What parent and gate tell each other by memory. */
struct shared {
    atomic_bool forwarding; /* the parent: a signal is neither pending there any more, nor here yet */
    atomic_bool json;       /* the gate: the log is of that form */
};

/* In the gate. */
static struct {
    struct shared *shared; /* NULL: there is no parent */
    int status;            /* the parent's /proc/PID/status; -1: no such thing */
} above = { .status = -1 };

struct parent {
    const struct parent_params *params;
    pid_t self;
    pid_t gate;
    pid_t clerk; /* 0: none */
    struct shared *shared;
    int line;
    int signals;
    sigset_t before; /* as the caller had them blocked */
    int status;      /* of the gate, as wait(2) gives it */
    bool over;
};

/* ---- packets ---- */

/* What a control message with one descriptor takes. */
union descriptor_room {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
};

/* fd: -1: none goes with it. */
static bool send_packet(int line, char type, const char *text, int fd)
{
    union descriptor_room room = { 0 };
    struct iovec parts[] = { { &type, 1 }, { (void *)(uintptr_t)text, strlen(text) } };
    struct msghdr message = { .msg_iov = parts, .msg_iovlen = COUNT_OF(parts) };

    if (fd >= 0) {
        message.msg_control = room.bytes;
        message.msg_controllen = sizeof room.bytes;
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(head), &fd, sizeof fd);
    }
    return sendmsg(line, &message, MSG_NOSIGNAL) >= 0;
}

/* Text is a C string after the type. *out_fd may be NULL: none is taken. */
static bool receive_packet(int line, char packet[PARENT_PACKET_MAX], int *out_fd)
{
    union descriptor_room room = { 0 };
    struct iovec part = { packet, PARENT_PACKET_MAX - 1 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

    if (out_fd) {
        message.msg_control = room.bytes;
        message.msg_controllen = sizeof room.bytes;
        *out_fd = -1;
    }
    ssize_t n = recvmsg(line, &message, MSG_CMSG_CLOEXEC);
    if (n <= 0)
        return false;
    packet[n] = '\0';
    struct cmsghdr *head = out_fd ? CMSG_FIRSTHDR(&message) : NULL;
    if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS &&
        head->cmsg_len == CMSG_LEN(sizeof *out_fd))
        memcpy(out_fd, CMSG_DATA(head), sizeof *out_fd);
    return true;
}

/* ---- in the gate ---- */

enum code parent_clerk(int line, int *out_fd, struct err *e)
{
    char packet[PARENT_PACKET_MAX];
    struct pollfd answer = { .fd = line, .events = POLLIN };

    if (line < 0 || !send_packet(line, 'S', "", -1) || poll(&answer, 1, ANSWER_MS) != 1 ||
        !receive_packet(line, packet, out_fd))
        return err_set(e, E_BAD_STATE, "no process that runs statements could be started");
    if (packet[0] == 'F' && *out_fd >= 0)
        return OK;
    return err_set(e, E_BAD_STATE, "no process that runs statements could be started: %s", packet + 1);
}

void parent_end_clerk(int line)
{
    if (line >= 0)
        (void)send_packet(line, 'K', "", -1);
}

static bool is_pending_above(int signum)
{
    char text[STATUS_MAX];
    ssize_t n = above.status >= 0 ? pread(above.status, text, sizeof text - 1, 0) : -1;

    text[n > 0 ? n : 0] = '\0';
    const char *mask = strstr(text, "\nShdPnd:");
    return mask && strtoull(mask + sizeof "\nShdPnd:" - 1, NULL, 16) >> (signum - 1) & 1;
}

/* In this order: what is not pending any more was marked before, and is pending here when the mark has gone. */
bool parent_has_signal(int signum)
{
    return above.shared && (is_pending_above(signum) || atomic_load(&above.shared->forwarding));
}

void parent_log_as(enum log_format format)
{
    if (above.shared)
        atomic_store(&above.shared->json, format == LOG_JSON);
}

/* ---- clerks ---- */

/* Of the environment a clerk gets what the loader and the sanitizers want, and nothing that may be secret. */
static void clerk_environment(char *out[ENVIRONMENT_MAX])
{
    static const char *const kept[] = { "LD_", "ASAN_", "LSAN_", "TSAN_", "UBSAN_", "LLVM_" };
    size_t n = 0;

    for (char **variable = environ; *variable && n + 1 < ENVIRONMENT_MAX; variable++)
        for (size_t i = 0; i < COUNT_OF(kept); i++)
            if (strncmp(*variable, kept[i], strlen(kept[i])) == 0 && n + 1 < ENVIRONMENT_MAX)
                out[n++] = *variable;
    out[n] = NULL;
}

/* In the child: nothing stays open but the socket, and the log's standard error for those who come with a runtime
 * that writes there. Signals that the terminal sends to all are not for a clerk: it ends when its socket does. */
static _Noreturn void become_clerk(const struct parent *p, int fd)
{
    static const int ignored[] = { SIGHUP, SIGINT, SIGTERM, SIGQUIT };
    char *environment[ENVIRONMENT_MAX];
    int nothing = open("/dev/null", O_RDWR);

    for (size_t i = 0; i < COUNT_OF(ignored); i++)
        (void)signal(ignored[i], SIG_IGN);
    (void)sigprocmask(SIG_SETMASK, &p->before, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    clerk_environment(environment);
    /* Through a number that none of the others has. */
    int away = fcntl(fd, F_DUPFD, PARENT_CLERK_FD + 1);
    if (nothing < 0 || away < 0 || getppid() != p->self)
        _exit(EXIT_FAILURE);
    (void)dup2(nothing, STDIN_FILENO);
    (void)dup2(nothing, STDOUT_FILENO);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    (void)dup2(nothing, STDERR_FILENO);
#endif
    (void)dup2(away, PARENT_CLERK_FD);
    if (close_range(PARENT_CLERK_FD + 1, ~0U, 0) != 0)
        _exit(EXIT_FAILURE);
    (void)execve(p->params->program, (char *const *)(uintptr_t)p->params->clerk, environment);
    _exit(EXIT_FAILURE);
}

static void end_clerk(struct parent *p)
{
    if (p->clerk > 0)
        (void)kill(p->clerk, SIGKILL); /* SIGCHLD tells when it has gone */
    p->clerk = 0;
}

static void start_clerk(struct parent *p)
{
    int pair[2];

    end_clerk(p);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        (void)send_packet(p->line, 'X', strerror(errno), -1);
        return;
    }
    p->clerk = fork();
    if (p->clerk == 0)
        become_clerk(p, pair[1]);
    (void)close(pair[1]);
    if (p->clerk > 0)
        (void)send_packet(p->line, 'F', "", pair[0]);
    else
        (void)send_packet(p->line, 'X', strerror(errno), -1);
    (void)close(pair[0]);
}

/* ---- the parent's life ---- */

static void say_gate_ended(const struct parent *p)
{
    struct log_line line;

    if (WIFEXITED(p->status))
        return; /* it has said why itself */
    if (atomic_load(&p->shared->json))
        p->params->env->log->format = LOG_JSON;
    log_begin(&line, p->params->env, SEV_FATAL, "gate_ended");
    log_c(&line, "message", "the gate's process has died");
    log_int(&line, "signal", WTERMSIG(p->status));
    log_end(&line);
}

static void reap(struct parent *p)
{
    int status;

    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid == p->clerk)
            p->clerk = 0;
        if (pid != p->gate)
            continue;
        p->status = status;
        p->over = true;
    }
}

static void parent_on_signal(struct parent *p)
{
    struct signalfd_siginfo info;

    atomic_store(&p->shared->forwarding, true);
    if (read(p->signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap(p);
        else if (info.ssi_code != SI_KERNEL) /* the terminal's have reached the gate too */
            (void)kill(p->gate, (int)info.ssi_signo);
    }
    atomic_store(&p->shared->forwarding, false);
}

static void on_packet(struct parent *p)
{
    char packet[PARENT_PACKET_MAX];

    if (!receive_packet(p->line, packet, NULL)) {
        (void)close(p->line); /* the gate is ending */
        p->line = -1;
        return;
    }
    if (packet[0] == 'S')
        start_clerk(p);
    else if (packet[0] == 'K')
        end_clerk(p);
    else if (packet[0] == 'N')
        os_notify(packet + 1);
}

/* End as the gate did: by the same signal, where that ends a process (not PID 1 of a namespace). */
static int end_alike(const struct parent *p)
{
    if (WIFEXITED(p->status))
        return WEXITSTATUS(p->status);
    int signum = WTERMSIG(p->status);
    sigset_t one;
    (void)signal(signum, SIG_DFL);
    (void)sigemptyset(&one);
    (void)sigaddset(&one, signum);
    (void)raise(signum);
    (void)sigprocmask(SIG_UNBLOCK, &one, NULL);
    return SIGNALED + signum;
}

static int live(struct parent *p)
{
    while (!p->over) {
        struct pollfd polls[] = { { .fd = p->signals, .events = POLLIN },
                                  { .fd = p->line, .events = POLLIN } };
        if (poll(polls, COUNT_OF(polls), -1) < 0)
            continue;
        if (polls[1].revents != 0)
            on_packet(p);
        if (polls[0].revents != 0)
            parent_on_signal(p);
    }
    end_clerk(p);
    say_gate_ended(p);
    return end_alike(p);
}

/* The gate's side: it dies with its parent, and has signals as the caller had them. */
static bool become_gate(const struct parent *p)
{
    char status[STATUS_MAX];

    (void)snprintf(status, sizeof status, "/proc/%ld/status", (long)p->self);
    above.status = open(status, O_RDONLY | O_CLOEXEC);
    above.shared = p->shared;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)close(p->signals);
    return sigprocmask(SIG_SETMASK, &p->before, NULL) == 0 && getppid() == p->self;
}

enum code parent_fork(const struct parent_params *params, int *out_line, int *out_status, struct err *e)
{
    struct parent p = { .params = params, .self = getpid() };
    sigset_t heard;
    int pair[2];

    (void)sigemptyset(&heard);
    (void)sigaddset(&heard, SIGCHLD);
    (void)sigaddset(&heard, SIGHUP);
    (void)sigaddset(&heard, SIGTERM);
    (void)sigaddset(&heard, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &heard, &p.before);
    p.signals = signalfd(-1, &heard, SFD_CLOEXEC);
    p.shared = mmap(NULL, sizeof *p.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p.signals < 0 || p.shared == MAP_FAILED ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return err_set(e, E_IO, "could not create the socket to the gate: %s", strerror(errno));
    p.gate = fork();
    if (p.gate < 0)
        return err_set(e, E_IO, "could not fork the gate: %s", strerror(errno));
    (void)close(pair[p.gate == 0 ? 0 : 1]);
    if (p.gate == 0) {
        *out_line = pair[1];
        os_notify_through(pair[1]);
        return become_gate(&p) ? OK : err_set(e, E_IO, "the parent process has exited");
    }
    p.line = pair[0];
    *out_line = -1;
    *out_status = live(&p);
    return OK;
}
