/* Counting, and concluding. */
#include "status/clients.h"

void client_put(char *to, size_t size, struct str text)
{
    size_t n = 0;

    for (; n < text.n && n < size - 1 && text.p[n] != '\0'; n++)
        to[n] = text.p[n];
    memset(to + n, 0, size - n);
}

void client_put_name(char *to, size_t size, struct str name)
{
    static const char dots[] = "...";
    size_t n = sizeof dots - 1;

    if (name.n < size) {
        client_put(to, size, name);
        return;
    }
    name = str_from(name, name.n - (size - 1 - n));
    while (name.n > 0 && ((unsigned char)name.p[0] & 0xc0) == 0x80) /* half a character */
        name = str_from(name, 1);
    client_put(to, size, str_c(dots));
    client_put(to + n, size - n, name);
}

/* "SSLv3" < "TLSv1" < "TLSv1.1" < …: the names sort as the versions do. */
static bool weaker(const char *a, const char *b)
{
    return *a && (!*b || strcmp(a, b) < 0);
}

static void keep_later(int64_t *us, int64_t seen_us)
{
    if (seen_us > *us)
        *us = seen_us;
}

/* The last time tells most; but a handshake that got nowhere tells nothing of what comes later in it. */
static void merge_last(struct client_row *row, const struct client_row *seen)
{
    if (seen->sni[0] || seen->seen & CLIENT_TLS)
        memcpy(row->sni, seen->sni, sizeof row->sni);
    if (seen->seen & CLIENT_TLS) {
        memcpy(row->issuer, seen->issuer, sizeof row->issuer);
        memcpy(row->subject, seen->subject, sizeof row->subject);
        memcpy(row->serial, seen->serial, sizeof row->serial);
        row->cert_ends_s = seen->cert_ends_s;
        row->alpn = seen->alpn;
    }
    if (seen->gs2)
        row->gs2 = seen->gs2;
}

static void merge_evidence(struct client_row *row, const struct client_row *seen)
{
    keep_later(&row->ca_new_us, seen->ca_new_us);
    keep_later(&row->ca_failed_us, seen->ca_failed_us);
    keep_later(&row->strange_taken_us, seen->strange_taken_us);
    keep_later(&row->strange_refused_us, seen->strange_refused_us);
    keep_later(&row->misnamed_taken_us, seen->misnamed_taken_us);
    keep_later(&row->misnamed_refused_us, seen->misnamed_refused_us);
}

void client_merge(struct client_row *row, const struct client_row *seen)
{
    if (seen->last_us >= row->last_us)
        merge_last(row, seen);
    if (weaker(seen->tls_version, row->tls_version))
        memcpy(row->tls_version, seen->tls_version, sizeof row->tls_version);
    row->seen |= seen->seen;
    row->sessions += seen->sessions;
    row->plaintext += seen->plaintext;
    row->tls_failures += seen->tls_failures;
    if (row->first_us == 0 || seen->first_us < row->first_us)
        row->first_us = seen->first_us;
    keep_later(&row->last_us, seen->last_us);
    keep_later(&row->plain_us, seen->plain_us);
    keep_later(&row->plain_refused_us, seen->plain_refused_us);
    keep_later(&row->tls_us, seen->tls_us);
    keep_later(&row->tls_refused_us, seen->tls_refused_us);
    keep_later(&row->tls_failed_us, seen->tls_failed_us);
    merge_evidence(row, seen);
}

static bool follows(int64_t first_us, int64_t then_us)
{
    return first_us > 0 && then_us >= first_us && then_us - first_us <= CLIENT_FOLLOWS_US;
}

bool client_conclude(struct client_row *row, const struct client_row *nameless)
{
    unsigned before = row->seen;

    if (follows(row->tls_refused_us, row->plain_us) ||
        (nameless && follows(nameless->tls_failed_us, row->plain_us)))
        row->seen |= CLIENT_FELL_BACK;
    if (follows(row->plain_refused_us, row->tls_us) ||
        (nameless && follows(row->plain_refused_us, nameless->tls_failed_us)))
        row->seen |= CLIENT_WENT_UP;
    return row->seen != before;
}

/* It was refused long enough ago, and did not try the other way. */
static bool gave_up(int64_t refused_us, int64_t other_us, int64_t now_us)
{
    return refused_us > 0 && other_us < refused_us && now_us - refused_us > CLIENT_FOLLOWS_US;
}

static const char *mode_of_plain(const struct client_row *row, int64_t now_us)
{
    if (row->seen & CLIENT_WENT_UP)
        return "allow";
    if (gave_up(row->plain_refused_us, row->tls_us, now_us))
        return "disable";
    return "disable or allow";
}

const char *client_sslmode(const struct client_row *row, int64_t now_us)
{
    if (row->seen & CLIENT_PLAIN && !(row->seen & CLIENT_FELL_BACK))
        return mode_of_plain(row, now_us);
    if (row->seen & (CLIENT_FELL_BACK | CLIENT_PLAIN_AFTER_N))
        return "prefer";
    if (row->seen & CLIENT_DIRECT)
        return "require or stronger, direct";
    if (row->seen & CLIENT_TLS)
        return gave_up(row->tls_refused_us, row->plain_us, now_us) ? "require or stronger"
                                                                   : "prefer or stronger";
    if (row->seen & CLIENT_LEFT_AT_N)
        return "require or stronger";
    if (row->seen & CLIENT_WRONG_NAME)
        return "verify-full";
    return row->seen & CLIENT_DISTRUSTS ? "verify-ca or stronger" : "";
}

bool client_owes(const struct client_row *row, const struct client_row *nameless)
{
    return nameless->strange_refused_us > row->strange_refused_us ||
           nameless->misnamed_refused_us > row->misnamed_refused_us;
}

bool client_charge(struct client_row *row, const struct client_row *nameless, bool alone)
{
    bool news = nameless->ca_failed_us > row->ca_failed_us || (alone && client_owes(row, nameless));

    keep_later(&row->ca_failed_us, nameless->ca_failed_us);
    if (alone) {
        keep_later(&row->strange_refused_us, nameless->strange_refused_us);
        keep_later(&row->misnamed_refused_us, nameless->misnamed_refused_us);
    }
    return news;
}

/* The latest of each kind counts: clients are configured anew. */
const char *client_verifies(const struct client_row *row, int64_t *out_us)
{
    bool takes_strangers = row->strange_taken_us > row->strange_refused_us;
    bool takes_names = row->misnamed_taken_us > row->misnamed_refused_us;

    *out_us = takes_strangers ? row->strange_taken_us
              : takes_names   ? row->misnamed_taken_us
                              : row->strange_refused_us;
    if (takes_strangers)
        return "no";
    if (takes_names)
        return "chain only";
    if (row->strange_refused_us == 0)
        return "unknown";
    if (row->misnamed_refused_us == 0)
        return "chain only";
    if (row->misnamed_refused_us > *out_us)
        *out_us = row->misnamed_refused_us;
    return "yes";
}

const char *client_binding(const struct client_row *row)
{
    switch (row->gs2) {
    case 'p':
        return "used";
    case 'y':
        return "possible";
    case 'n':
        return "none";
    default: /* from a file, or there was no SCRAM */
        return "";
    }
}
