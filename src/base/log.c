/* Log lines: built on the stack, then written or queued as a whole. */
#include "base/log.h"

#include "base/check.h"
#include "base/env.h"
#include "base/log_queue.h"
#include "base/utf8.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LOG_TAIL = 8 }; /* kept free for the mark of a cut line and the line end */

bool log_enabled(const struct log *log, enum severity severity)
{
    return log && (int)severity >= atomic_load_explicit(&log->min_severity, memory_order_relaxed);
}

unsigned long log_lost(const struct log *log)
{
    unsigned long lost = atomic_load_explicit(&log->lost, memory_order_relaxed);

    return log->queue ? lost + log_queue_lost(log->queue) : lost;
}

/* Of a text as much as there is room for; of JSON, whose pieces are no use when broken, all or nothing. */
static bool log_put(struct log_line *line, const char *text, size_t n)
{
    if (line->cut)
        return false;
    size_t room = LOG_LINE_MAX - LOG_TAIL - line->n;
    line->cut = n > room;
    if (line->cut)
        n = line->format == LOG_JSON ? 0 : room;
    memcpy(line->text + line->n, text, n);
    line->n += n;
    return !line->cut;
}

static bool put_c(struct log_line *line, const char *text)
{
    return log_put(line, text, strlen(text));
}

/* ---- text ---- */

static const char hex[] = "0123456789abcdef";

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
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if (c == '"' || c == '\\') {
            char pair[2] = { '\\', (char)c };
            log_put(line, pair, sizeof pair);
        } else if (c < ' ' || c >= 0x7f) {
            char code[4] = { '\\', 'x', hex[c >> 4], hex[c & 15] };
            log_put(line, code, sizeof code);
        } else {
            log_put(line, value.p + i, 1);
        }
    }
}

static void put_text(struct log_line *line, const char *key, struct str value)
{
    put_c(line, " ");
    put_c(line, key);
    put_c(line, "=");
    if (!needs_quotes(value)) {
        log_put(line, value.p, value.n);
        return;
    }
    put_c(line, "\"");
    put_escaped(line, value);
    put_c(line, "\"");
}

/* ---- JSON ---- */

/* [src: PostgreSQL 18, "Using JSON-Format Log Output"]; there `pid` is the process that logs. */
static const char *json_key(const char *key)
{
    static const char *const names[][2] = {
        { "database", "dbname" },
        { "sqlstate", "state_code" },
        { "pid", "backend_pid" },
    };

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(names[i][0], key) == 0)
            return names[i][1];
    return key;
}

static bool put_json_character(struct log_line *line, struct str *rest)
{
    unsigned char c = (unsigned char)rest->p[0];
    size_t n = c ? utf8_front(*rest) : 0; /* many readers of JSON refuse \\u0000 */
    char code[8];

    if (n == 0)
        (void)snprintf(code, sizeof code, "\\\\x%02x", c);
    else if (c == '"' || c == '\\')
        (void)snprintf(code, sizeof code, "\\%c", c);
    else
        (void)snprintf(code, sizeof code, "\\u%04x", c);
    bool plain = n > 1 || (n == 1 && c >= ' ' && c != 0x7f && c != '"' && c != '\\');
    bool fits = plain ? log_put(line, rest->p, n) : put_c(line, code);
    *rest = str_from(*rest, n ? n : 1);
    return fits;
}

/* A member whose value is cut short ends in "..."; one without room for its name is left out. */
static void put_json_string(struct log_line *line, const char *key, struct str value)
{
    char head[64];
    int n = snprintf(head, sizeof head, ",\"%s\":\"", json_key(key));

    if (!log_put(line, head, (size_t)n))
        return;
    while (value.n > 0 && put_json_character(line, &value))
        ;
    if (line->cut || !put_c(line, "\"")) {
        memcpy(line->text + line->n, "...\"", 4); /* LOG_TAIL is kept for this */
        line->n += 4;
    }
}

static void put_json_int(struct log_line *line, const char *key, long long value)
{
    char text[96];
    int n = snprintf(text, sizeof text, ",\"%s\":%lld", json_key(key), value);

    log_put(line, text, (size_t)n);
}

/* PostgreSQL's id of a session is a text; a line with one is of a backend. */
static void put_json_session(struct log_line *line, struct str value)
{
    put_json_string(line, "session_id", value);
    put_json_string(line, "backend_type", STR("client backend"));
}

