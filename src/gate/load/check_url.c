/* upstream_check_url, as a load needs it. */
#include "gate/load/check_url.h"

#include "base/buf.h"
#include "base/check.h"
#include "client/conninfo.h"
#include "client/https.h"
#include "conf/settings.h"
#include "gate/load/snapshot.h"
#include "os/files.h"
#include "pki/cert.h"

#include <stdio.h>

#define NAME "\"upstream_check_url\""

static size_t placeholder(struct str url)
{
    size_t at = 0;

    while (at + 1 < url.n && (url.p[at] != '%' || url.p[at + 1] != 'h'))
        at++;
    return at + 1 < url.n ? at : url.n;
}

bool check_url_host(struct str host, struct str port, char *out, size_t size)
{
    bool v6 = str_find(host, ':') < host.n;
    int n = snprintf(out, size, "%s%.*s%s%s%.*s", v6 ? "[" : "", STR_ARG(host), v6 ? "]" : "",
                     port.n ? ":" : "", STR_ARG(port));

    return n >= 0 && (size_t)n < size;
}

bool check_url_for(struct str url, const struct conn_host *host, char out[CHECK_URL_MAX])
{
    AUTO(buf) struct buf made = BUF_INIT(CHECK_URL_MAX - 1);
    char name[CHECK_URL_MAX];
    bool fits = check_url_host(host->host.n > 0 ? host->host : host->hostaddr, STR(""), name, sizeof name);

    for (size_t at = placeholder(url); at < url.n; at = placeholder(url)) {
        buf_append_str(&made, str_first(url, at));
        buf_append_c(&made, name);
        url = str_from(url, at + 2);
    }
    buf_append_str(&made, url);
    return fits && buf_ok(&made) && str_to_c(buf_str(&made), out, CHECK_URL_MAX);
}

/* ---- checks ---- */

static enum code complain(struct diags *diags, const char *message, const char *hint)
{
    struct diag *row = diags_add(diags, SEV_ERROR, E_CONFIG, STR(""), 0, "%s", message);

    if (hint)
        diags_hint(diags, row, "%s", hint);
    return E_CONFIG;
}

/* What stands in a URL stands in the log as well. */
static bool has_login(struct str url)
{
    size_t at = str_find(url, ':') + 3; /* behind the two slashes */

    for (; at < url.n && url.p[at] != '/' && url.p[at] != '?' && url.p[at] != '#'; at++)
        if (url.p[at] == '@')
            return true;
    return false;
}

static enum code check_hosts(struct str url, const struct upstream *u, struct diags *diags)
{
    bool named = placeholder(url) < url.n;
    char made[CHECK_URL_MAX];

    if (u->info.host_count > CHECK_URL_HOSTS_MAX)
        return complain(diags, NAME ": the upstream has too many hosts to ask", NULL);
    if (u->info.host_count > 1 && !named)
        return complain(diags, NAME " names one host, but the upstream has several",
                        "Write %h for the host, as in https://%h:8008/primary.");
    for (size_t i = 0; i < u->info.host_count; i++) {
        if (named && u->info.hosts[i].kind == CONN_HOST_UNIX)
            return complain(diags, NAME ": %h has no meaning for a Unix-domain socket",
                            "Write the name of this machine, as its REST API's certificate has it.");
        if (!check_url_for(url, &u->info.hosts[i], made))
            return complain(diags, NAME " is too long", NULL);
    }
    return OK;
}

static enum code check_file(const struct settings_file *file, struct diags *diags)
{
    AUTO(cert_list) struct cert_list list = { 0 };
    struct err e;

    if (!file->path || cert_chain_load(file->path, &list, &e) == OK)
        return OK;
    diags_add_err(diags, &e);
    return e.code;
}

static enum code check_files(const struct settings *settings, struct diags *diags)
{
    struct err e;

    if (!settings->upstream_check_cert_file.path != !settings->upstream_check_key_file.path)
        return complain(diags, "\"upstream_check_cert_file\" and \"upstream_check_key_file\" need each other",
                        NULL);
    TRY(check_file(&settings->upstream_check_ca_file, diags));
    TRY(check_file(&settings->upstream_check_cert_file, diags));
    if (!settings->upstream_check_key_file.path)
        return OK;
    enum code code = os_check_client_key_file(settings->upstream_check_key_file.path, &e);
    if (code != OK)
        diags_add_err(diags, &e);
    return code;
}

static void warn_plain(struct str url, struct diags *diags)
{
    static const char *const loopback[] = { "http://127.", "http://localhost", "http://[::1]" };

    if (!str_starts(url, STR("http://")))
        return;
    for (size_t i = 0; i < COUNT_OF(loopback); i++)
        if (str_starts(url, str_c(loopback[i])))
            return;
    struct diag *row = diags_add(diags, SEV_WARNING, E_CONFIG, STR(""), 0,
                                 NAME " is not encrypted: whoever is on the way can end sessions");
    diags_hint(diags, row, "Give Patroni's REST API a certificate (restapi.certfile), and write https://.");
}

enum code check_url_check(const struct settings *settings, const struct upstream *upstreams,
                          struct diags *diags)
{
    struct str url = settings->upstream_check_url;
    size_t checked = 0;
    struct err e;

    if (!str_starts(url, STR("https://")) && !str_starts(url, STR("http://")))
        return complain(diags, NAME " must begin with https:// or http://", NULL);
    if (has_login(url))
        return complain(diags, NAME " must not have a user name or password",
                        "Patroni answers without; upstream_check_cert_file is for servers that do not.");
    for (size_t i = 0; i < settings->n_routes; i++) {
        if (!upstreams[i].configured || !upstreams[i].checked)
            continue;
        checked++;
        TRY(check_hosts(url, &upstreams[i], diags));
    }
    TRY(check_files(settings, diags));
    warn_plain(url, diags);
    if (checked == 0)
        diags_add(diags, SEV_WARNING, E_CONFIG, STR(""), 0,
                  NAME " is not used: no upstream has target_session_attrs=read-write or primary");
    if (checked == 0 || https_ready(&e) == OK)
        return OK;
    return complain(diags, e.message, NAME " needs libcurl (Debian: libcurl4), and a build with it.");
}
