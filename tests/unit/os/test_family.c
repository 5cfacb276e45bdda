/*
 * What a parent remembers over execve(2), whole, cut and changed; who may ask it for an upgrade. The program executes itself
 * once, as a parent does, so what is changed is what a parent has written.
 */
#include "../unit.h"

#include "../mangle.h"
#include "base/check.h"
#include "os/family_again.h"
#include "os/family_upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* No number of a descriptor that is in use is one bit away from these. */
enum { PROGRAM_FD = 192, MEMORY_FD = 256 + 15, REMEMBERED_MAX = 64 * 1024 };

enum { PID = 1 << 29 /* above all that there are */, CLERK = PID + 1, GATES = 3 };

static uint8_t remembered[REMEMBERED_MAX];
static size_t remembered_n;

static const struct generation gates[GATES] = {
    { .pid = PID, .clerk = CLERK, .line = -1, .orders = -1, .program = -1, .status = 256, .over = true },
    { .pid = PID + 2, .line = -1, .orders = -1, .program = PROGRAM_FD },
    { .pid = PID + 3, .clerk = -1, .line = -1, .orders = -1, .program = -1 },
};

static void put_at(int fd, int number)
{
    assert_true(fd >= 0 && dup2(fd, number) == number);
    if (fd != number)
        (void)close(fd);
}

static void open_memory(void)
{
    put_at(memfd_create("shared", 0), MEMORY_FD);
    assert_int_equal(ftruncate(MEMORY_FD, sizeof(struct parent_shared)), 0);
}

static struct family new_family(void)
{
    return (struct family){ .self = getpid(),
                            .memory = -1,
                            .upgrade = { .report = -1, .program = -1, .said = -1 } };
}

/* ---- what it remembers ---- */

/* Before the tests: does not return. */
static void execute_again(char **argv)
{
    const struct family_params params = { .serve = (const char *const *)argv };
    struct family f = new_family();
    struct err e;

    f.params = &params;
    f.memory = memfd_create("shared", 0);
    memcpy(f.gates, gates, sizeof gates);
    f.gates[1].program = -1;
    f.n = GATES;
    f.newest = 1;
    f.stopping = true;
    CHECK(sigemptyset(&f.before) == 0 && sigaddset(&f.before, SIGUSR1) == 0);
    (void)snprintf(f.upgrade.result, sizeof f.upgrade.result, "%s", "7 sessions");
    CHECK(family_own_path(f.upgrade.path, &e) == OK);
    f.upgrade.program = open(f.upgrade.path, O_PATH | O_CLOEXEC);
    /* The tests have their own. */
    put_at(f.memory, MEMORY_FD);
    f.memory = MEMORY_FD;
    put_at(open(f.upgrade.path, O_PATH), PROGRAM_FD);
    f.gates[1].program = PROGRAM_FD;
    family_again(&f);
    perror("family_again");
    exit(1);
}

static void read_remembered(const char *variable)
{
    uint32_t fd;

    CHECK(str_to_u32(str_c(strchr(variable, ':') + 1), 0, INT32_MAX, &fd));
    ssize_t n = pread((int)fd, remembered, sizeof remembered, 0);

    CHECK(n > 0 && n < (ssize_t)sizeof remembered);
    remembered_n = (size_t)n;
    (void)close((int)fd);
    (void)close(PROGRAM_FD);
    (void)close(MEMORY_FD);
}

/* As go_on() has it. Returns the file's number, which is open still where it was not taken. */
static enum code adopt(struct family *f, struct bytes input, int *out_fd)
{
    char variable[32];
    struct err e = { 0 };
    int fd = memfd_create("family", 0);

    assert_true(fd >= 0 && write(fd, input.p, input.n) == (ssize_t)input.n);
    (void)snprintf(variable, sizeof variable, "parent:%d", fd);
    assert_int_equal(setenv(FAMILY_VARIABLE, variable, 1), 0);
    enum code code = family_adopt(f, variable, &e);
    if (code != OK)
        assert_string_equal(e.message, "this process has not been the parent of a gate before");
    *out_fd = fd;
    return code;
}

