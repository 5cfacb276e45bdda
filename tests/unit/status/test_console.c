/* The session protocol, statement by statement, on the wire. */
#include "../unit.h"

#include "base/check.h"
#include "status/console_job.h"
#include "talk.h"

#include <stdio.h>
#include <string.h>

struct exchange {
    const char *sql;
    const char *answer;
};

static void run_as(const char *user, bool is_admin, const struct exchange *list, size_t count)
{
    struct talk t;

    talk_begin(&t, user, is_admin);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(talk_ask(&t, list[i].sql), list[i].answer);
    talk_end(&t);
}

static void promised_queries(void **state)
{
    (void)state;
    static const struct exchange list[] = {
        { "SELECT ssl, version, cipher, bits FROM pg_stat_ssl WHERE pid = pg_backend_pid();",
          "T ssl:16 version:25 cipher:25 bits:23\nD t|TLSv1.3|TLS_AES_256_GCM_SHA384|256\nC SELECT 1\nZ I\n" },
        { "SELECT pid, usename, ssl, client_addr FROM pg_stat_ssl JOIN pg_stat_activity USING (pid);",
          "T pid:23 usename:19 ssl:16 client_addr:869\nD 4711|alice|t|192.0.2.7\nD 4712|bob|t|2001:db8::7\n"
          "D 4713|carol|f|~\nC SELECT 3\nZ I\n" },
        { "SELECT ssl_is_used();", "T ssl_is_used:16\nD t\nC SELECT 1\nZ I\n" },
        { "SELECT pg_reload_conf();",
          "T pg_reload_conf:16\nN NOTICE 00000 configuration reloaded, generation 2\nD t\nC SELECT 1\nZ I\n" },
        { "SELECT pgseal_recheck();",
          "T pgseal_recheck:16\nN WARNING F0000 no host is asked\nD f\nC SELECT 1\nZ I\n" },
        { "SHOW ssl_min_protocol_version;", "T ssl_min_protocol_version:25\nD TLSv1.2\nC SHOW\nZ I\n" },
        { "SHOW authentication_timeout", "T authentication_timeout:25\nD 1min\nC SHOW\nZ I\n" },
        { "SHOW SSL_ECDH_CURVE", "T ssl_groups:25\nD X25519:prime256v1\nC SHOW\nZ I\n" },
        { "SELECT ssl, version, cipher, bits, client_dn, client_serial, issuer_dn, system_user "
          "FROM pg_stat_ssl JOIN pgseal_sessions USING (pid) WHERE pid = 4712",
          "T ssl:16 version:25 cipher:25 bits:23 client_dn:25 client_serial:1700 issuer_dn:25 system_user:25\n"
          "D t|TLSv1.2|TLS_AES_256_GCM_SHA384|256|/O=Acme\\, Inc/CN=bob|1208925819614629174706189|/CN=Root|"
          "cert:CN=bob,O=Acme\nC SELECT 1\nZ I\n" },
        { "SELECT system_user", "T system_user:25\nD scram-sha-256:alice\nC SELECT 1\nZ I\n" },
        { "SELECT database, options FROM pg_hba_file_rules",
          "T database:1009 options:1009\nD {all}|~\n"
          "D {\"/^a{1,2}$\",\"\",sales}|{map=x,clientcert=verify-full}\nC SELECT 2\nZ I\n" },
        { "SELECT * FROM pg_ident_file_mappings",
          "T map_number:23 file_name:25 line_number:23 map_name:25 sys_name:25 pg_username:25 error:25\n"
          "E 58P01 could not open file \"/etc/pgseal/pg_ident.conf\": No such file or directory\nZ I\n" },
    };

    run_as("alice", true, list, COUNT_OF(list));
}

