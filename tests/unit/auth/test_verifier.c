/* Stored secrets, SASLprep, cleartext and MD5 messages. */
#include "../unit.h"

#include "auth/password.h"
#include "auth/saslprep.h"
#include "base/base64.h"
#include "base/check.h"
#include "base/env.h"
#include "base/secret.h"

/* What PostgreSQL stores for the password and the salt of RFC 7677. */
#define SCRAM_PENCIL                                                                                         \
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"              \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static struct str s(const char *c)
{
    return str_c(c);
}

static void rfc7677_keys(void **state)
{
    (void)state;
    /* RFC 7677 §3: password pencil, i=4096. */
    static const char auth_message[] =
        "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    uint8_t salt[32], stored[SCRAM_KEY_BYTES], mac[SCRAM_KEY_BYTES];
    size_t n;
    AUTO(scram_keys) struct scram_keys keys = { 0 };
    AUTO(buf) struct buf text = BUF_INIT(256);

    assert_true(base64_decode(STR("W22ZaJ0SNY7soEsUEjb6gQ=="), salt, sizeof salt, &n));
    assert_int_equal(n, 16);
    assert_int_equal(scram_keys_derive(str_bytes(STR("pencil")), bytes_of(salt, n), 4096, &keys), OK);
    assert_int_equal(scram_hash(bytes_of(keys.client_key, SCRAM_KEY_BYTES), stored), OK);
    assert_int_equal(scram_hmac(stored, bytes_of(auth_message, sizeof auth_message - 1), mac), OK);
    for (size_t i = 0; i < sizeof mac; i++)
        mac[i] ^= keys.client_key[i];
    assert_true(base64_encode(bytes_of(mac, sizeof mac), &text));
    assert_str(buf_str(&text), "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    buf_reset(&text);
    assert_int_equal(scram_hmac(keys.server_key, bytes_of(auth_message, sizeof auth_message - 1), mac), OK);
    assert_true(base64_encode(bytes_of(mac, sizeof mac), &text));
    assert_str(buf_str(&text), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

static void scram_secret_round_trip(void **state)
{
    (void)state;
    AUTO(verifier) struct verifier v;
    struct scram_verifier made;
    AUTO(buf) struct buf text = BUF_INIT(512);
    uint8_t salt[32];
    size_t n;

    verifier_parse(STR(SCRAM_PENCIL), &v);
    assert_int_equal(v.type, VERIFIER_SCRAM);
    assert_int_equal(v.scram.iterations, 4096);
    assert_int_equal(verifier_cost(&v), 4096);
    assert_true(scram_verifier_print(&v.scram, &text));
    assert_str(buf_str(&text), SCRAM_PENCIL);

    assert_true(base64_decode(str_of(v.scram.salt_text, v.scram.salt_text_n), salt, sizeof salt, &n));
    assert_int_equal(scram_verifier_make(str_bytes(STR("pencil")), bytes_of(salt, n), 4096, &made), OK);
    buf_reset(&text);
    assert_true(scram_verifier_print(&made, &text));
    assert_str(buf_str(&text), SCRAM_PENCIL);

    assert_int_equal(verifier_check_password(&v, STR("any"), str_bytes(STR("pencil"))), OK);
    assert_int_equal(verifier_check_password(&v, STR("any"), str_bytes(STR("pencil2"))), E_PASSWORD);
}

static void secrets_of_no_format(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "pencil",
        "md5",
        "md5AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "SCRAM-SHA-256",
        "SCRAM-SHA-256$",
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==",
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$",
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:",
        /* whole, but with a bad count, salt or key */
        "SCRAM-SHA-256$0:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "SCRAM-SHA-256$4096x:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "SCRAM-SHA-256$4294967296:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ=$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4q==:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU",
        "scram-sha-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
    };

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        AUTO(verifier) struct verifier v;
        verifier_parse(s(bad[i]), &v);
        assert_int_equal(v.type, VERIFIER_UNRECOGNIZED);
        assert_int_equal(
            verifier_check_password(&v, STR("u"), s(bad[i]).n ? str_bytes(s(bad[i])) : str_bytes(STR("x"))),
            E_PASSWORD);
    }
    /*
     * A secret cut anywhere is none; no bit flipped in it lets the password in unless it was a redundant one.
     */
    struct str whole = STR(SCRAM_PENCIL);
    for (size_t n = 0; n < whole.n; n++) {
        AUTO(verifier) struct verifier v;
        verifier_parse(str_first(whole, n), &v);
        assert_int_equal(v.type, VERIFIER_UNRECOGNIZED);
    }
}

static void flipped_secrets_do_not_let_in(void **state)
{
    (void)state;
    char secret[] = SCRAM_PENCIL;
    struct str whole = STR(SCRAM_PENCIL);
    size_t server_key_at = whole.n - 44;

    for (size_t i = server_key_at; i < whole.n - 2; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            AUTO(verifier) struct verifier v;
            secret[i] = (char)(whole.p[i] ^ (1 << bit));
            verifier_parse(str_of(secret, whole.n), &v);
            if (v.type == VERIFIER_SCRAM)
                assert_int_not_equal(verifier_check_password(&v, STR("u"), str_bytes(STR("pencil"))), OK);
            secret[i] = whole.p[i];
        }
    }
}

