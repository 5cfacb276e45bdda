/* Connection strings: syntax, defaults, checks; and libpq itself as the judge of all three. */
#include "../unit.h"

#include "base/arena.h"
#include "client/conninfo.h"
#include "client/conninfo_text.h"
#include "pgwire/hello.h"
#include "world.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

enum { ARENA_CAP = 1 << 20 };

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, ARENA_CAP, 4096);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

/* ---- the tables, shared with the judge ---- */

/* Texts whose syntax libpq and we must judge alike. */
static const char *const texts[] = {
    "",
    "   ",
    "host=a",
    " host = a  port=  5433 ",
    "host=a\tport=1\ndbname=x\r\nuser=y\v\fpassword=z",
    "host='a b' port='5432'",
    "host='a\\'b' user=a\\ b dbname=\\\\",
    "host='' user= dbname=x",
    "user= dbname=x",
    "user=",
    "host=a\\",
    "host='a\\",
    "host='a",
    "host='a'port=5",
    "host 'a'",
    "host",
    "host a",
    "=a",
    "host==a",
    "nope=1",
    "HOST=a",
    "host=a host=b",
    "requiressl=1",
    "requiressl=0",
    "sslmode=verify-full sslrootcert=system sslcert=/x sslkey=/y sslpassword=z sslcrl=c sslcrldir=d sslsni=0",
    "service=none",
    "postgresql://",
    "postgres://",
    "postgresql:///",
    "postgresql://host",
    "postgresql://host:1234",
    "postgresql://host:1234/",
    "postgresql://host/db",
    "postgresql://user@host",
    "postgresql://user:secret@host:1/db?sslmode=require&connect_timeout=3",
    "postgresql://user:@host",
    "postgresql://:secret@host",
    "postgresql://:@host",
    "postgresql://@host",
    "postgresql://us%65r:p%40ss@h%6fst/d%62",
    "postgresql://h1,h2:2,h3/db",
    "postgresql://h1:1,h2:2",
    "postgresql://,/",
    "postgresql://:5433",
    "postgresql://:5433,:5434/",
    "postgresql://[::1]",
    "postgresql://[::1]:5433/db",
    "postgresql://[::1],[fe80::1%25eth0]:2/db",
    "postgresql://[::1]x",
    "postgresql://[]",
    "postgresql://[::1",
    "postgresql://%2Fvar%2Frun/db",
    "postgresql:///db?host=/tmp",
    "postgresql:///?service=x",
    "postgresql://h/?ssl=true",
    "postgresql://h/?ssl=1",
    "postgresql://h?user=x",
    "postgresql://h/db?",
    "postgresql://h/db?&",
    "postgresql://h/db?user",
    "postgresql://h/db?user=a=b",
    "postgresql://h/db?user=a&",
    "postgresql://h/db?user=a&&port=1",
    "postgresql://h/db?nope=1",
    "postgresql://h/db?requiressl=1",
    "postgresql://h/db?%75ser=x",
    "postgresql://h/db?user=",
    "postgresql://h/d%0",
    "postgresql://h/d%zz",
    "postgresql://h/d%00",
    "postgresql://h/d b",
    "postgresql://h/ db ",
    "postgresql://h/db?user=a b",
    "postgresql://h/db?application_name= x",
    "postgresql://a@b@c/db",
    "postgresql://a:b:c@d/db",
    "postgresql://h:1:2/db",
    "postgresql://h//db",
    "postgresql://h/a/b?user=x",
    "postgresql://u/x@y",
    "Postgresql://h",
    "postgresql:/h",
};

