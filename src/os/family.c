/* The parent's life. */
#include "os/family.h"

#include "base/check.h"
#include "base/env.h"
#include "base/log.h"
#include "os/family_again.h"
#include "os/family_impl.h"
#include "os/family_start.h"
#include "os/family_upgrade.h"
#include "os/notify.h"
#include "os/packet.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIGNALED = 128 /* + signal: the exit status of who cannot end by it */ };

static void say_gate_ended(const struct family *f)
{
    struct log_line line;

    if (WIFEXITED(f->status))
        return; /* it has said why itself */
    if (atomic_load(&f->shared->json))
        f->params->env->log->format = LOG_JSON;
    log_begin(&line, f->params->env, SEV_FATAL, "gate_ended");
    log_c(&line, "message", "the gate's process has died");
    log_int(&line, "signal", WTERMSIG(f->status));
    log_end(&line);
}

/* ---- children ---- */

static void forget_gate(struct family *f, size_t at)
{
    family_end_clerk(&f->gates[at]);
    family_close(&f->gates[at]);
    memmove(&f->gates[at], &f->gates[at + 1], (f->n - at - 1) * sizeof f->gates[0]);
    f->n--;
    if (at < f->newest)
        f->newest--;
}

/*
 * Those before the newest have only sessions that could not be moved. After an orderly end they are waited for; after any
 * other somebody is to start the service anew at once.
 */
static void look_whether_over(struct family *f)
{
    const struct generation *newest = &f->gates[f->newest];
    bool linked = f->upgrade.step == UPGRADE_LINKED || f->upgrade.step == UPGRADE_GIVEN_UP;

    if (!newest->over)
        return;
    f->status = newest->status;
    f->over = !WIFEXITED(f->status) || WEXITSTATUS(f->status) != 0 || f->n == 1 || linked;
}

/* Those that have ended and are of no interest any more. */
static void forget_ended(struct family *f)
{
    bool linked = f->upgrade.step == UPGRADE_LINKED || f->upgrade.step == UPGRADE_GIVEN_UP;

    for (size_t i = f->n; i-- > 0;)
        if (f->gates[i].over && i != f->newest && !(linked && i == f->newest + 1))
            forget_gate(f, i);
}

/* In this order: nothing wakes us again for the end of the last of those before. */
static void tidy(struct family *f)
{
    forget_ended(f);
    look_whether_over(f);
}

static void family_reaped(struct family *f, pid_t pid, int status)
{
    for (size_t i = 0; i < f->n; i++) {
        if (pid == f->gates[i].clerk)
            f->gates[i].clerk = 0;
        if (pid == f->gates[i].pid && !f->gates[i].over) {
            f->gates[i].over = true;
            f->gates[i].status = status;
        }
    }
    family_upgrade_reaped(f, pid, status);
}

static void reap(struct family *f)
{
    int status;

    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        family_reaped(f, pid, status);
}

/* ---- signals ---- */

/* To who serves, and who is about to: a stop to all of them. */
static void forward(struct family *f, int signum)
{
    bool stop = signum != SIGHUP;

    if (stop) {
        f->stopping = true;
        family_upgrade_stop(f);
    }
    for (size_t i = stop ? 0 : f->newest; i < f->n; i++)
        if (!f->gates[i].over)
            (void)kill(f->gates[i].pid, signum);
}

