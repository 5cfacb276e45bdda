/* Certificates and revocation lists, shown. */
#include "cmd/certtext.h"

#include "base/buf.h"
#include "base/check.h"
#include "pki/expiry.h"

#include <inttypes.h>
#include <time.h>

enum { JSON_TEXT_LIMIT = 1 << 20 };

const char *time_text(int64_t unix_s, char out[TIME_TEXT_MAX])
{
    time_t t = (time_t)unix_s;
    struct tm tm;

    out[0] = '\0';
    if (unix_s != INT64_MAX && gmtime_r(&t, &tm))
        (void)strftime(out, TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return out;
}

/* ---- JSON ---- */

json_t *json_of(struct str text)
{
    AUTO(buf) struct buf safe = BUF_INIT(JSON_TEXT_LIMIT);
    json_t *value = json_stringn(text.p, text.n);

    if (value)
        return value;
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = (uint8_t)text.p[i];
        (void)buf_printf(&safe, c < 0x80 ? "%c" : "\\x%02x", c);
    }
    return json_stringn(buf_str(&safe).p, buf_str(&safe).n);
}

static json_t *time_json(int64_t unix_s)
{
    char text[TIME_TEXT_MAX];

    return unix_s == INT64_MAX ? json_null() : json_string(time_text(unix_s, text));
}

static json_t *usage_json(unsigned eku)
{
    json_t *array = json_array();

    if (eku & (CERT_EKU_SERVER | CERT_EKU_ANY))
        (void)json_array_append_new(array, json_string("server"));
    if (eku & (CERT_EKU_CLIENT | CERT_EKU_ANY))
        (void)json_array_append_new(array, json_string("client"));
    if (eku & CERT_EKU_OTHER)
        (void)json_array_append_new(array, json_string("other"));
    return array;
}

static json_t *sans_json(const struct cert_info *info)
{
    json_t *array = json_array();

    for (size_t i = 0; i < info->n_sans; i++)
        (void)json_array_append_new(array, json_of(info->sans[i]));
    return array;
}

/* Members common to everything that expires. */
static void put_expiry(json_t *object, struct expiry expiry)
{
    (void)json_object_set_new(object, "days_left", json_integer(expiry.days_left));
    (void)json_object_set_new(object, "life_left", json_real(expiry.life_left));
    (void)json_object_set_new(object, "status", json_string(expiry_status_name(expiry.status)));
}

json_t *cert_json(const struct cert_info *info, int64_t now_s)
{
    char hex[CERT_SHA256_TEXT];

    cert_sha256_text(info->sha256, hex);
    json_t *object = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:s}", "subject",
        json_of(info->subject), "issuer", json_of(info->issuer), "serial", json_of(info->serial),
        "serial_hex", json_of(info->serial_hex), "sans", sans_json(info), "key", json_of(info->key),
        "signature", json_of(info->signature), "not_before", time_json(info->not_before_unix_s), "not_after",
        time_json(info->not_after_unix_s), "usage", usage_json(info->eku), "is_ca", (int)info->is_ca,
        "self_signed", (int)info->self_signed, "sha256", hex);

    if (object)
        put_expiry(object, expiry_judge(info->not_before_unix_s, info->not_after_unix_s, now_s));
    return object;
}

json_t *crl_json(const struct crl_info *info, int64_t now_s)
{
    json_t *object = json_pack("{s:o, s:o, s:o, s:o, s:I}", "issuer", json_of(info->issuer), "number",
                               json_of(info->number), "last_update", time_json(info->last_update_unix_s),
                               "next_update", time_json(info->next_update_unix_s), "revoked",
                               (json_int_t)info->n_revoked);

    if (object)
        put_expiry(object, expiry_judge(info->last_update_unix_s, info->next_update_unix_s, now_s));
    return object;
}

