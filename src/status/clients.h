/**
 * Who connects how: what the wire tells of each user, address and application, counted.
 *
 * A row is also the message: what was seen once is a row that counts one, and rows of one key are merged in
 * any order. One connection shows little of a client's sslmode; several, and the time between them, show
 * more:
 *
 *   disable      a plaintext StartupMessage, unasked; refused, nothing follows
 *   allow        a plaintext StartupMessage, unasked; refused, TLS follows at once
 *   prefer       asks for TLS; told N, goes on in plaintext; failed or refused there, plaintext follows at
 *                once
 *   require …    asks for TLS; told N, leaves; refused, nothing follows. Direct TLS, which libpq has for
 *                these
 *   verify-ca …  breaks the handshake off with an alert about our certificate
 *   verify-full  leaves after a handshake that shows a certificate without the name it asked for
 *
 * As long as TLS is there and admits it, `prefer` looks like `verify-full`. [src: PostgreSQL 18, libpq,
 * "SSL Support"]
 */
#ifndef PGSEAL_STATUS_CLIENTS_H
#define PGSEAL_STATUS_CLIENTS_H

#include "base/err.h"

enum {
    CLIENT_NAME_SIZE = 64,
    CLIENT_ADDRESS_SIZE = 48,
    CLIENT_TEXT_SIZE = 128,
    CLIENT_VERSION_SIZE = 8,
    CLIENT_FOLLOWS_US = 3 * 1000 *
                        1000 /* "at once": mostly milliseconds, but a JVM's first TLS takes its time */
};

/** Texts end in NUL and are padded with it: keys are compared as bytes. */
struct client_key {
    char user[CLIENT_NAME_SIZE]; /* empty: it left before it said */
    char address[CLIENT_ADDRESS_SIZE];
    char application[CLIENT_NAME_SIZE];
};

/** What was ever seen; a set of bits. The values are on disk. */
enum client_seen {
    CLIENT_PLAIN = 1,         /* a StartupMessage in plaintext, unasked */
    CLIENT_PLAIN_AFTER_N = 2, /* the same after its SSLRequest was answered N */
    CLIENT_TLS = 4,           /* a StartupMessage inside TLS */
    CLIENT_DIRECT = 8,        /* TLS without asking */
    CLIENT_LEFT_AT_N = 16,    /* asked for TLS, was told N, left */
    CLIENT_DISTRUSTS = 32,    /* broke off over our certificate */
    CLIENT_WRONG_NAME = 64,   /* left after the handshake, which showed another name */
    CLIENT_FELL_BACK = 128,   /* plaintext right after TLS had failed or been refused */
    CLIENT_WENT_UP = 256,     /* TLS right after plaintext had been refused */
    CLIENT_LOCAL = 512,       /* over a unix socket, where TLS is no question */
    CLIENT_REPLICATES = 1024
};
enum { CLIENT_SEEN_ALL = 2047 };

struct client_row {
    struct client_key key;
    char tls_version[CLIENT_VERSION_SIZE]; /* the lowest seen, "TLSv1.2"; empty: never any */
    char sni[CLIENT_TEXT_SIZE];            /* of the last time, as is everything up to gs2 */
    char issuer[CLIENT_TEXT_SIZE]; /* of its certificate, as are the next three; empty: it showed none */
    char subject[CLIENT_TEXT_SIZE];
    char serial[CLIENT_NAME_SIZE];
    int64_t cert_ends_s; /* since 1970; 0: none */
    bool alpn;
    char gs2;             /* of SCRAM's first message: 'n', 'y', 'p'; 0: there was none */
    unsigned seen;        /* of client_seen */
    int64_t sessions;     /* that were admitted */
    int64_t plaintext;    /* connections without TLS, admitted or not */
    int64_t tls_failures; /* handshakes that failed, or after which it left */
    int64_t first_us, last_us;
    int64_t plain_us; /* last unasked plaintext; 0: never; so are the others */
    int64_t plain_refused_us;
    int64_t tls_us; /* last StartupMessage inside TLS, or after asking for it */
    int64_t tls_refused_us;
    int64_t tls_failed_us;
    /* Evidence. Who takes a chain is known by its StartupMessage; who refuses one has said no more than its
     * address. */
    int64_t ca_new_us;                              /* last StartupMessage behind the next CA's chain */
    int64_t ca_failed_us;                           /* last refusal of that chain */
    int64_t strange_taken_us, strange_refused_us;   /* of a stranger's chain */
    int64_t misnamed_taken_us, misnamed_refused_us; /* of a right chain with a wrong name */
};

/** Copy a text into a member, cut to its size. */
#define CLIENT_PUT(member, text) client_put((member), sizeof(member), (text))
void client_put(char *to, size_t size, struct str text);
/** The same with the name of a certificate: its end is the telling part, so a long one loses its beginning to "...". */
void client_put_name(char *to, size_t size, struct str name);

/** Add what was seen, or what others counted, to a row of the same key. */
void client_merge(struct client_row *row, const struct client_row *seen);
/**
 * Draw conclusions from two tries close together. `nameless`: the row of the same address without a user, for
 * there is no user where a handshake failed; NULL: none, or other clients share the address. True when
 * something new was concluded.
 */
bool client_conclude(struct client_row *row, const struct client_row *nameless);
/** What the wire tells of its sslmode, the weakest that fits; static; "" when it tells nothing. */
const char *client_sslmode(const struct client_row *row, int64_t now_us);
/**
 * What handshakes of its address have shown is laid to a row of that address: a refusal of the next CA's chain
 * in any case, those of a canary only where the row has the address for itself (`alone`). True when something
 * new was learned.
 */
bool client_charge(struct client_row *row, const struct client_row *nameless, bool alone);
/** Would client_charge() lay a canary's refusal to it, were it alone? */
bool client_owes(const struct client_row *row, const struct client_row *nameless);
/** Does it verify the server? "yes", "chain only", "no" or "unknown", static; *out_us: since when that is known,
 * 0 for "unknown". */
const char *client_verifies(const struct client_row *row, int64_t *out_us);
/** "used", "possible", "none" or "": what SCRAM's gs2 header said of channel binding. */
const char *client_binding(const struct client_row *row);

#endif
