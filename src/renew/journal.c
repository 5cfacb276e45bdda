/* The journal of renewals. */
#include "renew/journal.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "os/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    JOURNAL_LIMIT = 4 << 20, /* of which the newest part is kept */
    JOURNAL_TRIM = 1 << 20,  /* longer ones are cut to half of this */
    LINE_LIMIT = 4096,
    TIME_SIZE = 32
};

static const char *const names[] = {
#define X(event, word) [RENEW_##event] = word,
    RENEW_EVENTS(X)
#undef X
};

const char *renew_event_name(enum renew_event event)
{
    return names[event];
}

static bool event_from_name(struct str name, enum renew_event *out)
{
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (!str_is(name, names[i]))
            continue;
        *out = (enum renew_event)i;
        return true;
    }
    return false;
}

/* ---- reading ---- */

static bool journal_read_time(struct str text, int64_t *out)
{
    char c[TIME_SIZE];
    struct tm tm = { 0 };

    if (!str_to_c(text, c, sizeof c))
        return false;
    const char *end = strptime(c, "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (!end || *end)
        return false;
    *out = timegm(&tm);
    return true;
}

static void journal_take(struct renew_past *past, enum renew_event event, int64_t when, struct str generation,
                         struct str words)
{
    switch (event) {
    case RENEW_SWAP:
        past->open = generation;
        past->before = words;
        break;
    case RENEW_DONE:
        *past = (struct renew_past){ .done_unix_s = when };
        break;
    case RENEW_FAILED:
        past->failures++;
        past->failed_unix_s = when;
        past->why = words;
        break;
    case RENEW_BACK:
        past->open = STR("");
        break;
    case RENEW_BEGIN:
    case RENEW_KEY:
    case RENEW_ISSUE:
    case RENEW_CHECK:
    case RENEW_STAGE:
    case RENEW_RELOAD:
    case RENEW_VERIFY:
        break;
    }
}

static void take_line(struct renew_past *past, struct str line, struct str pair)
{
    struct str time, name, event, generation;
    enum renew_event what;
    int64_t when;

    if (!str_split(&line, ' ', &time) || !str_split(&line, ' ', &name) || !str_split(&line, ' ', &event))
        return;
    if (!str_split(&line, ' ', &generation))
        generation = STR("-");
    if (!str_equal(name, pair) || !journal_read_time(time, &when) || !event_from_name(event, &what))
        return;
    journal_take(past, what, when, str_is(generation, "-") ? STR("") : generation, line);
}

enum code renew_journal_read(struct str text, struct str pair, struct arena *arena, struct renew_past *out,
                             struct err *e)
{
    struct renew_past past = { 0 };

    while (str_find(text, '\n') < text.n) { /* what has no end was not finished */
        size_t n = str_find(text, '\n');
        take_line(&past, str_first(text, n), pair);
        text = str_from(text, n + 1);
    }
    struct str *texts[] = { &past.why, &past.open, &past.before };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (!arena_str(arena, *texts[i], texts[i]))
            return err_set(e, E_NOMEM, "out of memory");
    *out = past;
    return OK;
}

enum code renew_journal_load(const char *path, struct buf *out, struct err *e)
{
    AUTO(buf) struct buf all = BUF_INIT(JOURNAL_LIMIT);

    if (!os_exists(path))
        return OK;
    TRY(os_read_file(path, &all, e));
    struct str text = buf_str(&all);
    if (text.n > JOURNAL_TRIM) {
        text = str_from(text, text.n - JOURNAL_TRIM / 2);
        text = str_from(text, str_find(text, '\n') + 1);
        TRY(os_write_file(path, str_bytes(text), 0600, OS_WRITE_REPLACE, e));
    }
    return buf_append_str(out, text) ? OK : err_set(e, E_NOMEM, "out of memory");
}

/* ---- writing ---- */

static void format(const struct renew_line *line, const struct env *env, struct buf *out)
{
    time_t now = (time_t)env_now_s(env);
    char when[TIME_SIZE] = "";
    struct tm tm;

    if (gmtime_r(&now, &tm))
        (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    buf_printf(out, "%s %.*s %s %s", when, STR_ARG(line->pair), names[line->event],
               line->generation && line->generation[0] ? line->generation : "-");
    if (line->words && line->words[0])
        buf_append_byte(out, ' ');
    for (const char *c = line->words; c && *c && out->n < LINE_LIMIT - 2; c++)
        buf_append_byte(out, (uint8_t)((unsigned char)*c < ' ' || *c == 0x7f ? ' ' : *c));
    buf_append_byte(out, '\n');
}

/* A line that was cut short by a power failure is ended, so that the next one stands for itself. */
static bool needs_end(int fd)
{
    struct stat st;
    char last;

    return fstat(fd, &st) == 0 && st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) == 1 && last != '\n';
}

enum code renew_journal_add(const char *path, const struct renew_line *line, const struct env *env,
                            struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(LINE_LIMIT);
    int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return err_set(e, code_from_errno(errno), "could not open file \"%s\": %m", path);
    if (needs_end(fd))
        buf_append_byte(&text, '\n');
    format(line, env, &text);
    bool ok = buf_ok(&text) && write(fd, text.p, text.n) == (ssize_t)text.n && fsync(fd) == 0;
    int saved = errno;
    (void)close(fd);
    return ok ? OK
              : err_set(e, code_from_errno(saved), "could not write file \"%s\": %s", path, strerror(saved));
}