/* Values that libpq and we must judge alike; put behind a host that answers nothing. */
static const char *const values[] = {
    "sslmode=disable",
    "sslmode=allow",
    "sslmode=verify-ca",
    "sslmode=verify-full",
    "sslmode=Require",
    "sslmode=",
    "sslmode=foo",
    "sslmode=foo channel_binding=x",
    "sslmode=foo require_auth=x",
    "sslmode=foo sslnegotiation=bar",
    "sslnegotiation=foo",
    "sslnegotiation=",
    "sslnegotiation=direct",
    "sslnegotiation=direct sslmode=allow",
    "sslnegotiation=direct sslmode=disable",
    "sslnegotiation=direct sslmode=require",
    "sslnegotiation=direct sslrootcert=system sslmode=require",
    "sslrootcert=system",
    "sslrootcert=system sslmode=require",
    "sslrootcert=system sslmode=verify-full",
    "sslrootcert=system sslmode=verify-ca ssl_min_protocol_version=x",
    "ssl_min_protocol_version=TLSv1",
    "ssl_min_protocol_version=tlsV1.3",
    "ssl_min_protocol_version=x",
    "ssl_max_protocol_version=SSLv3",
    "ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2",
    "ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2 sslcertmode=x",
    "ssl_min_protocol_version= ssl_max_protocol_version=TLSv1.1",
    "ssl_max_protocol_version=TLSv1.1",
    "sslcertmode=foo",
    "sslcertmode=",
    "sslcertmode=require",
    "sslcertmode=x gssencmode=y",
    "gssencmode=foo",
    "gssencmode=prefer",
    "gssencmode=disable",
    "gssencmode=x target_session_attrs=y",
    "channel_binding=",
    "channel_binding=require",
    "channel_binding=foo",
    "channel_binding=x require_auth=y",
    "require_auth=",
    "require_auth=password",
    "require_auth=!password",
    "require_auth=password,md5",
    "require_auth=password,password",
    "require_auth=!password,!password",
    "require_auth=password,!md5",
    "require_auth=!password,md5",
    "require_auth=none",
    "require_auth=none,none",
    "require_auth=!none,!none",
    "require_auth=!none",
    "require_auth=foo",
    "require_auth=!foo",
    "require_auth=password,",
    "require_auth=,password",
    "require_auth=!",
    "require_auth=gss,sspi",
    "require_auth=!gss,!sspi",
    "require_auth=scram-sha-256,scram-sha-256",
    "require_auth=SCRAM-SHA-256",
    "require_auth=\\ md5",
    "target_session_attrs=any",
    "target_session_attrs=prefer-standby",
    "target_session_attrs=foo",
    "target_session_attrs=",
    "target_session_attrs=x scram_client_key=y",
    "target_session_attrs=x load_balance_hosts=y",
    "load_balance_hosts=foo",
    "load_balance_hosts=random",
    "load_balance_hosts=x scram_client_key=y",
    "load_balance_hosts=x min_protocol_version=y",
    "scram_client_key=",
    "scram_client_key=abc",
    "scram_client_key=AAAA",
    "scram_server_key=AAAA",
    "scram_client_key=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "scram_client_key=AA==",
    "scram_client_key=!AAA",
    "scram_client_key=AAAA scram_server_key=!",
    "scram_client_key=AAAA min_protocol_version=x",
    "min_protocol_version=3.0",
    "min_protocol_version=3.1",
    "min_protocol_version=latest",
    "min_protocol_version=3.2 max_protocol_version=3.0",
    "max_protocol_version=x",
    "max_protocol_version=",
    "min_protocol_version=",
    "min_protocol_version=x max_protocol_version=y",
    "port=0",
    "port=65536",
    "port=x",
    "port=1x",
    "port=\\ 1",
    "port=+1",
    "port=-1",
    "port=''",
    "port=99999999999",
    "port=1,2",
    "port=1,",
    "port=,",
    "hostaddr=127.0.0.1,127.0.0.1",
    "host=a,b hostaddr=127.0.0.1,127.0.0.1,127.0.0.1",
    "host=a,b hostaddr=127.0.0.1",
    "host=a hostaddr=127.0.0.1,127.0.0.1",
    "host=a,b,c hostaddr=127.0.0.1,127.0.0.1 port=1,2",
    "keepalives=x",
    "keepalives=",
    "keepalives=0 keepalives_idle=x",
    "keepalives_idle=x",
    "keepalives_idle=10",
    "keepalives_interval=",
    "keepalives_count=5x",
    "tcp_user_timeout=x",
    "tcp_user_timeout=100",
    "port=1,2 user=x sslmode=foo",
};

struct pq_option {
    char *keyword, *envvar, *compiled, *val, *label, *dispchar;
    int dispsize;
};

static struct judge {
    int version;
    struct pq_option *(*parse)(const char *text, char **error);
    void (*free_options)(struct pq_option *options);
    void (*free_text)(void *p);
    void *(*start)(const char *text);
    char *(*message)(const void *connection);
    int (*status)(const void *connection);
    void (*finish)(void *connection);
} judge;