static void rights(void **state)
{
    (void)state;
    static const struct exchange list[] = {
        { "SELECT pid FROM pg_stat_ssl", "T pid:23\nD 4711\nC SELECT 1\nZ I\n" },
        { "SELECT pid, usename, client_addr, state, query FROM pg_stat_activity",
          "T pid:23 usename:19 client_addr:869 state:25 query:25\nD 4711|alice|192.0.2.7|idle|\n"
          "D 4712|bob|~|~|<insufficient privilege>\nD 4713|carol|~|~|<insufficient privilege>\nC SELECT 3\nZ I\n" },
        { "SELECT 1 FROM pgseal_sessions WHERE user_name <> 'alice'", "T ?column?:23\nC SELECT 0\nZ I\n" },
        { "SELECT * FROM pg_hba_file_rules", "E 42501 permission denied for view pg_hba_file_rules\nZ I\n" },
        { "SELECT * FROM pg_hba_file_rules()",
          "E 42501 permission denied for function pg_hba_file_rules\nZ I\n" },
        { "SELECT * FROM pg_ident_file_mappings",
          "E 42501 permission denied for view pg_ident_file_mappings\nZ I\n" },
        { "SELECT pg_reload_conf()", "E 42501 permission denied for function pg_reload_conf\nZ I\n" },
        { "SELECT pgseal_recheck()", "E 42501 permission denied for function pgseal_recheck\nZ I\n" },
        { "SHOW ssl_ciphers",
          "T ssl_ciphers:25\nE 42501 permission denied to examine \"ssl_ciphers\"\nZ I\n" },
        { "SELECT name, sourcefile, sourceline FROM pg_settings WHERE name ~ '^ssl_c|^ssl$'",
          "T name:25 sourcefile:25 sourceline:23\nD ssl|~|~\nC SELECT 1\nZ I\n" },
        { "SELECT pg_terminate_backend(4711)", "T pg_terminate_backend:16\nD t\nC SELECT 1\nZ I\n" },
        { "SELECT pg_cancel_backend(4799)",
          "T pg_cancel_backend:16\nE 55000 more than one session has PID 4799\nZ I\n" },
        { "SELECT pg_terminate_backend(4712)",
          "T pg_terminate_backend:16\nE 42501 permission denied to terminate process\nZ I\n" },
        { "SELECT pg_cancel_backend(9)",
          "T pg_cancel_backend:16\nN WARNING 01000 PID 9 is not a PostgreSQL backend process\nD f\nC SELECT 1\nZ I\n" },
        { "SHOW is_superuser", "T is_superuser:25\nD off\nC SHOW\nZ I\n" },
    };

    run_as("alice", false, list, COUNT_OF(list));
}

static void session_functions(void **state)
{
    (void)state;
    static const struct exchange list[] = {
        { "SELECT current_user, session_user, current_database(), inet_client_addr(), inet_client_port()",
          "T current_user:19 session_user:19 current_database:19 inet_client_addr:869 inet_client_port:23\n"
          "D alice|alice|pgseal|192.0.2.7|40312\nC SELECT 1\nZ I\n" },
        { "SELECT ssl_version(), ssl_client_serial(), ssl_client_dn(), ssl_client_dn_field('O'), "
          "ssl_client_dn_field('OU'), ssl_issuer_field('CN')",
          "T ssl_version:25 ssl_client_serial:1700 ssl_client_dn:25 ssl_client_dn_field:25 ssl_client_dn_field:25 "
          "ssl_issuer_field:25\nD TLSv1.3|42|/O=Acme\\, Inc/CN=alice|Acme\\, Inc|~|alice\nC SELECT 1\nZ I\n" },
        { "SELECT ssl_client_dn_field('nonsense')",
          "T ssl_client_dn_field:25\nE 22023 invalid X.509 field name: \"nonsense\"\nZ I\n" },
        { "SELECT now(), pg_conf_load_time(), now() - pg_postmaster_start_time() AS up",
          "T now:1184 pg_conf_load_time:1184 up:1186\n"
          "D 2026-11-21 03:30:30+00|2026-11-21 02:30:01.5+00|01:00:30\nC SELECT 1\nZ I\n" },
        { "SELECT current_setting('nope', true), current_setting('server_version_num')",
          "T current_setting:25 current_setting:25\nD ~|180006\nC SELECT 1\nZ I\n" },
    };

    run_as("alice", false, list, COUNT_OF(list));
}

