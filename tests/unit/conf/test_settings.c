/* settings: values, messages, reload, routes; whole, truncated, and with bits flipped. */
#include "../unit.h"

#include "../conf_memory.h"
#include "base/arena.h"
#include "base/check.h"
#include "conf/defs.h"
#include "conf/route.h"
#include "conf/settings.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

struct load {
    struct arena arena;
    struct diags diags;
    struct settings *settings; /* NULL: refused */
    enum code code;
};

static void load_text(struct load *load, struct bytes text, const struct settings *running,
                      const struct str *overrides, size_t n_overrides)
{
    struct memory_file files[] = { { "/d/pgseal.conf", text }, { NULL, { NULL, 0 } } };
    struct conf_fs fs = memory_fs(files);
    struct settings_params params = {
        .dir = STR("/d"), .overrides = overrides, .n_overrides = n_overrides, .running = running, .fs = &fs
    };

    arena_init(&load->arena, 8 << 20, 1024);
    diags_init(&load->diags, &load->arena);
    load->settings = NULL;
    load->code = settings_load(&params, &load->settings, &load->diags);
}

static void load_c(struct load *load, const char *text)
{
    load_text(load, str_bytes(str_c(text)), NULL, NULL, 0);
}

static void load_fini(struct load *load)
{
    settings_unrefp(&load->settings);
    arena_fini(&load->arena);
}

static const struct diag *diag_at(const struct load *load, size_t index)
{
    const struct diag *diag;

    STAILQ_FOREACH (diag, &load->diags.list, next)
        if (index-- == 0)
            return diag;
    fail_msg("no such diagnostic");
    return NULL;
}

static struct str show(const struct settings *settings, const char *name)
{
    const struct setting_row *row = settings_find(settings, str_c(name));

    assert_non_null(row);
    return row->show;
}

static void defaults_are_postgres(void **state)
{
    struct load load;

    (void)state;
    load_c(&load, "");
    assert_int_equal(load.code, OK);
    const struct settings *s = load.settings;
    assert_false(s->ssl);
    assert_int_equal(s->port, 5432);
    assert_int_equal(s->authentication_timeout_s, 60);
    assert_int_equal(s->unix_socket_permissions, 0777);
    assert_int_equal(s->ssl_min_protocol_version, CONF_TLS_1_2);
    assert_int_equal(s->ssl_max_protocol_version, CONF_TLS_ANY);
    assert_string_equal(s->ssl_cert_file.path, "/d/server.crt");
    assert_str(s->ssl_cert_file.text, "server.crt");
    assert_null(s->ssl_ca_file.path);
    assert_string_equal(s->hba_file.path, "/d/pg_hba.conf");
    assert_int_equal(s->listen_addresses.n, 1);
    assert_str(s->listen_addresses.at[0], "localhost");
    assert_int_equal(s->log_connections, 0);
    assert_int_equal(s->upstream_login.n, 1);
    assert_int_equal(s->upstream_login.at[0], CONF_LOGIN_SCRAM);
    assert_int_equal(settings_log_severity(s), SEV_WARNING);
    assert_str(show(s, "authentication_timeout"), "1min");
    assert_str(show(s, "unix_socket_permissions"), "0777");
    assert_str(show(s, "hba_file"), "/d/pg_hba.conf");
    assert_str(show(s, "data_directory"), "/d");
    assert_str(show(s, "SSL_ECDH_CURVE"), "X25519:prime256v1");
    assert_str(settings_find(s, STR("unix_socket_permissions"))->boot_val, "511");
    assert_str(settings_find(s, STR("authentication_timeout"))->setting, "60");
    assert_null(settings_find(s, STR("hba_file"))->boot_val.p);
    assert_null(settings_find(s, STR("no_such")));
    assert_int_equal(s->files.n, 1);
    load_fini(&load);
}