/* PGSEAL_LIBPQ names another libpq than the system's, e.g. that of PostgreSQL 18. */
static bool judge_load(void)
{
    const char *path = getenv("PGSEAL_LIBPQ");
    void *lib = dlopen(path && path[0] ? path : "libpq.so.5", RTLD_NOW | RTLD_LOCAL);
    int (*version)(void) = lib ? (int (*)(void))(uintptr_t)dlsym(lib, "PQlibVersion") : NULL;

    if (!version)
        return false;
    judge.version = version();
    judge.parse = (struct pq_option * (*)(const char *, char **))(uintptr_t)dlsym(lib, "PQconninfoParse");
    judge.free_options = (void (*)(struct pq_option *))(uintptr_t)dlsym(lib, "PQconninfoFree");
    judge.free_text = (void (*)(void *))(uintptr_t)dlsym(lib, "PQfreemem");
    judge.start = (void *(*)(const char *))(uintptr_t)dlsym(lib, "PQconnectStart");
    judge.message = (char *(*)(const void *))(uintptr_t)dlsym(lib, "PQerrorMessage");
    judge.status = (int (*)(const void *))(uintptr_t)dlsym(lib, "PQstatus");
    judge.finish = (void (*)(void *))(uintptr_t)dlsym(lib, "PQfinish");
    return judge.parse && judge.start && judge.message && judge.status && judge.finish;
}

static void compare_message(const char *text, struct str ours, struct str theirs)
{
    theirs = str_trim(theirs);
    if (str_equal(ours, theirs))
        return;
    print_error("%s\n  ours:   %.*s\n  libpq:  %.*s\n", text, STR_ARG(ours), STR_ARG(theirs));
    fail();
}

static struct str value_in(const struct pq_option *options, const char *keyword)
{
    for (; options->keyword; options++) {
        if (strcmp(options->keyword, keyword) == 0)
            return options->val ? str_c(options->val) : (struct str){ 0 };
    }
    return (struct str){ 0 };
}

static void compare_syntax(const char *text)
{
    struct conn_options ours = { 0 };
    struct err e = { 0 };
    char *error = NULL;
    struct pq_option *theirs = judge.parse(text, &error);
    enum code code = conn_options_parse(str_c(text), &arena, &ours, &e);

    if (!theirs || code != OK) {
        compare_message(text, str_c(code == OK ? "accepted" : e.message), str_c(theirs ? "accepted" : error));
        judge.free_text(error);
        if (theirs)
            judge.free_options(theirs);
        return;
    }
    for (size_t i = 0; i < CONN_OPTION_COUNT; i++) {
        struct str v = value_in(theirs, conn_option_keyword((enum conn_option)i));
        if ((v.p == NULL) != (ours.v[i].p == NULL))
            compare_message(text, STR("set here only or there only"),
                            str_c(conn_option_keyword((enum conn_option)i)));
        compare_message(text, str_trim(ours.v[i]), v);
    }
    judge.free_options(theirs);
}

static void test_syntax_as_libpq(void **state)
{
    (void)state;
    if (!judge_load()) {
        print_message("no libpq here: nothing compared\n");
        skip();
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        bool newer = strchr(texts[i], ' ') && strstr(texts[i], "://"); /* blanks in URIs: since 18 */
        if (judge.version >= 180000 || !newer)
            compare_syntax(texts[i]);
    }
}

/* What the judge says of the values, "" when it went on to connect. */
static void compare_values(const char *text)
{
    char full[512];
    struct fake fake = { 0 };
    struct conn_world world = fake_world(&fake);
    struct conninfo info;
    struct err e = { 0 };

    (void)snprintf(full, sizeof full, "%s%s user=u dbname=d%s%s", text,
                   strstr(text, "connect_timeout") ? "" : " connect_timeout=1",
                   strstr(text, "host") ? "" : " hostaddr=127.0.0.1", strstr(text, "port=") ? "" : " port=1");
    void *connection = judge.start(full);
    struct str theirs = str_trim(str_c(judge.message(connection)));
    const char *cause = strstr(judge.message(connection), " failed: ");
    if (str_starts(theirs, STR("connection to server"))) /* nobody listens there, but the socket was tuned */
        theirs = cause && strstr(cause, "integer") ? str_trim(str_c(cause + strlen(" failed: "))) : STR("");
    enum code code = conninfo_parse(str_c(full), &world, CONN_LIBPQ, &arena, &info, &e);
    struct str ours = str_c(code == OK ? "" : e.message);
    if (code == OK && info.hosts[0].port == 0)
        ours = str_starts(theirs, STR("invalid port number")) ? theirs : STR("bad port");
    compare_message(text, ours, theirs);
    judge.finish(connection);
}

