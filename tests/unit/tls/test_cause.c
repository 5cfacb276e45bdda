/* Facts of a failed handshake → cause, and the table of causes. */
#include "../unit.h"

#include "base/check.h"
#include "tls/cause.h"
#include "tls/engine.h"

#include <openssl/x509_vfy.h>

static const struct tls_handshake_facts nothing = {
    .reason = "", .alert_sent = -1, .alert_received = -1, .sni = ""
};

static void every_cause_has_words(void **state)
{
    (void)state;
    for (int i = CAUSE_NONE + 1; i < CAUSE_COUNT; i++) {
        assert_true(cause_id((enum cause)i)[0]);
        assert_true(cause_text((enum cause)i)[0]);
        assert_true(cause_next((enum cause)i)[0]);
        for (int j = CAUSE_NONE; j < i; j++)
            assert_string_not_equal(cause_id((enum cause)i), cause_id((enum cause)j));
    }
    assert_string_equal(cause_id(CAUSE_NONE), "");
}

static void client_certificates(void **state)
{
    static const struct {
        int error;
        enum cause cause;
    } rows[] = {
        { X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, CAUSE_CERT_UNKNOWN_CA },
        { X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, CAUSE_CERT_UNKNOWN_CA },
        { X509_V_ERR_CERT_HAS_EXPIRED, CAUSE_CERT_EXPIRED },
        { X509_V_ERR_CERT_NOT_YET_VALID, CAUSE_CERT_NOT_YET },
        { X509_V_ERR_CERT_REVOKED, CAUSE_CERT_REVOKED },
        { X509_V_ERR_INVALID_PURPOSE, CAUSE_CERT_USAGE },
        { X509_V_ERR_UNABLE_TO_GET_CRL, CAUSE_CRL_MISSING },
        { X509_V_ERR_CRL_HAS_EXPIRED, CAUSE_CRL_EXPIRED },
        { X509_V_ERR_CRL_SIGNATURE_FAILURE, CAUSE_CRL_BAD },
        { X509_V_ERR_CA_KEY_TOO_SMALL, CAUSE_CERT_BAD },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct tls_handshake_facts facts = nothing;
        facts.verify_error = rows[i].error;
        facts.alert_sent = 48; /* what we found counts more than what we said of it */
        assert_int_equal(cause_of_handshake(&facts), rows[i].cause);
    }
    struct tls_handshake_facts above = nothing;
    above.verify_error = X509_V_ERR_CERT_HAS_EXPIRED;
    above.verify_depth = 1;
    assert_int_equal(cause_of_handshake(&above), CAUSE_CLIENT_CA_EXPIRED);
}

static void alerts(void **state)
{
    static const struct {
        int alert;
        enum cause received, sent;
    } rows[] = {
        { 42, CAUSE_SERVER_REFUSED, CAUSE_OTHER }, { 44, CAUSE_SERVER_REVOKED, CAUSE_OTHER },
        { 45, CAUSE_SERVER_EXPIRED, CAUSE_OTHER }, { 46, CAUSE_SERVER_REFUSED, CAUSE_OTHER },
        { 48, CAUSE_UNKNOWN_CA, CAUSE_OTHER },     { 40, CAUSE_NO_CIPHER, CAUSE_NO_CIPHER },
        { 71, CAUSE_NO_CIPHER, CAUSE_NO_CIPHER },  { 70, CAUSE_VERSION, CAUSE_VERSION },
        { 120, CAUSE_OTHER, CAUSE_NO_ALPN },       { 0, CAUSE_CLIENT_GONE, CAUSE_OTHER },
        { 90, CAUSE_CLIENT_GONE, CAUSE_OTHER },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct tls_handshake_facts facts = nothing;
        facts.offered_max = TLS_1_3;
        facts.alert_received = rows[i].alert;
        assert_int_equal(cause_of_handshake(&facts), rows[i].received);
        facts.alert_received = -1;
        facts.alert_sent = rows[i].alert;
        assert_int_equal(cause_of_handshake(&facts), rows[i].sent);
    }
}

static void versions(void **state)
{
    struct tls_handshake_facts facts = nothing;

    (void)state;
    facts.alert_sent = 70;
    facts.min_version = TLS_1_2;
    assert_int_equal(cause_of_handshake(&facts), CAUSE_NOT_TLS);
    facts.offered_max = TLS_1_1;
    assert_int_equal(cause_of_handshake(&facts), CAUSE_CLIENT_TOO_OLD);
    facts.max_version = TLS_1_2;
    facts.offered_min = facts.offered_max = TLS_1_3;
    assert_int_equal(cause_of_handshake(&facts), CAUSE_CLIENT_TOO_NEW);
    facts.offered_min = TLS_1_2;
    assert_int_equal(cause_of_handshake(&facts), CAUSE_VERSION);
}

static void what_is_left(void **state)
{
    struct tls_handshake_facts facts = nothing;

    (void)state;
    facts.reason = "wrong version number";
    assert_int_equal(cause_of_handshake(&facts), CAUSE_NOT_TLS);
    facts.reason = "unexpected eof while reading";
    facts.alert_sent = 50;
    assert_int_equal(cause_of_handshake(&facts), CAUSE_CLIENT_GONE);
    facts.reason = "bad signature";
    facts.offered_max = TLS_1_3;
    assert_int_equal(cause_of_handshake(&facts), CAUSE_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cause_has_words),
        cmocka_unit_test(client_certificates),
        cmocka_unit_test(alerts),
        cmocka_unit_test(versions),
        cmocka_unit_test(what_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
