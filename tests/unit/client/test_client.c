/* Host names, first bytes, certificate files, the password file. */
#include "../unit.h"

#include "../one_arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/secret.h"
#include "client/gate_talk.h"
#include "client/negotiate.h"
#include "client/passfile.h"
#include "client/tlsfiles.h"
#include "client/verify.h"
#include "pki/name.h"
#include "world.h"

/* ---- host names ---- */

#define DNS(text)                                                                                            \
    {                                                                                                        \
        SAN_DNS,                                                                                             \
        {                                                                                                    \
            (const uint8_t *)(text), sizeof(text) - 1                                                        \
        }                                                                                                    \
    }
#define IP(text)                                                                                             \
    {                                                                                                        \
        SAN_IP,                                                                                              \
        {                                                                                                    \
            (const uint8_t *)(text), sizeof(text) - 1                                                        \
        }                                                                                                    \
    }

static void verify(const struct san *sans, size_t n, const char *cn, const char *host, const char *expected)
{
    struct san copy[8];
    struct cert_names names = { copy, n, { cn != NULL, false, str_c(cn) } };
    struct err e = { 0 };

    memcpy(copy, sans, n * sizeof *sans);
    enum code code = verify_host(&names, str_c(host), &e);
    assert_string_equal(code == OK ? "" : e.message, expected);
}

static void test_verify(void **state)
{
    const struct san dns[] = { DNS("a.example.com"), DNS("*.b.example.com") };
    const struct san ip[] = { IP("\x7f\0\0\1") };
    const struct san ip6[] = { IP("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1") };
    const struct san as_text[] = { DNS("127.0.0.1") };
    const struct san nul[] = { DNS("a\0b"), DNS("good") };
    const struct san odd[] = { IP("\1\2\3") };
    const struct san email[] = { { SAN_EMAIL, { (const uint8_t *)"x", 1 } } };

    (void)state;
    verify(dns, 2, "cn", "A.EXAMPLE.com", "");
    verify(dns, 2, "cn", "x.b.example.com", "");
    verify(dns, 2, "cn", "x.y.b.example.com",
           "server certificate for \"a.example.com\" (and 1 other name) does not match host name "
           "\"x.y.b.example.com\"");
    verify(dns, 2, "cn", "a.example.com.",
           "server certificate for \"a.example.com\" (and 1 other name) does not match host name "
           "\"a.example.com.\"");
    verify(dns, 2, "cn", "cn",
           "server certificate for \"a.example.com\" (and 1 other name) does not match host name \"cn\"");
    verify(dns, 2, "1.2.3.4", "1.2.3.4", ""); /* a DNS entry does not keep an address from the CN */
    verify(
        dns, 2, "9", "1.2.3.4",
        "server certificate for \"a.example.com\" (and 2 other names) does not match host name \"1.2.3.4\"");
    verify(ip, 1, "cn", "cn", ""); /* the other way round likewise */
    verify(ip, 1, "cn", "127.0.0.1", "");
    verify(ip, 1, "cn", "127.1", "");
    verify(ip, 1, "127.0.0.2", "127.0.0.2",
           "server certificate for \"127.0.0.1\" does not match host name \"127.0.0.2\"");
    verify(ip6, 1, "cn", "::1", "");
    verify(ip6, 1, NULL, "::2", "server certificate for \"::1\" does not match host name \"::2\"");
    verify(as_text, 1, NULL, "127.0.0.1", "");
    verify(nul, 2, "good", "good", "SSL certificate's name contains embedded null");
    verify(odd, 1, "h", "h", "certificate contains IP address with invalid length 3");
    verify(email, 1, "h", "h", "");
    verify(email, 1, NULL, "h", "could not get server's host name from server certificate");
    verify(dns, 0, "other", "h", "server certificate for \"other\" does not match host name \"h\"");
    verify(dns, 2, "cn", "", "host name must be specified for a verified SSL connection");
}