static void check_adopted(const struct family *f)
{
    assert_true(f->n > 0 && f->n <= GENERATIONS_MAX && f->newest < f->n);
    for (size_t i = 0; i < f->n; i++) {
        uint8_t over;
        memcpy(&over, &f->gates[i].over, sizeof over);
        assert_true(f->gates[i].pid > 1 && f->gates[i].pid != getpid() && over <= 1);
    }
    assert_true(f->shared != MAP_FAILED && strlen(f->upgrade.result) < sizeof f->upgrade.result);
    assert_true(family_is_at("/proc/self/exe", f->gates[f->newest].program));
    assert_null(getenv(FAMILY_VARIABLE));
}

static unsigned adopted, refused;

static void feed(void *arg, struct bytes input)
{
    struct family f = new_family();
    int fd;

    (void)arg;
    if (adopt(&f, input, &fd) == OK) {
        check_adopted(&f);
        assert_int_equal(f.gates[f.newest].program, fd); /* the lowest number again: the file was closed */
        (void)close(f.gates[f.newest].program);
        (void)munmap(f.shared, sizeof *f.shared);
        put_at(open("/proc/self/exe", O_PATH), PROGRAM_FD); /* a parent closes it */
        adopted++;
    } else {
        assert_true(f.n == 0 && f.memory == -1 && !f.shared && f.upgrade.report == -1);
        assert_int_equal(close(fd), 0);
        refused++;
    }
}

static void test_as_it_was(void **state)
{
    struct family f = new_family();
    int fd;

    (void)state;
    open_memory();
    put_at(open("/proc/self/exe", O_PATH), PROGRAM_FD);
    assert_int_equal(adopt(&f, bytes_of(remembered, remembered_n), &fd), OK);
    check_adopted(&f);
    assert_int_equal(f.n, GATES);
    assert_int_equal(f.newest, 1);
    for (size_t i = 0; i < GATES; i++) {
        assert_int_equal(f.gates[i].pid, gates[i].pid);
        assert_int_equal(f.gates[i].clerk, gates[i].clerk);
        assert_int_equal(f.gates[i].status, gates[i].status);
        assert_int_equal(f.gates[i].over, gates[i].over);
    }
    assert_true(f.stopping && f.memory == MEMORY_FD && f.upgrade.report == -1);
    assert_true(sigismember(&f.before, SIGUSR1) == 1 && sigismember(&f.before, SIGUSR2) == 0);
    assert_string_equal(f.upgrade.result, "7 sessions");
    assert_int_equal(fcntl(MEMORY_FD, F_GETFD), FD_CLOEXEC);
    (void)close(f.gates[f.newest].program);
    (void)munmap(f.shared, sizeof *f.shared);
    (void)close(MEMORY_FD);
}

static void test_cut_and_changed(void **state)
{
    (void)state;
    open_memory();
    put_at(open("/proc/self/exe", O_PATH), PROGRAM_FD);
    adopted = refused = 0;
    assert_true(mangle(bytes_of(remembered, remembered_n), feed, NULL));
    assert_true(adopted > 1 &&
                refused > remembered_n); /* the whole one, and other pids; every one that is cut */
    (void)close(PROGRAM_FD);
    (void)close(MEMORY_FD);
}

/* A page of it that is not there would end the parent when it is written. */
static void test_too_little_memory(void **state)
{
    struct family f = new_family();
    int fd;

    (void)state;
    open_memory();
    assert_int_equal(ftruncate(MEMORY_FD, 0), 0);
    assert_int_equal(adopt(&f, bytes_of(remembered, remembered_n), &fd), E_BAD_STATE);
    (void)close(fd);
    (void)close(MEMORY_FD);
}