static void values_are_understood(void **state)
{
    struct load load;

    (void)state;
    load_c(&load, "authentication_timeout = '1.5 min'\ndrain_timeout 1h\nPORT = 0x1538\n"
                  "ssl_max_protocol_version = tlsv1.3\nlog_connections = 'receipt, \"all\"'\n"
                  "listen_addresses = ' ::1 , \"*\" '\nunix_socket_directories = '/a b , c, @x'\n"
                  "upstream_login = 'peer, SCRAM'\nproxy_protocol_from = '10.1.2.3/8, fd00::/8, 127.0.0.1'\n"
                  "ssl_ecdh_curve = 'P-256'\nhttp_listen = 'localhost:9187'\nlog_min_messages = debug\n"
                  "cluster_name = 'f\xc3\xbcnf'\nadmin_users = 'alice,\"Bob \"\"B\"\"\"'\nssl = tr\n"
                  "unix_socket_permissions = 0700\ntcp_keepalives_idle = 90\n");
    assert_int_equal(load.code, OK);
    const struct settings *s = load.settings;
    assert_int_equal(s->authentication_timeout_s, 90);
    assert_int_equal(s->drain_timeout_s, 3600);
    assert_int_equal(s->port, 5432);
    assert_int_equal(s->ssl_max_protocol_version, CONF_TLS_1_3);
    assert_int_equal(s->log_connections, 15);
    assert_str(s->listen_addresses.at[0], "::1");
    assert_str(s->listen_addresses.at[1], "*");
    assert_str(s->unix_socket_directories.at[0], "/a b");
    assert_str(s->unix_socket_directories.at[1], "/d/c");
    assert_str(s->unix_socket_directories.at[2], "@x");
    assert_int_equal(s->upstream_login.at[0], CONF_LOGIN_PEER);
    assert_int_equal(s->upstream_login.at[1], CONF_LOGIN_SCRAM);
    assert_int_equal(s->proxy_protocol_from.n, 3);
    assert_str(s->ssl_groups, "P-256");
    assert_str(s->cluster_name, "f\\xc3\\xbcnf");
    assert_str(s->admin_users.at[1], "Bob \"B\"");
    assert_true(s->ssl);
    assert_int_equal(s->unix_socket_permissions, 0700);
    assert_str(show(s, "log_min_messages"), "debug2");
    assert_str(show(s, "drain_timeout"), "1h");
    assert_str(show(s, "tcp_keepalives_idle"), "90s");
    assert_str(show(s, "log_connections"), "receipt, \"all\"");
    const struct setting_row *row = settings_find(s, STR("ssl"));
    assert_str(row->sourcefile, "/d/pgseal.conf");
    assert_int_equal(row->sourceline, 15);
    assert_string_equal(setting_source_name(row->source), "configuration file");
    load_fini(&load);
}

static const char unit_hint[] =
    "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".";
