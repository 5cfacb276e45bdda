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
#include "conf/settings.h"
#include "gate/load/snapshot.h"
#include "gate/session/worker_thread.h"
#include "gate/stats/clients.h"
#include "gate/steward/legacy.h"
#include "gate/steward/link.h"
#include "gate/steward/ready.h"
#include "gate/steward/steward_log.h"
#include "gate/steward/stop.h"
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
    WRITTEN_MS = 5000 /* after COMMIT: then its last may be missing from the file of clients */
};

struct successor {
    struct gate *gate;
    struct link link;
    struct legacy *legacy;
    struct poll *poll;
    struct timer *timer;
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
    const uint32_t format = FAMILY_FORMAT;

    if (g->params->ties.link < 0)
        return OK;
    struct successor *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, E_NOMEM, "out of memory");
    *s = (struct successor){ .gate = g, .link = { .fd = g->params->ties.link, .env = g->env } };
    g->successor = s;
    link_set_limit(&s->link, HELLO_MS);
    if (!link_send(&s->link, LINK_FORMAT, bytes_of(&format, sizeof format), NULL))
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

static void begin(struct successor *s)
{
    struct gate *g = s->gate;

    s->begun = true;
    timer_set(s->timer, WRITTEN_MS);
    atomic_store(&g->shared.waiting, false);
    for (unsigned i = 0; i < g->n_workers; i++)
        if (!worker_begin(g->workers[i]))
            abort(); /* nobody could take it back */
    ready_now(g);
    parent_tell(g->params->ties.line, PARENT_BEGUN, "");
    if (s->stop)
        stop_ask(g, s->stop == SIGINT);
}

static void take_word(struct successor *s, const struct os_packet *packet)
{
    if (packet->type == LINK_END && !s->begun) {
        link_set_limit(&s->link, TELL_MS);
        if (!link_send(&s->link, LINK_READY, bytes_of("", 0), NULL))
            end_unnoticed(s);
    } else if (packet->type == LINK_COMMIT && !s->begun) {
        begin(s);
    } else if (packet->type == LINK_WRITTEN && s->begun) {
        own_directory(s);
    }
}

static void succeed_on_link(void *arg, unsigned events)
{
    struct successor *s = arg;
    char room[1024];
    struct os_packet packet;

    (void)events;
    switch (os_packet_receive(s->link.fd, room, sizeof room, &packet, false)) {
    case OS_PACKET_NONE:
        return;
    case OS_PACKET_END:
        if (!s->begun)
            end_unnoticed(s);
        own_directory(s);
        poll_set(s->poll, 0); /* the last of its sessions has ended */
        poll_close(s->poll);
        s->poll = NULL;
        (void)close(s->link.fd);
        s->link.fd = -1;
        return;
    case OS_PACKET_GOT:
        break;
    }
    os_packet_close(&packet);
    take_word(s, &packet);
}

enum code succeed_prepared(struct gate *g, struct err *e)
{
    struct successor *s = g->successor;

    s->timer = timer_new(g->loop, succeed_on_timer, s);
    s->poll = poll_new(g->loop, s->link.fd, succeed_on_link, s);
    if (!s->timer || !s->poll)
        return err_set(e, E_NOMEM, "out of memory");
    poll_set(s->poll, POLL_READ);
    link_set_limit(&s->link, TELL_MS);
    if (!link_send(&s->link, LINK_PREPARED, bytes_of("", 0), NULL))
        return err_set(e, E_BAD_STATE, "the running gate has given the upgrade up");
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
    if (s->link.fd >= 0)
        (void)close(s->link.fd);
    legacy_free(s->legacy);
    free(s);
}
