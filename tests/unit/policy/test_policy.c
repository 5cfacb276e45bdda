/* Loading: all errors in one pass, all or nothing, rows of the views, references. */
#include "memory.h"
#include "policy/method.h"
#include "policy/rows.h"
#include "policy/words.h"

/** Messages of a load, one per line, as SEVERITY:line:text. */
static void messages(const struct diags *diags, char *out, size_t size)
{
    AUTO(buf) struct buf b = BUF_INIT(16384);
    const struct diag *row;

    STAILQ_FOREACH (row, &diags->list, next)
        (void)buf_printf(&b, "%s:%u:%.*s\n", severity_name(row->severity), row->line, STR_ARG(row->message));
    assert_true(str_to_c(buf_str(&b), out, size));
}

static void expect_load(struct policy_params params, const char *hba, const char *ident, enum code code,
                        const char *expected)
{
    struct memory memory = { hba, ident };
    const struct hba_lex_fs fs = { .read_file = memory_read, .ctx = &memory };
    struct loaded l;
    char text[8192];

    loaded_init(&l);
    params.fs = &fs;
    l.code = policy_load(&params, &l.policy, &l.diags);
    messages(&l.diags, text, sizeof text);
    assert_string_equal(text, expected);
    assert_int_equal(l.code, code);
    assert_true((l.policy != NULL) == (code == OK));
    loaded_fini(&l);
}

static void all_errors_in_one_pass(void **state)
{
    (void)state;
    expect_load(memory_params(NULL),
                "local all\nfoo all all trust\nhost all all 1.2.3.4/99 trust\nlocal @no all trust\n"
                "local all /( trust\nlocal all all trust\n",
                "m a\nm /( b\nm a,b c\n", E_CONFIG,
                "ERROR:4:could not open file \"/d/no\": No such file or directory\n"
                "ERROR:1:end-of-line before role specification\n"
                "ERROR:2:invalid connection type \"foo\"\n"
                "ERROR:3:invalid CIDR mask in address \"1.2.3.4/99\"\n"
                "ERROR:5:invalid regular expression \"(\": parentheses () not balanced\n"
                "ERROR:1:missing entry at end of line\n"
                "ERROR:2:invalid regular expression \"(\": parentheses () not balanced\n"
                "ERROR:3:multiple values in ident field\n");
}

static void files_that_are_missing(void **state)
{
    (void)state;
    struct policy_params params = memory_params(NULL);

    expect_load(params, NULL, "", E_NO_FILE,
                "ERROR:0:could not open file \"/d/hba\": No such file or directory\n");
    expect_load(params, "# none\n", "", E_CONFIG,
                "ERROR:0:configuration file \"/d/hba\" contains no entries\n");
    expect_load(params, "local all all trust", NULL, OK,
                "WARNING:0:could not open file \"/d/ident\": No such file or directory\n"
                "WARNING:0:could not load \"/d/ident\", so there are no user-name maps\n");
    params.reload = false;
    expect_load(params, "local all all trust", NULL, OK,
                "WARNING:0:could not open file \"/d/ident\": No such file or directory\n"
                "WARNING:0:could not load \"/d/ident\", so there are no user-name maps\n");
    expect_load(params, "local all all trust", "m a a\nm", OK,
                "WARNING:2:missing entry at end of line\n"
                "WARNING:0:could not load \"/d/ident\", so there are no user-name maps\n");
}

static void what_cannot_be_honoured(void **state)
{
    (void)state;
    struct policy_params params = memory_params(NULL);

    params.features.roles_known = false;
    expect_load(params, "local samerole all trust\nlocal all +grp,bob trust\nlocal all all trust", "",
                E_CONFIG,
                "ERROR:1:\"samerole\" needs role memberships, which are not known here\n"
                "ERROR:2:\"+grp\" needs role memberships, which are not known here\n");
    expect_load(params, "local all /(?<=a)b trust", "", E_CONFIG,
                "ERROR:1:regular expression \"(?<=a)b\" uses lookbehind, which is not supported\n");
    expect_load(params, "local all \"+grp\" trust", "", OK, "");
}

static void logged_only(void **state)
{
    (void)state;
    struct policy_params params = memory_params(NULL);

    params.ssl_on = false;
    expect_load(params, "hostssl all all all trust\ninclude_if_exists none", "", OK,
                "LOG:2:could not open file \"/d/none\": No such file or directory\n"
                "LOG:2:skipping missing authentication file \"/d/none\"\n"
                "LOG:1:hostssl record cannot match because SSL is disabled\n");
}

static void versions(void **state)
{
    (void)state;
    struct policy_params params = memory_params(NULL);

    params.pg_version = 15;
    expect_load(params, "local /( all trust", "m a /(", OK, "");
    expect_load(params, "include x", "", E_CONFIG, "ERROR:1:invalid connection type \"include\"\n");
    params.pg_version = 17;
    expect_load(params, "local all all oauth issuer=i scope=s", "", E_CONFIG,
                "ERROR:1:invalid authentication method \"oauth\"\n");
    params.pg_version = 19;
    expect_load(params, "local all all radius", "", E_CONFIG,
                "ERROR:1:invalid authentication method \"radius\"\n");
    params.pg_version = 13;
    expect_load(params, "hostssl all all all md5 clientcert=1", "", OK, "");
    expect_load(params, "hostssl all all all md5 clientname=DN", "", E_CONFIG,
                "ERROR:1:unrecognized authentication option name: \"clientname\"\n");
}

