/* What the wire tells of a client, and the file that keeps it. */
#include "base/buf.h"
#include "base/lru.h"
#include "os/files.h"
#include "status/clients_store.h"
#include "unit.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define S_US ((int64_t)1000000)

/* ---- counting and concluding ---- */

static struct client_row row_of(const char *user, int64_t at_us)
{
    struct client_row row = { .sessions = 1, .first_us = at_us, .last_us = at_us };

    CLIENT_PUT(row.key.user, str_c(user));
    CLIENT_PUT(row.key.address, STR("192.0.2.1"));
    return row;
}

static struct client_row plain(int64_t at_us, bool refused)
{
    struct client_row row = row_of("alice", at_us);

    row.seen = CLIENT_PLAIN;
    row.plaintext = 1;
    row.sessions = !refused;
    row.plain_us = at_us;
    row.plain_refused_us = refused ? at_us : 0;
    return row;
}

static struct client_row tls(int64_t at_us, bool refused, const char *version)
{
    struct client_row row = row_of("alice", at_us);

    row.seen = CLIENT_TLS;
    row.sessions = !refused;
    row.tls_us = at_us;
    row.tls_refused_us = refused ? at_us : 0;
    CLIENT_PUT(row.tls_version, str_c(version));
    return row;
}

static struct client_row stranger(int64_t at_us, unsigned seen)
{
    struct client_row row = row_of("", at_us);

    row.seen = seen;
    row.sessions = 0;
    row.tls_failures = 1;
    row.tls_failed_us = at_us;
    return row;
}

static void rows_are_added_in_any_order(void **state)
{
    struct client_row late = tls(30, false, "TLSv1.3"), early = tls(10, true, "TLSv1.2"),
                      row = { .first_us = 0 };

    (void)state;
    CLIENT_PUT(late.sni, STR("new.example"));
    CLIENT_PUT(early.sni, STR("old.example"));
    CLIENT_PUT(early.issuer, STR("/CN=old"));
    CLIENT_PUT(early.serial, STR("5"));
    early.cert_ends_s = 99;
    late.gs2 = 'p';
    early.gs2 = 'n';
    client_merge(&row, &late);
    client_merge(&row, &early);
    assert_int_equal(row.sessions, 1);
    assert_int_equal(row.first_us, 10);
    assert_int_equal(row.last_us, 30);
    assert_int_equal(row.tls_refused_us, 10);
    assert_string_equal(row.tls_version, "TLSv1.2");
    assert_string_equal(row.sni, "new.example");
    assert_string_equal(row.issuer, "");
    assert_string_equal(row.serial, ""); /* it showed none the last time */
    assert_true(row.cert_ends_s == 0);
    assert_string_equal(client_binding(&row), "used");
    late = plain(40, false);
    client_merge(&row, &late); /* says nothing of TLS */
    assert_string_equal(row.sni, "new.example");
    assert_int_equal(row.plaintext, 1);
}

static void texts_are_cut(void **state)
{
    char to[4] = "zzz";

    (void)state;
    CLIENT_PUT(to, STR("a\0b"));
    assert_memory_equal(to, "a\0\0\0", 4);
    CLIENT_PUT(to, STR("abcdef"));
    assert_memory_equal(to, "abc\0", 4);
}

static const char *mode_of(const struct client_row *seen, size_t n, const struct client_row *nameless,
                           int64_t now_us)
{
    static struct client_row row;
    struct client_row other = nameless ? *nameless : (struct client_row){ .sessions = 0 };

    row = seen[0];
    for (size_t i = 1; i < n; i++)
        client_merge(&row, &seen[i]);
    (void)client_conclude(&row, nameless ? &other : NULL);
    return client_sslmode(&row, now_us);
}

#define MODE(nameless, now_us, ...)                                                                          \
    mode_of((const struct client_row[]){ __VA_ARGS__ },                                                      \
            sizeof((const struct client_row[]){ __VA_ARGS__ }) / sizeof(struct client_row), nameless,        \
            now_us)

