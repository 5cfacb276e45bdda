/* The members of a card, both ways. */
#include "gate/views/cards.h"

#include "base/clean.h"
#include "base/form.h"
#include "gate/views/gather.h"
#include "pgtypes/pginet.h"

#include <string.h>

/* The year 9999: what is later, or as long before 1970, is no time that a session can have. */
#define CARD_TIME_MAX_S INT64_C(253402300799)

static void form_text(struct form *f, struct str *text)
{
    struct str shown = clean_cut(*text, CARD_TEXT_MAX);

    form_str(f, &shown);
    if (!form_reads(f))
        return;
    form_require(f, shown.n <= CARD_TEXT_MAX);
    if (form_ok(f) && !clean_text(CLEAN_NAME, shown, f->arena, &shown))
        f->nomem = true;
    *text = shown;
}

/* Who may see it: not shown, but compared. */
static void form_owner(struct form *f, struct str *owner)
{
    struct str whole = owner->n <= CARD_TEXT_MAX ? *owner : str_first(*owner, 0);

    form_str(f, &whole);
    form_require(f, whole.n <= CARD_TEXT_MAX);
    *owner = whole;
}

static void form_inet(struct form *f, struct str *text)
{
    struct pginet inet;

    form_text(f, text);
    if (form_reads(f) && !pginet_read(*text, &inet))
        *text = str_first(*text, 0);
}

static void form_number(struct form *f, struct str *text)
{
    size_t digits = 0;

    form_text(f, text);
    while (digits < text->n && text->p[digits] >= '0' && text->p[digits] <= '9')
        digits++;
    if (form_reads(f) && digits < text->n)
        *text = str_first(*text, 0);
}

static void form_unsigned(struct form *f, unsigned *v)
{
    uint32_t passed = *v;

    form_u32(f, &passed);
    form_require(f, passed <= INT32_MAX);
    *v = passed;
}

static void form_time(struct form *f, int64_t *us)
{
    form_i64(f, us);
    if (*us < 0 || *us / 1000000 > CARD_TIME_MAX_S)
        *us = 0; /* not known */
}

static void form_count(struct form *f, int64_t *n)
{
    form_i64(f, n);
    form_require(f, *n >= 0);
}

static void form_state(struct form *f, struct session_card *c)
{
    form_u64(f, &c->id);
    form_unsigned(f, &c->process);
    form_unsigned(f, &c->worker);
    form_i32(f, &c->pid);
    form_require(f, c->pid >= 0);
    c->state = (enum state)form_below(f, c->state, STATE_COUNT);
    form_char(f, &c->transaction);
    form_require(f, memchr("\0ITE", c->transaction, 4) != NULL);
    form_bool(f, &c->busy);
    form_bool(f, &c->draining);
    form_unsigned(f, &c->upgrades);
    form_bool(f, &c->login_waits);
    form_count(f, &c->bytes_in);
    form_count(f, &c->bytes_out);
    form_count(f, &c->handshake_us);
    form_count(f, &c->login_wait_us);
    form_time(f, &c->started_us);
    form_time(f, &c->ready_us);
    form_time(f, &c->active_us);
    form_time(f, &c->times.transaction_us);
    form_time(f, &c->times.query_us);
    form_time(f, &c->times.state_us);
    form_text(f, &c->query);
}

static void form_client(struct form *f, struct session_card *c)
{
    form_owner(f, &c->owner);
    form_text(f, &c->user);
    form_text(f, &c->database);
    form_text(f, &c->application_name);
    form_bool(f, &c->replication);
    form_bool(f, &c->local);
    form_inet(f, &c->client_addr);
    form_text(f, &c->client_name);
    form_unsigned(f, &c->client_port);
    form_inet(f, &c->proxy_addr);
    form_text(f, &c->proxy_id);
}

static void form_tls(struct form *f, struct session_card *c)
{
    form_bool(f, &c->tls);
    form_bool(f, &c->direct);
    form_bool(f, &c->alpn);
    form_bool(f, &c->bound);
    form_i32(f, &c->bits);
    form_text(f, &c->tls_version);
    form_text(f, &c->tls_cipher);
    form_text(f, &c->tls_group);
    form_text(f, &c->sni);
    form_text(f, &c->client_dn);
    form_number(f, &c->client_serial);
    form_text(f, &c->issuer_dn);
    form_i64(f, &c->cert_not_after_s);
    form_require(f, c->cert_not_after_s >= -CARD_TIME_MAX_S && c->cert_not_after_s <= CARD_TIME_MAX_S);
}

static void form_server(struct form *f, struct session_card *c)
{
    form_text(f, &c->method);
    form_text(f, &c->identity);
    form_text(f, &c->rule_file);
    form_unsigned(f, &c->rule_line);
    form_text(f, &c->upstream);
    form_text(f, &c->upstream_user);
    form_text(f, &c->upstream_tls);
    form_text(f, &c->upstream_cipher);
    c->upstream_sslmode = (enum sslmode)form_below(f, c->upstream_sslmode, SSLMODE_VERIFY_FULL + 1);
}

static void form_card(struct form *f, struct session_card *c)
{
    form_state(f, c);
    form_client(f, c);
    form_tls(f, c);
    form_server(f, c);
}

bool cards_put(struct buf *out, const struct session_card *card)
{
    struct session_card copy = *card;
    struct form f = form_to(out);

    form_card(&f, &copy);
    return form_end(&f) == OK;
}

enum code cards_take(struct bytes *in, struct arena *arena, struct session_card *out)
{
    struct form f = form_from(*in, arena);
    struct session_card card = { 0 };

    form_card(&f, &card);
    if (!form_ok(&f))
        return f.nomem ? E_NOMEM : E_PROTOCOL;
    *in = f.in.left;
    *out = card;
    return OK;
}
