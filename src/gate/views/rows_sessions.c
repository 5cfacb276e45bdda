#include "gate/views/rows_sessions.h"

#include "gate/views/gather.h"
#include "gate/views/rows.h"
#include "gate/work/worker.h"

#include <ctype.h>
#include <stdlib.h>

static int by_age(const void *a, const void *b)
{
    const struct session_card *const *x = a, *const *y = b;

    return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

static size_t count_cards(const struct rows *rows)
{
    size_t n = 0;

    for (unsigned w = 0; w <= rows->shared->n_workers; w++)
        for (const struct gather_slice *s = gather_slices(rows->gather, w); s; s = s->next)
            n += s->n;
    return n;
}

enum code rows_sort_cards(struct rows *rows, struct err *e)
{
    if (rows->cards)
        return OK;
    if (!rows->gather || !gather_complete(rows->gather))
        return err_set(e, E_NOMEM, "out of memory");
    size_t n = count_cards(rows);
    rows->cards = arena_array(&rows->arena, n, sizeof(struct session_card *));
    rows->backends = arena_array(&rows->arena, n, sizeof(struct session_card *));
    if (!rows->cards || !rows->backends)
        return err_set(e, E_NOMEM, "out of memory");
    for (unsigned w = 0; w <= rows->shared->n_workers; w++)
        for (const struct gather_slice *s = gather_slices(rows->gather, w); s; s = s->next)
            for (size_t i = 0; i < s->n; i++)
                rows->cards[rows->n_cards++] = &s->cards[i];
    qsort(rows->cards, n, sizeof(struct session_card *), by_age);
    for (size_t i = 0; i < n; i++)
        if (rows->cards[i]->pid != 0)
            rows->backends[rows->n_backends++] = rows->cards[i];
    return OK;
}

/* ---- cells ---- */

static struct cell time_or_null(int64_t us)
{
    return us ? cell_int(us) : (struct cell){ .kind = CELL_NULL };
}

static struct cell name_cut(struct str name)
{
    return cell_text_or_null(str_first(name, PG_NAME_MAX));
}

void rows_fill_ssl(const struct session_card *card, struct row_pg_stat_ssl *out)
{
    out->pid = cell_int(card->pid);
    out->ssl = cell_bool(card->tls);
    if (!card->tls)
        return;
    out->version = cell_text_or_null(card->tls_version);
    out->cipher = cell_text_or_null(card->tls_cipher);
    out->bits = cell_int(card->bits);
    out->client_dn = name_cut(card->client_dn);
    out->client_serial = cell_text_or_null(card->client_serial);
    out->issuer_dn = name_cut(card->issuer_dn);
}

static const char *state_word(const struct session_card *card)
{
    if (!card->transaction)
        return "starting";
    if (card->busy)
        return "active";
    if (card->transaction == 'T')
        return "idle in transaction";
    return card->transaction == 'E' ? "idle in transaction (aborted)" : "idle";
}

void rows_fill_activity(const struct session_card *card, struct row_pg_stat_activity *out)
{
    out->datname = cell_text_or_null(card->database);
    out->pid = cell_int(card->pid);
    out->usename = cell_text_or_null(card->user);
    out->application_name = cell_text(card->application_name.p ? card->application_name : STR(""));
    out->client_addr = cell_text_or_null(card->client_addr);
    out->client_hostname = cell_text_or_null(card->client_name);
    out->client_port = cell_int(card->local ? -1 : (int64_t)card->client_port);
    out->backend_start = cell_int(card->started_us);
    if (card->transaction != 'I' || card->busy)
        out->xact_start = time_or_null(card->times.transaction_us);
    out->query_start = time_or_null(card->times.query_us);
    out->state_change = time_or_null(card->times.state_us ? card->times.state_us : card->active_us);
    if (!card->busy) {
        out->wait_event_type = cell_c("Client");
        out->wait_event = cell_c("ClientRead");
    }
    out->state = cell_c(state_word(card));
    out->query = cell_text(card->query.p ? card->query : STR(""));
    out->backend_type = cell_c(card->replication ? "walsender" : "client backend");
}

void rows_fill_gssapi(const struct session_card *card, struct row_pg_stat_gssapi *out)
{
    bool gss = str_is(card->method, "gss");

    out->pid = cell_int(card->pid);
    out->gss_authenticated = cell_bool(gss);
    out->principal = gss ? cell_text_or_null(card->identity) : (struct cell){ .kind = CELL_NULL };
    out->encrypted = cell_bool(false);
    out->credentials_delegated = cell_bool(false);
}

static void fill_transport(const struct session_card *card, struct row_pgseal_sessions *out)
{
    out->client_addr = cell_text_or_null(card->client_addr);
    out->client_port = cell_int(card->local ? -1 : (int64_t)card->client_port);
    out->proxy_addr = cell_text_or_null(card->proxy_addr);
    out->proxy_unique_id = cell_text_or_null(card->proxy_id);
    out->sni = cell_text_or_null(card->sni);
    if (card->alpn)
        out->alpn = cell_c("postgresql");
    out->negotiation = cell_c(!card->tls ? "none" : card->direct ? "direct" : "sslrequest");
    out->tls_version = cell_text_or_null(card->tls_version);
    out->tls_cipher = cell_text_or_null(card->tls_cipher);
    out->tls_group = cell_text_or_null(card->tls_group);
    if (card->cert_not_after_s)
        out->client_cert_not_after = cell_int(card->cert_not_after_s * 1000000);
}

static void fill_upstream(const struct session_card *card, struct row_pgseal_sessions *out)
{
    out->upstream_host = cell_text_or_null(card->upstream);
    out->upstream_user = cell_text_or_null(card->upstream_user);
    if (card->upstream_tls.n == 0)
        return;
    out->upstream_tls_version = cell_text(card->upstream_tls);
    out->upstream_tls_cipher = cell_text_or_null(card->upstream_cipher);
    out->upstream_verified = cell_c(card->upstream_sslmode == SSLMODE_VERIFY_FULL ? "full"
                                    : card->upstream_sslmode == SSLMODE_VERIFY_CA ? "ca"
                                                                                  : "no");
}

/* "method:identity", NULL where the method proves nothing [src: PostgreSQL 18, system_user]. */
static struct cell system_user(struct rows *rows, const struct session_card *card)
{
    size_t n = card->method.n + 1 + card->identity.n;
    char *text = card->identity.n > 0 ? arena_alloc(&rows->arena, n) : NULL;

    if (!text)
        return (struct cell){ .kind = CELL_NULL };
    memcpy(text, card->method.p, card->method.n);
    text[card->method.n] = ':';
    memcpy(text + card->method.n + 1, card->identity.p, card->identity.n);
    return cell_text(str_of(text, n));
}

/* One word per step, as in the documentation. */
static struct cell step_word(struct rows *rows, enum state state)
{
    char *word = rows->steps[state];

    if (!word) {
        word = rows->steps[state] = arena_c(&rows->arena, str_c(state_name(state)));
        for (size_t i = 0; word && word[i]; i++)
            word[i] = (char)tolower((unsigned char)word[i]);
    }
    return cell_c(word);
}

void rows_fill_sessions(struct rows *rows, const struct session_card *card, struct row_pgseal_sessions *out)
{
    if (card->pid)
        out->pid = cell_int(card->pid);
    out->worker = cell_int(card->worker);
    out->step = step_word(rows, card->state);
    out->user_name = cell_text_or_null(card->user);
    out->database = cell_text_or_null(card->database);
    out->application_name = cell_text(card->application_name.p ? card->application_name : STR(""));
    fill_transport(card, out);
    out->channel_binding = cell_bool(card->bound);
    out->auth_method = cell_text_or_null(card->method);
    out->system_user = system_user(rows, card);
    out->rule_file = cell_text_or_null(card->rule_file);
    if (card->rule_line)
        out->rule_line = cell_int(card->rule_line);
    fill_upstream(card, out);
    if (card->handshake_us > 0)
        out->handshake_us = cell_int(card->handshake_us);
    out->login_waits = cell_bool(card->login_waits);
    if (card->login_wait_us > 0)
        out->login_wait_us = cell_int(card->login_wait_us);
    out->upgrades = cell_int(card->upgrades);
    out->draining = cell_bool(card->draining);
    out->process = cell_int(card->process);
    out->bytes_in = cell_int(card->bytes_in);
    out->bytes_out = cell_int(card->bytes_out);
    out->connected_at = cell_int(card->started_us);
    out->admitted_at = time_or_null(card->ready_us);
    out->last_active = time_or_null(card->active_us);
}
