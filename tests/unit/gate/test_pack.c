/* A session goes from one process to the next: nothing is lost, nothing is seen twice, and one of them has the keys. */
#include "gate/session/registry.h"
#include "gate/session/relay.h"
#include "gate/views/rows_sessions.h"
#include "pack_rig.h"
#include "pgwire/frontend.h"
#include "policy/policy.h"
#include "tls/engine_impl.h"

#include <malloc.h>
#include <sys/wait.h>

static const char *const suites[] = { "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                      "TLS_CHACHA20_POLY1305_SHA256" };

/* ---- memory that is not given, and memory that is given back ---- */

static long until_failure = -1; /* allocations that are still granted; -1: all of them */
static bool failed;
static struct bytes watched[4]; /* must not be in memory that is freed */
static unsigned leaks;

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t size);
char *__real_strdup(const char *text);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t size);
char *__wrap_strdup(const char *text);
void __wrap_free(void *p);

static bool granted(void)
{
    if (until_failure < 0 || until_failure-- > 0)
        return true;
    failed = true;
    until_failure = -1;
    return false;
}

void *__wrap_malloc(size_t n)
{
    return granted() ? __real_malloc(n) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return granted() ? __real_calloc(count, size) : NULL;
}

char *__wrap_strdup(const char *text)
{
    return granted() ? __real_strdup(text) : NULL;
}

void __wrap_free(void *p)
{
    for (size_t i = 0; p && i < COUNT_OF(watched); i++)
        if (watched[i].n > 0 && memmem(p, malloc_usable_size(p), watched[i].p, watched[i].n))
            leaks++;
    __real_free(p);
}

static void *openssl_allocate(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return granted() ? __real_malloc(size) : NULL;
}

static void *openssl_reallocate(void *p, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return granted() ? realloc(p, size) : NULL;
}

static void openssl_release(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    __wrap_free(p);
}

/* ---- traffic ---- */

static void query(struct rig *r)
{
    RIG_SAY(&r->client, "Q\0\0\0\x0dSELECT 1\0");
    RIG_EXPECT(r, &r->server, "Q\0\0\0\x0dSELECT 1\0");
    RIG_SAY(&r->server, "C\0\0\0\x0dSELECT 1\0Z\0\0\0\5T");
    RIG_EXPECT(r, &r->client, "C\0\0\0\x0dSELECT 1\0Z\0\0\0\5T");
}

