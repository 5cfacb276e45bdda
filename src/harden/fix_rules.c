/*
 * The record of a rule, changed so that what was found is gone and everybody who shall come in still does.
 *
 * A method is changed only where the secrets of all roles that the rule takes allow it: a role whose secret is md5
 * cannot log in by scram-sha-256. [src: PostgreSQL 18, "Password Authentication"]
 */
#include "harden/fix_rules.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "conf/settings.h"
#include "harden/rule_line.h"
#include "policy/reach.h"

enum { NAMES_SHOWN = 8, NAMES_MAX = 1024 };

/* A rule, its file and its line. */
struct record {
    const struct hba_rule *rule;
    struct harden_text *text;
    struct rule_line parts;
    struct str why;
    bool near; /* it takes nobody from another machine */
};

/* ---- the record of a finding ---- */

/* FILE:LINE */
static const struct hba_rule *rule_at(const struct policy *policy, struct str where)
{
    size_t colon = where.n;
    uint32_t line;

    while (colon > 0 && where.p[colon - 1] != ':')
        colon--;
    if (!policy || colon == 0 || !str_to_u32(str_from(where, colon), 1, UINT32_MAX, &line))
        return NULL;
    struct str file = str_first(where, colon - 1);
    for (size_t i = 0; i < policy_rule_count(policy); i++) {
        const struct hba_rule *rule = policy_rule(policy, i);
        if (rule->line == line && str_equal(rule->file, file))
            return rule;
    }
    return NULL;
}

static bool open_record(struct planning *p, const struct finding *f, struct record *out, struct fix *fix)
{
    *out = (struct record){ .rule = rule_at(p->subject->policy, f->where) };
    if (!out->rule) {
        *fix = FIX_LEFT("the rule could not be found in its file");
        return false;
    }
    out->text = planning_text(p, out->rule->file);
    struct str line = out->text ? harden_text_line(out->text, out->rule->line) : (struct str){ NULL, 0 };
    if (!line.p || !rule_line_parse(line, out->rule, &out->parts)) {
        *fix = FIX_LEFT("the record spans several lines of its file: change it by hand");
        return false;
    }
    out->why = planning_print(p, "%s: %s", check_id(f->check), check_title(f->check));
    out->near = f->check == CHECK_TRUST_HERE;
    return true;
}

/* `names`: the roles that the new rule asks for a password that they do not have; empty: none. */
static struct fix replace_for(struct planning *p, const struct record *r, struct str part, struct str text,
                              struct str names)
{
    struct str line, note = STR("");

    if (str_equal(part, text))
        return (struct fix){ false, STR("") };
    if (!rule_line_with(&r->parts, part, text, p->wish->arena, &line)) {
        p->nomem = true;
        return (struct fix){ false, STR("") };
    }
    if (names.n > 0)
        note = planning_print(
            p,
            "The rule \"%.*s\" asks for a password, and these roles have none: %.*s. Set it "
            "with \\password.",
            STR_ARG(str_trim(line)), STR_ARG(names));
    planning_edit(p, (struct edit){ .kind = EDIT_REPLACE,
                                    .text = r->text,
                                    .line = r->rule->line,
                                    .content = line,
                                    .why = r->why,
                                    .note = note });
    return (struct fix){ true, STR("") };
}

static struct fix replace_part(struct planning *p, const struct record *r, struct str part, struct str text)
{
    return replace_for(p, r, part, text, STR(""));
}

/* ---- without TLS ---- */

/* Does the rule decide what comes from this machine without TLS? */
static bool takes_loopback(const struct planning *p, const struct hba_rule *rule, sa_family_t family)
{
    struct reach_part part = { .family = family };

    memset(part.mask, 0xff, family == AF_INET ? 4 : 16);
    if (family == AF_INET)
        part.addr[0] = 127, part.addr[3] = 1;
    else
        part.addr[15] = 1;
    return p->search && policy_takes(p->search, rule, &part);
}

