#include "tls/engine_pack.h"

#include "tls/engine_impl.h"
#include "tls/handover.h"
#include "tls/record_pack.h"

#include <openssl/crypto.h>
#include <openssl/tls1.h>
#include <stdlib.h>

static const struct {
    const char *name;
    int bits;
} ciphers[RECORD_CIPHERS] = {
    [RECORD_AES_128_GCM] = { TLS1_3_RFC_AES_128_GCM_SHA256, 128 },
    [RECORD_AES_256_GCM] = { TLS1_3_RFC_AES_256_GCM_SHA384, 256 },
    [RECORD_CHACHA20_POLY1305] = { TLS1_3_RFC_CHACHA20_POLY1305_SHA256, 256 },
};

bool tls_engine_own_records(const struct tls_engine *engine)
{
    return !engine->ssl;
}

bool tls_engine_can_pack(const struct tls_engine *engine)
{
    return !engine->ssl && !engine->failed && !engine->record.failed;
}

/* ---- what is known of the handshake ---- */

static void pack_certificate(struct tls_engine *engine, struct form *f)
{
    const struct tls_known *known = &engine->known;

    if (known->peer)
        handover_pack(engine);
    if (known->peer) /* not even its DER could be made */
        f->nomem = true;
    (void)form_bytes(f, bytes_of(known->der, known->der_n));
}

static void pack_facts(struct tls_engine *engine, struct form *f)
{
    struct tls_known *known = &engine->known;
    struct str group = str_c(known->group), sni = known->sni ? str_c(known->sni) : (struct str){ NULL, 0 };

    form_bool(f, &known->alpn);
    form_bool(f, &known->is_cancel);
    form_str(f, &group);
    form_str(f, &sni);
    pack_certificate(engine, f);
}

static void take_certificate(struct tls_known *known, struct form *f)
{
    struct bytes der = form_bytes(f, bytes_of(NULL, 0));

    if (der.n == 0 || !form_ok(f))
        return;
    known->der = OPENSSL_memdup(der.p, der.n);
    known->der_n = known->der ? der.n : 0;
    if (!known->der)
        f->nomem = true;
}

static void take_facts(struct tls_engine *engine, struct form *f)
{
    struct tls_known *known = &engine->known;
    struct str group = STR(""), sni = { NULL, 0 };

    known->version = tls_version_name(TLS_1_3);
    known->cipher = ciphers[engine->record.cipher].name;
    known->bits = ciphers[engine->record.cipher].bits;
    form_bool(f, &known->alpn);
    form_bool(f, &known->is_cancel);
    form_str(f, &group);
    form_str(f, &sni);
    form_require(f, group.p && !str_has_nul(group) && (!sni.p || !str_has_nul(sni)));
    if (form_ok(f))
        known->group = group.p;
    if (form_ok(f) && sni.p && !(known->sni = strdup(sni.p)))
        f->nomem = true;
    take_certificate(known, f);
}

/* ---- the whole ---- */

void tls_engine_pack(struct tls_engine *engine, struct form *f)
{
    record_form(&engine->record, engine->port->records, f);
    pack_facts(engine, f);
}

struct tls_engine *tls_engine_take(struct tls_port *port, struct form *f)
{
    struct tls_engine *engine = calloc(1, sizeof *engine);

    if (!engine) {
        f->nomem = true;
        return NULL;
    }
    *engine = (struct tls_engine){
        .port = port, .own = true, .relaxed = true, .alert_sent = -1, .alert_received = -1
    };
    record_form(&engine->record, port->records, f);
    take_facts(engine, f);
    engine->server = engine->record.server;
    if (form_ok(f))
        return engine;
    tls_engine_free(engine);
    return NULL;
}
