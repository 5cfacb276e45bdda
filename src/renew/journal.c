/* The journal of renewals. */
#include "renew/journal.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "os/files.h"
#include "os/journal.h"

enum {
    JOURNAL_TRIM = 1 << 20, /* longer ones are cut to half of this */
    WORDS_LIMIT = 64 << 10
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
    size_t i = str_index_of(name, names, COUNT_OF(names));

    if (i == COUNT_OF(names))
        return false;
    *out = (enum renew_event)i;
    return true;
}

/* ---- reading ---- */

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
        if (!event_from_name(str_first(words, str_find(words, ':')), &past->step))
            past->step = RENEW_BEGIN;
        break;
    case RENEW_BACK:
        past->open = STR("");
        break;
    case RENEW_BEGIN:
    case RENEW_READ:
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
    struct str name, event, generation;
    enum renew_event what;
    int64_t when;

    if (!os_journal_time(&line, &when) || !str_split(&line, ' ', &name) || !str_split(&line, ' ', &event))
        return;
    if (!str_split(&line, ' ', &generation))
        generation = STR("-");
    if (!str_equal(name, pair) || !event_from_name(event, &what))
        return;
    journal_take(past, what, when, str_is(generation, "-") ? STR("") : generation, line);
}

enum code renew_journal_read(struct str text, struct str pair, struct arena *arena, struct renew_past *out,
                             struct err *e)
{
    struct renew_past past = { 0 };
    struct str line;

    while (os_journal_next(&text, &line))
        take_line(&past, line, pair);
    struct str *texts[] = { &past.why, &past.open, &past.before };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (!arena_str(arena, *texts[i], texts[i]))
            return err_set(e, E_NOMEM, "out of memory");
    *out = past;
    return OK;
}

enum code renew_journal_load(const char *path, struct buf *out, struct err *e)
{
    AUTO(buf) struct buf all = BUF_INIT(OS_JOURNAL_LIMIT);

    TRY(os_journal_load(path, &all, e));
    struct str text = buf_str(&all);
    if (text.n > JOURNAL_TRIM) {
        text = str_from(text, text.n - JOURNAL_TRIM / 2);
        text = str_from(text, str_find(text, '\n') + 1);
        TRY(os_write_file(path, str_bytes(text), 0600, OS_WRITE_REPLACE, e));
    }
    return buf_append_str(out, text) ? OK : err_set(e, E_NOMEM, "out of memory");
}

/* ---- writing ---- */

enum code renew_journal_add(const char *path, const struct renew_line *line, const struct env *env,
                            struct err *e)
{
    AUTO(buf) struct buf words = BUF_INIT(WORDS_LIMIT);

    buf_printf(&words, "%.*s %s %s", STR_ARG(line->pair), names[line->event],
               line->generation && line->generation[0] ? line->generation : "-");
    if (line->words && line->words[0])
        buf_printf(&words, " %s", line->words);
    if (!buf_ok(&words))
        return err_set(e, E_NOMEM, "out of memory");
    return os_journal_add(path, buf_str(&words), env, e);
}