/* Programs of this machine go on as before, with a line of their own. */
static void keep_loopback(struct planning *p, const struct record *r)
{
    static const struct {
        sa_family_t family;
        const char *address;
    } own[] = { { AF_INET, "127.0.0.1/32" }, { AF_INET6, "::1/128" } };
    struct str line;

    for (size_t i = 0; i < COUNT_OF(own); i++) {
        if (!takes_loopback(p, r->rule, own[i].family))
            continue;
        if (!rule_line_with(&r->parts, r->parts.address, str_c(own[i].address), p->wish->arena, &line))
            p->nomem = true;
        else
            planning_edit(p, (struct edit){ EDIT_INSERT, r->text, r->rule->line, line, r->why });
    }
}

/* Such a setting outlives every edit of a file. */
static bool is_off_for_good(const struct planning *p)
{
    const struct subject_setting *ssl = subject_raw(p->subject, "ssl");

    return !p->subject->settings->ssl && ssl && ssl->source == SUBJECT_FROM_COMMAND_LINE;
}

static struct fix demand_tls(struct planning *p, const struct finding *f)
{
    struct record r;
    struct fix fix;

    if (!open_record(p, f, &r, &fix))
        return fix;
    if (!p->subject->settings->ssl && !planning_wants(p, CHECK_TLS_OFF, check_severity(CHECK_TLS_OFF)))
        return FIX_LEFT("TLS is off, and tls_off is excluded: nobody could connect");
    if (is_off_for_good(p))
        return FIX_LEFT(
            "TLS is off by the server's command line (-c ssl=off), and nobody could connect: change that, then "
            "run harden again");
    if (r.rule->type == HBA_HOSTSSL || r.rule->type == HBA_LOCAL || r.rule->type == HBA_HOSTGSSENC)
        return FIX_LEFT("decide who may connect from where, and change the rule by hand");
    if (r.rule->type == HBA_HOST)
        keep_loopback(p, &r);
    return replace_part(p, &r, r.parts.type, STR("hostssl"));
}

/* ---- who would still come in by a password ---- */

/* Membership and expressions are not followed: such a rule may take anybody. */
static bool takes_role(const struct hba_rule *rule, struct str role)
{
    for (size_t i = 0; i < rule->n_users; i++)
        if (rule->users[i].kind != HBA_NAME_EXACT || str_equal(rule->users[i].text, role))
            return true;
    return false;
}

struct secrets {
    size_t n[SECRET_UNRECOGNIZED + 1]; /* roles other than the operator's, by what they have */
    struct buf names[SECRET_UNRECOGNIZED + 1];
};

static bool is_for_replication_only(const struct hba_rule *rule)
{
    for (size_t i = 0; i < rule->n_databases; i++)
        if (rule->databases[i].kind != HBA_NAME_REPLICATION)
            return false;
    return rule->n_databases > 0;
}

/* Roles without a password that the rule takes, the operator's among them. */
static struct str shut_out(struct planning *p, const struct record *r)
{
    AUTO(buf) struct buf names = BUF_INIT(NAMES_MAX);
    bool replication = is_for_replication_only(r->rule);
    size_t n = 0;

    for (size_t i = 0; i < p->wish->n_roles; i++) {
        const struct subject_role *role = &p->wish->roles[i];
        if (!role->can_login || role->secret != SECRET_NONE || !takes_role(r->rule, role->name) ||
            (replication && !role->replication))
            continue;
        if (n++ < NAMES_SHOWN)
            buf_printf(&names, "%s\"%.*s\"", names.n > 0 ? ", " : "", STR_ARG(role->name));
        else if (n == NAMES_SHOWN + 1)
            buf_append_c(&names, ", ...");
    }
    return n > 0 ? planning_print(p, "%s", buf_c(&names)) : STR("");
}

