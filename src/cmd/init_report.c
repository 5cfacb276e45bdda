#include "cmd/init_report.h"

#include "base/buf.h"
#include "base/check.h"
#include "cmd/drivers.h"
#include "cmd/init.h"
#include "cmd/init_make.h"

#include <jansson.h>

enum { REPORT_LIMIT = 1 << 16, NAME_COLUMN = 22, NOTE_WIDTH = 100 };

static enum code init_report_nomem(struct err *e)
{
    return err_set(e, E_NOMEM, "out of memory");
}

static struct driver_facts facts_of(const struct init_plan *plan, const char *root)
{
    return (struct driver_facts){
        .host = plan->host, .port = plan->port, .dbname = "DATABASE", .user = "USER", .root = root
    };
}

/* "host=… port=…" of a companion: its socket. */
static bool application_string(const struct init_plan *plan, struct buf *out)
{
    (void)buf_append_c(out, "host=");
    conninfo_quote(out, init_socket_dir(plan));
    return buf_printf(out, " port=%u dbname=DATABASE user=USER", plan->port);
}

/* ---- text ---- */

static void say_files(FILE *out, const struct init_plan *plan)
{
    (void)fprintf(out, "%s\n", plan->dir);
    for (size_t i = 0; i < plan->n_files; i++) {
        const struct init_file *file = &plan->files[i];
        (void)fprintf(out, "  %-*s %s%s\n", NAME_COLUMN, file->name, file->says,
                      file->kept ? " (existed, kept)" : "");
    }
}

static void say_lines(FILE *out, const char *file, const struct init_lines *lines)
{
    if (lines->n && file)
        (void)fprintf(out, "  %s\n", file);
    for (size_t i = 0; i < lines->n; i++)
        (void)fprintf(out, "    %.*s\n", STR_ARG(lines->line[i]));
}

/* A paragraph, broken at blanks. */
static void say_note(FILE *out, struct str note)
{
    size_t column = 0;

    (void)fputs("  - ", out);
    for (struct str word; note.n > 0;) {
        size_t n = str_find(note, ' ');
        word = str_first(note, n);
        note = str_from(note, n < note.n ? n + 1 : n);
        if (column > 0 && column + 1 + word.n > NOTE_WIDTH) {
            (void)fputs("\n    ", out);
            column = 0;
        }
        column += (size_t)fprintf(out, "%s%.*s", column ? " " : "", STR_ARG(word));
    }
    (void)fputc('\n', out);
}

static void say_server(FILE *out, const struct init_plan *plan)
{
    (void)fprintf(out, "\nThe upstream server, %.*s, needs\n", STR_ARG(plan->upstream));
    say_lines(out, "in its pg_hba.conf, above other lines that match but below \"local all postgres peer\"",
              &plan->hba);
    say_lines(out, "in its postgresql.conf", &plan->conf);
    if (plan->sql.n)
        (void)fprintf(out, "  in SQL, as a superuser, in database \"%.*s\"\n", STR_ARG(plan->auth_dbname));
    say_lines(out, NULL, &plan->sql);
    if (plan->n_upstream_sans)
        (void)fprintf(out, "  If it has a certificate of another CA, name that CA's file in upstream's "
                           "sslrootcert instead.\n");
    (void)fputs("\nBefore you apply these lines to a server that is in use:\n", out);
    for (size_t i = 0; i < plan->notes.n; i++)
        say_note(out, plan->notes.line[i]);
}

static enum code say_clients(FILE *out, const struct init_plan *plan, const char *root, struct err *e)
{
    struct driver_facts facts = facts_of(plan, root);

    (void)fprintf(out, "\nClients need the CA's certificate, %s, and sslmode=verify-full:\n", root);
    for (enum driver d = DRIVER_LIBPQ; d <= DRIVER_LAST_SHOWN; d++) {
        AUTO(buf) struct buf text = BUF_INIT(REPORT_LIMIT);
        driver_connect(&text, d, &facts);
        if (!buf_ok(&text))
            return init_report_nomem(e);
        (void)fprintf(out, "  %-*s %.*s\n", NAME_COLUMN, driver_title(d), STR_ARG(buf_str(&text)));
    }
    return OK;
}

