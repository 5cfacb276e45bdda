/**
 * The method ldap of pg_hba.conf, and `ldapurl`: SCHEME://HOST[:PORT]/BASEDN[?ATTRIBUTES[?SCOPE[?FILTER[?EXTENSIONS]]]], as OpenLDAP's ldap_url_parse takes it apart.
 */
#ifndef PGSEAL_POLICY_HBA_LDAP_H
#define PGSEAL_POLICY_HBA_LDAP_H

#include "policy/policy_impl.h"

/** `ldapurl`: sets the options it stands for. */
MUST_CHECK enum code hba_parse_ldapurl(struct line_parser *p, struct str *options, struct str url);
/** All options of a record together. */
MUST_CHECK enum code hba_ldap_check(struct line_parser *p, const struct hba_rule *rule);

#endif