static void count_secrets(const struct planning *p, const struct hba_rule *rule, struct secrets *out)
{
    bool replication = is_for_replication_only(rule);

    for (size_t i = 0; i < p->wish->n_roles; i++) {
        const struct subject_role *role = &p->wish->roles[i];
        struct buf *names = &out->names[role->secret];
        if (!role->can_login || !takes_role(rule, role->name) || (replication && !role->replication) ||
            (p->wish->operator_role.n > 0 && str_equal(role->name, p->wish->operator_role)))
            continue;
        if (out->n[role->secret]++ < NAMES_SHOWN)
            buf_printf(names, "%s\"%.*s\"", names->n > 0 ? ", " : "", STR_ARG(role->name));
        else if (out->n[role->secret] == NAMES_SHOWN + 1)
            buf_append_c(names, ", ...");
    }
}

static void secrets_init(struct secrets *s)
{
    *s = (struct secrets){ .n = { 0 } };
    for (size_t i = 0; i < COUNT_OF(s->names); i++)
        s->names[i] = BUF_INIT(NAMES_MAX);
}

static void secrets_fini(struct secrets *s)
{
    for (size_t i = 0; i < COUNT_OF(s->names); i++)
        buf_fini(&s->names[i]);
}

/* ---- methods ---- */

static struct str unseen_roles(void)
{
    return STR("the kinds of stored passwords are not known: let harden log in to the running server "
               "(--conninfo)");
}

/* Secrets that scram-sha-256 cannot use; empty: there are none. */
static struct str old_secrets(struct planning *p, struct secrets *s)
{
    if (s->n[SECRET_MD5] > 0)
        return planning_print(
            p,
            "%s stored as md5 could not log in by scram-sha-256: set the password again with \\password, "
            "then run harden again",
            buf_c(&s->names[SECRET_MD5]));
    if (s->n[SECRET_UNRECOGNIZED] > 0)
        return planning_print(p, "the stored password of %s is in no known format: set it again",
                              buf_c(&s->names[SECRET_UNRECOGNIZED]));
    return STR("");
}

/* Passwords are asked for already; only their kind counts. */
static struct fix ask_scram(struct planning *p, const struct record *r, struct secrets *s)
{
    struct str old = old_secrets(p, s);

    if (old.n > 0)
        return (struct fix){ false, old };
    return replace_part(p, r, r->parts.method, STR("scram-sha-256"));
}

/* Nothing was asked for. From other machines a role without a password stays out then, and is named. */
static struct fix ask_password(struct planning *p, const struct record *r, struct secrets *s)
{
    struct str old = old_secrets(p, s);

    if (old.n > 0)
        return (struct fix){ false, old };
    if (s->n[SECRET_SCRAM] == 0 || (r->near && s->n[SECRET_NONE] > 0))
        return (struct fix){
            false, s->n[SECRET_NONE] == 0
                       ? STR("no role that could use the rule has a password: set one, or delete the rule")
                       : planning_print(p, "%s could not log in without a password: set one with \\password",
                                        buf_c(&s->names[SECRET_NONE]))
        };
    return replace_for(p, r, r->parts.method, STR("scram-sha-256"),
                       r->rule->type == HBA_LOCAL ? STR("") : shut_out(p, r));
}

/* The operator by the account of the same name, everybody else by password. */
static struct fix ask_here(struct planning *p, const struct record *r, struct secrets *s)
{
    size_t others = s->n[SECRET_NONE] + s->n[SECRET_SCRAM] + s->n[SECRET_MD5] + s->n[SECRET_UNRECOGNIZED];
    struct str own = p->wish->operator_role;
    struct rule_line parts = r->parts;
    struct str line, quoted;

    if (own.n == 0)
        return FIX_LEFT("no role is known that could still log in: use peer or scram-sha-256");
    if (others == 0)
        return replace_part(p, r, parts.method, STR("peer"));
    struct fix fix = ask_password(p, r, s);
    if (!fix.edited || !takes_role(r->rule, own))
        return fix;
    quoted = planning_print(p, "\"%.*s\"", STR_ARG(own));
    if (!rule_line_with(&parts, parts.user, quoted, p->wish->arena, &line)) {
        p->nomem = true;
        return fix;
    }
    /* The method follows the user, and has moved with it. */
    size_t from_end = parts.line.n - (size_t)(parts.method.p - parts.line.p);
    parts.line = line;
    parts.method = str_of(line.p + line.n - from_end, parts.method.n);
    if (!rule_line_with(&parts, parts.method, STR("peer"), p->wish->arena, &line))
        p->nomem = true;
    else
        planning_edit(p, (struct edit){ EDIT_INSERT, r->text, r->rule->line, line, r->why });
    return fix;
}

