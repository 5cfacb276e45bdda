/* Confinement, tried out in children: what must fail fails, what must work works. */
#include "../unit.h"

#include "base/check.h"
#include "os/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_FINE = 0, CHILD_ABSENT = 77 };

static char directory[] = "/tmp/pgseal-sandbox-XXXXXX";

static bool can_write(const char *dir)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/file", dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    (void)close(fd);
    (void)unlink(path);
    return true;
}

static bool can_run(void)
{
    char *argv[] = { (char[]){ "true" }, NULL }, *envp[] = { NULL };

    /* Success does not come back: the caller then sees the exit status of the program. */
    (void)execve("/bin/true", argv, envp);
    return false;
}

static void *nothing(void *arg)
{
    return arg;
}

static int confined_files(void)
{
    const char *const writable[] = { directory };
    enum sandbox_state state;
    struct err e;

    if (sandbox_files(&(struct sandbox_paths){ writable, 1 }, false, &state, &e) != OK)
        return 1;
    if (state == SANDBOX_ABSENT)
        return CHILD_ABSENT;
    if (!can_write(directory) || can_write("/tmp") || access("/etc/passwd", R_OK) != 0)
        return 2;
    int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 3;
    (void)can_run();
    return errno == EACCES ? CHILD_FINE : 4;
}

/* Of what newer kernels know only that is asked which this one does. */
static int confined_as_newer_kernels_can(void)
{
    const char *const writable[] = { directory };
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    char own[128], other[128], moved[160];
    enum sandbox_state state;
    struct err e;

    (void)snprintf(own, sizeof own, "%s/own", directory);
    (void)snprintf(other, sizeof other, "%s.other", directory);
    (void)snprintf(moved, sizeof moved, "%s/sub/moved", directory);
    int fd = open(own, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    int outside = open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    pid_t parent = getppid();
    if (fd < 0 || outside < 0 || write(fd, "text", 4) != 4 || write(outside, "text", 4) != 4)
        return 1;
    if (sandbox_files(&(struct sandbox_paths){ writable, 1 }, false, &state, &e) != OK)
        return 2;
    if (state == SANDBOX_ABSENT)
        return CHILD_ABSENT;
    if (truncate(own, 0) != 0 || ftruncate(fd, 1) != 0)
        return 3;
    if (version >= 3 && (truncate(other, 0) == 0 || errno != EACCES))
        return 4;
    if (rename(own, moved) == 0 || errno != EXDEV)
        return 5;
    int device = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (version >= 5 && device >= 0 && (ioctl(device, TIOCGPTN, &fd) == 0 || errno != EACCES))
        return 6;
    if (version >= 6 && (kill(parent, 0) == 0 || errno != EPERM))
        return 7;
    return CHILD_FINE;
}

static int confined_calls(void)
{
    enum sandbox_state state;
    struct err e;
    pthread_t thread;

    if (sandbox_calls(false, &state, &e) != OK)
        return 1;
    if (state == SANDBOX_ABSENT)
        return CHILD_ABSENT;
    if (pthread_create(&thread, NULL, nothing, NULL) != 0 || pthread_join(thread, NULL) != 0)
        return 2;
    struct addrinfo *found = NULL;
    if (getaddrinfo("localhost", "5432", NULL, &found) == 0)
        freeaddrinfo(found);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 3;
    errno = 0;
    if (fork() >= 0 || errno != EPERM)
        return 4;
    int count = 1;
    struct winsize size;
    if (ioctl(fd, FIONBIO, &count) != 0 || ioctl(fd, FIONREAD, &count) != 0 || ioctl(fd, FIOCLEX) != 0)
        return 6;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 || errno != EPERM || ioctl(fd, TIOCSTI, "x") == 0 || errno != EPERM)
        return 7;
    if (isatty(fd) || errno != ENOTTY)
        return 8;
    (void)can_run();
    return errno == EPERM ? CHILD_FINE : 5;
}

static long make_ring(void)
{
    uint64_t params[15] = { 0 }; /* struct io_uring_params: 120 bytes */

    return syscall(SYS_io_uring_setup, 8, params);
}

static int confined_rings(void)
{
    enum sandbox_state state;
    struct err e;

    long fd = make_ring();
    if (fd < 0)
        return CHILD_ABSENT; /* the machine has none, or allows none */
    (void)close((int)fd);
    if (sandbox_rings(&state, &e) != OK)
        return 1;
    if (state == SANDBOX_ABSENT)
        return CHILD_ABSENT;
    if (make_ring() >= 0 || errno != ENOSYS)
        return 2;
    if (sandbox_calls(false, &state, &e) != OK || state != SANDBOX_ON)
        return 3;
    return make_ring() < 0 ? CHILD_FINE : 4;
}

static void in_child(int (*body)(void))
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0)
        _exit(body());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == CHILD_ABSENT)
        skip();
    assert_int_equal(WEXITSTATUS(status), CHILD_FINE);
}

static void files(void **state)
{
    (void)state;
    in_child(confined_files);
}

static void newer_kernels(void **state)
{
    char path[160];

    (void)state;
    (void)snprintf(path, sizeof path, "%s/sub", directory);
    assert_int_equal(mkdir(path, 0700), 0);
    in_child(confined_as_newer_kernels_can);
    (void)rmdir(path);
    (void)snprintf(path, sizeof path, "%s/own", directory);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s.other", directory);
    (void)unlink(path);
}

static void rings(void **state)
{
    (void)state;
    in_child(confined_rings);
}

static void calls(void **state)
{
    (void)state;
    in_child(confined_calls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files),
        cmocka_unit_test(newer_kernels),
        cmocka_unit_test(rings),
        cmocka_unit_test(calls),
    };

    if (!mkdtemp(directory))
        return 1;
    int failed = cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
    (void)rmdir(directory);
    return failed;
}
