#include "gate/upstream/server_verify.h"

#include "base/arena.h"
#include "base/check.h"
#include "client/hosts.h"
#include "client/negotiate.h"
#include "client/verify.h"
#include "gate/load/snapshot.h"
#include "pki/cert.h"
#include "tls/engine_facts.h"

enum { SERVER_NAMES_MAX = 256 * 1024 /* of a certificate */ };

enum code server_verify(const struct upstream *upstream, const struct attempt_step *step,
                        const struct tls_engine *tls, struct err *e)
{
    AUTO(arena) struct arena scratch;
    struct cert_names names;
    AUTO(cert) X509 *cert = tls_engine_peer(tls);

    arena_init(&scratch, SERVER_NAMES_MAX, 1024);
    TRY(negotiate_alpn(step->method, tls_engine_alpn(tls) ? STR("postgresql") : STR(""), e));
    if (!cert)
        return err_set(e, E_TLS, "certificate could not be obtained");
    if (!upstream->files.verify_name)
        return OK;
    TRY(cert_names_of(cert, &scratch, &names, e));
    return verify_host(&names, upstream->info.hosts[step->host].host, e);
}
