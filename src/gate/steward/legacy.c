#include "gate/steward/legacy.h"

#include "base/check.h"
#include "conf/settings.h"
#include "gate/load/snapshot.h"
#include "gate/steward/steward.h"
#include "gate/steward/steward_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Everything that decides what is listened on; of the others a new program takes what the files say. */
static const char *const kept[] = { "listen_addresses", "port", "unix_socket_directories", "http_listen",
                                    "state_directory" };

struct legacy_numbers {
    uint32_t n_workers, generation;
    int64_t started_us;
};

struct legacy_listener {
    uint32_t worker;
};

/* ---- telling ---- */

static bool tell(const struct link *link, enum link_type type, const void *p, size_t n, int fd)
{
    const int fds[OS_PACKET_FDS] = { fd, -1 };

    return link_send(link, type, bytes_of(p, n), fds);
}

static bool tell_setting(const struct link *link, const struct settings *settings, const char *name)
{
    const struct setting_row *row = settings_find(settings, str_c(name));
    struct legacy_setting setting = { .name = "" };

    (void)snprintf(setting.name, sizeof setting.name, "%s", name);
    (void)snprintf(setting.value, sizeof setting.value, "%.*s", row ? (int)row->show.n : 0,
                   row ? row->show.p : "");
    return tell(link, LINK_SETTING, &setting, sizeof setting, -1);
}

static bool tell_listening(const struct link *link, const struct listen_set *set)
{
    bool told = true;

    for (size_t i = 0; told && i < set->n_listeners; i++) {
        const struct legacy_listener listener = { .worker = set->listeners[i].worker };
        told = tell(link, LINK_LISTENER, &listener, sizeof listener, set->listeners[i].fd);
    }
    for (size_t i = 0; told && i < set->n_tcp && i < LISTEN_TCP_MAX; i++)
        told = tell(link, LINK_ADDRESS, &set->tcp[i], sizeof set->tcp[i], -1);
    for (size_t i = 0; told && i < set->n_unix; i++)
        told = tell(link, LINK_UNIX, &set->sockets[i], sizeof set->sockets[i], set->sockets[i].fd);
    return told;
}

static bool tell_http(const struct link *link, const struct gate *g)
{
    struct socket_set sockets = { .n = 0 };
    bool told = true;

    if (!g->http)
        return true;
    g->params->http->sockets(g->http, &sockets);
    for (size_t i = 0; told && i < sockets.n; i++)
        told = tell(link, LINK_HTTP, &sockets.local, sizeof sockets.local, sockets.fds[i]);
    return told;
}

static bool tell_history(const struct link *link, const struct history *history)
{
    bool told = true;

    for (size_t i = 0; told && i < history_count(history); i++) {
        struct history_saved saved;
        history_save(history_at(history, i), &saved);
        told = tell(link, LINK_HISTORY, &saved, sizeof saved, -1);
    }
    return told;
}

static bool tell_elders(const struct link *link, const struct gate *g)
{
    int links[ELDERS_MAX];
    size_t n = elders_links(g, links);
    bool told = true;

    for (size_t i = 0; told && i < n; i++)
        told = tell(link, LINK_ELDER, "", 0, links[i]);
    return told;
}

enum code legacy_send(const struct gate *g, const struct link *link, struct err *e)
{
    const struct settings *settings = snapshot_settings(g->snapshot);
    const struct legacy_numbers numbers = { .n_workers = g->n_workers,
                                            .generation = g->generation,
                                            .started_us = g->shared.started_us };
    bool told = tell(link, LINK_HELLO, &numbers, sizeof numbers, -1);

    for (size_t i = 0; told && i < COUNT_OF(kept); i++)
        told = tell_setting(link, settings, kept[i]);
    told = told && tell_listening(link, &g->listening) && tell_http(link, g) &&
           tell(link, LINK_LOCK, "", 0, g->lock.fd) && tell_history(link, &g->history) &&
           tell_elders(link, g) && tell(link, LINK_HELLO_END, "", 0, -1);
    return told ? OK : err_set(e, E_IO, "the new program ended before it took over");
}

/* ---- hearing ---- */

/* The first descriptor, if there is one. */
static int take_fd(struct os_packet *packet)
{
    int fd = packet->fds[0];

    packet->fds[0] = -1;
    return fd;
}

static bool take(const struct os_packet *packet, void *out, size_t n)
{
    if (packet->data.n != n)
        return false;
    memcpy(out, packet->data.p, n);
    return true;
}

static bool take_numbers(struct legacy *l, const struct os_packet *packet)
{
    struct legacy_numbers numbers;

    if (!take(packet, &numbers, sizeof numbers) || numbers.n_workers == 0 ||
        numbers.n_workers > LEGACY_WORKERS_MAX)
        return false;
    l->n_workers = numbers.n_workers;
    l->generation = numbers.generation;
    l->started_us = numbers.started_us;
    return true;
}

static bool take_setting(struct legacy *l, const struct os_packet *packet)
{
    if (l->n_settings == LEGACY_SETTINGS_MAX)
        return false;
    struct legacy_setting *setting = &l->settings[l->n_settings];
    if (!take(packet, setting, sizeof *setting))
        return false;
    setting->name[sizeof setting->name - 1] = setting->value[sizeof setting->value - 1] = '\0';
    l->n_settings++;
    return true;
}

static bool take_listener(struct legacy *l, struct os_packet *packet)
{
    struct legacy_listener listener;

    return take(packet, &listener, sizeof listener) && listener.worker < l->n_workers &&
           packet->fds[0] >= 0 && listen_note(&l->listening, listener.worker, take_fd(packet));
}

