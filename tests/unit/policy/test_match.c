/* Matching: order of fields, lookups in turn, roles, interfaces, refusals, and the maps. */
#include "memory.h"
#include "policy/match_text.h"

static struct conn_facts tcp(const char *address, bool tls, const char *user, const char *database)
{
    struct conn_facts facts = { .tls = tls, .user = str_c(user), .database = str_c(database) };

    set_peer(&facts, address);
    return facts;
}

/** Line of the rule that matches; 0: none. */
static unsigned line_of(const struct loaded *l, const struct conn_facts *facts)
{
    struct decision decision;

    assert_int_equal(policy_match(l->policy, facts, NULL, &decision), OK);
    return decision.verdict == VERDICT_RULE ? decision.rule->line : 0;
}

static unsigned line_for(const char *rules, struct conn_facts facts)
{
    struct loaded l;

    load_ok(&l, rules, NULL);
    unsigned line = line_of(&l, &facts);
    loaded_fini(&l);
    return line;
}

static void transports(void **state)
{
    (void)state;
    static const char rules[] =
        "hostgssenc all all all trust\nlocal all all trust\nhostssl all all all trust\n"
        "hostnossl all all 10.0.0.0/8 trust\nhostnogssenc all all all trust\n";
    struct conn_facts facts = tcp("10.0.0.1", true, "u", "d");

    assert_int_equal(line_for(rules, facts), 3);
    facts.tls = false;
    assert_int_equal(line_for(rules, facts), 4);
    facts.gss = true;
    assert_int_equal(line_for(rules, facts), 1);
    assert_int_equal(line_for(rules, tcp("11.0.0.1", false, "u", "d")), 5);
    facts.is_local = true;
    assert_int_equal(line_for(rules, facts), 2);
}

static void addresses(void **state)
{
    (void)state;
    assert_int_equal(line_for("host all all 10.1.2.3/8 trust", tcp("10.9.9.9", false, "u", "d")), 1);
    assert_int_equal(line_for("host all all 10.1.2.3/8 trust", tcp("11.9.9.9", false, "u", "d")), 0);
    assert_int_equal(line_for("host all all 0.0.0.0/0 trust", tcp("::ffff:1.2.3.4", false, "u", "d")), 0);
    assert_int_equal(line_for("host all all ::ffff:0:0/96 trust", tcp("1.2.3.4", false, "u", "d")), 0);
    assert_int_equal(line_for("host all all 10.0.0.3 255.0.0.255 trust", tcp("10.7.7.3", false, "u", "d")),
                     1);
    assert_int_equal(line_for("host all all fe80::/10 trust", tcp("fe80::1", false, "u", "d")), 1);
    assert_int_equal(line_for("host all all fe80::1:0/112 trust", tcp("fe80::2:1", false, "u", "d")), 0);
    assert_int_equal(line_for("host all all all trust", tcp("::1", false, "u", "d")), 1);
}

static bool list_ifaces(void *ctx, bool (*each)(void *arg, const struct iface *iface), void *arg)
{
    const struct iface ifaces[] = { { AF_INET, { 192, 168, 7, 1 }, { 255, 255, 255, 0 } },
                                    { AF_INET, { 10, 1, 1, 1 }, { 255, 0, 0, 0 } } };

    (*(int *)ctx)++;
    for (size_t i = 0; i < COUNT_OF(ifaces); i++)
        if (!each(arg, &ifaces[i]))
            break;
    return true;
}

static void interfaces(void **state)
{
    (void)state;
    int asked = 0;
    const struct iface_source source = { list_ifaces, &asked };
    struct conn_facts facts = tcp("10.9.9.9", false, "u", "d");

    facts.ifaces = &source;
    assert_int_equal(line_for("host all all samehost trust\nhost all all samenet trust", facts), 2);
    assert_int_equal(asked, 2);
    facts = tcp("192.168.7.1", false, "u", "d");
    facts.ifaces = &source;
    assert_int_equal(line_for("host all all samehost trust", facts), 1);
    assert_int_equal(line_for("host all all samehost trust", tcp("127.0.0.1", false, "u", "d")), 1);
}

