/* Shadows and witnesses: cases, and both held against policy_match() over generated rules and connections. */
#include "memory.h"
#include "policy/match_text.h"
#include "policy/reach.h"
#include "policy/shadow.h"

enum { POLICIES = 1500, RULES_MAX = 7, TEXT_MAX = 4096 };

/* ---- what there is to choose from ---- */

static const char *const types[] = { "host", "hostssl", "hostnossl", "hostnogssenc", "hostgssenc", "host" };
static const char *const databases[] = {
    "all", "d1",      "d1,d2", "sameuser",  "samerole", "replication",         "d2,sameuser",
    "u1",  "\"all\"", "/^d",   "d1,/^d,u2", "all",      "samerole,replication"
};
static const char *const users[] = { "all",    "u1",  "u1,u2", "+r1", "+r1,u2", "/^u",
                                     "/2$,u1", "all", "d1",    "all", "all" };
static const char *const addresses[] = { "all",
                                         "0.0.0.0/0",
                                         "10.0.0.0/8",
                                         "10.1.0.0/16",
                                         "10.1.2.3/32",
                                         "10.1.0.0 255.0.255.0",
                                         "127.0.0.0/8",
                                         "::/0",
                                         "2001:db8::/32",
                                         "2001:db8::7/128",
                                         "2001:db8::/120",
                                         "samehost",
                                         "samenet",
                                         ".example.com",
                                         "a.example.com",
                                         "A.EXAMPLE.COM",
                                         ".a.example.com",
                                         "all" };
static const char *const methods[] = { "trust", "reject" };

/* Of these several often cover one. */
static const char *const few_types[] = { "host", "hostssl", "hostnossl", "hostgssenc" };
static const char *const few_databases[] = { "d1", "d2", "d1,d2", "d2,replication" };
static const char *const few_users[] = { "u1", "u2", "u1,u2", "+r1,u1" };
static const char *const few_addresses[] = { "10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9", "all" };

static const char *const peers[] = { "10.1.2.3",    "10.1.9.9",      "10.7.0.9",    "11.1.1.1",
                                     "127.0.0.1",   "0.0.0.0",       "192.168.7.1", "192.168.7.9",
                                     "2001:db8::7", "2001:db8::9:1", "2a00::1",     "::1",
                                     "10.1.0.5",    "10.7.3.3",      "2001:db8::9", "10.200.1.1" };
static const char *const names[] = { "u1", "u2", "u33", "d1", "d2", "all", "r1", "+r1" };
static const char *const hosts[] = { NULL, "a.example.com", "x.A.example.com", "example.com" };

static bool list_ifaces(void *ctx, bool (*each)(void *arg, const struct iface *iface), void *arg)
{
    const struct iface ifaces[] = { { AF_INET, { 192, 168, 7, 1 }, { 255, 255, 255, 0 } },
                                    { AF_INET, { 127, 0, 0, 1 }, { 255, 0, 0, 0 } } };

    (void)ctx;
    for (size_t i = 0; i < COUNT_OF(ifaces); i++)
        if (!each(arg, &ifaces[i]))
            break;
    return true;
}

static const struct iface_source ifaces = { list_ifaces, NULL };

/* The same numbers in every run. [src: Marsaglia, "Xorshift RNGs"] */
static uint32_t dice(void)
{
    static uint32_t x = 2463534242u;

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return x;
}

#define PICK(list) ((list)[dice() % COUNT_OF(list)])

static void generate(struct buf *out)
{
    bool few = dice() % 3 == 0;

    buf_reset(out);
    for (uint32_t n = RULES_MAX; few && n > 0; n--) {
        const char *type = PICK(few_types), *database = PICK(few_databases), *user = PICK(few_users);
        buf_printf(out, "%s %s %s %s %s\n", type, database, user, PICK(few_addresses), PICK(methods));
    }
    for (uint32_t n = few ? 0 : 2 + dice() % (RULES_MAX - 1); n > 0; n--) {
        bool local = dice() % 8 == 0;
        const char *type = PICK(types), *address = PICK(addresses);
        buf_printf(out, "%s %s %s %s %s\n", local ? "local" : type, PICK(databases), PICK(users),
                   local ? "" : address, PICK(methods));
    }
    assert_true(buf_append_byte(out, '\0'));
}

/* ---- every connection that differs ---- */

struct census {
    const struct policy *policy;
    size_t decided[RULES_MAX + 1];         /* by rule number */
    size_t from_network[RULES_MAX + 1][2]; /* and by TLS, of those from another machine */
};

static bool is_network(const char *peer)
{
    return strcmp(peer, "127.0.0.1") != 0 && strcmp(peer, "::1") != 0 && strcmp(peer, "192.168.7.1") != 0 &&
           strcmp(peer, "0.0.0.0") != 0;
}

