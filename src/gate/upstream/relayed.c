/* The relayed exchange, rule by rule. */
#include "gate/upstream/relayed.h"

#include "auth/scram.h"
#include "base/rd.h"
#include "pgwire/backend.h"

void relayed_init(struct relayed *r, enum hba_needs needs, unsigned allowed)
{
    *r = (struct relayed){ .needs = needs, .allowed = allowed };
}

static enum relayed_verdict violation(const char *asked, struct err *e)
{
    err_set(e, E_AUTH, "the upstream server did not ask for the authentication that pg_hba.conf demands");
    err_detail(e, "The server asked for %s.", asked);
    return RELAYED_VIOLATION;
}

static bool wants_scram(const struct relayed *r)
{
    return r->needs == HBA_NEEDS_SCRAM || r->needs == HBA_NEEDS_MD5_OR_SCRAM;
}

/* The operator's require_auth applies to this connection too, whoever authenticates over it. */
static bool excluded(const struct relayed *r, unsigned bit)
{
    return (r->allowed & bit) == 0;
}

/* Of the server's mechanisms only those are passed on that can be passed through. */
static enum relayed_verdict offer_sasl(struct relayed *r, struct rd *list, struct buf *out, struct err *e)
{
    struct str wanted = wants_scram(r) ? STR(SCRAM_MECHANISM) : STR("OAUTHBEARER");
    bool offered = false;

    if (!wants_scram(r) && r->needs != HBA_NEEDS_OAUTHBEARER)
        return violation("SASL authentication", e);
    while (!list->bad && list->left.n > 0) {
        struct str name = rd_cstr(list);
        if (name.n == 0)
            break;
        offered |= str_equal(name, wanted);
    }
    if (rd_end(list) != OK || !offered)
        return violation("a SASL mechanism that is not allowed", e);
    if (excluded(r, wants_scram(r) ? AUTH_BIT_SCRAM : AUTH_BIT_OAUTH))
        return violation("SASL authentication, which require_auth excludes", e);
    backend_auth_sasl(out, &wanted, 1);
    r->wait = RELAYED_SASL_FIRST;
    return RELAYED_TO_CLIENT;
}

/* The server asks for a token of this kind: is that what the rule needs? */
static enum relayed_verdict ask_token(struct relayed *r, enum hba_needs needs, const char *asked,
                                      struct err *e)
{
    enum auth_method_bit bit = needs == HBA_NEEDS_GSS         ? AUTH_BIT_GSS
                               : needs == HBA_NEEDS_CLEARTEXT ? AUTH_BIT_PASSWORD
                                                              : AUTH_BIT_MD5;

    if (r->needs != needs || (r->answered && needs != HBA_NEEDS_GSS) || excluded(r, bit))
        return violation(asked, e);
    r->wait = RELAYED_TOKEN;
    return RELAYED_TO_CLIENT;
}

/* Everything but AuthenticationOk and the SASL messages, which are looked into. */
static enum relayed_verdict relayed_ask(struct relayed *r, uint32_t code, struct err *e)
{
    switch (code) {
    case AUTH_CLEARTEXT:
        return ask_token(r, HBA_NEEDS_CLEARTEXT, "a cleartext password", e);
    case AUTH_MD5:
        return ask_token(r, HBA_NEEDS_MD5_OR_SCRAM, "an MD5 password", e);
    case AUTH_GSS:
    case AUTH_GSS_CONTINUE:
        return ask_token(r, HBA_NEEDS_GSS, "GSSAPI authentication", e);
    case AUTH_SASL_CONTINUE:
        if (!r->answered || (r->complete && r->needs != HBA_NEEDS_OAUTHBEARER))
            return violation("SASL out of order", e);
        r->complete = false; /* a bearer token that was refused: the server says where to get another */
        r->wait = RELAYED_SASL;
        return RELAYED_TO_CLIENT;
    case AUTH_SASL_FINAL:
        if (!r->answered || !wants_scram(r) || r->complete)
            return violation("SASL out of order", e);
        r->complete = true;
        return RELAYED_HOLD;
    default:
        return violation("an unknown authentication type", e);
    }
}

enum relayed_verdict relayed_server(struct relayed *r, struct bytes body, struct buf *out, struct buf *held,
                                    struct err *e)
{
    struct rd rd = rd_over(body);
    uint32_t code = rd_u32(&rd);

    if (rd.bad)
        return violation("something that could not be read", e);
    if (code == AUTH_OK)
        return r->complete ? RELAYED_DONE : violation("nothing", e);
    if (code == AUTH_SASL)
        return r->answered ? violation("SASL authentication twice", e) : offer_sasl(r, &rd, out, e);
    enum relayed_verdict verdict = relayed_ask(r, code, e);
    if (verdict == RELAYED_TO_CLIENT || verdict == RELAYED_HOLD)
        backend_auth(verdict == RELAYED_HOLD ? held : out, (enum auth_code)code, rd.left);
    return verdict;
}

/* The client must take the mechanism that was offered [src: PostgreSQL 18, CheckSASLAuth]. */
static enum code check_mechanism(struct relayed *r, struct bytes body, struct err *e)
{
    struct rd rd = rd_over(body);
    struct str name = rd_cstr(&rd);

    if (rd.bad)
        return err_set(e, E_PROTOCOL, "invalid string in message");
    if (!str_equal(name, wants_scram(r) ? STR(SCRAM_MECHANISM) : STR("OAUTHBEARER")))
        return err_set(e, E_PROTOCOL, "client selected an invalid SASL authentication mechanism");
    (void)rd_u32(&rd); /* length of the first message */
    if (wants_scram(r))
        r->gs2 = (char)rd_u8(&rd); /* 0 after the end: the server will say what it thinks of that */
    return OK;
}

enum code relayed_client(struct relayed *r, struct bytes body, struct err *e)
{
    switch (r->wait) {
    case RELAYED_NOTHING:
        return err_set(e, E_PROTOCOL, "unexpected message during authentication");
    case RELAYED_SASL_FIRST:
        TRY(check_mechanism(r, body, e));
        r->complete = r->needs == HBA_NEEDS_OAUTHBEARER;
        break;
    case RELAYED_SASL:
        break;
    case RELAYED_TOKEN:
        r->complete = true;
        break;
    }
    r->answered = true;
    r->wait = RELAYED_NOTHING;
    return OK;
}
