#include "audit/collect_client.h"

#include "audit/client_files.h"
#include "audit/client_items.h"
#include "audit/collect_rules.h"
#include "audit/link.h"
#include "audit/server_settings.h"
#include "base/arena.h"
#include "base/check.h"
#include "client/pasted.h"
#include "lex/conninfo_hide.h"

#include <sys/stat.h>

enum code collect_client_begin(const struct client_params *params, struct collected *c)
{
    static const unsigned elsewhere = ITEM_TLS | ITEM_CERTIFICATE | ITEM_RULES | ITEM_ROTATION | ITEM_EXPIRY;
    const struct subject_unseen rest = { STR("the server"), STR("only the client's side was given"),
                                         elsewhere };

    *c = (struct collected){ .subject = { .kind = SUBJECT_CLIENT, .now_unix_s = params->now_unix_s } };
    TRY(server_settings_none(STR(""), params->arena, &c->settings));
    c->subject.settings = c->settings;
    return collect_unseen(&c->subject, params->arena, rest) ? OK : E_NOMEM;
}

/* ---- one string ---- */

bool collect_is_string(struct str target)
{
    return pasted_recognized(target) || str_find(target, '=') < target.n;
}

enum code collect_string(struct str text, const struct client_params *params, struct collected *out,
                         struct err *e)
{
    AUTO(collected) struct collected c = { .settings = NULL };
    struct subject_link link;

    TRY(link_of_text_here(text, params->driver, params->arena, &link, e));
    if (collect_client_begin(params, &c) != OK ||
        !link_add(&c, params->arena,
                  (struct subject_connection){ .purpose = PURPOSE_APPLICATION,
                                               .where = conninfo_hidden(params->arena, text) },
                  link))
        return err_set(e, E_NOMEM, "out of memory");
    *out = c;
    c = (struct collected){ .settings = NULL };
    return OK;
}

/* ---- a file ---- */

/* What is read with libpq's options but is in no string. */
enum code collect_client_link(const struct client_item *item, struct arena *arena, struct subject_link *out,
                              struct err *e)
{
    if (item->error.p)
        return err_set(e, E_PARAM, "%.*s", STR_ARG(item->error));
    if (item->text.p)
        return link_of_text_over(item->text, item->driver, &item->options, arena, out, e);
    if (link_of_options(&item->options, arena, out) != OK)
        return err_set(e, E_NOMEM, "out of memory");
    bool nameless = item->options.v[CONN_HOST].n == 0 && item->options.v[CONN_HOSTADDR].n == 0;
    if (nameless && str_is(item->name, "sslmode"))
        out->endpoint = STR("a connection");
    out->local = out->local && !(nameless && (item->no_verify || str_is(item->name, "sslmode")));
    if (item->no_verify) {
        out->endpoint = STR("a connection");
        out->driver = item->driver;
        out->mode = item->name;
        out->meaning = (struct conn_meaning){ .encrypts = true, .tries = true };
    }
    return OK;
}

static enum code add_item(struct collected *c, const struct client_item *item, const char *path,
                          bool readable, struct arena *arena)
{
    struct subject_link link = { 0 };
    struct str what;
    struct err e;

    if (item->error.p && !item->elsewhere &&
        !collect_broken(&c->subject.broken_client, &c->subject.n_broken_client, arena,
                        (struct subject_broken){ str_c(path), item->line, item->error }))
        return E_NOMEM;
    enum code code = collect_client_link(item, arena, &link, &e);
    if (code == E_NOMEM)
        return code;
    if (code != OK) {
        struct subject_unseen unseen = { .items = ITEM_VERIFIED };
        if (!arena_printf(arena, &what, "%s:%u", path, item->line) ||
            !arena_printf(arena, &unseen.why, "%s", err_text(&e)))
            return E_NOMEM;
        unseen.what = what;
        return collect_unseen(&c->subject, arena, unseen) ? OK : E_NOMEM;
    }
    link.readable = readable;
    return link_add(c, arena,
                    (struct subject_connection){ .purpose = item->purpose,
                                                 .name = item->name,
                                                 .file = str_c(path),
                                                 .line = item->line,
                                                 .mode_line = item->mode_line },
                    link)
               ? OK
               : E_NOMEM;
}

static enum code collect_client_fill(struct collected *c, struct client_items *items, const char *path,
                                     bool readable)
{
    for (size_t i = 0; i < items->n; i++)
        TRY(add_item(c, &items->items[i], path, readable, items->arena));
    for (size_t i = 0; i < items->n_settings; i++)
        items->settings[i].file = str_c(path);
    c->subject.raw = items->settings;
    c->subject.n_raw = items->n_settings;
    return OK;
}

enum code collect_client(const char *path, struct str text, const struct client_params *params,
                         struct collected *out, struct err *e)
{
    AUTO(collected) struct collected c = { .settings = NULL };
    struct client_items items = { .arena = params->arena };
    const char *slash = strrchr(path, '/');
    struct str name = str_c(slash ? slash + 1 : path), kept;
    struct stat st;

    if (str_has_nul(text))
        return err_set(e, E_CONFIG, "\"%s\" is not a text file", path);
    if (!arena_str(params->arena, text, &kept) ||
        client_file_read(client_file_kind(name, kept), name, kept, params->driver, &items) != OK)
        return err_set(e, E_NOMEM, "out of memory");
    if (!client_file_found(&items))
        return err_set(e, E_CONFIG, "\"%s\" is not a file of a type that can be audited", path);
    bool there = stat(path, &st) == 0, readable = there && (st.st_mode & S_IROTH);
    struct str mode;
    if (there && (st.st_mode & (S_IRWXG | S_IRWXO)) &&
        (!arena_printf(params->arena, &mode, "%04o", (unsigned)(st.st_mode & 07777)) ||
         !client_items_set(&items, "file", STR("mode"), mode, 0)))
        return err_set(e, E_NOMEM, "out of memory");
    if (collect_client_begin(params, &c) != OK || collect_client_fill(&c, &items, path, readable) != OK)
        return err_set(e, E_NOMEM, "out of memory");
    *out = c;
    c = (struct collected){ .settings = NULL };
    return OK;
}
