/* ACME Renewal Information. */
#include "renew/ari.h"

#include "base/arena.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "client/https.h"

#include <inttypes.h>
#include <jansson.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

enum {
    ANSWER_LIMIT = 64 * 1024,
    URL_LIMIT = 2048,
    KEPT_LIMIT = 1024,
    ASK_AGAIN_S = 6 * 3600,
    TIME_MAX = 40,
    TIMEOUT_S = 10,
    STATUS_OK = 200
};

#define DEFAULT_DIRECTORY "https://acme-v02.api.letsencrypt.org/directory"

static void json_auto(json_t **json)
{
    json_decref(*json);
}

/* ---- answers ---- */

/* Z, or hours and minutes from UTC. */
static bool read_zone(const char *text, int64_t *out_s)
{
    uint32_t hours, minutes;
    struct str s = str_c(text);

    *out_s = 0;
    if (str_is(s, "Z") || str_is(s, "z"))
        return true;
    if (s.n != 6 || (s.p[0] != '+' && s.p[0] != '-') || s.p[3] != ':' ||
        !str_to_u32(str_of(s.p + 1, 2), 0, 23, &hours) || !str_to_u32(str_of(s.p + 4, 2), 0, 59, &minutes))
        return false;
    *out_s = (int64_t)(hours * 3600 + minutes * 60) * (s.p[0] == '-' ? 1 : -1);
    return true;
}

/* [src: RFC 3339, section 5.6] */
static bool ari_read_time(const json_t *json, int64_t *out)
{
    const char *text = json_string_value(json);
    struct tm tm = { 0 };
    int64_t zone;

    if (!text || json_string_length(json) > TIME_MAX || strlen(text) != json_string_length(json))
        return false;
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!rest)
        return false;
    if (*rest == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    if (!read_zone(rest, &zone))
        return false;
    *out = timegm(&tm) + zone;
    return *out > 0;
}

static json_t *read_json(struct bytes text)
{
    return json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
}

enum code ari_parse(struct bytes text, struct ari_window *out, struct err *e)
{
    AUTO(json) json_t *json = text.n ? read_json(text) : NULL;
    const json_t *window = json_object_get(json, "suggestedWindow");
    struct ari_window found;

    if (!ari_read_time(json_object_get(window, "start"), &found.start_unix_s) ||
        !ari_read_time(json_object_get(window, "end"), &found.end_unix_s) ||
        found.end_unix_s < found.start_unix_s)
        return err_set(e, E_CONFIG, "the CA's renewal information has no suggestedWindow");
    *out = found;
    return OK;
}

/* ---- questions ---- */

static bool append_url64(struct bytes data, struct buf *out)
{
    AUTO(buf) struct buf text = BUF_INIT(KEPT_LIMIT);

    (void)base64_encode(data, &text);
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (c != '=')
            buf_append_byte(out, c == '+' ? '-' : c == '/' ? '_' : c);
    }
    return buf_ok(&text) && buf_ok(out);
}

/* The certificate's name in that resource, appended. E_UNSUPPORTED: it has no authority key identifier. */
static enum code ari_id(X509 *cert, struct buf *out, struct err *e)
{
    const ASN1_OCTET_STRING *key = X509_get0_authority_key_id(cert);
    const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);
    AUTO(buf) struct buf number = BUF_INIT(KEPT_LIMIT);

    if (!key)
        return err_set(e, E_UNSUPPORTED, "the certificate has no authority key identifier");
    struct bytes digits = bytes_of(ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial));
    if (digits.n > 0 && (digits.p[0] & 0x80)) /* as in DER: positive */
        buf_append_byte(&number, 0);
    buf_append(&number, digits);
    bool ok = append_url64(bytes_of(ASN1_STRING_get0_data(key), (size_t)ASN1_STRING_length(key)), out) &&
              buf_append_byte(out, '.') && buf_ok(&number) && append_url64(buf_bytes(&number), out);
    return ok ? OK : err_set(e, E_LIMIT, "the certificate's serial number is too long");
}

double ari_point(X509 *cert)
{
    uint8_t sha256[CERT_SHA256_SIZE] = { 0 };

    (void)cert_sha256(cert, sha256);
    return (sha256[0] * 256 + sha256[1]) / 65536.0;
}

/* `timeout` of the source, and never more than ten seconds. */
static enum code ari_get(const char *url, const struct renew_order *order, struct buf *out, struct err *e)
{
    unsigned timeout_s = order->rule->timeout_s < TIMEOUT_S ? order->rule->timeout_s : TIMEOUT_S;
    const struct https_question question = { .url = url, .timeout_ms = timeout_s * 1000, .body = out };
    long status = 0;

