/*
 * What comes behind Finished, from a peer that has the keys: first byte cipher and side, then acts, each a byte and
 * a chunk. 0..3 a record of the chunk under the right keys (its first byte is the type, the second its padding), 4
 * the peer changes its keys, 5 bytes as they are, 6 we write the chunk, 7 we close, 8 the peer's side ends.
 */
#include "../unit/tls/records.h"
#include "base/buf.h"
#include "fuzz.h"

enum { DATA_MAX = 1 << 20 };

struct play {
    struct records records;
    struct buf said; /* data that the peer has said in good records, before anything was wrong */
    bool raw;        /* bytes of nobody's have come: what is said from here on counts for nothing */
    bool over;
};

/* All that we send is in order: whole records, which the peer can open; KeyUpdates change keys; an alert ends it. */
static void hear_all(struct records *p)
{
    struct bytes text;
    bool ended = false;
    uint8_t type;

    while ((type = records_hear(p, &text)) != 0) {
        CHECK(!ended && text.n > 0 && text.n <= p->ours.send_max);
        if (type == HANDSHAKE) {
            CHECK(text.n == 5 && text.p[0] == 24 && text.p[3] == 1 && text.p[4] < 2);
            CHECK(record_keys_update(p->peer_tools, p->cipher, &p->open));
        } else if (type == ALERT) {
            CHECK(text.n == 2);
            ended = true;
        } else {
            CHECK(type == DATA);
        }
    }
    CHECK(p->io.out_n == 0);
}

static void read_all(struct play *play)
{
    struct records *p = &play->records;

    enum tls_status status = records_read(p);
    CHECK(p->plain_n <= play->said.n &&
          memcmp(p->plain, play->said.p ? play->said.p : p->plain, p->plain_n) == 0);
    if (status == TLS_WANT_INPUT && !play->raw)
        CHECK(p->plain_n == play->said.n);
    CHECK(status != TLS_FAILED || p->ours.failed);
    CHECK(status != TLS_WANT_INPUT || p->io.in.n == 0);
    play->over = status != TLS_WANT_INPUT;
    hear_all(p);
}

static void say(struct play *play, struct bytes chunk)
{
    struct records *p = &play->records;
    uint8_t type = fuzz_byte(&chunk);
    size_t padding = fuzz_byte(&chunk);

    if (chunk.n > RECORD_PLAIN_MAX + 200)
        chunk.n = RECORD_PLAIN_MAX + 200;
    records_say(p, type, chunk, padding);
    while (type == 0 && chunk.n > 0) /* then the chunk brings its type, and zeros of its own */
        type = chunk.p[--chunk.n];
    if (type == DATA && !play->raw)
        (void)buf_append(&play->said, chunk);
    read_all(play);
}

static void act(struct play *play, uint8_t what, struct bytes chunk)
{
    struct records *p = &play->records;
    size_t n;

    switch (what % 9) {
    case 4:
        say(play, bytes_of("\x16\0\x18\0\0\1\1", 7));
        CHECK(record_keys_update(p->peer_tools, p->cipher, &p->seal));
        break;
    case 5:
        play->raw |= chunk.n > 0;
        memcpy(p->wire, chunk.p, chunk.n);
        p->wire_n = chunk.n;
        read_all(play);
        break;
    case 6:
        if (!p->ours.said_close) {
            CHECK(record_write(&p->ours, p->tools, &p->io, chunk, &n) == TLS_DONE && n == chunk.n);
            hear_all(p);
        }
        break;
    case 7:
        record_close(&p->ours, p->tools, &p->io);
        hear_all(p);
        break;
    case 8:
        p->io.eof = true;
        read_all(play);
        CHECK(play->over);
        break;
    default:
        say(play, chunk);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = bytes_of(data, size);
    struct play play = { .said = BUF_INIT(DATA_MAX) };
    uint8_t flags = fuzz_byte(&rest);

    records_begin(&play.records, (enum record_cipher)(flags % 3), flags & 4);
    while (rest.n > 0 && !play.over && play.said.n < RECORDS_ROOM / 2) {
        uint8_t what = fuzz_byte(&rest);
        act(&play, what, fuzz_chunk(&rest));
    }
    buf_fini(&play.said);
    records_end(&play.records);
    return 0;
}
