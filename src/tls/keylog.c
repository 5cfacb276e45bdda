/*
 * sslkeylogfile: the secrets of each session, in NSS's format, for whoever is to read a capture of it.
 *
 * The path belongs to the SSL_CTX, which outlives our context where a session still holds it. Lines are
 * appended with one write each, so threads and processes may share a file. [src: PostgreSQL 18, libpq,
 * sslkeylogfile; fe-secure-openssl.c SSL_CTX_keylog_cb]
 */
#include "tls/keylog.h"

#include "tls/context_base.h"
#include "tls/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEYLOG_LINE_MAX = 1024 };

static int path_index = -1;

static void free_path(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
    (void)parent;
    (void)ad;
    (void)idx;
    (void)argl;
    (void)argp;
    free(ptr);
}

static void make_index(void)
{
    path_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_path);
}

static int open_log(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

/* Nobody is told of a line that cannot be written: the handshake is not its business. */
static void write_line(const SSL *ssl, const char *line)
{
    const char *path = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), path_index);
    char out[KEYLOG_LINE_MAX];
    size_t n = strlen(line);
    int fd = path && n < sizeof out ? open_log(path) : -1;

    if (fd < 0)
        return;
    memcpy(out, line, n);
    out[n++] = '\n';
    ssize_t ignored = write(fd, out, n);
    (void)ignored;
    (void)close(fd);
    OPENSSL_cleanse(out, n);
}

/* OpenSSL has one callback, and the handover to our own records listens too. */
static void hear_line(const SSL *ssl, const char *line)
{
    handover_hear(ssl, line);
    write_line(ssl, line);
}

/* Stricter than libpq, which appends to whatever is there [choice: the file opens every recorded session]. */
static enum code check_log(const char *path, struct err *e)
{
    struct stat st;
    int fd = open_log(path);

    if (fd < 0)
        return err_set(e, E_CONFIG, "could not open SSL key logging file \"%s\": %s", path, strerror(errno));
    bool safe = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & (S_IRWXG | S_IRWXO)) == 0;
    (void)close(fd);
    if (safe)
        return OK;
    return err_set(e, E_CONFIG,
                   "SSL key logging file \"%s\" has group or world access, or is not a regular file", path);
}

enum code context_log_keys(struct tls_context *context, const char *path, struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    if (!path)
        return OK;
    TRY(check_log(path, e));
    char *copy = strdup(path);
    if (!copy || pthread_once(&once, make_index) != 0 || path_index < 0 ||
        SSL_CTX_set_ex_data(context->ssl_ctx, path_index, copy) != 1) {
        free(copy);
        return err_set(e, E_NOMEM, "out of memory");
    }
    context->logs_keys = true;
    SSL_CTX_set_keylog_callback(context->ssl_ctx, hear_line);
    return OK;
}
