/*
 * `ldapurl`: SCHEME://HOST[:PORT]/BASEDN[?ATTRIBUTES[?SCOPE[?FILTER[?EXTENSIONS]]]], as OpenLDAP's
 * ldap_url_parse takes it apart. The server prints that function's own error numbers through the table of
 * protocol errors, hence texts such as "Time limit exceeded" for a bad scheme.
 * [src: RFC 4516; PostgreSQL 18, "LDAP Authentication"; hba.c parse_hba_auth_opt]
 */
#include "policy/hba_ldap.h"

#include "base/check.h"
#include "policy/line.h"
#include "policy/policy_impl.h"
#include "policy/words.h"

#include <openssl/crypto.h>
#include <stdlib.h>

enum { FIRST_SHORT_LDAP_TEXT_VERSION = 18 };

enum url_error {
    URL_OK = 0,
    URL_BAD_SCHEME = 3,
    URL_BAD_ENCLOSURE = 4,
    URL_BAD_URL = 5,
    URL_BAD_SCOPE = 8,
    URL_BAD_EXTENSIONS = 10,
};

struct ldap_url {
    struct str scheme;
    struct str host; /* p == NULL: none, likewise below */
    long port;
    struct str dn;
    struct str attribute;
    int scope;
    struct str filter;
};

static const char *error_text(enum url_error error)
{
    switch (error) {
    case URL_BAD_SCHEME:
        return "Time limit exceeded";
    case URL_BAD_ENCLOSURE:
        return "Size limit exceeded";
    case URL_BAD_URL:
        return "Compare False";
    case URL_BAD_SCOPE:
        return "Strong(er) authentication required";
    case URL_BAD_EXTENSIONS:
        return "Referral";
    case URL_OK:
        break;
    }
    return "Success";
}

/**
 * Copy with %XX decoded; p == NULL when memory ran out. A NUL that comes out ends the text, as in C; a bad or
 * cut escape empties it.
 */
static struct str unescape(struct arena *arena, struct str s)
{
    char *p = arena_alloc(arena, s.n + 1);
    size_t n = 0;

    for (size_t i = 0; p && i < s.n; i++) {
        char c = s.p[i];
        if (c == '%') {
            int high = i + 1 < s.n ? OPENSSL_hexchar2int((unsigned char)s.p[i + 1]) : -1;
            int low = i + 2 < s.n ? OPENSSL_hexchar2int((unsigned char)s.p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return str_of(p, 0);
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0')
            break;
        p[n++] = c;
    }
    return str_of(p, n);
}

/** Cut up to `sep`; *rest has p == NULL when there was none. */
static struct str cut(struct str *rest, char sep)
{
    size_t at = str_find(*rest, sep);
    struct str head = str_first(*rest, at);

    *rest = at < rest->n ? str_from(*rest, at + 1) : str_of(NULL, 0);
    return head;
}

static enum url_error read_scheme(struct str *url, struct ldap_url *out)
{
    static const char *const schemes[] = { "ldap", "ldaps", "ldapi" };
    bool enclosed = str_starts(*url, STR("<"));

    if (enclosed)
        *url = str_from(*url, 1);
    if (str_starts_nocase(*url, STR("URL:")))
        *url = str_from(*url, 4);
    size_t colon = str_find(*url, ':');
    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        if (!str_equal_nocase(str_first(*url, colon), str_c(schemes[i])) ||
            !str_starts(str_from(*url, colon), STR("://")))
            continue;
        out->scheme = str_c(schemes[i]);
        *url = str_from(*url, colon + 3);
        if (enclosed && !str_ends(*url, STR(">")))
            return URL_BAD_ENCLOSURE;
        if (enclosed)
            url->n--;
        return URL_OK;
    }
    return URL_BAD_SCHEME;
}

static enum url_error read_port(struct arena *arena, struct str text, struct ldap_url *out)
{
    struct str digits = unescape(arena, text);
    char c[64], *end;

    if (digits.n == 0 || !str_to_c(digits, c, sizeof c))
        return URL_BAD_URL;
    out->port = strtol(c, &end, 10);
    return end == c || *end != '\0' ? URL_BAD_URL : URL_OK;
}

static enum url_error read_host(struct arena *arena, struct str text, struct ldap_url *out)
{
    struct str host = text, rest;

    if (str_starts(text, STR("["))) {
        size_t close = str_find(text, ']');
        if (close == text.n)
            return URL_BAD_URL;
        host = str_of(text.p + 1, close - 1);
        rest = str_from(text, close + 1);
        size_t colon = str_find(rest, ':');
        if (colon != rest.n && colon != 0)
            return URL_BAD_URL;
        if (colon == 0 && rest.n > 0 && read_port(arena, str_from(rest, 1), out) != URL_OK)
            return URL_BAD_URL;
    } else if (str_find(text, ':') < text.n) {
        host = str_first(text, str_find(text, ':'));
        if (read_port(arena, str_from(text, host.n + 1), out) != URL_OK)
            return URL_BAD_URL;
    }
    struct str plain = unescape(arena, host);
    out->host = plain.n > 0 ? plain : str_of(NULL, 0);
    return URL_OK;
}

static int scope_number(struct str word)
{
    static const struct {
        const char *word;
        int scope;
    } scopes[] = {
        { "base", 0 },    { "one", 1 },         { "onelevel", 1 }, { "sub", 2 },
        { "subtree", 2 }, { "subordinate", 3 }, { "children", 3 },
    };

    for (size_t i = 0; i < COUNT_OF(scopes); i++)
        if (str_equal_nocase(word, str_c(scopes[i].word)))
            return scopes[i].scope;
    return -1;
}

static enum url_error url_parse(struct arena *arena, struct str url, struct ldap_url *out)
{
    struct str rest, part;