static void assert_silent(struct rig *r, struct rig_end *end)
{
    uint8_t byte;

    rig_turn(r);
    rig_turn(r);
    assert_int_equal(recv(end->fd, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

/* Every way that a session can have come about. */
static size_t all_hows(struct rig_how *out)
{
    size_t n = 0;

    for (size_t suite = 0; suite < COUNT_OF(suites); suite++)
        for (int bits = 0; bits < 4; bits++)
            if (bits || suite == 0)
                out[n++] = (struct rig_how){ .client_tls = bits & 1,
                                             .server_tls = bits & 2,
                                             .with_cert = bits == 3,
                                             .long_key = bits & 1,
                                             .suite = suites[suite] };
    return n;
}

enum { HOWS_MAX = 16 };

static void every_kind_of_session_goes_on(void **state)
{
    struct rig_how hows[HOWS_MAX];
    size_t n = all_hows(hows);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        struct rig r;
        rig_begin(&r, &hows[i]);
        query(&r);
        for (unsigned times = 1; times < 4; times++) {
            rig_move(&r);
            assert_int_equal(r.s->upgrades, times);
            query(&r);
        }
        rig_end(&r);
    }
}

static const struct rig_how tls_both = {
    .client_tls = true, .server_tls = true, .with_cert = true, .long_key = true
};

/* ---- in the middle ---- */

static void nothing_moves_while_it_is_held(void **state)
{
    struct rig r;

    (void)state;
    rig_begin(&r, &tls_both);
    struct session *taken = rig_hold(&r);
    RIG_SAY(&r.client, "question");
    RIG_SAY(&r.server, "N\0\0\0\5x");
    assert_silent(&r, &r.client);
    assert_silent(&r, &r.server);
    rig_commit(&r, taken);
    RIG_EXPECT(&r, &r.server, "question");
    RIG_EXPECT(&r, &r.client, "N\0\0\0\5x");
    query(&r);
    rig_end(&r);
}

static void what_is_dropped_goes_on_where_it_was(void **state)
{
    struct rig r;

    (void)state;
    rig_begin(&r, &tls_both);
    for (int times = 0; times < 3; times++) {
        struct session *taken = rig_hold(&r);
        RIG_SAY(&r.client, "question");
        RIG_SAY(&r.server, "N\0\0\0\5x");
        rig_turn(&r);
        pack_drop(taken);
        assert_int_equal(rig_other(&r)->n_alive, 0);
        pack_thaw(r.s->worker);
        RIG_EXPECT(&r, &r.server, "question");
        RIG_EXPECT(&r, &r.client, "N\0\0\0\5x");
        assert_int_equal(r.s->upgrades, 0);
    }
    query(&r);
    rig_end(&r);
}

static bool has_begun(const struct stream *stream, size_t n)
{
    const struct record *record = &stream->tls->record;

    return (size_t)record->header_n + record->body_n == n;
}

/* A record of either peer that has come in part: its header in part, its header, its body in part. */
static void records_may_have_begun(void **state)
{
    static const size_t cuts[] = { 1, 4, 5, 6, 40, 99 };
    uint8_t text[100];

    (void)state;
    memset(text, 'x', sizeof text);
    for (size_t suite = 0; suite < COUNT_OF(suites); suite++) {
        struct rig_how how = tls_both;
        struct rig r;
        how.suite = suites[suite];
        rig_begin(&r, &how);
        for (size_t i = 0; i < COUNT_OF(cuts); i++) {
            struct rig_end *ends[] = { &r.client, &r.server };
            for (size_t k = 0; k < 2; k++) {
                assert_int_equal(SSL_write(ends[k]->ssl, text, sizeof text), sizeof text);
                assert_int_equal(rig_flush(ends[k], cuts[i]), cuts[i]);
            }
            RIG_UNTIL(&r, has_begun(&r.s->client, cuts[i]) && has_begun(&r.s->server, cuts[i]));
            rig_move(&r);
            for (size_t k = 0; k < 2; k++) {
                (void)rig_flush(ends[k], SIZE_MAX);
                rig_expect(&r, ends[!k], bytes_of(text, sizeof text));
            }
        }
        rig_end(&r);
    }
}

/* Messages that have come in part, either way: what drains and views make of them is the same afterwards. */
static void messages_may_have_begun(void **state)
{
    static const uint8_t asked[] = "Q\0\0\0\x0dSELECT 1\0Q\0\0\0\x0dSELECT 2\0",
                         said[] = "G\0\0\0\7\0\0\0Z\0\0\0\5IC\0\0\0\x08"
                                  "abc\0Z\0\0\0\5I";
    const struct bytes ways[] = { bytes_of(asked, sizeof asked - 1), bytes_of(said, sizeof said - 1) };
    struct rig r;

    (void)state;
    rig_begin(&r, &tls_both);
    for (size_t way = 0; way < 2; way++) {
        struct rig_end *ends[] = { &r.client, &r.server };
        for (size_t i = 0; i < ways[way].n; i++) {
            rig_say(ends[way], bytes_of(ways[way].p + i, 1));
            rig_expect(&r, ends[!way], bytes_of(ways[way].p + i, 1));
            const struct msg_follow follow = r.s->follow;
            const struct msg_asked sent = r.s->asked;
            unsigned flags = r.s->flags;
            rig_move(&r);
            assert_memory_equal(&r.s->follow, &follow, sizeof follow);
            assert_memory_equal(&r.s->asked, &sent, sizeof sent);
            assert_int_equal(r.s->flags, flags);
        }
    }
    assert_true(relay_idle(r.s));
    rig_end(&r);
}

/* What the client does not take waits in the gate, and goes with it; the client has a record in part then. */
static void output_that_waits_is_kept(void **state)
{
    enum { SIZE = 1 << 20, LITTLE = 4096 };
    uint8_t *text = malloc(SIZE);
    int little = LITTLE;
    struct rig r;

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < SIZE; i++)
        text[i] = (uint8_t)(i % 251);
    for (size_t suite = 0; suite < COUNT_OF(suites); suite++) {
        struct rig_how how = tls_both;
        how.suite = suites[suite];
        rig_begin(&r, &how);
        assert_int_equal(setsockopt(r.s->client.fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof little), 0);
        assert_int_equal(SSL_write(r.server.ssl, text, SIZE), SIZE);
        RIG_UNTIL(&r, rig_flush(&r.server, SIZE_MAX) == 0 && stream_blocked(&r.s->client));
        for (size_t at = 0; at < SIZE; at += LITTLE) {
            if (at % (SIZE / 8) == 0) {
                RIG_UNTIL(&r, rig_flush(&r.server, SIZE_MAX) == 0 &&
                                  (at > SIZE / 2 || stream_blocked(&r.s->client)));
                rig_move(&r);
            }
            rig_expect(&r, &r.client, bytes_of(text + at, LITTLE));
            (void)rig_flush(&r.server, SIZE_MAX);
        }
        assert_false(stream_blocked(&r.s->client));
        query(&r);
        rig_end(&r);
    }
    free(text);
}

/* ---- keys that change ---- */

static void ask_for_new_keys(struct rig_end *end)
{
    assert_int_equal(SSL_key_update(end->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    assert_true(SSL_do_handshake(end->ssl) == 1);
    (void)rig_flush(end, SIZE_MAX);
}

static void key_updates_are_kept(void **state)
{
    (void)state;
    for (size_t suite = 0; suite < COUNT_OF(suites); suite++) {
        struct rig_how how = tls_both;
        struct rig r;
        how.suite = suites[suite];
        rig_begin(&r, &how);
        for (int times = 0; times < 3; times++) {
            ask_for_new_keys(&r.client);
            ask_for_new_keys(&r.server);
            RIG_UNTIL(&r, r.s->client.tls->record.answer_due && r.s->server.tls->record.answer_due);
            rig_move(&r); /* which owes both an answer */
            assert_true(r.s->client.tls->record.answer_due && r.s->server.tls->record.answer_due);
            query(&r);
            assert_false(r.s->client.tls->record.answer_due || r.s->server.tls->record.answer_due);
            rig_move(&r);
            query(&r);
        }
        rig_end(&r);
    }
}

static void numbers_go_on(void **state)
{
    struct rig r;

    (void)state;
    rig_begin(&r, &tls_both);
    query(&r);
    query(&r);
    const struct record before = r.s->client.tls->record;
    struct session *taken = rig_hold(&r);
    const struct record *after = &taken->client.tls->record;
    assert_true(before.seal.sequence > 2 && before.open.sequence > 2);
    assert_int_equal(after->seal.sequence, before.seal.sequence);
    assert_int_equal(after->open.sequence, before.open.sequence);
    assert_memory_equal(&after->seal, &before.seal, sizeof before.seal);
    assert_memory_equal(&after->open, &before.open, sizeof before.open);
    rig_commit(&r, taken);
    query(&r);
    rig_end(&r);
}

/* ---- one has the keys ---- */

static void the_old_process_has_no_key_left(void **state)
{
    (void)state;
    for (size_t suite = 0; suite < COUNT_OF(suites); suite++) {
        struct rig_how how = tls_both;
        struct rig r;
        uint8_t secrets[4][32];
        how.suite = suites[suite];
        rig_begin(&r, &how);
        query(&r);
        RIG_SAY(&r.client, "half of something");
        memcpy(secrets[0], r.s->client.tls->record.seal.secret, 32);
        memcpy(secrets[1], r.s->client.tls->record.seal.key, 16);
        memcpy(secrets[2], r.s->server.tls->record.open.secret, 32);
        memcpy(secrets[3], r.s->server.tls->record.seal.secret, 32);
        for (size_t i = 0; i < 4; i++)
            watched[i] = bytes_of(secrets[i], i == 1 ? 16 : 32);
        leaks = 0;
        struct session *taken = rig_hold(&r); /* its buffer is given back, too */
        assert_true(memmem(&taken->client.tls->record, sizeof taken->client.tls->record, secrets[0], 32));
        pack_forget(r.s);
        r.s = taken;
        r.at = 1;
        memset(watched, 0, sizeof watched);
        assert_int_equal(leaks, 0);
        assert_null(TAILQ_FIRST(&r.rooms[0].worker.sessions));
        assert_int_equal(r.rooms[0].worker.n_alive, 0);
        assert_silent(&r, &r.client); /* not a byte, not an end of file */
        assert_silent(&r, &r.server);
        pack_begin(taken);
        RIG_EXPECT(&r, &r.server, "half of something");
        query(&r);
        rig_end(&r);
    }
}

/* Does the process end of it, in a copy of this one? */
static bool is_fatal(void (*what)(struct session *s), struct session *s)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        (void)close(STDERR_FILENO);
        (void)signal(SIGABRT, SIG_DFL);
        what(s);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void write_client(struct session *s)
{
    (void)!stream_write(&s->client, bytes_of("x", 1), NULL);
}

static void read_client(struct session *s)
{
    struct bytes in;

    (void)stream_read(&s->client, &in, NULL);
}

static void finish_server(struct session *s)
{
    stream_finish(&s->server);
}

static void flush_server(struct session *s)
{
    (void)!stream_flush(&s->server, NULL);
}

static void touch_nothing(struct session *s)
{
    (void)s;
}

static void who_holds_cannot_seal(void **state)
{
    void (*const ways[])(struct session * s) = { write_client, read_client, finish_server, flush_server };
    struct rig r;

    (void)state;
    rig_begin(&r, &tls_both);
    struct session *taken = rig_hold(&r);
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        assert_true(is_fatal(ways[i], r.s));
        assert_true(is_fatal(ways[i], taken));
    }
    assert_false(is_fatal(touch_nothing, taken));
    rig_commit(&r, taken);
    query(&r);
    rig_end(&r);
}

/* ---- what is known of it ---- */

/* All columns of the views, as text. */
struct shown {
    char text[VIEW_COLUMNS_MAX * 4][160];
    size_t n;
};

static void show_cells(struct shown *out, const struct cell *cells, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *to = out->text[out->n++];
        if (cells[i].kind == CELL_NULL)
            (void)snprintf(to, 160, "NULL");
        else if (cells[i].kind == CELL_TEXT)
            (void)snprintf(to, 160, "'%.*s'", STR_ARG(cells[i].text));
        else
            (void)snprintf(to, 160, "%lld", (long long)cells[i].i);
    }
}

static void gathered(void *arg)
{
    *(bool *)arg = true;
}

static void show(struct rig *r, struct shown *out)
{
    struct rows rows = { .shared = r->s->worker->shared };
    struct row_pgseal_sessions session = { 0 };
    struct row_pg_stat_ssl ssl = { 0 };
    struct row_pg_stat_activity activity = { 0 };
    struct row_pg_stat_gssapi gssapi = { 0 };
    bool done[1] = { false };
    struct err e;

    memset(out, 0, sizeof *out);
    rows.gather = gather_new(r->s->worker, GATHER_SESSIONS, gathered, done);
    arena_init(&rows.arena, 1 << 20, 1024);
    RIG_UNTIL(r, done[0]);
    assert_int_equal(rows_sort_cards(&rows, &e), OK);
    assert_int_equal(rows.n_cards, 1);
    rows_fill_sessions(&rows, rows.cards[0], &session);
    rows_fill_ssl(rows.cards[0], &ssl);
    rows_fill_activity(rows.cards[0], &activity);
    rows_fill_gssapi(rows.cards[0], &gssapi);
    assert_int_equal(session.upgrades.i, r->s->upgrades);
    session.upgrades = cell_int(0);
    /* Reckoned back from now: compared as the session's own member. */
    session.last_active = activity.state_change = cell_int(r->s->active_ms);
    show_cells(out, &session.pid, sizeof session / sizeof(struct cell));
    show_cells(out, &ssl.pid, sizeof ssl / sizeof(struct cell));
    show_cells(out, (const struct cell *)&activity, sizeof activity / sizeof(struct cell));
    show_cells(out, (const struct cell *)&gssapi, sizeof gssapi / sizeof(struct cell));
    arena_fini(&rows.arena);
    gather_free(rows.gather);
}

static void assert_same(const struct shown *a, const struct shown *b)
{
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++)
        assert_string_equal(a->text[i], b->text[i]);
}