static void oauth_validators(void **state)
{
    (void)state;
    struct policy_params params = memory_params(NULL);
    static const char rule[] = "local all all oauth issuer=i scope=s";

    expect_load(params, rule, "", E_CONFIG,
                "ERROR:1:oauth_validator_libraries must be set for authentication method oauth\n");
    params.oauth_validator_libraries = "v";
    expect_load(params, rule, "", OK, "");
    expect_load(params, "local all all oauth issuer=i scope=s validator=w", "", E_CONFIG,
                "ERROR:1:validator \"w\" is not permitted by oauth_validator_libraries\n");
    params.oauth_validator_libraries = "v, w";
    expect_load(params, rule, "", E_CONFIG,
                "ERROR:1:authentication method \"oauth\" requires argument \"validator\" to be set when "
                "oauth_validator_libraries contains multiple options\n");
    expect_load(params, "local all all oauth issuer=i scope=s validator=w", "", OK, "");
    params.oauth_validator_libraries = NULL;
    params.features.oauth_unchecked = true;
    expect_load(params, rule, "", OK, "");
    expect_load(params, "local all all oauth issuer=i scope=s map=m delegate_ident_mapping=1", "", E_CONFIG,
                "ERROR:1:map cannot be used in combination with delegate_ident_mapping\n");
}

static int no_such_server(const char *name)
{
    return strcmp(name, "good") == 0 ? 0 : EAI_NONAME;
}

static void radius_servers(void **state)
{
    (void)state;
    struct policy_params params = memory_params(NULL);

    params.resolve_server = no_such_server;
    expect_load(params, "local all all radius radiusservers=good radiussecrets=s", "", OK, "");
    expect_load(
        params, "local all all radius radiusservers=\"good, bad\" radiussecrets=s", "", E_CONFIG,
        "ERROR:1:could not translate RADIUS server name \"bad\" to address: Name or service not known\n");
}

static void rules_as_loaded(void **state)
{
    (void)state;
    struct loaded l;
    struct str value;
    size_t n;

    load_ok(&l,
            "local all all ident map=x\n\nhostssl \"a b\",app +grp,/^x 10.1.0.0 255.255.0.0 cert map=m "
            "clientname=DN # c\nhost all all .example.com md5 # d\n",
            "m a b\n");
    assert_int_equal(policy_rule_count(l.policy), 3);
    const struct hba_rule *rule = policy_rule(l.policy, 0);
    assert_int_equal(rule->method, HBA_METHOD_PEER);
    assert_str(rule->map, "x");
    rule = policy_rule(l.policy, 1);
    assert_int_equal(rule->number, 2);
    assert_int_equal(rule->line, 3);
    assert_str(rule->file, "/d/hba");
    assert_int_equal(rule->type, HBA_HOSTSSL);
    assert_int_equal(rule->clientcert, CLIENTCERT_VERIFY_FULL);
    assert_int_equal(rule->clientname, CLIENTNAME_DN);
    assert_int_equal(rule->n_databases, 2);
    assert_str(rule->databases[0].text, "a b");
    assert_int_equal(rule->users[0].kind, HBA_NAME_MEMBER);
    assert_int_equal(rule->users[1].kind, HBA_NAME_REGEX);
    assert_int_equal(rule->address.mask[1], 255);
    assert_true(hba_rule_option(rule, HBA_OPTION_MAP, &value));
    assert_str(value, "m");
    assert_false(hba_rule_option(rule, HBA_OPTION_KRB_REALM, &value));
    rule = policy_rule(l.policy, 2);
    assert_str(rule->address.name, ".example.com");
    assert_str(rule->raw, "host all all .example.com md5 # d");
    assert_true(policy_has_map(l.policy, STR("m")));
    assert_false(policy_has_map(l.policy, STR("n")));
    assert_int_equal(policy_map_count(l.policy), 1);
    const struct policy_path *paths = policy_paths(l.policy, &n);
    assert_int_equal(n, 2);
    assert_str(paths[1].path, "/d/ident");
    struct policy *again = policy_ref(l.policy);
    policy_unref(again);
    policy_unref(NULL);
    loaded_fini(&l);
}

static void methods_and_words(void **state)
{
    (void)state;
    assert_string_equal(hba_method_name(HBA_METHOD_SCRAM), "scram-sha-256");
    assert_int_equal(hba_method_how(HBA_METHOD_LDAP), HBA_HOW_RELAYED);
    assert_int_equal(hba_method_how(HBA_METHOD_IDENT), HBA_HOW_NEVER);
    assert_int_equal(hba_method_needs(HBA_METHOD_PAM), HBA_NEEDS_CLEARTEXT);
    assert_string_equal(hba_type_name(HBA_HOSTNOGSSENC), "hostnogssenc");
    assert_string_equal(hba_option_name(HBA_OPTION_PAM_HOSTNAME), "pam_use_hostname");
}

