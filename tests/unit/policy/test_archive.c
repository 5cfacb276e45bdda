/* What a load has read, read again: the same rules, whatever has become of the files. */
#include "../unit.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "lex/hba_lex.h"
#include "policy/archive.h"
#include "policy/match.h"
#include "policy/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/pgseal-archive-XXXXXX";

static struct str put(struct arena *arena, const char *name, const char *text)
{
    struct str path;

    assert_true(arena_printf(arena, &path, "%s/%s", directory, name));
    FILE *f = fopen(path.p, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    return path;
}

static struct policy *load(struct arena *arena, const struct archive_head *head, struct archive *archive)
{
    const struct policy_params params = {
        .hba_file = head->hba_file, .ident_file = head->ident_file, .ssl_on = true, .fs = archive_fs(archive)
    };
    struct policy *policy = NULL;
    struct diags diags;

    diags_init(&diags, arena);
    assert_int_equal(policy_load(&params, &policy, &diags), OK);
    return policy;
}

static void the_same_rules(void **state)
{
    (void)state;
    AUTO(arena) struct arena arena;
    AUTO(buf) struct buf bytes = BUF_INIT(ARCHIVE_MAX);
    struct archive_head head = { .generation = 7, .ssl_on = true }, read;
    struct archive *archive = archive_new(), *again = NULL;
    struct err e;

    arena_init(&arena, 1 << 20, 1024);
    assert_non_null(archive);
    assert_true(arena_printf(&arena, &head.ident_file, "%s/none.conf", directory));
    (void)put(&arena, "users", "bob,carol\n");
    char sub[64];
    (void)snprintf(sub, sizeof sub, "%s/d", directory);
    assert_int_equal(mkdir(sub, 0700), 0);
    struct str one = put(&arena, "d/1.conf", "hostssl all @../users 10.0.0.0/8 scram-sha-256\n");
    head.hba_file = put(&arena, "hba", "local all all trust\ninclude_dir d\ninclude_if_exists nowhere\n");
    struct policy *policy = load(&arena, &head, archive);
    assert_int_equal(policy_rule_count(policy), 2);
    assert_int_equal(archive_write(archive, &head, &bytes), OK);

    assert_int_equal(unlink(one.p), 0);
    (void)put(&arena, "hba", "local all all reject\n");
    assert_int_equal(archive_open(buf_bytes(&bytes), &again, &read, &e), OK);
    assert_int_equal(read.generation, 7);
    assert_true(read.ssl_on);
    assert_false(read.roles_known);
    struct policy *replayed = load(&arena, &read, again);
    assert_int_equal(policy_rule_count(replayed), 2);
    for (size_t i = 0; i < 2; i++) {
        const struct hba_rule *a = policy_rule(policy, i), *b = policy_rule(replayed, i);
        assert_true(str_equal(a->raw, b->raw) && str_equal(a->file, b->file));
        assert_int_equal(a->line, b->line);
        assert_int_equal(a->n_users, b->n_users);
    }
    policy_unref(policy);
    policy_unref(replayed);
    archive_free(archive);
    archive_free(again);
    (void)rmdir(sub);
}

static struct policy *load_again(struct arena *arena, const struct archive_head *head,
                                 const struct policy *running, enum code code, const char *last)
{
    const struct policy_params params = { .hba_file = head->hba_file,
                                          .ident_file = head->ident_file,
                                          .ssl_on = true,
                                          .reload = running != NULL,
                                          .running = running,
                                          .features = { .roles_known = head->roles_known },
                                          .archive = head };
    struct policy *policy = NULL;
    struct diags diags;

    diags_init(&diags, arena);
    assert_int_equal(policy_load(&params, &policy, &diags), code);
    const struct diag *row = NULL, *d;
    STAILQ_FOREACH (d, &diags.list, next)
        row = d;
    if (last)
        assert_true(row && memmem(row->message.p, row->message.n, last, strlen(last)));
    else
        assert_null(row);
    return policy;
}

/* As PostgreSQL: the maps in force stay while their file is away, whatever becomes of the files it included. */
static void maps_whose_file_is_away(void **state)
{
    (void)state;
    AUTO(arena) struct arena arena;
    struct archive_head head = { .generation = 1, .roles_known = true }, read;
    struct archive *archive;
    struct err e;

    arena_init(&arena, 1 << 20, 1024);
    head.hba_file = put(&arena, "hba", "hostssl all all all cert map=m\n");
    head.ident_file = put(&arena, "ident", "m a alice\ninclude more\n");
    struct str more = put(&arena, "more", "m b +bob\n");
    struct policy *start = load_again(&arena, &head, NULL, OK, NULL);
    assert_int_equal(policy_map_count(start), 2);
    assert_int_equal(unlink(head.ident_file.p), 0);
    assert_int_equal(unlink(more.p), 0);
    (void)put(&arena, "hba", "hostssl all all all cert map=m\nlocal all all trust\n");
    struct policy *once = load_again(&arena, &head, start, OK, "ident was not reloaded");
    policy_unref(start);
    struct policy *twice = load_again(&arena, &head, once, OK, "ident was not reloaded");
    assert_int_equal(policy_map_count(twice), 2);
    assert_int_equal(policy_rule_count(twice), 2);

    assert_int_equal(archive_open(policy_archive(twice), &archive, &read, &e), OK);
    const struct policy_params params = { .hba_file = read.hba_file,
                                          .ident_file = read.ident_file,
                                          .features = { .roles_known = true },
                                          .fs = archive_fs(archive) };
    struct policy *explained = NULL;
    struct diags diags;
    diags_init(&diags, &arena);
    assert_int_equal(policy_load(&params, &explained, &diags), OK);
    assert_int_equal(policy_map_count(explained), 2);
    assert_int_equal(policy_rule_count(explained), 2);

    head.roles_known = false; /* the maps that would stay need them */
    assert_null(load_again(&arena, &head, twice, E_CONFIG, "needs role memberships"));
    (void)put(&arena, "ident", "m\n");
    assert_null(load_again(&arena, &head, twice, E_CONFIG, "missing entry"));
    (void)put(&arena, "ident", "m c carol\n");
    struct policy *back = load_again(&arena, &head, twice, OK, NULL);
    assert_int_equal(policy_map_count(back), 1);
    assert_int_equal(unlink(head.ident_file.p), 0);
    struct policy *none = load_again(&arena, &head, NULL, OK, "no user-name maps");
    struct policy *still = load_again(&arena, &head, none, OK, "ident was not reloaded");
    assert_int_equal(policy_map_count(still), 0);
    archive_free(archive);
    policy_unref(once);
    policy_unref(twice);
    policy_unref(explained);
    policy_unref(back);
    policy_unref(none);
    policy_unref(still);
}

static void damaged_archives_are_refused(void **state)
{
    (void)state;
    AUTO(buf) struct buf bytes = BUF_INIT(ARCHIVE_MAX);
    const struct archive_head head = { .generation = 1, .hba_file = STR("/a"), .ident_file = STR("/b") };
    struct archive *archive = archive_new(), *again;
    struct archive_head read;
    struct err e;

    assert_int_equal(archive_fs(archive)->is_dir(archive_fs(archive)->ctx, "/tmp"), 1);
    assert_int_equal(archive_write(archive, &head, &bytes), OK);
    for (size_t cut = 0; cut < bytes.n; cut++) {
        enum code code = archive_open(bytes_of(bytes.p, cut), &again, &read, &e);
        if (code == OK) /* whole records are an archive too */
            archive_free(again);
        else
            assert_int_equal(code, E_SYNTAX);
    }
    for (size_t bit = 0; bit < bytes.n * 8; bit++) {
        bytes.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (archive_open(buf_bytes(&bytes), &again, &read, &e) == OK)
            archive_free(again);
        bytes.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    archive_free(archive);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_rules),
        cmocka_unit_test(maps_whose_file_is_away),
        cmocka_unit_test(damaged_archives_are_refused),
    };

    if (!mkdtemp(directory))
        return 1;
    int failed = cmocka_run_group_tests_name("archive", tests, NULL, NULL);
    char path[64];
    (void)snprintf(path, sizeof path, "%s/hba", directory);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/users", directory);
    (void)unlink(path);
    (void)rmdir(directory);
    return failed;
}