static const struct {
    const char *line;
    const char *message;
    const char *detail;
    const char *hint;
} refusals[] = {
    { "authentication_timeout = 700",
      "700 s is outside the valid range for parameter \"authentication_timeout\" (1 s .. 600 s)", "", "" },
    { "authentication_timeout = 5kB", "invalid value for parameter \"authentication_timeout\": \"5kB\"", "",
      unit_hint },
    { "authentication_timeout = '60 s x'",
      "invalid value for parameter \"authentication_timeout\": \"60 s x\"", "", unit_hint },
    { "authentication_timeout = 99999999999999",
      "invalid value for parameter \"authentication_timeout\": \"99999999999999\"", "",
      "Value exceeds integer range." },
    { "authentication_timeout = ''", "invalid value for parameter \"authentication_timeout\": \"\"", "", "" },
    { "authentication_timeout = 0.2",
      "0 s is outside the valid range for parameter \"authentication_timeout\" (1 s .. 600 s)", "", "" },
    { "port = 3s", "invalid value for parameter \"port\": \"3s\"", "", "" },
    { "port = 99999", "99999 is outside the valid range for parameter \"port\" (1 .. 65535)", "", "" },
    { "port = nan", "invalid value for parameter \"port\": \"nan\"", "", "" },
    { "unix_socket_permissions = 1000",
      "1000 is outside the valid range for parameter \"unix_socket_permissions\" (0 .. 511)", "", "" },
    { "ssl = maybe", "parameter \"ssl\" requires a Boolean value", "", "" },
    { "ssl_min_protocol_version = ''", "invalid value for parameter \"ssl_min_protocol_version\": \"\"", "",
      "Available values: TLSv1, TLSv1.1, TLSv1.2, TLSv1.3." },
    { "ssl_max_protocol_version = x", "invalid value for parameter \"ssl_max_protocol_version\": \"x\"", "",
      "Available values: , TLSv1, TLSv1.1, TLSv1.2, TLSv1.3." },
    { "log_min_messages = x", "invalid value for parameter \"log_min_messages\": \"x\"", "",
      "Available values: debug5, debug4, debug3, debug2, debug1, info, notice, warning, error, log, fatal, "
      "panic." },
    { "ssl_library = x", "parameter \"ssl_library\" cannot be changed", "", "" },
    { "log_connections = 'on,receipt'", "invalid value for parameter \"log_connections\": \"on,receipt\"",
      "Cannot specify log_connections option \"on\" in a list with other options.",
      "Available values: receipt, authentication, authorization, setup_durations, all, on, off." },
    { "log_connections = foo", "invalid value for parameter \"log_connections\": \"foo\"",
      "Invalid option \"foo\".",
      "Available values: receipt, authentication, authorization, setup_durations, all, on, off." },
    { "log_connections = 'receipt,,'", "invalid value for parameter \"log_connections\": \"receipt,,\"",
      "Invalid list syntax in parameter \"log_connections\".", "" },
    { "log_destination = bar", "invalid value for parameter \"log_destination\": \"bar\"",
      "Unrecognized key word: \"bar\".", "Available values: stderr, jsonlog." },
    { "log_destination = 'a b'", "invalid value for parameter \"log_destination\": \"a b\"",
      "List syntax is invalid.", "" },
    { "listen_addresses = 'a b'", "invalid list syntax in parameter \"listen_addresses\"", "", "" },
    { "wrokers = 3", "unrecognized configuration parameter \"wrokers\"", "",
      "Perhaps you meant \"workers\"." },
    { "upsteam.x = 3", "unrecognized configuration parameter \"upsteam.x\"", "",
      "Per database there are upstream.NAME, auth_source.NAME, upstream_login.NAME and "
      "max_db_connections.NAME, and per user max_user_connections.NAME." },
    { "port.x = 3", "unrecognized configuration parameter \"port.x\"", "",
      "Per database there are upstream.NAME, auth_source.NAME, upstream_login.NAME and "
      "max_db_connections.NAME, and per user max_user_connections.NAME." },
    { "upstream_login = ''", "invalid value for parameter \"upstream_login\": \"\"", "",
      "Available values: scram, password, cert, peer, trust, service." },
    { "upstream_login.\"A b\" = 'scram,scram'",
      "invalid value for parameter \"upstream_login.\"A b\"\": \"scram,scram\"",
      "Key word \"scram\" is given twice.",
      "Available values: scram, password, cert, peer, trust, service." },
    { "proxy_protocol_from = 'x'", "invalid value for parameter \"proxy_protocol_from\": \"x\"",
      "\"x\" is not a network such as 10.0.0.0/8 or fd00::/8.", "" },
    { "proxy_protocol_from = '10.0.0.0/33'",
      "invalid value for parameter \"proxy_protocol_from\": \"10.0.0.0/33\"",
      "\"10.0.0.0/33\" is not a network such as 10.0.0.0/8 or fd00::/8.", "" },
    { "cancel_peers = 'x'", "invalid value for parameter \"cancel_peers\": \"x\"", "\"x\" is not host:port.",
      "" },
    { "http_listen = 'x'", "invalid value for parameter \"http_listen\": \"x\"", "",
      "Write host:port, the path of a Unix-domain socket, or off." },
    { "auth_source = file", "\"auth_source\" is \"file\", but \"auth_file\" is not set", "",
      "Set \"auth_file\" to a file in the format of PgBouncer's userlist.txt." },
};

static void messages_are_postgres(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        struct load load;
        load_c(&load, refusals[i].line);
        assert_int_equal(load.code, E_CONFIG);
        assert_null(load.settings);
        assert_int_equal(load.diags.errors, 1);
        assert_str(diag_at(&load, 0)->message, refusals[i].message);
        assert_str(diag_at(&load, 0)->detail, refusals[i].detail);
        assert_str(diag_at(&load, 0)->hint, refusals[i].hint);
        assert_str(diag_at(&load, 0)->file, "/d/pgseal.conf");
        load_fini(&load);
    }
}

