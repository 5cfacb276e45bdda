/*
 * Running the passphrase command. Errors do not repeat it, as PostgreSQL's do: it may hold what it prints
 * [choice: they end up in the log].
 */
#include "os/command.h"

#include "base/buf.h"
#include "base/secret.h"

#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>

enum { COMMAND_MAX = 64 * 1024 };

static bool expand(const char *command, const char *prompt, struct buf *out)
{
    for (const char *p = command; *p; p++) {
        if (p[0] == '%' && p[1] == 'p') {
            buf_append_c(out, prompt);
            p++;
        } else if (p[0] == '%' && p[1] == '%') {
            buf_append_byte(out, '%');
            p++;
        } else {
            buf_append_byte(out, (uint8_t)*p);
        }
    }
    return buf_ok(out);
}

static enum code take_line(FILE *pipe, struct secret *out, struct err *e)
{
    struct secret line __attribute__((cleanup(secret_auto))) = { 0 };

    (void)setvbuf(pipe, NULL, _IONBF, 0); /* a buffer of stdio's would keep the passphrase */
    if (!fgets((char *)line.p, sizeof line.p, pipe)) {
        if (ferror(pipe))
            return err_set(e, E_IO, "could not read from the passphrase command: %s", strerror(errno));
        return OK; /* prints nothing: an empty passphrase */
    }
    size_t n = strnlen((char *)line.p, sizeof line.p);
    while (n > 0 && (line.p[n - 1] == '\n' || line.p[n - 1] == '\r'))
        n--;
    return secret_set(out, bytes_of(line.p, n));
}

enum code os_command_line(const char *command, const char *prompt, struct secret *out, struct err *e)
{
    struct buf text __attribute__((cleanup(buf_auto))) = BUF_INIT(COMMAND_MAX);

    secret_wipe(out);
    if (!expand(command, prompt, &text))
        return err_set(e, E_LIMIT, "passphrase command is too long");
    (void)fflush(NULL);
    /* NOLINTNEXTLINE(cert-env33-c): PostgreSQL gives ssl_passphrase_command to a shell, too */
    FILE *pipe = popen(buf_c(&text), "re");
    if (!pipe)
        return err_set(e, E_IO, "could not execute the passphrase command: %s", strerror(errno));
    enum code code = take_line(pipe, out, e);
    int status = pclose(pipe);
    if (code != OK)
        return code;
    if (status == -1)
        return err_set(e, E_IO, "could not close pipe to the passphrase command: %s", strerror(errno));
    if (status != 0) {
        secret_wipe(out);
        err_set(e, E_IO, "passphrase command failed");
        if (WIFEXITED(status))
            err_detail(e, "child process exited with exit code %d", WEXITSTATUS(status));
        else if (WIFSIGNALED(status))
            err_detail(e, "child process was terminated by signal %d: %s", WTERMSIG(status),
                       strsignal(WTERMSIG(status)));
        return E_IO;
    }
    return OK;
}