static void databases(void **state)
{
    (void)state;
    struct conn_facts facts = tcp("1.1.1.1", false, "u", "d");

    assert_int_equal(line_for("host D,\"all\",x all all trust\nhost y,d all all trust", facts), 2);
    assert_int_equal(line_for("host sameuser all all trust", facts), 0);
    facts.database = STR("u");
    assert_int_equal(line_for("host sameuser all all trust", facts), 1);
    assert_int_equal(line_for("host \"sameuser\" all all trust", facts), 0);
    facts.replication = REPLICATION_PHYSICAL;
    assert_int_equal(
        line_for("host all,u,/u,\"replication\" all all trust\nhost replication all all trust", facts), 2);
    facts.replication = REPLICATION_LOGICAL;
    assert_int_equal(line_for("host replication all all trust\nhost all all all trust", facts), 2);
    facts.database = STR("replication");
    assert_int_equal(line_for("host replication all all trust\nhost \"replication\" all all trust", facts),
                     2);
}

static void roles(void **state)
{
    (void)state;
    static const struct str names[] = { { "db", 2 }, { "grp", 3 }, { "u", 1 } };
    const struct role_set set = { names, COUNT_OF(names) }, nobody = { NULL, 0 };
    struct conn_facts facts = tcp("1.1.1.1", false, "u", "db");
    struct decision decision;
    struct loaded l;

    load_ok(&l, "host none +grp all trust\nhost all bob,+grp all trust\nhost samegroup all all trust\n",
            NULL);
    assert_int_equal(policy_match(l.policy, &facts, NULL, &decision), E_NEED_ROLES);
    assert_int_equal(decision.need, MATCH_NEED_ROLES);
    facts.roles = &set;
    assert_int_equal(line_of(&l, &facts), 2);
    facts.roles = &nobody;
    assert_int_equal(line_of(&l, &facts), 0);
    /* Who is named outright needs no lookup. */
    facts.roles = NULL;
    facts.user = STR("bob");
    assert_int_equal(line_of(&l, &facts), 2);
    loaded_fini(&l);
    facts.user = STR("u");
    facts.roles = &set;
    assert_int_equal(line_for("host samerole all all trust", facts), 1);
    assert_int_equal(line_for("host all +u all trust", facts), 1);
}

static void expect_need(const struct loaded *l, const struct conn_facts *facts, enum match_need need)
{
    struct decision decision;

    assert_int_equal(policy_match(l->policy, facts, NULL, &decision), E_NEED_NAME);
    assert_int_equal(decision.need, need);
}

static void host_names(void **state)
{
    (void)state;
    struct conn_facts facts = tcp("1.1.1.1", false, "u", "d");
    struct loaded l;

    load_ok(&l,
            "hostssl all all a.example trust\nhost nodb all other.example trust\n"
            "host all all .EXAMPLE.com trust\nhost all all h.Example.com trust\nhost all all all reject\n",
            NULL);
    /* Asked for by line 2, whose database does not even fit: address comes first. */
    expect_need(&l, &facts, MATCH_NEED_REVERSE);
    facts.lookup = (struct name_lookup){ NAME_REVERSE, STR("H.example.COM"), 0 };
    expect_need(&l, &facts, MATCH_NEED_FORWARD);
    facts.lookup.state = NAME_CONFIRMED;
    assert_int_equal(line_of(&l, &facts), 3);
    facts.lookup.name = STR("example.com");
    assert_int_equal(line_of(&l, &facts), 5);
    facts.lookup.name = STR("h.example.com");
    facts.lookup.state = NAME_MISMATCH;
    assert_int_equal(line_of(&l, &facts), 5);
    facts.lookup.state = NAME_REVERSE_FAILED;
    assert_int_equal(line_of(&l, &facts), 5);
    facts.lookup = (struct name_lookup){ NAME_REVERSE, STR("x.y"), 0 };
    assert_int_equal(line_of(&l, &facts), 5);
    facts.is_local = true;
    assert_int_equal(line_of(&l, &facts), 0);
    loaded_fini(&l);
}

struct seen {
    char text[256];
    size_t n;
};

