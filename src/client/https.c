/* libcurl, from a distance. */
#include "client/https.h"

#include "base/buf.h"
#include "base/check.h"

#include <curl/curl.h>
#include <dlfcn.h>

enum { BODY_MOST = 64 * 1024 /* of an answer that nobody wants to read */ };

struct curl {
    void *library;
    CURLcode (*global_init)(long flags);
    CURL *(*easy_init)(void);
    CURLcode (*easy_setopt)(CURL *curl, CURLoption option, ...);
    CURLcode (*easy_perform)(CURL *curl);
    CURLcode (*easy_getinfo)(CURL *curl, CURLINFO info, ...);
    void (*easy_cleanup)(CURL *curl);
    const char *(*easy_strerror)(CURLcode code);
    struct curl_slist *(*slist_append)(struct curl_slist *list, const char *text);
    void (*slist_free_all)(struct curl_slist *list);
};

static bool https_load(struct curl *c)
{
    c->library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!c->library)
        return false;
    *(void **)&c->global_init = dlsym(c->library, "curl_global_init");
    *(void **)&c->easy_init = dlsym(c->library, "curl_easy_init");
    *(void **)&c->easy_setopt = dlsym(c->library, "curl_easy_setopt");
    *(void **)&c->easy_perform = dlsym(c->library, "curl_easy_perform");
    *(void **)&c->easy_getinfo = dlsym(c->library, "curl_easy_getinfo");
    *(void **)&c->easy_cleanup = dlsym(c->library, "curl_easy_cleanup");
    *(void **)&c->easy_strerror = dlsym(c->library, "curl_easy_strerror");
    *(void **)&c->slist_append = dlsym(c->library, "curl_slist_append");
    *(void **)&c->slist_free_all = dlsym(c->library, "curl_slist_free_all");
    return c->global_init && c->easy_init && c->easy_setopt && c->easy_perform && c->easy_getinfo &&
           c->easy_cleanup && c->easy_strerror && c->slist_append && c->slist_free_all;
}

enum code https_ready(struct err *e)
{
    struct curl c = { 0 };

    /* Several threads may ask at once later: what is global is made now, by one. */
    return https_load(&c) && c.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK
               ? OK
               : err_set(e, E_UNSUPPORTED, "libcurl is not installed");
}

/* ---- callbacks ---- */

struct taking {
    struct buf *body;
    size_t n;
};

static size_t https_take(char *data, size_t size, size_t n, void *ctx)
{
    struct taking *taking = ctx;

    taking->n += size * n;
    if (taking->body ? !buf_append(taking->body, bytes_of(data, size * n)) : taking->n > BODY_MOST)
        return 0; /* curl gives up */
    return size * n;
}

static int https_stop(void *stop, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    (void)down_total;
    (void)down;
    (void)up_total;
    (void)up;
    return atomic_load((const atomic_bool *)stop);
}

/* ---- a question ---- */

static bool set_tls(const struct curl *c, CURL *handle, const struct https_question *q)
{
    /* Without CAPATH the system's trust store would count beside the file; without KEYPASSWD a terminal be asked. */
    return (!q->ca_file || (c->easy_setopt(handle, CURLOPT_CAINFO, q->ca_file) == CURLE_OK &&
                            c->easy_setopt(handle, CURLOPT_CAPATH, NULL) == CURLE_OK)) &&
           c->easy_setopt(handle, CURLOPT_KEYPASSWD, "") == CURLE_OK &&
           (!q->cert_file || c->easy_setopt(handle, CURLOPT_SSLCERT, q->cert_file) == CURLE_OK) &&
           (!q->key_file || c->easy_setopt(handle, CURLOPT_SSLKEY, q->key_file) == CURLE_OK);
}

static bool set_stop(const struct curl *c, CURL *handle, const struct https_question *q)
{
    return !q->stop || (c->easy_setopt(handle, CURLOPT_NOPROGRESS, 0L) == CURLE_OK &&
                        c->easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, https_stop) == CURLE_OK &&
                        c->easy_setopt(handle, CURLOPT_XFERINFODATA, q->stop) == CURLE_OK);
}

static bool set_all(const struct curl *c, CURL *handle, const struct https_question *q, struct taking *taking)
{
    return c->easy_setopt(handle, CURLOPT_URL, q->url) == CURLE_OK &&
           c->easy_setopt(handle, CURLOPT_PROTOCOLS_STR, q->may_plain ? "https,http" : "https") == CURLE_OK &&
           (!q->direct || c->easy_setopt(handle, CURLOPT_PROXY, "") == CURLE_OK) &&
           c->easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           c->easy_setopt(handle, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           c->easy_setopt(handle, CURLOPT_TIMEOUT_MS, (long)q->timeout_ms) == CURLE_OK &&
           c->easy_setopt(handle, CURLOPT_USERAGENT, "pgseal/" PGSEAL_VERSION) == CURLE_OK &&
           c->easy_setopt(handle, CURLOPT_WRITEFUNCTION, https_take) == CURLE_OK &&
           c->easy_setopt(handle, CURLOPT_WRITEDATA, taking) == CURLE_OK && set_tls(c, handle, q) &&
           set_stop(c, handle, q);
}

static enum code https_perform(const struct curl *c, CURL *handle, const struct https_question *q,
                               long *out_status, struct err *e)
{
    struct taking taking = { .body = q->body };

    /* A name that cannot be looked up in time is not waited for when the time is over. Before 7.87 it is. */
    (void)c->easy_setopt(handle, CURLOPT_QUICK_EXIT, 1L);
    if (!set_all(c, handle, q, &taking))
        return err_set(e, E_UNSUPPORTED, "libcurl lacks a required feature");
    CURLcode code = c->easy_perform(handle);
    if (code == CURLE_WRITE_ERROR)
        return err_set(e, E_LIMIT, "could not get \"%s\": the answer is too long", q->url);
    if (code != CURLE_OK)
        return err_set(e, E_CONNECT, "could not get \"%s\": %s", q->url, c->easy_strerror(code));
    (void)c->easy_getinfo(handle, CURLINFO_RESPONSE_CODE, out_status);
    return OK;
}

/* As perform, with another address to connect to. */
static enum code https_perform_at(const struct curl *c, CURL *handle, const struct https_question *q,
                                  long *out_status, struct err *e)
{
    AUTO(buf) struct buf entry = BUF_INIT(512);
    struct curl_slist *list = NULL;

    if (!q->connect_to)
        return https_perform(c, handle, q, out_status, e);
    if (buf_printf(&entry, "::%s:", q->connect_to))
        list = c->slist_append(NULL, buf_c(&entry));
    if (!list)
        return err_set(e, E_NOMEM, "out of memory");
    enum code code = c->easy_setopt(handle, CURLOPT_CONNECT_TO, list) == CURLE_OK
                         ? https_perform(c, handle, q, out_status, e)
                         : err_set(e, E_UNSUPPORTED, "libcurl lacks a required feature");
    c->slist_free_all(list);
    return code;
}

enum code https_ask(const struct https_question *q, long *out_status, struct err *e)
{
    struct curl c = { 0 };

    if (!https_load(&c))
        return err_set(e, E_UNSUPPORTED, "libcurl is not installed");
    CURL *handle = c.easy_init();
    if (!handle)
        return err_set(e, E_NOMEM, "out of memory");
    enum code code = https_perform_at(&c, handle, q, out_status, e);
    c.easy_cleanup(handle);
    return code; /* the library stays loaded: OpenSSL does not like to lose what it has given it */
}
