/* What the gate's file of clients says of their certificates. */
#include "monitor/seen.h"

#include "base/check.h"
#include "conf/settings.h"
#include "os/files.h"
#include "status/clients_store.h"

#include <stdlib.h>

struct adding {
    struct monitor_target *target;
    bool out_of_memory;
};

static bool copy(struct adding *a, const char *from, struct str *out)
{
    return arena_str(&a->target->arena, str_c(from), out);
}

static void add_row(void *arg, const struct client_row *client)
{
    struct adding *a = arg;
    struct monitor_row *row;
    struct err ignored;
    struct str where;

    if (!client->subject[0] && !client->serial[0])
        return;
    bool ok = arena_printf(&a->target->arena, &where, "%s%s%s", client->key.user,
                           client->key.address[0] ? " from " : "", client->key.address);
    enum code code = ok ? monitor_add_row(a->target, "client seen", where, &row, &ignored) : E_NOMEM;
    if (code == E_LIMIT) /* what is an alarm has its rows already */
        return;
    ok = code == OK && copy(a, client->key.application, &row->deployed) &&
         copy(a, client->subject, &row->info.subject) && copy(a, client->issuer, &row->info.issuer) &&
         copy(a, client->serial, &row->info.serial);
    a->out_of_memory = a->out_of_memory || !ok;
    if (!ok)
        return;
    row->seen = true;
    row->not_after_s = client->cert_ends_s;
    row->life = expiry_judge(0, client->cert_ends_s, a->target->params->now_s);
}

enum code monitor_add_seen(struct monitor_target *target, const char *state_dir, struct err *e)
{
    struct adding adding = { .target = target };
    char path[OS_PATH_MAX];
    struct err ignored;

    char *real = realpath(state_dir, NULL);
    enum code code = real ? os_path(real, STATE_CLIENTS, path, &ignored) : E_NO_FILE;
    free(real);
    if (code == OK && os_exists(path))
        (void)!client_store_load(path, add_row, &adding, &ignored);
    return adding.out_of_memory ? err_set(e, E_NOMEM, "out of memory") : OK;
}
