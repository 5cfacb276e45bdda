/* Connections in a server's log: every form of it, what names may hold, and what is passed over. */
#include "../unit.h"

#include "audit/known.h"
#include "audit/subject.h"
#include "audit/subject_live.h"
#include "base/arena.h"

struct read {
    struct arena arena;
    struct known_clients known;
};

static void read_log(struct read *r, const char *log)
{
    arena_init(&r->arena, 64 << 20, 4096);
    known_init(&r->known, &r->arena);
    known_add_log(&r->known, str_c(log), STR("log"));
    assert_false(r->known.nomem);
}

static void expect(const char *log, const char *user, const char *database, const char *address,
                   const char *tls)
{
    struct read r;

    read_log(&r, log);
    assert_int_equal(r.known.n, 1);
    const struct known_client *c = &r.known.items[0];
    assert_true(str_is(c->user, user));
    assert_true(database ? str_is(c->database, database) : !c->database.p);
    assert_true(str_is(c->address, address));
    assert_int_equal(c->tls, tls != NULL);
    assert_true(str_is(c->tls_version, tls ? tls : ""));
    arena_fini(&r.arena);
}

#define RECEIVED "2026-11-29 10:00:00 UTC [7] LOG:  connection received: host=10.0.0.7 port=5\n"
#define AUTHORIZED "2026-11-29 10:00:00 UTC [7] u@d LOG:  connection authorized: "

static void forms(void **state)
{
    (void)state;
    expect(RECEIVED AUTHORIZED "user=ann database=app SSL enabled (protocol=TLSv1.2, cipher=X, bits=256)\n",
           "ann", "app", "10.0.0.7", "TLSv1.2");
    expect(RECEIVED AUTHORIZED "user=ann database=app application_name=a b\r\n", "ann", "app", "10.0.0.7",
           NULL);
    expect(
        "[9] LOG:  connection received: host=[local]\n[9] LOG:  connection authorized: user=ann database=app",
        "ann", "app", "", NULL);
    expect(RECEIVED "[7] LOG:  replication connection authorized: user=rep application_name=s SSL enabled "
                    "(protocol=TLSv1.3, cipher=X, bits=256)\n",
           "rep", NULL, "10.0.0.7", "TLSv1.3");
    expect(
        "x,\"ann\",\"app\",7,\"2001:db8::7:5432\",1,LOG,0,\"connection authorized: user=ann database=app\",,\n",
        "ann", "app", "2001:db8::7", NULL);
    expect(
        "{\"pid\":7,\"remote_host\":\"10.0.0.7\",\"message\":\"connection authorized: user=ann database=app\"}",
        "ann", "app", "10.0.0.7", NULL);
}

static void names(void **state)
{
    (void)state;
    expect(RECEIVED AUTHORIZED "user=da ve database=my db application_name=x", "da ve", "my db", "10.0.0.7",
           NULL);
    expect(RECEIVED AUTHORIZED "user=\xff\x01 database=app", "\xff\x01", "app", "10.0.0.7", NULL);
}

static void counts(void **state)
{
    struct read r;

    (void)state;
    read_log(&r, RECEIVED AUTHORIZED
             "user=ann database=app SSL enabled (protocol=TLSv1.3, x)\n" RECEIVED AUTHORIZED
             "user=ann database=app SSL enabled (protocol=TLSv1.2, x)\n");
    assert_int_equal(r.known.n, 1);
    assert_int_equal(r.known.items[0].times, 2);
    assert_true(str_is(r.known.items[0].tls_version, "TLSv1.2")); /* the lowest */
    arena_fini(&r.arena);
    /* without an address, by a host's name, by another process's address */
    read_log(&r, AUTHORIZED "user=a database=b\n[8] LOG:  connection received: host=db.example port=1\n"
                            "[8] LOG:  connection authorized: user=a database=b\n" RECEIVED
                            "[65543] LOG:  connection authorized: user=a database=b\n");
    assert_int_equal(r.known.n, 0);
    assert_int_equal(r.known.unplaced, 3);
    arena_fini(&r.arena);
    read_log(&r, RECEIVED AUTHORIZED "user=ann database=app GSS (authenticated=yes, encrypted=yes)\n"
                                     "LOG:  connection\nLOG:  connection received: host=\n\n");
    assert_int_equal(r.known.n + r.known.unplaced, 0);
    arena_fini(&r.arena);
}

/* What a running server shows of its sessions: without a request for certificates nobody shows one. */
static void sessions(void **state)
{
    const struct live_session seen[] = {
        { .user = STR("ann"),
          .database = STR("app"),
          .address = STR("10.0.0.7"),
          .tls_version = STR("TLSv1.3"),
          .sealed = true },
        { .user = STR("rep"), .address = STR("10.0.0.8"), .standby = true },
        { .user = STR("krb"), .address = STR("10.0.0.9"), .sealed = true },
    };
    const struct subject_live live = { .sessions = seen, .n_sessions = 3 };
    const struct audit_subject subject = { .live = &live }, silent = { .live = NULL };
    struct read r;

    (void)state;
    read_log(&r, "");
    known_add_sessions(&r.known, &silent);
    known_add_sessions(&r.known, &subject);
    assert_int_equal(r.known.n, 2); /* GSS has rules of its own */
    assert_true(r.known.items[0].tls && !r.known.items[0].replication);
    assert_int_equal(r.known.items[0].cert, KNOWN_CERT_UNKNOWN);
    assert_true(!r.known.items[1].tls && r.known.items[1].replication);
    arena_fini(&r.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms),
        cmocka_unit_test(names),
        cmocka_unit_test(counts),
        cmocka_unit_test(sessions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