/* What a session of this rig cannot have: a balancer, a name for the address, waits, an identity. */
static void pretend(struct session *s)
{
    s->balancer = ARENA_NEW(&s->arena, struct address);
    assert_non_null(s->balancer);
    *s->balancer = (struct address){ .n = sizeof(struct sockaddr_in6), .ss.ss_family = AF_INET6 };
    s->balancer_id = STR("a balancer's name for it");
    s->peer_name = STR("client.example");
    s->identity = STR("CN=alice,O=\"x\"");
    s->login_wait_us = 1234567;
    s->flags |= SESSION_BOUND;
}

static void views_show_the_same(void **state)
{
    static const char same[] = "# none\nhostssl all all all trust\nlocal all all trust\n",
                      other[] = "hostssl all all all scram-sha-256\nlocal all all scram-sha-256\n";
    const char *const rules[] = { NULL, same, other };
    struct rig_how hows[HOWS_MAX];
    size_t n = all_hows(hows);

    (void)state;
    for (size_t i = 0; i < n * COUNT_OF(rules); i++) {
        struct rig_how how = hows[i % n];
        struct shown before, held, after;
        struct rig r;
        how.other_rules = rules[i / n];
        rig_begin(&r, &how);
        query(&r);
        RIG_SAY(&r.client, "Q\0\0\0\4");
        RIG_EXPECT(&r, &r.server, "Q\0\0\0\4");
        pretend(r.s);
        show(&r, &before);
        struct session *taken = rig_hold(&r);
        show(&r, &held);
        rig_commit(&r, taken);
        show(&r, &after);
        assert_same(&before, &held);
        assert_same(&before, &after);
        if (!how.other_rules)
            assert_ptr_equal(taken->rule,
                             policy_rule(snapshot_policy(taken->snapshot), how.client_tls ? 0 : 1));
        rig_end(&r);
    }
}

