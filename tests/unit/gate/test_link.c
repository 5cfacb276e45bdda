/* The link between a gate and its successor: nobody is waited for who takes nothing. */
#include "base/env.h"
#include "gate/work/link.h"
#include "unit.h"

#include <sys/socket.h>
#include <unistd.h>

enum { LONG_MS = 24 * 3600 * 1000, PACKET = 4096 };

/* As long as it takes something it is waited for; then it takes nothing any more. A test that waited for LONG_MS would not end. */
static void who_takes_nothing_is_not_waited_for(void **state)
{
    static const uint8_t data[PACKET];
    static char room[PACKET + 2];
    const struct env env = env_system();
    struct os_packet packet;
    unsigned sent = 0, taken = 0;
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    struct link link = { .fd = pair[0], .env = &env, .stall_ms = 20 };
    link_set_limit(&link, LONG_MS);
    while (link_send(&link, LINK_SESSION, bytes_of(data, PACKET), NULL))
        sent++;
    assert_true(sent > 0);
    struct link other = { .fd = pair[1], .env = &env };
    link_set_limit(&other, LONG_MS);
    assert_int_equal(link_receive(&other, room, sizeof room, &packet), OS_PACKET_GOT);
    assert_true(link_send(&link, LINK_SESSION, bytes_of(data, PACKET), NULL)); /* there is room again */
    (void)close(pair[0]);
    while (link_receive(&other, room, sizeof room, &packet) == OS_PACKET_GOT)
        taken++;
    assert_int_equal(taken, sent);
    (void)close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(who_takes_nothing_is_not_waited_for) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
