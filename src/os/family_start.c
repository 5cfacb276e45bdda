/* fork(2), and what a child keeps of its parent. */
#include "os/family_start.h"

#include "base/check.h"
#include "os/descriptors.h"
#include "os/packet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    ENVIRONMENT_MAX = 64,
    /* In a successor, until it has taken them over. */
    SUCCESSOR_LINE = 3,
    SUCCESSOR_ORDERS,
    SUCCESSOR_LINK,
    SUCCESSOR_MEMORY,
    SUCCESSOR_END
};

enum code family_memory(struct family *f, struct err *e)
{
    f->memory = memfd_create("pgseal", MFD_CLOEXEC);
    if (f->memory < 0 || ftruncate(f->memory, sizeof *f->shared) != 0)
        return err_set(e, E_IO, "could not make memory for the gate: %s", strerror(errno));
    f->shared = mmap(NULL, sizeof *f->shared, PROT_READ | PROT_WRITE, MAP_SHARED, f->memory, 0);
    if (f->shared == MAP_FAILED)
        return err_set(e, E_IO, "could not make memory for the gate: %s", strerror(errno));
    return OK;
}

/* A service manager sends it to all processes of a service: it is the parent's alone. Remains over execve(2). */
static void leave_request_to_parent(void)
{
    (void)signal(SIGUSR2, SIG_IGN);
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
static _Noreturn void become_clerk(const struct family *f, const struct generation *gate, int fd)
{
    static const int ignored[] = { SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGUSR2 };
    char *environment[ENVIRONMENT_MAX], program[64];
    int nothing = open("/dev/null", O_RDWR);

    for (size_t i = 0; i < COUNT_OF(ignored); i++)
        (void)signal(ignored[i], SIG_IGN);
    (void)sigprocmask(SIG_SETMASK, &f->before, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    clerk_environment(environment);
    /* Through numbers that none of the others has. */
    int away = fcntl(fd, F_DUPFD, PARENT_CLERK_FD + 1);
    int file = fcntl(gate->program, F_DUPFD_CLOEXEC, PARENT_CLERK_FD + 1);
    if (nothing < 0 || away < 0 || file < 0 || getppid() != f->self)
        _exit(EXIT_FAILURE);
    (void)dup2(nothing, STDIN_FILENO);
    (void)dup2(nothing, STDOUT_FILENO);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    (void)dup2(nothing, STDERR_FILENO);
#endif
    (void)dup2(away, PARENT_CLERK_FD);
    if (close_range(PARENT_CLERK_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
        _exit(EXIT_FAILURE);
    (void)snprintf(program, sizeof program, "/proc/self/fd/%d", file);
    (void)execve(program, (char *const *)(uintptr_t)f->params->clerk, environment);
    _exit(EXIT_FAILURE);
}

void family_end_clerk(struct generation *gate)
{
    if (gate->clerk > 0)
        (void)kill(gate->clerk, SIGKILL); /* SIGCHLD tells when it has gone */
    gate->clerk = 0;
}

static void clerk_failed(const struct generation *gate)
{
    const char *why = strerror(errno);

    (void)os_packet_send(gate->line, 'X', bytes_of(why, strlen(why)), NULL, false);
}

void family_start_clerk(struct family *f, struct generation *gate)
{
    int pair[2];

    family_end_clerk(gate);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        clerk_failed(gate);
        return;
    }
    gate->clerk = fork();
    if (gate->clerk == 0)
        become_clerk(f, gate, pair[1]);
    (void)close(pair[1]);
    if (gate->clerk > 0)
        (void)os_packet_send(gate->line, 'F', bytes_of("", 0), (const int[]){ pair[0], -1 }, false);
    else
        clerk_failed(gate);
    (void)close(pair[0]);
}

/* ---- gates ---- */

void family_close(struct generation *gate)
{
    os_close(&gate->line);
    os_close(&gate->orders);
    os_close(&gate->program);
}

/* Both ends of line and orders: [0] is the parent's. */
struct pairs {
    int line[2], orders[2];
};

static bool make_pairs(struct pairs *out)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, out->line) != 0)
        return false;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, out->orders) == 0)
        return true;
    int why = errno;
    (void)close(out->line[0]);
    (void)close(out->line[1]);
    errno = why;
    return false;
}

static struct generation generation_of(pid_t pid, const struct pairs *pairs, int program)
{
    return (struct generation){
        .pid = pid, .line = pairs->line[0], .orders = pairs->orders[0], .program = program
    };
}

/* The gate's side: it dies with its parent, and has signals as the caller had them. */
static bool become_gate(struct family *f)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    leave_request_to_parent();
    (void)close(f->signals);
    (void)close(f->memory);
    return sigprocmask(SIG_SETMASK, &f->before, NULL) == 0 && getppid() == f->self;
}

enum code family_fork_gate(struct family *f, struct parent_ties *out_ties, bool *out_child, struct err *e)
{
    struct pairs pairs;