/* ---- cancel ---- */

static void assert_known(struct rig *r, struct worker *worker, const struct session *s)
{
    bool pid_known;

    assert_ptr_equal(registry_find(worker, RIG_PID, bytes_of(r->key, r->key_n), &pid_known), s);
    assert_int_equal(pid_known, s != NULL);
    assert_ptr_equal(registry_next(worker, RIG_PID, NULL), s);
}

/* The server gets a cancel request, with its own key, under the session's protection. */
static void assert_cancels(struct rig *r, const struct rig_how *how)
{
    struct rig_end request = { .fd = -1 };

    session_cancel(r->s);
    rig_greet(r, &request, how);
    RIG_EXPECT(r, &request, "\0\0\0\x10\x04\xd2\x16\x2e\0\0\x12\x67" RIG_SERVER_KEY);
    rig_end_end(&request);
    rig_turn(r);
}

static void cancel_keys_work_on(void **state)
{
    struct rig_how hows[HOWS_MAX];
    size_t n = all_hows(hows);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        struct rig r;
        rig_begin(&r, &hows[i]);
        struct worker *old = r.s->worker, *new = rig_other(&r);
        assert_known(&r, old, r.s);
        assert_known(&r, new, NULL);
        assert_cancels(&r, &hows[i]);
        struct session *taken = rig_hold(&r);
        assert_known(&r, old, r.s);
        assert_known(&r, new, taken);
        assert_cancels(&r, &hows[i]); /* the old one still serves */
        rig_commit(&r, taken);
        assert_known(&r, old, NULL);
        assert_known(&r, new, taken);
        assert_cancels(&r, &hows[i]);
        query(&r);
        rig_end(&r);
    }
}