static void the_order_of_tries_tells_the_mode(void **state)
{
    const struct client_row failed = stranger(10 * S_US, CLIENT_DISTRUSTS);
    struct client_row told_n = row_of("alice", 1), direct = tls(1, false, "TLSv1.3"),
                      left = stranger(1, CLIENT_LEFT_AT_N);
    struct client_row name = stranger(1, CLIENT_WRONG_NAME), local = row_of("alice", 1),
                      nothing = stranger(1, 0);

    (void)state;
    told_n.seen = CLIENT_PLAIN_AFTER_N;
    direct.seen |= CLIENT_DIRECT;
    local.seen = CLIENT_LOCAL;
    assert_string_equal(MODE(NULL, 99 * S_US, plain(10 * S_US, false)), "disable or allow");
    assert_string_equal(MODE(NULL, 11 * S_US, plain(10 * S_US, true)),
                        "disable or allow"); /* TLS may follow yet */
    assert_string_equal(MODE(NULL, 14 * S_US, plain(10 * S_US, true)), "disable");
    assert_string_equal(MODE(NULL, 14 * S_US, plain(10 * S_US, true), tls(10 * S_US + 9, false, "TLSv1.3")),
                        "allow");
    assert_string_equal(MODE(NULL, 99 * S_US, plain(10 * S_US, true), tls(14 * S_US, false, "TLSv1.3")),
                        "disable or allow"); /* too late to be its second try, but it does do TLS */
    assert_string_equal(MODE(NULL, 99 * S_US, told_n), "prefer");
    assert_string_equal(MODE(NULL, 99 * S_US, tls(10 * S_US, true, "TLSv1.3"), plain(10 * S_US + 9, true)),
                        "prefer");
    assert_string_equal(MODE(&failed, 99 * S_US, plain(10 * S_US + 9, false)), "prefer");
    assert_string_equal(MODE(&failed, 99 * S_US, plain(14 * S_US, false)), "disable or allow");
    assert_string_equal(MODE(&failed, 99 * S_US, plain(10 * S_US - 9, true)), "allow");
    assert_string_equal(MODE(NULL, 99 * S_US, tls(10 * S_US, false, "TLSv1.3")), "prefer or stronger");
    assert_string_equal(MODE(NULL, 11 * S_US, tls(10 * S_US, true, "TLSv1.3")), "prefer or stronger");
    assert_string_equal(MODE(NULL, 99 * S_US, tls(10 * S_US, true, "TLSv1.3")), "require or stronger");
    assert_string_equal(MODE(NULL, 99 * S_US, direct), "require or stronger, direct");
    assert_string_equal(MODE(NULL, 99 * S_US, left), "require or stronger");
    assert_string_equal(MODE(NULL, 99 * S_US, failed), "verify-ca or stronger");
    assert_string_equal(MODE(NULL, 99 * S_US, name), "verify-full");
    assert_string_equal(MODE(NULL, 99 * S_US, nothing), "");
    assert_string_equal(MODE(NULL, 99 * S_US, local), "");
}

static const char *verified(struct client_row row, int64_t us)
{
    int64_t at_us;
    const char *text = client_verifies(&row, &at_us);

    assert_int_equal(at_us, us);
    return text;
}

/* The latest evidence of each kind counts, the weakest that fits is said. */
static void canaries_show_who_verifies(void **state)
{
#define SHOWN(us, ...) verified((struct client_row){ __VA_ARGS__ }, us)
    (void)state;
    assert_string_equal(SHOWN(0, .sessions = 1), "unknown");
    assert_string_equal(SHOWN(5, .strange_taken_us = 5), "no");
    assert_string_equal(SHOWN(5, .strange_taken_us = 5, .misnamed_refused_us = 9), "no");
    assert_string_equal(SHOWN(6, .strange_taken_us = 5, .strange_refused_us = 6), "chain only");
    assert_string_equal(SHOWN(7, .strange_refused_us = 6, .misnamed_taken_us = 7), "chain only");
    assert_string_equal(SHOWN(7, .misnamed_taken_us = 7), "chain only");
    assert_string_equal(SHOWN(8, .strange_refused_us = 6, .misnamed_taken_us = 7, .misnamed_refused_us = 8),
                        "yes");
    assert_string_equal(SHOWN(9, .strange_refused_us = 9, .misnamed_refused_us = 8), "yes");
    assert_string_equal(SHOWN(0, .misnamed_refused_us = 8), "unknown"); /* why it left, nobody knows */
#undef SHOWN
}

