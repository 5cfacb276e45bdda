/**
 * One session between a client and a server that the test plays, in a worker of the kernel's sockets without a thread;
 * and a second worker, of another process so to speak, that takes it over.
 */
#ifndef PGSEAL_TESTS_PACK_RIG_H
#define PGSEAL_TESTS_PACK_RIG_H

#include "../unit.h"

#include "gate/session/pack.h"
#include "gate/session/walk.h"
#include "gate/views/gather.h"
#include "net/loop.h"
#include "pki/crl.h"
#include "pki/issue.h"
#include "rooms.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { RIG_ROUNDS = 20000, RIG_BRISK = 16, RIG_TEXT = 4096, RIG_PID = 4711 };

#define RIG_SERVER_KEY "\1\2\3\4"

/** How the session is made. */
struct rig_how {
    bool client_tls, server_tls, with_cert, long_key;
    const char *suite;
    const char *other_rules; /* the second worker has these; NULL: the first one's snapshot */
    bool other_upstream;     /* and another conninfo */
};

/** What the test plays: TLS in memory, so that it decides which bytes go over the socket when. */
struct rig_end {
    int fd;
    SSL *ssl; /* NULL: none */
    BIO *in, *out;
};

struct rig {
    struct rooms rooms[2]; /* two processes */
    unsigned at;           /* who has the session */
    struct rig_end client, server;
    int listener;
    struct session *s;
    uint8_t key[32]; /* as the client got it */
    size_t key_n;
};

struct rig_files {
    char dir[32], cert[64], key[64], ca[64], client_cert[64], client_key[64];
    EVP_PKEY *ca_key;
    X509 *ca_cert, *client;
};

static struct rig_files rig_files;

/* ---- certificates, valid now ---- */

static inline void rig_write_text(const char *path, struct bytes text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    CHECK(fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n && close(fd) == 0);
}

static inline void rig_write(const char *path, X509 *cert, EVP_PKEY *key)
{
    AUTO(buf) struct buf text = BUF_INIT(64 * 1024);

    CHECK((cert ? cert_to_pem(cert, &text) : key_to_pem(key, NULL, &text, NULL)) == OK);
    rig_write_text(path, buf_bytes(&text));
}

static inline void rig_leaf(const char *name, enum ca_use use, const char *cert_file, const char *key_file)
{
    struct env env = env_system();
    EVP_PKEY *key = NULL;
    X509 *cert = NULL;
    struct san san = { SAN_DNS, str_bytes(str_c(name)) };
    struct ca_request request = {
        .use = use, .common_name = str_c(name), .sans = &san, .n_sans = 1, .days = 9
    };

    CHECK(key_generate(KEY_P256, &key, NULL) == OK);
    CHECK(issue_leaf(&request, key, &(struct issuer){ rig_files.ca_cert, rig_files.ca_key, &env }, &cert,
                     NULL) == OK);
    rig_write(cert_file, cert, NULL);
    rig_write(key_file, NULL, key);
    key_free(key);
    if (use == CA_USE_CLIENT)
        rig_files.client = cert;
    else
        cert_free(cert);
}

static inline void rig_path(char to[64], const char *name)
{
    CHECK(snprintf(to, 64, "%s/%s", rig_files.dir, name) < 64);
}

static inline int rig_set_up(void **state)
{
    struct env env = env_system();
    struct ca_params params = { .common_name = STR("the rig's CA"), .days = 99, .path_length = -1 };
    struct rig_files *f = &rig_files;

    (void)state;
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/pgseal-pack-XXXXXX");
    CHECK(mkdtemp(f->dir));
    rig_path(f->cert, "server.crt");
    rig_path(f->key, "server.key");
    rig_path(f->ca, "ca.crt");
    rig_path(f->client_cert, "client.crt");
    rig_path(f->client_key, "client.key");
    CHECK(key_generate(KEY_P256, &f->ca_key, NULL) == OK);
    CHECK(issue_ca(&params, &(struct issuer){ .key = f->ca_key, .env = &env }, &f->ca_cert, NULL) == OK);
    rig_write(f->ca, f->ca_cert, NULL);
    rig_leaf("db.example", CA_USE_SERVER, f->cert, f->key);
    rig_leaf("alice", CA_USE_CLIENT, f->client_cert, f->client_key);
    return 0;
}

static inline int rig_tear_down(void **state)
{
    const char *files[] = { rig_files.cert, rig_files.key, rig_files.ca, rig_files.client_cert,
                            rig_files.client_key };
    char path[128];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(files); i++)
        (void)unlink(files[i]);
    (void)snprintf(path, sizeof path, "%s/.s.PGSQL.5432", rig_files.dir);
    (void)unlink(path);
    (void)rmdir(rig_files.dir);
    key_free(rig_files.ca_key);
    cert_free(rig_files.ca_cert);
    cert_free(rig_files.client);
    return 0;
}