/* The second worker has another way to the server, or none. */
static void give_other_upstream(struct rig *r, const char *upstream, const char *more)
{
    struct sockaddr_in in = { 0 };
    socklen_t n = sizeof in;
    char text[512], added[512];

    assert_int_equal(getsockname(r->listener, (struct sockaddr *)&in, &n), 0);
    unsigned port = ntohs(in.sin_port);
    (void)snprintf(text, sizeof text, "%s port=%u sslrootcert=%s", upstream, port, rig_files.ca);
    (void)snprintf(added, sizeof added, "upstream.x = '%s port=%u sslrootcert=%s'\n", more ? more : upstream,
                   port, rig_files.ca);
    snapshot_unref(rig_other(r)->snapshot);
    rig_other(r)->snapshot = rig_load(&r->rooms[1], text, "hostssl all all all trust\n", added);
}

/* After an upgrade the old settings are gone: nobody else's name, and nothing weaker, may vouch for the server. */
static void cancels_go_where_a_setting_leads(void **state)
{
    static const char same[] = "host=db.example hostaddr=127.0.0.1 sslmode=verify-full",
                      other[] = "host=other.example hostaddr=127.0.0.1 sslmode=verify-full",
                      second[] =
                          "host=other.example,db.example hostaddr=127.0.0.1,127.0.0.1 sslmode=verify-full",
                      weaker[] = "host=db.example hostaddr=127.0.0.1 sslmode=verify-ca";
    static const struct {
        const char *upstream, *more;
        bool leads;
    } cases[] = { { same, NULL, true },  { other, NULL, false },  { second, NULL, true },
                  { other, same, true }, { weaker, NULL, false }, { weaker, same, true } };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rig r;
        rig_begin(&r, &tls_both);
        give_other_upstream(&r, cases[i].upstream, cases[i].more);
        rig_move(&r);
        assert_int_equal(r.s->cancel_route != NULL, cases[i].leads);
        if (cases[i].leads)
            assert_cancels(&r, &tls_both);
        else
            session_cancel(r.s);
        query(&r);
        rig_end(&r);
    }
}

/* A request finds its worker by the key, so the session must be there. */
static void only_the_worker_of_its_key_takes_it(void **state)
{
    struct buf packed = BUF_INIT(PACK_MAX);
    struct session *taken = NULL;
    struct err e;
    int fds[PACK_FDS];
    struct rig r;

    (void)state;
    rig_begin(&r, &tls_both);
    pack_freeze(r.s->worker);
    rig_pack(&r, &packed, fds);
    struct worker *other = rig_other(&r);
    other->shared->n_workers = 7;
    unsigned right = pack_worker(buf_bytes(&packed), 7);
    assert_int_equal(right, registry_worker(bytes_of(r.key, r.key_n), 7));
    for (other->index = 0; other->index < 7; other->index++) {
        enum code code = pack_take(other, buf_bytes(&packed), fds, &taken, &e);
        assert_int_equal(code, other->index == right ? OK : E_PROTOCOL);
        fds[0] = fcntl(r.s->client.fd, F_DUPFD_CLOEXEC, 0);
        fds[1] = fcntl(r.s->server.fd, F_DUPFD_CLOEXEC, 0);
    }
    other->index = right;
    struct session *twice;
    assert_int_equal(pack_take(other, buf_bytes(&packed), fds, &twice, &e), E_PROTOCOL);
    buf_fini_secret(&packed);
    other->index = 0;
    other->shared->n_workers = 1;
    assert_int_equal(other->n_alive, 1);
    pack_drop(taken);
    pack_thaw(r.s->worker);
    query(&r);
    rig_end(&r);
}

/* ---- ends ---- */

static void assert_terminated(struct rig *r)
{
    uint8_t text[RIG_TEXT];
    ssize_t n = 0;

    RIG_UNTIL(r, (n = rig_take(&r->client, text, sizeof text)) != 0);
    assert_true(n > 0 && memmem(text, (size_t)n, "57P01", 5));
    RIG_EXPECT(r, &r->server, "X\0\0\0\4");
}

static void what_was_to_end_ends_afterwards(void **state)
{
    (void)state;
    for (int stays = 0; stays < 2; stays++) {
        struct rig r;
        rig_begin(&r, &tls_both);
        struct session *taken = rig_hold(&r);
        assert_false(pack_is_doomed(r.s));
        session_drain(r.s, true); /* pg_terminate_backend() */
        assert_silent(&r, &r.client);
        assert_int_equal(r.s->state, STATE_RELAY);
        assert_true(pack_is_doomed(r.s));
        if (stays) {
            pack_drop(taken);
            pack_thaw(r.s->worker);
        } else {
            session_drain(taken, true);
            rig_commit(&r, taken);
        }
        assert_terminated(&r);
        rig_end(&r);
    }
}

