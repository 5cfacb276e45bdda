#include "policy/box.h"

#include "base/arena.h"
#include "policy/match.h"
#include "regex/regex.h"

/* ---- addresses ---- */

bool pattern_meets(const struct pattern *a, const struct pattern *b)
{
    if (a->family != b->family)
        return false;
    for (size_t i = 0; i < sizeof a->addr; i++)
        if ((a->addr[i] ^ b->addr[i]) & a->mask[i] & b->mask[i])
            return false;
    return true;
}

struct pattern pattern_both(const struct pattern *a, const struct pattern *b)
{
    struct pattern both = *a;

    for (size_t i = 0; i < sizeof both.addr; i++) {
        both.addr[i] = (uint8_t)((a->addr[i] & a->mask[i]) | (b->addr[i] & b->mask[i]));
        both.mask[i] = a->mask[i] | b->mask[i];
    }
    return both;
}

bool box_same_machine(struct box *box, bool host, bool yes)
{
    unsigned is = host ? IS_SAMEHOST : IS_SAMENET, is_not = host ? NOT_SAMEHOST : NOT_SAMENET;

    if (box->near & (yes ? is_not : is))
        return false;
    box->near |= yes ? is : is_not;
    if (host && yes) /* its own addresses are in its networks */
        return box_same_machine(box, false, true);
    if (!host && !yes)
        return box_same_machine(box, true, false);
    return true;
}

/* ---- names ---- */

static bool box_say(struct boxing *b, const struct said **list, const struct token *token, bool yes)
{
    struct said *said = ARENA_NEW(b->arena, struct said);

    if (!said) {
        b->nomem = true;
        return true;
    }
    *said = (struct said){ token, yes, *list };
    *list = said;
    return true;
}

bool box_regex_takes(struct boxing *b, const struct token *regex, struct str name)
{
    struct regex_match found = { .matched = false };

    if (!str_starts(name, regex->prefix))
        return false;
    if (regex->whole)
        return true;
    b->left -= BOX_COST_REGEX;
    return b->left > 0 && regex_search(b->regexes, regex->regex, name, &found, NULL) == OK && found.matched;
}

static bool same_name(const struct token *a, const struct token *b)
{
    return a->bits == b->bits && str_equal(a->text, b->text);
}

static bool pin(struct boxing *b, struct names *names, const struct token *name)
{
    if (names->is)
        return same_name(names->is, name);
    for (const struct said *s = names->others; s; s = s->next) {
        b->left--;
        if (same_name(s->token, name))
            return false;
    }
    for (const struct said *s = names->signs; s; s = s->next) {
        if (s->token->kind == HBA_NAME_REGEX && box_regex_takes(b, s->token, name->text) != s->yes)
            return false;
        if (s->token->kind == HBA_NAME_MEMBER && !s->yes && str_equal(s->token->text, name->text))
            return false;
    }
    names->is = name;
    return true;
}

/* What one expression says of another; 0: nothing. */
static int regex_implies(const struct said *known, const struct token *regex)
{
    struct str a = known->token->prefix, b = regex->prefix;

    if (known->yes && !str_starts(a, b) && !str_starts(b, a))
        return -1;
    if (known->yes && regex->whole && str_starts(a, b))
        return 1;
    if (!known->yes && known->token->whole && str_starts(b, a))
        return -1;
    return 0;
}

static bool sign(struct boxing *b, struct names *names, const struct token *token, bool yes)
{
    for (const struct said *s = names->signs; s; s = s->next) {
        int implied = 0;
        b->left -= BOX_COST_TOKEN;
        if (s->token->kind != token->kind)
            continue;
        if (str_equal(s->token->text, token->text))
            return s->yes == yes;
        if (token->kind == HBA_NAME_REGEX)
            implied = regex_implies(s, token);
        if (implied)
            return (implied > 0) == yes;
    }
    return box_say(b, &names->signs, token, yes);
}

