#include "audit/check_shape.h"

#include "audit/finding.h"
#include "base/buf.h"
#include "base/check.h"
#include "conf/settings.h"
#include "policy/match.h"
#include "policy/method.h"
#include "policy/policy.h"
#include "policy/words.h"

enum { PLACES_MAX = 2048, SAMENET_V4_BITS = 24, SAMENET_V6_BITS = 64 };

static bool reaches(const struct rule_audit *l)
{
    return l->plain != REACH_NONE || l->sealed != REACH_NONE;
}

static bool has_option(const struct hba_rule *rule, enum hba_option option, const char *value)
{
    struct str text;

    return hba_rule_option(rule, option, &text) && str_is(text, value);
}

/* With the connection that shows it, where another machine can make one. */
static void tell(struct rule_audit *l, enum check check, const char *what)
{
    if (reaches(l))
        rule_audit_report_any(l, check, what);
    else
        rule_audit_about(l, audit_add(l->audit, check, l->where, "%s", what));
}

static void tell_text(struct rule_audit *l, enum check check, struct str what)
{
    const char *c = arena_c(l->audit->arena, what);

    if (c)
        tell(l, check, c);
    else
        l->audit->nomem = true;
}

/* ---- methods ---- */

static void check_methods(struct rule_audit *l)
{
    const struct hba_rule *rule = l->rule;
    struct str ignored;

    if (rule->method == HBA_METHOD_IDENT)
        rule_audit_report_any(l, CHECK_IDENT_FROM_NETWORK, "the client's machine is asked who its user is");
    if (rule->method == HBA_METHOD_RADIUS)
        tell(l, CHECK_RADIUS, "passwords are judged by a RADIUS server");
    if (rule->method == HBA_METHOD_LDAP && !has_option(rule, HBA_OPTION_LDAPTLS, "1") &&
        !has_option(rule, HBA_OPTION_LDAPSCHEME, "ldaps"))
        tell(l, CHECK_LDAP_IN_CLEAR, "passwords go to the LDAP server without TLS");
    if ((rule->method == HBA_METHOD_GSS || rule->method == HBA_METHOD_SSPI) &&
        has_option(rule, HBA_OPTION_INCLUDE_REALM, "0") &&
        !hba_rule_option(rule, HBA_OPTION_KRB_REALM, &ignored))
        tell(l, CHECK_GSS_ANY_REALM, "include_realm=0 without krb_realm: any realm is accepted");
    if (rule->clientcert != CLIENTCERT_NONE && l->audit->subject->settings_seen &&
        !subject_client_ca(l->audit->subject, 0))
        tell(l, CHECK_CLIENTCERT_IMPOSSIBLE,
             "the rule asks for a client certificate, and ssl_ca_file is not set");
}

/* ---- replication ---- */

static bool takes_any_address(const struct hba_rule *rule)
{
    static const uint8_t none[16];

    return rule->address.kind == HBA_ADDR_ALL ||
           (rule->address.kind == HBA_ADDR_NET && memcmp(rule->address.mask, none, sizeof none) == 0);
}

static bool is_for_replication(const struct hba_rule *rule)
{
    for (size_t i = 0; i < rule->n_databases; i++)
        if (rule->databases[i].kind == HBA_NAME_REPLICATION)
            return true;
    return false;
}

static bool is_strong(const struct hba_rule *rule)
{
    return rule->method == HBA_METHOD_SCRAM || rule->method == HBA_METHOD_CERT ||
           rule->method == HBA_METHOD_GSS || rule->clientcert == CLIENTCERT_VERIFY_FULL;
}

static void check_replication(struct rule_audit *l)
{
    const struct hba_rule *rule = l->rule;

    if (!is_for_replication(rule) || !reaches(l))
        return;
    if (l->plain != REACH_NONE)
        rule_audit_report(l, CHECK_REPLICATION_OPEN, false, "a standby may connect without TLS");
    else if (takes_any_address(rule))
        rule_audit_report(l, CHECK_REPLICATION_OPEN, true, "a standby may connect from any address");
    else if (!is_strong(rule))
        rule_audit_report(l, CHECK_REPLICATION_OPEN, true, "the method for a standby is weak");
}

/* ---- names and addresses ---- */

static bool has_kind(const struct hba_name *names, size_t n, enum hba_name_kind kind)
{
    for (size_t i = 0; i < n; i++)
        if (names[i].kind == kind)
            return true;
    return false;
}

static bool is_superuser(const struct audit_subject *subject, struct str name)
{
    for (size_t i = 0; i < subject->n_roles; i++)
        if (str_equal(subject->roles[i].name, name))
            return subject->roles[i].superuser && subject->roles[i].can_login;
    return !subject->roles && str_is(name, "postgres");
}

