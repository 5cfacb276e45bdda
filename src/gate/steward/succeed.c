/*
 * The new gate of an upgrade.
 *
 * Before COMMIT it has nothing that is its own: when the link closes, or anything fails, it ends at once and leaves no trace.
 * It ends by _exit(2), so that nothing of what it holds is put in order: sockets are closed without a byte, files of unix
 * sockets stay, the lock is the other process's.
 */
#include "gate/steward/succeed.h"

#include "base/log.h"
#include "base/log_queue.h"
#include "base/secret.h"
#include "conf/settings.h"
#include "gate/load/snapshot.h"
#include "gate/session/convoy.h"
#include "gate/session/pack.h"
#include "gate/stats/clients.h"
#include "gate/steward/elders.h"
#include "gate/steward/figures.h"
#include "gate/steward/in_force.h"
#include "gate/steward/legacy.h"
#include "gate/steward/ready.h"
#include "gate/steward/steward_log.h"
#include "gate/steward/stop.h"
#include "gate/work/link.h"
#include "net/loop.h"
#include "os/family.h"
#include "os/parent.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    HELLO_MS = 30 * 1000, /* for all that the gate before us tells at first */
    TELL_MS = 5000,
    LINK_ROOM = OS_PACKET_MAX,
    PACKETS_AT_ONCE = 64,
    WRITTEN_MS = 5000 /* after COMMIT: then its last may be missing from the file of clients */
};

struct successor {
    struct gate *gate;
    struct link link;
    struct legacy *legacy;
    struct poll *poll;
    struct timer *timer;
    struct timer *beat; /* while the gate before us holds its sessions */
    bool beating;
    struct arrivals *arrivals;
    struct link_end end;
    bool ended;   /* LINK_END has come */
    int stop;     /* the signal that came while we did not serve; 0: none */
    bool begun;   /* COMMIT */
    bool written; /* the directory is ours */
};

struct legacy *succeed_legacy(const struct gate *g)
{
    return g->successor ? g->successor->legacy : NULL;
}

enum code succeed_begin(struct gate *g, struct err *e)
{
    const struct link_forms forms = { .family = FAMILY_FORMAT, .pack = PACK_FORMAT };

    if (g->params->ties.link < 0)
        return OK;
    struct successor *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, E_NOMEM, "out of memory");
    *s = (struct successor){ .gate = g, .link = { .fd = g->params->ties.link, .env = g->env } };
    g->successor = s;
    link_set_limit(&s->link, HELLO_MS);
    if (!link_send(&s->link, LINK_FORMAT, bytes_of(&forms, sizeof forms), NULL))
        return err_set(e, E_BAD_STATE, "the running gate does not answer");
    TRY(legacy_receive(&s->link, &s->legacy, e));
    g->generation = s->legacy->generation;
    return OK;
}

_Noreturn void succeed_cannot(struct gate *g, const struct err *e)
{
    struct log_line line;

    log_begin(&line, g->env, SEV_LOG, "not_taken_over");
    log_err(&line, e);
    log_end(&line);
    (void)log_queue_flush(g->env->log);
    if (g->successor) {
        const char *text = err_text(e);
        link_set_limit(&g->successor->link, TELL_MS);
        (void)!link_send(&g->successor->link, LINK_CANNOT, bytes_of(text, strlen(text)), NULL);
    }
    _exit(EXIT_FAILURE);
}

static void end_unnoticed(struct successor *s)
{
    gate_log(s->gate->env, SEV_LOG, "not_taken_over", "the running gate serves on");
    (void)log_queue_flush(s->gate->env->log);
    _exit(EXIT_FAILURE);
}

/* ---- COMMIT ---- */

/* The directory is ours: the gate before us writes nothing there any more. */
static void own_directory(struct successor *s)
{
    if (s->written)
        return;
    s->written = true;
    timer_stop(s->timer);
    if (!clients_go_on(s->gate->shared.clients))
        gate_log(s->gate->env, SEV_WARNING, "clients_not_kept", "out of memory");
}

static void succeed_on_timer(void *arg)
{
    own_directory(arg);
}

static void on_written(void *arg)
{
    own_directory(arg);
}

/* Their links, and that to the gate before us: from now on it is one of them. */
static void follow_elders(struct successor *s)
{
    struct gate *g = s->gate;
    struct legacy *legacy = s->legacy;

    poll_close(s->poll);
    s->poll = NULL;
    while (legacy->n_elders > 0)
        (void)!elders_add(g, legacy->elders[--legacy->n_elders], NULL, NULL);
    (void)!elders_add(g, s->link.fd, on_written, s); /* without memory the timer does */
    s->link.fd = -1;
}

static void begin(struct successor *s)
{
    struct gate *g = s->gate;

    s->begun = true;
    timer_set(s->timer, WRITTEN_MS);
    atomic_store(&g->shared.waiting, false);
    follow_elders(s);
    arrivals_begin(s->arrivals);
    in_force_set_http_access(g);
    ready_now(g);
    parent_tell(g->params->ties.line, PARENT_BEGUN, "");
    if (s->stop)
        stop_ask(g, s->stop == SIGINT);
}

