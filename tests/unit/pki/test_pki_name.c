/* Names: shown, compared, looked up; names from the command line. */
#include "../one_arena.h"
#include "made.h"

#include <openssl/objects.h>
#include <openssl/x509v3.h>

static X509_NAME *name_new(void)
{
    X509_NAME *name = X509_NAME_new();

    assert_non_null(name);
    return name;
}

static void put(X509_NAME *name, const char *field, int type, struct str value, int set)
{
    assert_true(
        X509_NAME_add_entry_by_txt(name, field, type, (const uint8_t *)value.p, (int)value.n, -1, set));
}

static struct str slash(const X509_NAME *name)
{
    struct str out;

    assert_int_equal(name_slash(name, &arena, &out, NULL), OK);
    return out;
}

static void both_forms(void **state)
{
    (void)state;
    X509_NAME *name = name_new();
    struct str out;
    put(name, "O", MBSTRING_UTF8, STR("Acme, Inc"), 0);
    put(name, "OU", MBSTRING_UTF8, STR("\xc3\x9cnit"), 0);
    put(name, "CN", MBSTRING_UTF8, STR("alice"), 0);
    assert_str(slash(name), "/O=Acme\\, Inc/OU=\xc3\x9cnit/CN=alice");
    assert_int_equal(name_rfc2253(name, &arena, &out, NULL), OK);
    assert_str(out, "CN=alice,OU=\\C3\\9Cnit,O=Acme\\, Inc");
    put(name, "UID", MBSTRING_UTF8, STR("al"), -1);
    assert_str(slash(name), "/O=Acme\\, Inc/OU=\xc3\x9cnit/CN=alice/UID=al");
    assert_int_equal(name_rfc2253(name, &arena, &out, NULL), OK);
    assert_true(str_starts(out, STR("CN=alice+UID=al,")) || str_starts(out, STR("UID=al+CN=alice,")));
    X509_NAME_free(name);
}

static void odd_attributes(void **state)
{
    (void)state;
    X509_NAME *name = name_new();
    put(name, "emailAddress", V_ASN1_IA5STRING, STR("a@b"), 0);
    put(name, "1.2.3.4.5", MBSTRING_UTF8, STR("x"), 0);
    put(name, "CN", MBSTRING_UTF8, STR("a/b\n#"), 0);
    assert_str(slash(name), "/emailAddress=a@b/1.2.3.4.5=x/CN=a/b\\0A#");
    X509_NAME_free(name);
    name = name_new();
    assert_str(slash(name), "");
    put(name, "CN", V_ASN1_T61STRING, STR("\xe9"), 0); /* Latin-1 becomes UTF-8 */
    assert_str(slash(name), "/CN=\xc3\xa9");
    X509_NAME_free(name);
}

static void common_names(void **state)
{
    (void)state;
    X509_NAME *name = name_new();
    struct name_value cn;
    struct err e;
    struct str out;
    assert_int_equal(name_cn(name, &arena, &cn, NULL), OK);
    assert_false(cn.present);
    put(name, "CN", MBSTRING_UTF8, STR("first"), 0);
    put(name, "CN", MBSTRING_UTF8, STR("bob"), 0);
    assert_int_equal(name_cn(name, &arena, &cn, NULL), OK);
    assert_true(cn.present && !cn.has_nul);
    assert_str(cn.value, "first");
    X509_NAME_free(name);
    name = name_new();
    put(name, "CN", V_ASN1_UTF8STRING, STR("bob\0.evil"), 0);
    assert_int_equal(name_cn(name, &arena, &cn, NULL), OK);
    assert_true(cn.present && cn.has_nul);
    assert_int_equal(cn.value.n, 9);
    assert_str(slash(name), "/CN=bob\\00.evil");
    assert_int_equal(name_rfc2253(name, &arena, &out, &e), OK); /* escaped, so no NUL is left in it */
    assert_str(out, "CN=bob\\00.evil");
    X509_NAME_free(name);
}

static void fields(void **state)
{
    (void)state;
    X509_NAME *name = name_new();
    struct name_value value;
    struct err e;
    put(name, "O", MBSTRING_UTF8, STR("A,B"), 0);
    put(name, "O", MBSTRING_UTF8, STR("second"), 0);
    static const char *const same[] = { "O", "organizationName", "2.5.4.10" };
    for (size_t i = 0; i < COUNT_OF(same); i++) {
        assert_int_equal(name_field(name, str_c(same[i]), &arena, &value, &e), OK);
        assert_true(value.present);
        assert_str(value.value, "A\\,B");
    }
    assert_int_equal(name_field(name, STR("CN"), &arena, &value, &e), OK);
    assert_false(value.present);
    assert_int_equal(name_field(name, STR("nonsense"), &arena, &value, &e), E_PARAM);
    assert_string_equal(e.message, "invalid X.509 field name: \"nonsense\"");
    assert_int_equal(name_field(name, STR("O\0x"), &arena, &value, &e), E_PARAM);
    X509_NAME_free(name);
}

