/* What travels between gate and clerk, and what the gate does not take from there. */
#include "../unit.h"

#include "base/check.h"
#include "base/wr.h"
#include "pgwire/backend.h"
#include "status/clerk_rows.h"
#include "status/statement.h"
#include "talk.h"

#include <stdio.h>
#include <string.h>

/* ---- rows ---- */

struct crossing {
    struct fixture fixture;
    struct buf wire;
    struct arena arena;
    struct row_source source; /* as the clerk sees it */
};

static void cross(struct crossing *x, const struct console_params *reader, uint64_t views)
{
    struct row_source source = fixture_rows(&x->fixture);
    struct wr w = { .b = &x->wire };

    buf_init(&x->wire, 1 << 20);
    arena_init(&x->arena, 1 << 20, 1024);
    clerk_put_rows(&w, reader, &source, views);
    struct rd r = rd_over(buf_bytes(&x->wire));
    struct clerk_rows *rows = clerk_take_rows(&r, &x->arena);
    assert_non_null(rows);
    assert_int_equal(rd_end(&r), OK);
    x->source = clerk_rows_source(rows);
}

static void crossed(struct crossing *x)
{
    buf_fini(&x->wire);
    arena_fini(&x->arena);
}

static size_t count_of(struct crossing *x, enum view view)
{
    struct err e;
    size_t n = 0;

    assert_int_equal(x->source.count(x->source.ctx, view, &n, &e), OK);
    return n;
}

static union view_row row_of(struct crossing *x, enum view view, size_t index, struct row_rights *rights)
{
    union view_row row;

    memset(&row, 0, sizeof row);
    *rights = (struct row_rights){ 0 };
    x->source.fill(x->source.ctx, view, index, &row, rights);
    return row;
}

static void rows_that_may_be_seen_travel(void **state)
{
    struct crossing x = { 0 };
    struct console_params bob = { .user = STR("bob") };
    struct row_rights rights;

    (void)state;
    cross(&x, &bob,
          VIEW_BIT(VIEW_PGSEAL_SESSIONS) | VIEW_BIT(VIEW_PG_STAT_ACTIVITY) | VIEW_BIT(VIEW_PG_SETTINGS) |
              VIEW_BIT(VIEW_PGSEAL_CERTIFICATES) | VIEW_BIT(VIEW_PG_HBA_FILE_RULES));
    assert_int_equal(count_of(&x, VIEW_PGSEAL_SESSIONS), 1); /* his own */
    assert_int_equal(row_of(&x, VIEW_PGSEAL_SESSIONS, 0, &rights).pgseal_sessions.pid.i, 4712);
    assert_int_equal(count_of(&x, VIEW_PG_STAT_ACTIVITY), 3); /* everybody, but not what they do */
    union view_row alice = row_of(&x, VIEW_PG_STAT_ACTIVITY, 0, &rights);
    assert_int_equal(alice.pg_stat_activity.client_addr.kind, CELL_NULL);
    assert_true(str_is(alice.pg_stat_activity.query.text, "<insufficient privilege>"));
    assert_int_equal(row_of(&x, VIEW_PG_STAT_ACTIVITY, 1, &rights).pg_stat_activity.client_addr.kind,
                     CELL_TEXT);
    union view_row ciphers = row_of(&x, VIEW_PG_SETTINGS, 2, &rights);
    assert_true(rights.restricted && str_is(ciphers.pg_settings.name.text, "ssl_ciphers"));
    assert_int_equal(ciphers.pg_settings.setting.kind, CELL_NULL);
    assert_null(memmem(x.wire.p, x.wire.n, "3DES", 4));        /* its value stays in the gate */
    assert_int_equal(count_of(&x, VIEW_PG_HBA_FILE_RULES), 0); /* for admins */
    crossed(&x);
}

static void an_admin_sees_all(void **state)
{
    struct crossing x = { 0 };
    struct console_params admin = { .user = STR("root"), .is_admin = true };
    struct row_rights rights;
    struct err e;
    size_t n;

    (void)state;
    cross(&x, &admin, ~UINT64_C(0));
    assert_int_equal(count_of(&x, VIEW_PGSEAL_SESSIONS), 3);
    assert_int_equal(count_of(&x, VIEW_PG_HBA_FILE_RULES), 2);
    union view_row rule = row_of(&x, VIEW_PG_HBA_FILE_RULES, 1, &rights);
    assert_int_equal(rule.pg_hba_file_rules.database.texts.count, 3);
    assert_true(str_is(rule.pg_hba_file_rules.database.texts.items[2], "sales"));
    (void)row_of(&x, VIEW_PG_SETTINGS, 2, &rights);
    assert_false(rights.restricted);
    assert_int_equal(x.source.count(x.source.ctx, VIEW_PG_IDENT_FILE_MAPPINGS, &n, &e), E_NO_FILE);
    assert_string_equal(e.message,
                        "could not open file \"/etc/pgseal/pg_ident.conf\": No such file or directory");
    crossed(&x);
}

