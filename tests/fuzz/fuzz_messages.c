/* Message framing: whole, and followed in pieces cut anywhere; both must agree. */
#include "fuzz.h"
#include "pgwire/msg.h"

/* Position behind the last whole message, when the stream is sound so far. */
static size_t walk(struct bytes all, char *out_state)
{
    struct bytes rest = all;
    struct msg msg;
    size_t used;

    *out_state = 0;
    while (msg_next(rest, UINT32_MAX, &msg, &used) == OK) {
        CHECK(used >= MSG_HEADER && used <= rest.n && msg.body.n == used - MSG_HEADER);
        if (msg.type == 'Z' && msg.body.n == 1)
            *out_state = (char)msg.body.p[0];
        rest = bytes_from(rest, used);
    }
    return all.n - rest.n;
}

/* What a client's stream asks for. */
static void ask(struct bytes all, size_t step)
{
    struct msg_asked whole = { 0 }, pieces = { 0 };
    struct bytes rest = all;
    uint32_t asked = 0;
    struct msg msg;
    size_t used;

    msg_ask(&whole, all);
    for (struct bytes left = all; left.n > 0; left = bytes_from(left, step))
        msg_ask(&pieces, bytes_of(left.p, left.n < step ? left.n : step));
    CHECK(whole.bad == pieces.bad && whole.n == pieces.n);
    while (msg_next(rest, UINT32_MAX, &msg, &used) == OK) {
        asked += msg.type == 'Q' || msg.type == 'S' || msg.type == 'F';
        rest = bytes_from(rest, used);
    }
    CHECK(whole.n == asked || whole.n == asked + 1); /* the last one may have come in part */
    if (!whole.bad)
        CHECK(whole.skip == pieces.skip && msg_asked_whole(&whole) == (rest.n == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = bytes_of(data, size);
    size_t step = fuzz_byte(&rest) + 1U;
    struct msg_follow whole = { 0 }, pieces = { 0 };
    char state;

    ask(rest, step);
    msg_follow(&whole, rest);
    for (struct bytes left = rest; left.n > 0; left = bytes_from(left, step))
        msg_follow(&pieces, bytes_of(left.p, left.n < step ? left.n : step));
    CHECK(whole.bad == pieces.bad);
    if (whole.bad)
        return 0;
    CHECK(whole.skip == pieces.skip && whole.length == pieces.length && whole.have == pieces.have);
    CHECK(whole.type == pieces.type && whole.state == pieces.state && whole.ready == pieces.ready);
    CHECK(whole.n_ready == pieces.n_ready);
    size_t end = walk(rest, &state);
    CHECK(msg_between(&whole) == (end == rest.n));
    return 0;
}
