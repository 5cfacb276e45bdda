/*
 * Names in certificates.
 *
 * PostgreSQL shows a name in one form and compares another. What it shows (pg_stat_ssl, sslinfo) walks the
 * entries in encoding order and escapes as RFC 2253 does, except that UTF-8 stays readable. What it compares
 * (clientname=DN) is RFC 2253 to the letter: reversed, with every byte outside ASCII escaped. The common name
 * is compared as the raw bytes of its first entry, so its length counts, not a NUL inside it.
 */
#include "pki/name.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "pki/ossl.h"

#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/x509v3.h>

enum {
    DNS_NAME_MAX = 253, /* [src: RFC 1035, section 2.3.4] */
    DNS_LABEL_MAX = 63,
    SAN_TEXT_LIMIT = 1 << 16,
    FIELD_NAME_MAX = 128 /* longer than any name OpenSSL knows */
};

/* RFC 2253 escapes, but bytes above 127 stay what they are: UTF-8. */
static const unsigned long readable_flags = (ASN1_STRFLGS_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) |
                                            ASN1_STRFLGS_UTF8_CONVERT;

static enum code copy_out(BIO *bio, struct arena *arena, struct str *out, struct err *e)
{
    if (!arena_str(arena, str_from_bytes(ossl_bio_bytes(bio)), out))
        return err_set(e, E_NOMEM, "out of memory");
    return OK;
}

static struct str raw(const ASN1_STRING *s)
{
    int n = ASN1_STRING_length(s);

    return str_of((const char *)ASN1_STRING_get0_data(s), n > 0 ? (size_t)n : 0);
}

/* A value that is not valid in its own string type prints as far as it goes, as in PostgreSQL. */
static void print_value(BIO *bio, const ASN1_STRING *value)
{
    (void)ASN1_STRING_print_ex(bio, value, readable_flags);
}

/* Short name, else long name, else dotted number [choice: PostgreSQL fails on unknown ones]. */
static void print_label(BIO *bio, const ASN1_OBJECT *object)
{
    int nid = OBJ_obj2nid(object);
    const char *label = nid == NID_undef ? NULL : OBJ_nid2sn(nid);
    char dotted[FIELD_NAME_MAX];

    if (!label && OBJ_obj2txt(dotted, sizeof dotted, object, 1) > 0)
        label = dotted;
    (void)BIO_printf(bio, "/%s=", label ? label : "?");
}

enum code name_slash(const X509_NAME *name, struct arena *arena, struct str *out, struct err *e)
{
    AUTO(bio) BIO *bio = BIO_new(BIO_s_mem());

    if (!bio)
        return err_set(e, E_NOMEM, "out of memory");
    for (int i = 0; i < X509_NAME_entry_count(name); i++) {
        const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
        print_label(bio, X509_NAME_ENTRY_get_object(entry));
        print_value(bio, X509_NAME_ENTRY_get_data(entry));
    }
    return copy_out(bio, arena, out, e);
}

enum code name_rfc2253(const X509_NAME *name, struct arena *arena, struct str *out, struct err *e)
{
    AUTO(bio) BIO *bio = BIO_new(BIO_s_mem());

    if (!bio)
        return err_set(e, E_NOMEM, "out of memory");
    if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) == -1)
        return err_set(e, E_AUTH, "SSL certificate's distinguished name could not be printed");
    if (str_has_nul(str_from_bytes(ossl_bio_bytes(bio))))
        return err_set(e, E_AUTH, "SSL certificate's distinguished name contains embedded null");
    return copy_out(bio, arena, out, e);
}

enum code name_cn(const X509_NAME *name, struct arena *arena, struct name_value *out, struct err *e)
{
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    struct name_value found = { .present = at >= 0 };

    if (at >= 0) {
        struct str cn = raw(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
        if (!arena_str(arena, cn, &found.value))
            return err_set(e, E_NOMEM, "out of memory");
        found.has_nul = str_has_nul(cn);
    }
    *out = found;
    return OK;
}

static int nid_of(struct str field)
{
    char text[FIELD_NAME_MAX];

    return str_to_c(field, text, sizeof text) ? OBJ_txt2nid(text) : NID_undef;
}

bool name_field_known(struct str field)
{
    return nid_of(field) != NID_undef;
}

static enum code name_read_attribute(const X509_NAME_ENTRY *entry, int nid, struct arena *arena,
                                     struct name_attribute *out, struct err *e)
{
    AUTO(bio) BIO *bio = BIO_new(BIO_s_mem());
    char dotted[FIELD_NAME_MAX];

