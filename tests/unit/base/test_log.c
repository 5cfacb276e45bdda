/* The log as JSON, and its thread. (test_base.c: the lines as text.) */
#include "../unit.h"

#include "base/env.h"
#include "base/log.h"
#include "base/log_queue.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int64_t fixed_now(void *ctx)
{
    (void)ctx;
    return 1700000000123456;
}

struct piped {
    int fds[2];
    struct log log;
    struct env env;
    char text[4 * LOG_LINE_MAX];
};

static void open_log(struct piped *p, enum log_format format)
{
    assert_int_equal(pipe(p->fds), 0);
    p->log = (struct log){ .fd = p->fds[1], .min_severity = SEV_LOG, .format = format };
    p->env = env_system();
    p->env.now_unix_us = fixed_now;
    p->env.log = &p->log;
}

/* What has been written. */
static const char *heard(struct piped *p)
{
    ssize_t n = read(p->fds[0], p->text, sizeof p->text - 1);

    assert_true(n >= 0);
    p->text[n] = '\0';
    return p->text;
}

static void close_log(struct piped *p)
{
    (void)close(p->fds[0]);
    (void)close(p->fds[1]);
}

static void json_has_postgres_names(void **state)
{
    (void)state;
    struct piped p;
    struct log_line line;
    char want[512];

    open_log(&p, LOG_JSON);
    log_begin(&line, &p.env, SEV_FATAL, "refused");
    log_c(&line, "client", "[2001:db8::7]:40312");
    log_str(&line, "user", STR("a\"b\\\n\x7f\xff\xc3\xa9\xed\xa0\x80\xf0\x9f\x98\x80"));
    log_c(&line, "database", "");
    log_c(&line, "sqlstate", "28000");
    log_int(&line, "pid", -3);
    log_end(&line);
    (void)snprintf(
        want, sizeof want,
        "{\"timestamp\":\"2023-11-14 22:13:20.123 UTC\",\"pid\":%ld,\"error_severity\":\"FATAL\","
        "\"event\":\"refused\",\"remote_host\":\"2001:db8::7\",\"remote_port\":40312,"
        "\"user\":\"a\\\"b\\\\\\u000a\\u007f\\\\xff\xc3\xa9\\\\xed\\\\xa0\\\\x80\xf0\x9f\x98\x80\","
        "\"dbname\":\"\",\"state_code\":\"28000\",\"backend_pid\":-3}\n",
        (long)getpid());
    assert_string_equal(heard(&p), want);
    log_begin(&line, &p.env, SEV_LOG, "x");
    log_int(&line, "session", 42);
    log_c(&line, "client", "[local]");
    log_end(&line);
    assert_non_null(strstr(
        heard(&p),
        "\"event\":\"x\",\"session_id\":\"42\",\"backend_type\":\"client backend\",\"remote_host\":\"[local]\"}\n"));
    close_log(&p);
}

/* A line that is too long is cut where it stays JSON, wherever the limit falls. */
static void json_that_is_cut_is_json(void **state)
{
    (void)state;
    static char big[LOG_LINE_MAX + 2];
    struct piped p;
    struct log_line line;

    open_log(&p, LOG_JSON);
    for (size_t before = LOG_LINE_MAX - 200; before < LOG_LINE_MAX; before++) {
        memset(big, 'y', before);
        memcpy(big + before, "\xc3\xa9", 2);
        log_begin(&line, &p.env, SEV_LOG, "long");
        log_str(&line, "v", str_of(big, before + 2));
        log_str(&line, "w", STR("\xff\x01"));
        log_int(&line, "n", 1);
        log_end(&line);
        const char *text = heard(&p);
        size_t n = strlen(text);
        assert_true(n <= LOG_LINE_MAX && n > LOG_LINE_MAX - 300);
        bool whole = strcmp(text + n - 7, "\"n\":1}\n") == 0;
        /* Cut in a value, or between two members. */
        assert_true(whole || strcmp(text + n - 6, "...\"}\n") == 0 || strcmp(text + n - 3, "\"}\n") == 0);
        assert_int_equal(text[n - 8] == '\\' && !whole, 0);
    }
    close_log(&p);
}

