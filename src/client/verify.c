/* The host-name check of sslmode=verify-full. */
#include "client/verify.h"

#include "pki/name.h"

#include <arpa/inet.h>

enum { HOST_TEXT_MAX = 1024 };

struct check {
    struct str host;
    bool host_is_ip;
    unsigned examined;
    char first[256]; /* the first name looked at, for the message; cut if it is absurdly long */
    struct err *e;
};

enum match { MATCH_NO, MATCH_YES, MATCH_ERROR };

bool verify_host_is_ip(struct str host)
{
    char text[HOST_TEXT_MAX];
    struct in_addr v4;
    struct in6_addr v6;

    if (!str_to_c(host, text, sizeof text))
        return false;
    return inet_aton(text, &v4) != 0 || inet_pton(AF_INET6, text, &v6) == 1;
}

bool verify_name_matches(struct str pattern, struct str host)
{
    if (str_equal_nocase(pattern, host))
        return true;
    if (pattern.n < 3 || !str_starts(pattern, STR("*.")))
        return false;
    struct str tail = str_from(pattern, 1); /* ".example.com" */
    if (host.n <= tail.n || !str_equal_nocase(str_from(host, host.n - tail.n), tail))
        return false;
    return str_find(host, '.') == host.n - tail.n; /* `*` stands for one label */
}

static void examined(struct check *c, const char *name)
{
    if (c->examined++ == 0)
        (void)str_to_c(str_first(str_c(name), sizeof c->first - 1), c->first, sizeof c->first);
}

static enum match check_text(struct check *c, struct str name)
{
    char copy[sizeof c->first] = "";

    if (str_has_nul(name)) {
        (void)err_set(c->e, E_TLS, "SSL certificate's name contains embedded null");
        return MATCH_ERROR;
    }
    (void)str_to_c(str_first(name, sizeof copy - 1), copy, sizeof copy);
    examined(c, copy);
    return verify_name_matches(name, c->host) ? MATCH_YES : MATCH_NO;
}

static enum match check_ip(struct check *c, struct bytes ip)
{
    char host[HOST_TEXT_MAX], text[INET6_ADDRSTRLEN] = "";
    struct in_addr v4;
    struct in6_addr v6;
    bool same = false;

    if (ip.n != sizeof v4 && ip.n != sizeof v6) {
        (void)err_set(c->e, E_TLS, "certificate contains IP address with invalid length %zu", ip.n);
        return MATCH_ERROR;
    }
    if (!str_to_c(c->host, host, sizeof host))
        host[0] = '\0';
    if (ip.n == sizeof v4 && inet_aton(host, &v4) != 0)
        same = bytes_equal(ip, bytes_of(&v4, sizeof v4));
    if (ip.n == sizeof v6 && inet_pton(AF_INET6, host, &v6) == 1)
        same = bytes_equal(ip, bytes_of(&v6, sizeof v6));
    (void)inet_ntop(ip.n == sizeof v4 ? AF_INET : AF_INET6, ip.p, text, sizeof text);
    examined(c, text);
    return same ? MATCH_YES : MATCH_NO;
}

static enum match check_san(struct check *c, const struct san *san)
{
    switch (san->type) {
    case SAN_DNS:
        return check_text(c, str_from_bytes(san->value));
    case SAN_IP:
        return check_ip(c, san->value);
    case SAN_URI:
    case SAN_EMAIL:
    case SAN_OTHER:
        return MATCH_NO;
    }
    return MATCH_NO;
}

static enum match check_all(struct check *c, const struct cert_names *names)
{
    enum match match = MATCH_NO;
    bool try_cn = names->cn.present;

    for (size_t i = 0; i < names->n_sans && match == MATCH_NO; i++) {
        if (names->sans[i].type == (c->host_is_ip ? SAN_IP : SAN_DNS))
            try_cn = false;
        match = check_san(c, &names->sans[i]);
    }
    if (match == MATCH_NO && try_cn)
        match = check_text(c, names->cn.value);
    return match;
}

enum code verify_host(const struct cert_names *names, struct str host, struct err *e)
{
    struct check c = { .host = host, .host_is_ip = verify_host_is_ip(host), .e = e };

    if (host.n == 0)
        return err_set(e, E_TLS, "host name must be specified for a verified SSL connection");
    switch (check_all(&c, names)) {
    case MATCH_YES:
        return OK;
    case MATCH_ERROR:
        return E_TLS;
    case MATCH_NO:
        break;
    }
    if (c.examined == 0)
        return err_set(e, E_TLS, "could not get server's host name from server certificate");
    if (c.examined == 1)
        return err_set(e, E_TLS, "server certificate for \"%s\" does not match host name \"%.*s\"", c.first,
                       STR_ARG(host));
    return err_set(e, E_TLS,
                   "server certificate for \"%s\" (and %u other name%s) does not match host name \"%.*s\"",
                   c.first, c.examined - 1, c.examined == 2 ? "" : "s", STR_ARG(host));
}

bool verify_names_match(const struct cert_names *names, const struct san *wanted)
{
    for (size_t i = 0; i < names->n_sans; i++) {
        if (names->sans[i].type != wanted->type)
            continue;
        if (bytes_equal(names->sans[i].value, wanted->value))
            return true;
        if (wanted->type == SAN_DNS &&
            verify_name_matches(str_from_bytes(names->sans[i].value), str_from_bytes(wanted->value)))
            return true;
    }
    return false;
}