static void all_errors_in_one_pass(void **state)
{
    struct load load;

    (void)state;
    load_c(&load, "port = x\nssl = maybe\nfoo = 1\nbad bad bad\n");
    assert_int_equal(load.code, E_CONFIG);
    assert_int_equal(load.diags.errors, 4);
    load_fini(&load);
}

static void the_last_value_counts(void **state)
{
    const struct str overrides[] = { STR("port=7000"), STR("ssl-min-protocol-version=TLSv1.3"),
                                     STR("upstream.\"a=b\"=host=x"), STR("port=7001") };
    struct load load;

    (void)state;
    load_text(&load, TEXT("port = nonsense\nport = 6000\nssl_groups = 'a'\nssl_ecdh_curve = 'b'\n"), NULL,
              overrides, COUNT_OF(overrides));
    assert_int_equal(load.code, OK);
    assert_int_equal(load.settings->port, 7001);
    assert_int_equal(load.settings->ssl_min_protocol_version, CONF_TLS_1_3);
    assert_str(load.settings->ssl_groups, "b");
    assert_str(settings_route(load.settings, STR("a=b"))->upstream, "host=x");
    assert_int_equal(settings_find(load.settings, STR("port"))->source, SETTING_FROM_COMMAND_LINE);
    load_fini(&load);

    const struct str bad[] = { STR("port") };
    load_text(&load, TEXT(""), NULL, bad, 1);
    assert_int_equal(load.code, E_CONFIG);
    assert_str(diag_at(&load, 0)->message, "-c port requires a value");
    load_fini(&load);
}

static void routes_by_host(void **state)
{
    struct load load;

    (void)state;
    load_c(&load, "upstream = 'host=a'\nupstream.app = 'host=b'\nupstream.\"sni:Db.Example\" = 'host=c'\n"
                  "auth_source.\"sni:db.example\" = query\nupstream.\"sni:z\" = 'host=d'\n"
                  "upstream.\"sni:Z\" = 'host=e'\nupstream.zz = 'host=f'\nupstream.\"SNI:x\" = 'host=g'\n");
    assert_int_equal(load.code, OK);
    const struct settings *s = load.settings;
    assert_int_equal(s->n_routes, 6);
    assert_int_equal(s->n_database_routes, 4);
    assert_str(settings_route_for(s, STR("DB.example"), STR("app"))->upstream, "host=c");
    assert_int_equal(settings_route_for(s, STR("db.example"), STR("app"))->auth_source, CONF_AUTH_QUERY);
    assert_str(settings_route_for(s, STR("z"), STR("other"))->upstream, "host=e");
    assert_str(settings_route_for(s, STR("other"), STR("app"))->upstream, "host=b");
    assert_str(settings_route_for(s, STR(""), STR("zz"))->upstream, "host=f");
    assert_str(settings_route_for(s, STR("other"), STR("SNI:x"))->upstream, "host=g");
    /* What a client calls its database is no host. */
    assert_str(settings_route_for(s, STR("other"), STR("sni:z"))->upstream, "host=a");
    assert_str(settings_route(s, STR("sni:z"))->upstream, "host=a");
    assert_str(show(s, "upstream.\"sni:Z\""), "host=e");
    load_fini(&load);
    load_c(&load, "upstream.\"sni:\" = 'host=a'\n");
    assert_int_equal(load.code, E_CONFIG);
    load_fini(&load);
    load_c(&load, "max_db_connections.\"sni:x\" = 3\n");
    assert_int_equal(load.code, E_CONFIG);
    load_fini(&load);
}

