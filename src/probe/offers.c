/*
 * What a server agrees to: protocol versions, cipher suites, key-exchange groups.
 *
 * A server never lists what it takes, it only picks. So a version or a group is offered alone, and suites are
 * offered all at once, then all but the one picked, until nothing is picked any more.
 */
#include "probe/offers.h"

#include "base/buf.h"
#include "base/check.h"
#include "probe/handshake.h"
#include "probe/probe_run.h"
#include "probe/texts.h"
#include "tls/diag.h"

enum { CIPHER_ROUNDS_MAX = 200, CIPHER_TEXT_MAX = 16 * 1024 };

static bool agrees(struct probe_run *run, struct probe_handshake how)
{
    struct err ignored;

    how.address = run->best;
    how.direct = run->use_direct;
    return probe_handshake(run, &how, &ignored) == OK;
}

static enum code see_protocols(struct probe_run *run, struct err *e)
{
    static const enum tls_version versions[] = { TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3 };

    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        bool yes = agrees(run, (struct probe_handshake){ .min = versions[i], .max = versions[i] });
        dial_close(run->dial);
        if (yes)
            TRY(probe_texts_add(run, &run->report->protocols, str_c(tls_version_name(versions[i])), e));
    }
    return OK;
}

static bool offers_has(const struct str_list_of *list, const char *text)
{
    for (size_t i = 0; i < list->n; i++) {
        if (str_is(list->items[i], text))
            return true;
    }
    return false;
}

static enum code see_tls13_ciphers(struct probe_run *run, struct err *e)
{
    static const char *const suites[] = { "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
                                          "TLS_AES_128_GCM_SHA256", "TLS_AES_128_CCM_SHA256",
                                          "TLS_AES_128_CCM_8_SHA256" };

    for (size_t i = 0; i < COUNT_OF(suites); i++) {
        bool yes = agrees(
            run, (struct probe_handshake){ .min = TLS_1_3, .max = TLS_1_3, .tls13_ciphers = suites[i] });
        dial_close(run->dial);
        if (yes)
            TRY(probe_texts_add(run, &run->report->ciphers, str_c(suites[i]), e));
    }
    return OK;
}

static enum code see_old_ciphers(struct probe_run *run, struct err *e)
{
    AUTO(buf) struct buf list = BUF_INIT(CIPHER_TEXT_MAX);

    (void)buf_append_c(&list, "ALL:COMPLEMENTOFALL");
    for (int round = 0; round < CIPHER_ROUNDS_MAX; round++) {
        if (!agrees(run, (struct probe_handshake){ .max = TLS_1_2, .ciphers = buf_c(&list) })) {
            dial_close(run->dial);
            return OK;
        }
        const char *name = tls_engine_cipher(run->dial->tls);
        if (offers_has(&run->report->ciphers, name))
            return OK; /* it picks what was not offered: nothing more to learn */
        (void)buf_printf(&list, ":!%s", name);
        TRY(probe_texts_add(run, &run->report->ciphers, str_c(name), e));
        dial_close(run->dial);
    }
    return OK;
}

static enum code see_groups(struct probe_run *run, bool tls13, struct err *e)
{
    /* Names that this library does not know fail before anything is sent. */
    static const char *const groups[] = {
        "X25519MLKEM768", "SecP256r1MLKEM768", "X25519",    "P-256",    "X448", "P-384",
        "P-521",          "ffdhe2048",         "ffdhe3072", "ffdhe4096"
    };

    for (size_t i = 0; i < COUNT_OF(groups); i++) {
        struct probe_handshake how = { .groups = groups[i] };
        if (tls13)
            how.min = TLS_1_3;
        else
            how.max = TLS_1_2;
        how.ciphers = tls13 ? NULL : "ECDHE:ECDHE+aECDSA";
        bool yes = agrees(run, how);
        dial_close(run->dial);
        if (yes)
            TRY(probe_texts_add(run, &run->report->groups, str_c(groups[i]), e));
    }
    return OK;
}

enum code probe_offers(struct probe_run *run, struct err *e)
{
    TRY(see_protocols(run, e));
    bool tls13 = offers_has(&run->report->protocols, tls_version_name(TLS_1_3));
    bool older = run->report->protocols.n > (tls13 ? 1 : 0);
    if (tls13)
        TRY(see_tls13_ciphers(run, e));
    if (older)
        TRY(see_old_ciphers(run, e));
    return see_groups(run, tls13, e);
}
