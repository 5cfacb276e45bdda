/* The password file. */
#include "client/passfile.h"

#include "base/buf.h"
#include "base/secret.h"
#include "client/conninfo.h"

#include <stdio.h>

struct str passfile_host(const struct conn_host *host)
{
    struct str name = host->host.n > 0 ? host->host : host->hostaddr;

    return name.n == 0 || str_is(name, CONN_DEFAULT_SOCKET_DIR) ? STR("localhost") : name;
}

/* OK when the file may be used, else E_ACCESS with libpq's warning (the file is then ignored). */
static enum code passfile_check(const struct conn_file *file, struct str path, struct err *e)
{
    if (!file->regular)
        return err_set(e, E_ACCESS, "password file \"%.*s\" is not a plain file", STR_ARG(path));
    if (file->mode & 077)
        return err_set(
            e, E_ACCESS,
            "password file \"%.*s\" has group or world access; permissions should be u=rw (0600) or less",
            STR_ARG(path));
    return OK;
}

/*
 * Compare the field at the front of `*line` with `token` and step after its colon.
 * A line without a further colon matches nothing.
 */
static bool match_field(struct str *line, struct str token)
{
    size_t at = 0, seen = 0;

    if (str_starts(*line, STR("*:"))) {
        *line = str_from(*line, 2);
        return true;
    }
    while (at < line->n) {
        if (line->p[at] == ':' && seen == token.n) {
            *line = str_from(*line, at + 1);
            return true;
        }
        if (line->p[at] == '\\')
            at++;
        if (at >= line->n || seen == token.n || line->p[at] != token.p[seen])
            return false;
        at++;
        seen++;
    }
    return false;
}

static bool match_line(struct str *line, const struct passfile_key *key)
{
    return match_field(line, key->host) && match_field(line, key->port) && match_field(line, key->dbname) &&
           match_field(line, key->user);
}

/* The password ends at the next colon that is not escaped, or at the line's end. */
static enum code take_password(struct str rest, struct password *out, struct err *e)
{
    struct buf text = BUF_INIT(PASSFILE_MAX);

    for (size_t i = 0; i < rest.n && rest.p[i] != ':'; i++) {
        if (rest.p[i] == '\\' && i + 1 < rest.n)
            i++;
        (void)buf_append_byte(&text, (uint8_t)rest.p[i]);
    }
    enum code code = buf_ok(&text) ? password_set(out, buf_bytes(&text)) : E_NOMEM;
    buf_fini_secret(&text);
    return code == OK ? OK : err_set(e, code, "could not read a password from the password file");
}

static struct str strip_line_end(struct str line)
{
    while (line.n > 0 && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == '\n'))
        line.n--;
    return str_first(line, str_find(line, '\0'));
}

enum code passfile_find(struct bytes contents, const struct passfile_key *key, struct password *out,
                        bool *found, struct err *e)
{
    struct str rest = str_from_bytes(contents), line;

    *found = false;
    while (str_split(&rest, '\n', &line)) {
        line = strip_line_end(line);
        if (line.n == 0 || line.p[0] == '#' || !match_line(&line, key))
            continue;
        TRY(take_password(line, out, e));
        *found = true;
        return OK;
    }
    return OK;
}

enum code passfile_lookup(const struct conn_world *world, struct str path, const struct passfile_key *key,
                          struct password *out, bool *found, struct err *e)
{
    char name[4096];
    struct err ignored;

    *found = false;
    if (path.n == 0 || !str_to_c(path, name, sizeof name))
        return OK;
    struct conn_file file = world->stat_file(world->ctx, name);
    if (file.error != 0)
        return OK;
    TRY(passfile_check(&file, path, e));
    struct buf contents = BUF_INIT(PASSFILE_MAX);
    enum code code = world->read_file(world->ctx, name, &contents, &ignored);
    if (code == OK)
        code = passfile_find(buf_bytes(&contents), key, out, found, e);
    else
        code = OK; /* libpq ignores a file that it cannot open */
    buf_fini_secret(&contents);
    return code;
}