static void refusals_are_charged(void **state)
{
    struct client_row address = stranger(1, 0), row = tls(1, false, "TLSv1.3");

    (void)state;
    address.ca_failed_us = 7;
    address.strange_refused_us = 8;
    assert_true(client_owes(&row, &address));
    assert_true(client_charge(&row, &address, false));
    assert_true(row.ca_failed_us == 7 && row.strange_refused_us == 0);
    assert_false(client_charge(&row, &address, false));
    assert_true(client_charge(&row, &address, true));
    assert_true(row.strange_refused_us == 8);
    assert_false(client_charge(&row, &address, true));
    assert_false(client_owes(&row, &address));
}

/* A bounded table: rows without sessions go first, then the oldest. */
static void what_is_forgotten_first(void **state)
{
    struct lru *aged = lru_new(4, sizeof(struct client_row), sizeof(struct client_key), 3);
    const struct client_key old = row_of("old", 0).key, made_up = row_of("made up", 0).key,
                            new = row_of("new", 0).key;
    const struct client_key newest = row_of("newest", 0).key, other = row_of("other", 0).key;

    (void)state;
    assert_non_null(lru_note(aged, &old, true));
    assert_non_null(lru_note(aged, &made_up, false));
    assert_non_null(lru_note(aged, &new, true));
    assert_non_null(lru_note(aged, &newest, true));
    assert_null(lru_find(aged, &made_up));
    assert_null(lru_note(aged, &made_up, false)); /* no room for such */
    assert_non_null(lru_note(aged, &old, false)); /* high all the same; and now "new" is the oldest */
    assert_non_null(lru_note(aged, &other, true));
    assert_null(lru_find(aged, &new));
    assert_int_equal(lru_count(aged), 3);
    assert_null(lru_next(aged, false, NULL));
    lru_limit(aged, 1);
    assert_non_null(lru_find(aged, &other));
    assert_int_equal(lru_count(aged), 1);
    lru_limit(aged, 0);
    assert_null(lru_note(aged, &other, true));
    lru_free(aged);
}

/* ---- the file ---- */

enum { KEPT_MAX = 600 };

struct kept {
    struct client_row rows[KEPT_MAX];
    size_t n, at;
};

static struct kept loaded, given;
static char directory[64], path[128];

static int make_directory(void **state)
{
    (void)state;
    /* In memory where there is such a place: every save is synced to disk. */
    (void)snprintf(directory, sizeof directory, "%s/pgseal-clients-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(directory))
        return -1;
    (void)snprintf(path, sizeof path, "%s/clients", directory);
    memset(&loaded, 0, sizeof loaded);
    memset(&given, 0, sizeof given);
    return 0;
}

static int remove_directory(void **state)
{
    static const char *const names[] = { "", "-journal", ".damaged", ".damaged-journal" };
    char name[160];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(name, sizeof name, "%s%s", path, names[i]);
        (void)unlink(name);
    }
    return rmdir(directory);
}

static void keep(void *arg, const struct client_row *row)
{
    struct kept *kept = arg;

    assert_true(kept->n < KEPT_MAX);
    kept->rows[kept->n++] = *row;
}

static enum code load(struct err *e)
{
    loaded.n = 0;
    return client_store_load(path, keep, &loaded, e);
}

static const struct client_row *next(void *arg)
{
    struct kept *kept = arg;

    return kept->at < kept->n ? &kept->rows[kept->at++] : NULL;
}

static enum code save(size_t limit, struct err *e)
{
    const struct client_changes changes = { .next = next, .arg = &given, .limit = limit };

    given.at = 0;
    return client_store_save(path, &changes, e);
}

