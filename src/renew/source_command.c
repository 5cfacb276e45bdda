/* Programs that have a request signed. */
#include "renew/source_command.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "os/process.h"
#include "pki/issue.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CSR_LIMIT = 1 << 20,
    OUT_LIMIT = 4 << 20,
    SAID_LIMIT = 64 * 1024,
    NAME_MAX_ACME = 64,
    NONCE_ATTEMPTS = 5,
    TREE_OPEN_MAX = 16
};

/* Where one run of a program works. */
struct desk {
    const struct renew_order *order;
    char dir[OS_PATH_MAX];
    char csr[OS_PATH_MAX], out[OS_PATH_MAX], key[OS_PATH_MAX];
    char account[OS_PATH_MAX];
    bool key_wanted, out_wanted; /* the command has %key, %out */
};

static enum code source_command_nomem(struct err *e)
{
    return err_set(e, E_NOMEM, "out of memory");
}

/* ---- the request ---- */

/* Public CAs take host names and addresses, and no subject but one of the names. */
static enum code acme_request(const struct renew_order *order, struct ca_request *request, struct err *e)
{
    struct san *sans = arena_array(order->arena, request->n_sans + 1, sizeof *sans);
    size_t n = 0;

    if (!sans)
        return source_command_nomem(e);
    request->subject = NULL;
    request->common_name = STR("");
    for (size_t i = 0; i < request->n_sans; i++) {
        const struct san *san = &request->sans[i];
        if (san->type != SAN_DNS && san->type != SAN_IP)
            continue;
        sans[n++] = *san;
        if (request->common_name.n == 0 && san->type == SAN_DNS && san->value.n <= NAME_MAX_ACME &&
            san->value.p[0] != '*')
            request->common_name = str_from_bytes(san->value);
    }
    if (n == 0)
        return err_set(e, E_PARAM, "the certificate has no name that an ACME CA can certify");
    request->sans = sans;
    request->n_sans = n;
    return OK;
}

static enum code write_request(const struct desk *desk, EVP_PKEY *key, struct err *e)
{
    AUTO(buf) struct buf pem = BUF_INIT(CSR_LIMIT);
    struct ca_request request;

    TRY(renew_request(desk->order, &request, e));
    if (desk->order->rule->source == RENEW_ACME)
        TRY(acme_request(desk->order, &request, e));
    TRY(issue_request(&request, key, &pem, e));
    return os_write_file(desk->csr, buf_bytes(&pem), 0600, OS_WRITE_REPLACE, e);
}

/* ---- the desk ---- */

/* Nothing of an earlier run is taken for this one's. */
static enum code clear(const char *dir, struct err *e)
{
    char path[OS_PATH_MAX];
    const struct dirent *entry;
    DIR *d = opendir(dir);
    enum code code = OK;

    if (!d)
        return err_set(e, code_from_errno(errno), "could not open directory \"%s\": %m", dir);
    while (code == OK && (entry = readdir(d))) {
        if (entry->d_name[0] == '.' && (!entry->d_name[1] || str_is(str_c(entry->d_name), "..")))
            continue;
        code = os_path(dir, entry->d_name, path, e);
        if (code == OK && unlink(path) < 0 && errno != EISDIR && errno != EPERM)
            code = err_set(e, code_from_errno(errno), "could not remove file \"%s\": %m", path);
    }
    (void)closedir(d);
    return code;
}

static enum code set_desk(const struct renew_order *order, struct desk *desk, struct err *e)
{
    struct str name, account = order->rule->v[RENEW_SET_ACCOUNT];

    *desk = (struct desk){ .order = order };
    if (!arena_printf(order->arena, &name, "request-%.*s", STR_ARG(order->rule->name)))
        return source_command_nomem(e);
    TRY(os_path(order->target->work, name.p, desk->dir, e));
    TRY(os_mkdir(desk->dir, 0700, e));
    TRY(clear(desk->dir, e));
    TRY(os_path(desk->dir, "request.csr", desk->csr, e));
    TRY(os_path(desk->dir, "chain.pem", desk->out, e));
    TRY(os_path(desk->dir, "leaf.key", desk->key, e));
    if (order->rule->source != RENEW_ACME)
        return OK;
    TRY(os_path(order->target->work, account.p, desk->account, e));
    return os_mkdir(desk->account, 0700, e);
}

/* ---- arguments ---- */

struct words {
    struct str v[RENEW_WORDS_MAX + 32];
    size_t n;
};

static struct str placeholder(const struct desk *desk, struct str at, size_t *out_used)
{
    const struct {
        struct str name, value;
    } all[] = {
        { STR("%csr"), str_c(desk->csr) },         { STR("%out"), str_c(desk->out) },
        { STR("%key"), str_c(desk->key) },         { STR("%name"), desk->order->rule->name },
        { STR("%account"), str_c(desk->account) }, { STR("%%"), STR("%") },
    };

