/* Whole reads, atomic writes, locks, permissions of keys, the nonce. */
#include "../unit.h"

#include "../tree.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "os/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char root[] = "/tmp/pgseal-files-XXXXXX";

static const char *in_root(const char *name)
{
    static char paths[4][OS_PATH_MAX];
    static unsigned turn;
    char *path = paths[turn++ % COUNT_OF(paths)];

    assert_int_equal(os_path(root, name, path, NULL), OK);
    return path;
}

static void put(const char *path, const char *text, mode_t mode)
{
    assert_int_equal(os_write_file(path, str_bytes(str_c(text)), mode, OS_WRITE_REPLACE, NULL), OK);
}

static unsigned mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void paths_join(void **state)
{
    (void)state;
    char out[OS_PATH_MAX], name[OS_PATH_MAX];
    assert_int_equal(os_path("/a", "b", out, NULL), OK);
    assert_string_equal(out, "/a/b");
    assert_int_equal(os_path("/a/", "b", out, NULL), OK);
    assert_string_equal(out, "/a/b");
    assert_int_equal(os_path("/a", "/b", out, NULL), OK);
    assert_string_equal(out, "/b");
    assert_int_equal(os_path("", "b", out, NULL), OK);
    assert_string_equal(out, "b");
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    struct err e;
    assert_int_equal(os_path("/a", name, out, &e), E_LIMIT);
    assert_string_equal(out, "b");
}

static void files_come_back_whole(void **state)
{
    (void)state;
    struct err e;
    const char *path = in_root("whole");
    struct buf big = BUF_INIT(1 << 20), back = BUF_INIT(1 << 20), small = BUF_INIT(1000);
    for (unsigned i = 0; i < 200000; i++)
        assert_true(buf_append_byte(&big, (uint8_t)i));
    assert_int_equal(os_write_file(path, buf_bytes(&big), 0640, OS_WRITE_NEW, &e), OK);
    assert_int_equal(mode_of(path), 0640);
    assert_int_equal(os_read_file(path, &back, &e), OK);
    assert_true(bytes_equal(buf_bytes(&big), buf_bytes(&back)));
    assert_int_equal(os_read_file(path, &small, &e), E_LIMIT);
    put(path, "exactly", 0600);
    struct buf exact = BUF_INIT(7), short_by_one = BUF_INIT(6);
    assert_int_equal(os_read_file(path, &exact, &e), OK);
    assert_str(buf_str(&exact), "exactly");
    assert_int_equal(os_read_file(path, &short_by_one, &e), E_LIMIT);
    assert_int_equal(os_read_file(in_root("absent"), &exact, &e), E_NO_FILE);
    assert_non_null(strstr(e.message, "could not open file \""));
    assert_non_null(strstr(e.message, "absent\": No such file or directory"));
    assert_int_equal(os_read_file(root, &exact, &e), E_IO);
    buf_fini(&big);
    buf_fini(&back);
    buf_fini(&small);
    buf_fini(&exact);
    buf_fini(&short_by_one);
}

static void writes_are_atomic(void **state)
{
    (void)state;
    struct err e;
    const char *path = in_root("kept");
    put(path, "old", 0600);
    assert_int_equal(os_write_file(path, str_bytes(STR("new")), 0600, OS_WRITE_NEW, &e), E_EXISTS);
    struct buf back = BUF_INIT(100);
    assert_int_equal(os_read_file(path, &back, &e), OK);
    assert_str(buf_str(&back), "old");
    /* A link is replaced; what it points to stays. */
    const char *link_path = in_root("link");
    assert_int_equal(symlink(path, link_path), 0);
    put(link_path, "new", 0600);
    buf_reset(&back);
    assert_int_equal(os_read_file(path, &back, &e), OK);
    assert_str(buf_str(&back), "old");
    assert_int_equal(os_write_file(in_root("no/such"), str_bytes(STR("x")), 0600, OS_WRITE_NEW, &e),
                     E_NO_FILE);
    /* Nothing temporary is left behind. */
    assert_int_equal(os_mkdir(in_root("sub"), 0700, &e), OK);
    put(in_root("sub/one"), "1", 0600);
    assert_int_equal(unlink(in_root("sub/one")), 0);
    bool empty = false;
    assert_int_equal(os_dir_empty(in_root("sub"), &empty, &e), OK);
    assert_true(empty);
    buf_fini(&back);
}