enum code json_print(FILE *out, json_t *value, struct err *e)
{
    if (!value)
        return err_set(e, E_NOMEM, "out of memory");
    (void)json_dumpf(value, out, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    (void)fputc('\n', out);
    json_decref(value);
    return OK;
}

/* ---- text ---- */

static void say_life(FILE *out, int64_t from_s, int64_t to_s, int64_t now_s)
{
    char from[TIME_TEXT_MAX], to[TIME_TEXT_MAX];
    struct expiry x = expiry_judge(from_s, to_s, now_s);

    (void)fprintf(out, "  valid        %s to %s", time_text(from_s, from),
                  to_s == INT64_MAX ? "forever" : time_text(to_s, to));
    if (x.not_yet)
        (void)fprintf(out, ", not yet\n");
    else if (x.over)
        (void)fprintf(out, ", EXPIRED %" PRId64 " days ago\n", -x.days_left);
    else if (to_s == INT64_MAX)
        (void)fputc('\n', out);
    else
        (void)fprintf(out, ", %" PRId64 " days (%.0f %% of its life) left\n", x.days_left, 100 * x.life_left);
}

static const char *usage_text(const struct cert_info *info)
{
    if (info->is_ca)
        return "certification authority";
    if (info->eku & CERT_EKU_ANY)
        return "anything";
    if ((info->eku & CERT_EKU_SERVER) && (info->eku & CERT_EKU_CLIENT))
        return "server and client";
    if (info->eku & CERT_EKU_SERVER)
        return "server";
    return info->eku & CERT_EKU_CLIENT ? "client" : "neither server nor client";
}

void cert_print(FILE *out, const struct cert_info *info, int64_t now_s)
{
    char hex[CERT_SHA256_TEXT];

    cert_sha256_text(info->sha256, hex);
    (void)fprintf(out, "  subject      %.*s\n", STR_ARG(info->subject));
    if (info->self_signed)
        (void)fprintf(out, "  issuer       itself\n");
    else
        (void)fprintf(out, "  issuer       %.*s\n", STR_ARG(info->issuer));
    for (size_t i = 0; i < info->n_sans; i++)
        (void)fprintf(out, "  %-12s %.*s\n", i ? "" : "names", STR_ARG(info->sans[i]));
    (void)fprintf(out, "  for          %s\n", usage_text(info));
    say_life(out, info->not_before_unix_s, info->not_after_unix_s, now_s);
    (void)fprintf(out, "  key          %.*s, signed with %.*s\n", STR_ARG(info->key),
                  STR_ARG(info->signature));
    (void)fprintf(out, "  serial       %.*s\n", STR_ARG(info->serial_hex));
    (void)fprintf(out, "  sha256       %s\n", hex);
}

void crl_print(FILE *out, const struct crl_info *info, int64_t now_s)
{
    (void)fprintf(out, "  issuer       %.*s\n", STR_ARG(info->issuer));
    (void)fprintf(out, "  number       %.*s\n", STR_ARG(info->number));
    say_life(out, info->last_update_unix_s, info->next_update_unix_s, now_s);
    (void)fprintf(out, "  revoked      %zu\n", info->n_revoked);
}

/* ---- warnings ---- */

void cert_warn(X509 *cert, const struct cert_info *info, struct diags *diags)
{
    struct err e;
    uint8_t hash[CERT_HASH_MAX];
    size_t n;
    struct diag *row;

    if (cert_end_point_hash(cert, hash, &n, &e) == E_UNSUPPORTED) {
        row = diags_add(
            diags, SEV_WARNING, E_UNSUPPORTED, str_c(""), 0,
            "clients cannot use channel binding with this certificate: its signature algorithm (%.*s) has "
            "no digest",
            STR_ARG(info->signature));
        diags_hint(diags, row,
                   "libpq's clients then need channel_binding=disable. Use a CA with an ECDSA or RSA key; "
                   "the certificate's own key does not matter.");
    }
    if (str_starts(info->signature, STR("rsassaPss"))) {
        row = diags_add(diags, SEV_WARNING, E_UNSUPPORTED, str_c(""), 0,
                        "some drivers cannot use channel binding with an RSA-PSS signature");
        diags_hint(diags, row, "Have it signed with RSA (PKCS #1) or ECDSA.");
    }
}
