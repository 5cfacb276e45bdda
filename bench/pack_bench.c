/*
 * What a thousand sessions cost in an upgrade, beside the handing over itself: packed, taken, forgotten, begun. Each has
 * TLS with the client, who showed a certificate, and with the server. See gate/session/pack.h.
 */
#include "../tests/unit/gate/pack_rig.h"

#include <time.h>

enum { SESSIONS = 1000, BUDGET_MS = 125 /* half of what a session may wait */ };

static double now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

int main(void)
{
    static const struct rig_how how = { .client_tls = true, .server_tls = true, .with_cert = true };
    struct rig r;

    (void)rig_set_up(NULL);
    rig_begin(&r, &how);
    double begun = now_ms();
    for (int i = 0; i < SESSIONS; i++)
        rig_move(&r);
    double took = now_ms() - begun;
    RIG_SAY(&r.client, "Q\0\0\0\4");
    RIG_EXPECT(&r, &r.server, "Q\0\0\0\4");
    CHECK(r.s->upgrades == SESSIONS);
    rig_end(&r);
    (void)rig_tear_down(NULL);
    (void)printf("%d sessions packed, taken, forgotten and begun: %.1f ms (budget %d ms)\n", SESSIONS, took,
                 BUDGET_MS);
    return took <= BUDGET_MS ? 0 : 1;
}