static void test_wildcards(void **state)
{
    (void)state;
    assert_true(verify_name_matches(STR("*.com"), STR("a.com")));
    assert_true(verify_name_matches(STR("*.x"), STR("a.x")));
    assert_false(verify_name_matches(STR("*."), STR("a.")));
    assert_false(verify_name_matches(STR("*.example.com"), STR("example.com")));
    assert_false(verify_name_matches(STR("*.example.com"), STR(".example.com")));
    assert_false(verify_name_matches(STR("*.example.com"), STR("a.b.example.com")));
    assert_false(verify_name_matches(STR("a*.example.com"), STR("ab.example.com")));
    assert_false(verify_name_matches(STR("a.*.com"), STR("a.b.com")));
    assert_true(verify_name_matches(STR("*.example.com"), STR("*.example.com")));
    assert_false(verify_name_matches(STR("*"), STR("a")));
    assert_true(verify_host_is_ip(STR("127.1")));
    assert_false(verify_host_is_ip(STR("127.1.")));
    assert_false(verify_host_is_ip(STR("a.b")));
}

/* ---- first bytes ---- */

static void reply(const char *bytes, size_t n, enum negotiate_verdict verdict, enum attempt_event event,
                  const char *message)
{
    enum attempt_event got = event;
    struct err e = { 0 };

    assert_int_equal(negotiate_reply(bytes_of(bytes, n), &got, &e), verdict);
    assert_int_equal(got, event);
    assert_string_equal(e.message, message);
}

static void test_reply(void **state)
{
    struct err e;

    (void)state;
    reply("", 0, NEGOTIATE_MORE, EVENT_CLOSED, "");
    reply("S", 1, NEGOTIATE_TLS, EVENT_REPLY_BAD, "");
    reply("S\x16", 2, NEGOTIATE_FAIL, EVENT_REPLY_BAD, "received unencrypted data after SSL response");
    reply("N", 1, NEGOTIATE_FAIL, EVENT_TLS_REFUSED, "server does not support SSL, but SSL was required");
    reply("EFATAL: buy now", 15, NEGOTIATE_FAIL, EVENT_REPLY_BAD,
          "server sent an error response during SSL exchange");
    reply("X", 1, NEGOTIATE_FAIL, EVENT_REPLY_BAD, "received invalid response to SSL negotiation: X");
    assert_int_equal(negotiate_alpn(METHOD_TLS, STR(""), &e), OK);
    assert_int_equal(negotiate_alpn(METHOD_DIRECT_TLS, STR("postgresql"), &e), OK);
    assert_int_equal(negotiate_alpn(METHOD_DIRECT_TLS, STR(""), &e), E_TLS);
    assert_int_equal(negotiate_alpn(METHOD_TLS, STR("h2"), &e), E_TLS);
}

static struct conninfo conninfo_of(const char *text, const struct conn_world *world)
{
    struct conninfo info;
    struct err e;

    assert_int_equal(conninfo_parse(str_c(text), world, CONN_LIBPQ, &arena, &info, &e), OK);
    return info;
}

static void sni(const char *text, const char *expected)
{
    struct fake fake = { 0 };
    struct conn_world world = fake_world(&fake);
    struct conninfo info = conninfo_of(text, &world);

    assert_str(negotiate_sni(&info, &info.hosts[0]), expected);
}

static void test_sni(void **state)
{
    (void)state;
    sni("host=db.example.com", "db.example.com");
    sni("host=db sslsni=0", "");
    sni("host=1.2.3.4", "");
    sni("host=1.2.3.4x", "1.2.3.4x");
    sni("host=::1", "");
    sni("hostaddr=1.2.3.4", "");
    sni("host=db hostaddr=1.2.3.4", "db");
}

/* ---- certificate files ---- */

static struct err find(const char *text, const struct fake_file *files, const char *home,
                       struct tls_files *out)
{
    struct fake fake = { .files = files };
    struct conn_world world = fake_world(&fake);
    struct conninfo info = conninfo_of(text, &world);
    struct err e = { 0 };

    world.home = str_c(home);
    if (tls_files_find(&info, &world, &arena, out, &e) == OK)
        assert_int_equal(e.code, OK);
    return e;
}

