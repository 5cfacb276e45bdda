/* The state of a session's records as bytes and back: whatever it is in the middle of. */
#include "../unit.h"

#include "base/buf.h"
#include "base/secret.h"
#include "records.h"
#include "tls/record_pack.h"

enum { PACKED_MAX = 64 * 1024 };

static void pack(struct records *p, struct buf *out)
{
    struct form f = form_to(out);

    record_form(&p->ours, p->tools, &f);
    assert_int_equal(form_end(&f), OK);
}

/* False: refused, and nothing of it is left. */
static bool take(struct records *p, struct bytes packed, struct record *out)
{
    struct form f = form_from(packed, NULL);

    *out = (struct record){ 0 };
    record_form(out, p->tools, &f);
    if (form_end(&f) == OK)
        return true;
    record_fini(out, p->tools);
    return false;
}

static void assert_same(const struct record *a, const struct record *b)
{
    assert_memory_equal(&a->open, &b->open, sizeof a->open);
    assert_memory_equal(&a->seal, &b->seal, sizeof a->seal);
    assert_int_equal(a->body_n, b->body_n);
    if (a->body_n > 0)
        assert_memory_equal(a->body, b->body, a->body_n);
    assert_int_equal(a->send_max, b->send_max);
    assert_int_equal(a->receive_max, b->receive_max);
    assert_int_equal(a->message_left, b->message_left);
    assert_int_equal(a->message_n, b->message_n);
    assert_memory_equal(a->message, b->message, sizeof a->message);
    assert_int_equal(a->header_n, b->header_n);
    assert_memory_equal(a->header, b->header, a->header_n);
    assert_int_equal(a->cipher, b->cipher);
    assert_int_equal(a->fruitless, b->fruitless);
    assert_int_equal(a->server, b->server);
    assert_int_equal(a->closed, b->closed);
    assert_int_equal(a->said_close, b->said_close);
    assert_int_equal(a->answer_due, b->answer_due);
    assert_int_equal(a->asked, b->asked);
}

/* The session goes to another one's hands and comes back as what was packed. */
static void pass_on(struct records *p)
{
    AUTO(buf) struct buf packed = BUF_INIT(PACKED_MAX);
    struct record taken;

    pack(p, &packed);
    assert_true(take(p, buf_bytes(&packed), &taken));
    assert_same(&taken, &p->ours);
    record_fini(&p->ours, p->tools);
    p->ours = taken;
}

/* What the peer says comes in two pieces, and between them the session is passed on. */
static void say_cut(struct records *p, size_t cut)
{
    size_t n = p->wire_n;
    uint8_t rest[1024];

    assert_in_range(n - cut, 1, sizeof rest);
    memcpy(rest, p->wire + cut, n - cut);
    p->wire_n = cut;
    assert_int_equal(records_read(p), TLS_WANT_INPUT);
    pass_on(p);
    memcpy(p->wire, rest, n - cut);
    p->wire_n = n - cut;
    assert_int_equal(records_read(p), TLS_WANT_INPUT);
}

static void records_and_messages_go_on(void **state)
{
    uint8_t ticket[4 + 40] = { 4, 0, 0, 40 };

    (void)state;
    for (int cipher = 0; cipher < RECORD_CIPHERS; cipher++)
        for (size_t cut = 1; cut < 26; cut++) {
            struct records p;
            records_begin(&p, (enum record_cipher)cipher, false);
            records_say(&p, DATA, bytes_of("data", 4), 0);
            say_cut(&p, cut);
            assert_int_equal(p.plain_n, 4);
            for (size_t piece = 1; piece < 8; piece++) { /* of a ticket: its header, then some of it */
                records_say(&p, HANDSHAKE, bytes_of(ticket, piece), 0);
                assert_int_equal(records_read(&p), TLS_WANT_INPUT);
                pass_on(&p);
                records_say(&p, HANDSHAKE, bytes_of(ticket + piece, sizeof ticket - piece), 0);
                say_cut(&p, cut);
            }
            records_say(&p, DATA, bytes_of("more", 4), 0);
            assert_int_equal(records_read(&p), TLS_WANT_INPUT);
            assert_memory_equal(p.plain, "datamore", 8);
            records_end(&p);
        }
}

static void what_is_owed_is_kept(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 32; bits++) {
        struct records p;
        records_begin(&p, RECORD_AES_128_GCM, true);
        p.ours.closed = bits & 1;
        p.ours.said_close = bits & 2;
        p.ours.answer_due = bits & 4;
        p.ours.asked = bits & 8;
        p.ours.fruitless = bits & 16 ? RECORD_FRUITLESS_MAX : 0;
        p.ours.seal.sequence = bits & 1 ? UINT64_MAX : record_limit(RECORD_AES_128_GCM) - 1;
        p.ours.open.sequence = UINT64_MAX - bits;
        pass_on(&p);
        records_end(&p);
    }
}

/* The limit of a key's use is counted on: the next process changes it when it is due. */
static void limits_are_counted_on(void **state)
{
    struct records p;
    struct bytes text;
    size_t n;

    (void)state;
    records_begin(&p, RECORD_AES_256_GCM, true);
    p.ours.seal.sequence = p.open.sequence = record_limit(RECORD_AES_256_GCM) - 1;
    assert_int_equal(record_write(&p.ours, p.tools, &p.io, bytes_of("last", 4), &n), TLS_DONE);
    assert_int_equal(records_hear(&p, &text), DATA);
    pass_on(&p);
    assert_int_equal(record_write(&p.ours, p.tools, &p.io, bytes_of("first", 5), &n), TLS_DONE);
    assert_int_equal(records_hear(&p, &text), HANDSHAKE);
    assert_true(record_keys_update(p.peer_tools, p.cipher, &p.open));
    pass_on(&p);
    assert_int_equal(records_hear(&p, &text), DATA);
    assert_int_equal(p.open.sequence, 1);
    records_end(&p);
}

/* Whatever is taken can be read from and written to; all that is cut is refused. */
static void damage_does_no_harm(void **state)
{
    struct records p;
    AUTO(buf) struct buf packed = BUF_INIT(PACKED_MAX);
    struct record taken;
    size_t n;

    (void)state;
    records_begin(&p, RECORD_CHACHA20_POLY1305, false);
    records_say(&p, HANDSHAKE, bytes_of("\4\0\0\50x", 5), 0);
    records_say(&p, HANDSHAKE, bytes_of("yz", 2), 0);
    p.wire_n -= 3;
    assert_int_equal(records_read(&p), TLS_WANT_INPUT);
    pack(&p, &packed);
    for (size_t i = 0; i < packed.n; i++)
        assert_false(take(&p, bytes_of(packed.p, i), &taken));
    for (size_t bit = 0; bit < packed.n * 8; bit++) {
        packed.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (take(&p, buf_bytes(&packed), &taken)) {
            p.io.in = bytes_of("\x17\3\3\0\x20................................", 37);
            p.io.out_n = 0;
            (void)record_read(&taken, p.tools, &p.io, bytes_of(p.plain, RECORDS_ROOM), &n);
            (void)record_write(&taken, p.tools, &p.io, bytes_of("x", 1), &n);
            record_close(&taken, p.tools, &p.io);
            record_fini(&taken, p.tools);
        }
        packed.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    records_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_and_messages_go_on),
        cmocka_unit_test(what_is_owed_is_kept),
        cmocka_unit_test(limits_are_counted_on),
        cmocka_unit_test(damage_does_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
