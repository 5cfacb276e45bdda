/*
 * The address field: keywords, networks in both notations, host names.
 *
 * What is a number is for getaddrinfo to say, as in the server: it takes `127.1`, hexadecimal and octal parts
 * and IPv6 scopes. Plain forms are read by inet_pton first, which agrees with it and costs a tenth. [src:
 * PostgreSQL 18, "The pg_hba.conf File"; ip.c, ifaddr.c pg_sockaddr_cidr_mask]
 */
#include "policy/hba_addr.h"

#include "base/check.h"
#include "policy/line.h"
#include "policy/policy_impl.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>

/** Copy family and address out of a sockaddr; false for another family. */
static bool from_sockaddr(const struct sockaddr *sa, sa_family_t *family, uint8_t addr[16])
{
    memset(addr, 0, 16);
    *family = sa->sa_family;
    if (sa->sa_family == AF_INET) {
        memcpy(addr, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
        return true;
    }
    if (sa->sa_family == AF_INET6) {
        memcpy(addr, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
        return true;
    }
    return false;
}

/** Read a numeric address; the result is 0 or getaddrinfo's EAI_…. */
static int numeric(struct arena *arena, struct str text, sa_family_t *family, uint8_t addr[16])
{
    const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST };
    struct addrinfo *found = NULL;
    char *c = arena_c(arena, text);

    memset(addr, 0, 16);
    if (!c)
        return EAI_MEMORY;
    *family = AF_INET;
    if (inet_pton(AF_INET, c, addr) == 1)
        return 0;
    *family = AF_INET6;
    if (inet_pton(AF_INET6, c, addr) == 1)
        return 0;
    int problem = getaddrinfo(c[0] ? c : NULL, NULL, &hints, &found);
    if (problem == 0 && !from_sockaddr(found->ai_addr, family, addr))
        problem = EAI_FAMILY;
    if (found)
        freeaddrinfo(found);
    return problem;
}

/** The number after the slash: all of the text, as strtol reads it. */
static bool prefix_length(struct arena *arena, struct str text, long max, long *out)
{
    char *c = arena_c(arena, text), *end = NULL;

    if (!c || c[0] == '\0')
        return false;
    long bits = strtol(c, &end, 10);
    if (*end != '\0' || end == c || bits < 0 || bits > max)
        return false;
    *out = bits;
    return true;
}

static void mask_of_bits(long bits, uint8_t mask[16])
{
    memset(mask, 0, 16);
    for (long i = 0; i < bits; i++)
        mask[i / 8] = (uint8_t)(mask[i / 8] | (0x80u >> (i % 8)));
}

static enum code parse_mask(struct line_parser *p, size_t *at, struct hba_addr *out)
{
    sa_family_t family;

    if (*at >= p->line->n)
        return line_bad(p, E_CONFIG,
                        "Specify an address range in CIDR notation, or provide a separate netmask.",
                        "end-of-line before netmask specification");
    const struct hba_field *field = &p->line->fields[(*at)++];
    if (field->n > 1)
        return line_bad(p, E_CONFIG, NULL, "multiple values specified for netmask");
    struct str text = field->tokens[0].s;
    int problem = numeric(p->arena, text, &family, out->mask);
    if (problem != 0)
        return line_bad(p, E_CONFIG, NULL, "invalid IP mask \"%.*s\": %s", STR_ARG(text),
                        gai_strerror(problem));
    if (family != out->family)
        return line_bad(p, E_CONFIG, NULL, "IP address and mask do not match");
    return OK;
}

static enum code parse_net(struct line_parser *p, size_t *at, struct str text, struct hba_addr *out)
{
    size_t slash = str_find(text, '/');
    bool cidr = slash < text.n;
    struct str host = str_first(text, slash);
    long bits;

    out->kind = HBA_ADDR_NET;
    int problem = numeric(p->arena, host, &out->family, out->addr);
    if (problem == EAI_NONAME) {
        out->kind = HBA_ADDR_NAME;
        out->name = host;
    } else if (problem != 0) {
        return line_bad(p, E_CONFIG, NULL, "invalid IP address \"%.*s\": %s", STR_ARG(host),
                        gai_strerror(problem));
    }
    if (cidr && out->kind == HBA_ADDR_NAME)
        return line_bad(p, E_CONFIG, NULL, "specifying both host name and CIDR mask is invalid: \"%.*s\"",
                        STR_ARG(text));
    if (cidr) {
        if (!prefix_length(p->arena, str_from(text, slash + 1), out->family == AF_INET ? 32 : 128, &bits))
            return line_bad(p, E_CONFIG, NULL, "invalid CIDR mask in address \"%.*s\"", STR_ARG(text));
        mask_of_bits(bits, out->mask);
        return OK;
    }
    return out->kind == HBA_ADDR_NET ? parse_mask(p, at, out) : OK;
}

enum code hba_parse_address(struct line_parser *p, size_t *at, struct hba_addr *out)
{
    if (*at >= p->line->n)
        return line_bad(p, E_CONFIG, NULL, "end-of-line before IP address specification");
    const struct hba_field *field = &p->line->fields[(*at)++];
    if (field->n > 1)
        return line_bad(p, E_CONFIG, "Specify one address range per line.",
                        "multiple values specified for host address");
    struct hba_token token = field->tokens[0];
    *out = (struct hba_addr){ .kind = HBA_ADDR_NONE };
    if (!token.quoted && str_is(token.s, "all"))
        out->kind = HBA_ADDR_ALL;
    else if (!token.quoted && str_is(token.s, "samehost"))
        out->kind = HBA_ADDR_SAMEHOST;
    else if (!token.quoted && str_is(token.s, "samenet"))
        out->kind = HBA_ADDR_SAMENET;
    else
        return parse_net(p, at, token.s, out);
    return OK;
}

enum code hba_addr_text(struct arena *arena, sa_family_t family, const uint8_t *addr, struct str *out)
{
    char text[INET6_ADDRSTRLEN];

    CHECK(family == AF_INET || family == AF_INET6);
    if (!inet_ntop(family, addr, text, sizeof text))
        return E_INTERNAL;
    return arena_str(arena, str_c(text), out) ? OK : E_NOMEM;
}