/* ---- answers that are not taken ---- */

static void data_row(struct buf *out, unsigned columns, const char *value, unsigned length)
{
    struct wr w = wr_begin(out, 'D');

    wr_u16(&w, (uint16_t)columns);
    wr_u32(&w, length);
    wr_bytes(&w, bytes_of(value, strlen(value)));
    wr_end(&w);
}

static bool takes(struct buf *messages, enum row_form form, int64_t rows)
{
    AUTO(buf) struct buf body = BUF_INIT(4096);
    const struct clerk_fetch fetch = { .form = form, .limit = 2 };
    struct clerk_chunk chunk;
    struct wr w = { .b = &body };

    wr_u8(&w, 1);
    clerk_put_i64(&w, rows);
    wr_bytes(&w, buf_bytes(messages));
    bool taken = clerk_read_chunk(buf_bytes(&body), &fetch, 1, &chunk);
    buf_fini(messages);
    return taken;
}

static void only_rows_and_notices_reach_a_client(void **state)
{
    struct buf b = BUF_INIT(4096);
    struct err note = { .code = E_WARNING, .message = "look" };
    struct wr w;

    (void)state;
    data_row(&b, 1, "x", 1);
    backend_report(&b, SEV_NOTICE, &note, 0);
    data_row(&b, 1, "y", 1);
    assert_true(takes(&b, ROW_DATA, 2));
    data_row(&b, 1, "x", 1);
    assert_false(takes(&b, ROW_DATA, 2)); /* counted wrongly */
    data_row(&b, 1, "x", 1);
    assert_false(takes(&b, ROW_NONE, 1)); /* not asked for */
    data_row(&b, 1, "x", 1);
    assert_false(takes(&b, ROW_COPY, 1));
    data_row(&b, 2, "x", 1);
    assert_false(takes(&b, ROW_DATA, 1)); /* another number of columns */
    data_row(&b, 1, "x", 2);
    assert_false(takes(&b, ROW_DATA, 1)); /* longer than it is */
    data_row(&b, 1, "x", (unsigned)-2);
    assert_false(takes(&b, ROW_DATA, 1));
    for (unsigned i = 0; i < 3; i++)
        data_row(&b, 1, "x", 1);
    assert_false(takes(&b, ROW_DATA, 3));              /* more than were asked for */
    backend_auth(&b, AUTH_CLEARTEXT, bytes_of("", 0)); /* "what is your password?" */
    assert_false(takes(&b, ROW_DATA, 0));
    backend_ready(&b, 'I');
    assert_false(takes(&b, ROW_DATA, 0));
    backend_fatal(&b, &note);
    assert_false(takes(&b, ROW_DATA, 0));
    w = wr_begin(&b, 'N');
    wr_u8(&w, 'M');
    wr_bytes(&w, bytes_of("no end", 6));
    wr_end(&w);
    assert_false(takes(&b, ROW_DATA, 0));
    buf_append(&b, bytes_of("D\0\0\0\3", 5));
    assert_false(takes(&b, ROW_DATA, 1));
}

/* A description of one SELECT of `text`, with a fault. */
enum fault { SOUND, BEYOND_TEXT, UNKNOWN_KIND, UNKNOWN_TYPE, UNKNOWN_VIEW, NUL_IN_NAME, NO_ERROR, TRAILING };

static enum code described(enum fault fault)
{
    struct batch *batch = batch_new(STR(""), STR("SELECT 1"));
    AUTO(buf) struct buf body = BUF_INIT(4096);
    const struct sql_error none = { 0 };
    struct wr w = { .b = &body };
    struct err e;

