/* Journals: lines that are on the disk before what they announce is done. */
#include "os/journal.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "os/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TIME_SIZE = 32, FRACTION_DIGITS = 6, SECOND_US = 1000000 };

/* ---- reading ---- */

bool os_journal_next(struct str *rest, struct str *out_line)
{
    size_t n = str_find(*rest, '\n');

    if (n == rest->n) /* what has no end was not finished */
        return false;
    *out_line = str_first(*rest, n);
    *rest = str_from(*rest, n + 1);
    return true;
}

/* ".123456": one to six digits, to microseconds; nothing is none. */
static bool read_fraction(struct str text, int64_t *out_us)
{
    uint32_t n = 0;

    *out_us = 0;
    if (text.n == 0)
        return true;
    text = str_starts(text, STR(".")) ? str_from(text, 1) : STR("");
    if (text.n == 0 || text.n > FRACTION_DIGITS || text.p[0] == '+' ||
        !str_to_u32(text, 0, SECOND_US - 1, &n))
        return false;
    *out_us = n;
    for (size_t i = text.n; i < FRACTION_DIGITS; i++)
        *out_us *= 10;
    return true;
}

bool os_journal_time_us(struct str *line, int64_t *out_unix_us)
{
    struct tm tm = { 0 };
    char c[TIME_SIZE];
    struct str time;
    int64_t us;

    if (!str_split(line, ' ', &time) || !str_ends(time, STR("Z")) ||
        !str_to_c(str_first(time, time.n - 1), c, sizeof c))
        return false;
    const char *end = strptime(c, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!end || !read_fraction(str_c(end), &us))
        return false;
    *out_unix_us = timegm(&tm) * SECOND_US + us;
    return true;
}

bool os_journal_time(struct str *line, int64_t *out_unix_s)
{
    int64_t us;

    if (!os_journal_time_us(line, &us))
        return false;
    *out_unix_s = us / SECOND_US;
    return true;
}

enum code os_journal_load(const char *path, struct buf *out, struct err *e)
{
    enum code code = os_read_file(path, out, e);

    return code == E_NO_FILE ? OK : code;
}

/* ---- writing ---- */

static void format(struct str words, const struct env *env, struct buf *out)
{
    int64_t now_us = env->now_unix_us(env->ctx);
    time_t now = (time_t)(now_us / SECOND_US);
    char when[TIME_SIZE] = "";
    struct tm tm;

    if (gmtime_r(&now, &tm))
        (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
    buf_printf(out, "%s.%06dZ ", when, (int)(now_us % SECOND_US));
    for (size_t i = 0; i < words.n && out->n < OS_JOURNAL_LINE - 2; i++)
        buf_append_byte(out,
                        (uint8_t)((unsigned char)words.p[i] < ' ' || words.p[i] == 0x7f ? ' ' : words.p[i]));
    buf_append_byte(out, '\n');
}

/*
 * Half a line, left by a power failure or a full disk, is cut off: ended, it would be read as a whole one. Returns the
 * length of what is whole, or -1.
 */
static off_t cut_half(int fd)
{
    char tail[OS_JOURNAL_LINE];
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -1;
    off_t from = st.st_size > (off_t)sizeof tail ? st.st_size - (off_t)sizeof tail : 0;
    ssize_t n = pread(fd, tail, sizeof tail, from);
    if (n < 0)
        return -1;
    while (n > 0 && tail[n - 1] != '\n')
        n--;
    return from + n == st.st_size || ftruncate(fd, from + n) == 0 ? from + n : -1;
}

enum code os_journal_add(const char *path, struct str words, const struct env *env, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(OS_JOURNAL_LINE);
    int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return err_set(e, code_from_errno(errno), "could not open file \"%s\": %m", path);
    format(words, env, &text);
    off_t whole = buf_ok(&text) ? cut_half(fd) : -1;
    ssize_t n = whole < 0 ? -1 : write(fd, text.p, text.n);
    if (n >= 0 && (size_t)n < text.n)
        errno = ENOSPC;
    bool ok = n == (ssize_t)text.n && fsync(fd) == 0;
    int saved = errno;
    if (!ok && whole >= 0)
        (void)!ftruncate(fd, whole);
    (void)close(fd);
    return ok ? OK
              : err_set(e, code_from_errno(saved), "could not write file \"%s\": %s", path, strerror(saved));
}