static void scripts_and_transactions(void **state)
{
    (void)state;
    static const struct exchange list[] = {
        { "", "I\nZ I\n" },
        { " ; -- nothing", "I\nZ I\n" },
        { "SELECT 1; SELECT 2", "T ?column?:23\nD 1\nC SELECT 1\nT ?column?:23\nD 2\nC SELECT 1\nZ I\n" },
        { "SELECT 1; SELECT nope; SELECT 3",
          "T ?column?:23\nD 1\nC SELECT 1\nE 42703 18 column \"nope\" does not exist\nZ I\n" },
        { "BEGIN", "C BEGIN\nZ T\n" },
        { "BEGIN", "N WARNING 25001 there is already a transaction in progress\nC BEGIN\nZ T\n" },
        { "SELECT nope", "E 42703 8 column \"nope\" does not exist\nZ E\n" },
        { "SELECT 1",
          "E 25P02 current transaction is aborted, commands ignored until end of transaction block\nZ E\n" },
        { "COMMIT", "C ROLLBACK\nZ I\n" },
        { "COMMIT", "N WARNING 25P01 there is no transaction in progress\nC COMMIT\nZ I\n" },
        { "START TRANSACTION ISOLATION LEVEL REPEATABLE READ", "C START TRANSACTION\nZ T\n" },
        { "SAVEPOINT a", "C SAVEPOINT\nZ T\n" },
        { "SELECT 1/0", "T ?column?:23\nE 22012 division by zero\nZ E\n" },
        { "ROLLBACK TO SAVEPOINT a", "C ROLLBACK\nZ T\n" },
        { "RELEASE a", "C RELEASE\nZ T\n" },
        { "ROLLBACK TO a", "E 3B001 savepoint \"a\" does not exist\nZ E\n" },
        { "ROLLBACK", "C ROLLBACK\nZ I\n" },
        { "INSERT INTO x VALUES (1)", "E 25006 cannot execute INSERT in a read-only transaction\nZ I\n" },
        { "CREATE TABLE x ()", "E 25006 cannot execute CREATE TABLE in a read-only transaction\nZ I\n" },
        { "EXPLAIN SELECT 1", "E 0A000 1 EXPLAIN is not supported in the status database\nZ I\n" },
    };

    run_as("alice", false, list, COUNT_OF(list));
}

static void settings(void **state)
{
    (void)state;
    static const struct exchange list[] = {
        { "SET application_name = 'me'", "C SET\nS application_name=me\nZ I\n" },
        { "SHOW application_name", "T application_name:25\nD me\nC SHOW\nZ I\n" },
        { "SET TIME ZONE 'Europe/Berlin'", "E 0A000 the status database shows times in UTC only\nZ I\n" },
        { "SET nope = 1", "E 42704 unrecognized configuration parameter \"nope\"\nZ I\n" },
        { "SET server_version = '1'", "E 55P02 parameter \"server_version\" cannot be changed\nZ I\n" },
        { "BEGIN; SET LOCAL application_name = 'here'; SET datestyle = 'ISO, DMY'; COMMIT; SHOW application_name",
          "C BEGIN\nC SET\nC SET\nC COMMIT\nT application_name:25\nD me\nC SHOW\nS DateStyle=ISO, DMY\nZ I\n" },
        { "BEGIN; SET application_name = 'gone'; ROLLBACK; SHOW application_name",
          "C BEGIN\nC SET\nC ROLLBACK\nT application_name:25\nD me\nC SHOW\nZ I\n" },
        { "RESET ALL", "C RESET\nS application_name=\nS DateStyle=ISO, MDY\nZ I\n" },
        { "DISCARD ALL", "C DISCARD ALL\nZ I\n" },
        { "UNLISTEN *", "C UNLISTEN\nZ I\n" },
    };

    run_as("alice", false, list, COUNT_OF(list));
}

