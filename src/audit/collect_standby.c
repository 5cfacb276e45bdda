#include "audit/collect_standby.h"

#include "audit/collect_rules.h"
#include "audit/link.h"
#include "audit/remedy.h"
#include "base/arena.h"
#include "client/conninfo_text.h"

/* Relative paths count from the data directory, in which a server works. */
static bool settle_path(struct subject_link *link, struct str dir, struct arena *arena)
{
    struct str path = link->client_cert;

    return path.n == 0 || path.p[0] == '/' || dir.n == 0 ||
           arena_printf(arena, &link->client_cert, "%.*s/%.*s", STR_ARG(dir), STR_ARG(path));
}

enum code collect_standby(struct collected *collected, struct arena *arena)
{
    const struct subject_setting *raw = subject_raw(&collected->subject, "primary_conninfo");
    struct subject_unseen unseen = { STR("primary_conninfo"), STR(""), ITEM_VERIFIED };
    struct subject_link link;
    struct err e;

    if (!raw || raw->value.n == 0)
        return OK;
    enum code code = link_of_text(raw->value, PASTED_LIBPQ, arena, &link, &e);
    if (code == E_NOMEM)
        return code;
    if (code != OK)
        return arena_printf(arena, &unseen.why, "%s", err_text(&e)) &&
                       collect_unseen(&collected->subject, arena, unseen)
                   ? OK
                   : E_NOMEM;
    struct subject_connection connection = {
        .purpose = PURPOSE_STANDBY, .file = raw->file, .line = raw->line, .where = STR("primary_conninfo")
    };
    struct conn_options options = { .port_of_uri = false };
    if (raw->source == SUBJECT_FROM_AUTO_FILE && conn_options_parse(raw->value, arena, &options, &e) == OK)
        TRY(remedy_standby(&options, arena, &connection.fix));
    return settle_path(&link, collected->subject.dir, arena) && link_add(collected, arena, connection, link)
               ? OK
               : E_NOMEM;
}