    TRY(https_ask(&question, &status, e));
    return status == STATUS_OK ? OK
                               : err_set(e, E_CONNECT, "\"%s\" was answered with status %ld", url, status);
}

/* Where the CA tells: as the file says, else as its directory does. */
static enum code find_resource(const struct renew_order *order, struct buf *out, struct err *e)
{
    struct str ari = order->rule->v[RENEW_SET_ARI], directory = order->rule->v[RENEW_SET_DIRECTORY];
    AUTO(buf) struct buf answer = BUF_INIT(ANSWER_LIMIT);

    if (ari.n > 0)
        return buf_append_str(out, ari) ? OK : err_set(e, E_LIMIT, "the address is too long");
    TRY(ari_get(directory.n > 0 ? directory.p : DEFAULT_DIRECTORY, order, &answer, e));
    AUTO(json) json_t *json = answer.n ? read_json(buf_bytes(&answer)) : NULL;
    const json_t *url = json_object_get(json, "renewalInfo");
    if (!json_is_string(url))
        return err_set(e, E_UNSUPPORTED, "the CA offers no renewal information");
    return buf_append_c(out, json_string_value(url)) ? OK : err_set(e, E_LIMIT, "the address is too long");
}

static enum code ari_ask(const struct renew_order *order, struct ari_window *out, struct err *e)
{
    AUTO(buf) struct buf url = BUF_INIT(URL_LIMIT);
    AUTO(buf) struct buf answer = BUF_INIT(ANSWER_LIMIT);

    TRY(find_resource(order, &url, e));
    if (url.n > 0 && url.p[url.n - 1] != '/')
        buf_append_byte(&url, '/');
    TRY(ari_id(order->old->items[0], &url, e));
    TRY(ari_get(buf_c(&url), order, &answer, e));
    return ari_parse(buf_bytes(&answer), out, e);
}

/* ---- what is kept: certificate, time of the question, window ---- */

static enum code kept_path(const struct renew_order *order, char out[OS_PATH_MAX], struct err *e)
{
    struct str name;

    if (!arena_printf(order->arena, &name, "ari-%.*s", STR_ARG(order->rule->name)))
        return err_set(e, E_NOMEM, "out of memory");
    return os_path(order->target->work, name.p, out, e);
}

static bool read_kept(const char *path, const char *id, int64_t *out_asked_s, struct ari_window *out)
{
    AUTO(buf) struct buf text = BUF_INIT(KEPT_LIMIT);
    struct ari_window window;
    struct str part[4], rest;
    int64_t asked;
    size_t n = 0;

    if (!os_exists(path) || os_read_file(path, &text, NULL) != OK)
        return false;
    rest = str_trim(buf_str(&text));
    while (n < COUNT_OF(part) && str_split(&rest, ' ', &part[n]))
        n++;
    if (n < COUNT_OF(part) || !str_is(part[0], id) || !str_to_i64(part[1], 0, INT64_MAX, &asked) ||
        !str_to_i64(part[2], 0, INT64_MAX, &window.start_unix_s) ||
        !str_to_i64(part[3], 0, INT64_MAX, &window.end_unix_s))
        return false;
    *out_asked_s = asked;
    *out = window;
    return true;
}

static void ari_keep(const char *path, const char *id, int64_t now_s, const struct ari_window *window)
{
    AUTO(buf) struct buf text = BUF_INIT(KEPT_LIMIT);

    buf_printf(&text, "%s %" PRId64 " %" PRId64 " %" PRId64 "\n", id, now_s, window->start_unix_s,
               window->end_unix_s);
    if (buf_ok(&text))
        (void)!os_write_file(path, buf_bytes(&text), 0600, OS_WRITE_REPLACE, NULL);
}

struct ari_window ari_window_of(const struct renew_order *order, bool look)
{
    struct str ari = order->rule->v[RENEW_SET_ARI];
    AUTO(buf) struct buf id = BUF_INIT(KEPT_LIMIT);
    int64_t now = env_now_s(order->env), asked = 0;
    struct ari_window window = { 0 };
    char path[OS_PATH_MAX];
    struct err ignored;

    bool asks = order->rule->source == RENEW_ACME ? !str_is(ari, "off") : ari.n > 0 && !str_is(ari, "off");
    if (!asks || ari_id(order->old->items[0], &id, &ignored) != OK || kept_path(order, path, &ignored) != OK)
        return window;
    bool known = read_kept(path, buf_c(&id), &asked, &window);
    if (look || (known && now >= asked && now - asked < ASK_AGAIN_S))
        return window;
    if (ari_ask(order, &window, &ignored) != OK)
        return window; /* an earlier wish still counts */
    ari_keep(path, buf_c(&id), now, &window);
    return window;
}
