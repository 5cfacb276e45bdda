/*
 * Connections that arrive at a rate, beside sessions that stay: what a gate has to bear while it is changed.
 *
 *     load_client PORT CAFILE USER SESSIONS PAUSE_MS RATE DATABASE [ANOTHER]
 *
 * Opens SESSIONS sessions over TLS and says `ready`. After a line on standard input each of them sends a
 * query every PAUSE_MS, and RATE new connections a second are made (verified, one query each, closed), by
 * turns to the one database and the other, until the next line. Then one JSON object tells what was done, and
 * every session answers once more. The first failure of whatever kind ends the process with its words: a load
 * that goes on with less lies.
 */
#include "bench/pace.h"
#include "bench/peer.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SESSIONS_MAX = 2000, ARRIVALS = 96 /* threads: how many may be waiting for a busy machine at once */ };

struct turn {
    const struct peer_target *target;
    struct peer *peer; /* NULL: a thread of arrivals */
    double first, every;
    atomic_ulong done;
};

static atomic_bool stop;

static void one_query(struct peer *peer)
{
    peer_ask(peer, "SELECT 1");
    (void)peer_await(peer, 'Z');
}

/* Turns come by the clock: a late one does not push the others back. */
static void *take_turns(void *arg)
{
    struct turn *turn = arg;

    for (unsigned long i = 0;; i++) {
        sleep_until(turn->first + turn->every * (double)i);
        if (atomic_load(&stop))
            return NULL;
        struct peer *peer = turn->peer ? turn->peer : peer_open(turn->target);
        one_query(peer);
        if (!turn->peer)
            peer_close(peer);
        atomic_fetch_add(&turn->done, 1);
    }
}

static void wait_for_line(void)
{
    for (int c = getchar(); c != '\n'; c = getchar())
        if (c == EOF)
            exit(1);
}

static unsigned long sum(struct turn *turns, size_t n)
{
    unsigned long total = 0;

    for (size_t i = 0; i < n; i++)
        total += atomic_load(&turns[i].done);
    return total;
}

/* Until a line comes; what counts is what was done by then. */
static void run(struct turn *turns, size_t sessions)
{
    static pthread_t threads[ARRIVALS + SESSIONS_MAX];
    size_t n = ARRIVALS + sessions;
    double began = now();

    for (size_t i = 0; i < n; i++) {
        turns[i].first += began;
        if (pthread_create(&threads[i], NULL, take_turns, &turns[i]) != 0)
            die("thread", "could not be started");
    }
    wait_for_line();
    (void)printf("{\"connections\": %lu, \"queries\": %lu, \"seconds\": %.3f}\n", sum(turns, ARRIVALS),
                 sum(turns + ARRIVALS, sessions), now() - began);
    atomic_store(&stop, true);
    for (size_t i = 0; i < n; i++)
        (void)pthread_join(threads[i], NULL);
}

static double number(const char *text, double most)
{
    char *end;
    double value = strtod(text, &end);

    if (*end || value <= 0 || value > most)
        die("usage", "see the head of tests/load/load_client.c");
    return value;
}

static void fill_target(struct peer_target *target, char **argv)
{
    struct sockaddr_in *address = (struct sockaddr_in *)(void *)&target->address;

    address->sin_family = AF_INET;
    address->sin_port = htons((uint16_t)number(argv[1], 65535));
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    target->address_n = sizeof *address;
    target->tls = PEER_REQUEST;
    target->user = argv[3];
    target->database = argv[7];
    target->password = "";
    target->ssl = SSL_CTX_new(TLS_client_method());
    if (!target->ssl || SSL_CTX_load_verify_locations(target->ssl, argv[2], NULL) != 1)
        die("TLS", "not available");
    SSL_CTX_set_verify(target->ssl, SSL_VERIFY_PEER, NULL);
}

int main(int argc, char **argv)
{
    static struct turn turns[ARRIVALS + SESSIONS_MAX];
    struct peer_target target = { 0 };

    (void)signal(SIGPIPE, SIG_IGN);
    if (argc != 8 && argc != 9)
        die("usage", "see the head of tests/load/load_client.c");
    fill_target(&target, argv);
    struct peer_target other = target;
    other.database = argv[argc - 1];
    size_t sessions = (size_t)number(argv[4], SESSIONS_MAX);
    double pause = number(argv[5], 1e6) / 1e3, rate = number(argv[6], 1e5);
    for (size_t i = 0; i < ARRIVALS; i++)
        turns[i] = (struct turn){ i % 2 ? &other : &target, NULL, (double)i / rate, ARRIVALS / rate, 0 };
    for (size_t i = 0; i < sessions; i++)
        turns[ARRIVALS + i] = (struct turn){ &target, peer_open(&target),
                                             pause * (double)i / (double)sessions, pause, 0 };
    (void)printf("ready\n");
    (void)fflush(stdout);
    wait_for_line();
    run(turns, sessions);
    for (size_t i = 0; i < sessions; i++) {
        one_query(turns[ARRIVALS + i].peer);
        peer_close(turns[ARRIVALS + i].peer);
    }
    SSL_CTX_free(target.ssl);
    return 0;
}
