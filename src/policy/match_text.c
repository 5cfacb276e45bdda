/*
 * What people are told about a decision: the refusal in PostgreSQL's words, and why a rule did not fit.
 * Also the system's list of interfaces.
 * [src: PostgreSQL 18, auth.c ClientAuthentication; ifaddr.c pg_foreach_ifaddr]
 */
#include "policy/match_text.h"

#include "base/buf.h"
#include "base/check.h"
#include "policy/match.h"
#include "policy/policy.h"
#include "policy/words.h"

#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>

enum { NAMES_SHOWN_MAX = 256 };

const char *match_field_name(enum match_field field)
{
    static const char *const names[] = {
        [FIELD_NONE] = "",           [FIELD_TYPE] = "type",
        [FIELD_ADDRESS] = "address", [FIELD_DATABASE] = "database",
        [FIELD_USER] = "user",
    };

    return names[field];
}

/* ---- interfaces ---- */

/** Address and mask of one entry; a missing or empty mask stands for the whole address. */
static bool read_iface(const struct ifaddrs *entry, struct iface *out)
{
    const struct sockaddr *mask = entry->ifa_netmask;
    static const uint8_t zero[16];
    size_t n, offset;

    if (!entry->ifa_addr)
        return false;
    *out = (struct iface){ .family = entry->ifa_addr->sa_family };
    if (out->family == AF_INET) {
        n = 4;
        offset = offsetof(struct sockaddr_in, sin_addr);
    } else if (out->family == AF_INET6) {
        n = 16;
        offset = offsetof(struct sockaddr_in6, sin6_addr);
    } else {
        return false;
    }
    memcpy(out->addr, (const uint8_t *)entry->ifa_addr + offset, n);
    if (mask && mask->sa_family == out->family)
        memcpy(out->mask, (const uint8_t *)mask + offset, n);
    if (memcmp(out->mask, zero, n) == 0)
        memset(out->mask, 0xFF, n);
    return true;
}

static bool list_system(void *ctx, bool (*each)(void *arg, const struct iface *iface), void *arg)
{
    struct ifaddrs *list;
    struct iface iface;

    (void)ctx;
    if (getifaddrs(&list) != 0)
        return false;
    for (const struct ifaddrs *entry = list; entry; entry = entry->ifa_next)
        if (read_iface(entry, &iface) && !each(arg, &iface))
            break;
    freeifaddrs(list);
    return true;
}

const struct iface_source iface_system = { list_system, NULL };