static void see_rule(void *arg, const struct hba_rule *rule, enum match_field failed)
{
    AUTO(buf) struct buf b = BUF_INIT(200);
    struct seen *seen = arg;

    assert_true(buf_printf(&b, "%s%u:%s ", seen->text, rule->line, match_field_name(failed)));
    assert_true(str_to_c(buf_str(&b), seen->text, sizeof seen->text));
}

static void see_nothing(void *arg, const struct hba_rule *rule, enum match_field failed)
{
    struct seen *seen = arg;

    seen->n += rule->number > 0 && failed != FIELD_NONE;
}

static void traces(void **state)
{
    (void)state;
    struct seen seen = { .n = 0 };
    struct trace trace = { see_rule, &seen };
    struct conn_facts facts = tcp("1.1.1.1", false, "u", "d");
    struct decision decision;
    struct loaded l;
    char why[128];

    load_ok(&l,
            "hostssl all all all trust\nhost all all 2.0.0.0/8 trust\nhost x all all trust\n"
            "host all y all trust\nhost all all all md5\nhost all all all trust\n",
            NULL);
    assert_int_equal(policy_match(l.policy, &facts, &trace, &decision), OK);
    assert_string_equal(seen.text, "1:type 2:address 3:database 4:user 5: ");
    policy_explain_field(policy_rule(l.policy, 0), &facts, FIELD_TYPE, why, sizeof why);
    assert_string_equal(why, "\"hostssl\" does not fit: the connection is not encrypted");
    policy_explain_field(policy_rule(l.policy, 1), &facts, FIELD_ADDRESS, why, sizeof why);
    assert_string_equal(why, "1.1.1.1 is outside of the rule's network");
    policy_explain_field(policy_rule(l.policy, 2), &facts, FIELD_DATABASE, why, sizeof why);
    assert_string_equal(why, "database \"d\" is not \"x\"");
    policy_explain_field(policy_rule(l.policy, 3), &facts, FIELD_USER, why, sizeof why);
    assert_string_equal(why, "user \"u\" is not \"y\"");
    loaded_fini(&l);
}

static uint32_t some(uint32_t *seed, uint32_t n)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 16) % n;
}

static void some_rules(uint32_t *seed, struct buf *out)
{
    static const char *const types[] = { "local", "host", "hostssl", "hostnossl", "hostnogssenc" };
    static const char *const names[] = { "all", "a", "b", "c", "\"a b\"", "a,c", "b,/^c", "/^[ab]$", "d" };
    static const char *const databases[] = { "sameuser", "replication", "replication,a", "samerole" };
    static const char *const addresses[] = { "all",       "10.0.0.0/8", "10.1.0.0/30", "::1/128", "fe80::/10",
                                             ".host.tld", "0.0.0.0/0",  "samehost",    "::/0" };

    for (uint32_t n = 1 + some(seed, 40); n > 0; n--) {
        const char *type = types[some(seed, COUNT_OF(types))];
        const char *database = some(seed, 3) ? names[some(seed, COUNT_OF(names))]
                                             : databases[some(seed, COUNT_OF(databases))];
        const char *user = names[some(seed, COUNT_OF(names))];
        const char *address = strcmp(type, "local") == 0 ? "" : addresses[some(seed, COUNT_OF(addresses))];
        (void)buf_printf(out, "%s %s %s %s trust\n", type, database, user, address);
    }
}