static bool take_address(struct legacy *l, const struct os_packet *packet)
{
    struct listen_set *set = &l->listening;

    if (set->n_tcp == LISTEN_TCP_MAX || !take(packet, &set->tcp[set->n_tcp], sizeof set->tcp[0]) ||
        set->tcp[set->n_tcp].n > sizeof set->tcp[0].ss)
        return false;
    set->n_tcp++;
    return true;
}

static bool take_unix(struct os_packet *packet, struct unix_listener *out)
{
    if (packet->fds[0] < 0 || !take(packet, out, sizeof *out))
        return false;
    out->path[sizeof out->path - 1] = '\0';
    out->fd = take_fd(packet);
    return true;
}

static bool take_http(struct legacy *l, struct os_packet *packet)
{
    struct socket_set *http = &l->http;

    if (http->n == SOCKET_SET_MAX || !take_unix(packet, &http->local))
        return false;
    http->fds[http->n++] = http->local.fd;
    return true;
}

static bool take_history(struct legacy *l, const struct os_packet *packet)
{
    struct history_saved saved;

    if (!take(packet, &saved, sizeof saved))
        return false;
    history_restore(&l->history, &saved);
    return true;
}

static bool take_lock(struct legacy *l, struct os_packet *packet)
{
    if (l->lock >= 0 || packet->fds[0] < 0)
        return false;
    l->lock = take_fd(packet);
    return true;
}

static bool take_elder(struct legacy *l, struct os_packet *packet)
{
    if (l->n_elders == ELDERS_MAX || packet->fds[0] < 0)
        return false;
    l->elders[l->n_elders++] = take_fd(packet);
    return true;
}

static bool take_packet(struct legacy *l, struct os_packet *packet)
{
    struct listen_set *set = &l->listening;

    switch ((enum link_type)packet->type) {
    case LINK_HELLO:
        return take_numbers(l, packet);
    case LINK_SETTING:
        return take_setting(l, packet);
    case LINK_LISTENER:
        return take_listener(l, packet);
    case LINK_ADDRESS:
        return take_address(l, packet);
    case LINK_UNIX:
        return set->n_unix < LISTEN_UNIX_MAX && take_unix(packet, &set->sockets[set->n_unix]) &&
               ++set->n_unix > 0;
    case LINK_HTTP:
        return take_http(l, packet);
    case LINK_LOCK:
        return take_lock(l, packet);
    case LINK_HISTORY:
        return take_history(l, packet);
    case LINK_ELDER:
        return take_elder(l, packet);
    case LINK_FORMAT:
    case LINK_HELLO_END:
    case LINK_SESSION:
    case LINK_COUNTERS:
    case LINK_FAILURE:
    case LINK_DOOMED:
    case LINK_PREPARED:
    case LINK_CANNOT:
    case LINK_END:
    case LINK_ALIVE:
    case LINK_READY:
    case LINK_COMMIT:
    case LINK_WRITTEN:
    case LINK_CANCEL:
    case LINK_CANCELED:
    case LINK_ASK:
    case LINK_TOLD:
    case LINK_TOLD_END:
        break;
    }
    return false;
}

enum code legacy_receive(const struct link *link, struct legacy **out, struct err *e)
{
    struct legacy *l = calloc(1, sizeof *l);
    char room[sizeof(struct history_saved) + sizeof(struct legacy_setting) + 8];
    struct os_packet packet;
    bool sound = l != NULL;

    if (!l)
        return err_set(e, E_NOMEM, "out of memory");
    l->lock = -1;
    while (sound) {
        sound = link_receive(link, room, sizeof room, &packet) == OS_PACKET_GOT;
        if (sound && packet.type == LINK_HELLO_END)
            break;
        sound = sound && take_packet(l, &packet);
        os_packet_close(&packet);
    }
    if (sound && l->n_workers > 0 && l->lock >= 0) {
        *out = l;
        return OK;
    }
    legacy_free(l);
    return err_set(e, E_BAD_STATE, "the running gate did not hand over what it has");
}

static void note_workers(const struct legacy *l, const struct settings *settings, const struct env *env)
{
    if (settings->workers > 0 && (unsigned)settings->workers != l->n_workers)
        gate_log(
            env, SEV_LOG, "start_note",
            "parameter \"workers\" cannot be changed without restarting the server: the number stays as it was");
}

enum code legacy_fits(const struct legacy *l, const struct settings *settings, const struct env *env,
                      struct err *e)
{
    for (size_t i = 0; i < l->n_settings; i++) {
        const struct legacy_setting *was = &l->settings[i];
        const struct setting_row *row = settings_find(settings, str_c(was->name));
        if (row && str_is(row->show, was->value))
            continue;
        const struct str now = row ? row->show : STR("");
        return err_set(
            e, E_CONFIG,
            "parameter \"%s\" cannot be changed without restarting the server: the running gate has "
            "\"%s\", the files have \"%.*s\"",
            was->name, was->value, STR_ARG(now));
    }
    note_workers(l, settings, env);
    return OK;
}

void legacy_free(struct legacy *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->listening.n_listeners; i++)
        (void)close(l->listening.listeners[i].fd);
    for (size_t i = 0; i < l->listening.n_unix; i++)
        (void)close(l->listening.sockets[i].fd);
    for (size_t i = 0; i < l->http.n; i++)
        (void)close(l->http.fds[i]);
    for (size_t i = 0; i < l->n_elders; i++)
        (void)close(l->elders[i]);
    if (l->lock >= 0)
        (void)close(l->lock);
    listen_forget(&l->listening);
    free(l);
}