static void md5_secrets(void **state)
{
    (void)state;
    char hex[MD5_HEX_CHARS], response[MD5_HEX_CHARS];
    const uint8_t salt[MD5_SALT_BYTES] = { 1, 2, 3, 4 };
    AUTO(verifier) struct verifier v;
    char secret[MD5_TEXT_CHARS] = { 'm', 'd', '5' };
    uint8_t body[MD5_TEXT_CHARS + 1] = { 'm', 'd', '5' };
    struct err e;

    /* md5("secretalice") */
    assert_int_equal(md5_secret_hex(str_bytes(STR("secret")), STR("alice"), hex), OK);
    assert_str(str_of(hex, sizeof hex), "4a0a68b43b6cd5cf266fa02f196e2371");
    memcpy(secret + 3, hex, sizeof hex);
    verifier_parse(str_of(secret, sizeof secret), &v);
    assert_int_equal(v.type, VERIFIER_MD5);
    assert_int_equal(verifier_cost(&v), 0);
    assert_int_equal(verifier_check_password(&v, STR("alice"), str_bytes(STR("secret"))), OK);
    assert_int_equal(verifier_check_password(&v, STR("bob"), str_bytes(STR("secret"))), E_PASSWORD);
    assert_int_equal(verifier_check_password(&v, STR("alice"), str_bytes(STR("Secret"))), E_PASSWORD);

    assert_int_equal(md5_response_hex(hex, salt, response), OK);
    memcpy(body + 3, response, sizeof response);
    assert_int_equal(password_check_md5(&v, salt, bytes_of(body, sizeof body), STR("alice"), &e), OK);
    const uint8_t other[MD5_SALT_BYTES] = { 1, 2, 3, 5 };
    assert_int_equal(password_check_md5(&v, other, bytes_of(body, sizeof body), STR("alice"), &e),
                     E_PASSWORD);
    assert_string_equal(e.message, "password authentication failed for user \"alice\"");
    assert_int_equal(password_check_md5(NULL, salt, bytes_of(body, sizeof body), STR("alice"), &e),
                     E_PASSWORD);
    assert_int_equal(password_check_md5(&v, salt, bytes_of(body, sizeof body - 1), STR("alice"), &e),
                     E_PROTOCOL);
    assert_string_equal(e.message, "invalid password packet size");
    assert_int_equal(password_check_md5(&v, salt, bytes_of("\0", 1), STR("alice"), &e), E_PASSWORD);
    assert_string_equal(e.message, "empty password returned by client");
    for (size_t i = 0; i < sizeof body - 1; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            body[i] ^= (uint8_t)(1U << bit);
            assert_int_not_equal(password_check_md5(&v, salt, bytes_of(body, sizeof body), STR("alice"), &e),
                                 OK);
            body[i] ^= (uint8_t)(1U << bit);
        }
    }
}

