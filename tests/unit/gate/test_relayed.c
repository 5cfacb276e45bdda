/* An exchange that passes through is the one the rule demands and the conninfo allows, or it is none. */
#include "../unit.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/wr.h"
#include "gate/upstream/relayed.h"
#include "pgwire/backend.h"

enum { FROM_CLIENT = -1 };

/* One message: an Authentication request of the server with its payload, or FROM_CLIENT. */
struct line {
    int code;
    const char *payload;
    size_t n;
    int expected; /* a verdict; for the client's messages OK or the error */
};

#define LINE(code, payload, expected)                                                                        \
    {                                                                                                        \
        code, payload, sizeof payload - 1, expected                                                          \
    }
#define SCRAM_OFFER "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0"
#define SCRAM_TAKEN "SCRAM-SHA-256\0\0\0\0\0"
#define END                                                                                                  \
    {                                                                                                        \
        0, NULL, 0, 0                                                                                        \
    }

static void play(enum hba_needs needs, unsigned allowed, const struct line *lines)
{
    struct relayed r;
    struct err e;

    relayed_init(&r, needs, allowed);
    for (; lines->payload; lines++) {
        AUTO(buf) struct buf body = BUF_INIT(1024), out = BUF_INIT(1024), held = BUF_INIT(1024);
        int got;
        if (lines->code == FROM_CLIENT) {
            got = (int)relayed_client(&r, bytes_of(lines->payload, lines->n), &e);
        } else {
            const uint8_t code[4] = { 0, 0, 0, (uint8_t)lines->code };
            buf_append(&body, bytes_of(code, sizeof code));
            buf_append(&body, bytes_of(lines->payload, lines->n));
            got = (int)relayed_server(&r, buf_bytes(&body), &out, &held, &e);
            assert_true((out.n > 0) == (got == RELAYED_TO_CLIENT));
            assert_true((held.n > 0) == (got == RELAYED_HOLD));
        }
        assert_int_equal(got, lines->expected);
    }
}

static void scram(void **state)
{
    static const struct line good[] = { LINE(AUTH_SASL, SCRAM_OFFER, RELAYED_TO_CLIENT),
                                        LINE(FROM_CLIENT, SCRAM_TAKEN, OK),
                                        LINE(AUTH_SASL_CONTINUE, "r=", RELAYED_TO_CLIENT),
                                        LINE(FROM_CLIENT, "c=", OK),
                                        LINE(AUTH_SASL_FINAL, "v=", RELAYED_HOLD),
                                        LINE(AUTH_OK, "", RELAYED_DONE),
                                        END };
    static const struct line broken_off[] = { LINE(AUTH_SASL, SCRAM_OFFER, RELAYED_TO_CLIENT),
                                              LINE(FROM_CLIENT, SCRAM_TAKEN, OK),
                                              LINE(AUTH_OK, "", RELAYED_VIOLATION), END };
    static const struct line at_once[] = { LINE(AUTH_OK, "", RELAYED_VIOLATION), END };
    static const struct line weaker[] = { LINE(AUTH_CLEARTEXT, "", RELAYED_VIOLATION), END };
    static const struct line md5[] = { LINE(AUTH_MD5, "salt", RELAYED_VIOLATION), END };
    static const struct line other[] = { LINE(AUTH_SASL, "OAUTHBEARER\0", RELAYED_VIOLATION), END };
    static const struct line bound[] = { LINE(AUTH_SASL, SCRAM_OFFER, RELAYED_TO_CLIENT),
                                         LINE(FROM_CLIENT, "SCRAM-SHA-256-PLUS\0\0\0\0\0", E_PROTOCOL), END };
    static const struct line early[] = { LINE(FROM_CLIENT, SCRAM_TAKEN, E_PROTOCOL), END };
    static const struct line twice[] = { LINE(AUTH_SASL, SCRAM_OFFER, RELAYED_TO_CLIENT),
                                         LINE(FROM_CLIENT, SCRAM_TAKEN, OK),
                                         LINE(AUTH_SASL, SCRAM_OFFER, RELAYED_VIOLATION), END };
    const struct line *const all[] = { good, broken_off, at_once, weaker, md5, other, bound, early, twice };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(all); i++)
        play(HBA_NEEDS_SCRAM, AUTH_BIT_ALL, all[i]);
}

static void tokens(void **state)
{
    static const struct line password[] = { LINE(AUTH_CLEARTEXT, "", RELAYED_TO_CLIENT),
                                            LINE(FROM_CLIENT, "pw\0", OK), LINE(AUTH_OK, "", RELAYED_DONE),
                                            END };
    static const struct line again[] = { LINE(AUTH_CLEARTEXT, "", RELAYED_TO_CLIENT),
                                         LINE(FROM_CLIENT, "pw\0", OK),
                                         LINE(AUTH_CLEARTEXT, "", RELAYED_VIOLATION), END };
    static const struct line md5[] = { LINE(AUTH_MD5, "salt", RELAYED_TO_CLIENT),
                                       LINE(FROM_CLIENT, "md5\0", OK), LINE(AUTH_OK, "", RELAYED_DONE), END };
    static const struct line unknown[] = { LINE(AUTH_SSPI, "", RELAYED_VIOLATION), END };

    (void)state;
    play(HBA_NEEDS_CLEARTEXT, AUTH_BIT_ALL, password);
    play(HBA_NEEDS_CLEARTEXT, AUTH_BIT_ALL, again);
    play(HBA_NEEDS_MD5_OR_SCRAM, AUTH_BIT_ALL, md5);
    play(HBA_NEEDS_CLEARTEXT, AUTH_BIT_ALL, unknown);
}

/* require_auth speaks last: what it leaves out is never passed on to the client. */
static void required(void **state)
{
    static const struct line scram_out[] = { LINE(AUTH_SASL, SCRAM_OFFER, RELAYED_VIOLATION), END };
    static const struct line md5_out[] = { LINE(AUTH_MD5, "salt", RELAYED_VIOLATION), END };
    static const struct line md5_in[] = { LINE(AUTH_MD5, "salt", RELAYED_TO_CLIENT), END };
    static const struct line password_out[] = { LINE(AUTH_CLEARTEXT, "", RELAYED_VIOLATION), END };

    (void)state;
    play(HBA_NEEDS_SCRAM, AUTH_BIT_ALL & ~(unsigned)AUTH_BIT_SCRAM, scram_out);
    play(HBA_NEEDS_MD5_OR_SCRAM, AUTH_BIT_SCRAM, md5_out);
    play(HBA_NEEDS_MD5_OR_SCRAM, AUTH_BIT_MD5, md5_in);
    play(HBA_NEEDS_CLEARTEXT, AUTH_BIT_SCRAM | AUTH_BIT_MD5, password_out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scram),
        cmocka_unit_test(tokens),
        cmocka_unit_test(required),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