static void cursors_and_copy(void **state)
{
    (void)state;
    static const struct exchange list[] = {
        { "DECLARE c CURSOR FOR SELECT 1",
          "E 25P01 DECLARE CURSOR can only be used in transaction blocks\nZ I\n" },
        { "DECLARE c CURSOR FOR SELECT 1; FETCH c",
          "C DECLARE CURSOR\nT ?column?:23\nD 1\nC FETCH 1\nZ I\n" },
        { "DECLARE h CURSOR WITH HOLD FOR SELECT 1", "C DECLARE CURSOR\nZ I\n" },
        { "FETCH h", "T ?column?:23\nD 1\nC FETCH 1\nZ I\n" },
        { "CLOSE ALL", "C CLOSE CURSOR ALL\nZ I\n" },
        { "BEGIN; DECLARE c CURSOR FOR SELECT pid FROM pg_stat_ssl", "C BEGIN\nC DECLARE CURSOR\nZ T\n" },
        { "FETCH 2 FROM c", "T pid:23\nD 4711\nD 4712\nC FETCH 2\nZ T\n" },
        { "FETCH FORWARD 100 FROM c", "T pid:23\nD 4713\nC FETCH 1\nZ T\n" },
        { "FETCH ALL FROM c", "T pid:23\nC FETCH 0\nZ T\n" },
        { "CLOSE c", "C CLOSE CURSOR\nZ T\n" },
        { "FETCH c", "E 34000 cursor \"c\" does not exist\nZ E\n" },
        { "ROLLBACK", "C ROLLBACK\nZ I\n" },
        { "BEGIN; DECLARE d CURSOR FOR SELECT pid FROM pg_stat_ssl; MOVE 2 IN d; FETCH d; COMMIT; FETCH d",
          "C BEGIN\nC DECLARE CURSOR\nC MOVE 2\nT pid:23\nD 4713\nC FETCH 1\nC COMMIT\n"
          "E 34000 cursor \"d\" does not exist\nZ I\n" },
        { "COPY (SELECT pid, client_dn FROM pg_stat_ssl) TO STDOUT",
          "H\nd 4711\t\\N\nd 4712\t/O=Acme\\\\, Inc/CN=bob\nd 4713\t\\N\nc\nC COPY 3\nZ I\n" },
        { "COPY pg_stat_ssl (pid, client_dn) TO STDOUT (FORMAT csv, HEADER)",
          "H\nd pid,client_dn\nd 4711,\nd 4712,\"/O=Acme\\, Inc/CN=bob\"\nd 4713,\nc\nC COPY 3\nZ I\n" },
        { "COPY pg_stat_ssl FROM STDIN",
          "E 25006 cannot execute COPY FROM in a read-only transaction\nZ I\n" },
    };

    run_as("admin", true, list, COUNT_OF(list));
}

/* ---- extended protocol ---- */

static const char *extended(struct talk *t, const char *sql, const char *const *values, size_t count,
                            uint32_t limit)
{
    talk_parse(t, "", sql, NULL, 0);
    talk_describe(t, 'S', "");
    talk_bind(t, "", "", values, count);
    talk_describe(t, 'P', "");
    talk_execute(t, "", limit);
    talk_sync(t);
    return talk_go(t, 0);
}

static void parameters(void **state)
{
    (void)state;
    struct talk t;
    const char *values[] = { "4712", "bob" };
    const char *list[] = { "{4711,4713}" };
    const char *bad[] = { "x" };

    talk_begin(&t, "admin", true);
    assert_string_equal(
        extended(
            &t,
            "SELECT version FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE pid = $1 AND usename = $2",
            values, 2, 0),
        "1\nt 23 19\nT version:25\n2\nT version:25\nD TLSv1.2\nC SELECT 1\nZ I\n");
    assert_string_equal(extended(&t, "SELECT pid FROM pg_stat_ssl WHERE pid = ANY($1)", list, 1, 0),
                        "1\nt 1007\nT pid:23\n2\nT pid:23\nD 4711\nD 4713\nC SELECT 2\nZ I\n");
    assert_string_equal(extended(&t, "SELECT $1", bad, 1, 0),
                        "1\nt 25\nT ?column?:25\n2\nT ?column?:25\nD x\nC SELECT 1\nZ I\n");
    assert_string_equal(
        extended(&t, "SELECT $1 + 1", bad, 1, 0),
        "1\nt 23\nT ?column?:23\nE 22P02 invalid input syntax for type integer: \"x\"\nZ I\n");
    assert_string_equal(
        extended(&t, "SELECT $1 = $2", bad, 1, 0),
        "1\nt 25 25\nT ?column?:16\nE 08P01 bind message supplies 1 parameters, but prepared statement "
        "\"\" requires 2\nZ I\n");
    assert_string_equal(extended(&t, "BEGIN", NULL, 0, 0), "1\nt\nn\n2\nn\nC BEGIN\nZ T\n");
    assert_string_equal(extended(&t, "", NULL, 0, 0), "1\nt\nn\n2\nn\nI\nZ T\n");
    assert_string_equal(extended(&t, "SELECT 1; SELECT 2", NULL, 0, 0),
                        "E 42601 cannot insert multiple commands into a prepared statement\nZ E\n");
    talk_end(&t);
}