/* "ADDRESS:PORT", "[ADDRESS]:PORT" or "[local]" */
static void put_json_client(struct log_line *line, struct str value)
{
    size_t colon = value.n;
    uint32_t port;

    while (colon > 0 && value.p[colon - 1] != ':' && value.p[colon - 1] != ']')
        colon--;
    if (colon == 0 || value.p[colon - 1] != ':' || !str_to_u32(str_from(value, colon), 0, 65535, &port)) {
        put_json_string(line, "remote_host", value);
        return;
    }
    struct str host = str_first(value, colon - 1);
    if (host.n > 2 && host.p[0] == '[')
        host = str_of(host.p + 1, host.n - 2);
    put_json_string(line, "remote_host", host);
    put_json_int(line, "remote_port", port);
}

/* ---- lines ---- */

/* [src: PostgreSQL 18, elog.c write_syslog; the numbers are those of syslog(3)] */
static char syslog_level(enum severity severity)
{
    switch (severity) {
    case SEV_DEBUG:
        return '7';
    case SEV_INFO:
    case SEV_LOG:
        return '6';
    case SEV_NOTICE:
    case SEV_WARNING:
        return '5';
    case SEV_ERROR:
        return '4';
    case SEV_FATAL:
        return '3';
    case SEV_PANIC:
        return '2';
    }
    UNREACHABLE();
}

static void put_head(struct log_line *line, int64_t now_us, enum severity severity)
{
    time_t now_s = (time_t)(now_us / 1000000);
    char stamp[64], head[192];
    struct tm utc;
    int n;

    (void)gmtime_r(&now_s, &utc);
    (void)strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", &utc);
    int ms = (int)(now_us / 1000 % 1000);
    long pid = (long)getpid();
    const char *name = severity_name(severity);
    if (line->format == LOG_JSON)
        n = snprintf(head, sizeof head,
                     "{\"timestamp\":\"%s.%03d UTC\",\"pid\":%ld,\"error_severity\":\"%s\",\"event\":\"%s\"",
                     stamp, ms, pid, name, line->event);
    else
        n = snprintf(head, sizeof head, "%s.%03d UTC [%ld] %s:  event=%s", stamp, ms, pid, name, line->event);
    log_put(line, head, (size_t)n);
}

void log_begin(struct log_line *line, const struct env *env, enum severity severity, const char *event)
{
    line->log = log_enabled(env->log, severity) ? env->log : NULL;
    if (!line->log)
        return;
    line->format = atomic_load_explicit(&line->log->format, memory_order_relaxed);
    line->cut = false;
    line->event = event;
    line->cause[0] = line->client[0] = '\0';
    line->n = 0;
    if (line->log->levels) {
        const char level[] = { '<', syslog_level(severity), '>' };
        log_put(line, level, sizeof level);
    }
    put_head(line, env->now_unix_us(env->ctx), severity);
}

void log_str(struct log_line *line, const char *key, struct str value)
{
    if (!line->log)
        return;
    bool client = strcmp(key, "client") == 0;
    if (client)
        (void)str_to_c(value, line->client, sizeof line->client);
    else if (strcmp(key, "cause") == 0)
        (void)str_to_c(value, line->cause, sizeof line->cause);
    if (line->format == LOG_TEXT)
        put_text(line, key, value);
    else if (client)
        put_json_client(line, value);
    else
        put_json_string(line, key, value);
}

void log_c(struct log_line *line, const char *key, const char *value)
{
    log_str(line, key, str_c(value));
}

void log_int(struct log_line *line, const char *key, long long value)
{
    char text[32];

    if (!line->log)
        return;
    int n = snprintf(text, sizeof text, "%lld", value);
    if (line->format == LOG_TEXT)
        put_text(line, key, str_of(text, (size_t)n));
    else if (strcmp(key, "session") == 0)
        put_json_session(line, str_of(text, (size_t)n));
    else
        put_json_int(line, key, value);
}

void log_err(struct log_line *line, const struct err *e)
{
    log_c(line, "sqlstate", err_sqlstate(e));
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

static void end_line(struct log_line *line)
{
    const char *end = line->format == LOG_JSON ? "}\n" : line->cut ? "...\n" : "\n";
    size_t n = strlen(end);

    memcpy(line->text + line->n, end, n); /* LOG_TAIL is kept for this */
    line->n += n;
}

void log_end(struct log_line *line)
{
    if (!line->log)
        return;
    end_line(line);
    if (line->log->queue)
        log_queue_put(line->log->queue, line);
    else if (!log_write(line->log->fd, line->text, line->n))
        atomic_fetch_add_explicit(&line->log->lost, 1, memory_order_relaxed);
}

void log_dropped(const struct env *env, const char *cause, const char *prefix, long long lines)
{
    struct log_line line;

    log_begin(&line, env, SEV_WARNING, "log_dropped");
    log_c(&line, "cause", cause);
    log_c(&line, "prefix", prefix);
    log_int(&line, "lines", lines);
    log_end(&line);
}