/* A superuser whom the rule takes by name. */
static bool names_superuser(const struct rule_audit *l, struct str *out)
{
    for (size_t i = 0; i < l->rule->n_users; i++) {
        const struct hba_name *user = &l->rule->users[i];
        bool is_one = user->kind == HBA_NAME_ALL ||
                      (user->kind == HBA_NAME_EXACT && is_superuser(l->audit->subject, user->text));
        if (is_one) {
            *out = user->kind == HBA_NAME_ALL ? STR("all users, superusers among them,") : user->text;
            return true;
        }
    }
    return false;
}

/* The widest network of this machine's interfaces, for samenet. */
struct widest {
    unsigned bits, full; /* of the prefix, of the address; full is 0: none yet */
};

static bool take_interface(void *arg, const struct iface *iface)
{
    struct widest *w = arg;
    unsigned bits = 0, full = iface->family == AF_INET ? 32 : 128;

    for (unsigned i = 0; i < full / 8; i++)
        bits += (unsigned)__builtin_popcount(iface->mask[i]);
    bool here = iface->family == AF_INET ? iface->addr[0] == 127 : bits == full;
    if (!here && (w->full == 0 || full - bits > w->full - w->bits))
        *w = (struct widest){ bits, full };
    return true;
}

/* [src: PostgreSQL 18, "The pg_hba.conf File", samenet] */
static void check_samenet(struct rule_audit *l)
{
    const struct audit_subject *s = l->audit->subject;
    struct widest widest = { 0 };

    if (l->rule->address.kind != HBA_ADDR_SAMENET || !s->ifaces || s->live || s->manifest ||
        !s->ifaces->list(s->ifaces->ctx, take_interface, &widest) || widest.full == 0)
        return;
    if (widest.full == 32 ? widest.bits < SAMENET_V4_BITS : widest.bits < SAMENET_V6_BITS)
        tell_text(l, CHECK_ANY_ADDRESS,
                  audit_text(l->audit,
                             "samenet takes a whole /%u network: an interface of this machine has that mask",
                             widest.bits));
}

/* The connection that is at hand shows it only if it is that user's. */
static void tell_superuser(struct rule_audit *l, struct str who)
{
    const struct conn_facts *facts = l->plain != REACH_NONE ? &l->plain_facts : &l->sealed_facts;
    struct str what = audit_text(l->audit, "%.*s may log in from another machine", STR_ARG(who));

    if (str_equal(facts->user, who))
        tell_text(l, CHECK_SUPERUSER_FROM_NETWORK, what);
    else
        rule_audit_about(l,
                         audit_add(l->audit, CHECK_SUPERUSER_FROM_NETWORK, l->where, "%.*s", STR_ARG(what)));
}

static void check_width(struct rule_audit *l)
{
    const struct hba_rule *rule = l->rule;
    struct str who;

    if (!reaches(l))
        return;
    if (names_superuser(l, &who))
        tell_superuser(l, who);
    check_samenet(l);
    if (takes_any_address(rule))
        tell(l, CHECK_ANY_ADDRESS, "the rule is for every address");
    if (has_kind(rule->databases, rule->n_databases, HBA_NAME_ALL) &&
        has_kind(rule->users, rule->n_users, HBA_NAME_ALL))
        tell(l, CHECK_ALL_ALL, "its database and user are both all");
    if (rule->address.kind == HBA_ADDR_NAME)
        tell_text(l, CHECK_HOSTNAME_RULE,
                  audit_text(l->audit, "the address \"%.*s\" is looked up for every connection",
                             STR_ARG(rule->address.name)));
    if (rule->method == HBA_METHOD_CERT && rule->map.n == 0)
        tell(l, CHECK_CN_UNMAPPED, "the rule has no map: the certificate's name is the role's");
}

/* ---- host beside hostssl ---- */

static bool same_names(const struct hba_name *a, size_t n, const struct hba_name *b, size_t m)
{
    if (n != m)
        return false;
    for (size_t i = 0; i < n; i++)
        if (a[i].kind != b[i].kind || !str_equal(a[i].text, b[i].text))
            return false;
    return true;
}

static bool same_address(const struct hba_addr *a, const struct hba_addr *b)
{
    return a->kind == b->kind && a->family == b->family && memcmp(a->addr, b->addr, sizeof a->addr) == 0 &&
           memcmp(a->mask, b->mask, sizeof a->mask) == 0 && str_equal(a->name, b->name);
}

static bool is_twin(const struct hba_rule *a, const struct hba_rule *b)
{
    return same_address(&a->address, &b->address) && /* what differs most comes first */
           same_names(a->databases, a->n_databases, b->databases, b->n_databases) &&
           same_names(a->users, a->n_users, b->users, b->n_users);
}