static void test_values_as_libpq(void **state)
{
    (void)state;
    if (!judge_load() || judge.version < 180000) {
        print_message("no libpq 18 here (PGSEAL_LIBPQ): nothing compared\n");
        skip();
    }
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        compare_values(values[i]);
}

/* ---- our own expectations ---- */

static enum code parse(const char *text, struct fake *fake, enum conn_dialect dialect, struct conninfo *out,
                       struct err *e)
{
    struct conn_world world = fake_world(fake);

    return conninfo_parse(str_c(text), &world, dialect, &arena, out, e);
}

static void test_defaults(void **state)
{
    const char *environment[] = { "PGHOST", "envhost", "PGSSLMODE", "require", "PGPORT", "77", NULL };
    struct fake fake = { .environment = environment };
    struct conninfo info;
    struct err e;

    (void)state;
    assert_int_equal(parse("port=5", &fake, CONN_LIBPQ, &info, &e), OK);
    assert_str(info.hosts[0].host, "envhost");
    assert_int_equal(info.hosts[0].port, 5);
    assert_int_equal(info.sslmode, SSLMODE_REQUIRE);
    assert_int_equal(info.tls_min, TLS_BOUND_1_2);
    assert_int_equal(info.tls_max, TLS_BOUND_NONE);
    assert_true(info.sslsni);
    assert_str(info.user, "osuser");
    assert_str(info.dbname, "osuser");
    assert_int_equal(info.protocol_max, PROTOCOL_3_0);
    assert_int_equal(info.auth_allowed, AUTH_BIT_ALL);
    environment[2] = "PGREQUIRESSL";
    environment[3] = "1x";
    assert_int_equal(parse("", &fake, CONN_LIBPQ, &info, &e), OK);
    assert_int_equal(info.sslmode, SSLMODE_REQUIRE);
    environment[3] = "0";
    assert_int_equal(parse("sslrootcert=system", &fake, CONN_LIBPQ, &info, &e), OK);
    assert_int_equal(info.sslmode, SSLMODE_VERIFY_FULL);
}

static void test_hosts(void **state)
{
    struct fake fake = { 0 };
    struct conninfo info;
    struct err e;

    (void)state;
    assert_int_equal(parse("host=a,/run,@x, port=1,,3,4", &fake, CONN_LIBPQ, &info, &e), OK);
    assert_int_equal(info.host_count, 4);
    assert_int_equal(info.hosts[0].kind, CONN_HOST_NAME);
    assert_int_equal(info.hosts[1].kind, CONN_HOST_UNIX);
    assert_int_equal(info.hosts[1].port, 5432);
    assert_int_equal(info.hosts[2].kind, CONN_HOST_UNIX);
    assert_int_equal(info.hosts[3].kind, CONN_HOST_UNIX);
    assert_str(info.hosts[3].host, "/var/run/postgresql");
    assert_int_equal(info.hosts[3].port, 4);
    assert_int_equal(parse("host=a,b hostaddr=1.2.3.4,", &fake, CONN_LIBPQ, &info, &e), OK);
    assert_int_equal(info.hosts[0].kind, CONN_HOST_ADDRESS);
    assert_int_equal(info.hosts[1].kind, CONN_HOST_NAME);
    assert_int_equal(parse("host=a,b port=9", &fake, CONN_LIBPQ, &info, &e), OK);
    assert_int_equal(info.hosts[1].port, 9);
}

