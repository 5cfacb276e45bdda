#include "renew/hosts.h"

#include "base/arena.h"
#include "conf/hosts_file.h"
#include "lex/hba_lex.h"
#include "os/files.h"
#include "renew/conf.h"

const struct renew_host *renew_hosts_of(const struct renew_hosts *hosts, const char *cert, size_t i)
{
    for (size_t k = 0; k < hosts->n; k++)
        if (strcmp(hosts->at[k].cert, cert) == 0 && i-- == 0)
            return &hosts->at[k];
    return NULL;
}

/* A word of the journal and of a file's name. */
static bool is_word(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f || s.p[i] == '/')
            return false;
    return s.n > 0 && s.p[0] != '.';
}

static bool is_taken(const struct renew_hosts *hosts, struct str pair)
{
    for (size_t i = 0; i < hosts->n; i++)
        if (str_equal(hosts->at[i].pair, pair))
            return true;
    for (size_t i = 0; renew_own_name(i); i++)
        if (str_is(pair, renew_own_name(i)))
            return true;
    return str_is(pair, "http");
}

static bool name_pair(const struct renew_hosts *hosts, struct renew_host *host, struct arena *arena)
{
    const struct renew_host *same = renew_hosts_of(hosts, host->cert, 0);
    const char *slash = strrchr(host->cert, '/');
    struct str stem = str_c(slash ? slash + 1 : host->cert);

    if (str_ends(stem, STR(".crt")))
        stem = str_first(stem, stem.n - 4);
    host->pair = same ? same->pair : stem;
    if (same || (is_word(stem) && !is_taken(hosts, stem)))
        return true;
    return arena_printf(arena, &host->pair, "host-%zu", hosts->n + 1);
}

static enum code take_line(const struct host_line *line, const char *dir, struct arena *arena,
                           struct renew_hosts *hosts, struct err *e)
{
    struct renew_host host = { .any = host_line_is(line, HOSTS_ANY), .name = "" };
    const struct str texts[] = { line->cert, line->key };
    const char **paths[] = { &host.cert, &host.key };
    char written[OS_PATH_MAX], path[OS_PATH_MAX];

    for (size_t i = 0; i < 2; i++) {
        if (!str_to_c(texts[i], written, sizeof written))
            return err_set(e, E_LIMIT, "file name \"%.*s\" is too long", STR_ARG(texts[i]));
        TRY(os_path(dir, written, path, e));
        *paths[i] = arena_c(arena, str_c(path));
        if (!*paths[i])
            return err_set(e, E_NOMEM, "out of memory");
    }
    struct str name = host_line_name(line);
    if (name.p)
        host.name = arena_c(arena, name);
    if (!host.name || !name_pair(hosts, &host, arena))
        return err_set(e, E_NOMEM, "out of memory");
    hosts->at[hosts->n++] = host;
    return OK;
}

enum code renew_hosts_read(const char *path, const char *dir, struct arena *arena, struct renew_hosts *out,
                           struct err *e)
{
    const struct hba_lex_params lex = { 0 };
    struct host_lines lines = { .n = 0 };
    struct hba_lines read;

    enum code code = hosts_file_read(&lex, str_c(path), arena, &read, &lines, e);
    if (code != OK && code != E_NO_FILE)
        return code;
    *out = (struct renew_hosts){ .at = arena_array(arena, lines.n, sizeof *out->at) };
    if (!out->at)
        return err_set(e, E_NOMEM, "out of memory");
    for (size_t i = 0; i < lines.n; i++) {
        if (lines.at[i].error.p) {
            (void)err_set(e, E_CONFIG, "%.*s", STR_ARG(lines.at[i].error));
            err_where(e, lines.at[i].file, lines.at[i].line);
            return E_CONFIG;
        }
        TRY(take_line(&lines.at[i], dir, arena, out, e));
    }
    return OK;
}