static void test_roots(void **state)
{
    const struct fake_file none[] = { { 0 } };
    const struct fake_file home[] = { { "/home/u/.postgresql/root.crt", "x", 0644, false }, { 0 } };
    struct tls_files files;
    struct err e;

    (void)state;
    (void)find("sslmode=require", none, "/home/u", &files);
    assert_int_equal(files.root, TLS_ROOT_NONE);
    (void)find("sslmode=require", home, "/home/u", &files);
    assert_int_equal(files.root, TLS_ROOT_FILE); /* a root.crt makes require verify the chain */
    assert_str(files.root_file, "/home/u/.postgresql/root.crt");
    assert_str(files.crl_file, "/home/u/.postgresql/root.crl");
    assert_false(files.verify_name);
    (void)find("sslmode=verify-full sslcrldir=/d", home, "/home/u", &files);
    assert_str(files.crl_file, "");
    assert_str(files.crl_dir, "/d");
    assert_true(files.verify_name);
    (void)find("sslmode=require sslrootcert=/gone", home, "/home/u", &files);
    assert_int_equal(files.root, TLS_ROOT_NONE);
    (void)find("sslrootcert=system", home, "/home/u", &files);
    assert_int_equal(files.root, TLS_ROOT_SYSTEM);
    e = find("sslmode=verify-ca sslrootcert=/gone", home, "/home/u", &files);
    assert_string_equal(
        e.message,
        "root certificate file \"/gone\" does not exist\nEither provide the file, use the system's "
        "trusted roots with sslrootcert=system, or change sslmode to disable server certificate "
        "verification.");
    e = find("sslmode=verify-ca", home, "", &files);
    assert_true(
        str_starts(str_c(e.message), STR("could not get home directory to locate root certificate file\n")));
}

static void test_certs(void **state)
{
    const struct fake_file files[] = {
        { "/c", "x", 0644, false },    { "/denied", "x", 0, false },
        { "/k", "x", 0600, false },    { "/open", "x", 0640, false },
        { "/root", "x", 0640, true },  { "/root4", "x", 0644, true },
        { "/dir", NULL, 0700, false }, { 0 },
    };
    struct tls_files found;
    struct err e;

    (void)state;
    (void)find("sslcert=/c sslkey=/k sslpassword=p", files, "", &found);
    assert_str(found.cert, "/c");
    assert_str(found.key, "/k");
    assert_str(found.key_password, "p");
    (void)find("sslcert=/none", files, "", &found);
    assert_str(found.cert, "");
    (void)find("sslcert=/c sslkey=/open sslcertmode=disable", files, "", &found);
    assert_str(found.cert, "");
    (void)find("sslcert=/c sslkey=/root", files, "", &found);
    assert_str(found.key, "/root");
    e = find("sslcert=/denied", files, "", &found);
    assert_string_equal(e.message, "could not open certificate file \"/denied\": Permission denied");
    e = find("sslcert=/c sslkey=/none", files, "", &found);
    assert_string_equal(e.message, "certificate present, but not private key file \"/none\"");
    e = find("sslcert=/c sslkey=/denied", files, "", &found);
    assert_string_equal(e.message, "could not stat private key file \"/denied\": Permission denied");
    e = find("sslcert=/c sslkey=/dir", files, "", &found);
    assert_string_equal(e.message, "private key file \"/dir\" is not a regular file");
    e = find("sslcert=/c sslkey=/open", files, "", &found);
    assert_true(
        str_starts(str_c(e.message), STR("private key file \"/open\" has group or world access; file must")));
    e = find("sslcert=/c sslkey=/root4", files, "", &found);
    assert_true(str_starts(str_c(e.message), STR("private key file \"/root4\" has group or world access")));
    e = find("sslcert=/c sslkey=eng:key", files, "", &found);
    assert_int_equal(e.code, E_TLS);
}

/* ---- password file ---- */

static void lookup(const char *contents, const char *host, const char *user, const char *expected)
{
    struct passfile_key key = { str_c(host), STR("5432"), STR("d:b"), str_c(user) };
    AUTO(password) struct password secret = { 0 };
    struct err e;
    bool found = true;

    assert_int_equal(passfile_find(str_bytes(str_c(contents)), &key, &secret, &found, &e), OK);
    assert_int_equal(found, expected != NULL);
    if (expected)
        assert_str(str_from_bytes(password_bytes(&secret)), expected);
}

