/*
 * Text to X509_NAME: RFC 2253, the slashes of pg_stat_ssl, the commas of the openssl program.
 *
 * Attributes are collected in the order written. RFC 2253 writes a name from its end, so that spelling is put
 * together backwards; a plus sign joins attributes in one RDN. [src: RFC 2253, section 3; OpenSSL,
 * X509_NAME_print_ex]
 */
#include "pki/name_text.h"

#include "base/buf.h"
#include "base/check.h"
#include "pki/name.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

enum {
    TEXT_MAX = 64 * 1024,
    TYPE_MAX = 128, /* longer than any name OpenSSL knows */
};

struct reading {
    struct str left;
    enum name_spelling spelling;
    X509_NAME_ENTRY *entries[NAME_TEXT_MAX];
    bool joined[NAME_TEXT_MAX]; /* a plus sign stood in front of it */
    size_t n;
    struct err *e;
};

void x509_name_auto(X509_NAME **name)
{
    X509_NAME_free(*name);
}

static enum code name_text_no_memory(const struct reading *r)
{
    return err_set(r->e, E_NOMEM, "out of memory");
}

/* ---- one attribute ---- */

static enum code read_type(struct reading *r, struct str *out)
{
    size_t equals = str_find(r->left, '=');

    *out = str_trim(str_first(r->left, equals));
    if (equals == r->left.n || out->n == 0)
        return err_set(r->e, E_PARAM, "an attribute such as CN=alice is expected");
    if (!name_field_known(*out))
        return err_set(r->e, E_PARAM, "unknown attribute before \"=\"");
    r->left = str_from(r->left, equals + 1);
    return OK;
}

/* In "/O=a/b/CN=c" a slash belongs to the value unless an attribute follows. */
static bool slash_ends(struct str rest)
{
    size_t equals = str_find(rest, '=');

    return equals < rest.n && equals < TYPE_MAX && name_field_known(str_first(rest, equals));
}

static bool ends_value(const struct reading *r)
{
    switch (r->spelling) {
    case NAME_SLASH:
        return r->left.p[0] == '/' && slash_ends(str_from(r->left, 1));
    case NAME_RFC2253:
    case NAME_OPENSSL:
        return r->left.p[0] == ',' || r->left.p[0] == '+' || r->left.p[0] == ';';
    }
    UNREACHABLE();
}

/* Behind a backslash: two hex digits are a byte, anything else is itself. */
static void take_escaped(struct reading *r, struct buf *value)
{
    int high = r->left.n >= 2 ? OPENSSL_hexchar2int((unsigned char)r->left.p[0]) : -1;
    int low = high >= 0 ? OPENSSL_hexchar2int((unsigned char)r->left.p[1]) : -1;

    buf_append_byte(value, low >= 0 ? (uint8_t)(high << 4 | low) : (uint8_t)r->left.p[0]);
    r->left = str_from(r->left, low >= 0 ? 2 : 1);
}

static enum code read_quoted(struct reading *r, struct buf *value)
{
    r->left = str_from(r->left, 1);
    while (r->left.n > 0 && r->left.p[0] != '"') {
        bool escaped = r->left.p[0] == '\\' && r->left.n > 1;
        if (escaped)
            r->left = str_from(r->left, 1);
        buf_append_byte(value, (uint8_t)r->left.p[0]);
        r->left = str_from(r->left, 1);
    }
    if (r->left.n == 0)
        return err_set(r->e, E_PARAM, "a double quote is not closed");
    r->left = str_trim(str_from(r->left, 1));
    if (r->left.n > 0 && !ends_value(r))
        return err_set(r->e, E_PARAM, "a comma is expected after a value in double quotes");
    return OK;
}

static enum code read_value(struct reading *r, struct buf *value)
{
    size_t keep = 0; /* blanks at the end do not count, unless a backslash precedes them */

    if (r->spelling != NAME_SLASH)
        while (r->left.n > 0 && char_is_blank(r->left.p[0]))
            r->left = str_from(r->left, 1);
    if (r->left.n > 0 && r->left.p[0] == '"' && r->spelling != NAME_SLASH)
        return read_quoted(r, value);
    /* OpenSSL does not escape a # that is the whole value. */
    bool hex = r->left.n > 1 && r->left.p[0] == '#' && !strchr(",+;", r->left.p[1]);
    if (hex && r->spelling != NAME_SLASH)
        return err_set(r->e, E_PARAM, "a value in hexadecimal is not supported");
    while (r->left.n > 0 && !ends_value(r)) {
        bool escaped = r->left.p[0] == '\\' && r->left.n > 1, blank = char_is_blank(r->left.p[0]);
        struct str one = str_first(r->left, 1);
        r->left = str_from(r->left, 1);
        if (escaped)
            take_escaped(r, value);
        else
            buf_append_str(value, one);
        if (!blank)
            keep = value->n;
    }
    value->n = keep;
    return str_has_nul(buf_str(value)) ? err_set(r->e, E_PARAM, "the name holds a NUL byte") : OK;
}