static void serials(void **state)
{
    (void)state;
    static const struct {
        const char *number, *decimal, *hex;
    } cases[] = { { "0", "0", "0" },
                  { "255", "255", "ff" },
                  { "-1", "-1", "-01" },
                  { "340282366920938463463374607431768211455", "340282366920938463463374607431768211455",
                    "ffffffffffffffffffffffffffffffff" },
                  { "0x7fffffffffffffffffffffffffffffffffffffff",
                    "730750818665451459101842416358141509827966271487",
                    "7fffffffffffffffffffffffffffffffffffffff" } };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        ASN1_INTEGER *number = s2i_ASN1_INTEGER(NULL, cases[i].number);
        struct str out;
        assert_int_equal(name_serial_decimal(number, &arena, &out, NULL), OK);
        assert_str(out, cases[i].decimal);
        assert_int_equal(name_serial_hex(number, &arena, &out, NULL), OK);
        assert_str(out, cases[i].hex);
        ASN1_INTEGER_free(number);
    }
}

static void names_from_the_command_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *back; /* NULL: refused */
    } cases[] = {
        { "db.example.com", "dns:db.example.com" },
        { "DNS:db", "dns:db" },
        { "*.example.com", "dns:*.example.com" },
        { "my_host", "dns:my_host" },
        { "192.0.2.1", "ip:192.0.2.1" },
        { "ip:192.0.2.1", "ip:192.0.2.1" },
        { "::1", "ip:::1" },
        { "ip:2001:db8::1", "ip:2001:db8::1" },
        { "uri:spiffe://x/y", "uri:spiffe://x/y" },
        { "email:a@example.com", "email:a@example.com" },
        { "", NULL },
        { "dns:", NULL },
        { "a..b", NULL },
        { "a.", NULL },
        { ".a", NULL },
        { "-a", NULL },
        { "a*.b", NULL },
        { "a.*.b", NULL },
        { "*.", NULL },
        { "b\xc3\xbc"
          "cher.de",
          NULL },
        { "a b", NULL },
        { "ip:1.2.3", NULL },
        { "ip:", NULL },
        { "email:nobody", NULL },
        { "uri:x y:", NULL },
        { "uri:nothing", NULL },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct san san;
        struct str back;
        struct err e;
        enum code code = san_parse(str_c(cases[i].text), &arena, &san, &e);
        if (!cases[i].back) {
            assert_int_equal(code, E_PARAM);
            continue;
        }
        assert_int_equal(code, OK);
        assert_int_equal(san_text(&san, &arena, &back, &e), OK);
        assert_str(back, cases[i].back);
    }
    char label[65];
    struct san san;
    memset(label, 'a', 64);
    label[64] = '\0';
    assert_int_equal(san_parse(str_c(label), &arena, &san, NULL), E_PARAM);
    assert_int_equal(san_parse(str_c(label + 1), &arena, &san, NULL), OK);
    struct str text;
    san = (struct san){ SAN_IP, bytes_of("\1\2\3", 3) };
    assert_int_equal(san_text(&san, &arena, &text, NULL), OK);
    assert_str(text, "ip:<3 bytes>");
    san = (struct san){ SAN_DNS, bytes_of("a\0 \x80", 4) };
    assert_int_equal(san_text(&san, &arena, &text, NULL), OK);
    assert_str(text, "dns:a\\x00\\x20\\x80");
}

static void constraints_from_the_command_line(void **state)
{
    (void)state;
    static const char *const bad[] = { "",     "!",      "ip:10.0.0.0", "ip:10.0.0.0/33", "ip:::/129", "*.a",
                                       "uri:", "email:", "email:@a",    "dns:10.0.0.1",   "a b",       "." };
    struct ca_constraint c;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(ca_constraint_parse(str_c(bad[i]), &arena, &c, NULL), E_PARAM);
    assert_int_equal(ca_constraint_parse(STR("!ip:10.1.2.3/9"), &arena, &c, NULL), OK);
    assert_true(c.excluded && c.type == SAN_IP && c.value.n == 8);
    assert_memory_equal(c.value.p, "\x0a\x00\x00\x00\xff\x80\x00\x00", 8);
    assert_int_equal(ca_constraint_parse(STR("ip:2001:db8::/32"), &arena, &c, NULL), OK);
    assert_int_equal(c.value.n, 32);
    assert_int_equal(ca_constraint_parse(STR(".example.com"), &arena, &c, NULL), OK);
    assert_true(c.type == SAN_DNS && !c.excluded);
    assert_str(str_from_bytes(c.value), ".example.com");
    assert_int_equal(ca_constraint_parse(STR("email:example.com"), &arena, &c, NULL), OK);
    assert_int_equal(c.type, SAN_EMAIL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_forms),
        cmocka_unit_test(odd_attributes),
        cmocka_unit_test(common_names),
        cmocka_unit_test(fields),
        cmocka_unit_test(serials),
        cmocka_unit_test(names_from_the_command_line),
        cmocka_unit_test(constraints_from_the_command_line),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
