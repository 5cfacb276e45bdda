/*
 * The bench's client.
 *
 *     bench_client PORT plain|request|direct USER PASSWORD MODE NUMBER...
 *
 *     connect SECONDS CLIENTS         connect, one query, close, as fast as it goes
 *     query SECONDS CLIENTS           one query after the other on CLIENTS connections
 *     copyout MEGABYTES / copyin MEGABYTES
 *     idle SESSIONS                   open them, a query on each, then hold them
 *     mixed SECONDS CLIENTS RATE      queries while RATE connections a second arrive
 *     handshake CERT KEY SECONDS, records CERT KEY SECONDS, session CERT KEY, gcm SECONDS
 *                                     nothing but OpenSSL (give 0 as PORT)
 *
 * Says `ready` when its connections stand, waits for a line on standard input, works, prints one JSON object,
 * waits for the end of its input, closes. So the runner reads the proxy's clocks around the work alone.
 */
#include "local.h"
#include "pace.h"
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    CLIENTS_MAX = 1024,
    STORM_CLIENTS = 16,
    QUERIES_EACH = 3, /* on an idle session */
    LATENCIES_MAX = 1 << 20,
    COPY_PIECE = 8 * 1024
};

struct load {
    const struct peer_target *target;
    double until;
    double every; /* seconds between a storm thread's connections; 0: as fast as it goes */
    double first; /* when its first one is due */
    struct peer *peer;
    uint64_t ops;
    uint32_t *latencies; /* microseconds; NULL: not wanted */
};

static void wait_for_go(void)
{
    (void)printf("ready\n");
    (void)fflush(stdout);
    if (getchar() == EOF)
        exit(1);
}

static void wait_for_end(void)
{
    (void)fflush(stdout);
    while (getchar() != EOF)
        continue;
}

static void one_query(struct peer *peer)
{
    peer_ask(peer, "SELECT 1");
    (void)peer_await(peer, 'Z');
}

/* ---- threads ---- */

static void *storm(void *arg)
{
    struct load *load = arg;

    for (;; load->ops++) {
        if (load->every > 0)
            sleep_until(load->first + load->every * (double)load->ops);
        if (now() >= load->until)
            return NULL;
        struct peer *peer = peer_open(load->target);
        one_query(peer);
        peer_close(peer);
    }
}

static void *stream(void *arg)
{
    struct load *load = arg;

    for (double began = now(); began < load->until; load->ops++) {
        one_query(load->peer);
        double ended = now();
        if (load->latencies && load->ops < LATENCIES_MAX)
            load->latencies[load->ops] = (uint32_t)((ended - began) * 1e6);
        began = ended;
    }
    return NULL;
}

static void run_threads(struct load *loads, size_t n, size_t n_storm)
{
    static pthread_t threads[CLIENTS_MAX + STORM_CLIENTS];

    for (size_t i = 0; i < n; i++)
        if (pthread_create(&threads[i], NULL, i < n_storm ? storm : stream, &loads[i]) != 0)
            die("thread", "could not be started");
    for (size_t i = 0; i < n; i++)
        (void)pthread_join(threads[i], NULL);
}

static uint64_t sum_ops(const struct load *loads, size_t n)
{
    uint64_t ops = 0;

    for (size_t i = 0; i < n; i++)
        ops += loads[i].ops;
    return ops;
}

/* ---- modes ---- */

static void run_connect(const struct peer_target *target, double seconds, size_t clients)
{
    static struct load loads[CLIENTS_MAX];

    wait_for_go();
    double began = now();
    for (size_t i = 0; i < clients; i++)
        loads[i] = (struct load){ .target = target, .until = began + seconds };
    run_threads(loads, clients, clients);
    (void)printf("{\"ops\": %llu, \"seconds\": %.3f}\n", (unsigned long long)sum_ops(loads, clients),
                 now() - began);
    wait_for_end();
}

static void run_query(const struct peer_target *target, double seconds, size_t clients)
{
    static struct load loads[CLIENTS_MAX];

    for (size_t i = 0; i < clients; i++)
        loads[i].peer = peer_open(target);
    wait_for_go();
    double began = now();
    for (size_t i = 0; i < clients; i++)
        loads[i].until = began + seconds;
    run_threads(loads, clients, 0);
    (void)printf("{\"ops\": %llu, \"seconds\": %.3f}\n", (unsigned long long)sum_ops(loads, clients),
                 now() - began);
    wait_for_end();
    for (size_t i = 0; i < clients; i++)
        peer_close(loads[i].peer);
}

static void run_copy(const struct peer_target *target, unsigned long megabytes, bool out)
{
    static uint8_t piece[COPY_PIECE];
    static const uint8_t done[] = { 'c', 0, 0, 0, 4 };
    struct peer *peer = peer_open(target);
    char sql[64] = "COPY IN";

    if (out)
        (void)snprintf(sql, sizeof sql, "COPY OUT %lu", megabytes);
    memset(piece, 'x', sizeof piece);
    piece[0] = 'd';
    piece[1] = piece[2] = 0;
    piece[3] = (COPY_PIECE - 1) >> 8;
    piece[4] = (COPY_PIECE - 1) & 0xff;
    wait_for_go();
    double began = now();
    peer_ask(peer, sql);
    if (!out) {
        (void)peer_await(peer, 'G');
        for (unsigned long i = 0; i < megabytes * ((1ul << 20) / COPY_PIECE); i++)
            peer_send(peer, piece, sizeof piece);
        peer_send(peer, done, sizeof done);
    }
    (void)peer_await(peer, 'Z');
    (void)printf("{\"ops\": %lu, \"seconds\": %.3f}\n", megabytes, now() - began);
    wait_for_end();
    peer_close(peer);
}