    enum url_error error = read_scheme(&url, out);
    if (error != URL_OK)
        return error;
    rest = url;
    part = cut(&rest, '/');
    if (!rest.p)
        part = cut(&part, '?');
    error = read_host(arena, part, out);
    if (error != URL_OK || !rest.p)
        return error;
    out->dn = unescape(arena, cut(&rest, '?'));
    if (rest.p && (part = cut(&rest, '?')).n > 0) {
        part = unescape(arena, part);
        while (str_split(&part, ',', &out->attribute) && out->attribute.n == 0)
            ;
        if (out->attribute.n == 0)
            out->attribute.p = NULL;
    }
    if (rest.p && (part = cut(&rest, '?')).n > 0) {
        out->scope = scope_number(unescape(arena, part));
        if (out->scope < 0)
            return URL_BAD_SCOPE;
    }
    if (rest.p && (part = cut(&rest, '?')).n > 0)
        out->filter = unescape(arena, part);
    if (rest.p) {
        part = cut(&rest, '?'); /* extensions: not used by the server, but there must be one */
        if (rest.p)
            return URL_BAD_URL;
        while (part.n > 0 && part.p[0] == ',')
            part = str_from(part, 1);
        if (part.n == 0)
            return URL_BAD_EXTENSIONS;
    }
    return URL_OK;
}

enum code hba_parse_ldapurl(struct line_parser *p, struct str *options, struct str url)
{
    struct ldap_url parts = { .scope = 0 };
    struct str number;

    enum url_error error = url_parse(p->arena, url, &parts);
    if (error != URL_OK)
        return line_bad(p, E_CONFIG, NULL, "could not parse LDAP URL \"%.*s\": %s", STR_ARG(url),
                        error_text(error));
    if (str_is(parts.scheme, "ldapi"))
        return line_bad(p, E_CONFIG, NULL, "unsupported LDAP URL scheme: %.*s", STR_ARG(parts.scheme));
    if (parts.port == 0)
        parts.port = str_is(parts.scheme, "ldaps") ? 636 : 389;
    options[HBA_OPTION_LDAPSCHEME] = parts.scheme;
    if (parts.host.p)
        options[HBA_OPTION_LDAPSERVER] = parts.host;
    if (!arena_printf(p->arena, &options[HBA_OPTION_LDAPPORT], "%d", (int)parts.port))
        return E_NOMEM;
    if (parts.dn.p)
        options[HBA_OPTION_LDAPBASEDN] = parts.dn;
    if (parts.attribute.p)
        options[HBA_OPTION_LDAPSEARCHATTR] = parts.attribute;
    if (!arena_printf(p->arena, &number, "%d", parts.scope))
        return E_NOMEM;
    options[HBA_OPTION_LDAPSCOPE] = number;
    if (parts.filter.p)
        options[HBA_OPTION_LDAPSEARCHFILT] = parts.filter;
    return OK;
}

enum code hba_ldap_check(struct line_parser *p, const struct hba_rule *rule)
{
    bool simple = hba_option_given(rule, HBA_OPTION_LDAPPREFIX) ||
                  hba_option_given(rule, HBA_OPTION_LDAPSUFFIX);
    bool attribute = hba_option_given(rule, HBA_OPTION_LDAPSEARCHATTR),
         filter = hba_option_given(rule, HBA_OPTION_LDAPSEARCHFILT);
    bool search = hba_option_given(rule, HBA_OPTION_LDAPBASEDN) ||
                  hba_option_given(rule, HBA_OPTION_LDAPBINDDN) ||
                  hba_option_given(rule, HBA_OPTION_LDAPBINDPASSWD) || attribute || filter;

    if (simple && search)
        return line_bad(p, E_CONFIG, NULL, "%s",
                        p->version >= FIRST_SHORT_LDAP_TEXT_VERSION
                            ? "cannot mix options for simple bind and search+bind modes"
                            : "cannot use ldapbasedn, ldapbinddn, ldapbindpasswd, ldapsearchattribute, "
                              "ldapsearchfilter, or ldapurl together with ldapprefix");
    if (!simple && !hba_option_given(rule, HBA_OPTION_LDAPBASEDN))
        return line_bad(p, E_CONFIG, NULL,
                        "authentication method \"ldap\" requires argument \"ldapbasedn\", \"ldapprefix\", or "
                        "\"ldapsuffix\" to be set");
    if (attribute && filter)
        return line_bad(p, E_CONFIG, NULL, "cannot use ldapsearchattribute together with ldapsearchfilter");
    return OK;
}