/* `n` clients, of whom every second one had sessions. */
static void give(size_t n)
{
    char name[32];

    given.n = n;
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(name, sizeof name, "user %zu", i);
        given.rows[i] = tls((int64_t)i + 1, i % 2, i % 3 ? "TLSv1.3" : "TLSv1.2");
        CLIENT_PUT(given.rows[i].key.user, str_c(name));
        CLIENT_PUT(given.rows[i].key.application, STR("it's \xff \"odd\""));
        CLIENT_PUT(given.rows[i].sni, STR("db.example"));
        CLIENT_PUT(given.rows[i].issuer, STR("/CN=some CA"));
        CLIENT_PUT(given.rows[i].subject, STR("/CN=somebody"));
        CLIENT_PUT(given.rows[i].serial, STR("1234567890123456789012345678901234567890"));
        given.rows[i].cert_ends_s = 1800000000 + (int64_t)i;
        given.rows[i].ca_new_us = 11;
        given.rows[i].ca_failed_us = 12;
        given.rows[i].strange_taken_us = 13;
        given.rows[i].strange_refused_us = 14;
        given.rows[i].misnamed_taken_us = 15;
        given.rows[i].misnamed_refused_us = 16;
        given.rows[i].gs2 = 'y';
        given.rows[i].alpn = true;
    }
}

static void what_was_saved_is_there(void **state)
{
    struct stat st;
    struct err e;

    (void)state;
    assert_int_equal(load(&e), OK); /* no file: no rows */
    assert_int_equal(loaded.n, 0);
    give(20);
    assert_int_equal(save(100, &e), OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    given.rows[3].sessions = 7;
    given.rows[3].last_us = 99;
    given.rows[0] = given.rows[3];
    given.n = 1;
    assert_int_equal(save(100, &e), OK); /* one row anew */
    give(20);
    given.rows[3].sessions = 7;
    given.rows[3].last_us = 99;
    assert_int_equal(load(&e), OK);
    assert_int_equal(loaded.n, 20);
    assert_memory_equal(&loaded.rows[19], &given.rows[3], sizeof loaded.rows[0]); /* the latest last */
    assert_memory_equal(&loaded.rows[0], &given.rows[0], sizeof loaded.rows[0]);
}

static void the_file_is_bounded(void **state)
{
    struct err e;

    (void)state;
    give(20);
    assert_int_equal(save(12, &e), OK);
    assert_int_equal(load(&e), OK);
    assert_int_equal(loaded.n, 12);
    size_t had_sessions = 0;
    for (size_t i = 0; i < loaded.n; i++)
        had_sessions += loaded.rows[i].sessions > 0;
    assert_int_equal(had_sessions, 10);
    given.n = 0;
    assert_int_equal(save(0, &e), OK);
    assert_int_equal(load(&e), OK);
    assert_int_equal(loaded.n, 0);
}

static void others_files_are_left_alone(void **state)
{
    struct err e;
    char aside[160];

    (void)state;
    give(1);
    assert_int_equal(save(10, &e), OK);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(load(&e), E_CONFIG);
    assert_int_equal(save(10, &e), E_CONFIG);
    assert_int_equal(chmod(path, 0600), 0);
    (void)snprintf(aside, sizeof aside, "%s.damaged", path);
    assert_int_equal(rename(path, aside), 0);
    assert_int_equal(symlink(aside, path), 0);
    assert_int_equal(load(&e), E_CONFIG);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(save(10, &e), E_CONFIG);
    assert_int_equal(rmdir(path), 0);
}

static void run_sql(const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_int_equal(chmod(path, 0600), 0);
}

static void foreign_files_are_known(void **state)
{
    static const char *const changes[] = {
        "PRAGMA user_version = 4",
        "PRAGMA user_version = 2", /* of which the table was another */
        "PRAGMA application_id = 1",
        "CREATE TRIGGER t AFTER INSERT ON clients BEGIN DELETE FROM clients; END",
        "CREATE VIEW v AS SELECT 1",
        "ALTER TABLE clients ADD COLUMN more TEXT",
        "DROP TABLE clients; CREATE VIEW clients AS SELECT 1 AS user",
    };
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        give(3);
        assert_int_equal(save(10, &e), OK);
        run_sql(changes[i]);
        assert_int_equal(load(&e), E_DAMAGED);
        assert_int_equal(save(10, &e), E_DAMAGED);
        assert_int_equal(client_store_set_aside(path, &e), OK);
        assert_int_equal(load(&e), OK);
        assert_int_equal(loaded.n, 0);
    }
    run_sql("CREATE TABLE others (a)");
    assert_int_equal(save(10, &e), E_DAMAGED);
}