/* Keys dismiss most rules; looking at every rule in full must come to the same. */
static void keys_agree(void **state)
{
    (void)state;
    static const char *const names[] = { "a", "b", "c", "a b", "d", "all" };
    static const char *const peers[] = { "10.0.0.1", "10.1.0.2", "11.0.0.1", "::1", "fe80::1", "127.0.0.1" };
    static const struct str role = { "a", 1 };
    const struct role_set roles = { &role, 1 };
    struct decision fast, full;
    uint32_t seed = 1;
    struct loaded l;

    for (int file = 0; file < 100; file++) {
        AUTO(buf) struct buf text = BUF_INIT(16384);
        some_rules(&seed, &text);
        load_ok(&l, buf_c(&text), NULL);
        for (int i = 0; i < 60; i++) {
            struct seen seen = { .n = 0 };
            struct trace trace = { see_nothing, &seen };
            struct conn_facts facts = tcp(peers[some(&seed, COUNT_OF(peers))], some(&seed, 2),
                                          names[some(&seed, COUNT_OF(names))],
                                          names[some(&seed, COUNT_OF(names))]);
            facts.is_local = some(&seed, 5) == 0;
            facts.replication = some(&seed, 4) ? REPLICATION_NONE : REPLICATION_PHYSICAL;
            facts.roles = &roles; /* without, the keys may save a lookup that the full walk asks for */
            facts.lookup = (struct name_lookup){ (enum name_state)some(&seed, 6), STR("x.host.tld"), 0 };
            enum code code = policy_match(l.policy, &facts, NULL, &fast);
            assert_int_equal(policy_match(l.policy, &facts, &trace, &full), code);
            assert_ptr_equal(fast.rule, full.rule);
            assert_int_equal(fast.need, full.need);
        }
        loaded_fini(&l);
    }
}

static void expect_refusal(const char *rules, struct conn_facts facts, const char *message,
                           const char *detail)
{
    struct decision decision;
    struct loaded l;
    struct err e;

    load_ok(&l, rules, NULL);
    assert_int_equal(policy_match(l.policy, &facts, NULL, &decision), OK);
    assert_int_equal(policy_refusal(&facts, &decision, &e), E_AUTH);
    assert_string_equal(e.message, message);
    assert_string_equal(e.detail, detail);
    assert_int_equal(e.detail_is_for_log, detail[0] != '\0');
    loaded_fini(&l);
}

static void refusals(void **state)
{
    (void)state;
    struct conn_facts facts = tcp("10.0.0.1", true, "al", "db");

    facts.lookup = (struct name_lookup){ NAME_CONFIRMED, STR("h"), 0 };
    expect_refusal(
        "host all all all reject", facts,
        "pg_hba.conf rejects connection for host \"10.0.0.1\", user \"al\", database \"db\", SSL encryption",
        "");
    expect_refusal("local all all trust", facts,
                   "no pg_hba.conf entry for host \"10.0.0.1\", user \"al\", database \"db\", SSL encryption",
                   "Client IP address resolved to \"h\", forward lookup matches.");
    facts.lookup.state = NAME_REVERSE;
    facts.tls = false;
    facts.replication = REPLICATION_PHYSICAL;
    expect_refusal(
        "local all all trust", facts,
        "no pg_hba.conf entry for replication connection from host \"10.0.0.1\", user \"al\", no encryption",
        "Client IP address resolved to \"h\", forward lookup not checked.");
    facts.lookup.state = NAME_MISMATCH;
    facts.is_local = true;
    expect_refusal(
        "hostssl all all all trust", facts,
        "no pg_hba.conf entry for replication connection from host \"[local]\", user \"al\", no encryption",
        "Client IP address resolved to \"h\", forward lookup does not match.");
    facts.lookup = (struct name_lookup){ NAME_REVERSE_FAILED, STR(""), EAI_NONAME };
    facts.is_local = false;
    expect_refusal(
        "host replication all all reject", facts,
        "pg_hba.conf rejects replication connection for host \"10.0.0.1\", user \"al\", no encryption", "");
    facts.replication = REPLICATION_LOGICAL;
    facts.gss = true;
    expect_refusal("local all all trust", facts,
                   "no pg_hba.conf entry for host \"10.0.0.1\", user \"al\", database \"db\", GSS encryption",
                   "Could not resolve client IP address to a host name: Name or service not known.");
    facts.lookup = (struct name_lookup){ NAME_FORWARD_FAILED, STR("h"), EAI_AGAIN };
    facts.peer.ss_family = AF_UNSPEC;
    expect_refusal(
        "local all all trust", facts,
        "no pg_hba.conf entry for host \"???\", user \"al\", database \"db\", GSS encryption",
        "Could not translate client host name \"h\" to IP address: Temporary failure in name resolution.");
}