/* Half-closes, and the end of a server that had been told of while nobody listened. */
static void ends_that_came_meanwhile_are_seen(void **state)
{
    uint8_t byte;

    (void)state;
    for (int early = 0; early < 2; early++) {
        struct rig r;
        rig_begin(&r, &tls_both);
        struct session *taken = NULL;
        if (!early)
            taken = rig_hold(&r);
        (void)SSL_shutdown(r.client.ssl);
        (void)rig_flush(&r.client, SIZE_MAX);
        assert_int_equal(shutdown(r.client.fd, SHUT_WR), 0);
        rig_turn(&r);
        if (early) { /* it was seen before, and passed on */
            RIG_UNTIL(&r, r.s->flags & SESSION_DEAF);
            taken = rig_hold(&r);
        }
        rig_commit(&r, taken);
        RIG_UNTIL(&r, rig_take(&r.server, &byte, 1) == -1);
        assert_true(r.s->flags & SESSION_DEAF);
        RIG_SAY(&r.server, "the last word");
        RIG_EXPECT(&r, &r.client, "the last word");
        struct session *again = rig_hold(&r);
        (void)SSL_shutdown(r.server.ssl);
        (void)rig_flush(&r.server, SIZE_MAX);
        assert_int_equal(shutdown(r.server.fd, SHUT_WR), 0);
        assert_silent(&r, &r.client);
        rig_commit(&r, again);
        RIG_UNTIL(&r, TAILQ_EMPTY(&r.rooms[r.at].worker.sessions));
        rig_end(&r);
    }
}

/* The second worker's configuration, as the first one's but for a list that revokes the client's certificate. */
static void revoke_for_the_other(struct rig *r)
{
    struct env env = env_system();
    AUTO(buf) struct buf pem = BUF_INIT(64 * 1024);
    char path[64], more[128], upstream[128];
    X509_CRL *crl = NULL;
    BIGNUM *serial = ASN1_INTEGER_to_BN(X509_get_serialNumber(rig_files.client), NULL);
    char *hex = BN_bn2hex(serial);
    struct ca_entry entry = { .serial_hex = str_c(hex), .revoked_unix_s = env_now_s(&env) };
    struct issue_crl what = { .entries = &entry, .n = 1, .days = 9, .number = 1 };

    rig_path(path, "crl");
    assert_int_equal(
        issue_crl(&what, &(struct issuer){ rig_files.ca_cert, rig_files.ca_key, &env }, &crl, NULL), OK);
    assert_int_equal(crl_to_pem(crl, &pem), OK);
    rig_write_text(path, buf_bytes(&pem));
    (void)snprintf(more, sizeof more, "ssl_crl_file = '%s'\n", path);
    (void)snprintf(upstream, sizeof upstream, "host=%s", rig_files.dir);
    snapshot_unref(rig_other(r)->snapshot);
    rig_other(r)->snapshot = rig_load(&r->rooms[1], upstream, "hostssl all all all trust\n", more);
    (void)unlink(path);
    X509_CRL_free(crl);
    OPENSSL_free(hex);
    BN_free(serial);
}

static void a_list_that_only_the_new_process_has_ends_it(void **state)
{
    const struct rig_how how = { .client_tls = true, .with_cert = true };

    (void)state;
    for (int revoked = 0; revoked < 2; revoked++) {
        struct rig r;
        rig_begin(&r, &how);
        if (revoked)
            revoke_for_the_other(&r);
        struct session *taken = rig_hold(&r);
        AUTO(cert) X509 *kept = tls_engine_peer(taken->client.tls);
        assert_non_null(kept);
        assert_int_equal(X509_cmp(kept, rig_files.client), 0);
        rig_commit(&r, taken);
        if (revoked)
            assert_terminated(&r);
        else
            query(&r);
        rig_end(&r);
    }
}

/* ---- memory ---- */