static bool restrict_names(struct boxing *b, struct names *names, const struct token *token, bool yes)
{
    b->left -= BOX_COST_TOKEN;
    switch (token->kind) {
    case HBA_NAME_ALL:
        return yes;
    case HBA_NAME_EXACT:
        if (yes)
            return pin(b, names, token);
        return names->is ? !same_name(names->is, token) : box_say(b, &names->others, token, false);
    case HBA_NAME_REGEX:
        return names->is ? box_regex_takes(b, token, names->is->text) == yes : sign(b, names, token, yes);
    case HBA_NAME_MEMBER:
        if (b->stranger)
            return !yes;
        if (names->is && str_equal(names->is->text, token->text))
            return yes;
        return sign(b, names, token, yes);
    case HBA_NAME_SAMEUSER:
    case HBA_NAME_SAMEROLE:
    case HBA_NAME_REPLICATION:
        break;
    }
    return true;
}

/* What follows for the other name once one is given. */
static bool box_settle(struct boxing *b, struct box *box)
{
    if (box->same < 0 && !box->same_settled && (box->user.is || box->db.is)) {
        box->same_settled = true;
        if (!restrict_names(b, box->user.is ? &box->db : &box->user, box->user.is ? box->user.is : box->db.is,
                            false))
            return false;
    }
    if (box->role && !box->role_settled && box->db.is) {
        struct token *role = ARENA_NEW(b->arena, struct token);
        box->role_settled = true;
        if (!role) {
            b->nomem = true;
            return true;
        }
        *role = (struct token){ .kind = HBA_NAME_MEMBER, .text = box->db.is->text };
        return restrict_names(b, &box->user, role, box->role > 0);
    }
    return true;
}

bool box_user(struct boxing *b, struct box *box, const struct token *token, bool yes)
{
    return restrict_names(b, &box->user, token, yes) && box_settle(b, box);
}

/* ---- databases ---- */

/* What was said of the database is said of the user. */
static bool merge(struct boxing *b, struct box *box)
{
    if (box->db.is && !restrict_names(b, &box->user, box->db.is, true))
        return false;
    for (const struct said *s = box->db.others; s; s = s->next)
        if (!restrict_names(b, &box->user, s->token, false))
            return false;
    for (const struct said *s = box->db.signs; s; s = s->next)
        if (!restrict_names(b, &box->user, s->token, s->yes))
            return false;
    return true;
}

static bool same_as_user(struct boxing *b, struct box *box, bool yes)
{
    if (box->same)
        return (box->same > 0) == yes;
    if (yes && box->role < 0)
        return false;
    if (box->user.is && box->db.is)
        return same_name(box->user.is, box->db.is) == yes;
    box->same = yes ? 1 : -1;
    return yes ? merge(b, box) : box_settle(b, box);
}

static bool same_as_role(struct boxing *b, struct box *box, bool yes)
{
    if (b->stranger)
        return !yes;
    if (box->same > 0)
        return yes;
    if (box->role)
        return (box->role > 0) == yes;
    if (!yes && !same_as_user(b, box, false))
        return false;
    box->role = yes ? 1 : -1;
    return box_settle(b, box);
}

bool box_database(struct boxing *b, struct box *box, const struct token *token, bool yes)
{
    if (box->physical || token->kind == HBA_NAME_REPLICATION)
        return (box->physical && token->kind == HBA_NAME_REPLICATION) == yes;
    if (token->kind == HBA_NAME_SAMEUSER)
        return same_as_user(b, box, yes);
    if (token->kind == HBA_NAME_SAMEROLE)
        return same_as_role(b, box, yes);
    if (box->same > 0)
        return restrict_names(b, &box->user, token, yes);
    return restrict_names(b, &box->db, token, yes) && box_settle(b, box);
}

/* ---- host names ---- */

/* What a pattern that holds, or does not, says of another; 0: nothing. */
static int host_implies(const struct said *known, struct str pattern)
{
    bool within = hba_host_name_fits(pattern, known->token->text);
    bool around = hba_host_name_fits(known->token->text, pattern);

    if (known->yes)
        return within ? 1 : around ? 0 : -1;
    return around ? -1 : 0;
}

bool box_host(struct boxing *b, struct box *box, const struct token *pattern, bool yes)
{
    for (const struct said *s = box->hosts; s; s = s->next) {
        int implied = host_implies(s, pattern->text);
        b->left -= BOX_COST_TOKEN;
        if (implied)
            return (implied > 0) == yes;
    }
    return box_say(b, &box->hosts, pattern, yes);
}