static void portals_suspend(void **state)
{
    (void)state;
    struct talk t;

    talk_begin(&t, "admin", true);
    talk_parse(&t, "s", "SELECT pid FROM pg_stat_ssl", NULL, 0);
    talk_bind(&t, "p", "s", NULL, 0);
    talk_execute(&t, "p", 2);
    talk_execute(&t, "p", 2);
    talk_execute(&t, "p", 2);
    talk_sync(&t);
    assert_string_equal(talk_go(&t, 1), "1\n2\nD 4711\nD 4712\ns\nD 4713\nC SELECT 1\nC SELECT 0\nZ I\n");
    assert_int_equal(t.fixture.released, 1);
    talk_execute(&t, "p", 0); /* Sync outside a transaction has ended it */
    talk_bind(&t, "p", "s", NULL, 0);
    talk_sync(&t);
    assert_string_equal(talk_go(&t, 0), "E 34000 portal \"p\" does not exist\nZ I\n");
    talk_parse(&t, "s", "SELECT 1", NULL, 0);
    talk_sync(&t);
    assert_string_equal(talk_go(&t, 0), "E 42P05 prepared statement \"s\" already exists\nZ I\n");
    talk_message(&t, 'C', bytes_of("Ss", 3));
    talk_bind(&t, "", "s", NULL, 0);
    talk_sync(&t);
    assert_string_equal(talk_go(&t, 0), "3\nE 26000 prepared statement \"s\" does not exist\nZ I\n");
    talk_end(&t);
}

static void binary_results(void **state)
{
    (void)state;
    struct talk t;

    talk_begin(&t, "admin", true);
    talk_parse(
        &t, "",
        "SELECT 258, true, 1.5::numeric, '192.0.2.1'::inet, '2000-01-01 00:00:01+00'::timestamptz, '{a}'::text[]",
        NULL, 0);
    talk_bind_binary(&t, "", "");
    talk_describe(&t, 'P', "");
    talk_execute(&t, "", 0);
    talk_sync(&t);
    assert_string_equal(
        talk_go(&t, 0),
        "1\n2\nT ?column?:23b ?column?:16b numeric:1700b inet:869b timestamptz:1184b text:1009b\n"
        "D 00000102|01|0002000000000001000113"
        "88|02200004c0000201|00000000000f4240|"
        "00000001000000000000001900000001000000010000000161\nC SELECT 1\nZ I\n");
    talk_end(&t);
}

/* ---- hostile clients ---- */

static void runaway_ends(void **state)
{
    (void)state;
    struct talk t;

    talk_begin(&t, "alice", false);
    t.tick_us = 10000; /* time flies */
    assert_string_equal(
        talk_ask(&t,
                 "WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t"),
        "T count:20\nE 57014 canceling statement due to the status database's time limit\nZ I\n");
    assert_string_equal(talk_ask(&t, "SET statement_timeout = '50ms'"), "C SET\nZ I\n");
    assert_string_equal(
        talk_ask(
            &t,
            "SELECT count(*) FROM pg_settings a, pg_settings b, pg_settings c, pg_settings d, pg_settings e"),
        "T count:20\nE 57014 canceling statement due to statement timeout\nZ I\n");
    talk_end(&t);
}

