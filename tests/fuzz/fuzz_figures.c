/*
 * What another process says it has counted (gate/steward/figures.h). What is taken is sent on to a third gate, which has the
 * same then. In the input a fixed name stands for the rules' file, whose directory is another one in each run.
 */
#include "../unit/gate/rooms.h"
#include "fuzz.h"
#include "gate/steward/figures.h"
#include "gate/steward/steward.h"
#include "policy/policy.h"

#include <sys/socket.h>

enum {
    CELLS_MAX = 1024,
    WAIT_MS = 1000,
    PASSED_ON_MAX = 8192 /* surely one packet, with two gates' cells */
};

static const char stands_for[] = "/tmp/pgseal-rooms-XXXXXX/pg_hba.conf";
static struct rooms rooms;
static struct snapshot *snapshot;

static const struct rooms_file files[] = {
    { "pgseal.conf", "upstream = 'host=/nonexistent'\nauth_source = file\nauth_file = 'users'\n"
                     "upstream_login = 'trust'\n" },
    { "pg_hba.conf", "local all all trust\nhost all all 127.0.0.1/32 trust\n" },
    { "pg_ident.conf", "" },
    { "users", "" },
    { NULL, NULL },
};

static const struct hba_rule *rule_at(size_t i)
{
    return policy_rule(snapshot_policy(snapshot), i);
}

static void put_real_name(uint8_t *input, size_t n)
{
    const struct str real = rule_at(0)->file;
    uint8_t *at = input;

    CHECK(real.n == sizeof stands_for - 1);
    while ((at = memmem(at, n - (size_t)(at - input), stands_for, real.n)) != NULL) {
        memcpy(at, real.p, real.n);
        at += real.n;
    }
}

/* The hits are the snapshot's, and both gates have the same one. */
static int64_t take_hits(size_t i)
{
    const struct rule_hits had = snapshot_hits(snapshot, rule_at(i)), less = { .count = -had.count };

    CHECK(had.count >= 0 && had.last_us >= 0);
    snapshot_add_hits(snapshot, rule_at(i), &less);
    return had.count;
}

static void compare(const struct counters *had, struct counters *got)
{
    for (int i = 0; i < METRIC_COUNT; i++)
        for (const struct count_cell *cell = count_first(had, (enum metric)i); cell;
             cell = count_next(cell)) {
            struct str labels[COUNT_LABELS_MAX] = { { NULL, 0 } };
            const struct metric_def def = metric_def((enum metric)i);
            for (size_t k = 0; k < def.n_labels; k++)
                labels[k] = count_label(cell, k);
            const struct count_cell *same = count_cell(got, (enum metric)i, labels);
            CHECK(same && count_value(cell) >= 0 && count_value(same) == count_value(cell));
            for (size_t k = 0; def.type == METRIC_HISTOGRAM && k <= COUNT_BOUNDS; k++)
                CHECK(count_bucket(cell, k) >= 0 && count_bucket(same, k) == count_bucket(cell, k));
        }
}

static void pass_on(const struct gate *from)
{
    static char room[OS_PACKET_MAX + 2];
    struct gate to = { .counters = counters_new(CELLS_MAX), .snapshot = snapshot };
    struct counters *told = counters_new(FIGURES_CELLS_MAX);
    const struct env env = env_system();
    struct os_packet packet;
    int64_t hits[2];
    int pair[2];

    CHECK(to.counters && told && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    struct link link = { .fd = pair[0], .env = &env };
    link_set_limit(&link, WAIT_MS);
    CHECK(figures_send(from, &link, told));
    (void)close(pair[0]);
    for (size_t i = 0; i < COUNT_OF(hits); i++)
        hits[i] = take_hits(i);
    link.fd = pair[1];
    while (link_receive(&link, room, sizeof room, &packet) == OS_PACKET_GOT)
        CHECK(packet.type == LINK_COUNTERS && figures_take(&to, &packet, NULL));
    (void)close(pair[1]);
    compare(from->counters, to.counters);
    for (size_t i = 0; i < COUNT_OF(hits); i++)
        CHECK(take_hits(i) == hits[i]);
    counters_free(to.counters);
    counters_free(told);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gate gate = { .counters = counters_new(CELLS_MAX) };
    struct counters *now = counters_new(CELLS_MAX);
    uint8_t *input = malloc(size + 1);

    if (!snapshot) {
        rooms_open(&rooms, env_system());
        snapshot = rooms_load(&rooms, files);
    }
    CHECK(gate.counters && now && input && size <= INT32_MAX);
    memcpy(input, data, size);
    put_real_name(input, size);
    gate.snapshot = snapshot;
    const struct os_packet packet = { .type = LINK_COUNTERS,
                                      .data = bytes_of(input, size),
                                      .fds = { -1, -1 } };
    if (figures_take(&gate, &packet, now) && size <= PASSED_ON_MAX)
        pass_on(&gate);
    (void)take_hits(0);
    (void)take_hits(1);
    counters_free(gate.counters);
    counters_free(now);
    free(input);
    return 0;
}