static void routes_inherit(void **state)
{
    struct load load;

    (void)state;
    load_c(&load,
           "upstream = 'host=a'\nauth_source = query\nupstream.App = 'host=b'\nupstream.app = 'host=c'\n"
           "auth_source.\"My Db\" = upstream\nupstream_login.app = 'cert,peer'\n");
    assert_int_equal(load.code, OK);
    const struct settings *s = load.settings;
    assert_int_equal(s->n_routes, 4);
    const struct settings_route *route = settings_route(s, STR("App"));
    assert_str(route->upstream, "host=b");
    assert_true(route->owns_upstream);
    assert_int_equal(route->upstream_line, 3);
    assert_int_equal(route->upstream_login.at[0], CONF_LOGIN_SCRAM);
    route = settings_route(s, STR("app"));
    assert_str(route->upstream, "host=c");
    assert_int_equal(route->upstream_login.n, 2);
    assert_ptr_equal(&s->routes[route->index], route);
    route = settings_route(s, STR("My Db"));
    assert_str(route->upstream, "host=a");
    assert_false(route->owns_upstream);
    assert_int_equal(route->auth_source, CONF_AUTH_UPSTREAM);
    route = settings_route(s, STR("else"));
    assert_int_equal(route->index, 0);
    assert_int_equal(route->auth_source, CONF_AUTH_QUERY);
    assert_str(show(s, "auth_source.\"My Db\""), "upstream");
    assert_str(show(s, "upstream.app"), "host=c");
    load_fini(&load);
}

static void routes_have_labels(void **state)
{
    struct load load;

    (void)state;
    load_c(&load, "upstream = 'host=a'\nupstream.app = 'host=b'\nupstream.default = 'host=c'\n"
                  "upstream.\"\"\"default\"\"\" = 'host=d'\n");
    assert_int_equal(load.code, OK);
    assert_str(settings_route(load.settings, STR("else"))->label, "default");
    assert_str(settings_route(load.settings, STR("app"))->label, "app");
    assert_str(settings_route(load.settings, STR("default"))->label, "\"default\"");
    assert_str(settings_route(load.settings, STR("\"default\""))->label, "\"\"default\"\"");
    load_fini(&load);
}

static void restart_settings_are_kept(void **state)
{
    struct load first, second;

    (void)state;
    load_c(&first, "port = 6000\nssl = on\nauthentication_timeout = 30\nupstream.x = 'host=a'\n");
    load_text(&second, TEXT("port = 6001\nauthentication_timeout = '0.5 min'\nlog_disconnections = yes\n"),
              first.settings, NULL, 0);
    assert_int_equal(second.code, OK);
    assert_int_equal(second.settings->port, 6000);
    assert_str(diag_at(&second, 0)->message,
               "parameter \"port\" cannot be changed without restarting the server");
    assert_int_equal(diag_at(&second, 0)->severity, SEV_LOG);
    assert_true(settings_find(second.settings, STR("port"))->pending_restart);
    assert_int_equal(settings_find(second.settings, STR("port"))->sourceline, 1);

    struct diags changes;
    diags_init(&changes, &second.arena);
    settings_log_changes(first.settings, second.settings, &changes);
    const struct diag *diag = STAILQ_FIRST(&changes.list);
    assert_str(diag->message, "parameter \"log_disconnections\" changed to \"yes\"");
    diag = STAILQ_NEXT(diag, next);
    assert_str(diag->message, "parameter \"ssl\" removed from configuration file, reset to default");
    diag = STAILQ_NEXT(diag, next);
    assert_str(diag->message, "parameter \"upstream.x\" removed from configuration file, reset to default");
    assert_null(STAILQ_NEXT(diag, next));
    load_fini(&first);
    assert_int_equal(second.settings->port, 6000); /* owes nothing to the first */
    assert_str(settings_find(second.settings, STR("port"))->sourcefile, "/d/pgseal.conf");
    load_fini(&second);
}

static struct sockaddr_in6 v6(const char *text)
{
    struct sockaddr_in6 address = { .sin6_family = AF_INET6 };

    assert_int_equal(inet_pton(AF_INET6, text, &address.sin6_addr), 1);
    return address;
}

