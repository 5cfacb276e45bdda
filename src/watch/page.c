/* One report for all who ask within a second. */
#include "watch/page.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "watch/http.h"
#include "watch/page_data.h"

#include <jansson.h>
#include <stdlib.h>

enum {
    FRESH_US = 1000 * 1000,
    FRESH_TIMES =
        10, /* a report that is dear to make is kept longer: at most a tenth of the time goes into it */
    WAITING_MAX = 128, /* replies; as many as clients can be in, and as many who have just left */
    REPORT_MAX = 16 << 20,
    ERROR_MAX = 4096,
    STATUS_OK = 200,
    STATUS_UNAVAILABLE = 503
};

#define TYPE_JSON "application/json"

struct page {
    struct page_params params;
    struct buf report; /* the last one */
    int64_t until_us;  /* when it is no longer fresh; 0: there is none */
    int64_t asked_us;
    bool asking;
    struct http_reply *waiting[WAITING_MAX];
    size_t n_waiting;
};

struct page *page_new(const struct page_params *params)
{
    struct page *page = calloc(1, sizeof *page);

    if (!page)
        return NULL;
    page->params = *params;
    buf_init(&page->report, REPORT_MAX);
    return page;
}

void page_free(struct page *page)
{
    if (!page)
        return;
    buf_fini(&page->report);
    free(page);
}

void page_send_html(struct http_reply *reply)
{
    http_reply_header(reply, "Content-Security-Policy", page_policy);
    http_reply_header(reply, "Referrer-Policy", "no-referrer");
    http_reply_header(reply, "Cross-Origin-Opener-Policy", "same-origin");
    http_reply_send(reply, STATUS_OK, "text/html; charset=utf-8", bytes_of(page_html, page_html_n));
}

static int append(const char *text, size_t n, void *arg)
{
    return buf_append_str(arg, str_of(text, n)) ? 0 : -1;
}

static void send_error(struct http_reply *reply, const char *why)
{
    AUTO(buf) struct buf text = BUF_INIT(ERROR_MAX);
    json_t *error = json_pack("{s:s}", "error", why);

    if (json_dump_callback(error, append, &text, JSON_COMPACT) != 0)
        buf_reset(&text);
    json_decref(error);
    http_reply_send(reply, STATUS_UNAVAILABLE, TYPE_JSON, buf_bytes(&text));
}

static void on_report(void *arg, struct bytes json, const struct err *why)
{
    struct page *page = arg;

    page->asking = false;
    page->until_us = 0;
    buf_reset(&page->report);
    if (!why && buf_append(&page->report, json)) {
        int64_t now_us = env_mono_us(page->params.env), dear_us = FRESH_TIMES * (now_us - page->asked_us);
        page->until_us = now_us + (dear_us > FRESH_US ? dear_us : FRESH_US);
    }
    while (page->n_waiting > 0) {
        struct http_reply *reply = page->waiting[--page->n_waiting];
        if (page->until_us)
            http_reply_send(reply, STATUS_OK, TYPE_JSON, buf_bytes(&page->report));
        else
            send_error(reply, why ? err_text(why) : "out of memory");
    }
}

void page_send_report(struct page *page, struct http_reply *reply)
{
    if (env_mono_us(page->params.env) < page->until_us) {
        http_reply_send(reply, STATUS_OK, TYPE_JSON, buf_bytes(&page->report));
        return;
    }
    if (page->n_waiting == WAITING_MAX) {
        send_error(reply, "too many requests are waiting for an answer");
        return;
    }
    page->waiting[page->n_waiting++] = reply;
    if (page->asking)
        return;
    page->asking = true;
    page->asked_us = env_mono_us(page->params.env);
    page->params.ask(page->params.ctx, on_report, page);
}