static enum code say_application(FILE *out, const struct init_plan *plan, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(REPORT_LIMIT);

    if (!application_string(plan, &text))
        return init_report_nomem(e);
    (void)fprintf(out, "\nThe application connects with its own user and password, and without TLS:\n  %s\n",
                  buf_c(&text));
    return OK;
}

static enum code init_report_say(FILE *out, const struct init_plan *plan, const char *root, struct err *e)
{
    say_files(out, plan);
    say_server(out, plan);
    if (plan->companion)
        TRY(say_application(out, plan, e));
    else
        TRY(say_clients(out, plan, root, e));
    (void)fprintf(out,
                  "\nCheck the connection to the server, then start the gate (it listens on %s, port %u):\n",
                  plan->listen[0] ? plan->listen : "its socket", plan->port);
    AUTO(buf) struct buf dir = BUF_INIT(REPORT_LIMIT);
    conninfo_quote(&dir, str_c(plan->dir));
    (void)fprintf(out, "  pgseal serve -D %s --check --login\n  pgseal serve -D %s\n", buf_c(&dir),
                  buf_c(&dir));
    return OK;
}

/* ---- JSON ---- */

static json_t *init_report_text_of(struct str s)
{
    return json_stringn(s.p, s.n);
}

static json_t *lines_of(const struct init_lines *lines)
{
    json_t *array = json_array();

    for (size_t i = 0; i < lines->n; i++)
        (void)json_array_append_new(array, init_report_text_of(lines->line[i]));
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

    if (plan->companion) {
        AUTO(buf) struct buf text = BUF_INIT(REPORT_LIMIT);
        (void)application_string(plan, &text);
        (void)json_object_set_new(object, driver_name(DRIVER_LIBPQ), init_report_text_of(buf_str(&text)));
        return object;
    }
    for (enum driver d = DRIVER_LIBPQ; d <= DRIVER_LAST_SHOWN; d++) {
        AUTO(buf) struct buf text = BUF_INIT(REPORT_LIMIT);
        driver_connect(&text, d, &facts);
        (void)json_object_set_new(object, driver_name(d), init_report_text_of(buf_str(&text)));
    }
    return object;
}

static enum code say_json(FILE *out, const struct init_plan *plan, const char *root, struct err *e)
{
    json_t *answer = json_pack(
        "{s:s, s:s?, s:i, s:s, s:o, s:s, s:o, s:s?, s:o, s:{s:o, s:o, s:o, s:o}, s:o}", "dir", plan->dir,
        "host", plan->host, "port", (int)plan->port, "listen_addresses", plan->listen, "upstream",
        init_report_text_of(plan->upstream), "auth_source",
        plan->upstream_is_tcp && !plan->companion ? "query" : "upstream", "auth_dbname",
        init_report_text_of(plan->auth_dbname), "ca_file", plan->companion ? NULL : root, "files",
        files_of(plan), "server", "pg_hba_conf", lines_of(&plan->hba), "postgresql_conf",
        lines_of(&plan->conf), "sql", lines_of(&plan->sql), "notes", lines_of(&plan->notes), "clients",
        clients_of(plan, root));

    if (!answer)
        return init_report_nomem(e);
    (void)json_dumpf(answer, out, JSON_INDENT(2));
    (void)fputc('\n', out);
    json_decref(answer);
    return OK;
}

enum code init_report(const struct cmd *cmd, const struct init_plan *plan, struct err *e)
{
    char root[OS_PATH_MAX];

    TRY(os_path(plan->dir, "tls/ca.crt", root, e));
    return cmd->json ? say_json(cmd->out, plan, root, e) : init_report_say(cmd->out, plan, root, e);
}