static void succeed_on_beat(void *arg)
{
    struct successor *s = arg;

    link_set_limit(&s->link, TELL_MS);
    if (link_send(&s->link, LINK_ALIVE, bytes_of("", 0), NULL)) /* else the link tells, too */
        timer_set(s->beat, LINK_BEAT_MS);
}

/* Every session that came is held by its worker, or could not be taken. */
static void settled(void *arg)
{
    struct successor *s = arg;
    const char *trouble = arrivals_trouble(s->arrivals);
    struct err e;

    if (trouble) {
        (void)err_set(&e, E_BAD_STATE, "a session could not be taken over: %s", trouble);
        succeed_cannot(s->gate, &e);
    }
    timer_stop(s->beat);
    link_set_limit(&s->link, TELL_MS);
    if (!link_send(&s->link, LINK_READY, bytes_of("", 0), NULL))
        end_unnoticed(s);
}

static bool take_end(struct successor *s, const struct os_packet *packet)
{
    struct gate_shared *shared = &s->gate->shared;

    if (s->ended || packet->data.n != sizeof s->end)
        return false;
    memcpy(&s->end, packet->data.p, sizeof s->end);
    if (s->end.sessions != arrivals_count(s->arrivals))
        return false;
    s->ended = true;
    atomic_store(&shared->session_ids, s->end.session_ids);
    atomic_store(&shared->console_pid, s->end.console_pid);
    arrivals_end(s->arrivals);
    return true;
}

static bool take_word(struct successor *s, struct os_packet *packet)
{
    if (!s->beating)
        timer_set(s->beat, LINK_BEAT_MS);
    s->beating = true;
    if ((packet->type == LINK_SESSION || packet->type == LINK_FAILURE) && !s->ended)
        return arrivals_take(s->arrivals, packet);
    if (packet->type == LINK_COUNTERS && !s->ended)
        return figures_take(s->gate, packet, NULL);
    if (packet->type == LINK_DOOMED && s->ended)
        return arrivals_take(s->arrivals, packet);
    if (packet->type == LINK_END)
        return take_end(s, packet);
    if (packet->type != LINK_COMMIT || !s->ended)
        return false;
    begin(s);
    return true;
}

/* False: there is no packet now. */
static bool take_one(struct successor *s, char *room)
{
    struct os_packet packet;
    struct err e;

    switch (os_packet_receive(s->link.fd, room, LINK_ROOM, &packet, false)) {
    case OS_PACKET_NONE:
        return false;
    case OS_PACKET_FULL:
        (void)err_set(&e, E_LIMIT, "too many open files: the sessions need more than this process may have");
        succeed_cannot(s->gate, &e);
    case OS_PACKET_END:
        end_unnoticed(s);
        return false;
    case OS_PACKET_GOT:
        break;
    }
    bool sound = take_word(s, &packet);
    os_packet_close(&packet);
    wipe(room, packet.data.n);
    if (sound)
        return !s->begun;
    (void)err_set(&e, E_BAD_STATE, "the data from the running gate is invalid, or memory ran out");
    succeed_cannot(s->gate, &e);
}

static void succeed_on_link(void *arg, unsigned events)
{
    struct successor *s = arg;
    char room[LINK_ROOM];

    (void)events;
    for (int i = 0; i < PACKETS_AT_ONCE && take_one(s, room); i++)
        ;
}

enum code succeed_prepared(struct gate *g, struct err *e)
{
    struct successor *s = g->successor;

    s->timer = timer_new(g->loop, succeed_on_timer, s);
    s->poll = poll_new(g->loop, s->link.fd, succeed_on_link, s);
    s->beat = timer_new(g->loop, succeed_on_beat, s);
    s->arrivals = arrivals_new(&g->shared, settled, s);
    if (!s->timer || !s->beat || !s->poll || !s->arrivals)
        return err_set(e, E_NOMEM, "out of memory");
    poll_set(s->poll, POLL_READ);
    link_set_limit(&s->link, TELL_MS);
    if (!link_send(&s->link, LINK_PREPARED, bytes_of("", 0), NULL))
        return err_set(e, E_BAD_STATE, "the running gate has abandoned the upgrade");
    return OK;
}

bool succeed_stop(struct gate *g, int signum)
{
    if (!g->successor || g->successor->begun)
        return false;
    g->successor->stop = signum;
    return true;
}

void succeed_free(struct gate *g)
{
    struct successor *s = g->successor;

    if (!s)
        return;
    g->successor = NULL;
    poll_close(s->poll);
    timer_close(s->timer);
    timer_close(s->beat);
    arrivals_free(s->arrivals);
    if (s->link.fd >= 0)
        (void)close(s->link.fd);
    legacy_free(s->legacy);
    free(s);
}