static void md5_of_nobody_is_not_guessable(void **state)
{
    (void)state;
    /* The answer to a secret of 32 NULs must not let anybody in as a user without one. */
    static const char zero[MD5_HEX_CHARS];
    const uint8_t salt[MD5_SALT_BYTES] = { 9, 9, 9, 9 };
    uint8_t body[MD5_TEXT_CHARS + 1] = { 'm', 'd', '5' };
    char response[MD5_HEX_CHARS];

    assert_int_equal(md5_response_hex(zero, salt, response), OK);
    memcpy(body + 3, response, sizeof response);
    assert_int_equal(password_check_md5(NULL, salt, bytes_of(body, sizeof body), STR("u"), NULL), E_PASSWORD);
}

static void password_messages(void **state)
{
    (void)state;
    static const uint8_t long_one[1026] = { 'x' };
    AUTO(password) struct password out = { 0 };
    struct err e;

    assert_int_equal(password_parse(bytes_of("geheim", 7), &out, &e), OK);
    assert_int_equal(out.n, 6);
    assert_int_equal(password_parse(bytes_of("geheim", 6), &out, &e), E_PROTOCOL);
    assert_string_equal(e.message, "invalid password packet size");
    assert_int_equal(password_parse(bytes_of("ge\0eim", 7), &out, &e), E_PROTOCOL);
    assert_int_equal(password_parse(bytes_of("geheim\0", 8), &out, &e), E_PROTOCOL);
    assert_int_equal(password_parse(bytes_of("", 0), &out, &e), E_PROTOCOL);
    assert_string_equal(e.message, "invalid password packet size");
    assert_int_equal(password_parse(bytes_of("", 1), &out, &e), E_PASSWORD);
    assert_string_equal(e.message, "empty password returned by client");

    static uint8_t body[65531]; /* the longest that PostgreSQL takes */
    memset(body, 'x', sizeof body - 1);
    assert_int_equal(password_parse(bytes_of(body, sizeof body), &out, &e), OK);
    assert_int_equal(out.n, sizeof body - 1);
    assert_int_equal(password_parse(bytes_of(long_one, sizeof long_one), &out, &e), E_PROTOCOL);

    assert_int_equal(password_wrong_type('Q', &e), E_PROTOCOL);
    assert_string_equal(e.message, "expected password response, got message type 81");
    assert_int_equal(sasl_wrong_type(200, &e), E_PROTOCOL);
    assert_string_equal(e.message, "expected SASL response, got message type 200");
    assert_int_equal(gss_wrong_type('Q', &e), E_PROTOCOL);
    assert_string_equal(e.message, "expected GSS response, got message type 81");
    assert_string_equal(code_sqlstate(E_PASSWORD), "28P01");
}

static void mocks_are_stable(void **state)
{
    (void)state;
    uint8_t nonce[INSTALLATION_NONCE_BYTES] = { 7 };
    struct scram_verifier a, b, c;

    assert_int_equal(scram_verifier_mock(STR("alice"), nonce, 4096, &a), OK);
    assert_int_equal(scram_verifier_mock(STR("alice"), nonce, 4096, &b), OK);
    assert_int_equal(scram_verifier_mock(STR("alicf"), nonce, 4096, &c), OK);
    assert_true(a.mock);
    assert_int_equal(a.salt_text_n, 24);
    assert_memory_equal(a.salt_text, b.salt_text, a.salt_text_n);
    assert_memory_not_equal(a.salt_text, c.salt_text, a.salt_text_n);
    nonce[31] ^= 1;
    assert_int_equal(scram_verifier_mock(STR("alice"), nonce, 4096, &c), OK);
    assert_memory_not_equal(a.salt_text, c.salt_text, a.salt_text_n);
}