    batch_put_head(&w, fault == NO_ERROR ? 2 : 1, 1);
    wr_u8(&w, fault == UNKNOWN_KIND ? STMT_READ_ONLY : STMT_SELECT);
    wr_u8(&w, 0);
    clerk_put_i64(&w, 0);
    wr_u32(&w, 0);
    wr_u32(&w, fault == BEYOND_TEXT ? 9 : 8);
    clerk_put_str(&w, STR(""));
    clerk_put_str(&w, STR(""));
    wr_u16(&w, 1);
    wr_u8(&w, fault == UNKNOWN_TYPE ? PG_TYPE_COUNT : PG_INT4);
    clerk_put_str(&w, fault == NUL_IN_NAME ? str_of("a\0b", 3) : STR("a"));
    wr_u16(&w, 0);
    clerk_put_i64(&w, fault == UNKNOWN_VIEW ? (int64_t)VIEW_BIT(VIEW_COUNT) : 0);
    batch_put_tail(&w, &none);
    if (fault == TRAILING)
        wr_u8(&w, 0);
    enum code code = batch_read(batch, buf_bytes(&body), &e);
    batch_unref(batch);
    return code;
}

static void descriptions_are_checked(void **state)
{
    (void)state;
    assert_int_equal(described(SOUND), OK);
    for (enum fault fault = BEYOND_TEXT; fault <= TRAILING; fault++)
        assert_int_equal(described(fault), E_BAD_STATE);
}

/* Whatever a clerk asks for, the gate knows who asks. */
static void actions_are_the_sessions_own(void **state)
{
    struct fixture f = { 0 };
    const struct console_params alice = fixture_params(&f, NULL, "alice", false);
    const struct clerk_action reload = { .kind = CLERK_ACT_RELOAD }, recheck = { .kind = CLERK_ACT_RECHECK },
                              terminate = { .kind = CLERK_ACT_TERMINATE, .pid = 4712 /* bob's */ };
    struct clerk_acted acted;

    (void)state;
    clerk_act(&alice, &reload, &acted);
    assert_false(acted.done);
    assert_int_equal(f.reloads, 0);
    clerk_act(&alice, &recheck, &acted);
    assert_false(acted.done);
    assert_int_equal(f.rechecks, 0);
    clerk_act(&alice, &terminate, &acted);
    assert_int_equal(acted.signal, SIGNAL_DENIED);
    assert_int_equal(f.signaled, 0);
}

/* ---- a session and its clerks ---- */

static void cursors_of_a_lost_clerk(void **state)
{
    struct talk t;

    (void)state;
    talk_begin(&t, "alice", false);
    assert_string_equal(
        talk_ask(&t, "BEGIN; DECLARE c CURSOR FOR SELECT pid FROM pg_stat_ssl; FETCH 1 FROM c"),
        "C BEGIN\nC DECLARE CURSOR\nT pid:23\nD 4711\nC FETCH 1\nZ T\n");
    t.clerk.lost = true;
    assert_string_equal(talk_ask(&t, "SELECT 1"), "T ?column?:23\nD 1\nC SELECT 1\nZ T\n");
    assert_string_equal(talk_ask(&t, "FETCH 1 FROM c"),
                        "T pid:23\nE 34000 cursor \"c\" does not exist\nZ E\n");
    assert_string_equal(talk_ask(&t, "ROLLBACK"), "C ROLLBACK\nZ I\n");
    talk_end(&t);
}

static void prepared_texts_are_bounded(void **state)
{
    struct talk t;
    char name[16];
    unsigned made = 0;

    (void)state;
    talk_begin(&t, "alice", false);
    for (; made < 20000; made++) {
        (void)snprintf(name, sizeof name, "s%u", made);
        talk_parse(&t, name, "SELECT pid, version FROM pg_stat_ssl", NULL, 0);
        if (strcmp(talk_go(&t, 0), "1\n") != 0)
            break;
    }
    assert_in_range(made, 1000, 19999);
    assert_string_equal(buf_c(&t.lines), "E 54000 prepared statements of a session exceed 4 MB\n");
    talk_sync(&t);
    assert_string_equal(talk_go(&t, 0), "Z I\n");
    assert_string_equal(talk_ask(&t, "DEALLOCATE s7"), "C DEALLOCATE\nZ I\n");
    talk_parse(&t, "again", "SELECT 1", NULL, 0);
    talk_sync(&t);
    assert_string_equal(talk_go(&t, 0), "1\nZ I\n");
    talk_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_that_may_be_seen_travel),         cmocka_unit_test(an_admin_sees_all),
        cmocka_unit_test(only_rows_and_notices_reach_a_client), cmocka_unit_test(descriptions_are_checked),
        cmocka_unit_test(actions_are_the_sessions_own),         cmocka_unit_test(cursors_of_a_lost_clerk),
        cmocka_unit_test(prepared_texts_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