static void family_on_signal(struct family *f)
{
    struct signalfd_siginfo info;

    atomic_store(&f->shared->forwarding, true);
    if (read(f->signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap(f);
        else if (info.ssi_signo == SIGUSR2)
            family_upgrade_asked(f, &info);
        else if (info.ssi_code != SI_KERNEL) /* the terminal's have reached the gate too */
            forward(f, (int)info.ssi_signo);
    }
    atomic_store(&f->shared->forwarding, false);
}

/* ---- packets ---- */

static void family_on_packet(struct family *f, struct generation *gate)
{
    char room[PARENT_PACKET_MAX];
    struct os_packet packet;

    if (os_packet_receive(gate->line, room, sizeof room, &packet, true) != OS_PACKET_GOT) {
        (void)close(gate->line); /* the gate is ending */
        gate->line = -1;
        return;
    }
    os_packet_close(&packet);
    switch (packet.type) {
    case 'S':
        family_start_clerk(f, gate);
        break;
    case 'K':
        family_end_clerk(gate);
        break;
    case 'N':
        if (gate == &f->gates[f->newest])
            os_notify(room);
        break;
    case PARENT_COMMITTED:
    case PARENT_ABANDONED:
    case PARENT_BEGUN:
        family_upgrade_word(f, gate, (enum parent_word)packet.type, room);
        break;
    default:
        break;
    }
}

/* ---- life ---- */

/* End as the gate did: by the same signal, where that ends a process (not PID 1 of a namespace). */
static int end_alike(const struct family *f)
{
    if (WIFEXITED(f->status))
        return WEXITSTATUS(f->status);
    int signum = WTERMSIG(f->status);
    sigset_t one;
    (void)signal(signum, SIG_DFL);
    (void)sigemptyset(&one);
    (void)sigaddset(&one, signum);
    (void)raise(signum);
    (void)sigprocmask(SIG_UNBLOCK, &one, NULL);
    return SIGNALED + signum;
}

static int live(struct family *f)
{
    struct pollfd polls[GENERATIONS_MAX + 1];

    reap(f); /* who ended while this program began */
    for (tidy(f); !f->over; tidy(f)) {
        size_t n = f->n;
        polls[0] = (struct pollfd){ .fd = f->signals, .events = POLLIN };
        for (size_t i = 0; i < n; i++)
            polls[i + 1] = (struct pollfd){ .fd = f->gates[i].line, .events = POLLIN };
        if (poll(polls, (nfds_t)n + 1, family_upgrade_wait_ms(f)) < 0)
            continue;
        for (size_t i = 0; i < n; i++)
            if (polls[i + 1].revents != 0)
                family_on_packet(f, &f->gates[i]);
        if (polls[0].revents != 0)
            family_on_signal(f);
        family_upgrade_look(f);
    }
    for (size_t i = 0; i < f->n; i++)
        family_end_clerk(&f->gates[i]);
    say_gate_ended(f);
    return end_alike(f);
}

static enum code hear_signals(struct family *f, sigset_t *before, struct err *e)
{
    static const int heard[] = { SIGCHLD, SIGHUP, SIGTERM, SIGINT, SIGUSR2 };
    sigset_t set, broken;

    (void)sigemptyset(&set);
    for (size_t i = 0; i < COUNT_OF(heard); i++)
        (void)sigaddset(&set, heard[i]);
    (void)sigprocmask(SIG_BLOCK, &set, before);
    /* Whoever asked for an upgrade, or reads the log, may leave: that ends nobody. Children have the mask of before. */
    (void)sigemptyset(&broken);
    (void)sigaddset(&broken, SIGPIPE);
    (void)sigprocmask(SIG_BLOCK, &broken, NULL);
    f->signals = signalfd(-1, &set, SFD_CLOEXEC);
    return f->signals >= 0 ? OK : err_set(e, E_IO, "could not watch signals: %s", strerror(errno));
}

static enum code start_first(struct family *f, struct parent_ties *out_ties, bool *out_child, struct err *e)
{
    TRY(hear_signals(f, &f->before, e));
    TRY(family_memory(f, e));
    return family_fork_gate(f, out_ties, out_child, e);
}

/* As before, in another program. */
static enum code go_on(struct family *f, const char *variable, struct err *e)
{
    TRY(family_adopt(f, variable, e));
    TRY(hear_signals(f, NULL, e));
    family_upgrade_end(f, FAMILY_DONE, f->upgrade.result);
    return OK;
}

enum code family_run(const struct family_params *params, struct parent_ties *out_ties, int *out_status,
                     struct err *e)
{
    struct family f = { .params = params,
                        .self = getpid(),
                        .upgrade = { .report = -1, .program = -1, .said = -1 } };
    const char *variable = getenv(FAMILY_VARIABLE);
    bool child = false;

    if (variable && strcmp(variable, "successor") == 0)
        return family_succeed(out_ties, e);
    TRY(family_own_path(f.path, e));
    if (variable)
        TRY(go_on(&f, variable, e));
    else
        TRY(start_first(&f, out_ties, &child, e));
    if (child)
        return OK;
    *out_ties = (struct parent_ties){ -1, -1, -1 };
    *out_status = live(&f);
    return OK;
}