    for (size_t i = 0; i < COUNT_OF(all); i++) {
        if (!str_starts(at, all[i].name))
            continue;
        *out_used = all[i].name.n;
        return all[i].value;
    }
    *out_used = 1;
    return str_first(at, 1);
}

static enum code expand(struct desk *desk, struct str word, char **out, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(OS_PATH_MAX * 2);
    size_t used;

    for (; word.n > 0; word = str_from(word, used)) {
        struct str value = placeholder(desk, word, &used);
        desk->out_wanted = desk->out_wanted || str_starts(word, STR("%out"));
        desk->key_wanted = desk->key_wanted || str_starts(word, STR("%key"));
        buf_append_str(&text, value);
    }
    if (!buf_ok(&text))
        return err_set(e, E_LIMIT, "a word of the command is too long");
    *out = arena_c(desk->order->arena, buf_str(&text));
    return *out ? OK : source_command_nomem(e);
}

static enum code add_text(const struct renew_order *order, struct str text, struct words *words,
                          struct err *e)
{
    size_t n = 0;

    TRY(renew_words(text, order->arena, &words->v[words->n], &n, e));
    words->n += n;
    return OK;
}

static void add_option(struct words *words, const char *name, struct str value)
{
    if (value.n == 0)
        return;
    words->v[words->n++] = str_c(name);
    words->v[words->n++] = value;
}

/* How each client is told to sign our request: %out, or its standard output, or a file of its own making. */
static enum code client_words(const struct renew_order *order, struct words *words, struct err *e)
{
    const struct renew_rule *rule = order->rule;
    struct str client = rule->v[RENEW_SET_CLIENT], url = rule->v[RENEW_SET_DIRECTORY];

    if (str_is(client, "uacme")) {
        TRY(add_text(order, STR("uacme -n -y -c %account"), words, e));
        add_option(words, "-a", url);
        TRY(add_text(order, rule->v[RENEW_SET_ARGUMENTS], words, e));
        return add_text(order, STR("issue %csr"), words, e);
    }
    if (str_is(client, "lego")) {
        TRY(add_text(order, STR("lego --accept-tos --path %account --csr %csr"), words, e));
        add_option(words, "--server", url);
        TRY(add_text(order, rule->v[RENEW_SET_ARGUMENTS], words, e));
        return add_text(order, STR("run"), words, e);
    }
    if (str_is(client, "certbot")) {
        TRY(add_text(order,
                     STR("certbot certonly -n --agree-tos --config-dir %account --work-dir %account/work "
                         "--logs-dir %account/logs --csr %csr --fullchain-path %out"),
                     words, e));
        add_option(words, "--server", url);
        return add_text(order, rule->v[RENEW_SET_ARGUMENTS], words, e);
    }
    TRY(add_text(order, STR("dehydrated --accept-terms --signcsr %csr"), words, e));
    add_option(words, "--ca", url);
    return add_text(order, rule->v[RENEW_SET_ARGUMENTS], words, e);
}

/* A CA may refuse any nonce, and the request is then to be sent again; not every client does so.
 * [src: RFC 8555, section 6.5] */
static bool is_bad_nonce(const struct desk *desk, const struct buf *said)
{
    static const char words[] = "urn:ietf:params:acme:error:badNonce";

    return desk->order->rule->source == RENEW_ACME && said->n > 0 &&
           memmem(said->p, said->n, words, sizeof words - 1) != NULL;
}

static enum code source_command_run(struct desk *desk, const struct words *words, struct buf *out,
                                    struct err *e)
{
    AUTO(buf) struct buf said = BUF_INIT(SAID_LIMIT);
    char *argv[COUNT_OF(words->v) + 1];
    int status = 0;

    for (size_t i = 0; i < words->n; i++)
        TRY(expand(desk, words->v[i], &argv[i], e));
    argv[words->n] = NULL;
    if (words->n == 0)
        return err_set(e, E_PARAM, "the command is empty");
    const struct os_process process = { argv, desk->dir, desk->order->rule->timeout_s };
    for (unsigned attempt = 1; attempt <= NONCE_ATTEMPTS; attempt++) {
        buf_reset(out);
        buf_reset(&said);
        TRY(os_process_run(&process, out, &status, &said, e));
        if (status == 0)
            return OK;
        if (!is_bad_nonce(desk, &said))
            break;
    }
    return os_process_failed(&process, status, &said, e);
}

/* Not every client keeps its account's key from others. */
static int protect_file(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)at;
    return kind == FTW_F && (st->st_mode & 077) != 0 && chmod(path, st->st_mode & 0700) < 0 ? -1 : 0;
}

static enum code protect_account(const struct desk *desk, struct err *e)
{
    if (desk->order->rule->source != RENEW_ACME ||
        nftw(desk->account, protect_file, TREE_OPEN_MAX, FTW_PHYS) == 0)
        return OK;
    return err_set(e, code_from_errno(errno), "could not set permissions in directory \"%s\": %m",
                   desk->account);
}