static void test_passfile(void **state)
{
    static const char file[] = "#h:5432:d\\:b:u:comment\nh:5432:other:u:no\r\n"
                               "h:5432:d\\:b:u:p\\:w\\\\:rest\nh:*:*:*:any\n*:*:*:star:s";

    (void)state;
    lookup(file, "h", "u", "p:w\\");
    lookup(file, "h", "v", "any");
    lookup(file, "g", "star", "s");
    lookup(file, "g", "v", NULL);
    lookup("h:5432:d\\:b:u", "h", "u", NULL);
    lookup("h:5432:d\\:b:u:", "h", "u", "");
    lookup("h*:5432:*:u:x", "h*", "u", "x");
    lookup("**:5432:*:u:x", "h", "u", NULL);
    lookup("", "h", "u", NULL);
    for (size_t cut = 0; cut < sizeof file; cut++) {
        struct passfile_key key = { STR("g"), STR("5432"), STR("d:b"), STR("star") };
        AUTO(password) struct password secret = { 0 };
        struct err e;
        bool found;
        assert_int_equal(passfile_find(bytes_of(file, cut), &key, &secret, &found, &e), OK);
    }
}

static void test_passfile_rules(void **state)
{
    const struct fake_file files[] = { { "/ok", "*:*:*:*:x", 0600, false },
                                       { "/open", "*:*:*:*:x", 0640, false },
                                       { "/dir", NULL, 0700, false },
                                       { 0 } };
    struct fake fake = { .files = files };
    struct conn_world world = fake_world(&fake);
    struct passfile_key key = { STR("h"), STR("1"), STR("d"), STR("u") };
    struct conn_host host = { .kind = CONN_HOST_UNIX, .host = STR("/var/run/postgresql") };
    AUTO(password) struct password secret = { 0 };
    struct err e;
    bool found;

    (void)state;
    assert_int_equal(passfile_lookup(&world, STR("/ok"), &key, &secret, &found, &e), OK);
    assert_true(found);
    assert_int_equal(passfile_lookup(&world, STR("/gone"), &key, &secret, &found, &e), OK);
    assert_false(found);
    assert_int_equal(passfile_lookup(&world, STR("/open"), &key, &secret, &found, &e), E_ACCESS);
    assert_string_equal(
        e.message,
        "password file \"/open\" has group or world access; permissions should be u=rw (0600) or less");
    assert_int_equal(passfile_lookup(&world, STR("/dir"), &key, &secret, &found, &e), E_ACCESS);
    assert_str(passfile_host(&host), "localhost");
    host.host = STR("/tmp");
    assert_str(passfile_host(&host), "/tmp");
    host.host = STR("");
    host.hostaddr = STR("1.2.3.4");
    assert_str(passfile_host(&host), "1.2.3.4");
}

/* Short, too long, of another width, with a length that lies: none of them is a row. */
static void test_rows_of_a_gate(void **state)
{
    static const char row[] = "\0\2\0\0\0\2ab\377\377\377\377";
    static const char lies[] = "\0\2\0\0\0\3ab\377\377\377\377", negative[] = "\0\1\377\377\377\376";
    struct bytes whole = bytes_of(row, sizeof row - 1);
    struct str cells[3];

    (void)state;
    assert_int_equal(gate_row_parse(whole, 2, cells), OK);
    assert_str(cells[0], "ab");
    assert_null(cells[1].p);
    for (size_t n = 0; n < whole.n; n++)
        assert_int_equal(gate_row_parse(bytes_of(whole.p, n), 2, cells), E_PROTOCOL);
    assert_int_equal(gate_row_parse(bytes_of(row, sizeof row), 2, cells), E_PROTOCOL);
    assert_int_equal(gate_row_parse(whole, 1, cells), E_PROTOCOL);
    assert_int_equal(gate_row_parse(whole, 3, cells), E_PROTOCOL);
    assert_int_equal(gate_row_parse(bytes_of(lies, sizeof lies - 1), 2, cells), E_PROTOCOL);
    assert_int_equal(gate_row_parse(bytes_of(negative, sizeof negative - 1), 1, cells), E_PROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_wildcards),
        cmocka_unit_test(test_reply),
        cmocka_unit_test_setup_teardown(test_sni, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_roots, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_certs, set_up, tear_down),
        cmocka_unit_test(test_passfile),
        cmocka_unit_test(test_passfile_rules),
        cmocka_unit_test(test_rows_of_a_gate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
