/* Values of a log line: in both formats one line comes out, of ASCII as text, an object as JSON. */
#include "base/check.h"
#include "base/log.h"
#include "fuzz.h"

#include <jansson.h>
#include <unistd.h>

static const char *const keys[] = { "client", "user",   "database", "application_name",
                                    "sni",    "reason", "message",  "detail" };

/* In front of the values, so that the limit falls anywhere in them. */
static char filler[LOG_LINE_MAX];

/* The line, with its end; a pipe holds more than the longest. */
static size_t written(struct bytes data, enum log_format format, char text[LOG_LINE_MAX + 1])
{
    int fds[2];
    struct log_line line;

    CHECK(pipe(fds) == 0);
    struct log log = { .fd = fds[1], .min_severity = SEV_LOG, .format = format };
    struct env env = fuzz_env;
    env.log = &log;
    log_begin(&line, &env, SEV_FATAL, "refused");
    log_int(&line, "session", fuzz_byte(&data));
    log_str(&line, "rule", str_of(filler, (size_t)fuzz_byte(&data) * sizeof filler / UINT8_MAX));
    for (size_t i = 0; i < COUNT_OF(keys) && data.n > 0; i++)
        log_str(&line, keys[i], str_from_bytes(fuzz_chunk(&data)));
    log_int(&line, "bits", 256);
    log_end(&line);
    ssize_t n = read(fds[0], text, LOG_LINE_MAX + 1);
    CHECK(n > 0 && n <= LOG_LINE_MAX && log_lost(&log) == 0);
    (void)close(fds[0]);
    (void)close(fds[1]);
    CHECK(memchr(text, '\n', (size_t)n) == text + n - 1);
    return (size_t)n;
}

static void is_ascii(const char *text, size_t n)
{
    for (size_t i = 0; i + 1 < n; i++)
        CHECK(text[i] >= ' ' && text[i] < 0x7f);
}

static void is_object(const char *text, size_t n)
{
    json_error_t why;
    json_t *object = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);

    CHECK(json_is_object(object));
    CHECK(strcmp(json_string_value(json_object_get(object, "error_severity")), "FATAL") == 0);
    CHECK(strcmp(json_string_value(json_object_get(object, "event")), "refused") == 0);
    json_decref(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[LOG_LINE_MAX + 1];

    memset(filler, 'y', sizeof filler);
    is_ascii(text, written(bytes_of(data, size), LOG_TEXT, text));
    is_object(text, written(bytes_of(data, size), LOG_JSON, text));
    return 0;
}