    if (!bio)
        return err_set(e, E_NOMEM, "out of memory");
    print_value(bio, X509_NAME_ENTRY_get_data(entry));
    TRY(copy_out(bio, arena, &out->value, e));
    out->short_name = str_c(OBJ_nid2sn(nid));
    out->long_name = str_c(OBJ_nid2ln(nid));
    if (OBJ_obj2txt(dotted, sizeof dotted, X509_NAME_ENTRY_get_object(entry), 1) <= 0)
        return OK;
    return arena_str(arena, str_c(dotted), &out->dotted) ? OK : err_set(e, E_NOMEM, "out of memory");
}

enum code name_attributes(const X509_NAME *name, struct arena *arena, struct name_attribute **out,
                          size_t *out_n, struct err *e)
{
    int count = X509_NAME_entry_count(name);
    struct name_attribute *list = arena_array(arena, (size_t)count, sizeof *list);
    size_t n = 0;

    if (!list)
        return err_set(e, E_NOMEM, "out of memory");
    for (int i = 0; i < count; i++) {
        const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
        int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));
        if (nid != NID_undef)
            TRY(name_read_attribute(entry, nid, arena, &list[n++], e));
    }
    *out = list;
    *out_n = n;
    return OK;
}

enum code name_field(const X509_NAME *name, struct str field, struct arena *arena, struct name_value *out,
                     struct err *e)
{
    int nid = nid_of(field);

    if (nid == NID_undef)
        return err_set(e, E_PARAM, "invalid X.509 field name: \"%.*s\"", STR_ARG(field));
    int at = X509_NAME_get_index_by_NID(name, nid, -1);
    if (at < 0) {
        *out = (struct name_value){ .present = false };
        return OK;
    }
    AUTO(bio) BIO *bio = BIO_new(BIO_s_mem());
    if (!bio)
        return err_set(e, E_NOMEM, "out of memory");
    print_value(bio, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    struct str value;
    TRY(copy_out(bio, arena, &value, e));
    *out = (struct name_value){ .present = true, .has_nul = str_has_nul(value), .value = value };
    return OK;
}

/* ---- serial numbers ---- */

static enum code serial_text(const ASN1_INTEGER *serial, char *(*print)(const BIGNUM *), struct arena *arena,
                             struct str *out, struct err *e)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(serial, NULL);
    char *text = number ? print(number) : NULL;
    enum code code = OK;

    if (!text)
        code = ossl_fail(e, "read serial number");
    else if (!arena_str(arena, str_c(text), out))
        code = err_set(e, E_NOMEM, "out of memory");
    OPENSSL_free(text);
    BN_free(number);
    return code;
}

enum code name_serial_decimal(const ASN1_INTEGER *serial, struct arena *arena, struct str *out, struct err *e)
{
    return serial_text(serial, BN_bn2dec, arena, out, e);
}

enum code name_serial_hex(const ASN1_INTEGER *serial, struct arena *arena, struct str *out, struct err *e)
{
    struct str upper = STR("");

    TRY(serial_text(serial, BN_bn2hex, arena, &upper, e));
    char *lower = arena_c(arena, upper);
    if (!lower)
        return err_set(e, E_NOMEM, "out of memory");
    for (size_t i = 0; i < upper.n; i++)
        if (lower[i] >= 'A' && lower[i] <= 'F')
            lower[i] = (char)(lower[i] - 'A' + 'a');
    *out = str_of(lower, upper.n);
    return OK;
}

/* ---- subject alternative names ---- */

static const char *san_type_name(enum san_type type)
{
    static const char *const names[] = {
        [SAN_DNS] = "dns", [SAN_IP] = "ip", [SAN_URI] = "uri", [SAN_EMAIL] = "email", [SAN_OTHER] = "other"
    };

    return names[type];
}

static enum san_type type_of(const GENERAL_NAME *name, struct str *out_value)
{
    *out_value = str_c("");
    switch (name->type) { /* an int from the wire, so the default is needed */
    case GEN_DNS:
        *out_value = raw(name->d.dNSName);
        return SAN_DNS;
    case GEN_IPADD:
        *out_value = raw(name->d.iPAddress);
        return SAN_IP;
    case GEN_URI:
        *out_value = raw(name->d.uniformResourceIdentifier);
        return SAN_URI;
    case GEN_EMAIL:
        *out_value = raw(name->d.rfc822Name);
        return SAN_EMAIL;
    default:
        return SAN_OTHER;
    }
}

enum code cert_names_copy(const GENERAL_NAMES *names, struct arena *arena, struct cert_names *out,
                          struct err *e)
{
    int n = sk_GENERAL_NAME_num(names);

    if (n > NAME_SANS_MAX)
        return err_set(e, E_LIMIT, "certificate has more than %d alternative names", NAME_SANS_MAX);
    out->sans = arena_array(arena, (size_t)(n > 0 ? n : 0), sizeof *out->sans);
    if (!out->sans)
        return err_set(e, E_NOMEM, "out of memory");
    for (int i = 0; i < n; i++) {
        struct str value;
        struct san *san = &out->sans[out->n_sans++];
        san->type = type_of(sk_GENERAL_NAME_value(names, i), &value);
        if (!arena_bytes(arena, str_bytes(value), &san->value))
            return err_set(e, E_NOMEM, "out of memory");
    }
    return OK;
}