static const char old_file[] =
    "PRAGMA application_id = 1885827939; PRAGMA user_version = 2; "
    "CREATE TABLE clients (user TEXT NOT NULL, address TEXT NOT NULL, application TEXT NOT NULL, "
    "tls_version TEXT NOT NULL, sni TEXT NOT NULL, issuer TEXT NOT NULL, "
    "subject TEXT NOT NULL, serial TEXT NOT NULL, "
    "alpn INTEGER NOT NULL, gs2 INTEGER NOT NULL, seen INTEGER NOT NULL, sessions INTEGER NOT NULL, "
    "plaintext INTEGER NOT NULL, tls_failures INTEGER NOT NULL, first_us INTEGER NOT NULL, "
    "last_us INTEGER NOT NULL, plain_us INTEGER NOT NULL, plain_refused_us INTEGER NOT NULL, "
    "tls_us INTEGER NOT NULL, tls_refused_us INTEGER NOT NULL, tls_failed_us INTEGER NOT NULL, "
    "cert_ends_s INTEGER NOT NULL, "
    "PRIMARY KEY (user, address, application)) WITHOUT ROWID; "
    "INSERT INTO clients VALUES ('old', '192.0.2.1', 'app', 'TLSv1.3', 'db', '', '', '7', 1, 112, 4, 5, 0, 0, "
    "1, 2, 0, 0, 3, 0, 0, 9)";

/* What an earlier version wrote is read, and written on. */
static void an_older_file_is_taken_over(void **state)
{
    struct err e;

    (void)state;
    run_sql(old_file);
    assert_int_equal(load(&e), OK);
    assert_int_equal(loaded.n, 1);
    assert_string_equal(loaded.rows[0].key.user, "old");
    assert_int_equal(loaded.rows[0].sessions, 5);
    assert_true(loaded.rows[0].cert_ends_s == 9 && loaded.rows[0].ca_new_us == 0);
    give(2);
    assert_int_equal(save(10, &e), OK);
    assert_int_equal(load(&e), OK);
    assert_int_equal(loaded.n, 3);
    size_t with_evidence = 0;
    for (size_t i = 0; i < loaded.n; i++)
        with_evidence += loaded.rows[i].misnamed_refused_us == 16;
    assert_int_equal(with_evidence, 2);
    assert_int_equal(client_store_set_aside(path, &e), OK);
    run_sql(old_file);
    run_sql("ALTER TABLE clients ADD COLUMN more TEXT");
    assert_int_equal(load(&e), E_DAMAGED);
}

/* Values that nobody could have counted do no harm. */
static void odd_values_are_cut(void **state)
{
    struct err e;

    (void)state;
    give(1);
    assert_int_equal(save(10, &e), OK);
    run_sql(
        "UPDATE clients SET sessions = -5, plaintext = 9223372036854775807, seen = -1, gs2 = 'x', last_us = 1e300, "
        "issuer = hex(zeroblob(1000)), sni = x'00ff', serial = '12; no number', cert_ends_s = 9223372036854775807");
    assert_int_equal(load(&e), OK);
    assert_int_equal(loaded.n, 1);
    assert_int_equal(loaded.rows[0].sessions, 0);
    assert_true(loaded.rows[0].plaintext > 0 && loaded.rows[0].plaintext < INT64_MAX / 2);
    assert_true(loaded.rows[0].seen <= CLIENT_SEEN_ALL);
    assert_int_equal(strlen(loaded.rows[0].issuer), CLIENT_TEXT_SIZE - 1);
    assert_string_equal(loaded.rows[0].sni, "");
    assert_string_equal(loaded.rows[0].serial, "");
    assert_true(loaded.rows[0].cert_ends_s < INT64_MAX / 1000000);
    assert_true(*client_sslmode(&loaded.rows[0], 0) || loaded.rows[0].seen == 0);
}

static void write_file(const uint8_t *data, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, n), (ssize_t)n);
    assert_int_equal(close(fd), 0);
}

