/* PEM blocks inside of a text. */
#include "renew/rollover_text.h"

#include "base/buf.h"
#include "base/check.h"
#include "pki/trust.h"

#include <openssl/x509.h>

/* ---- blocks ---- */

static const struct str begins = { "-----BEGIN ", sizeof "-----BEGIN " - 1 };
static const struct str ends = { "-----END ", sizeof "-----END " - 1 };

/* Cut the next line off, with its end. */
static bool next_line(struct str *rest, struct str *out)
{
    size_t n = str_find(*rest, '\n');

    if (rest->n == 0)
        return false;
    *out = str_first(*rest, n < rest->n ? n + 1 : n);
    *rest = str_from(*rest, out->n);
    return true;
}

/* The next piece of a text: a block with its two lines, or what is between blocks. Together the pieces are the text. */
static bool next_piece(struct str *rest, struct str *out, bool *out_block)
{
    struct str left = *rest, line;
    size_t n = 0;

    if (rest->n == 0)
        return false;
    *out_block = str_starts(*rest, begins);
    while (next_line(&left, &line)) {
        if (!*out_block && n > 0 && str_starts(line, begins))
            break;
        n += line.n;
        if (*out_block && str_starts(line, ends))
            break;
    }
    *out = str_first(*rest, n);
    *rest = str_from(*rest, n);
    return true;
}

static void read_block(struct str block, struct trust *out)
{
    struct err ignored;

    if (trust_from_pem(str_bytes(block), "", out, &ignored) == OK)
        return;
    trust_fini(out);
    *out = (struct trust){ .certs = { .n = 0 } };
}

/* Is it a list of one of these? By name, since a list may be older than the key. */
static bool has_issuer(const struct cert_list *list, X509_CRL *crl)
{
    for (size_t i = 0; i < list->n; i++)
        if (X509_NAME_cmp(X509_get_subject_name(list->items[i]), X509_CRL_get_issuer(crl)) == 0)
            return true;
    return false;
}

/* ---- what is there ---- */

struct rollover_holds rollover_text_roots(struct str text, const struct cert_list *old,
                                          const struct cert_list *next)
{
    AUTO(trust) struct trust found = { .certs = { .n = 0 } };
    struct rollover_holds holds = { .old = false };

    read_block(text, &found);
    for (size_t i = 0; i < found.certs.n; i++) {
        bool is_old = cert_list_has(old, found.certs.items[i]),
             is_next = cert_list_has(next, found.certs.items[i]);
        holds.old = holds.old || is_old;
        holds.next = holds.next || is_next;
        holds.others = holds.others || (!is_old && !is_next);
    }
    for (size_t i = 0; i < next->n; i++)
        holds.missing = holds.missing || !cert_list_has(&found.certs, next->items[i]);
    return holds;
}

struct rollover_holds rollover_text_lists(struct str text, const struct cert_list *old,
                                          const struct cert_list *next)
{
    AUTO(trust) struct trust found = { .certs = { .n = 0 } };
    struct rollover_holds holds = { .old = false };

    read_block(text, &found);
    for (size_t i = 0; i < found.crls.n; i++) {
        bool is_old = has_issuer(old, found.crls.items[i]), is_next = has_issuer(next, found.crls.items[i]);
        holds.old = holds.old || is_old;
        holds.next = holds.next || is_next;
        holds.others = holds.others || (!is_old && !is_next);
    }
    for (size_t i = 0; i < next->n; i++) {
        bool there = false;
        for (size_t j = 0; j < found.crls.n; j++)
            there = there || crl_signed_by(found.crls.items[j], next->items[i]);
        holds.missing = holds.missing || !there;
    }
    return holds;
}

/* ---- what comes and goes ---- */

static enum code text_done(const struct buf *out, struct err *e)
{
    return buf_ok(out) ? OK : err_set(e, E_LIMIT, "the file would be too long");
}

static void end_line(struct str text, struct buf *out)
{
    if (text.n > 0 && text.p[text.n - 1] != '\n')
        buf_append_byte(out, '\n');
}

enum code rollover_text_add_roots(struct str text, const struct cert_list *add, struct buf *out,
                                  struct err *e)
{
    AUTO(trust) struct trust found = { .certs = { .n = 0 } };

    read_block(text, &found);
    buf_append_str(out, text);
    end_line(text, out);
    for (size_t i = 0; i < add->n; i++)
        if (!cert_list_has(&found.certs, add->items[i]) && cert_to_pem(add->items[i], out) != OK)
            return err_set(e, E_NOMEM, "out of memory");
    return text_done(out, e);
}

enum code rollover_text_drop_roots(struct str text, const struct cert_list *drop, struct buf *out,
                                   struct err *e)
{
    struct str piece;
    bool is_block;

    while (next_piece(&text, &piece, &is_block)) {
        AUTO(trust) struct trust found = { .certs = { .n = 0 } };
        if (is_block)
            read_block(piece, &found);
        if (found.certs.n != 1 || !cert_list_has(drop, found.certs.items[0]))
            buf_append_str(out, piece);
    }
    return text_done(out, e);
}

enum code rollover_text_put_lists(struct str text, const struct cert_list *drop, struct str fresh,
                                  struct buf *out, struct err *e)
{
    struct str rest = text, piece;
    bool is_block;

    while (next_piece(&rest, &piece, &is_block)) {
        AUTO(trust) struct trust found = { .certs = { .n = 0 } };
        if (is_block)
            read_block(piece, &found);
        if (found.crls.n != 1 || !has_issuer(drop, found.crls.items[0]))
            buf_append_str(out, piece);
    }
    if (fresh.n > 0)
        end_line(str_of((const char *)out->p, out->n), out);
    buf_append_str(out, fresh);
    return text_done(out, e);
}