static void test_gate_dialect(void **state)
{
    const char *environment[] = { "PGHOST", "envhost", "PGSSLMODE", "disable", "PGPASSWORD", "x", NULL };
    struct fake fake = { .environment = environment };
    struct conninfo info;
    struct err e;

    (void)state;
    assert_int_equal(parse("host=db", &fake, CONN_GATE, &info, &e), OK);
    assert_int_equal(info.sslmode, SSLMODE_VERIFY_FULL);
    assert_int_equal(info.user.n, 0);
    assert_int_equal(info.dbname.n, 0);
    assert_int_equal(parse("", &fake, CONN_GATE, &info, &e), OK);
    assert_int_equal(info.hosts[0].kind, CONN_HOST_UNIX);
    assert_int_equal(parse("host=db sslmode=prefer", &fake, CONN_GATE, &info, &e), OK);
    assert_int_equal(info.sslmode, SSLMODE_PREFER);
    assert_int_equal(parse("password=x", &fake, CONN_GATE, &info, &e), E_PARAM);
    assert_non_null(strstr(e.hint, "passfile"));
    assert_int_equal(parse("service=x", &fake, CONN_GATE, &info, &e), E_PARAM);
    assert_int_equal(parse("options=-cx=1", &fake, CONN_GATE, &info, &e), E_PARAM);
    assert_int_equal(parse("port=0", &fake, CONN_GATE, &info, &e), E_PARAM);
    assert_int_equal(parse("max_protocol_version=3.2", &fake, CONN_GATE, &info, &e), OK);
    assert_int_equal(info.protocol_min, PROTOCOL_3_0);
    assert_int_equal(info.protocol_max, PROTOCOL_3_2);
    assert_int_equal(
        parse("keepalives_idle=7 tcp_user_timeout=9 requirepeer=pg", &fake, CONN_GATE, &info, &e), OK);
    assert_true(info.keepalives);
    assert_int_equal(info.keepalives_idle_s, 7);
    assert_int_equal(info.tcp_user_timeout_ms, 9);
    assert_str(info.requirepeer, "pg");
}

static void expect_error(const char *text, struct fake *fake, const char *message)
{
    struct conninfo info;
    struct err e = { 0 };

    assert_int_equal(parse(text, fake, CONN_LIBPQ, &info, &e), E_PARAM);
    assert_string_equal(e.message, message);
}

static void test_service(void **state)
{
    const struct fake_file files[] = {
        { "/home/u/.pg_service.conf",
          "# c\n[other]\nhost=o\n [mine] \nhost=h1\n port=6\nuser= x\n\n[after]\nhost=z\n[bad]\nhost\n"
          "[nest]\nservice=x\n[unknown]\nfoo=1\n",
          0600, false },
        { "/etc/postgresql-common/pg_service.conf", "[sys]\nhost=syshost\n", 0644, true },
        { 0 },
    };
    const char *environment[] = { "PGSERVICE", "mine", NULL };
    struct fake fake = { .files = files, .environment = environment };
    struct conninfo info;
    struct err e;

    (void)state;
    assert_int_equal(parse("port=9", &fake, CONN_LIBPQ, &info, &e), OK);
    assert_str(info.hosts[0].host, "h1");
    assert_int_equal(info.hosts[0].port, 9);
    assert_str(info.user, " x");
    assert_int_equal(parse("service=sys", &fake, CONN_LIBPQ, &info, &e), OK);
    assert_str(info.hosts[0].host, "syshost");
    expect_error("connect_timeout=x service=sys", &fake,
                 "invalid integer value \"x\" for connection option \"connect_timeout\"");
    expect_error("service=none", &fake, "definition of service \"none\" not found");
    expect_error("service=bad", &fake, "syntax error in service file \"/home/u/.pg_service.conf\", line 12");
    expect_error("service=unknown", &fake,
                 "syntax error in service file \"/home/u/.pg_service.conf\", line 16");
    expect_error(
        "service=nest", &fake,
        "nested service specifications not supported in service file \"/home/u/.pg_service.conf\", line 14");
    environment[0] = "PGSERVICEFILE";
    environment[1] = "/nowhere";
    expect_error("service=x", &fake, "service file \"/nowhere\" not found");
}

static void test_hostile(void **state)
{
    struct conn_options options;
    struct err e;
    char copy[256];

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        size_t n = strlen(texts[i]);
        for (size_t cut = 0; cut < n; cut++) { /* every length; the heap's end shows reads beyond it */
            char *exact = malloc(cut ? cut : 1);
            assert_non_null(exact);
            memcpy(exact, texts[i], cut);
            enum code code = conn_options_parse(str_of(exact, cut), &arena, &options, &e);
            assert_true(code == OK || code == E_PARAM);
            free(exact);
        }
        for (size_t bit = 0; bit < n * 8; bit++) {
            memcpy(copy, texts[i], n);
            copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
            enum code code = conn_options_parse(str_of(copy, n), &arena, &options, &e);
            assert_true(code == OK || code == E_PARAM);
        }
        arena_reset(&arena);
    }
    assert_int_equal(conn_options_parse(str_of("host=a\0b", 8), &arena, &options, &e), E_PARAM);
}