static void check_twin(struct rule_audit *l)
{
    const struct policy *policy = l->audit->subject->policy;

    if (l->rule->type != HBA_HOST || l->plain == REACH_NONE)
        return;
    for (size_t i = 0; i + 1 < l->rule->number; i++) {
        const struct hba_rule *other = policy_rule(policy, i);
        if (other->type != HBA_HOSTSSL || !is_twin(other, l->rule))
            continue;
        struct str text = audit_text(
            l->audit, "this rule admits without TLS what the hostssl rule at %.*s admits with TLS",
            STR_ARG(audit_place(l->audit, other->file, other->line)));
        const char *c = arena_c(l->audit->arena, text);
        if (c)
            rule_audit_report(l, CHECK_HOST_BESIDE_HOSTSSL, false, c);
        return;
    }
}

void check_shape_of_rule(struct rule_audit *l)
{
    bool server = l->audit->subject->kind == SUBJECT_SERVER;

    check_methods(l);
    check_replication(l);
    check_twin(l);
    if (server)
        check_width(l);
}

/* ---- the file as a whole ---- */

static bool is_central(enum hba_method method)
{
    return method == HBA_METHOD_GSS || method == HBA_METHOD_SSPI || method == HBA_METHOD_LDAP ||
           method == HBA_METHOD_CERT || method == HBA_METHOD_REJECT;
}

static void add_place(struct audit *a, struct buf *out, const struct hba_rule *rule)
{
    struct str place = audit_place(a, rule->file, rule->line);

    if (out->n + place.n + 8 < PLACES_MAX)
        buf_printf(out, "%s%.*s", out->n > 0 ? ", " : "", STR_ARG(place));
    else if (!str_ends(buf_str(out), STR("…")))
        buf_append_c(out, ", …");
}

static void check_central(struct audit *a, const struct shadow *shadows)
{
    AUTO(buf) struct buf places = BUF_INIT(PLACES_MAX);
    const struct hba_rule *first = NULL;
    size_t n = 0;

    for (size_t i = 0; i < policy_rule_count(a->subject->policy); i++) {
        const struct hba_rule *rule = policy_rule(a->subject->policy, i);
        if (is_central(rule->method) || shadows[i].n > 0)
            continue;
        first = first ? first : rule;
        n++;
        add_place(a, &places, rule);
    }
    if (!first)
        return;
    struct finding *f = audit_add(a, CHECK_METHOD_NOT_CENTRAL, first->file, "%zu rule%s: %.*s", n,
                                  n == 1 ? "" : "s", STR_ARG(buf_str(&places)));
    if (f)
        f->about = first->file;
}

static bool is_closing(const struct hba_rule *rule)
{
    return rule->method == HBA_METHOD_REJECT && rule->type == HBA_HOST &&
           rule->address.kind == HBA_ADDR_ALL && has_kind(rule->databases, rule->n_databases, HBA_NAME_ALL) &&
           has_kind(rule->users, rule->n_users, HBA_NAME_ALL);
}

static void check_last(struct audit *a)
{
    size_t n = policy_rule_count(a->subject->policy);
    const struct hba_rule *last = policy_rule(a->subject->policy, n - 1);

    if (is_closing(last))
        return;
    struct finding *f = audit_add(a, CHECK_NO_CLOSING_REJECT, audit_place(a, last->file, last->line),
                                  last->method == HBA_METHOD_REJECT
                                      ? "the last rule's method is %s, but not for all connections"
                                      : "the last rule's method is %s",
                                  hba_method_name(last->method));
    if (f) {
        f->about = last->file;
        f->edit = (struct finding_edit){ .file = last->file, .after = STR("host all all all reject") };
    }
}

/* A rule for other machines that a client without a certificate can use, or no list to revoke by. */
static void check_certificates_asked(struct audit *a, const struct shadow *shadows)
{
    const struct settings *settings = a->subject->settings;

    for (size_t i = 0; i < policy_rule_count(a->subject->policy); i++) {
        const struct hba_rule *rule = policy_rule(a->subject->policy, i);
        bool asks = rule->clientcert == CLIENTCERT_VERIFY_FULL || rule->method == HBA_METHOD_REJECT;
        if (rule->type == HBA_LOCAL || shadows[i].n > 0 || asks)
            continue;
        rule_audit_about(&(struct rule_audit){ .audit = a, .rule = rule },
                         audit_add(a, CHECK_CRL_REQUIRED, audit_place(a, rule->file, rule->line),
                                   "the rule admits clients without a certificate"));
        return;
    }
    if (a->subject->settings_seen && !settings->ssl_crl_file.path && !settings->ssl_crl_dir.path)
        audit_add_setting(a, CHECK_CRL_REQUIRED, "ssl_crl_file", "no revocation list is set");
}

void check_shape_of_file(struct audit *a, const struct shadow *shadows)
{
    if (a->subject->kind != SUBJECT_SERVER || policy_rule_count(a->subject->policy) == 0)
        return;
    check_central(a, shadows);
    check_last(a);
    check_certificates_asked(a, shadows);
}