static void without_memory_the_old_process_keeps_it(void **state)
{
    unsigned packs = 0, takes = 0;
    struct rig r;

    (void)state;
    rig_begin(&r, &tls_both);
    uint8_t text[100] = "x";
    assert_int_equal(SSL_write(r.client.ssl, text, sizeof text), sizeof text);
    (void)rig_flush(&r.client, 50);
    RIG_UNTIL(&r, has_begun(&r.s->client, 50));
    pack_freeze(r.s->worker);
    AUTO(buf) struct buf whole = BUF_INIT(PACK_MAX);
    int fds[PACK_FDS];
    rig_pack(&r, &whole, fds);
    (void)close(fds[0]);
    (void)close(fds[1]);
    failed = true;
    for (long after = 0; failed; after++) {
        struct buf packed = BUF_INIT(PACK_MAX);
        failed = false;
        until_failure = after;
        enum code code = pack_session(r.s, &packed, fds);
        until_failure = -1;
        packs += failed;
        assert_int_equal(code, failed ? E_NOMEM : OK);
        if (failed)
            assert_int_equal(packed.n, 0);
        else
            assert_true(bytes_equal(buf_bytes(&packed), buf_bytes(&whole)));
        buf_fini_secret(&packed);
    }
    failed = true;
    struct session *taken = NULL;
    for (long after = 0; failed; after++) {
        struct err e;
        fds[0] = fcntl(r.s->client.fd, F_DUPFD_CLOEXEC, 0);
        fds[1] = fcntl(r.s->server.fd, F_DUPFD_CLOEXEC, 0);
        failed = false;
        until_failure = after;
        enum code code = pack_take(rig_other(&r), buf_bytes(&whole), fds, &taken, &e);
        until_failure = -1;
        takes += code != OK;
        assert_int_equal(code, code == OK ? OK : E_NOMEM); /* a counter that cannot be made is done without */
        if (!failed)
            continue;
        if (code == OK)
            pack_drop(taken);
        assert_int_equal(fcntl(fds[0], F_GETFD), -1);
        assert_int_equal(fcntl(fds[1], F_GETFD), -1);
        assert_int_equal(rig_other(&r)->n_alive, 0);
        assert_int_equal(rig_other(&r)->shared->connections, 0);
        assert_null(TAILQ_FIRST(&rig_other(&r)->sessions));
        rig_turn(&r);
    }
    assert_true(packs > 1 && takes > 5);
    buf_fini_secret(&whole);
    pack_drop(taken);
    pack_thaw(r.s->worker);
    (void)rig_flush(&r.client, SIZE_MAX);
    rig_expect(&r, &r.server, bytes_of(text, sizeof text));
    query(&r);
    rig_end(&r);
}

/* ---- bytes of a stranger ---- */

static void damaged_packs_are_refused(void **state)
{
    struct rig r;
    unsigned refused = 0;

    (void)state;
    rig_begin(&r, &tls_both);
    pack_freeze(r.s->worker);
    AUTO(buf) struct buf whole = BUF_INIT(PACK_MAX);
    int fds[PACK_FDS];
    rig_pack(&r, &whole, fds);
    (void)close(fds[0]);
    (void)close(fds[1]);
    for (size_t i = 0; i < 2 * whole.n; i++) {
        struct session *taken = NULL;
        struct err e;
        bool cut = i >= whole.n;
        fds[0] = fcntl(r.s->client.fd, F_DUPFD_CLOEXEC, 0);
        fds[1] = fcntl(r.s->server.fd, F_DUPFD_CLOEXEC, 0);
        if (!cut)
            whole.p[i] ^= (uint8_t)(1 << i % 8);
        struct bytes bytes = bytes_of(whole.p, cut ? i - whole.n : whole.n);
        enum code code = pack_take(rig_other(&r), bytes, fds, &taken, &e);
        if (!cut)
            whole.p[i] ^= (uint8_t)(1 << i % 8);
        assert_true(code == E_PROTOCOL || (code == OK && !cut));
        refused += code != OK;
        if (code == OK)
            pack_drop(taken);
        else
            assert_int_equal(fcntl(fds[1], F_GETFD), -1);
        assert_int_equal(rig_other(&r)->n_alive, 0);
        rig_turn(&r);
    }
    assert_true(refused > whole.n);
    buf_fini_secret(&whole);
    pack_thaw(r.s->worker);
    query(&r);
    rig_end(&r);
}

/* ---- the format ---- */

static const char *corpus; /* packs of the present format: those of tests/fuzz/corpus/pack */

static void put_seed(struct rig *r, const char *name)
{
    AUTO(buf) struct buf packed = BUF_INIT(PACK_MAX);
    char path[256];
    int fds[PACK_FDS];

    pack_freeze(r->s->worker);
    rig_pack(r, &packed, fds);
    (void)close(fds[0]);
    (void)close(fds[1]);
    (void)snprintf(path, sizeof path, "%s/%s", corpus, name);
    rig_write_text(path, buf_bytes(&packed));
    pack_thaw(r->s->worker);
}

static struct bytes get_seed(const char *name, uint8_t *to, size_t size)
{
    char path[256];

    (void)snprintf(path, sizeof path, "%s/%s", corpus, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, to, size);
    assert_true(n > 0);
    (void)close(fd);
    return bytes_of(to, (size_t)n);
}