static struct fix change_method(struct planning *p, const struct finding *f)
{
    struct secrets s;
    struct record r;
    struct fix fix;

    if (!open_record(p, f, &r, &fix))
        return fix;
    if (!p->wish->roles)
        return (struct fix){ false, unseen_roles() };
    secrets_init(&s);
    count_secrets(p, r.rule, &s);
    if (r.rule->method != HBA_METHOD_TRUST && r.rule->method != HBA_METHOD_IDENT)
        fix = ask_scram(p, &r, &s);
    else if (r.rule->type == HBA_LOCAL)
        fix = ask_here(p, &r, &s);
    else
        fix = ask_password(p, &r, &s);
    secrets_fini(&s);
    return fix;
}

/* ---- the rest ---- */

static struct fix compare_names(struct planning *p, const struct finding *f)
{
    static const struct str old = { "clientcert=verify-ca", sizeof "clientcert=verify-ca" - 1 };
    struct record r;
    struct fix fix;

    if (!open_record(p, f, &r, &fix))
        return fix;
    for (size_t i = 0; i + old.n <= r.parts.line.n; i++)
        if (str_starts(str_from(r.parts.line, i), old))
            return replace_part(p, &r, str_of(r.parts.line.p + i, old.n), STR("clientcert=verify-full"));
    return FIX_LEFT("write clientcert=verify-full, or the method cert, by hand");
}

static struct fix drop(struct planning *p, const struct finding *f)
{
    struct record r;
    struct fix fix;

    if (!open_record(p, f, &r, &fix))
        return fix;
    planning_edit(p, (struct edit){ EDIT_REMOVE, r.text, r.rule->line, STR(""), r.why });
    return (struct fix){ true, STR("") };
}

static struct fix close_file(struct planning *p, const struct finding *f)
{
    const struct hba_rule *last = rule_at(p->subject->policy, f->where);
    struct harden_text *text = last ? planning_text(p, last->file) : NULL;

    if (!text)
        return FIX_LEFT("append it by hand");
    planning_edit(
        p, (struct edit){ EDIT_INSERT, text, harden_text_count(text) + 1,
                          STR("host    all             all             all                     reject"),
                          planning_print(p, "%s: %s", check_id(f->check), check_title(f->check)) });
    return (struct fix){ true, STR("") };
}

bool fix_rules(struct planning *p, const struct finding *f, struct fix *out)
{
    static const struct {
        enum check check;
        struct fix (*fix)(struct planning *p, const struct finding *f);
    } fixes[] = {
        { CHECK_PLAINTEXT_FROM_NETWORK, demand_tls },
        { CHECK_HOST_BESIDE_HOSTSSL, demand_tls },
        { CHECK_REPLICATION_OPEN, demand_tls },
        { CHECK_TRUST_FROM_NETWORK, change_method },
        { CHECK_TRUST_HERE, change_method },
        { CHECK_IDENT_FROM_NETWORK, change_method },
        { CHECK_MD5_METHOD, change_method },
        { CHECK_PASSWORD_METHOD, change_method },
        { CHECK_TRUST_WITH_ANY_CERTIFICATE, compare_names },
        { CHECK_RULE_SHADOWED, drop },
        { CHECK_NO_CLOSING_REJECT, close_file },
    };

    if (f->check == CHECK_PASSWORD_IN_CLEARTEXT) {
        const struct hba_rule *rule = rule_at(p->subject->policy, f->where);
        *out = rule && rule->method == HBA_METHOD_PASSWORD ? change_method(p, f) : demand_tls(p, f);
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(fixes); i++)
        if (fixes[i].check == f->check) {
            *out = fixes[i].fix(p, f);
            return true;
        }
    return false;
}
