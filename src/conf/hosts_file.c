#include "conf/hosts_file.h"

#include "base/arena.h"
#include "lex/hba_lex.h"

#include <stdlib.h>

enum { FIELD_NAMES, FIELD_CERT, FIELD_KEY, FIELD_CA, FIELD_COMMAND, FIELD_RELOAD, FIELDS_MAX };

bool host_line_is(const struct host_line *line, const char *special)
{
    return line->n_names > 0 && str_is(line->names[0], special);
}

static bool is_special(struct str name)
{
    return str_is(name, HOSTS_ANY) || str_is(name, HOSTS_NO_SNI);
}

struct str host_line_name(const struct host_line *line)
{
    for (size_t i = 0; i < line->n_names; i++)
        if (line->names[i].n > 0 && line->names[i].n <= HOSTS_NAME_MAX && !is_special(line->names[i]))
            return line->names[i];
    return str_of(NULL, 0);
}

/* ---- one line ---- */

/* Why the server refuses the line; NULL: it does not. The first fault from the left is the one that is told. */
static const char *fault_of(const struct hba_line *line)
{
    static const char *const several[FIELDS_MAX] = {
        [FIELD_CERT] = "multiple values specified for SSL certificate",
        [FIELD_KEY] = "multiple values specified for SSL key",
        [FIELD_CA] = "multiple values specified for SSL CA",
        [FIELD_COMMAND] = "multiple values specified for SSL passphrase command",
        [FIELD_RELOAD] = "incorrect syntax for boolean value SSL_passphrase_cmd_reload",
    };
    const struct hba_field *names = &line->fields[FIELD_NAMES];
    bool ignored;

    for (size_t i = 0; i < names->n && names->n > 1; i++)
        if (is_special(names->tokens[i].s))
            return "default and non-SNI entries cannot be mixed with other entries";
    for (size_t i = FIELD_CERT; i <= FIELD_COMMAND; i++) {
        if (i >= line->n)
            return i <= FIELD_KEY ? "missing entry at end of line" : NULL;
        if (line->fields[i].n > 1)
            return several[i];
    }
    if (line->n > FIELDS_MAX)
        return "extra fields at end of line";
    if (line->n > FIELD_RELOAD &&
        (line->fields[FIELD_RELOAD].n > 1 || !str_to_bool(line->fields[FIELD_RELOAD].tokens[0].s, &ignored)))
        return several[FIELD_RELOAD];
    return NULL;
}

static struct str field_text(const struct hba_line *line, size_t at)
{
    return at < line->n ? line->fields[at].tokens[0].s : str_of(NULL, 0);
}

static enum code take_line(const struct hba_line *line, struct arena *arena, struct host_line *out)
{
    *out = (struct host_line){ .file = line->file, .line = line->line };
    if (line->error.n > 0) {
        out->error = line->error;
        return OK;
    }
    const char *fault = fault_of(line);
    if (fault) {
        out->error = str_c(fault);
        return OK;
    }
    const struct hba_field *names = &line->fields[FIELD_NAMES];
    struct str *kept = arena_array(arena, names->n, sizeof *kept);
    if (!kept)
        return E_NOMEM;
    for (size_t i = 0; i < names->n; i++)
        kept[i] = names->tokens[i].s;
    out->names = kept;
    out->n_names = names->n;
    out->cert = field_text(line, FIELD_CERT);
    out->key = field_text(line, FIELD_KEY);
    out->ca = field_text(line, FIELD_CA);
    out->command = field_text(line, FIELD_COMMAND);
    if (line->n > FIELD_RELOAD)
        (void)str_to_bool(field_text(line, FIELD_RELOAD), &out->command_reloads);
    return OK;
}

/* ---- names that stand twice ---- */

struct named {
    struct str name;
    struct host_line *line;
    size_t at; /* of all names of the file */
};

static int by_name(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int order = str_compare_nocase(x->name, y->name);

    return order ? order : x->at < y->at ? -1 : x->at > y->at;
}

