/*
 * How long 10,000 rules take to load (budget 50 ms), one connection to be judged by them (20 µs), and all of them to
 * be analysed: which of them are covered, and which let another machine in (2 s).
 *
 * Kinds: `users`, one user per line in one network; `nets`, one network per line; `lists`, several names per
 * field, so that no key can dismiss a rule; `regex`, an expression per line. The connection fits the last
 * line. Prints a line per kind; exits 1 when `users` or `nets` miss a budget, or any kind that of the analysis. `mixed`
 * ends with rules that take what is left of all of them; `odd` are expressions that no key can dismiss.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "lex/hba_lex.h"
#include "policy/match.h"
#include "policy/policy.h"
#include "policy/reach.h"
#include "policy/shadow.h"
#include "regex/regex.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    RULES = 10000,
    MATCHES = 2000,
    LOADS = 5,
    LOAD_BUDGET_US = 50000,
    MATCH_BUDGET_US = 20,
    ANALYSIS_BUDGET_US = 2000000
};

static double now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int read_text(void *ctx, const char *path, struct buf *out)
{
    (void)path;
    return buf_append_str(out, buf_str(ctx)) ? 0 : -1;
}

static void write_rules(struct buf *text, const char *kind)
{
    for (int i = 0; i < RULES; i++) {
        if (kind[0] == 'u')
            (void)buf_printf(text, "hostssl app user%d 10.0.0.0/8 scram-sha-256\n", i);
        else if (kind[0] == 'n')
            (void)buf_printf(text, "hostssl all all 10.%d.%d.0/24 cert map=m\n", i / 250, i % 250);
        else if (kind[0] == 'l')
            (void)buf_printf(text, "hostssl app,other user%d,admin%d 10.0.0.0/8 scram-sha-256\n", i, i);
        else
            (void)buf_printf(text, "hostssl app /^user%d$ 10.0.0.0/8 scram-sha-256\n", i);
    }
}

static struct policy *load(struct buf *text)
{
    const struct hba_lex_fs fs = { .read_file = read_text, .ctx = text };
    const struct policy_params params = {
        .hba_file = STR("/bench"), .ssl_on = true, .features = { .roles_known = true }, .fs = &fs
    };
    struct policy *policy = NULL;
    struct arena arena;
    struct diags diags;

    arena_init(&arena, (size_t)1 << 30, 4096);
    diags_init(&diags, &arena);
    if (policy_load(&params, &policy, &diags) != OK)
        abort();
    arena_fini(&arena);
    return policy;
}

/* What an audit asks of all rules. Returns how long that took. */
static double analyse(const struct policy *policy, size_t out_n[3], size_t *out_shadows)
{
    const struct shadow *shadows;
    struct arena arena;

    arena_init(&arena, (size_t)1 << 30, 4096);
    double start = now_us();
    struct reach_search *search = reach_search_new(policy, &iface_system, &arena);
    if (!search || policy_shadows(policy, &arena, &shadows) != OK)
        abort();
    for (size_t i = 0; i < policy_rule_count(policy); i++) {
        *out_shadows += shadows[i].n > 0;
        for (unsigned tls = 0; tls < 2; tls++) {
            struct conn_facts witness;
            enum reach reach;
            if (policy_reach(search, policy_rule(policy, i), tls, &reach, &witness) != OK)
                abort();
            out_n[reach]++;
        }
    }
    double took = now_us() - start;
    arena_fini(&arena);
    return took;
}

static bool measure_analysis(const char *kind, const struct policy *policy)
{
    size_t n[3] = { 0 }, shadows = 0;
    double took = analyse(policy, n, &shadows);

    (void)printf("%-6s %d rules: analysed in %.0f ms; %zu covered, %zu with a witness, %zu possible\n", kind,
                 RULES, took / 1000, shadows, n[REACH_FOUND], n[REACH_UNKNOWN]);
    return took <= ANALYSIS_BUDGET_US;
}

static bool measure(const char *kind)
{
    AUTO(buf) struct buf text = BUF_INIT((size_t)64 << 20);
    struct conn_facts facts = { .tls = true, .user = STR("user9999"), .database = STR("app") };
    struct sockaddr_in *peer = (struct sockaddr_in *)(void *)&facts.peer;
    double load_us = 1e9, match_us = 1e9;
    struct policy *policy = NULL;
    struct decision decision;

    write_rules(&text, kind);
    for (int i = 0; i < LOADS; i++) {
        policy_unref(policy);
        double start = now_us();
        policy = load(&text);
        double took = now_us() - start;
        load_us = took < load_us ? took : load_us;
    }
    peer->sin_family = AF_INET;
    (void)inet_pton(AF_INET, "10.39.249.7", &peer->sin_addr);
    int matches = MATCHES;
    for (int round = 0; round < LOADS; round++) {
        double start = now_us();
        for (int i = 0; i < matches; i++)
            if (policy_match(policy, &facts, NULL, &decision) != OK || decision.rule->number != RULES)
                abort();
        double took = (now_us() - start) / matches;
        match_us = took < match_us ? took : match_us;
    }
    (void)printf("%-6s %d rules: load %.1f ms, match %.2f us\n", kind, RULES, load_us / 1000, match_us);
    bool in_time = measure_analysis(kind, policy);
    policy_unref(policy);
    return in_time &&
           ((kind[0] != 'u' && kind[0] != 'n') || (load_us <= LOAD_BUDGET_US && match_us <= MATCH_BUDGET_US));
}

static bool measure_more(const char *kind)
{
    AUTO(buf) struct buf text = BUF_INIT((size_t)64 << 20);

    for (int i = 0; i < RULES - 3; i++) {
        if (kind[0] == 'o')
            (void)buf_printf(&text, "host /^[a-f]%d+ /%d[0-9]*(x|y)$ 10.0.0.0/8 scram-sha-256\n", i, i);
        else if (i % 3 == 0)
            (void)buf_printf(&text, "hostssl app%d user%d 10.%d.0.0/16 cert\n", i % 97, i, i % 250);
        else if (i % 3 == 1)
            (void)buf_printf(&text, "host app%d all 10.%d.%d.0/24 reject\n", i % 31, i % 100, i / 100);
        else
            (void)buf_printf(&text, "hostnossl all +group%d 10.%d.0.0/16 md5\n", i % 7, i % 50);
    }
    (void)buf_append_c(
        &text, "host all all 10.0.0.0/8 md5\nhost all all all md5\nhost app1 all 10.0.0.0/8 reject\n");
    struct policy *policy = load(&text);
    bool in_time = measure_analysis(kind, policy);
    policy_unref(policy);
    return in_time;
}

int main(void)
{
    bool ok = measure("users");

    ok = measure("nets") && ok;
    ok = measure("lists") && ok;
    ok = measure("regex") && ok;
    ok = measure_more("mixed") && ok;
    ok = measure_more("odd") && ok;
    regex_thread_fini();
    return ok ? 0 : 1;
}
