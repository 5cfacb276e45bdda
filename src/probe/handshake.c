#include "probe/handshake.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "client/negotiate.h"
#include "client/tlsfiles.h"
#include "pgwire/frontend.h"
#include "probe/probe_run.h"
#include "tls/client_context.h"

#include <netdb.h>

static enum code handshake_ask(struct probe_run *run, struct err *e)
{
    AUTO(buf) struct buf out = BUF_INIT(64), in = BUF_INIT(PROBE_INPUT_MAX);
    enum attempt_event event;

    frontend_ssl_request(&out);
    TRY(dial_send(run->dial, buf_bytes(&out), e));
    TRY(dial_receive(run->dial, &in, e));
    run->report->ssl_answer = (char)in.p[0];
    return negotiate_reply(buf_bytes(&in), &event, e) == NEGOTIATE_TLS ? OK : E_PROTOCOL;
}

enum code probe_handshake(struct probe_run *run, const struct probe_handshake *how, struct err *e)
{
    struct tls_files files = { .cert = STR(""), .key = STR("") };
    struct tls_context *context = NULL;
    struct err ignored;
    char sni[256] = "";

    /* A certificate of ours is shown where there is one; without one the probe continues. */
    if (tls_files_find(&run->info, run->params->world, run->arena, &files, &ignored) != OK)
        files.cert = files.key = files.key_password = STR("");
    const struct tls_client_params params = {
        .root_file = "",
        .crl_file = "",
        .crl_dir = "",
        .cert_file = files.cert.p,
        .key_file = files.key.p,
        .key_password = files.key_password.n > 0 ? files.key_password.p : NULL,
        .no_prompt = true,
        .any_version = true,
        .min_version = how->min,
        .max_version = how->max,
        .ciphers = how->ciphers,
        .tls13_ciphers = how->tls13_ciphers,
        .groups = how->groups,
    };
    TRY(dial_open(run->dial, &run->addrs[how->address], run->params->timeout_s, e));
    if (!how->direct)
        TRY(handshake_ask(run, e));
    TRY(tls_client_context_new(run->kit->library, &params, &context, e));
    (void)str_to_c(negotiate_sni(&run->info, &run->info.hosts[0]), sni, sizeof sni);
    enum code code = dial_handshake(run->dial, context, sni, !how->no_alpn, e);
    tls_context_free(context);
    return code;
}