static void assert_methods(enum hba_option option, unsigned version, const char *expected)
{
    AUTO(buf) struct buf text = BUF_INIT(256);

    hba_option_methods(option, version, &text);
    assert_string_equal(buf_c(&text), expected);
}

/* As PostgreSQL's messages list them. */
static void methods_of_options(void **state)
{
    (void)state;
    assert_methods(HBA_OPTION_LDAPPORT, 18, "ldap");
    assert_methods(HBA_OPTION_KRB_REALM, 18, "gssapi and sspi");
    assert_methods(HBA_OPTION_MAP, 18, "ident, peer, gssapi, sspi, cert, and oauth");
    assert_methods(HBA_OPTION_MAP, 17, "ident, peer, gssapi, sspi, and cert");
}

static void rows_of_views(void **state)
{
    (void)state;
    struct memory memory = { "hostssl all all all md5 clientcert=x\nlocal x y trust\nbad\n",
                             "m a b c\nm a\n" };
    const struct hba_lex_fs fs = { .read_file = memory_read, .ctx = &memory };
    struct policy_params params = memory_params(&fs);
    struct hba_rows hba;
    struct ident_rows ident;
    struct arena arena;
    struct err e;

    arena_init(&arena, 1 << 20, 1024);
    assert_int_equal(policy_hba_rows(&params, &arena, &hba, NULL, &e), OK);
    assert_int_equal(hba.n, 3);
    assert_true(hba.refused);
    assert_int_equal(hba.rows[0].rule_number, 1);
    assert_null(hba.rows[0].error.p);
    assert_str(hba.rows[0].hidden, "invalid value for clientcert: \"x\"");
    assert_null(hba.rows[0].type.p);
    assert_int_equal(hba.rows[1].rule_number, 2);
    assert_str(hba.rows[1].type, "local");
    assert_null(hba.rows[1].options.items);
    assert_int_equal(hba.rows[2].rule_number, 0);
    assert_str(hba.rows[2].error, "invalid connection type \"bad\"");
    assert_int_equal(policy_ident_rows(&params, &arena, &ident, NULL, &e), OK);
    assert_int_equal(ident.n, 2);
    assert_true(ident.refused);
    assert_str(ident.rows[0].pg_username, "b");
    assert_str(ident.rows[1].error, "missing entry at end of line");
    memory.hba = NULL;
    assert_int_equal(policy_hba_rows(&params, &arena, &hba, NULL, &e), E_NO_FILE);
    assert_string_equal(e.message, "could not open file \"/d/hba\": No such file or directory");
    arena_fini(&arena);
}

static const char sample[] = "local all,\"x y\" /^a(b|[c-d])+$ scram-sha-256\n"
                             "hostssl sameuser +grp 10.0.0.0 255.0.0.0 cert map=m clientname=DN\n"
                             "host all all ::1/128 ldap ldapurl=\"ldap://h:389/b?uid?sub?(a=%62)\"\n"
                             "host all all .example.com radius radiusservers=\"::1\" radiussecrets=\"a\"\n";
static const char sample_ident[] = "m /^(.*)@x$ \\1\nm \"a\" +grp\n";

/* Cut at every length and with every bit flipped, both files load or are refused, in bounds. */
static void hostile(void **state)
{
    (void)state;
    char hba[sizeof sample], ident[sizeof sample_ident];
    struct memory memory = { hba, ident };
    const struct hba_lex_fs fs = { .read_file = memory_read, .ctx = &memory };
    struct policy_params params = memory_params(&fs);
    struct loaded l;

    for (size_t i = 0; i < 9 * (sizeof sample - 1); i++) {
        memcpy(hba, sample, sizeof hba);
        memcpy(ident, sample_ident, sizeof ident);
        if (i < sizeof sample) {
            hba[i] = '\0';
            ident[i % sizeof ident] = '\0';
        } else {
            size_t bit = i - sizeof sample;
            hba[bit / 8] = (char)(hba[bit / 8] ^ (1 << (bit % 8)));
            ident[bit / 8 % (sizeof ident - 1)] = (char)(ident[bit / 8 % (sizeof ident - 1)] ^
                                                         (1 << (bit % 8)));
        }
        loaded_init(&l);
        l.code = policy_load(&params, &l.policy, &l.diags);
        assert_true(l.code == OK || l.code == E_CONFIG);
        assert_true(l.code == OK || l.diags.errors > 0);
        loaded_fini(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_errors_in_one_pass),
        cmocka_unit_test(files_that_are_missing),
        cmocka_unit_test(what_cannot_be_honoured),
        cmocka_unit_test(logged_only),
        cmocka_unit_test(versions),
        cmocka_unit_test(oauth_validators),
        cmocka_unit_test(rules_as_loaded),
        cmocka_unit_test(radius_servers),
        cmocka_unit_test(methods_and_words),
        cmocka_unit_test(methods_of_options),
        cmocka_unit_test(rows_of_views),
        cmocka_unit_test(hostile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