static void peer_addresses(void **state)
{
    (void)state;
    struct conn_facts a = tcp("10.0.0.1", false, "", ""), b = tcp("10.0.0.1", false, "", "");
    const struct sockaddr *candidate = (const struct sockaddr *)&b.peer;

    assert_true(peer_address_equal(&a.peer, candidate));
    set_peer(&b, "10.0.0.2");
    assert_false(peer_address_equal(&a.peer, candidate));
    set_peer(&b, "::ffff:10.0.0.1");
    assert_false(peer_address_equal(&a.peer, candidate));
    set_peer(&a, "::ffff:10.0.0.1");
    assert_true(peer_address_equal(&a.peer, candidate));
}

/* ---- maps ---- */

static const char maps[] =
    "m alice al\nm /^(.*)@x$ \\1\nm /^y(z)?$ r\\1\nm grp +grp\nm any all\n"
    "m \"any2\" \"all\"\nm re /^r[0-9]$\nn alice bob\nm two \\1\nm /^(l\\\\1)$ \\1\\1\n";

static void expect_map(const char *map, const char *role, const char *name, enum code code,
                       const char *reason)
{
    static const struct str names[] = { { "grp", 3 }, { "u", 1 } };
    const struct role_set set = { names, COUNT_OF(names) };
    struct ident_question question = { str_c(map), str_c(role), str_c(name), &set };
    struct err why = { .code = OK };
    struct loaded l;

    load_ok(&l, "local all all trust", maps);
    assert_int_equal(ident_check(l.policy, &question, &why), code);
    assert_string_equal(why.message, reason);
    loaded_fini(&l);
}

static void map_lines(void **state)
{
    (void)state;
    expect_map("", "u", "u", OK, "");
    expect_map("", "u", "U", E_AUTH, "provided user name (u) and authenticated user name (U) do not match");
    expect_map("m", "al", "alice", OK, "");
    expect_map("m", "alice", "alice", E_AUTH,
               "no match in usermap \"m\" for user \"alice\" authenticated as \"alice\"");
    expect_map("n", "bob", "alice", OK, "");
    expect_map("none", "u", "u", E_AUTH,
               "no match in usermap \"none\" for user \"u\" authenticated as \"u\"");
    expect_map("m", "joe", "joe@x", OK, "");
    expect_map("m", "all", "all@x", OK, "");
    expect_map("m", "joe", "all@x", E_AUTH,
               "no match in usermap \"m\" for user \"joe\" authenticated as \"all@x\"");
    expect_map("m", "+grp", "+grp@x", OK, "");
    expect_map("m", "u", "+grp@x", E_AUTH,
               "no match in usermap \"m\" for user \"u\" authenticated as \"+grp@x\"");
    expect_map("m", "u", "grp", OK, "");
    expect_map("m", "anybody", "any", OK, "");
    expect_map("m", "anybody", "any2", E_AUTH,
               "no match in usermap \"m\" for user \"anybody\" authenticated as \"any2\"");
    expect_map("m", "r7", "re", OK, "");
    expect_map("m", "r77", "re", E_AUTH,
               "no match in usermap \"m\" for user \"r77\" authenticated as \"re\"");
    expect_map("m", "\\1", "two", OK, "");
    expect_map("m", "rz", "yz", OK, "");
    expect_map(
        "m", "ry", "y", E_REGEX,
        "regular expression \"^y(z)?$\" has no subexpressions as requested by backreference in \"r\\1\"");
    /* Only the first \1 is replaced, and what comes out is not looked at again. */
    expect_map("m", "l\\1\\1", "l\\1", OK, "");
}

static void map_needs_roles(void **state)
{
    (void)state;
    struct ident_question question = { STR("m"), STR("u"), STR("grp"), NULL };
    struct loaded l;

    load_ok(&l, "local all all trust", maps);
    assert_int_equal(ident_check(l.policy, &question, NULL), E_NEED_ROLES);
    loaded_fini(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transports),     cmocka_unit_test(addresses),  cmocka_unit_test(interfaces),
        cmocka_unit_test(databases),      cmocka_unit_test(roles),      cmocka_unit_test(host_names),
        cmocka_unit_test(traces),         cmocka_unit_test(keys_agree), cmocka_unit_test(refusals),
        cmocka_unit_test(peer_addresses), cmocka_unit_test(map_lines),  cmocka_unit_test(map_needs_roles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