/* A secret that stands in a malformed text is not quoted, nor is what may be a piece of one. */
static void test_secrets_are_not_quoted(void **state)
{
    static const char *const malformed[][2] = {
        { "postgresql://u:xyzzy@[::1/db",
          "end of string reached when looking for matching \"]\" in IPv6 host address in URI: "
          "\"postgresql://u:********@[::1/db\"" },
        { "postgresql://u:xyzzy@[]/db",
          "IPv6 host address may not be empty in URI: \"postgresql://u:********@[]/db\"" },
        { "postgresql://u:xyzzy@[::1]x/db",
          "unexpected character \"x\" at position 27 in URI (expected \":\" or \"/\"): "
          "\"postgresql://u:********@[::1]x/db\"" },
        { "postgresql://u:xyzzy%zz@h/db", "invalid percent-encoded token: \"********\"" },
        { "postgresql://u:xyzzy%00@h/db", "forbidden value %00 in percent-encoded value: \"********\"" },
        { "postgresql://u:xyz zy@h/db",
          "unexpected spaces found in \"********\", use percent-encoded spaces (%20) instead" },
        { "postgresql://h/db?password=xyzzy%", "invalid percent-encoded token: \"********\"" },
        { "postgresql://h/db?pasword=xyzzy%", "invalid percent-encoded token: \"********\"" },
        { "postgresql://h/db?password=a&xyzzy", "missing key/value separator \"=\" in URI query parameter: "
                                                "\"********\"" },
        { "postgresql://h/db?password=a&xyzzy=1", "invalid URI query parameter: \"********\"" },
        { "postgresql://h/db?sslpassword=a&x%zz=1", "invalid percent-encoded token: \"********\"" },
        { "postgresql://u:xyz/zy@h/db", "unexpected \"@\" in a URI: \"postgresql://u:********@h/db\"" },
        { "postgresql://u:xyzzy", "invalid integer value \"********\" for connection option \"port\"" },
        { "postgresql://u:1/xyz%zzy@h", "unexpected \"@\" in a URI: \"postgresql://u:********@h\"" },
        { "postgresql://u:xyz@zy@h/db", "unexpected \"@\" in a URI: \"postgresql://u:********@h/db\"" },
        { "postgresql://u:12/xyz@h/db", "unexpected \"@\" in a URI: \"postgresql://u:********@h/db\"" },
        { "postgresql://u:p@h/xyz@h/db", "unexpected \"@\" in a URI: \"postgresql://u:********@h/db\"" },
        { "postgresql://u@h:12/xyz@h/db", "unexpected \"@\" in a URI: \"postgresql://u@h:********@h/db\"" },
        { "postgresql://u:12/s?xyz=zy@h/db", "unexpected \"@\" in a URI: \"postgresql://u:********@h/db\"" },
        { "postgresql://u:12/s?xyzzy@h/db?port=1",
          "unexpected \"@\" in a URI: \"postgresql://u:********@h/db?port=1\"" },
        { "postgressql://u:xyzzy@h/db?port=1",
          "invalid connection option \"postgressql://u:********@h/db?port\"" },
        { "u:xyzzy@h", "missing \"=\" after \"u:********@h\" in connection info string" },
        { "password=a xyzzy host=h", "missing \"=\" after \"********\" in connection info string" },
        { "password=a xyzzy=1", "invalid connection option \"********\"" },
        { "password=a host xyzzy", "missing \"=\" after \"host\" in connection info string" },
        { "scram_client_key=xyzzy", "invalid SCRAM client key" },
        { "password='xyzzy", "unterminated quoted string in connection info string" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        struct fake fake = { 0 };
        struct conninfo info;
        struct err e = { 0 };
        expect_error(malformed[i][0], &fake, malformed[i][1]);
        assert_int_equal(parse(malformed[i][0], &fake, CONN_GATE, &info, &e), E_PARAM);
        assert_null(strstr(e.message, "xyz"));
        assert_null(strstr(e.hint, "xyz"));
    }
}

static void test_wipe(void **state)
{
    struct fake fake = { 0 };
    struct conninfo info;
    struct err e;

    (void)state;
    assert_int_equal(parse("password=secret sslpassword=other", &fake, CONN_LIBPQ, &info, &e), OK);
    assert_int_equal(info.password.n, 6);
    conninfo_wipe(&info);
    assert_int_equal(info.password.n, 0);
    assert_int_equal(info.options.v[CONN_PASSWORD].p[0], 0);
    assert_int_equal(info.options.v[CONN_SSLPASSWORD].p[4], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_syntax_as_libpq, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_values_as_libpq, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_defaults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hosts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_gate_dialect, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_service, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hostile, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_secrets_are_not_quoted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wipe, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