    if (!make_pairs(&pairs))
        return err_set(e, E_IO, "could not create the socket to the gate: %s", strerror(errno));
    int program = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    pid_t pid = program >= 0 ? fork() : -1;
    if (pid < 0)
        return err_set(e, E_IO, "could not fork the gate: %s", strerror(errno));
    bool child = pid == 0;
    (void)close(pairs.line[child ? 0 : 1]);
    (void)close(pairs.orders[child ? 0 : 1]);
    *out_child = child;
    if (!child) {
        f->gates[f->n++] = generation_of(pid, &pairs, program);
        return OK;
    }
    (void)close(program);
    *out_ties = (struct parent_ties){ .line = pairs.line[1], .orders = pairs.orders[1], .link = -1 };
    parent_join(out_ties, f->shared);
    return become_gate(f) ? OK : err_set(e, E_IO, "the parent process has exited");
}

/* ---- a successor ---- */

/* Put these descriptors where they are to be, whatever lies there now; everything behind them is closed. */
static bool place(const int *fds, int first, int end)
{
    int away[SUCCESSOR_END];

    for (int i = first; i < end; i++)
        if ((away[i - first] = fcntl(fds[i - first], F_DUPFD, end)) < 0)
            return false;
    for (int i = first; i < end; i++)
        if (dup2(away[i - first], i) < 0)
            return false;
    return close_range((unsigned)end, ~0U, 0) == 0;
}

static _Noreturn void become_successor(const struct family *f, const struct pairs *pairs, int link)
{
    const int fds[] = { pairs->line[1], pairs->orders[1], link, f->memory };
    int nothing = open("/dev/null", O_RDWR);
    sigset_t mask = f->before;

    /* A SIGHUP stays pending until the gate is there to see it. */
    (void)sigaddset(&mask, SIGHUP);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    leave_request_to_parent();
    if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(nothing, STDOUT_FILENO) < 0 ||
        !place(fds, SUCCESSOR_LINE, SUCCESSOR_END) || setenv(FAMILY_VARIABLE, "successor", 1) != 0 ||
        getppid() != f->self)
        _exit(EXIT_FAILURE);
    (void)sigprocmask(SIG_SETMASK, &mask, NULL);
    (void)execv(f->upgrade.path, (char *const *)(uintptr_t)f->params->serve);
    _exit(EXIT_FAILURE);
}

bool family_start_successor(struct family *f, int link)
{
    struct pairs pairs;

    if (!make_pairs(&pairs)) {
        (void)close(link);
        return false;
    }
    pid_t pid = fork();
    if (pid == 0)
        become_successor(f, &pairs, link);
    int why = errno;
    (void)close(link);
    (void)close(pairs.line[1]);
    (void)close(pairs.orders[1]);
    struct generation gate = generation_of(pid, &pairs, fcntl(f->upgrade.program, F_DUPFD_CLOEXEC, 0));
    if (pid < 0)
        family_close(&gate);
    else
        f->gates[f->n++] = gate;
    errno = why;
    return pid > 0;
}

static bool is_socket(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

enum code family_succeed(struct parent_ties *out_ties, struct err *e)
{
    struct stat st;

    (void)unsetenv(FAMILY_VARIABLE);
    for (int fd = SUCCESSOR_LINE; fd < SUCCESSOR_MEMORY; fd++)
        if (!is_socket(fd) || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
            return err_set(e, E_BAD_STATE, "no gate has started this process as its successor");
    struct parent_shared *shared = MAP_FAILED;
    if (fstat(SUCCESSOR_MEMORY, &st) == 0 && st.st_size == sizeof *shared)
        shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, SUCCESSOR_MEMORY, 0);
    if (shared == MAP_FAILED)
        return err_set(e, E_BAD_STATE, "the data of the process that started this one is missing");
    (void)close(SUCCESSOR_MEMORY);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    *out_ties = (struct parent_ties){ .line = SUCCESSOR_LINE,
                                      .orders = SUCCESSOR_ORDERS,
                                      .link = SUCCESSOR_LINK };
    parent_join(out_ties, shared);
    return OK;
}

/* ---- the check ---- */

static _Noreturn void become_check(const struct family *f)
{
    int nothing = open("/dev/null", O_RDWR);

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    leave_request_to_parent();
    if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(f->upgrade.said, STDOUT_FILENO) < 0 ||
        dup2(f->upgrade.said, STDERR_FILENO) < 0 || close_range(STDERR_FILENO + 1, ~0U, 0) != 0)
        _exit(EXIT_FAILURE);
    (void)sigprocmask(SIG_SETMASK, &f->before, NULL);
    (void)execv(f->upgrade.path, (char *const *)(uintptr_t)f->params->check);
    (void)fprintf(stderr, "%s: %s\n", f->upgrade.path, strerror(errno));
    _exit(EXIT_FAILURE);
}

bool family_start_check(struct family *f)
{
    struct upgrade *u = &f->upgrade;

    u->said = memfd_create("check", MFD_CLOEXEC);
    if (u->said < 0)
        return false;
    u->checker = fork();
    if (u->checker == 0)
        become_check(f);
    return u->checker > 0;
}
