/*
 * The method radius: servers, secrets, identifiers and ports are lists of one length, or of one item.
 *
 * The server itself asks the name service for `radiusservers` while it parses.
 * [src: PostgreSQL 18, "RADIUS Authentication"; hba.c parse_hba_auth_opt]
 */
#include "policy/hba_radius.h"

#include "base/check.h"
#include "lex/conninfo_hide.h"
#include "policy/hba_list.h"
#include "policy/line.h"
#include "policy/policy_impl.h"

#include <netdb.h>

struct radius_item {
    struct line_parser *p;
    enum code code;
};

static int ask_system(const char *name)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_DGRAM };
    struct addrinfo *found = NULL;
    int problem = getaddrinfo(name, NULL, &hints, &found);

    if (found)
        freeaddrinfo(found);
    return problem;
}

static bool resolve_server(void *arg, struct str item)
{
    struct radius_item *r = arg;
    char *name = arena_c(r->p->arena, item);
    int problem = EAI_MEMORY;

    if (name)
        problem = (r->p->params->resolve_server ? r->p->params->resolve_server : ask_system)(name);
    if (problem != 0)
        r->code = line_bad_hidden(r->p, E_CONFIG,
                                  "could not translate RADIUS server name \"%.*s\" to address: %s",
                                  STR_ARG(item), gai_strerror(problem));
    return problem == 0;
}

static bool check_port(void *arg, struct str item)
{
    struct radius_item *r = arg;

    if (hba_atoi(item) != 0)
        return true;
    r->code = line_bad_hidden(r->p, E_CONFIG, "invalid RADIUS port number: \"%.*s\"", STR_ARG(item));
    return false;
}

enum code hba_radius_read(struct line_parser *p, enum hba_option option, struct str value)
{
    struct radius_item item = { p, OK };
    size_t n;

    if (option == HBA_OPTION_RADIUSPORTS) {
        if (!hba_split_list(value, check_port, &item, &n))
            return line_bad(p, E_CONFIG, NULL, "invalid RADIUS port number: \"%.*s\"", STR_ARG(value));
        return item.code;
    }
    bool servers = option == HBA_OPTION_RADIUSSERVERS;
    if (option == HBA_OPTION_RADIUSSECRETS && !hba_split_list(value, NULL, NULL, &n))
        return line_bad_hidden(p, E_CONFIG, "could not parse RADIUS secret list \"" HIDDEN "\"");
    if (!hba_split_list(value, servers ? resolve_server : NULL, &item, &n))
        return line_bad_hidden(p, E_CONFIG, "could not parse RADIUS %s list \"%.*s\"",
                               servers ? "server" : "identifiers", STR_ARG(value));
    return item.code;
}

enum code hba_radius_check(struct line_parser *p, const struct hba_rule *rule)
{
    static const struct {
        enum hba_option option;
        const char *plural;
    } lists[] = {
        { HBA_OPTION_RADIUSSECRETS, "secrets" },
        { HBA_OPTION_RADIUSPORTS, "ports" },
        { HBA_OPTION_RADIUSIDENTS, "identifiers" },
    };
    size_t servers = hba_list_length(rule, HBA_OPTION_RADIUSSERVERS);

    if (servers == 0)
        return hba_option_missing(p, rule, "radiusservers");
    if (hba_list_length(rule, HBA_OPTION_RADIUSSECRETS) == 0)
        return hba_option_missing(p, rule, "radiussecrets");
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        size_t n = hba_list_length(rule, lists[i].option);
        if (n > 1 && n != servers)
            return line_bad(p, E_CONFIG, NULL,
                            "the number of RADIUS %s (%zu) must be 1 or the same as the number of RADIUS "
                            "servers (%zu)",
                            lists[i].plural, n, servers);
    }
    return OK;
}