static void canceled(void **state)
{
    (void)state;
    struct talk t;

    talk_begin(&t, "alice", false);
    talk_query(&t,
               "WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t");
    t.step = console_feed(t.console, buf_bytes(&t.sent), &t.out);
    buf_reset(&t.sent);
    assert_int_equal(t.step, CONSOLE_JOB);
    assert_int_equal(console_feed(t.console, bytes_of("X\0\0\0\4", 5), &t.out), CONSOLE_WAIT);
    console_cancel(t.console); /* while it is planned: it does not run */
    console_job_run(console_job(t.console));
    assert_int_equal(console_next(t.console, &t.out), CONSOLE_JOB);
    console_job_run(console_job(t.console));
    buf_reset(&t.out);
    assert_int_equal(console_next(t.console, &t.out), CONSOLE_DONE); /* the Terminate that waited */
    assert_non_null(memmem(t.out.p, t.out.n, "57014", 5));
    talk_end(&t);
}

static void large_results_come_in_chunks(void **state)
{
    (void)state;
    struct talk t;

    talk_begin(&t, "admin", true);
    t.fixture.sessions = 10000;
    talk_ask(
        &t,
        "SELECT * FROM pg_stat_activity a JOIN pg_stat_ssl s USING (pid) JOIN pgseal_sessions p USING (pid)");
    assert_true(t.jobs > 5);
    assert_non_null(strstr(buf_c(&t.lines), "C SELECT 10000\nZ I\n"));
    assert_int_equal(t.fixture.released, 1);
    talk_end(&t);
}

static void broken_messages(void **state)
{
    (void)state;
    static const char *const bodies[] = { "",  "\0",  "\0\0\0",       "x",
                                          "S", "Pno", "\0\0\377\377", "\0\0\0\1\0\0\0\1\377" };
    struct talk t;

    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        for (const char *type = "QPBDECFSHdcf"; *type != '\0'; type++) {
            talk_begin(&t, "alice", false);
            for (size_t n = 0; n <= 9; n++)
                talk_message(&t, *type,
                             bytes_of(bodies[i], i >= 6 || n < strlen(bodies[i]) ? (i >= 6 ? 4 : n)
                                                                                 : strlen(bodies[i])));
            talk_sync(&t);
            (void)talk_go(&t, 0);
            talk_end(&t);
        }
    }
    talk_begin(&t, "alice", false);
    talk_message(&t, '!', bytes_of("", 0));
    assert_string_equal(talk_go(&t, 0), "E 08P01 invalid frontend message type 33\n");
    assert_int_equal(t.step, CONSOLE_DONE);
    talk_end(&t);
}

/* Every prefix and every single-bit change of some statements: an answer, and the session goes on. */
static void mangled_statements(void **state)
{
    (void)state;
    static const char *const seeds[] = {
        ("SELECT a.pid, count(*) FILTER (WHERE ssl) AS \"n\", E'x\\n'||$$y$$ FROM pg_stat_ssl a LEFT JOIN pg_stat_activity "
         "b USING (pid) WHERE version ~ '^T' AND pid = ANY('{1,2}') GROUP BY 1 ORDER BY 2 DESC NULLS LAST LIMIT 5"),
        "WITH t(x) AS (VALUES (1.5),(NULL)) SELECT CASE x WHEN 1 THEN '{a,\"b\"}'::text[] END FROM t UNION SELECT NULL",
        "COPY (SELECT extract(epoch from now() - interval '1 day'), '10.0.0.0/8'::inet) TO STDOUT (FORMAT csv)",
    };
    struct talk t;
    char sql[512];

    talk_begin(&t, "admin", true);
    for (size_t i = 0; i < COUNT_OF(seeds); i++) {
        size_t n = strlen(seeds[i]);
        for (size_t cut = 0; cut <= n; cut++) {
            (void)snprintf(sql, sizeof sql, "%.*s", (int)cut, seeds[i]);
            assert_non_null(strstr(talk_ask(&t, sql), "Z "));
        }
        for (size_t bit = 0; bit < n * 8; bit++) {
            (void)snprintf(sql, sizeof sql, "%s", seeds[i]);
            sql[bit / 8] = (char)(sql[bit / 8] ^ (1 << bit % 8));
            assert_non_null(strstr(talk_ask(&t, sql), "Z "));
            if (strstr(buf_c(&t.lines), "XX000") != NULL)
                fail_msg("%s: %s", sql, buf_c(&t.lines));
        }
    }
    talk_end(&t);
}