bool peer_address_equal(const struct sockaddr_storage *peer, const struct sockaddr *candidate)
{
    if (peer->ss_family != candidate->sa_family)
        return false;
    if (peer->ss_family == AF_INET)
        return ((const struct sockaddr_in *)(const void *)peer)->sin_addr.s_addr ==
               ((const struct sockaddr_in *)(const void *)candidate)->sin_addr.s_addr;
    if (peer->ss_family == AF_INET6)
        return IN6_ARE_ADDR_EQUAL(&((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr,
                                  &((const struct sockaddr_in6 *)(const void *)candidate)->sin6_addr);
    return false;
}

/* ---- the refusal ---- */

void conn_facts_host(const struct conn_facts *facts, char *out, size_t size)
{
    char host[NI_MAXHOST] = "???";
    socklen_t length = facts->peer.ss_family == AF_INET ? sizeof(struct sockaddr_in)
                                                        : sizeof(struct sockaddr_in6);

    if (!facts->is_local && (facts->peer.ss_family == AF_INET || facts->peer.ss_family == AF_INET6) &&
        getnameinfo((const struct sockaddr *)&facts->peer, length, host, sizeof host, NULL, 0,
                    NI_NUMERICHOST) != 0)
        (void)snprintf(host, sizeof host, "???");
    (void)snprintf(out, size, "%s", facts->is_local ? "[local]" : host);
}

/* Whoever is refused does not learn what the resolver says. [src: PostgreSQL 18, HOSTNAME_LOOKUP_DETAIL] */
static void lookup_detail(const struct name_lookup *lookup, struct err *e)
{
    struct str name = lookup->name;

    switch (lookup->state) {
    case NAME_NOT_LOOKED_UP:
        break;
    case NAME_REVERSE:
        err_detail_log(e, "Client IP address resolved to \"%.*s\", forward lookup not checked.",
                       STR_ARG(name));
        break;
    case NAME_CONFIRMED:
        err_detail_log(e, "Client IP address resolved to \"%.*s\", forward lookup matches.", STR_ARG(name));
        break;
    case NAME_MISMATCH:
        err_detail_log(e, "Client IP address resolved to \"%.*s\", forward lookup does not match.",
                       STR_ARG(name));
        break;
    case NAME_REVERSE_FAILED:
        err_detail_log(e, "Could not resolve client IP address to a host name: %s.",
                       gai_strerror(lookup->gai_error));
        break;
    case NAME_FORWARD_FAILED:
        err_detail_log(e, "Could not translate client host name \"%.*s\" to IP address: %s.", STR_ARG(name),
                       gai_strerror(lookup->gai_error));
        break;
    }
}

enum code policy_refusal(const struct conn_facts *facts, const struct decision *decision, struct err *e)
{
    const char *state = facts->tls ? "SSL encryption" : facts->gss ? "GSS encryption" : "no encryption";
    bool physical = facts->replication == REPLICATION_PHYSICAL;
    bool rejected = decision->verdict == VERDICT_RULE;
    char host[NI_MAXHOST];

    conn_facts_host(facts, host, sizeof host);
    if (rejected && physical)
        return err_set(e, E_AUTH,
                       "pg_hba.conf rejects replication connection for host \"%s\", user \"%.*s\", %s", host,
                       STR_ARG(facts->user), state);
    if (rejected)
        return err_set(e, E_AUTH,
                       "pg_hba.conf rejects connection for host \"%s\", user \"%.*s\", database \"%.*s\", %s",
                       host, STR_ARG(facts->user), STR_ARG(facts->database), state);
    if (physical)
        (void)err_set(e, E_AUTH,
                      "no pg_hba.conf entry for replication connection from host \"%s\", user \"%.*s\", %s",
                      host, STR_ARG(facts->user), state);
    else
        (void)err_set(e, E_AUTH, "no pg_hba.conf entry for host \"%s\", user \"%.*s\", database \"%.*s\", %s",
                      host, STR_ARG(facts->user), STR_ARG(facts->database), state);
    lookup_detail(&facts->lookup, e);
    return E_AUTH;
}

/* ---- why not ---- */

static const char *transport_text(const struct conn_facts *facts)
{
    if (facts->is_local)
        return "the connection comes over a Unix-domain socket";
    if (facts->tls)
        return "the connection uses TLS";
    return facts->gss ? "the connection uses GSS encryption" : "the connection is not encrypted";
}

static void explain_address(const struct hba_rule *rule, const struct conn_facts *facts, char *out,
                            size_t size)
{
    static const char *const lookups[] = {
        [NAME_NOT_LOOKED_UP] = "the client's host name is not known",
        [NAME_REVERSE] = "the client's host name is another",
        [NAME_CONFIRMED] = "the client's host name is another",
        [NAME_MISMATCH] = "the addresses of the client's host name do not include the client's",
        [NAME_REVERSE_FAILED] = "the client's address has no host name",
        [NAME_FORWARD_FAILED] = "the client's host name has no address",
    };
    char host[NI_MAXHOST];

    conn_facts_host(facts, host, sizeof host);
    if (rule->address.kind == HBA_ADDR_NAME)
        (void)snprintf(out, size, "host name \"%.*s\": %s", STR_ARG(rule->address.name),
                       lookups[facts->lookup.state]);
    else if (rule->address.kind == HBA_ADDR_NET && facts->peer.ss_family != rule->address.family)
        (void)snprintf(out, size, "%s is not an %s address", host,
                       rule->address.family == AF_INET ? "IPv4" : "IPv6");
    else if (rule->address.kind == HBA_ADDR_NET)
        (void)snprintf(out, size, "%s is outside of the rule's network", host);
    else
        (void)snprintf(out, size, "%s is not an address of %s", host,
                       rule->address.kind == HBA_ADDR_SAMEHOST ? "this host" : "this host's networks");
}

/** The names of a field, as many as fit into the list's limit. */
static void list_names(const struct hba_name *names, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++)
        (void)buf_printf(out, "%s%.*s", i ? "," : "", STR_ARG(names[i].text));
}

void policy_explain_field(const struct hba_rule *rule, const struct conn_facts *facts,
                          enum match_field failed, char *out, size_t size)
{
    AUTO(buf) struct buf names = BUF_INIT(NAMES_SHOWN_MAX);

    switch (failed) {
    case FIELD_NONE:
        (void)snprintf(out, size, "the rule fits");
        return;
    case FIELD_TYPE:
        (void)snprintf(out, size, "\"%s\" does not fit: %s", hba_type_name(rule->type),
                       rule->type == HBA_LOCAL ? "the connection comes over TCP" : transport_text(facts));
        return;
    case FIELD_ADDRESS:
        explain_address(rule, facts, out, size);
        return;
    case FIELD_DATABASE:
        list_names(rule->databases, rule->n_databases, &names);
        if (facts->replication == REPLICATION_PHYSICAL)
            (void)snprintf(out, size, "physical replication needs the keyword \"replication\", not \"%.*s\"",
                           STR_ARG(buf_str(&names)));
        else
            (void)snprintf(out, size, "database \"%.*s\" is not \"%.*s\"", STR_ARG(facts->database),
                           STR_ARG(buf_str(&names)));
        return;
    case FIELD_USER:
        list_names(rule->users, rule->n_users, &names);
        (void)snprintf(out, size, "user \"%.*s\" is not \"%.*s\"", STR_ARG(facts->user),
                       STR_ARG(buf_str(&names)));
        return;
    }
    UNREACHABLE();
}
