#include "cmd/init_report.h"

#include "base/buf.h"
#include "base/check.h"
#include "cmd/drivers.h"
#include "cmd/init.h"

#include <jansson.h>

enum { REPORT_LIMIT = 1 << 16, NAME_COLUMN = 22 };

static enum code nomem(struct err *e)
{
    return err_set(e, E_NOMEM, "out of memory");
}

static struct driver_facts facts_of(const struct init_plan *plan, const char *root)
{
    return (struct driver_facts){
        .host = plan->host, .port = plan->port, .dbname = "DATABASE", .user = "USER", .root = root
    };
}

/* ---- text ---- */

static void say_files(FILE *out, const struct init_plan *plan)
{
    (void)fprintf(out, "%s\n", plan->dir);
    for (size_t i = 0; i < plan->n_files; i++) {
        const struct init_file *file = &plan->files[i];
        (void)fprintf(out, "  %-*s %s%s\n", NAME_COLUMN, file->name, file->says,
                      file->kept ? " (was there, kept)" : "");
    }
}

static void say_lines(FILE *out, const char *file, const struct init_lines *lines)
{
    if (lines->n)
        (void)fprintf(out, "  %s\n", file);
    for (size_t i = 0; i < lines->n; i++)
        (void)fprintf(out, "    %.*s\n", STR_ARG(lines->line[i]));
}

static void say_server(FILE *out, const struct init_plan *plan)
{
    (void)fprintf(out, "\nThe server behind, %.*s, needs\n", STR_ARG(plan->upstream));
    say_lines(out, "in its pg_hba.conf, before other lines that fit", &plan->hba);
    say_lines(out, "in its postgresql.conf", &plan->conf);
    say_lines(out, "in SQL, as a superuser", &plan->sql);
    if (plan->n_upstream_sans)
        (void)fprintf(out, "  If it has a certificate of another CA, name that CA's file in upstream's "
                           "sslrootcert instead.\n");
}

static enum code say_clients(FILE *out, const struct init_plan *plan, const char *root, struct err *e)
{
    struct driver_facts facts = facts_of(plan, root);

    (void)fprintf(out, "\nClients need the CA's certificate, %s, and sslmode=verify-full:\n", root);
    for (enum driver d = DRIVER_LIBPQ; d <= DRIVER_PGX; d++) {
        AUTO(buf) struct buf text = BUF_INIT(REPORT_LIMIT);
        driver_connect(&text, d, &facts);
        if (!buf_ok(&text))
            return nomem(e);
        (void)fprintf(out, "  %-*s %.*s\n", NAME_COLUMN, driver_title(d), STR_ARG(buf_str(&text)));
    }
    return OK;
}

static enum code say(FILE *out, const struct init_plan *plan, const char *root, struct err *e)
{
    say_files(out, plan);
    say_server(out, plan);
    TRY(say_clients(out, plan, root, e));
    (void)fprintf(out, "\nStart the gate (it listens on %s, port %u):\n  pgseal serve -D ", plan->listen,
                  plan->port);
    AUTO(buf) struct buf dir = BUF_INIT(REPORT_LIMIT);
    conninfo_quote(&dir, str_c(plan->dir));
    (void)fprintf(out, "%s\n", buf_c(&dir));
    return OK;
}

/* ---- JSON ---- */

static json_t *text_of(struct str s)
{
    return json_stringn(s.p, s.n);
}

static json_t *lines_of(const struct init_lines *lines)
{
    json_t *array = json_array();

    for (size_t i = 0; i < lines->n; i++)
        (void)json_array_append_new(array, text_of(lines->line[i]));
    return array;
}

static json_t *files_of(const struct init_plan *plan)
{
    json_t *array = json_array();

    for (size_t i = 0; i < plan->n_files; i++)
        (void)json_array_append_new(
            array, json_pack("{s:s, s:b}", "name", plan->files[i].name, "kept", (int)plan->files[i].kept));
    return array;
}

static json_t *clients_of(const struct init_plan *plan, const char *root)
{
    json_t *object = json_object();
    struct driver_facts facts = facts_of(plan, root);

    for (enum driver d = DRIVER_LIBPQ; d <= DRIVER_PGX; d++) {
        AUTO(buf) struct buf text = BUF_INIT(REPORT_LIMIT);
        driver_connect(&text, d, &facts);
        (void)json_object_set_new(object, driver_name(d), text_of(buf_str(&text)));
    }
    return object;
}

static enum code say_json(FILE *out, const struct init_plan *plan, const char *root, struct err *e)
{
    json_t *answer = json_pack("{s:s, s:s, s:i, s:s, s:o, s:s, s:o, s:s, s:o, s:{s:o, s:o, s:o}, s:o}", "dir",
                               plan->dir, "host", plan->host, "port", (int)plan->port, "listen_addresses",
                               plan->listen, "upstream", text_of(plan->upstream), "auth_source",
                               plan->upstream_is_tcp ? "query" : "upstream", "auth_dbname",
                               text_of(plan->auth_dbname), "ca_file", root, "files", files_of(plan), "server",
                               "pg_hba_conf", lines_of(&plan->hba), "postgresql_conf", lines_of(&plan->conf),
                               "sql", lines_of(&plan->sql), "clients", clients_of(plan, root));

    if (!answer)
        return nomem(e);
    (void)json_dumpf(answer, out, JSON_INDENT(2));
    (void)fputc('\n', out);
    json_decref(answer);
    return OK;
}

enum code init_report(const struct cmd *cmd, const struct init_plan *plan, struct err *e)
{
    char root[OS_PATH_MAX];

    TRY(os_path(plan->dir, "tls/ca.crt", root, e));
    return cmd->json ? say_json(cmd->out, plan, root, e) : say(cmd->out, plan, root, e);
}