static void count(struct census *census, const struct conn_facts *facts, bool network)
{
    struct decision decision;

    assert_int_equal(policy_match(census->policy, facts, NULL, &decision), OK);
    if (decision.verdict != VERDICT_RULE)
        return;
    census->decided[decision.rule->number]++;
    if (network && !facts->gss)
        census->from_network[decision.rule->number][facts->tls]++;
}

static void count_names(struct census *census, struct conn_facts *facts, bool network)
{
    static const struct role_set nobody = { NULL, 0 }; /* the user is no role */

    for (size_t u = 0; u < COUNT_OF(names); u++) {
        for (size_t d = 0; d < 4 * COUNT_OF(names); d++) {
            struct str sorted[] = { d % 4 == 2 ? str_c(names[d / 4]) : STR("r1"), str_c(names[u]) };
            bool swap = str_compare(sorted[0], sorted[1]) > 0;
            struct str member[] = { sorted[swap], sorted[!swap] };
            struct role_set all = { member, str_equal(member[0], member[1]) ? 1 : 2 };
            struct role_set self = { &sorted[1], 1 };
            facts->user = str_c(names[u]);
            facts->database = str_c(names[d / 4]);
            facts->roles = d % 4 == 3 ? &nobody : d % 4 ? &all : &self;
            count(census, facts, network && d % 4 < 3);
            facts->replication = REPLICATION_PHYSICAL;
            if (d < 4)
                count(census, facts, network && d < 3);
            facts->replication = REPLICATION_NONE;
        }
    }
}

static void take_census(struct census *census, const struct policy *policy)
{
    *census = (struct census){ .policy = policy };
    for (size_t p = 0; p < COUNT_OF(peers); p++) {
        for (unsigned how = 0; how < 3 * COUNT_OF(hosts); how++) {
            const char *host = hosts[how / 3];
            struct conn_facts facts = { .tls = how % 3 == 1, .gss = how % 3 == 2, .ifaces = &ifaces };
            facts.lookup.state = host ? NAME_CONFIRMED : NAME_REVERSE_FAILED;
            facts.lookup.name = str_c(host);
            set_peer(&facts, peers[p]);
            count_names(census, &facts, is_network(peers[p]));
        }
    }
    struct conn_facts local = { .is_local = true };
    count_names(census, &local, false);
}

/* ---- properties ---- */

static bool has_regex(const struct hba_rule *rule)
{
    for (size_t i = 0; i < rule->n_databases; i++)
        if (rule->databases[i].kind == HBA_NAME_REGEX)
            return true;
    for (size_t i = 0; i < rule->n_users; i++)
        if (rule->users[i].kind == HBA_NAME_REGEX)
            return true;
    return false;
}

/* Whoever is shadowed decides nothing; who decides nothing is shadowed, where nothing is left open. */
static size_t check_shadows(struct loaded *l, const struct census *census, const char *text)
{
    bool exact = !strstr(text, "/^") && !strstr(text, "/2") && !strstr(text, "same");
    const struct shadow *shadows;
    size_t found = 0;

    assert_int_equal(policy_shadows(l->policy, &l->arena, &shadows), OK);
    for (size_t i = 0; i < policy_rule_count(l->policy); i++) {
        size_t n = shadows[i].n;
        if ((n > 0 && census->decided[i + 1] > 0) || (n == 0 && exact && census->decided[i + 1] == 0)) {
            print_error("rule %zu decides %zu connections, and is shadowed by %zu rules:\n%s", i + 1,
                        census->decided[i + 1], n, text);
            fail();
        }
        found += n > 1;
        for (size_t k = 0; k < n; k++)
            assert_true(shadows[i].by[k] <= i && (k == 0 || shadows[i].by[k - 1] < shadows[i].by[k]));
    }
    return found;
}

static void check_witness(const struct loaded *l, const struct hba_rule *rule, const struct conn_facts *facts)
{
    struct decision decision;
    char host[64];

    assert_int_equal(policy_match(l->policy, facts, NULL, &decision), OK);
    assert_ptr_equal(decision.rule, rule);
    conn_facts_host(facts, host, sizeof host);
    assert_false(facts->is_local);
    assert_true(is_network(host));
}

