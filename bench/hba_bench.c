/*
 * How long 10,000 rules take to load, and one connection to be judged by them (design §9: 50 ms and 20 µs).
 *
 * Kinds: `users`, one user per line in one network; `nets`, one network per line; `lists`, several names per
 * field, so that no key can dismiss a rule; `regex`, an expression per line. The connection fits the last
 * line. Prints a line per kind; exits 1 when `users` or `nets` miss the budget.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "lex/hba_lex.h"
#include "policy/match.h"
#include "policy/policy.h"
#include "policy/regex.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RULES = 10000, MATCHES = 2000, LOADS = 5, LOAD_BUDGET_US = 50000, MATCH_BUDGET_US = 20 };

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

static bool measure(const char *kind)
{
    AUTO(buf) struct buf text = BUF_INIT((size_t)64 << 20);
    const struct hba_lex_fs fs = { .read_file = read_text, .ctx = &text };
    const struct policy_params params = { .hba_file = STR("/bench"), .ssl_on = true, .fs = &fs };
    struct conn_facts facts = { .tls = true, .user = STR("user9999"), .database = STR("app") };
    struct sockaddr_in *peer = (struct sockaddr_in *)(void *)&facts.peer;
    double load_us = 1e9, match_us = 1e9;
    struct policy *policy = NULL;
    struct decision decision;

    write_rules(&text, kind);
    for (int i = 0; i < LOADS; i++) {
        struct arena arena;
        struct diags diags;
        policy_unref(policy);
        arena_init(&arena, (size_t)1 << 30, 4096);
        diags_init(&diags, &arena);
        double start = now_us();
        if (policy_load(&params, &policy, &diags) != OK)
            abort();
        double took = now_us() - start;
        load_us = took < load_us ? took : load_us;
        arena_fini(&arena);
    }
    peer->sin_family = AF_INET;
    (void)inet_pton(AF_INET, "10.39.249.7", &peer->sin_addr);
    int matches = kind[0] == 'r' ? MATCHES / 50 : MATCHES;
    for (int round = 0; round < LOADS; round++) {
        double start = now_us();
        for (int i = 0; i < matches; i++)
            if (policy_match(policy, &facts, NULL, &decision) != OK || decision.rule->number != RULES)
                abort();
        double took = (now_us() - start) / matches;
        match_us = took < match_us ? took : match_us;
    }
    policy_unref(policy);
    (void)printf("%-6s %d rules: load %.1f ms, match %.2f us\n", kind, RULES, load_us / 1000, match_us);
    return load_us <= LOAD_BUDGET_US && match_us <= MATCH_BUDGET_US;
}

int main(void)
{
    bool ok = measure("users");

    ok = measure("nets") && ok;
    (void)measure("lists");
    (void)measure("regex");
    regex_thread_fini();
    return ok ? 0 : 1;
}
