/* A certificate in DER: every name in every form, the description, the channel binding, a host name check. */
#include "base/arena.h"
#include "base/buf.h"
#include "client/verify.h"
#include "fuzz.h"
#include "pki/cert.h"
#include "pki/peer.h"

#include <openssl/err.h>
#include <openssl/x509.h>

/* What may be looked up in a map is plain text. */
static void look_at_sans(X509 *cert, struct arena *arena)
{
    const struct str *sans;
    size_t n;

    if (peer_cert_sans(cert, arena, &sans, &n) != OK)
        return;
    CHECK(n <= PEER_SANS_MAX);
    for (size_t i = 0; i < n; i++) {
        CHECK(sans[i].n > 0 && sans[i].n <= PEER_SAN_MAX);
        for (size_t k = 0; k < sans[i].n; k++)
            CHECK(sans[i].p[k] > ' ' && sans[i].p[k] <= '~');
    }
}

static void look_at(X509 *cert, struct arena *arena)
{
    struct cert_info info;
    struct cert_names names;
    struct name_value value;
    struct str text;
    struct err e;
    uint8_t hash[CERT_HASH_MAX];
    size_t n;

    (void)!cert_describe(cert, arena, &info, &e);
    (void)!name_rfc2253(X509_get_subject_name(cert), arena, &text, &e);
    (void)!name_cn(X509_get_subject_name(cert), arena, &value, &e);
    (void)!name_field(X509_get_issuer_name(cert), STR("OU"), arena, &value, &e);
    if (cert_end_point_hash(cert, hash, &n, &e) == OK)
        CHECK(n > 0 && n <= sizeof hash);
    if (cert_names_of(cert, arena, &names, &e) == OK) {
        (void)!verify_host(&names, STR("db.example.com"), &e);
        (void)!verify_host(&names, STR("192.0.2.1"), &e);
    }
    look_at_sans(cert, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena arena;
    AUTO(cert) X509 *cert = NULL;
    struct err e;

    arena_init(&arena, 16 << 20, 4096);
    if (cert_from_der(bytes_of(data, size), &cert, &e) == OK)
        look_at(cert, &arena);
    ERR_clear_error();
    return 0;
}