static void random_verifier_differs(void **state)
{
    (void)state;
    struct env env = env_system();
    struct verifier v = { .type = VERIFIER_SCRAM }, w = { .type = VERIFIER_SCRAM };

    assert_int_equal(scram_verifier_make_random(str_bytes(STR("p")), 1, &env, &v.scram), OK);
    assert_int_equal(scram_verifier_make_random(str_bytes(STR("p")), 1, &env, &w.scram), OK);
    assert_memory_not_equal(v.scram.salt_text, w.scram.salt_text, v.scram.salt_text_n);
    assert_int_equal(verifier_check_password(&v, STR(""), str_bytes(STR("p"))), OK);
    assert_int_equal(verifier_check_password(&w, STR(""), str_bytes(STR("q"))), E_PASSWORD);
}

struct prep {
    const char *in;
    const char *out; /* NULL: as it came */
};

static void saslprep_cases(void **state)
{
    (void)state;
    /* Each confirmed with secrets made by PostgreSQL. */
    static const struct prep cases[] = {
        { "plain ASCII\x01\x7f", NULL },
        { "I\xc2\xadX", "IX" },   /* soft hyphen: RFC 4013 §3 */
        { "\xc2\xaa", "a" },      /* feminine ordinal: NFKC */
        { "\xe2\x85\xa8", "IX" }, /* roman numeral nine */
        { "a\xc2\xa0"
          "b",
          "a b" }, /* no-break space */
        { "\xe2\x80\x8b"
          "a\xc3\xa4",
          " a\xc3\xa4" },            /* zero width space is a space first */
        { "a\xcc\x88", "\xc3\xa4" }, /* a + combining diaeresis */
        { "\xc2\xad", NULL },        /* nothing left */
        { "\xc3\xa4\x07", NULL },    /* control character beside non-ASCII */
        { "\xd8\xa7"
          "1",
          NULL }, /* RFC 4013 §3: bidi */
        { "\xd8\xa7"
          "1\xd8\xa7",
          NULL },
        { "\xd8\xa7"
          "a\xd8\xa7",
          NULL },
        { "\xc8\xa1", NULL },                   /* U+0221: unassigned in 3.2 */
        { "\xf0\x9f\x98\x80", NULL },           /* U+1F600 likewise */
        { "\xcd\x80", NULL },                   /* U+0340: prohibited before NFKC */
        { "a\xe2\x84\xb5", "a\xd7\x90" },       /* U+2135: a letter of right-to-left only after NFKC */
        { "\xf0\xaf\xa1\xa8", "\xe3\x9b\xbc" }, /* U+2F868: Corrigendum 4 */
        { "\xe1\x84\x91\xcc\x90\xe1\x85\xa5x\xe2\x85\xa8", "\xe1\x84\x91\xcc\x90\xe1\x85\xa5xIX" },
        { "\xee\x80\x80", NULL }, /* private use */
        { "\xef\xbf\xbd", NULL },
        { "\xc3", NULL },
        { "\xc3\x28", NULL },
        { "\xc0\xaf", NULL },
        { "\xe0\x80\xaf", NULL },
        { "\xed\xa0\x80", NULL },
        { "\xf4\x90\x80\x80", NULL },
        { "\xf8\x88\x80\x80\x80", NULL },
        { "\xff", NULL },
        { "\xe4\xf6\xfc", NULL }, /* Latin-1 */
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        AUTO(buf) struct buf out = BUF_INIT(SASLPREP_MAX);
        assert_int_equal(saslprep(str_bytes(s(cases[i].in)), &out), OK);
        assert_str(buf_str(&out), cases[i].out ? cases[i].out : cases[i].in);
    }
}

