#include "monitor/hosts.h"

#include "base/check.h"
#include "conf/hosts_file.h"
#include "lex/hba_lex.h"
#include "monitor/files.h"
#include "os/files.h"

/* A row for each file that a line names, unless one above does. */
static enum code add_file(struct monitor_target *target, const struct monitor_hosts *hosts, struct str text,
                          bool is_ca, struct err *e)
{
    const char *written = arena_c(&target->arena, text);
    char path[OS_PATH_MAX];
    struct monitor_row *leaf;

    if (!written)
        return err_set(e, E_NOMEM, "out of memory");
    TRY(os_path(hosts->directory, written, path, e));
    const struct monitor_file file = { is_ca ? "client ca" : "server", "hosts_file",
                                       arena_c(&target->arena, str_c(path)) };
    if (!file.path)
        return err_set(e, E_NOMEM, "out of memory");
    return is_ca ? monitor_add_trust(target, &file, e)
                 : monitor_add_chain(target, &file, ROLE_SERVER, &leaf, e);
}

static enum code add_line(struct monitor_target *target, const struct monitor_hosts *hosts,
                          const struct host_lines *lines, size_t at, struct err *e)
{
    const struct host_line *line = &lines->at[at];
    bool cert_known = false, ca_known = line->ca.n == 0;

    if (line->error.p) {
        const char *why = arena_c(&target->arena, line->error);
        return monitor_add_fault(target, "server", line->file, MONITOR_UNKNOWN, why ? why : "out of memory",
                                 e);
    }
    for (size_t i = 0; i < at; i++) {
        cert_known |= str_equal(lines->at[i].cert, line->cert);
        ca_known |= str_equal(lines->at[i].ca, line->ca);
    }
    if (!cert_known)
        TRY(add_file(target, hosts, line->cert, false, e));
    return ca_known ? OK : add_file(target, hosts, line->ca, true, e);
}

enum code monitor_add_hosts(struct monitor_target *target, const struct monitor_hosts *hosts, bool *out_any,
                            struct err *e)
{
    const struct hba_lex_params lex = { 0 };
    struct host_lines lines = { .n = 0 };
    struct hba_lines read;
    struct err why;

    *out_any = false;
    if (!hosts->on || !hosts->path)
        return OK;
    enum code code = hosts_file_read(&lex, str_c(hosts->path), &target->arena, &read, &lines, &why);
    if (code == E_NOMEM)
        return err_set(e, E_NOMEM, "out of memory");
    if (code != OK && code != E_NO_FILE)
        return monitor_add_fault(target, "server", str_c(hosts->path), MONITOR_UNKNOWN, err_text(&why), e);
    for (size_t i = 0; i < lines.n; i++)
        TRY(add_line(target, hosts, &lines, i, e));
    *out_any = lines.n > 0;
    return OK;
}