/* uacme has a command of its own for the account. */
static enum code prepare_account(struct desk *desk, struct err *e)
{
    const struct renew_rule *rule = desk->order->rule;
    AUTO(buf) struct buf out = BUF_INIT(OUT_LIMIT);
    struct words words = { .n = 0 };
    char key[OS_PATH_MAX];

    if (rule->source != RENEW_ACME || !str_is(rule->v[RENEW_SET_CLIENT], "uacme"))
        return OK;
    TRY(os_path(desk->account, "private/key.pem", key, e));
    if (os_exists(key))
        return os_check_secret_file(key, "account key file", e);
    TRY(add_text(desk->order, STR("uacme -y -c %account"), &words, e));
    add_option(&words, "-a", rule->v[RENEW_SET_DIRECTORY]);
    TRY(add_text(desk->order, STR("new"), &words, e));
    TRY(source_command_run(desk, &words, &out, e));
    TRY(protect_account(desk, e));
    return os_check_secret_file(key, "account key file", e);
}

/* ---- the result ---- */

/* The newest certificate that lego has put into its own tree. */
static enum code find_lego(const struct desk *desk, char out[OS_PATH_MAX], struct err *e)
{
    char dir[OS_PATH_MAX], path[OS_PATH_MAX];
    const struct dirent *entry;
    struct timespec newest = { 0 };
    struct stat st;

    out[0] = '\0';
    TRY(os_path(desk->account, "certificates", dir, e));
    DIR *d = opendir(dir);
    while (d && (entry = readdir(d))) {
        struct str name = str_c(entry->d_name);
        if (!str_ends(name, STR(".crt")) || str_ends(name, STR(".issuer.crt")) ||
            os_path(dir, entry->d_name, path, NULL) != OK || stat(path, &st) < 0)
            continue;
        if (st.st_mtim.tv_sec < newest.tv_sec ||
            (st.st_mtim.tv_sec == newest.tv_sec && st.st_mtim.tv_nsec < newest.tv_nsec))
            continue;
        newest = st.st_mtim;
        memcpy(out, path, sizeof path);
    }
    if (d)
        (void)closedir(d);
    return out[0] ? OK : err_set(e, E_CONFIG, "lego left no certificate in \"%s\"", dir);
}

static enum code result_path(const struct desk *desk, char out[OS_PATH_MAX], struct err *e)
{
    struct str client = desk->order->rule->v[RENEW_SET_CLIENT];

    if (desk->order->rule->source == RENEW_ACME && str_is(client, "uacme"))
        return os_path(desk->dir, "request-cert.pem", out, e);
    if (desk->order->rule->source == RENEW_ACME && str_is(client, "lego"))
        return find_lego(desk, out, e);
    return os_path("", desk->out, out, e);
}

static enum code take_chain(const struct desk *desk, const struct buf *printed, struct cert_list *chain,
                            struct err *e)
{
    char path[OS_PATH_MAX];
    struct str client = desk->order->rule->v[RENEW_SET_CLIENT];
    bool own_file = desk->order->rule->source == RENEW_ACME && !str_is(client, "dehydrated");

    if (own_file || desk->out_wanted) {
        TRY(result_path(desk, path, e));
        return cert_chain_load(path, chain, e);
    }
    TRY(cert_chain_from_pem(buf_bytes(printed), "standard output", chain, e));
    return chain->n > 0 ? OK : err_set(e, E_CONFIG, "the command printed no certificate");
}

static enum code take_key(const struct desk *desk, struct leaf *leaf, struct err *e)
{
    EVP_PKEY *key = NULL;

    if (!desk->key_wanted)
        return OK;
    TRY(key_load(desk->key, NULL, &key, e));
    key_free(leaf->key);
    leaf->key = key;
    return unlink(desk->key) == 0 ? OK : err_set(e, E_IO, "could not remove file \"%s\": %m", desk->key);
}

enum code renew_from_command(const struct renew_order *order, struct leaf *leaf, struct cert_list *chain,
                             struct err *e)
{
    AUTO(buf) struct buf printed = BUF_INIT(OUT_LIMIT);
    struct words words = { .n = 0 };
    struct desk desk;

    TRY(set_desk(order, &desk, e));
    TRY(write_request(&desk, leaf->key, e));
    TRY(prepare_account(&desk, e));
    desk.out_wanted = desk.key_wanted = false;
    if (order->rule->source == RENEW_ACME)
        TRY(client_words(order, &words, e));
    else
        TRY(add_text(order, order->rule->v[RENEW_SET_COMMAND], &words, e));
    enum code code = source_command_run(&desk, &words, &printed, e);
    struct err ignored;
    if (protect_account(&desk, code == OK ? e : &ignored) != OK && code == OK)
        return e->code;
    TRY(code);
    TRY(take_chain(&desk, &printed, chain, e));
    return take_key(&desk, leaf, e);
}
