/* Log lines: built on the stack, written at once. */
#include "base/log.h"

#include "base/env.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LOG_TAIL = 8 }; /* kept free for the mark of a cut line and the line end */

bool log_wanted(const struct log *log, enum severity severity)
{
    return log && (int)severity >= atomic_load_explicit(&log->min_severity, memory_order_relaxed);
}

static void put(struct log_line *line, const char *text, size_t n)
{
    size_t room = LOG_LINE_MAX - LOG_TAIL - line->n;

    if (n > room) {
        memcpy(line->text + line->n, text, room);
        line->n += room;
        return;
    }
    memcpy(line->text + line->n, text, n);
    line->n += n;
}

static void put_c(struct log_line *line, const char *text)
{
    put(line, text, strlen(text));
}

void log_begin(struct log_line *line, const struct env *env, enum severity severity, const char *event)
{
    line->log = log_wanted(env->log, severity) ? env->log : NULL;
    line->n = 0;
    if (!line->log)
        return;
    int64_t now_us = env->now_unix_us(env->ctx);
    time_t now_s = (time_t)(now_us / 1000000);
    struct tm utc;
    char stamp[64];
    (void)gmtime_r(&now_s, &utc);
    size_t n = strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", &utc);
    put(line, stamp, n);
    int tail = snprintf(stamp, sizeof stamp, ".%03d UTC [%ld] ", (int)(now_us / 1000 % 1000), (long)getpid());
    put(line, stamp, (size_t)tail);
    put_c(line, severity_name(severity));
    put_c(line, ":  event=");
    put_c(line, event);
}

static bool needs_quotes(struct str value)
{
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=')
            return true;
    }
    return value.n == 0;
}

static void put_escaped(struct log_line *line, struct str value)
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if (c == '"' || c == '\\') {
            char pair[2] = { '\\', (char)c };
            put(line, pair, sizeof pair);
        } else if (c < ' ' || c >= 0x7f) {
            char code[4] = { '\\', 'x', hex[c >> 4], hex[c & 15] };
            put(line, code, sizeof code);
        } else {
            put(line, value.p + i, 1);
        }
    }
}

void log_str(struct log_line *line, const char *key, struct str value)
{
    if (!line->log)
        return;
    put_c(line, " ");
    put_c(line, key);
    put_c(line, "=");
    if (!needs_quotes(value)) {
        put(line, value.p, value.n);
        return;
    }
    put_c(line, "\"");
    put_escaped(line, value);
    put_c(line, "\"");
}

void log_c(struct log_line *line, const char *key, const char *value)
{
    log_str(line, key, str_c(value));
}

void log_int(struct log_line *line, const char *key, long long value)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%lld", value);

    log_str(line, key, str_of(text, (size_t)n));
}

void log_err(struct log_line *line, const struct err *e)
{
    log_c(line, "sqlstate", code_sqlstate(e->code));
    log_c(line, "message", err_text(e));
    if (e->detail[0])
        log_c(line, "detail", e->detail);
    if (e->hint[0])
        log_c(line, "hint", e->hint);
    if (e->file[0])
        log_c(line, "file", e->file);
    if (e->line)
        log_int(line, "line", e->line);
}

void log_diag(struct log_line *line, const struct diag *diag)
{
    log_c(line, "sqlstate", code_sqlstate(diag->code));
    log_str(line, "message", diag->message);
    if (diag->detail.n)
        log_str(line, "detail", diag->detail);
    if (diag->hint.n)
        log_str(line, "hint", diag->hint);
    if (diag->file.n)
        log_str(line, "file", diag->file);
    if (diag->line)
        log_int(line, "line", diag->line);
}

void log_end(struct log_line *line)
{
    if (!line->log)
        return;
    if (line->n == LOG_LINE_MAX - LOG_TAIL) {
        memcpy(line->text + line->n, "...", 3);
        line->n += 3;
    }
    line->text[line->n++] = '\n';
    if (write(line->log->fd, line->text, line->n) != (ssize_t)line->n)
        atomic_fetch_add_explicit(&line->log->lost, 1, memory_order_relaxed);
}