/* What the census saw from the network, the search must see; it may be in doubt about expressions only. */
static size_t check_reach(struct loaded *l, const struct census *census, const char *text)
{
    struct reach_search *search = reach_search_new(l->policy, &ifaces, &l->arena);
    bool doubt = false;
    size_t found = 0;

    assert_non_null(search);
    for (size_t i = 0; i < policy_rule_count(l->policy); i++) {
        const struct hba_rule *rule = policy_rule(l->policy, i);
        doubt = doubt || has_regex(rule);
        for (unsigned tls = 0; tls < 2; tls++) {
            struct conn_facts witness;
            enum reach reach;
            assert_int_equal(policy_reach(search, rule, tls, &reach, &witness), OK);
            if (reach == REACH_FOUND)
                check_witness(l, rule, &witness);
            found += reach == REACH_FOUND;
            if ((reach == REACH_NONE && census->from_network[i + 1][tls] > 0) ||
                (reach == REACH_UNKNOWN && !doubt)) {
                print_error("rule %zu takes connections: %zu; the search says %d (tls %u):\n%s", i + 1,
                            census->from_network[i + 1][tls], (int)reach, tls, text);
                fail();
            }
        }
    }
    return found;
}

static void generated(void **state)
{
    (void)state;
    AUTO(buf) struct buf text = BUF_INIT(TEXT_MAX);
    size_t shadows = 0, witnesses = 0;

    for (unsigned i = 0; i < POLICIES; i++) {
        struct census census;
        struct loaded l;
        generate(&text);
        load_ok(&l, (const char *)text.p, NULL);
        take_census(&census, l.policy);
        shadows += check_shadows(&l, &census, (const char *)text.p);
        witnesses += check_reach(&l, &census, (const char *)text.p);
        loaded_fini(&l);
    }
    print_message("%zu shadows of several, %zu witnesses\n", shadows, witnesses);
    assert_true(shadows > 30 && witnesses > POLICIES); /* there was something to get wrong */
}

/* ---- cases ---- */

/* The shadow of the last rule, as a decimal number with a digit per rule. */
static unsigned shadow_of(const char *rules)
{
    const struct shadow *shadows;
    unsigned digits = 0;
    struct loaded l;

    load_ok(&l, rules, NULL);
    assert_int_equal(policy_shadows(l.policy, &l.arena, &shadows), OK);
    const struct shadow *last = &shadows[policy_rule_count(l.policy) - 1];
    for (size_t i = 0; i < last->n; i++)
        digits = 10 * digits + last->by[i];
    loaded_fini(&l);
    return digits;
}

static void shadows(void **state)
{
    (void)state;
    assert_int_equal(shadow_of("host all all all trust\nhostssl d u 10.0.0.0/8 reject"), 1);
    assert_int_equal(shadow_of("hostssl all all all trust\nhost d u 10.0.0.0/8 reject"), 0);
    assert_int_equal(shadow_of("host a,b u,v all trust\nhost b,a v all trust"), 1);
    assert_int_equal(shadow_of("host a u,v all trust\nhost a,b v all trust"), 0);
    assert_int_equal(shadow_of("host all all 10.0.0.0/9 trust\nhost all all 10.0.0.0/8 trust"), 0);
    assert_int_equal(shadow_of("host all all 10.0.0.0/8 trust\nhost all all ::ffff:10.0.0.0/104 trust"), 0);
    assert_int_equal(shadow_of("host all all 0.0.0.0/0 trust\nhost all all samehost trust"), 0);
    assert_int_equal(shadow_of("host all all samenet trust\nhost all all samehost trust"), 1);
    assert_int_equal(shadow_of("host all all .x.y trust\nhost all all A.X.Y trust"), 1);
    assert_int_equal(shadow_of("host all all a.x.y trust\nhost all all .x.y trust"), 0);
    assert_int_equal(shadow_of("host all all all trust\nhost replication all all trust"), 0);
    assert_int_equal(shadow_of("host replication,a all all trust\nhost replication u all trust"), 1);
    assert_int_equal(shadow_of("host sameuser all all trust\nhost u u all trust"), 1);
    assert_int_equal(shadow_of("host u all all trust\nhost sameuser u all trust"), 1);
    assert_int_equal(shadow_of("host u all all trust\nhost sameuser u,v all trust"), 0);
    assert_int_equal(shadow_of("host all +r all trust\nhost all r all trust"), 0);
    assert_int_equal(shadow_of("host all +r all trust\nhost d +r all trust"), 1);
    assert_int_equal(shadow_of("host all /^a all trust\nhost all abc all trust"), 1);
    assert_int_equal(shadow_of("host all /^a all trust\nhost all bc all trust"), 0);
    assert_int_equal(shadow_of("local all all trust\nlocal d u reject"), 1);
    assert_int_equal(shadow_of("local all all trust\nhost d u all reject"), 0);
    /* several together, and none of them needlessly */
    assert_int_equal(
        shadow_of("host x y all md5\nhost all all 10.0.0.0/9 trust\nhost all all 10.128.0.0/9 trust\n"
                  "host d u 10.0.0.0/8 reject"),
        23);
    assert_int_equal(shadow_of("hostssl all all all trust\nhostnossl all all all trust\nhost d u all md5"),
                     12);
    assert_int_equal(shadow_of("host d all all trust\nhost all u all trust\nhost d,e u all md5"), 2);
    assert_int_equal(shadow_of("host d all all trust\nhost e u all trust\nhost d,e u all md5"), 12);
    assert_int_equal(shadow_of("host sameuser all all trust\nhost samerole all all md5"), 0);
    assert_int_equal(shadow_of("host samerole all all trust\nhost sameuser all all md5"), 0);
    assert_int_equal(shadow_of("host all /^a all trust\nhost all /^ab all md5"), 1);
    assert_int_equal(shadow_of("host all /.* all trust\nhost all bob all md5"), 1);
    assert_int_equal(shadow_of("host all /^bob$ all trust\nhost all bob all md5"), 1);
    assert_int_equal(shadow_of("host all /^bob|eve$ all trust\nhost all bob,eve all md5"), 1);
}

