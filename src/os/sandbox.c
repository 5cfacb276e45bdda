/* Confinement by Landlock and seccomp. */
#include "os/sandbox.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The sanitizers' runtimes trace and fork at exit: a build with them is not confined. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_BUILT false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANDBOX_BUILT false
#endif
#endif
#ifndef SANDBOX_BUILT
#define SANDBOX_BUILT true
#endif

/* What newer kernels know; Debian 12's header ends at the second version [src: Linux, landlock.h]. */
enum {
    ACCESS_REFER = 1 << 13,     /* 2: a file moved or linked into another directory */
    ACCESS_TRUNCATE = 1 << 14,  /* 3 */
    ACCESS_IOCTL_DEV = 1 << 15, /* 5: of devices opened from now on */
    SCOPE_SIGNAL = 1 << 1,      /* 6: signals to processes outside */
    VERSION_REFER = 2,
    VERSION_TRUNCATE = 3,
    VERSION_IOCTL_DEV = 5,
    VERSION_SCOPE = 6
};

struct ruleset {
    uint64_t files;
    uint64_t net; /* nothing: the gate connects to wherever a reload says */
    uint64_t scoped;
};

enum {
    WRITING = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
              LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
              LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
              LANDLOCK_ACCESS_FS_MAKE_SYM,
    ALLOWED_BELOW = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | ACCESS_TRUNCATE
};

/* Abstract unix sockets are not scoped: the upstream server, or systemd's socket, may be one. */
static struct ruleset ruleset_of(long version, bool may_exec)
{
    struct ruleset r = { .files = WRITING };

    if (!may_exec)
        r.files |= LANDLOCK_ACCESS_FS_EXECUTE;
    if (version >= VERSION_REFER)
        r.files |= ACCESS_REFER;
    if (version >= VERSION_TRUNCATE)
        r.files |= ACCESS_TRUNCATE;
    if (version >= VERSION_IOCTL_DEV)
        r.files |= ACCESS_IOCTL_DEV;
    if (version >= VERSION_SCOPE)
        r.scoped = SCOPE_SIGNAL;
    return r;
}

static enum code sandbox_refused(const char *what, struct err *e)
{
    int why = errno;

    return err_set(e, E_IO, "could not %s: %s", what, strerror(why));
}

static enum code allow_below(int rules, const char *path, uint64_t access, struct err *e)
{
    struct landlock_path_beneath_attr below = { .allowed_access = access };

    below.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (below.parent_fd < 0)
        return sandbox_refused("open a directory for confinement", e);
    long done = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &below, 0);
    enum code code = done == 0 ? OK : sandbox_refused("add a confinement rule", e);
    (void)close(below.parent_fd);
    return code;
}

static enum code restrict_files(int rules, uint64_t handled, const struct sandbox_paths *writable,
                                struct err *e)
{
    for (size_t i = 0; i < writable->n; i++)
        TRY(allow_below(rules, writable->at[i], ALLOWED_BELOW & handled, e));
    /* The log may be a file, a terminal or a pipe by name; /dev/null and the like harm nobody. */
    TRY(allow_below(rules, "/dev", LANDLOCK_ACCESS_FS_WRITE_FILE, e));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscall(SYS_landlock_restrict_self, rules, 0) != 0)
        return sandbox_refused("confine file access", e);
    return OK;
}

enum code sandbox_files(const struct sandbox_paths *writable, bool may_exec, enum sandbox_state *out,
                        struct err *e)
{
    *out = SANDBOX_ABSENT;
    if (!SANDBOX_BUILT)
        return OK;
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1)
        return OK; /* an older kernel, or one that has it switched off */
    const struct ruleset attr = ruleset_of(version, may_exec);
    /* Kernels take a struct that is longer than theirs where it ends in zeros. */
    long rules = syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (rules < 0)
        return sandbox_refused("make confinement rules", e);
    enum code code = restrict_files((int)rules, attr.files, writable, e);
    (void)close((int)rules);
    if (code == OK)
        *out = SANDBOX_ON;
    return code;
}

/* Memory, threads, time, descriptors, files, sockets: what libc, libuv, OpenSSL and the name service need. */
static const int always[] = {
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(pread64),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(pwrite64),
    SCMP_SYS(close),
    SCMP_SYS(close_range),
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    SCMP_SYS(statfs),
    SCMP_SYS(fstatfs),
    SCMP_SYS(lseek),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getdents64),
    SCMP_SYS(fcntl),
    SCMP_SYS(flock),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(ftruncate),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(chmod),
    SCMP_SYS(fchmod),
    SCMP_SYS(fchmodat),
    SCMP_SYS(umask),
    SCMP_SYS(getcwd),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(pipe),
    SCMP_SYS(pipe2),
    SCMP_SYS(eventfd2),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(select),
    SCMP_SYS(pselect6),
    SCMP_SYS(socket),
    SCMP_SYS(socketpair),
    SCMP_SYS(connect),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(bind),
    SCMP_SYS(listen),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockopt),
    SCMP_SYS(sendto),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendmsg),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(shutdown),
    SCMP_SYS(mmap),
    SCMP_SYS(munmap),
    SCMP_SYS(mprotect),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(membarrier),
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(get_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(set_tid_address),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(nanosleep),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getppid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(getgroups),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(getrlimit),
    SCMP_SYS(getrusage),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(rt_sigpending),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(tgkill),
    SCMP_SYS(inotify_init1),
    SCMP_SYS(inotify_add_watch),
    SCMP_SYS(inotify_rm_watch),
};