/* For all that differs in kind: `./test_pack DIRECTORY write` makes them anew. */
static void each_seed(void (*what)(struct rig *r, const char *name))
{
    static const struct {
        const char *name;
        struct rig_how how;
    } seeds[] = {
        { "local", { .long_key = true } },
        { "client_tls", { .client_tls = true, .suite = "TLS_AES_256_GCM_SHA384" } },
        { "both_tls",
          { .client_tls = true, .server_tls = true, .with_cert = true, .suite = "TLS_AES_128_GCM_SHA256" } },
        { "records_in_part",
          { .client_tls = true, .server_tls = true, .suite = "TLS_CHACHA20_POLY1305_SHA256" } },
    };

    for (size_t i = 0; i < COUNT_OF(seeds); i++) {
        struct rig r;
        uint8_t text[100] = "x";
        rig_begin(&r, &seeds[i].how);
        if (i == COUNT_OF(seeds) - 1) {
            assert_int_equal(SSL_write(r.client.ssl, text, sizeof text), sizeof text);
            (void)rig_flush(&r.client, 9);
            RIG_UNTIL(&r, has_begun(&r.s->client, 9));
        }
        what(&r, seeds[i].name);
        rig_end(&r);
    }
}

static void take_seed(struct rig *r, const char *name)
{
    uint8_t text[RIG_TEXT];
    struct session *taken = NULL;
    int fds[PACK_FDS];
    struct err e;
    struct bytes seed = get_seed(name, text, sizeof text);

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    if (pack_take(rig_other(r), seed, fds, &taken, &e) != OK)
        fail_msg("%s is not taken: raise PACK_FORMAT and write the seeds anew, with \"test_pack %s write\"",
                 name, corpus);
    assert_true(str_is(taken->startup.user, "alice") && taken->pid == RIG_PID);
    pack_drop(taken);
}

/* A pack of another build with the same PACK_FORMAT is taken: so the format cannot change without its number. */
static void packs_of_this_format_are_taken(void **state)
{
    (void)state;
    each_seed(take_seed);
}

static void write_seeds(void **state)
{
    (void)state;
    each_seed(put_seed);
}

static void others_cannot_go_over(void **state)
{
    static const struct {
        enum state state;
        const char *why;
    } cases[] = { { STATE_GREET, "no StartupMessage yet" },
                  { STATE_UPSTREAM, "login in progress" },
                  { STATE_CONSOLE, "status database" } };
    struct rig r;
    const char *why = NULL;

    (void)state;
    rig_begin(&r, &tls_both);
    assert_true(pack_can(r.s, &why));
    assert_null(why);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        r.s->state = cases[i].state;
        assert_false(pack_can(r.s, &why));
        assert_string_equal(why, cases[i].why);
        pack_freeze(r.s->worker);
        assert_false(r.s->flags & SESSION_HELD);
    }
    r.s->state = STATE_RELAY;
    query(&r);
    rig_end(&r);
}

/* What the other process would refuse: one such session must not keep all of them where they are. */
static void who_hears_nothing_more_stays(void **state)
{
    struct rig r;
    const char *why = NULL;

    (void)state;
    rig_begin(&r, &tls_both);
    bool *const flags[] = { &r.s->client.unsendable, &r.s->client.finishing };
    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        *flags[i] = true;
        assert_false(pack_can(r.s, &why));
        assert_string_equal(why, "ending");
        *flags[i] = false;
    }
    assert_true(buf_append(&r.s->server.pending, str_bytes(STR("x"))));
    r.s->server.unsendable = true;
    assert_false(pack_can(r.s, &why));
    r.s->server.unsendable = false;
    buf_reset(&r.s->server.pending);
    assert_true(pack_can(r.s, &why));
    query(&r);
    rig_end(&r);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest writing[] = { cmocka_unit_test(write_seeds) };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_session_goes_on),
        cmocka_unit_test(nothing_moves_while_it_is_held),
        cmocka_unit_test(what_is_dropped_goes_on_where_it_was),
        cmocka_unit_test(records_may_have_begun),
        cmocka_unit_test(messages_may_have_begun),
        cmocka_unit_test(output_that_waits_is_kept),
        cmocka_unit_test(key_updates_are_kept),
        cmocka_unit_test(numbers_go_on),
        cmocka_unit_test(only_the_worker_of_its_key_takes_it),
        cmocka_unit_test(the_old_process_has_no_key_left),
        cmocka_unit_test(who_holds_cannot_seal),
        cmocka_unit_test(views_show_the_same),
        cmocka_unit_test(cancel_keys_work_on),
        cmocka_unit_test(cancels_go_where_a_setting_leads),
        cmocka_unit_test(what_was_to_end_ends_afterwards),
        cmocka_unit_test(ends_that_came_meanwhile_are_seen),
        cmocka_unit_test(a_list_that_only_the_new_process_has_ends_it),
        cmocka_unit_test(without_memory_the_old_process_keeps_it),
        cmocka_unit_test(damaged_packs_are_refused),
        cmocka_unit_test(packs_of_this_format_are_taken),
        cmocka_unit_test(others_cannot_go_over),
        cmocka_unit_test(who_hears_nothing_more_stays),
    };

    if (CRYPTO_set_mem_functions(openssl_allocate, openssl_reallocate, openssl_release) != 1 || argc < 2)
        return 1;
    corpus = argv[1];
    if (argc > 2)
        return cmocka_run_group_tests(writing, rig_set_up, rig_tear_down);
    return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