static void saslprep_limits(void **state)
{
    (void)state;
    AUTO(buf) struct buf out = BUF_INIT(SASLPREP_MAX);
    AUTO(buf) struct buf in = BUF_INIT(PASSWORD_MAX + 1);

    assert_int_equal(saslprep(bytes_of("", 0), &out), OK);
    assert_int_equal(out.n, 0);
    while (in.n + 3 <= PASSWORD_MAX / 8)
        assert_true(buf_append_c(&in, "\xef\xb7\xba")); /* U+FDFA: eleven bytes of NFKC per byte */
    assert_int_equal(saslprep(buf_bytes(&in), &out), OK);
    assert_int_equal(out.n, in.n * 11);
    while (in.n <= PASSWORD_MAX)
        assert_true(buf_append_byte(&in, 'x'));
    assert_int_equal(saslprep(buf_bytes(&in), &out), E_LIMIT);
    /* Cut at every length, every bit flipped: no crash, some result. */
    uint8_t text[] = "\xc3\xa4\xe2\x85\xa8\xf0\x90\x8c\xb0\xd8\xa7";
    for (size_t n = 0; n < sizeof text; n++) {
        for (unsigned bit = 0; bit < 8 * sizeof text; bit++) {
            text[bit / 8] ^= (uint8_t)(1U << bit % 8);
            buf_reset(&out);
            assert_int_equal(saslprep(bytes_of(text, n), &out), OK);
            text[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
    }
}

static void fill(struct buf *out, size_t size, const char *with)
{
    buf_reset(out);
    while (out->n + strlen(with) <= size)
        assert_true(buf_append_c(out, with));
}

/* What strangers send is prepared in little time, or refused; longer texts of letters are prepared as short
 * ones are. */
static void saslprep_of_long_passwords(void **state)
{
    static const struct {
        const char *in, *out; /* repeated; NULL: refused */
    } cases[] = {
        { "x\xc2\xa0", "x " },                          /* another space: mapped to ours */
        { "x\xc2\xad", "x" },                           /* soft hyphen: mapped to nothing */
        { "a\xcc\x88", "\xc3\xa4" },                    /* composed across nothing else */
        { "\xe1\x84\x80\xe1\x85\xa1", "\xea\xb0\x80" }, /* jamo */
        { "\xe1\x84\x80", "\xe1\x84\x80" },             /* leading jamo: Issue 29's first column */
        { "\xd8\xa7", "\xd8\xa7" },                     /* right to left */
        { "\xe4\xb8\xad", "\xe4\xb8\xad" },             /* an ideograph */
        { "\xe1\x85\xa1", NULL },                       /* vowel jamo: nothing to hold on to */
        { "\xcc\x88\xcc\xa3", NULL },                   /* marks in the wrong order */
        { "a\xcc\x88\xcc\xa3\xcc\x88\xcc\xa3\xcc\x88\xcc\xa3 ",
          "\xe1\xba\xa1\xcc\xa3\xcc\xa3\xcc\x88\xcc\x88\xcc\x88 " },
    };
    AUTO(buf) struct buf in = BUF_INIT(PASSWORD_MAX), expected = BUF_INIT(PASSWORD_MAX);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        AUTO(buf) struct buf out = BUF_INIT(SASLPREP_MAX);
        fill(&in, 65530, cases[i].in);
        enum code code = saslprep(buf_bytes(&in), &out);
        assert_int_equal(code, cases[i].out ? OK : E_LIMIT);
        if (!cases[i].out)
            continue;
        buf_reset(&expected);
        for (size_t n = in.n / strlen(cases[i].in); n > 0; n--)
            assert_true(buf_append_c(&expected, cases[i].out));
        assert_true(str_equal(buf_str(&out), buf_str(&expected)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc7677_keys),
        cmocka_unit_test(scram_secret_round_trip),
        cmocka_unit_test(secrets_of_no_format),
        cmocka_unit_test(flipped_secrets_do_not_let_in),
        cmocka_unit_test(md5_secrets),
        cmocka_unit_test(md5_of_nobody_is_not_guessable),
        cmocka_unit_test(password_messages),
        cmocka_unit_test(mocks_are_stable),
        cmocka_unit_test(random_verifier_differs),
        cmocka_unit_test(saslprep_cases),
        cmocka_unit_test(saslprep_limits),
        cmocka_unit_test(saslprep_of_long_passwords),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