/* ---- turning ---- */

static inline void rig_stop(void *arg)
{
    loop_stop(arg);
}

/* Whatever is ready now is told; both sides have their turn. */
static inline void rig_turn(struct rig *r)
{
    for (size_t i = 0; i < COUNT_OF(r->rooms); i++) {
        struct loop *loop = r->rooms[i].worker.loop;
        CHECK(loop_post(loop, rig_stop, loop));
        loop_run(loop);
    }
}

/* One round of waiting for something; the kernel may take its time with what goes over TCP. */
static inline void rig_wait(struct rig *r, int round)
{
    assert_true(round < RIG_ROUNDS);
    if (round > RIG_BRISK)
        (void)poll(NULL, 0, 1);
    rig_turn(r);
}

#define RIG_UNTIL(r, condition)                                                                              \
    for (int rig_round_ = 0; !(condition); rig_round_++)                                                     \
    rig_wait((r), rig_round_)

/* ---- an end that the test plays ---- */

static inline void rig_tls(struct rig_end *end, bool server, const struct rig_how *how)
{
    SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

    CHECK(ctx && SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1);
    SSL_CTX_set_num_tickets(ctx, 1);
    if (how->suite)
        CHECK(SSL_CTX_set_ciphersuites(ctx, how->suite) == 1);
    const char *cert = server ? rig_files.cert : rig_files.client_cert;
    const char *key = server ? rig_files.key : rig_files.client_key;
    if (server || how->with_cert)
        CHECK(SSL_CTX_use_certificate_file(ctx, cert, SSL_FILETYPE_PEM) == 1 &&
              SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1);
    end->ssl = SSL_new(ctx);
    end->in = BIO_new(BIO_s_mem());
    end->out = BIO_new(BIO_s_mem());
    CHECK(end->ssl && end->in && end->out);
    SSL_CTX_free(ctx);
    SSL_set_bio(end->ssl, end->in, end->out);
    if (server)
        SSL_set_accept_state(end->ssl);
    else
        SSL_set_connect_state(end->ssl);
    char name[] = "db.example";
    if (!server)
        CHECK(SSL_set_tlsext_host_name(end->ssl, name) == 1);
}