/* What is left to a process that only computes; mmap and mprotect never make code. */
static const int bare[] = {
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendto),
    SCMP_SYS(close),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(futex),
    SCMP_SYS(sched_yield),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getrusage),
    SCMP_SYS(getrlimit),
    SCMP_SYS(setrlimit),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(tgkill),
    SCMP_SYS(membarrier),
    SCMP_SYS(rseq),
};

/* What popen(3) and a shell need. */
static const int for_programs[] = {
    SCMP_SYS(execve),    SCMP_SYS(execveat), SCMP_SYS(clone),  SCMP_SYS(clone3),  SCMP_SYS(vfork),
    SCMP_SYS(fork),      SCMP_SYS(wait4),    SCMP_SYS(waitid), SCMP_SYS(getpgrp), SCMP_SYS(arch_prctl),
    SCMP_SYS(prlimit64), SCMP_SYS(kill),     SCMP_SYS(ioctl),
};

/* libuv: FIONBIO, FIOCLEX; stdio: TCGETS; the resolver: FIONREAD, and the others for addresses with a scope.
 * Not, for example, TIOCSTI, which types into the terminal that the gate was started from. */
static const uint64_t ioctls[] = { FIONBIO, FIOCLEX, FIONREAD, TCGETS, SIOCGIFINDEX, SIOCGIFNAME };

static bool allow_ioctls(scmp_filter_ctx filter)
{
    for (size_t i = 0; i < COUNT_OF(ioctls); i++)
        if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, ioctls[i])) !=
            0)
            return false;
    return true;
}

static bool allow_all(scmp_filter_ctx filter, const int *calls, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0) != 0)
            return false;
    return true;
}

/* New threads, not new processes: the name service's pool starts when it is needed. */
static bool allow_threads(scmp_filter_ctx filter)
{
    /* clone3's flags are in memory, out of the filter's sight: libc falls back to clone. */
    return seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                            SCMP_A0(SCMP_CMP_MASKED_EQ, 0x00010000 /* CLONE_THREAD */, 0x00010000)) == 0;
}

/* filter: taken. made: all its rules are in it. */
static enum code load_filter(scmp_filter_ctx filter, bool made, enum sandbox_state *out, struct err *e)
{
    int why = made ? seccomp_load(filter) : 0;

    seccomp_release(filter);
    if (!made) /* libseccomp tries which features of seccomp(2) there are */
        return err_set(e, E_IO,
                       "could not confine system calls: a rule was refused; is seccomp(2) allowed here?");
    if (why == -EINVAL)
        return OK; /* a kernel without seccomp filters */
    if (why != 0)
        return err_set(e, E_IO, "could not confine system calls: %s", strerror(-why));
    *out = SANDBOX_ON;
    return OK;
}

enum code sandbox_rings(enum sandbox_state *out, struct err *e)
{
    *out = SANDBOX_ABSENT;
    if (!SANDBOX_BUILT)
        return OK;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (!filter)
        return err_set(e, E_NOMEM, "out of memory");
    /* A passphrase command may be a program of another architecture. */
    bool made = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW) == 0 &&
                seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(io_uring_setup), 0) == 0;
    return load_filter(filter, made, out, e);
}

static bool allow_without_code(scmp_filter_ctx filter, int call)
{
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0;
}

static bool allow_bare(scmp_filter_ctx filter)
{
    /* libc's setrlimit() and getrlimit() are prlimit64 of the process itself, pid 0. */
    return allow_all(filter, bare, COUNT_OF(bare)) && allow_without_code(filter, SCMP_SYS(mmap)) &&
           allow_without_code(filter, SCMP_SYS(mprotect)) &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_EQ, 0)) == 0;
}

enum code sandbox_bare(size_t memory, enum sandbox_state *out, struct err *e)
{
    struct rlimit room;

    *out = SANDBOX_ABSENT;
    if (!SANDBOX_BUILT)
        return OK;
    if (getrlimit(RLIMIT_AS, &room) == 0 && memory < room.rlim_max) {
        room.rlim_cur = room.rlim_max = memory;
        if (setrlimit(RLIMIT_AS, &room) != 0 && errno != EPERM) /* a filter from outside may forbid it */
            return sandbox_refused("limit memory", e);
    }
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!filter)
        return err_set(e, E_NOMEM, "out of memory");
    return load_filter(filter, allow_bare(filter), out, e);
}

enum code sandbox_calls(bool may_exec, enum sandbox_state *out, struct err *e)
{
    *out = SANDBOX_ABSENT;
    if (!SANDBOX_BUILT)
        return OK;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!filter)
        return err_set(e, E_NOMEM, "out of memory");
    bool made = allow_all(filter, always, COUNT_OF(always)) &&
                (may_exec ? allow_all(filter, for_programs, COUNT_OF(for_programs))
                          : allow_threads(filter) && allow_ioctls(filter)) &&
                seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) == 0;
    return load_filter(filter, made, out, e);
}