static void networks_match(void **state)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct load load;

    (void)state;
    load_c(&load, "proxy_protocol_from = '10.1.2.3/9, fd00::/7, 192.0.2.1'\n");
    const struct settings *s = load.settings;
    assert_int_equal(inet_pton(AF_INET, "10.127.0.1", &v4.sin_addr), 1);
    assert_true(settings_proxy_expected(s, (const struct sockaddr *)&v4));
    assert_int_equal(inet_pton(AF_INET, "10.128.0.1", &v4.sin_addr), 1);
    assert_false(settings_proxy_expected(s, (const struct sockaddr *)&v4));
    struct sockaddr_in6 inside = v6("fc00::1"), outside = v6("fe00::1"), mapped = v6("::ffff:192.0.2.1");
    assert_true(settings_proxy_expected(s, (const struct sockaddr *)&inside));
    assert_false(settings_proxy_expected(s, (const struct sockaddr *)&outside));
    assert_true(settings_proxy_expected(s, (const struct sockaddr *)&mapped));
    load_fini(&load);
}

static void file_rows_tell_each_line(void **state)
{
    struct memory_file files[] = {
        { "/d/pgseal.conf", TEXT("port = 1\nport = 2\nssl = maybe\nnix = 1\nbad\nupstream.\"A b\" = ''\n") },
        { NULL, { NULL, 0 } },
    };
    static const char *const errors[] = {
        "", "", "setting could not be applied", "unrecognized configuration parameter", "syntax error", ""
    };
    struct conf_fs fs = memory_fs(files);
    struct settings_params params = { .dir = STR("/d"), .fs = &fs };
    const struct setting_file_row *rows;
    struct arena arena;
    size_t n;

    (void)state;
    arena_init(&arena, 1 << 20, 1024);
    assert_int_equal(settings_file_rows(&params, &arena, &rows, &n), OK);
    assert_int_equal(n, COUNT_OF(errors));
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(rows[i].seqno, i + 1);
        assert_str(rows[i].error, errors[i]);
        assert_false(rows[i].applied);
    }
    assert_null(rows[4].name.p);
    assert_str(rows[5].name, "upstream.A b");
    files[0].text = TEXT("port = 1\nport = 2\n");
    assert_int_equal(settings_file_rows(&params, &arena, &rows, &n), OK);
    assert_false(rows[0].applied);
    assert_true(rows[1].applied);
    arena_fini(&arena);
}

static void references_are_counted(void **state)
{
    struct load load;

    (void)state;
    load_c(&load, "");
    struct settings *again = settings_ref(load.settings);
    load_fini(&load);
    assert_int_equal(again->port, 5432);
    settings_unref(again);
    settings_unref(NULL);
}

static const char sample[] =
    "authentication_timeout = '1.5 min'\nlog_connections = 'receipt, \"all\"'\nadmin_users = 'a,\"b\"\"\"'\n"
    "proxy_protocol_from = '10.0.0.0/8, ::1/0'\nupstream.\"a b\" = 'host=x'\nupstream_login='scram,peer'\n"
    "ssl_max_protocol_version = TLSv1.3\nhttp_listen = 'x:1'\nunix_socket_directories='/a,b'\n";

static void truncated_and_flipped(void **state)
{
    char text[sizeof sample];

    (void)state;
    for (size_t i = 0; i < sizeof sample * 8; i++) {
        struct load load;
        memcpy(text, sample, sizeof sample);
        text[i / 8] = (char)(text[i / 8] ^ 1 << i % 8);
        load_text(&load, bytes_of(text, sizeof sample - 1), NULL, NULL, 0);
        assert_true(load.code == OK || load.code == E_CONFIG);
        load_fini(&load);
        if (i % 8 == 0) {
            load_text(&load, bytes_of(sample, i / 8), NULL, NULL, 0);
            assert_true(load.code == OK || load.code == E_CONFIG);
            load_fini(&load);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_postgres),
        cmocka_unit_test(values_are_understood),
        cmocka_unit_test(messages_are_postgres),
        cmocka_unit_test(all_errors_in_one_pass),
        cmocka_unit_test(the_last_value_counts),
        cmocka_unit_test(routes_inherit),
        cmocka_unit_test(routes_by_host),
        cmocka_unit_test(routes_have_labels),
        cmocka_unit_test(restart_settings_are_kept),
        cmocka_unit_test(networks_match),
        cmocka_unit_test(file_rows_tell_each_line),
        cmocka_unit_test(references_are_counted),
        cmocka_unit_test(truncated_and_flipped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