/* Any length is taken: what a CA has signed is not measured here. */
static X509_NAME_ENTRY *entry_of(struct str type, const struct buf *value)
{
    char field[TYPE_MAX];

    if (!str_to_c(type, field, sizeof field))
        return NULL;
    return X509_NAME_ENTRY_create_by_txt(NULL, field, V_ASN1_UTF8STRING, value->p, (int)value->n);
}

static enum code name_text_read_attribute(struct reading *r)
{
    AUTO(buf) struct buf value = BUF_INIT(TEXT_MAX);
    struct str type;

    if (r->n == NAME_TEXT_MAX)
        return err_set(r->e, E_PARAM, "more than %d attributes", NAME_TEXT_MAX);
    TRY(read_type(r, &type));
    TRY(read_value(r, &value));
    if (!buf_ok(&value) || !buf_c(&value))
        return name_text_no_memory(r);
    r->entries[r->n] = entry_of(type, &value);
    if (!r->entries[r->n])
        return name_text_no_memory(r);
    r->n++;
    return OK;
}

/* ---- all of them ---- */

static enum code name_text_read_all(struct reading *r)
{
    for (;;) {
        TRY(name_text_read_attribute(r));
        if (r->left.n == 0)
            return OK;
        if (r->n < NAME_TEXT_MAX)
            r->joined[r->n] = r->left.p[0] == '+';
        r->left = str_from(r->left, 1);
    }
}

static X509_NAME *assemble(const struct reading *r)
{
    X509_NAME *name = X509_NAME_new();
    bool ok = name != NULL;

    for (size_t i = 0; ok && i < r->n; i++) {
        bool backwards = r->spelling == NAME_RFC2253;
        size_t at = backwards ? r->n - 1 - i : i;
        bool joins = backwards ? i > 0 && r->joined[at + 1] : r->joined[at];
        ok = X509_NAME_add_entry(name, r->entries[at], -1, joins ? -1 : 0) == 1;
    }
    if (ok)
        return name;
    X509_NAME_free(name);
    return NULL;
}

static enum name_spelling spelling_of(struct str text, bool had_prefix)
{
    if (text.n > 0 && text.p[0] == '/')
        return NAME_SLASH;
    if (had_prefix)
        return NAME_OPENSSL;
    size_t equals = str_find(text, '=');
    if (equals > 0 && equals + 1 < text.n && text.p[equals - 1] == ' ' && text.p[equals + 1] == ' ')
        return NAME_OPENSSL;
    for (size_t i = 0; i + 1 < text.n; i++) {
        if (text.p[i] == '\\')
            i++;
        else if (text.p[i] == ',' && text.p[i + 1] == ' ')
            return NAME_OPENSSL;
    }
    return NAME_RFC2253;
}

enum code name_from_text(struct str text, X509_NAME **out, enum name_spelling *out_spelling, struct err *e)
{
    struct reading r = { .e = e };
    bool prefix = str_starts_nocase(text, STR("subject=")) || str_starts_nocase(text, STR("subject:"));
    enum code code;

    if (text.n > TEXT_MAX)
        return err_set(e, E_PARAM, "the name is longer than %d bytes", TEXT_MAX);
    if (str_has_nul(text))
        return err_set(e, E_PARAM, "the name holds a NUL byte");
    text = str_from(text, prefix ? sizeof "subject=" - 1 : 0);
    while (text.n > 0 && char_is_blank(text.p[0])) /* at the end one may be escaped: read_value() knows */
        text = str_from(text, 1);
    r.spelling = spelling_of(text, prefix);
    r.left = str_from(text, r.spelling == NAME_SLASH ? 1 : 0);
    code = name_text_read_all(&r);
    X509_NAME *name = code == OK ? assemble(&r) : NULL;
    for (size_t i = 0; i < r.n; i++)
        X509_NAME_ENTRY_free(r.entries[i]);
    ERR_clear_error();
    TRY(code);
    if (!name)
        return name_text_no_memory(&r);
    *out = name;
    *out_spelling = r.spelling;
    return OK;
}
