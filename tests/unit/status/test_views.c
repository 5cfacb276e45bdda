/* The views of views.def beside PostgreSQL's. */
#include "../unit.h"

#include "base/buf.h"
#include "base/check.h"
#include "pgtypes/type.h"
#include "status/rows.h"
#include "status/views.h"

/* Names, types and number of PostgreSQL's columns, by its documentation. */
static void views_have_postgresqls_columns(void **state)
{
    (void)state;
    static const struct {
        enum view view;
        const char *columns;
    } expected[] = {
        { VIEW_PG_STAT_SSL,
          "pid int4 ssl bool version text cipher text bits int4 client_dn text client_serial numeric "
          "issuer_dn text" },
        { VIEW_PG_STAT_ACTIVITY,
          "datid oid datname name pid int4 leader_pid int4 usesysid oid usename name application_name text client_addr "
          "inet client_hostname text client_port int4 backend_start timestamptz xact_start timestamptz query_start "
          "timestamptz state_change timestamptz wait_event_type text wait_event text state text backend_xid xid "
          "backend_xmin xid query_id int8 query text backend_type text" },
        { VIEW_PG_HBA_FILE_RULES,
          "rule_number int4 file_name text line_number int4 type text database _text user_name _text address text "
          "netmask text auth_method text options _text error text" },
        { VIEW_PG_IDENT_FILE_MAPPINGS,
          "map_number int4 file_name text line_number int4 map_name text sys_name text "
          "pg_username text error text" },
        { VIEW_PG_SETTINGS,
          "name text setting text unit text category text short_desc text extra_desc text context text vartype text "
          "source text min_val text max_val text enumvals _text boot_val text reset_val text sourcefile text "
          "sourceline int4 pending_restart bool" },
    };

    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        const struct view_def *view = view_def(expected[i].view);
        AUTO(buf) struct buf text = BUF_INIT(4096);
        for (size_t k = 0; k < view->column_count; k++)
            buf_printf(&text, "%s%s %s", k > 0 ? " " : "", view->columns[k].name,
                       pg_type_def(view->columns[k].type)->name);
        assert_string_equal(buf_c(&text), expected[i].columns);
    }
}

/* Joins of both need no aliases for anything but pid. */
static void sessions_share_only_pid_with_pg_stat_ssl(void **state)
{
    (void)state;
    const struct view_def *ssl = view_def(VIEW_PG_STAT_SSL), *sessions = view_def(VIEW_PGSEAL_SESSIONS);

    for (size_t i = 0; i < ssl->column_count; i++)
        for (size_t k = 0; k < sessions->column_count; k++)
            if (strcmp(ssl->columns[i].name, sessions->columns[k].name) == 0)
                assert_string_equal(ssl->columns[i].name, "pid");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_have_postgresqls_columns),
        cmocka_unit_test(sessions_share_only_pid_with_pg_stat_ssl),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