/* At most `max` bytes of what TLS has to send go over the socket. */
static inline size_t rig_flush(struct rig_end *end, size_t max)
{
    char *data;
    size_t n = end->ssl ? (size_t)BIO_get_mem_data(end->out, &data) : 0, sent = 0;
    uint8_t bytes[RIG_TEXT];

    while (sent < max && n > 0) {
        size_t piece = n < sizeof bytes ? n : sizeof bytes;
        if (piece > max - sent)
            piece = max - sent;
        ssize_t took = send(end->fd, data, piece, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (took <= 0)
            break;
        CHECK(BIO_read(end->out, bytes, (int)took) == (int)took);
        sent += (size_t)took;
        n = (size_t)BIO_get_mem_data(end->out, &data);
    }
    return sent;
}

/* At most `max` bytes that came are TLS's. */
static inline size_t rig_fill(struct rig_end *end, size_t max)
{
    uint8_t bytes[RIG_TEXT];
    ssize_t n = recv(end->fd, bytes, max < sizeof bytes ? max : sizeof bytes, MSG_DONTWAIT);

    if (n > 0)
        CHECK(BIO_write(end->in, bytes, (int)n) == (int)n);
    return n > 0 ? (size_t)n : 0;
}

static inline void rig_say(struct rig_end *end, struct bytes data)
{
    if (end->ssl) {
        CHECK(SSL_write(end->ssl, data.p, (int)data.n) == (int)data.n);
        (void)rig_flush(end, SIZE_MAX);
    } else {
        CHECK(send(end->fd, data.p, data.n, MSG_NOSIGNAL) == (ssize_t)data.n);
    }
}

/* What has come of it so far; 0: nothing, -1: its end. */
static inline ssize_t rig_take(struct rig_end *end, uint8_t *to, size_t size)
{
    if (!end->ssl) {
        ssize_t n = recv(end->fd, to, size, MSG_DONTWAIT);
        return n > 0 ? n : n == 0 ? -1 : errno == EAGAIN ? 0 : -1;
    }
    (void)rig_fill(end, SIZE_MAX);
    int n = SSL_read(end->ssl, to, (int)size);
    (void)rig_flush(end, SIZE_MAX);
    if (n > 0)
        return n;
    int why = SSL_get_error(end->ssl, n);
    ERR_clear_error();
    return why == SSL_ERROR_WANT_READ ? 0 : -1;
}

/* `n` bytes that are to come, with the gate's help. */
static inline void rig_hear(struct rig *r, struct rig_end *end, uint8_t *to, size_t n)
{
    size_t have = 0;

    for (int round = 0; have < n; round++) {
        ssize_t got = rig_take(end, to + have, n - have);
        assert_true(got >= 0);
        have += (size_t)got;
        if (got == 0)
            rig_wait(r, round);
    }
}

static inline void rig_expect(struct rig *r, struct rig_end *end, struct bytes data)
{
    uint8_t got[RIG_TEXT];

    for (size_t at = 0; at < data.n;) {
        size_t n = data.n - at < sizeof got ? data.n - at : sizeof got;
        rig_hear(r, end, got, n);
        assert_memory_equal(got, data.p + at, n);
        at += n;
    }
}

#define RIG_SAY(end, text) rig_say((end), bytes_of(text, sizeof(text) - 1))
#define RIG_EXPECT(r, end, text) rig_expect((r), (end), bytes_of(text, sizeof(text) - 1))

static inline void rig_shake(struct rig *r, struct rig_end *end)
{
    for (int round = 0; !SSL_is_init_finished(end->ssl); round++) {
        (void)SSL_do_handshake(end->ssl);
        (void)rig_flush(end, SIZE_MAX);
        rig_wait(r, round);
        (void)rig_fill(end, SIZE_MAX);
    }
    ERR_clear_error();
    (void)rig_flush(end, SIZE_MAX);
}

/* ---- the session ---- */

static inline void rig_listen(struct rig *r, const struct rig_how *how, char *upstream, size_t size)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof in;

    (void)snprintf(un.sun_path, sizeof un.sun_path, "%s/.s.PGSQL.5432", rig_files.dir);
    (void)unlink(un.sun_path);
    r->listener = socket(how->server_tls ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const void *address = how->server_tls ? (const void *)&in : (const void *)&un;
    CHECK(bind(r->listener, address, how->server_tls ? (socklen_t)sizeof in : (socklen_t)sizeof un) == 0);
    CHECK(listen(r->listener, 8) == 0);
    CHECK(getsockname(r->listener, (struct sockaddr *)&in, &n) == 0 || !how->server_tls);
    if (how->server_tls)
        (void)snprintf(upstream, size,
                       "host=db.example hostaddr=127.0.0.1 port=%u sslmode=verify-full sslrootcert=%s",
                       ntohs(in.sin_port), rig_files.ca);
    else
        (void)snprintf(upstream, size, "host=%s", rig_files.dir);
}

static inline struct snapshot *rig_load(struct rooms *rooms, const char *upstream, const char *rules,
                                        const char *more)
{
    char conf[2048];
    const struct rooms_file files[] = {
        { "pgseal.conf", conf }, { "pg_hba.conf", rules }, { "pg_ident.conf", "" },
        { "users", "" },         { NULL, NULL },
    };

    (void)snprintf(conf, sizeof conf,
                   "upstream = '%s'\nauth_source = file\nauth_file = 'users'\nupstream_login = 'trust'\n"
                   "clients_limit = 0\nssl = on\nssl_cert_file = '%s'\nssl_key_file = '%s'\n"
                   "ssl_ca_file = '%s'\nlog_disconnections = on\n%s",
                   upstream, rig_files.cert, rig_files.key, rig_files.ca, more);
    return rooms_load(rooms, files);
}

static inline void rig_accept(struct rig *r, struct rig_end *end)
{
    RIG_UNTIL(r, (end->fd = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0);
    assert_int_equal(fcntl(end->fd, F_SETFL, O_NONBLOCK), 0);
}

/* As the server of a connection that the gate opens: TLS where that is asked for. */
static inline void rig_greet(struct rig *r, struct rig_end *end, const struct rig_how *how)
{
    rig_accept(r, end);
    if (!how->server_tls)
        return;
    RIG_EXPECT(r, end, "\0\0\0\x08\x04\xd2\x16\x2f");
    RIG_SAY(end, "S");
    rig_tls(end, true, how);
    rig_shake(r, end);
}

/* The length word, then the rest. */
static inline void rig_pass_over_startup(struct rig *r, struct rig_end *end)
{
    uint8_t packet[RIG_TEXT];

    rig_hear(r, end, packet, 4);
    size_t n = (size_t)packet[2] << 8 | packet[3];
    assert_in_range(n, 8, sizeof packet);
    rig_hear(r, end, packet + 4, n - 4);
}

static inline void rig_log_in(struct rig *r, const struct rig_how *how)
{
    static const char v30[] = "\0\0\0\x39\0\3\0\0user\0alice\0database\0shop\0application_name\0a b c\0",
                      v32[] = "\0\0\0\x39\0\3\0\2user\0alice\0database\0shop\0application_name\0a b c\0";
    uint8_t head[13];

    if (how->client_tls) {
        RIG_SAY(&r->client, "\0\0\0\x08\x04\xd2\x16\x2f");
        RIG_EXPECT(r, &r->client, "S");
        rig_tls(&r->client, false, how);
        rig_shake(r, &r->client);
    }
    rig_say(&r->client, bytes_of(how->long_key ? v32 : v30, sizeof v30));
    rig_greet(r, &r->server, how);
    rig_pass_over_startup(r, &r->server);
    RIG_SAY(&r->server, "R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\x12\x67" RIG_SERVER_KEY "Z\0\0\0\5I");
    RIG_EXPECT(r, &r->client, "R\0\0\0\x08\0\0\0\0");
    rig_hear(r, &r->client, head, 9);
    r->key_n = (size_t)head[4] - 8;
    rig_hear(r, &r->client, r->key, r->key_n);
    RIG_EXPECT(r, &r->client, "Z\0\0\0\5I");
}

static inline void rig_begin(struct rig *r, const struct rig_how *how)
{
    static const char rules[] = "# none\nhostssl all all all trust\nlocal all all trust\n";
    struct address peer = { .n = sizeof(struct sockaddr_in) };
    char upstream[512];
    int pair[2];

    memset(r, 0, sizeof *r);
    for (size_t i = 0; i < COUNT_OF(r->rooms); i++)
        rooms_open_on(&r->rooms[i], env_system(), loop_new());
    struct worker *old = &r->rooms[0].worker, *new = &r->rooms[1].worker;
    rig_listen(r, how, upstream, sizeof upstream);
    old->snapshot = rig_load(&r->rooms[0], upstream, rules, "");
    if (how->other_upstream)
        (void)snprintf(upstream, sizeof upstream, "host=/nowhere");
    new->snapshot = how->other_rules ? rig_load(&r->rooms[1], upstream, how->other_rules, "")
                                     : snapshot_ref(old->snapshot);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    struct sockaddr_in in = { .sin_family = AF_INET,
                              .sin_port = htons(5),
                              .sin_addr.s_addr = htonl(0xc0000201) };
    memcpy(&peer.ss, &in, sizeof in);
    if (!how->client_tls) {
        peer = (struct address){ .n = sizeof(sa_family_t) };
        peer.ss.ss_family = AF_UNIX;
    }
    r->client.fd = pair[0];
    r->s = walk_new(old, pair[1], &peer, !how->client_tls);
    CHECK(r->s);
    rig_log_in(r, how);
    assert_int_equal(r->s->state, STATE_RELAY);
}

static inline void rig_end_end(struct rig_end *end)
{
    SSL_free(end->ssl);
    (void)close(end->fd);
}

/* The session ends as sessions do, wherever it is. */
static inline void rig_end(struct rig *r)
{
    rig_end_end(&r->client);
    rig_end_end(&r->server);
    RIG_UNTIL(r, r->rooms[0].worker.n_alive + r->rooms[1].worker.n_alive == 0);
    (void)close(r->listener);
    rig_turn(r);
    for (size_t i = 0; i < COUNT_OF(r->rooms); i++) {
        struct loop *loop = r->rooms[i].worker.loop;
        assert_int_equal(r->rooms[i].shared.connections, 0);
        assert_null(registry_next(&r->rooms[i].worker, RIG_PID, NULL));
        rooms_close_all(&r->rooms[i]);
        loop_free(loop);
    }
}

/* ---- taking over ---- */

static inline void rig_pack(struct rig *r, struct buf *packed, int fds[PACK_FDS])
{
    int own[PACK_FDS];

    assert_int_equal(pack_session(r->s, packed, own), OK);
    for (int i = 0; i < PACK_FDS; i++) /* as SCM_RIGHTS does it */
        fds[i] = fcntl(own[i], F_DUPFD_CLOEXEC, 0);
}

static inline struct worker *rig_other(struct rig *r)
{
    return &r->rooms[!r->at].worker;
}

/* Both have it, and neither may move. */
static inline struct session *rig_hold(struct rig *r)
{
    struct buf packed = BUF_INIT(PACK_MAX);
    struct session *s = NULL;
    struct err e = { 0 };
    int fds[PACK_FDS];

    pack_freeze(r->s->worker);
    rig_pack(r, &packed, fds);
    assert_int_equal(pack_worker(buf_bytes(&packed), 1), 0);
    assert_int_equal(pack_take(rig_other(r), buf_bytes(&packed), fds, &s, &e), OK);
    buf_fini_secret(&packed);
    return s;
}

static inline void rig_commit(struct rig *r, struct session *taken)
{
    pack_forget(r->s);
    r->s = taken;
    r->at = !r->at;
    pack_begin(taken);
}

/* The whole: from here on the session is the other worker's. */
static inline void rig_move(struct rig *r)
{
    rig_commit(r, rig_hold(r));
}

#endif
