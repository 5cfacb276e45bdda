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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = bytes_of(data, size);
    size_t step = fuzz_byte(&rest) + 1U;
    struct msg_follow whole = { 0 }, pieces = { 0 };
    char state;

    msg_follow(&whole, rest);
    for (struct bytes left = rest; left.n > 0; left = bytes_from(left, step))
        msg_follow(&pieces, bytes_of(left.p, left.n < step ? left.n : step));
    CHECK(whole.bad == pieces.bad);
    if (whole.bad)
        return 0;
    CHECK(whole.skip == pieces.skip && whole.length == pieces.length && whole.have == pieces.have);
    CHECK(whole.type == pieces.type && whole.state == pieces.state && whole.ready == pieces.ready);
    size_t end = walk(rest, &state);
    CHECK(msg_between(&whole) == (end == rest.n));
    return 0;
}
