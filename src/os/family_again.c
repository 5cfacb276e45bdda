/* What the parent remembers over execve(2): in a file in memory, whose number is in the environment. */
#include "os/family_again.h"

#include "base/check.h"
#include "os/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define GONE " (deleted)"
#define PARENT_IS "parent:"

struct remembered {
    uint32_t format, size;
    pid_t self;
    size_t n, newest;
    struct generation gates[GENERATIONS_MAX];
    int memory, report;
    bool stopping;
    sigset_t before;
    char result[sizeof((struct upgrade *)0)->result];
};

bool family_is_at(const char *path, int file)
{
    struct stat there, here;

    return stat(path, &there) == 0 && fstat(file, &here) == 0 && there.st_dev == here.st_dev &&
           there.st_ino == here.st_ino;
}

/* In these it is another file for each process that looks. */
static bool is_nowhere(const char *path)
{
    return strncmp(path, "/proc/", 6) == 0 || strncmp(path, "/dev/", 5) == 0;
}

/*
 * As the kernel was told it, symbolic links and all; with the directory, if a shell has searched PATH. False: this program does not
 * lie there.
 */
static bool path_as_called(char out[OS_PATH_MAX])
{
    const char *called = (const char *)getauxval(AT_EXECFN);
    char dir[OS_PATH_MAX] = "";
    struct stat there, here;

    if (!called || (called[0] != '/' && !getcwd(dir, sizeof dir)))
        return false;
    int n = snprintf(out, OS_PATH_MAX, "%s%s%s", dir, *dir ? "/" : "", called);
    return n > 0 && n < OS_PATH_MAX && !is_nowhere(out) && stat(out, &there) == 0 &&
           stat("/proc/self/exe", &here) == 0 && there.st_dev == here.st_dev && there.st_ino == here.st_ino;
}

enum code family_own_path(char out[OS_PATH_MAX], struct err *e)
{
    if (path_as_called(out))
        return OK;
    ssize_t n = readlink("/proc/self/exe", out, OS_PATH_MAX - 1);
    if (n <= 0)
        return err_set(e, E_IO, "could not read \"/proc/self/exe\": %s", strerror(errno));
    out[n] = '\0';
    size_t gone = sizeof GONE - 1;
    if ((size_t)n > gone &&
        strcmp(out + n - gone, GONE) == 0) /* a package has replaced it: there lies the next */
        out[(size_t)n - gone] = '\0';
    return OK;
}

/* What is not to be closed by execve(2), or is again to be. */
static void set_closing(const struct remembered *r, bool closing)
{
    int flags = closing ? FD_CLOEXEC : 0;

    for (size_t i = 0; i < r->n; i++) {
        const int fds[] = { r->gates[i].line, r->gates[i].orders, r->gates[i].program };
        for (size_t j = 0; j < COUNT_OF(fds); j++)
            if (fds[j] >= 0)
                (void)fcntl(fds[j], F_SETFD, flags);
    }
    (void)fcntl(r->memory, F_SETFD, flags);
    if (r->report >= 0)
        (void)fcntl(r->report, F_SETFD, flags);
}

void family_again(struct family *f)
{
    struct remembered r = { .format = FAMILY_FORMAT,
                            .size = sizeof r,
                            .self = f->self,
                            .n = f->n,
                            .newest = f->newest,
                            .memory = f->memory,
                            .report = f->upgrade.report,
                            .stopping = f->stopping,
                            .before = f->before };
    char variable[32];
    int why = ENOENT;

    memcpy(r.gates, f->gates, sizeof r.gates);
    memcpy(r.result, f->upgrade.result, sizeof r.result);
    int fd = memfd_create("family", 0);
    if (fd >= 0 && pwrite(fd, &r, sizeof r, 0) == sizeof r &&
        family_is_at(f->upgrade.path, f->upgrade.program)) {
        (void)snprintf(variable, sizeof variable, PARENT_IS "%d", fd);
        set_closing(&r, false);
        if (setenv(FAMILY_VARIABLE, variable, 1) == 0)
            (void)execv(f->upgrade.path, (char *const *)(uintptr_t)f->params->serve);
        why = errno;
        (void)unsetenv(FAMILY_VARIABLE);
        set_closing(&r, true);
    }
    os_close(&fd);
    errno = why;
}

/* The one that serves is of this program now. */
static bool adopt_program(struct generation *newest)
{
    os_close(&newest->program);
    newest->program = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    return newest->program >= 0;
}

/* Any other value in it is none that may be read as one. */
static bool is_bool(const bool *flag)
{
    uint8_t byte;

    memcpy(&byte, flag, sizeof byte);
    return byte <= 1;
}

/* A signal to 0 or to -1 would reach others; to 1, the first of the machine. */
static bool is_child(pid_t pid)
{
    return pid > 1 && pid != getpid();
}

static bool fits_gate(const struct generation *gate)
{
    return is_bool(&gate->over) && is_child(gate->pid) && (gate->clerk <= 0 || is_child(gate->clerk)) &&
           gate->line >= -1 && gate->orders >= -1 && gate->program >= -1;
}

/* It is of this very process; so what differs is of a program that has another idea of it, and nothing of it is touched. */
static bool fits(const struct remembered *r)
{
    struct stat memory;

    if (r->format != FAMILY_FORMAT || r->size != sizeof *r || r->self != getpid())
        return false;
    if (r->n > GENERATIONS_MAX || r->newest >= r->n || r->report < -1 || !is_bool(&r->stopping))
        return false;
    for (size_t i = 0; i < r->n; i++)
        if (!fits_gate(&r->gates[i]))
            return false;
    return fstat(r->memory, &memory) == 0 && memory.st_size == sizeof(struct parent_shared);
}

/* The number of the file, behind PARENT_IS. */
static bool read_number(const char *variable, int *out)
{
    uint32_t number;

    if (strncmp(variable, PARENT_IS, sizeof PARENT_IS - 1) != 0 ||
        !str_to_u32(str_c(variable + sizeof PARENT_IS - 1), 0, INT32_MAX, &number))
        return false;
    *out = (int)number;
    return true;
}

enum code family_adopt(struct family *f, const char *variable, struct err *e)
{
    struct remembered r;
    int fd;

    if (!read_number(variable, &fd) || pread(fd, &r, sizeof r, 0) != sizeof r || !fits(&r))
        return err_set(e, E_BAD_STATE, "this process has not been the parent of a gate before");
    (void)close(fd);
    (void)unsetenv(FAMILY_VARIABLE);
    set_closing(&r, true);
    f->n = r.n;
    f->newest = r.newest;
    memcpy(f->gates, r.gates, sizeof r.gates);
    f->memory = r.memory;
    f->stopping = r.stopping;
    f->before = r.before;
    f->upgrade.report = r.report;
    memcpy(f->upgrade.result, r.result, sizeof r.result);
    f->upgrade.result[sizeof r.result - 1] = '\0';
    f->shared = mmap(NULL, sizeof *f->shared, PROT_READ | PROT_WRITE, MAP_SHARED, f->memory, 0);
    if (f->shared == MAP_FAILED || !adopt_program(&f->gates[f->newest]))
        return err_set(e, E_IO, "could not go on as the gate's parent: %s", strerror(errno));
    return OK;
}
