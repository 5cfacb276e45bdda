/* A signal with two numbers in it: what else there is to know the parent reads in /proc. */
#include "os/family_ask.h"

#include "os/descriptors.h"
#include "os/signal_mask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HEARD_MS = 30 * 1000, /* until the first line comes */
    FIRST_NUMBER = 64     /* two numbers that nobody has */
};

void family_asked_auto(struct family_asked *asked)
{
    os_close(&asked->report);
    os_close(&asked->write);
}

/* Whoever has not blocked SIGUSR2 ends by it. */
static bool hears(pid_t parent)
{
    int fd = os_signal_mask_open(parent);
    bool blocked = os_signal_mask_has(fd, "SigBlk", SIGUSR2);

    os_close(&fd);
    return blocked;
}

static enum code open_program(const char *path, int *out, struct err *e)
{
    struct stat st;
    int fd = open(path, O_PATH | O_CLOEXEC);

    if (fd < 0) {
        int why = errno;
        return err_set(e, code_from_errno(why), "could not open \"%s\": %s", path, strerror(why));
    }
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0) {
        *out = fd;
        return OK;
    }
    (void)close(fd);
    return err_set(e, E_NO_FILE, "\"%s\" is not a program", path);
}

/* Two descriptors side by side, at numbers that go into the signal's value. */
static enum code side_by_side(struct family_asked *asked, int program, struct err *e)
{
    int pair[2];

    if (pipe2(pair, O_CLOEXEC) != 0)
        return err_set(e, E_IO, "could not make a pipe: %s", strerror(errno));
    asked->report = pair[0];
    asked->write = fcntl(pair[1], F_DUPFD_CLOEXEC, FIRST_NUMBER);
    (void)close(pair[1]);
    if (asked->write < 0 || (program >= 0 && dup3(program, asked->write + 1, O_CLOEXEC) < 0))
        return err_set(e, E_IO, "could not make a pipe: %s", strerror(errno));
    return OK;
}

enum code family_ask(pid_t parent, const char *program, struct family_asked *out, struct err *e)
{
    union sigval value = { .sival_int = 0 };
    int file = -1;

    if (!hears(parent)) {
        (void)err_set(e, E_BAD_STATE, "the running gate is of a version that cannot be upgraded");
        err_hint(e, "Restart it once.");
        return E_BAD_STATE;
    }
    if (program)
        TRY(open_program(program, &file, e));
    enum code code = side_by_side(out, file, e);
    if (file >= 0)
        (void)close(file);
    if (code != OK)
        return code;
    value.sival_int = out->write | (program ? FAMILY_ASK_PROGRAM : 0);
    if (prctl(PR_SET_DUMPABLE, 1) == 0 && sigqueue(parent, SIGUSR2, value) == 0)
        return OK;
    int why = errno;
    return err_set(e, code_from_errno(why), "could not send a signal to the gate (PID %ld): %s", (long)parent,
                   strerror(why));
}

static bool is_answer(char c)
{
    return c == FAMILY_STEP || c == FAMILY_DONE || c == FAMILY_REFUSED || c == FAMILY_FAILED ||
           c == FAMILY_SILENT;
}

/* The line that was told goes, its successors move up. False: there is no whole one. */
static bool next_line(struct family_asked *asked, size_t *out_end)
{
    const char *end = memchr(asked->text, '\n', asked->n);

    *out_end = end ? (size_t)(end - asked->text) : 0;
    return end != NULL;
}

enum code family_answer(struct family_asked *asked, enum family_answer *out, const char **out_text,
                        struct err *e)
{
    size_t end;

    if (asked->n > 0 && asked->text[0] == '\0') { /* told already */
        size_t told = strlen(asked->text + 1) + 2;
        memmove(asked->text, asked->text + told, asked->n - told);
        asked->n -= told;
    }
    while (!next_line(asked, &end)) {
        struct pollfd ready = { .fd = asked->report, .events = POLLIN };
        bool first = asked->write >= 0;
        if (poll(&ready, 1, first ? HEARD_MS : -1) == 0)
            return err_set(e, E_UNAVAILABLE, "the gate does not answer");
        ssize_t n = read(asked->report, asked->text + asked->n, sizeof asked->text - asked->n);
        if (n <= 0)
            return err_set(e, E_UNAVAILABLE, "the gate has ended");
        os_close(&asked->write); /* the parent has it: from now on its end is the end of the pipe */
        asked->n += (size_t)n;
    }
    if (!is_answer(asked->text[0]))
        return err_set(e, E_UNAVAILABLE, "the gate's answer is invalid");
    *out = (enum family_answer)asked->text[0];
    asked->text[0] = asked->text[end] = '\0';
    *out_text = asked->text + 1;
    return OK;
}
