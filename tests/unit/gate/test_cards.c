/* Copies of sessions, as one process sends them and another takes them. */

#include "base/arena.h"
#include "base/check.h"
#include "gate/views/cards.h"
#include "gate/views/gather.h"
#include "unit.h"

enum { ARENA_MAX = 1 << 20 };

static const struct session_card whole = {
    .id = 9,
    .pid = 4711,
    .state = STATE_RELAY,
    .transaction = 'T',
    .busy = true,
    .tls = true,
    .bound = true,
    .bits = 256,
    .process = 23566,
    .worker = 3,
    .client_port = 35062,
    .rule_line = 2,
    .owner = { "alice", 5 },
    .user = { "alice", 5 },
    .database = { "app", 3 },
    .client_addr = { "127.0.0.1", 9 },
    .proxy_addr = { "2001:db8::1", 11 },
    .tls_version = { "TLSv1.2", 7 },
    .client_dn = { "/CN=alice", 9 },
    .client_serial = { "42", 2 },
    .issuer_dn = { "/CN=ca", 6 },
    .cert_not_after_s = 2000000000,
    .method = { "scram-sha-256", 13 },
    .rule_file = { "pg_hba.conf", 11 },
    .upstream = { "127.0.0.1", 9 },
    .upstream_sslmode = SSLMODE_VERIFY_FULL,
    .query = { "SELECT 1", 8 },
    .started_us = 1764500000000000,
    .bytes_in = 434,
    .bytes_out = 1164,
    .upgrades = 2,
    .draining = true,
};

static void put(struct buf *out, const struct session_card *card)
{
    buf_init(out, CARD_MAX);
    assert_true(cards_put(out, card));
}

static void take(const struct session_card *card, struct arena *arena, struct session_card *out)
{
    struct buf sent;

    put(&sent, card);
    struct bytes in = buf_bytes(&sent);
    assert_int_equal(cards_take(&in, arena, out), OK);
    assert_int_equal(in.n, 0);
    buf_fini(&sent);
}

static void assert_text(struct str got, const char *expected)
{
    assert_true(str_is(got, expected));
}

static void all_members_arrive(void **state)
{
    AUTO(arena) struct arena arena;
    struct session_card got;

    (void)state;
    arena_init(&arena, ARENA_MAX, 1024);
    take(&whole, &arena, &got);
    assert_int_equal(got.id, 9);
    assert_int_equal(got.pid, 4711);
    assert_int_equal(got.state, STATE_RELAY);
    assert_int_equal(got.transaction, 'T');
    assert_true(got.busy && got.tls && got.bound && got.draining && !got.local && !got.direct);
    assert_int_equal(got.process, 23566);
    assert_int_equal(got.worker, 3);
    assert_int_equal(got.client_port, 35062);
    assert_int_equal(got.upgrades, 2);
    assert_text(got.owner, "alice");
    assert_text(got.client_addr, "127.0.0.1");
    assert_text(got.proxy_addr, "2001:db8::1");
    assert_text(got.client_serial, "42");
    assert_text(got.rule_file, "pg_hba.conf");
    assert_text(got.query, "SELECT 1");
    assert_null(got.sni.p);
    assert_int_equal(got.started_us, whole.started_us);
    assert_int_equal(got.cert_not_after_s, 2000000000);
    assert_int_equal(got.upstream_sslmode, SSLMODE_VERIFY_FULL);
}

/* What another process says is shown to people, and computed with. */
static void nothing_is_believed(void **state)
{
    static char long_text[4 * CARD_TEXT_MAX];
    struct session_card card = whole, got;
    AUTO(arena) struct arena arena;

    (void)state;
    arena_init(&arena, ARENA_MAX, 1024);
    memset(long_text, 'a', sizeof long_text);
    card.user = str_c("b\xffo\nb");
    card.client_addr = str_c("nowhere");
    card.client_serial = str_c("1;2");
    card.query = str_of(long_text, sizeof long_text);
    card.owner = card.query;
    card.active_us = INT64_MAX;
    card.ready_us = -5;
    take(&card, &arena, &got);
    assert_text(got.user, "b\\xffo\\x0ab");
    assert_int_equal(got.client_addr.n, 0);
    assert_int_equal(got.client_serial.n, 0);
    assert_int_equal(got.query.n, CARD_TEXT_MAX);
    assert_int_equal(got.owner.n, 0); /* nobody's, rather than that of somebody whose name begins so */
    assert_int_equal(got.active_us, 0);
    assert_int_equal(got.ready_us, 0);
}

static void refuse(const struct session_card *card)
{
    AUTO(arena) struct arena arena;
    struct session_card got;
    struct buf sent;

    arena_init(&arena, ARENA_MAX, 1024);
    put(&sent, card);
    struct bytes in = buf_bytes(&sent);
    assert_int_equal(cards_take(&in, &arena, &got), E_PROTOCOL);
    buf_fini(&sent);
}

static void what_cannot_be_is_refused(void **state)
{
    struct session_card card;

    (void)state;
#define REFUSED(member, value)                                                                               \
    card = whole;                                                                                            \
    card.member = value;                                                                                     \
    refuse(&card)
    REFUSED(pid, -1);
    REFUSED(state, STATE_COUNT);
    REFUSED(transaction, 'x');
    REFUSED(bytes_in, -1);
    REFUSED(cert_not_after_s, INT64_MAX);
    REFUSED(worker, UINT32_MAX);
    REFUSED(upstream_sslmode, SSLMODE_VERIFY_FULL + 1);
#undef REFUSED
}

static void cut_anywhere(void **state)
{
    AUTO(arena) struct arena arena;
    struct session_card got;
    struct buf sent;

    (void)state;
    arena_init(&arena, 64 * ARENA_MAX, 1024);
    put(&sent, &whole);
    for (size_t n = 0; n < sent.n; n++) {
        struct bytes in = bytes_of(sent.p, n);
        assert_int_equal(cards_take(&in, &arena, &got), E_PROTOCOL);
        assert_int_equal(in.n, n);
    }
    buf_fini(&sent);
}

static void the_longest_fits(void **state)
{
    static char text[2 * CARD_TEXT_MAX];
    struct session_card card = whole;
    struct buf sent;

    (void)state;
    memset(text, 'x', sizeof text);
    const struct str longest = str_of(text, sizeof text);
    struct str *const texts[] = { &card.user,
                                  &card.database,
                                  &card.application_name,
                                  &card.client_addr,
                                  &card.client_name,
                                  &card.proxy_addr,
                                  &card.proxy_id,
                                  &card.tls_version,
                                  &card.tls_cipher,
                                  &card.tls_group,
                                  &card.sni,
                                  &card.client_dn,
                                  &card.issuer_dn,
                                  &card.method,
                                  &card.identity,
                                  &card.rule_file,
                                  &card.upstream,
                                  &card.upstream_user,
                                  &card.upstream_tls,
                                  &card.upstream_cipher,
                                  &card.query,
                                  &card.client_serial };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        *texts[i] = longest;
    card.owner = str_of(text, CARD_TEXT_MAX);
    put(&sent, &card);
    buf_fini(&sent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_members_arrive),        cmocka_unit_test(nothing_is_believed),
        cmocka_unit_test(what_cannot_be_is_refused), cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(the_longest_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