static void only_utf8(void **state)
{
    (void)state;
    static const struct exchange list[] = {
        { "SELECT client_hostname FROM pg_stat_activity WHERE usename = 'bob'",
          "T client_hostname:25\nD \\xff\xc3\xa4\\xc3\nC SELECT 1\nZ I\n" },
        { "SELECT '\xff'", "E 22021 invalid byte sequence for encoding \"UTF8\": 0xff\nZ I\n" },
        { "SELECT '\xe4 b'", "E 22021 invalid byte sequence for encoding \"UTF8\": 0xe4 0x20 0x62\nZ I\n" },
        { "SELECT '\xed\xa0\x80'",
          "E 22021 invalid byte sequence for encoding \"UTF8\": 0xed 0xa0 0x80\nZ I\n" },
        { "SELECT '\xc3\xa4', length('\xf0\x9f\x94\x91')",
          "T ?column?:25 length:23\nD \xc3\xa4|1\nC SELECT 1\nZ I\n" },
    };
    const char *bad[] = { "\xc0\x80" };
    struct talk t;

    run_as("alice", true, list, COUNT_OF(list));
    talk_begin(&t, "alice", false);
    assert_string_equal(
        extended(&t, "SELECT $1", bad, 1, 0),
        "1\nt 25\nT ?column?:25\nE 22021 invalid byte sequence for encoding \"UTF8\": 0xc0\nZ I\n");
    talk_end(&t);
}

static void too_deep(void **state)
{
    (void)state;
    struct talk t;
    AUTO(buf) struct buf sql = BUF_INIT(1 << 20);

    talk_begin(&t, "alice", false);
    buf_append_c(&sql, "SELECT ");
    for (int i = 0; i < 100000; i++)
        buf_append_c(&sql, "(");
    assert_non_null(strstr(talk_ask(&t, buf_c(&sql)), "E 54001"));
    buf_reset(&sql);
    buf_append_c(&sql, "SELECT 1 FROM pg_settings WHERE name = 'a'");
    for (int i = 0; i < 300; i++)
        buf_append_c(&sql, " OR name = 'b'");
    assert_string_equal(talk_ask(&t, buf_c(&sql)), "T ?column?:23\nC SELECT 0\nZ I\n");
    talk_end(&t);
}

static void greeting(void **state)
{
    (void)state;
    struct talk t;

    talk_begin(&t, "alice", false);
    console_greet(t.console, &t.out);
    talk_ask(&t, "");
    assert_non_null(strstr(buf_c(&t.lines), "S server_version=18."));
    assert_non_null(strstr(buf_c(&t.lines), "S client_encoding=UTF8\n"));
    assert_non_null(strstr(buf_c(&t.lines), "S session_authorization=alice\n"));
    assert_non_null(strstr(buf_c(&t.lines), "S standard_conforming_strings=on\n"));
    assert_non_null(strstr(buf_c(&t.lines), "S TimeZone=UTC\n"));
    talk_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(promised_queries),  cmocka_unit_test(rights),
        cmocka_unit_test(session_functions), cmocka_unit_test(scripts_and_transactions),
        cmocka_unit_test(settings),          cmocka_unit_test(cursors_and_copy),
        cmocka_unit_test(parameters),        cmocka_unit_test(portals_suspend),
        cmocka_unit_test(binary_results),    cmocka_unit_test(runaway_ends),
        cmocka_unit_test(canceled),          cmocka_unit_test(large_results_come_in_chunks),
        cmocka_unit_test(broken_messages),   cmocka_unit_test(mangled_statements),
        cmocka_unit_test(only_utf8),         cmocka_unit_test(too_deep),
        cmocka_unit_test(greeting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
