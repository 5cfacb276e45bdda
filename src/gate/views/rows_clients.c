#include "gate/views/rows_clients.h"

#include "gate/stats/addresses.h"
#include "gate/stats/clients.h"
#include "gate/views/gather.h"
#include "gate/views/rows.h"
#include "gate/work/worker.h"

static struct cell rows_clients_text(const char *c)
{
    return cell_text_or_null(str_c(c));
}

static struct cell moment(int64_t us)
{
    return us > 0 ? cell_int(us) : (struct cell){ .kind = CELL_NULL };
}

void rows_fill_client(const struct rows *rows, size_t index, struct row_pgseal_clients *out)
{
    const struct client_row *from = &rows->clients[index];
    int64_t verified_us;

    out->user_name = rows_clients_text(from->key.user);
    out->client_addr = rows_clients_text(from->key.address);
    out->application_name = cell_c(from->key.application);
    out->sessions = cell_int(from->sessions);
    out->plaintext_attempts = cell_int(from->plaintext);
    out->fallback = cell_bool(from->seen & CLIENT_FELL_BACK);
    out->tls_failures = cell_int(from->tls_failures);
    out->weakest_tls = rows_clients_text(from->tls_version);
    out->sslmode = rows_clients_text(client_sslmode(from, rows->now_us));
    out->verifies = rows_clients_text(client_verifies(from, &verified_us));
    out->verified_at = moment(verified_us);
    out->ca_new_at = moment(from->ca_new_us);
    out->ca_failed_at = moment(from->ca_failed_us);
    if (from->key.address[0])
        out->not_tested = rows_clients_text(untested_text(
            addresses_untested(clients_addresses(rows->shared->clients), from->key.address, rows->now_us)));
    out->direct_tls = cell_bool(from->seen & CLIENT_DIRECT);
    out->sni = rows_clients_text(from->sni);
    if (from->alpn)
        out->alpn = cell_c("postgresql");
    out->channel_binding = rows_clients_text(client_binding(from));
    out->cert_issuer = rows_clients_text(from->issuer);
    out->cert_subject = rows_clients_text(from->subject);
    out->cert_serial = rows_clients_text(from->serial);
    if (from->cert_ends_s > 0)
        out->cert_not_after = cell_int(from->cert_ends_s * 1000000);
    out->first_seen = cell_int(from->first_us);
    out->last_seen = cell_int(from->last_us);
}

enum code rows_make_clients(struct rows *rows, struct rows_list *out, struct err *e)
{
    if (!rows->gather || !gather_complete(rows->gather) ||
        !clients_copy(rows->shared->clients, &rows->arena, &rows->clients, &out->n))
        return err_set(e, E_NOMEM, "out of memory");
    return OK;
}
