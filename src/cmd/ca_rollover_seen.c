/* Rows of pgseal_clients, and of the file that they are kept in. */
#include "cmd/ca_rollover_seen.h"

#include "base/arena.h"
#include "base/check.h"
#include "client/gate_talk.h"
#include "conf/settings.h"
#include "os/files.h"
#include "pgtypes/pgtime.h"
#include "status/clients_store.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

enum column {
    COLUMN_USER,
    COLUMN_ADDRESS,
    COLUMN_APPLICATION,
    COLUMN_SSLMODE,
    COLUMN_TLS,
    COLUMN_VERIFIES,
    COLUMN_VERIFIED,
    COLUMN_NEXT,
    COLUMN_FAILED,
    COLUMN_ISSUER,
    COLUMN_CERT_END,
    COLUMN_SEEN,
    COLUMN_SESSIONS,
    COLUMN_NOT_TESTED,
    COLUMNS
};

const char rollover_clients_sql[] =
    "SELECT user_name, client_addr, application_name, sslmode, weakest_tls, verifies, verified_at, ca_new_at, "
    "ca_failed_at, cert_issuer, cert_not_after, last_seen, sessions, not_tested FROM pgseal_clients";

/* 0 where there is none, or where it cannot be read: such evidence does not count. */
static int64_t moment_of(struct str text)
{
    int64_t us;
    bool out_of_range;

    if (!text.p || !pgtime_read(text, 0, &us, &out_of_range) || us == TIME_INFINITY || us < 0)
        return 0;
    return us;
}

static int64_t time_of(struct str text)
{
    return moment_of(text) / USECS_PER_SEC;
}

static struct str text_of(struct str cell)
{
    return cell.p ? cell : STR("");
}

enum code rollover_clients_of(const struct gate_rows *rows, struct arena *arena, struct rollover_client **out,
                              struct err *e)
{
    struct rollover_client *all = arena_array(arena, rows->n, sizeof *all);

    if (!all)
        return err_set(e, E_NOMEM, "out of memory");
    if (rows->columns != COLUMNS)
        return err_set(e, E_PROTOCOL, "the gate's answer has %zu columns instead of %d", rows->columns,
                       COLUMNS);
    for (size_t i = 0; i < rows->n; i++) {
        const struct str *cells = rows->cells + i * COLUMNS;
        all[i] = (struct rollover_client){ .user = text_of(cells[COLUMN_USER]),
                                           .address = text_of(cells[COLUMN_ADDRESS]),
                                           .application = text_of(cells[COLUMN_APPLICATION]),
                                           .sslmode = text_of(cells[COLUMN_SSLMODE]),
                                           .tls = cells[COLUMN_TLS].p != NULL,
                                           .verifies = text_of(cells[COLUMN_VERIFIES]),
                                           .verified_unix_s = time_of(cells[COLUMN_VERIFIED]),
                                           .next_us = moment_of(cells[COLUMN_NEXT]),
                                           .failed_us = moment_of(cells[COLUMN_FAILED]),
                                           .cert_issuer = text_of(cells[COLUMN_ISSUER]),
                                           .cert_end_unix_s = time_of(cells[COLUMN_CERT_END]),
                                           .not_tested = text_of(cells[COLUMN_NOT_TESTED]),
                                           .seen_unix_s = time_of(cells[COLUMN_SEEN]),
                                           .admitted = cells[COLUMN_SESSIONS].n > 0 &&
                                                       !str_is(cells[COLUMN_SESSIONS], "0") };
    }
    *out = all;
    return OK;
}

enum code rollover_clients_ask(const struct settings *settings, struct arena *arena,
                               struct rollover_client **out, size_t *out_n, struct err *e)
{
    AUTO(gate_talk) struct gate_talk talk = GATE_TALK_INIT;
    struct gate_rows rows = { .n = 0 };

    TRY(gate_talk_open(settings, "pgseal ca rollover", arena, &talk, e));
    if (!talk.failed)
        TRY(gate_talk_query(&talk, str_c(rollover_clients_sql), &rows, e));
    if (talk.failed && str_is(talk.told.sqlstate, "42703")) { /* undefined column */
        (void)err_set(
            e, E_UNSUPPORTED,
            "the running gate keeps no evidence of who knows which CA: it is older than this program");
        err_hint(e, "Restart it, or run: pgseal upgrade -D %.*s", STR_ARG(settings->dir));
        return E_UNSUPPORTED;
    }
    if (talk.failed)
        return err_set(e, E_ACCESS, "the gate refused to answer: %.*s", STR_ARG(talk.told.message));
    TRY(rollover_clients_of(&rows, arena, out, e));
    *out_n = rows.n;
    return OK;
}

/* ---- the file ---- */

struct loading {
    struct arena *arena;
    struct rollover_client *all;
    size_t n, room;
    int64_t now_us;
    bool nomem;
};

static int64_t seconds_of(int64_t us)
{
    return us > 0 ? us / USECS_PER_SEC : 0;
}

static bool copy_texts(struct loading *l, const struct client_row *row, struct rollover_client *out)
{
    return arena_str(l->arena, str_c(row->key.user), &out->user) &&
           arena_str(l->arena, str_c(row->key.address), &out->address) &&
           arena_str(l->arena, str_c(row->key.application), &out->application) &&
           arena_str(l->arena, str_c(row->issuer), &out->cert_issuer);
}

/* As gate/views/rows_clients.c shows it. */
static struct rollover_client client_of(const struct loading *l, const struct client_row *row)
{
    int64_t verified_us;
    const char *verifies = client_verifies(row, &verified_us);

    return (struct rollover_client){ .sslmode = str_c(client_sslmode(row, l->now_us)),
                                     .tls = row->tls_version[0] != '\0',
                                     .verifies = str_c(verifies),
                                     .verified_unix_s = seconds_of(verified_us),
                                     .next_us = row->ca_new_us,
                                     .failed_us = row->ca_failed_us,
                                     .cert_end_unix_s = row->cert_ends_s > 0 ? row->cert_ends_s : 0,
                                     .seen_unix_s = seconds_of(row->last_us),
                                     .admitted = row->sessions > 0 };
}

static void add_row(void *arg, const struct client_row *row)
{
    struct loading *l = arg;

    struct rollover_client *all = arena_grow(l->arena, l->all, l->n, &l->room, sizeof *all);

    if (!all) {
        l->nomem = true;
        return;
    }
    l->all = all;
    l->all[l->n] = client_of(l, row);
    if (copy_texts(l, row, &l->all[l->n]))
        l->n++;
    else
        l->nomem = true;
}

enum code rollover_clients_load(const struct settings *settings, struct arena *arena,
                                struct rollover_client **out, size_t *out_n, int64_t *out_as_of_unix_s,
                                struct err *e)
{
    struct loading l = { .arena = arena };
    char dir[PATH_MAX], path[OS_PATH_MAX];
    struct stat st;

    if (!realpath(settings_state_dir(settings), dir))
        return err_set(e, E_NO_FILE, "the gate's state directory cannot be found");
    TRY(os_path(dir, STATE_CLIENTS, path, e));
    if (lstat(path, &st) != 0)
        return err_set(e, E_NO_FILE, "there is no file \"%s\"", path);
    l.now_us = (int64_t)st.st_mtime * USECS_PER_SEC;
    TRY(client_store_load(path, add_row, &l, e));
    if (l.nomem)
        return err_set(e, E_NOMEM, "out of memory");
    *out = l.all;
    *out_n = l.n;
    *out_as_of_unix_s = st.st_mtime;
    return OK;
}
