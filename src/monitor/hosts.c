#include "monitor/hosts.h"

#include "base/check.h"
#include "base/env.h"
#include "client/verify_served.h"
#include "lex/hba_lex.h"
#include "monitor/files.h"
#include "os/files.h"

/* A row for each file that a line names, unless one above does. out_leaf NULL: it is one of CAs. */
static enum code add_file(struct monitor_target *target, const struct monitor_hosts *hosts, struct str text,
                          struct monitor_row **out_leaf, struct err *e)
{
    const char *written = arena_c(&target->arena, text);
    bool is_ca = !out_leaf;
    char path[OS_PATH_MAX];

    if (!written)
        return err_set(e, E_NOMEM, "out of memory");
    TRY(os_path(hosts->directory, written, path, e));
    const struct monitor_file file = { is_ca ? "client ca" : "server", "hosts_file",
                                       arena_c(&target->arena, str_c(path)) };
    if (!file.path)
        return err_set(e, E_NOMEM, "out of memory");
    return is_ca ? monitor_add_trust(target, &file, e)
                 : monitor_add_chain(target, &file, ROLE_SERVER, out_leaf, e);
}

static enum code add_line(struct monitor_target *target, const struct monitor_hosts *hosts,
                          const struct monitor_hosted *hosted, size_t at, struct err *e)
{
    const struct host_line *all = hosted->lines.at, *line = &all[at];
    bool cert_known = false, ca_known = line->ca.n == 0;

    if (line->error.p) {
        struct str why;
        if (!arena_printf(&target->arena, &why, "line %u: %.*s", line->line, STR_ARG(line->error)))
            return err_set(e, E_NOMEM, "out of memory");
        return monitor_add_fault(target, "server", line->file, MONITOR_UNKNOWN, why.p, e);
    }
    for (size_t i = 0; i < at; i++) {
        if (all[i].error.p)
            continue;
        ca_known |= str_equal(all[i].ca, line->ca);
        if (cert_known || !str_equal(all[i].cert, line->cert))
            continue;
        cert_known = true;
        hosted->leaves[at] = hosted->leaves[i];
    }
    if (!cert_known)
        TRY(add_file(target, hosts, line->cert, &hosted->leaves[at], e));
    return ca_known ? OK : add_file(target, hosts, line->ca, NULL, e);
}

enum code monitor_add_hosts(struct monitor_target *target, const struct monitor_hosts *hosts,
                            struct monitor_hosted *out, struct err *e)
{
    const struct hba_lex_params lex = { 0 };
    struct host_lines lines = { .n = 0 };
    struct hba_lines read;
    struct err why;

    *out = (struct monitor_hosted){ .leaves = NULL };
    if (!hosts->on || !hosts->path)
        return OK;
    enum code code = hosts_file_read(&lex, str_c(hosts->path), &target->arena, &read, &lines, &why);
    if (code == E_NOMEM)
        return err_set(e, E_NOMEM, "out of memory");
    if (code != OK && code != E_NO_FILE)
        return monitor_add_fault(target, "server", str_c(hosts->path), MONITOR_UNKNOWN, err_text(&why), e);
    const struct monitor_hosted found = { lines, arena_array(&target->arena, lines.n, sizeof *found.leaves) };
    if (!found.leaves)
        return err_set(e, E_NOMEM, "out of memory");
    for (size_t i = 0; i < lines.n; i++)
        TRY(add_line(target, hosts, &found, i, e));
    *out = found;
    return OK;
}

/* ---- as their clients ask ---- */

/* PostgreSQL knows nobody by that name, a gate whoever has its secret. */
static enum code name_nobody(struct monitor_target *target, struct err *e)
{
    const struct env env = env_system();
    char name[SERVED_NAME_SIZE];

    if (target->sni.n > 0 || !served_name(&env, NULL, name))
        return OK;
    return arena_str(&target->arena, str_c(name), &target->sni) ? OK : err_set(e, E_NOMEM, "out of memory");
}

enum code monitor_ask_hosts(struct monitor_target *target, const struct monitor_hosted *hosted,
                            struct monitor_listener listener, struct err *e)
{
    TRY(name_nobody(target, e));
    for (size_t i = 0; i < hosted->lines.n && target->n_asks < MONITOR_HOSTS_ASKED; i++) {
        const struct host_line *line = &hosted->lines.at[i];
        bool special = host_line_is(line, HOSTS_NO_SNI) ||
                       (host_line_is(line, HOSTS_ANY) && target->sni.n > 0);
        if (line->error.p || (!special && !host_line_name(line).p))
            continue;
        listener.host = line;
        TRY(monitor_ask_served(target, hosted->leaves[i], &listener, e));
    }
    return OK;
}
