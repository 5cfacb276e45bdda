#include "audit/collect_clients.h"

#include "base/arena.h"
#include "conf/settings.h"
#include "os/files.h"
#include "status/clients_store.h"

#include <limits.h>
#include <stdlib.h>

struct counting {
    const struct audit_subject *subject;
    struct subject_verifying *out;
    struct arena *arena;
    bool tried; /* there is evidence of somebody */
    bool nomem;
};

static void name(struct counting *c, const struct client_row *row, struct str *out)
{
    const struct client_key *key = &row->key;

    if (out->n == 0 && !arena_printf(c->arena, out, "user \"%s\" at %s%s%s", key->user, key->address,
                                     key->application[0] ? ", application " : "", key->application))
        c->nomem = true;
}

/* Over the network, admitted, and not long gone. */
static bool counts(const struct counting *c, const struct client_row *row)
{
    int64_t age_s = c->subject->now_unix_s - row->last_us / 1000000;

    return row->sessions > 0 && row->key.user[0] && !(row->seen & CLIENT_LOCAL) &&
           age_s < (int64_t)VERIFYING_DAYS * 86400;
}

static void count(void *arg, const struct client_row *row)
{
    struct counting *c = arg;
    int64_t us;
    bool nothing = row->strange_taken_us > row->strange_refused_us;
    bool any_name = row->misnamed_taken_us > row->misnamed_refused_us;
    const char *verifies = client_verifies(row, &us);

    if (!counts(c, row))
        return;
    c->tried |= us > 0;
    c->out->clients++;
    if (nothing) {
        c->out->nothing++;
        name(c, row, &c->out->first_nothing);
    } else if (any_name) {
        c->out->any_name++;
        name(c, row, &c->out->first_any_name);
    } else if (strcmp(verifies, "yes") == 0) {
        c->out->fully++;
    } else if (row->strange_refused_us > 0) {
        c->out->name_unknown++;
    }
}

enum code collect_clients(struct audit_subject *subject, struct arena *arena)
{
    struct subject_verifying *out = ARENA_NEW(arena, struct subject_verifying);
    struct counting c = { .subject = subject, .out = out, .arena = arena };
    char dir[PATH_MAX], path[OS_PATH_MAX];
    struct err ignored;

    if (!out)
        return E_NOMEM;
    if (!realpath(settings_state_dir(subject->settings), dir) ||
        os_path(dir, STATE_CLIENTS, path, &ignored) != OK ||
        client_store_load(path, count, &c, &ignored) != OK)
        return OK;
    if (c.tried)
        subject->verifying = out;
    return c.nomem ? E_NOMEM : OK;
}
