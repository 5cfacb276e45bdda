#include "cmd/explain_host.h"

#include "base/arena.h"
#include "base/check.h"
#include "conf/hosts_file.h"
#include "conf/settings.h"
#include "lex/hba_lex.h"

static const char common[] = "a client certificate signed by a CA of ssl_ca_file";
const struct str explain_host_common = { common, sizeof common - 1 };

static bool has_name(const struct host_line *line, struct str name)
{
    for (size_t i = 0; i < line->n_names; i++)
        if (str_equal_nocase(line->names[i], name))
            return true;
    return false;
}

static const struct host_line *line_for(const struct host_lines *hosts, struct str sni)
{
    const struct host_line *any = NULL, *none = NULL;

    for (size_t i = 0; i < hosts->n; i++) {
        const struct host_line *line = &hosts->at[i];
        if (line->error.p)
            continue;
        if (host_line_is(line, HOSTS_ANY))
            any = line;
        else if (host_line_is(line, HOSTS_NO_SNI))
            none = line;
        else if (sni.n > 0 && has_name(line, sni))
            return line;
    }
    return sni.n == 0 && none ? none : any;
}

static bool tell_line(const struct host_line *line, struct arena *arena, struct explain_host *out)
{
    if (line->ca.n > 0)
        return arena_printf(arena, &out->signed_by, "a client certificate signed by a CA of %.*s (%.*s:%u)",
                            STR_ARG(line->ca), STR_ARG(line->file), line->line);
    return arena_printf(arena, &out->refuses_certificate,
                        "refused: client certificates can only be checked if a root certificate store is "
                        "available, and %.*s:%u names no CA",
                        STR_ARG(line->file), line->line);
}

static bool tell(const struct host_lines *hosts, struct str path, struct str sni, struct arena *arena,
                 struct explain_host *out)
{
    if (!sni.p) {
        out->signed_by = STR("a client certificate signed by the CA that hosts_file has for the host (sni=)");
        return true;
    }
    const struct host_line *line = line_for(hosts, sni);
    if (line)
        return tell_line(line, arena, out);
    if (sni.n == 0)
        return arena_printf(arena, &out->refuses_tls,
                            "refused: %.*s has no line for clients that ask for no host name", STR_ARG(path));
    return arena_printf(arena, &out->refuses_tls, "refused: %.*s has no line for \"%.*s\"", STR_ARG(path),
                        STR_ARG(sni));
}

enum code explain_host_find(const struct settings *settings, struct str sni, struct arena *arena,
                            struct explain_host *out, struct err *e)
{
    struct explain_host found = { .signed_by = explain_host_common };
    const struct hba_lex_params lex = { 0 };
    struct host_lines hosts;
    struct hba_lines lines;

    *out = found;
    if (!settings || !settings->ssl || !settings->ssl_sni || !settings->hosts_file.path)
        return OK;
    struct str path = str_c(settings->hosts_file.path);
    enum code code = hosts_file_read(&lex, path, arena, &lines, &hosts, e);
    if (code != OK || hosts.n == 0) /* then everybody gets ssl_cert_file, and is judged by ssl_ca_file */
        return code == E_NO_FILE ? OK : code;
    found.signed_by = STR("");
    /* The settings, which own the path, may go before the texts. */
    if (!arena_str(arena, path, &path) || !tell(&hosts, path, sni, arena, &found))
        return err_set(e, E_NOMEM, "out of memory");
    *out = found;
    return OK;
}