enum code cert_names_of(X509 *cert, struct arena *arena, struct cert_names *out, struct err *e)
{
    struct cert_names found = { .n_sans = 0 };
    int critical = 0;
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, &critical, NULL);

    if (!names && critical != -1) { /* -1: no such extension */
        char reason[OSSL_REASON_MAX];
        return err_set(e, E_TLS, "could not read the certificate's alternative names: %s",
                       ossl_reason(reason));
    }
    enum code code = names ? cert_names_copy(names, arena, &found, e) : OK;
    GENERAL_NAMES_free(names);
    TRY(code);
    TRY(name_cn(X509_get_subject_name(cert), arena, &found.cn, e));
    *out = found;
    return OK;
}

static void append_printable(struct buf *b, struct bytes value)
{
    for (size_t i = 0; i < value.n; i++) {
        uint8_t c = value.p[i];
        if (c > ' ' && c < 0x7f)
            (void)buf_append_byte(b, c);
        else
            (void)buf_printf(b, "\\x%02x", (unsigned)c);
    }
}

static void append_ip(struct buf *b, struct bytes value)
{
    char text[INET6_ADDRSTRLEN];
    int family = value.n == 4 ? AF_INET : AF_INET6;

    if ((value.n == 4 || value.n == 16) && inet_ntop(family, value.p, text, sizeof text))
        (void)buf_append_c(b, text);
    else
        (void)buf_printf(b, "<%zu bytes>", value.n);
}

enum code san_text(const struct san *san, struct arena *arena, struct str *out, struct err *e)
{
    AUTO(buf) struct buf b = BUF_INIT(SAN_TEXT_LIMIT);

    (void)buf_printf(&b, "%s:", san_type_name(san->type));
    switch (san->type) {
    case SAN_IP:
        append_ip(&b, san->value);
        break;
    case SAN_DNS:
    case SAN_URI:
    case SAN_EMAIL:
    case SAN_OTHER:
        append_printable(&b, san->value);
        break;
    }
    if (!buf_ok(&b))
        return err_set(e, E_LIMIT, "alternative name of the certificate is too long");
    if (!arena_str(arena, buf_str(&b), out))
        return err_set(e, E_NOMEM, "out of memory");
    return OK;
}

/* ---- names from the command line ---- */

static bool is_label(struct str label)
{
    if (label.n == 0 || label.n > DNS_LABEL_MAX || label.p[0] == '-' || label.p[label.n - 1] == '-')
        return false;
    for (size_t i = 0; i < label.n; i++) {
        char c = label.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && c != '-' && c != '_') /* underscores occur in internal names, and libpq compares text */
            return false;
    }
    return true;
}

/* A host name, or one below a leading wildcard label: `*.example.com`. */
static bool is_dns_name(struct str name)
{
    if (name.n == 0 || name.n > DNS_NAME_MAX || name.p[name.n - 1] == '.')
        return false;
    if (str_starts(name, STR("*.")))
        name = str_from(name, 2);
    struct str label;
    while (str_split(&name, '.', &label))
        if (!is_label(label))
            return false;
    return true;
}

static bool is_printable(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f)
            return false;
    return s.n > 0;
}

static bool parse_ip(struct str text, uint8_t out[16], size_t *out_n)
{
    char c[INET6_ADDRSTRLEN];

    if (!str_to_c(text, c, sizeof c))
        return false;
    if (inet_pton(AF_INET, c, out) == 1)
        *out_n = 4;
    else if (inet_pton(AF_INET6, c, out) == 1)
        *out_n = 16;
    else
        return false;
    return true;
}

static bool has_prefix(struct str *text, struct str prefix)
{
    if (!str_starts_nocase(*text, prefix))
        return false;
    *text = str_from(*text, prefix.n);
    return true;
}

enum code san_parse(struct str text, struct arena *arena, struct san *out, struct err *e)
{
    struct str value = text;
    uint8_t ip[16];
    size_t ip_n = 0;
    enum san_type type = SAN_DNS;
    bool bare_ip = parse_ip(text, ip, &ip_n), ok = true;

    if (bare_ip || has_prefix(&value, STR("ip:"))) {
        type = SAN_IP;
        ok = bare_ip || parse_ip(value, ip, &ip_n);
        value = str_of((const char *)ip, ip_n);
    } else if (has_prefix(&value, STR("uri:"))) {
        type = SAN_URI;
        ok = is_printable(value) && str_find(value, ':') < value.n;
    } else if (has_prefix(&value, STR("email:"))) {
        type = SAN_EMAIL;
        ok = is_printable(value) && str_find(value, '@') < value.n;
    } else {
        (void)has_prefix(&value, STR("dns:"));
        ok = is_dns_name(value);
    }
    if (!ok) {
        (void)err_set(e, E_PARAM, "not a valid name for a certificate: \"%.*s\"", STR_ARG(text));
        err_hint(e, "Write dns:NAME, ip:ADDRESS, uri:URI or email:ADDRESS; international host names in their "
                    "xn-- form.");
        return E_PARAM;
    }
    struct san san = { .type = type };
    if (!arena_bytes(arena, str_bytes(value), &san.value))
        return err_set(e, E_NOMEM, "out of memory");
    *out = san;
    return OK;
}
