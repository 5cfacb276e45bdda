/* Which addresses may be tried out, and when. */
#include "base/check.h"
#include "gate/stats/addresses.h"
#include "status/clients.h"
#include "unit.h"

#include <stdio.h>

#define S_US INT64_C(1000000)
#define HOUR_US (3600 * S_US)
#define DAY_US (24 * HOUR_US)
#define NOW (1000 * DAY_US)

enum { NEXT_CA = 1 << TRIAL_NEXT_CA, STRANGER = 1 << TRIAL_STRANGER };

static struct addresses *made(void)
{
    struct addresses *a = addresses_new();

    assert_non_null(a);
    return a;
}

static struct client_row seen(const char *address)
{
    struct client_row row = { .last_us = NOW };

    CLIENT_PUT(row.key.address, str_c(address));
    return row;
}

static void session(struct addresses *a, const char *address, int64_t us)
{
    struct client_row row = seen(address);

    row.seen = CLIENT_TLS;
    row.sessions = 1;
    row.tls_us = us;
    addresses_note(a, &row);
}

static void once_an_hour(void **state)
{
    struct addresses *a = made();

    (void)state;
    assert_int_equal(addresses_try(a, "192.0.2.1", NEXT_CA, NOW), TRIAL_NONE); /* nobody knows it */
    session(a, "192.0.2.1", NOW);
    assert_int_equal(addresses_try(a, "192.0.2.1", 0, NOW), TRIAL_NONE); /* which was no trial */
    assert_int_equal(addresses_try(a, "192.0.2.1", NEXT_CA, NOW), TRIAL_NEXT_CA);
    assert_int_equal(addresses_try(a, "192.0.2.1", NEXT_CA, NOW + HOUR_US - 1), TRIAL_NONE);
    assert_int_equal(addresses_try(a, "192.0.2.1", STRANGER, NOW + HOUR_US - 1), TRIAL_NONE);
    assert_int_equal(addresses_try(a, "192.0.2.2", NEXT_CA, NOW), TRIAL_NONE);
    assert_int_equal(addresses_try(a, "192.0.2.1", NEXT_CA, NOW + HOUR_US), TRIAL_NEXT_CA);
    addresses_free(a);
}

static void canaries_take_turns(void **state)
{
    struct addresses *a = made();

    (void)state;
    session(a, "::1", NOW + 6 * HOUR_US);
    for (int i = 0; i < 4; i++)
        assert_int_equal(addresses_try(a, "::1", TRIALS_CANARY, NOW + i * HOUR_US),
                         i % 2 ? TRIAL_MISNAMED : TRIAL_STRANGER);
    assert_int_equal(addresses_try(a, "::1", STRANGER, NOW + 4 * HOUR_US), TRIAL_STRANGER);
    assert_int_equal(addresses_try(a, "::1", 1 << TRIAL_MISNAMED, NOW + 5 * HOUR_US), TRIAL_MISNAMED);
    addresses_free(a);
}

static void who_is_spared(void **state)
{
    struct addresses *a = made();
    struct client_row row;

    (void)state;
    session(a, "a", NOW - DAY_US); /* too long ago */
    row = seen("b");               /* refused: no session */
    row.seen = CLIENT_TLS;
    row.tls_us = NOW;
    addresses_note(a, &row);
    session(a, "c", NOW);
    row = seen("c");
    row.plaintext = 1;
    addresses_note(a, &row);
    session(a, "d", NOW);
    row = seen("d");
    row.seen = CLIENT_REPLICATES;
    addresses_note(a, &row);
    session(a, "e", NOW);
    row = seen("e");
    row.tls_failures = 1;
    addresses_note(a, &row);
    session(a, "f", NOW);
    row = seen("f"); /* a trial that was refused is no such failure */
    row.ca_failed_us = row.tls_failed_us = NOW;
    addresses_note(a, &row);
    static const enum untested why[] = { UNTESTED_NO_SESSION, UNTESTED_NO_SESSION, UNTESTED_PLAINTEXT,
                                         UNTESTED_REPLICATION, UNTESTED_FAILURES };
    for (size_t i = 0; i < COUNT_OF(why); i++) {
        const char address[] = { (char)('a' + i), '\0' };
        assert_int_equal(addresses_try(a, address, NEXT_CA, NOW), TRIAL_NONE);
        assert_int_equal(addresses_untested(a, address, NOW), why[i]);
        session(a, address, NOW + DAY_US); /* a day later */
        assert_int_equal(addresses_try(a, address, NEXT_CA, NOW + DAY_US),
                         why[i] == UNTESTED_REPLICATION ? TRIAL_NONE : TRIAL_NEXT_CA);
    }
    assert_int_equal(addresses_untested(a, "f", NOW), UNTESTED_NOT);
    assert_int_equal(addresses_try(a, "f", NEXT_CA, NOW), TRIAL_NEXT_CA);
    assert_int_equal(addresses_untested(a, "f", NOW), UNTESTED_HOUR);
    addresses_set_plain_rule(a, "f", true);
    assert_int_equal(addresses_untested(a, "f", NOW), UNTESTED_RULE);
    addresses_set_plain_rule(a, "f", false);
    assert_int_equal(addresses_untested(a, "f", NOW + HOUR_US), UNTESTED_NOT);
    assert_int_equal(addresses_untested(a, "nobody", NOW), UNTESTED_NO_SESSION);
    addresses_free(a);
}

/* What was kept over a restart counts many connections. */
static void plaintext_of_yore(void **state)
{
    struct addresses *a = made();
    struct client_row row = seen("a");

    (void)state;
    row.seen = CLIENT_TLS | CLIENT_PLAIN;
    row.sessions = row.plaintext = 2;
    row.tls_us = NOW;
    row.plain_us = NOW - DAY_US;
    addresses_note(a, &row);
    assert_int_equal(addresses_try(a, "a", NEXT_CA, NOW), TRIAL_NEXT_CA);
    CLIENT_PUT(row.key.address, STR("b"));
    row.seen |= CLIENT_PLAIN_AFTER_N; /* when that was last is not known */
    addresses_note(a, &row);
    assert_int_equal(addresses_untested(a, "b", NOW), UNTESTED_PLAINTEXT);
    addresses_free(a);
}

/* Those with sessions are kept, however many others come. */
static void strangers_drive_nobody_out(void **state)
{
    struct addresses *a = made();
    char address[32];

    (void)state;
    session(a, "192.0.2.1", NOW);
    for (int i = 0; i < 40000; i++) {
        (void)snprintf(address, sizeof address, "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
        struct client_row row = seen(address);
        row.tls_failures = 1;
        addresses_note(a, &row);
    }
    assert_int_equal(addresses_try(a, "192.0.2.1", NEXT_CA, NOW), TRIAL_NEXT_CA);
    addresses_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(once_an_hour),
        cmocka_unit_test(canaries_take_turns),
        cmocka_unit_test(who_is_spared),
        cmocka_unit_test(plaintext_of_yore),
        cmocka_unit_test(strangers_drive_nobody_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
