/* libcurl, from a distance. */
#include "renew/https.h"

#include "base/buf.h"

#include <curl/curl.h>
#include <dlfcn.h>

enum { TIMEOUT_S = 10, STATUS_OK = 200 };

struct curl {
    void *library;
    CURL *(*easy_init)(void);
    CURLcode (*easy_setopt)(CURL *curl, CURLoption option, ...);
    CURLcode (*easy_perform)(CURL *curl);
    CURLcode (*easy_getinfo)(CURL *curl, CURLINFO info, ...);
    void (*easy_cleanup)(CURL *curl);
    const char *(*easy_strerror)(CURLcode code);
};

static bool https_load(struct curl *c)
{
    c->library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!c->library)
        return false;
    *(void **)&c->easy_init = dlsym(c->library, "curl_easy_init");
    *(void **)&c->easy_setopt = dlsym(c->library, "curl_easy_setopt");
    *(void **)&c->easy_perform = dlsym(c->library, "curl_easy_perform");
    *(void **)&c->easy_getinfo = dlsym(c->library, "curl_easy_getinfo");
    *(void **)&c->easy_cleanup = dlsym(c->library, "curl_easy_cleanup");
    *(void **)&c->easy_strerror = dlsym(c->library, "curl_easy_strerror");
    return c->easy_init && c->easy_setopt && c->easy_perform && c->easy_getinfo && c->easy_cleanup &&
           c->easy_strerror;
}

static size_t https_take(char *data, size_t size, size_t n, void *ctx)
{
    struct buf *out = ctx;

    return buf_append(out, bytes_of(data, size * n)) ? size * n : 0; /* 0: curl gives up */
}

static enum code https_ask(const struct curl *c, CURL *handle, const char *url, struct buf *out,
                           struct err *e)
{
    long status = 0;

    bool ok = c->easy_setopt(handle, CURLOPT_URL, url) == CURLE_OK &&
              c->easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
              c->easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
              c->easy_setopt(handle, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
              c->easy_setopt(handle, CURLOPT_USERAGENT, "pgseal/" PGSEAL_VERSION) == CURLE_OK &&
              c->easy_setopt(handle, CURLOPT_WRITEFUNCTION, https_take) == CURLE_OK &&
              c->easy_setopt(handle, CURLOPT_WRITEDATA, out) == CURLE_OK;
    if (!ok)
        return err_set(e, E_UNSUPPORTED, "libcurl lacks a required feature");
    CURLcode code = c->easy_perform(handle);
    if (code != CURLE_OK)
        return err_set(e, E_CONNECT, "could not get \"%s\": %s", url, c->easy_strerror(code));
    (void)c->easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    return status == STATUS_OK ? OK
                               : err_set(e, E_CONNECT, "\"%s\" was answered with status %ld", url, status);
}

enum code https_get(const char *url, unsigned timeout_s, struct buf *out, struct err *e)
{
    struct curl c = { 0 };

    if (!https_load(&c))
        return err_set(e, E_UNSUPPORTED, "libcurl is not installed");
    CURL *handle = c.easy_init();
    if (!handle)
        return err_set(e, E_NOMEM, "out of memory");
    long most = timeout_s < TIMEOUT_S ? timeout_s : TIMEOUT_S;
    enum code code = c.easy_setopt(handle, CURLOPT_TIMEOUT, most) == CURLE_OK
                         ? https_ask(&c, handle, url, out, e)
                         : err_set(e, E_UNSUPPORTED, "libcurl lacks a required feature");
    c.easy_cleanup(handle);
    return code; /* the library stays loaded: OpenSSL does not like to lose what it has given it */
}