/* "address user database" of the witness for the last rule. */
static void expect_witness(const char *rules, bool tls, const char *expected)
{
    char host[64];
    struct str text = STR("none");
    struct conn_facts w;
    enum reach reach;
    struct loaded l;

    load_ok(&l, rules, NULL);
    struct reach_search *search = reach_search_new(l.policy, &ifaces, &l.arena);
    const struct hba_rule *last = policy_rule(l.policy, policy_rule_count(l.policy) - 1);
    assert_non_null(search);
    assert_int_equal(policy_reach(search, last, tls, &reach, &w), OK);
    if (reach == REACH_UNKNOWN)
        text = STR("unknown");
    if (reach == REACH_FOUND) {
        conn_facts_host(&w, host, sizeof host);
        assert_true(arena_printf(&l.arena, &text, "%s %.*s %.*s%s", host, STR_ARG(w.user),
                                 STR_ARG(w.database), w.replication ? "physical" : ""));
    }
    assert_string_equal(text.p, expected);
    loaded_fini(&l);
}

static void witnesses(void **state)
{
    (void)state;
    expect_witness("host all all all md5", false, "203.0.113.7 somebody somewhere");
    expect_witness("host all all all md5", true, "203.0.113.7 somebody somewhere");
    expect_witness("hostssl all all all md5", false, "none");
    expect_witness("local all all trust", false, "none");
    expect_witness("host all all 127.0.0.1/32 md5", false, "none");
    expect_witness("host all all ::1/128 md5", false, "none");
    expect_witness("host all all samehost md5", false, "none");
    expect_witness("host all all 192.168.7.1/32 md5", false, "none");
    expect_witness("host all all samenet md5", false, "192.168.7.129 somebody somewhere");
    expect_witness("host app bob 10.0.0.0/8 md5", false, "10.0.0.1 bob app");
    expect_witness("host app bob 10.2.3.4/32 md5", false, "10.2.3.4 bob app");
    expect_witness("host all all 10.0.0.0/9 reject\nhost all all 10.0.0.0/8 md5", false,
                   "10.128.0.1 somebody somewhere");
    expect_witness("host all all 10.0.0.0/9 reject\nhost all all 10.128.0.0/9 reject\n"
                   "host all all 10.0.0.0/8 md5",
                   false, "none");
    expect_witness("hostnossl all all all reject\nhost all all all md5", false, "none");
    expect_witness("hostnossl all all all reject\nhost all all all md5", true,
                   "203.0.113.7 somebody somewhere");
    expect_witness("host all bob all reject\nhost d bob,eve all md5", false, "203.0.113.7 eve d");
    expect_witness("host sameuser all all md5", false, "203.0.113.7 somebody somebody");
    expect_witness("host replication all all md5", false, "203.0.113.7 somebody physical");
    expect_witness("host samerole +r all md5", false, "203.0.113.7 somebody r");
    expect_witness("host all all .x.org md5", false, "203.0.113.7 somebody somewhere");
    expect_witness("host all all 2a00::/16 md5", false, "2a00::1 somebody somewhere");
    expect_witness("host /^app_[0-9]+$ \"/^(svc|web)\\.x{2}$\" all md5", false, "unknown");
    expect_witness("host /^app_[0-9]+$ /^(svc|web) all md5", false, "203.0.113.7 svc app_0");
    expect_witness("host d /^[[:digit:]]+$ all md5", false, "203.0.113.7 0 d");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shadows),
        cmocka_unit_test(witnesses),
        cmocka_unit_test(generated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