static void levels_are_those_of_syslog(void **state)
{
    (void)state;
    static const struct {
        enum severity severity;
        const char *begin;
    } rows[] = { { SEV_LOG, "<6>2023" }, { SEV_FATAL, "<3>2023" }, { SEV_PANIC, "<2>2023" } };
    struct piped p;
    struct log_line line;

    open_log(&p, LOG_TEXT);
    p.log.levels = true;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        log_begin(&line, &p.env, rows[i].severity, "x");
        log_end(&line);
        assert_memory_equal(heard(&p), rows[i].begin, 7);
    }
    close_log(&p);
}

static void prefixes(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        { "192.0.2.7:5432", "192.0.2.7/32" },
        { "[2001:db8:1:2:3:4:5:6]:5432", "2001:db8:1:2::/64" },
        { "[local]", "[local]" },
        { "", "" },
        { "x", "x" },
        { "::", "::" },
    };
    char got[LOG_PREFIX_MAX];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        log_prefix(rows[i][0], got);
        assert_string_equal(got, rows[i][1]);
    }
}

static void say(struct piped *p, const char *client, size_t filler)
{
    static char big[LOG_LINE_MAX];
    struct log_line line;

    memset(big, 'z', filler);
    log_begin(&line, &p->env, SEV_LOG, "refused");
    log_c(&line, "client", client);
    log_str(&line, "v", str_of(big, filler));
    log_end(&line);
}

static void the_thread_writes_everything_in_order(void **state)
{
    (void)state;
    struct piped p;
    struct err e;
    char word[32];

    open_log(&p, LOG_TEXT);
    assert_int_equal(log_queue_start(&p.env, log_dropped, &e), OK);
    for (int i = 0; i < 300; i++) {
        say(&p, "192.0.2.7:1", (size_t)i * 10);
        assert_true(log_queue_flush(&p.log));
        (void)snprintf(word, sizeof word, "v=%s", i ? "zzzzzzzzzz" : "\"\"");
        assert_non_null(strstr(heard(&p), word));
    }
    say(&p, "192.0.2.7:1", 5);
    log_queue_stop(&p.log);
    assert_non_null(strstr(heard(&p), "v=zzzzz\n"));
    assert_int_equal(log_lost(&p.log), 0);
    close_log(&p);
}

/* Nobody reads: whoever logs goes on, and what does not fit is counted. Then somebody reads. */
static void a_full_pipe_stops_nobody(void **state)
{
    (void)state;
    enum { LINES = 2000 };
    struct piped p;
    struct err e;
    FILE *reader;
    size_t whole = 0, dropped_seven = 0, dropped_eight = 0;
    char *row = NULL;
    size_t room = 0;

    open_log(&p, LOG_TEXT);
    assert_int_equal(log_queue_start(&p.env, log_dropped, &e), OK);
    for (int i = 0; i < LINES; i++)
        say(&p, i % 2 ? "192.0.2.7:1" : "192.0.2.8:2", 1000);
    assert_true(log_lost(&p.log) > 0 && log_lost(&p.log) < LINES);
    unsigned long lost = log_lost(&p.log);
    reader = fdopen(p.fds[0], "r");
    while (whole + dropped_seven + dropped_eight < LINES && getline(&row, &room, reader) > 0) {
        const char *prefix = strstr(row, "event=log_dropped cause=refused prefix=192.0.2.");
        const char *count = strstr(row, " lines=");
        if (prefix && count)
            *(strstr(row, ".7/32") ? &dropped_seven : &dropped_eight) += strtoul(count + 7, NULL, 10);
        else
            whole += strstr(row, "event=refused") != NULL;
    }
    assert_int_equal(whole + dropped_seven + dropped_eight, LINES);
    assert_int_equal(dropped_seven + dropped_eight, lost);
    assert_true(dropped_seven > 0 && dropped_eight > 0);
    log_queue_stop(&p.log);
    assert_int_equal(log_lost(&p.log), lost);
    free(row);
    (void)fclose(reader);
    (void)close(p.fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_has_postgres_names),
        cmocka_unit_test(json_that_is_cut_is_json),
        cmocka_unit_test(levels_are_those_of_syslog),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(the_thread_writes_everything_in_order),
        cmocka_unit_test(a_full_pipe_stops_nobody),
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