static bool say_twice(struct named *named, struct arena *arena)
{
    if (named->line->error.p)
        return true;
    if (str_is(named->name, HOSTS_ANY))
        named->line->error = STR("multiple default hosts specified");
    else if (str_is(named->name, HOSTS_NO_SNI))
        named->line->error = STR("multiple no_sni hosts specified");
    else
        return arena_printf(arena, &named->line->error, "multiple entries for host \"%.*s\" specified",
                            STR_ARG(named->name));
    return true;
}

/* The line that comes first serves the name; those after it are in error. */
static enum code check_twice(struct host_lines *hosts, struct arena *arena)
{
    size_t n = 0, filled = 0;

    for (size_t i = 0; i < hosts->n; i++)
        n += hosts->at[i].n_names;
    struct named *all = arena_array(arena, n, sizeof *all);
    if (!all)
        return E_NOMEM;
    for (size_t i = 0; i < hosts->n; i++)
        for (size_t k = 0; k < hosts->at[i].n_names; k++, filled++)
            all[filled] = (struct named){ hosts->at[i].names[k], &hosts->at[i], filled };
    if (n > 1)
        qsort(all, n, sizeof *all, by_name);
    for (size_t i = 1; i < n; i++)
        if (str_equal_nocase(all[i].name, all[i - 1].name) && !say_twice(&all[i], arena))
            return E_NOMEM;
    return OK;
}

/* ---- the file ---- */

enum code hosts_file_parse(const struct hba_lines *lines, struct arena *arena, struct host_lines *out)
{
    struct host_lines hosts = { .at = arena_array(arena, lines->n, sizeof *hosts.at) };
    const struct hba_line *line;

    if (!hosts.at)
        return E_NOMEM;
    STAILQ_FOREACH (line, &lines->list, next)
        TRY(take_line(line, arena, &hosts.at[hosts.n++]));
    TRY(check_twice(&hosts, arena));
    for (size_t i = 0; i < hosts.n; i++)
        hosts.n_bad += hosts.at[i].error.p != NULL;
    *out = hosts;
    return OK;
}

enum code hosts_file_read(const struct hba_lex_params *lex, struct str path, struct arena *arena,
                          struct hba_lines *out_lines, struct host_lines *out, struct err *e)
{
    const struct hba_line *line;
    size_t i = 0;

    TRY(hba_lex_file(lex, path, arena, out_lines, e));
    TRY(hosts_file_parse(out_lines, arena, out));
    STAILQ_FOREACH (line, &out_lines->list, next) {
        const struct host_line *host = &out->at[i++];
        if (lex->diags && line->error.n == 0 && host->error.p) /* the others have been told */
            (void)diags_add(lex->diags, SEV_ERROR, E_CONFIG, host->file, host->line, "%.*s",
                            STR_ARG(host->error));
    }
    return OK;
}

/* Optional texts stay without a pointer. */
static bool copy_text(struct arena *arena, struct str from, struct str *out)
{
    *out = from;
    return !from.p || arena_str(arena, from, out);
}

enum code hosts_file_copy(const struct host_lines *from, struct arena *arena, struct host_lines *out)
{
    struct host_line *at = arena_array(arena, from->n, sizeof *at);

    for (size_t i = 0; at && i < from->n; i++) {
        const struct host_line *line = &from->at[i];
        struct str *names = arena_array(arena, line->n_names, sizeof *names);
        at[i] = *line;
        at[i].names = names;
        bool whole = names && copy_text(arena, line->file, &at[i].file) &&
                     copy_text(arena, line->cert, &at[i].cert) && copy_text(arena, line->key, &at[i].key) &&
                     copy_text(arena, line->ca, &at[i].ca) &&
                     copy_text(arena, line->command, &at[i].command) &&
                     copy_text(arena, line->error, &at[i].error);
        for (size_t k = 0; whole && k < line->n_names; k++)
            whole = copy_text(arena, line->names[k], &names[k]);
        if (!whole)
            return E_NOMEM;
    }
    *out = (struct host_lines){ at, from->n, from->n_bad };
    return at ? OK : E_NOMEM;
}