static void directories(void **state)
{
    (void)state;
    struct err e;
    bool empty = false;
    assert_int_equal(os_dir_empty(in_root("nothing"), &empty, &e), OK);
    assert_true(empty);
    mode_t old = umask(077);
    assert_int_equal(os_mkdir(in_root("d"), 0755, &e), OK);
    (void)umask(old);
    assert_int_equal(mode_of(in_root("d")), 0755);
    assert_int_equal(os_mkdir(in_root("d"), 0700, &e), OK);
    put(in_root("d/f"), "", 0600);
    assert_int_equal(os_dir_empty(in_root("d"), &empty, &e), OK);
    assert_false(empty);
    assert_int_equal(os_mkdir(in_root("d/f"), 0700, &e), E_EXISTS);
    assert_true(os_exists(in_root("d/f")));
    assert_false(os_exists(in_root("d/g")));
}

static void locks_exclude(void **state)
{
    (void)state;
    struct err e;
    struct os_lock a = OS_LOCK_INIT, b = OS_LOCK_INIT;
    const char *path = in_root("lock");
    assert_int_equal(os_lock_take(path, getpid(), &a, &e), OK);
    assert_int_equal(os_lock_take(path, getpid(), &b, &e), E_EXISTS);
    assert_int_equal(b.fd, -1);
    char want[64];
    (void)snprintf(want, sizeof want, "Its process ID is %ld.", (long)getpid());
    assert_string_equal(e.detail, want);
    os_lock_release(&a);
    os_lock_release(&a);
    assert_int_equal(os_lock_take(path, getpid(), &b, &e), OK);
    os_lock_release(&b);
    put(path, "9999999999999 nonsense", 0600);
    assert_int_equal(os_lock_take(path, getpid(), &b, &e), OK);
    os_lock_release(&b);
}

static void key_permissions(void **state)
{
    (void)state;
    struct err e;
    const char *path = in_root("key");
    put(path, "key", 0600);
    bool is_root = geteuid() == 0;
    for (unsigned mode = 0400; mode <= 0777; mode++) {
        assert_int_equal(chmod(path, mode), 0);
        enum code server = os_check_key_file(path, &e), client = os_check_client_key_file(path, &e);
        assert_int_equal(server, mode & 077 ? E_CONFIG : OK);
        assert_int_equal(client, mode & (is_root ? 037 : 077) ? E_CONFIG : OK);
    }
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(os_check_key_file(path, &e), E_CONFIG);
    assert_non_null(strstr(e.message, "key\" has group or world access"));
    assert_string_equal(e.detail,
                        "File must have permissions u=rw (0600) or less if owned by the database user, or "
                        "permissions u=rw,g=r (0640) or less if owned by root.");
    assert_int_equal(os_check_key_file(root, &e), E_CONFIG);
    assert_non_null(strstr(e.message, "is not a regular file"));
    assert_int_equal(os_check_key_file(in_root("absent"), &e), E_NO_FILE);
    assert_non_null(strstr(e.message, "could not access private key file \""));
    assert_int_equal(os_check_client_key_file(in_root("absent"), &e), E_NO_FILE);
    assert_non_null(strstr(e.message, "certificate present, but not private key file"));
}

/* Seen by an ordinary user, root's key may be readable by the group and somebody else's never. */
static void key_owners(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    const char *roots = in_root("roots.key"), *others = in_root("others.key");
    put(roots, "key", 0640);
    put(others, "key", 0600);
    assert_int_equal(chown(others, 12345, 12345), 0);
    assert_int_equal(chmod(root, 0755), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct err e;
        if (setgid(54321) < 0 || setuid(54321) < 0)
            _exit(9);
        bool right = os_check_key_file(roots, &e) == OK && os_check_key_file(others, &e) == E_CONFIG &&
                     strstr(e.message, "must be owned by the database user or root");
        _exit(right ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void nonce_stays(void **state)
{
    (void)state;
    struct err e;
    struct env env = env_system();
    const char *path = in_root("pgseal.secret");
    uint8_t one[OS_NONCE_SIZE], two[OS_NONCE_SIZE];
    assert_int_equal(os_nonce_file(path, &env, one, &e), OK);
    assert_int_equal(mode_of(path), 0600);
    assert_int_equal(os_nonce_file(path, &env, two, &e), OK);
    assert_memory_equal(one, two, sizeof one);
    static const char *const bad[] = { "", "short", "thirty-three bytes are one too many" };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        put(path, bad[i], 0600);
        assert_int_equal(os_nonce_file(path, &env, two, &e), E_CONFIG);
        assert_memory_equal(one, two, sizeof one);
    }
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return tree_remove(root) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_join),        cmocka_unit_test(files_come_back_whole),
        cmocka_unit_test(writes_are_atomic), cmocka_unit_test(directories),
        cmocka_unit_test(locks_exclude),     cmocka_unit_test(key_permissions),
        cmocka_unit_test(key_owners),        cmocka_unit_test(nonce_stays),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