static void run_idle(const struct peer_target *target, size_t sessions)
{
    struct peer **peers = calloc(sessions, sizeof(struct peer *));

    if (!peers)
        die("memory", "none left");
    wait_for_go();
    for (size_t i = 0; i < sessions; i++) {
        peers[i] = peer_open(target);
        for (int k = 0; k < QUERIES_EACH; k++)
            one_query(peers[i]);
    }
    (void)printf("{\"ops\": %zu, \"seconds\": 0}\n", sessions);
    wait_for_end();
    for (size_t i = 0; i < sessions; i++)
        peer_close(peers[i]);
    free(peers);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void run_mixed(const struct peer_target *target, double seconds, size_t clients, double rate)
{
    static struct load loads[CLIENTS_MAX + STORM_CLIENTS];
    struct load *streams = loads + STORM_CLIENTS;
    uint32_t *all = malloc(sizeof *all * LATENCIES_MAX * clients);
    size_t n = 0;

    if (!all)
        die("memory", "none left");
    for (size_t i = 0; i < clients; i++) {
        streams[i].peer = peer_open(target);
        streams[i].latencies = malloc(sizeof *all * LATENCIES_MAX);
        if (!streams[i].latencies)
            die("memory", "none left");
    }
    wait_for_go();
    double began = now();
    for (size_t i = 0; i < STORM_CLIENTS; i++)
        loads[i] = (struct load){ .target = target,
                                  .every = STORM_CLIENTS / rate,
                                  .first = began + (double)i / rate };
    for (size_t i = 0; i < STORM_CLIENTS + clients; i++)
        loads[i].until = began + seconds;
    run_threads(loads, STORM_CLIENTS + clients, STORM_CLIENTS);
    for (size_t i = 0; i < clients; i++)
        for (uint64_t k = 0; k < streams[i].ops && k < LATENCIES_MAX; k++)
            all[n++] = streams[i].latencies[k];
    qsort(all, n, sizeof *all, by_size);
    (void)printf("{\"ops\": %zu, \"seconds\": %.3f, \"p50_us\": %u, \"p99_us\": %u, \"connections\": %llu}\n",
                 n, now() - began, n ? all[n / 2] : 0, n ? all[n / 100 * 99] : 0,
                 (unsigned long long)sum_ops(loads, STORM_CLIENTS));
    wait_for_end();
    for (size_t i = 0; i < clients; i++) {
        peer_close(streams[i].peer);
        free(streams[i].latencies);
    }
    free(all);
}

/* ---- the command line ---- */

static double number(char **argv, int argc, int i)
{
    char *end = NULL;
    double value = i < argc ? strtod(argv[i], &end) : 0;

    if (!end || *end || value <= 0)
        die("usage", "see the head of bench/client.c");
    return value;
}

static void fill_target(struct peer_target *target, char **argv)
{
    struct sockaddr_in *address = (struct sockaddr_in *)(void *)&target->address;

    address->sin_family = AF_INET;
    address->sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    target->address_n = sizeof *address;
    target->tls = strcmp(argv[2], "plain") == 0     ? PEER_PLAIN
                  : strcmp(argv[2], "request") == 0 ? PEER_REQUEST
                                                    : PEER_DIRECT;
    target->user = argv[3];
    target->database = "postgres";
    target->password = argv[4];
    target->ssl = SSL_CTX_new(TLS_client_method());
    if (!target->ssl || SSL_CTX_set_alpn_protos(target->ssl, (const uint8_t *)"\x0apostgresql", 11) != 0)
        die("TLS", "not available");
    (void)SSL_CTX_set_mode(target->ssl, SSL_MODE_RELEASE_BUFFERS);
}

int main(int argc, char **argv)
{
    struct peer_target target = { 0 };

    (void)signal(SIGPIPE, SIG_IGN);
    if (argc < 7)
        die("usage", "see the head of bench/client.c");
    const char *mode = argv[5];
    fill_target(&target, argv);
    if (strcmp(mode, "connect") == 0)
        run_connect(&target, number(argv, argc, 6), (size_t)number(argv, argc, 7));
    else if (strcmp(mode, "query") == 0)
        run_query(&target, number(argv, argc, 6), (size_t)number(argv, argc, 7));
    else if (strcmp(mode, "copyout") == 0 || strcmp(mode, "copyin") == 0)
        run_copy(&target, (unsigned long)number(argv, argc, 6), mode[4] == 'o');
    else if (strcmp(mode, "idle") == 0)
        run_idle(&target, (size_t)number(argv, argc, 6));
    else if (strcmp(mode, "mixed") == 0)
        run_mixed(&target, number(argv, argc, 6), (size_t)number(argv, argc, 7), number(argv, argc, 8));
    else if (strcmp(mode, "handshake") == 0 && argc == 9)
        (void)printf("{\"us\": %.1f}\n", local_handshake_us(argv[6], argv[7], number(argv, argc, 8)));
    else if (strcmp(mode, "records") == 0 && argc == 9)
        (void)printf("{\"us\": %.3f}\n", local_records_us(argv[6], argv[7], number(argv, argc, 8)));
    else if (strcmp(mode, "session") == 0 && argc == 8)
        (void)printf("{\"kib\": %.2f}\n", local_session_kib(argv[6], argv[7]));
    else if (strcmp(mode, "gcm") == 0)
        (void)printf("{\"s_per_gb\": %.4f}\n", local_gcm_s_per_gb(number(argv, argc, 6)));
    else
        die("usage", "see the head of bench/client.c");
    SSL_CTX_free(target.ssl);
    return 0;
}