/* Whole or refused: never a part of it, and what is refused can be replaced. */
static void every_truncation_is_known(void **state)
{
    struct buf whole = BUF_INIT(OS_FILE_LIMIT);
    struct err e;

    (void)state;
    give(40);
    assert_int_equal(save(100, &e), OK);
    assert_int_equal(os_read_file(path, &whole, &e), OK);
    assert_true(whole.n >= (size_t)2 * 4096);
    for (size_t n = 0; n < whole.n; n += n < 150 ? 1 : 61) {
        write_file(whole.p, n);
        enum code code = load(&e);
        /* A byte is nothing to SQLite. */
        assert_true(code == E_DAMAGED || (n <= 1 && code == OK && loaded.n == 0));
        if (n > 2 && n % 10)
            continue;
        assert_int_equal(client_store_set_aside(path, &e), OK);
        given.n = 1;
        assert_int_equal(save(100, &e), OK);
        assert_int_equal(load(&e), OK);
        assert_int_equal(loaded.n, 1);
    }
    buf_fini(&whole);
}

static void no_flipped_bit_does_harm(void **state)
{
    struct buf whole = BUF_INIT(OS_FILE_LIMIT);
    struct err e;

    (void)state;
    give(3);
    assert_int_equal(save(100, &e), OK);
    assert_int_equal(os_read_file(path, &whole, &e), OK);
    for (size_t i = 0; i < whole.n; i += i < 4096 && i > 1600 ? 16 : 1) {
        whole.p[i] ^= (uint8_t)(1u << i % 8);
        write_file(whole.p, whole.n);
        enum code code = load(&e);
        assert_true(code == OK || code == E_DAMAGED || code == E_IO || code == E_ACCESS);
        whole.p[i] ^= (uint8_t)(1u << i % 8);
    }
    buf_fini(&whole);
}

/* A full disk, as far as one can have it without one: the file must not grow. */
static void what_does_not_fit_changes_nothing(void **state)
{
    struct err e;

    (void)state;
    give(2);
    assert_int_equal(save(1000, &e), OK);
    (void)snprintf(path + strlen(path), 16, "-journal"); /* where SQLite keeps the old pages */
    assert_int_equal(mkdir(path, 0700), 0);
    path[strlen(path) - strlen("-journal")] = '\0';
    give(500);
    assert_int_not_equal(save(1000, &e), OK);
    assert_true(e.code == E_IO || e.code == E_DISK_FULL || e.code == E_ACCESS);
    (void)snprintf(path + strlen(path), 16, "-journal");
    assert_int_equal(rmdir(path), 0);
    path[strlen(path) - strlen("-journal")] = '\0';
    assert_int_equal(load(&e), OK);
    assert_int_equal(loaded.n, 2);
    assert_int_equal(save(1000, &e), OK);
    assert_int_equal(load(&e), OK);
    assert_int_equal(loaded.n, 500);
}

#define FILE_TEST(f) cmocka_unit_test_setup_teardown(f, make_directory, remove_directory)

/* The end of a name tells CAs apart; characters stay whole. */
static void long_names_lose_their_beginning(void **state)
{
    char to[16];

    (void)state;
    client_put_name(to, sizeof to, STR("/CN=exactly 015"));
    assert_string_equal(to, "/CN=exactly 015");
    client_put_name(to, sizeof to, STR("/O=Company/CN=CA G2"));
    assert_string_equal(to, "...any/CN=CA G2");
    client_put_name(to, sizeof to,
                    STR("/CN=wxyz\xc3\xa4"
                        "bcdefghijkl"));
    assert_string_equal(to, "...bcdefghijkl");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_added_in_any_order),
        cmocka_unit_test(texts_are_cut),
        cmocka_unit_test(long_names_lose_their_beginning),
        cmocka_unit_test(the_order_of_tries_tells_the_mode),
        cmocka_unit_test(canaries_show_who_verifies),
        cmocka_unit_test(refusals_are_charged),
        cmocka_unit_test(what_is_forgotten_first),
        FILE_TEST(what_was_saved_is_there),
        FILE_TEST(the_file_is_bounded),
        FILE_TEST(others_files_are_left_alone),
        FILE_TEST(foreign_files_are_known),
        FILE_TEST(an_older_file_is_taken_over),
        FILE_TEST(odd_values_are_cut),
        FILE_TEST(every_truncation_is_known),
        FILE_TEST(no_flipped_bit_does_harm),
        FILE_TEST(what_does_not_fit_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