static void test_no_number(void **state)
{
    static const char *const variables[] = { "",          "parent",     "parent:",   "parent:-1",
                                             "parent: 0", "parent:0x0", "parent:0 ", "parent:4294967296",
                                             "gate:0" };
    struct family f = new_family();
    struct err e;

    (void)state;
    open_memory();
    int before = dup(STDIN_FILENO), fd = memfd_create("family", 0);
    assert_int_equal(write(fd, remembered, remembered_n), remembered_n);
    put_at(fd, STDIN_FILENO); /* what a wrong number must not be read as */
    for (size_t i = 0; i < COUNT_OF(variables); i++)
        assert_int_equal(family_adopt(&f, variables[i], &e), E_BAD_STATE);
    put_at(before, STDIN_FILENO);
    (void)close(MEMORY_FD);
}

/* ---- who may ask ---- */

static struct signalfd_siginfo request(int report)
{
    return (struct signalfd_siginfo){ .ssi_signo = SIGUSR2,
                                      .ssi_code = SI_QUEUE,
                                      .ssi_pid = (uint32_t)getpid(),
                                      .ssi_uid = geteuid(),
                                      .ssi_int = report };
}

/* A family that is stopping says so to whoever may ask, and to nobody else. */
static bool is_answered(struct family *f, void (*change)(struct signalfd_siginfo *info))
{
    char line[64] = "";
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    struct signalfd_siginfo info = request(ends[1]);
    if (change)
        change(&info);
    f->stopping = true;
    family_upgrade_asked(f, &info);
    ssize_t n = read(ends[0], line, sizeof line - 1);
    assert_true(n > 0 ? strcmp(line, "Rthe gate is stopping\n") == 0 : errno == EAGAIN);
    assert_int_equal(f->upgrade.step, UPGRADE_NONE);
    assert_int_equal(f->upgrade.report, -1);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return n > 0;
}

static void of_another_user(struct signalfd_siginfo *info)
{
    info->ssi_uid = geteuid() + 1;
}

static void of_root(struct signalfd_siginfo *info)
{
    info->ssi_uid = 0;
}

static void of_a_timer(struct signalfd_siginfo *info)
{
    info->ssi_code = SI_TIMER;
}

static void test_who_may_ask(void **state)
{
    struct family f = new_family();

    (void)state;
    memcpy(f.gates, gates, sizeof gates);
    f.n = GATES;
    assert_true(is_answered(&f, NULL));
    assert_true(is_answered(&f, of_root));
    assert_false(is_answered(&f, of_another_user));
    assert_false(is_answered(&f, of_a_timer));
}

/* Each process of each generation, the successor's too; and when it does not stop, it begins nothing. */
static void test_no_gate_and_no_clerk(void **state)
{
    (void)state;
    for (size_t i = 0; i < (size_t)2 * GATES; i++) {
        struct family f = new_family();
        memcpy(f.gates, gates, sizeof gates);
        f.n = GATES;
        assert_true(is_answered(&f, NULL));
        if (i % 2 == 0)
            f.gates[i / 2].pid = getpid();
        else
            f.gates[i / 2].clerk = getpid();
        assert_false(is_answered(&f, NULL));
        f.stopping = false;
        const struct signalfd_siginfo info = request(STDOUT_FILENO);
        family_upgrade_asked(&f, &info);
        assert_int_equal(f.upgrade.step, UPGRADE_NONE);
        assert_int_equal(f.upgrade.checker, 0);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_it_was),         cmocka_unit_test(test_cut_and_changed),
        cmocka_unit_test(test_too_little_memory), cmocka_unit_test(test_no_number),
        cmocka_unit_test(test_who_may_ask),       cmocka_unit_test(test_no_gate_and_no_clerk),
    };
    const char *variable = getenv(FAMILY_VARIABLE);

    (void)argc;
    if (!variable)
        execute_again(argv);
    else
        read_remembered(variable);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
