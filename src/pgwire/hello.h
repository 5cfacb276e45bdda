/**
 * The first packets of a connection: SSLRequest, GSSENCRequest, CancelRequest, StartupMessage.
 *
 * They have no type byte: Int32 length (counts itself), Int32 code, body. One of each request is answered,
 * in any order, then a StartupMessage must follow [src: PostgreSQL 18, "Message Flow"; CVE-2026-6479].
 */
#ifndef PGSEAL_PGWIRE_HELLO_H
#define PGSEAL_PGWIRE_HELLO_H

#include "base/err.h"

struct arena;

enum {
    HELLO_CODE_SSL = 80877103,
    HELLO_CODE_GSSENC = 80877104,
    HELLO_CODE_CANCEL = 80877102,
    HELLO_LENGTH_MIN = 8,
    HELLO_LENGTH_MAX = 10004, /* [src: MAX_STARTUP_PACKET_LENGTH, body limit 10000] */
    HELLO_TLS_BYTE = 0x16,    /* first byte of a TLS record that holds a handshake message */
    CANCEL_KEY_MAX = 256,
    PROTOCOL_3_0 = 3 << 16,
    PROTOCOL_3_2 = 3 << 16 | 2,
    PG_NAME_MAX = 63 /* NAMEDATALEN - 1: longer user and database names are cut */
};

/** What has been answered so far; starts all false. */
struct hello {
    bool ssl_done;
    bool gss_done;
};

enum hello_kind { HELLO_SSL, HELLO_GSSENC, HELLO_CANCEL, HELLO_STARTUP };

struct hello_packet {
    enum hello_kind kind;
    uint32_t code;     /* of a StartupMessage: the protocol version asked for */
    struct bytes body; /* after the code; borrowed from the input */
    size_t used;       /* bytes of the packet */
};

/**
 * Take one packet off the front of `in`. A request that was answered already comes back as HELLO_STARTUP
 * with its code, which then is an unsupported protocol version, as PostgreSQL treats it.
 *
 * E_MORE: not complete. E_PROTOCOL: bad length word; close without a byte.
 */
MUST_CHECK enum code hello_next(const struct hello *hello, struct bytes in, struct hello_packet *out);

/** Record the answer to an SSLRequest. Returns 'S' (then no further request is answered) or 'N'. */
char hello_answer_ssl(struct hello *hello, bool usable);
/** A GSSENCRequest is always answered 'N' [choice: TLS is the only encryption that the gate speaks]. */
char hello_answer_gss(struct hello *hello);

struct cancel {
    uint32_t pid;
    struct bytes key; /* 1…256 bytes, borrowed */
};

/** E_PROTOCOL with PostgreSQL's log-only text: nothing is ever sent in answer to a CancelRequest. */
MUST_CHECK enum code cancel_parse(struct bytes body, struct cancel *out, struct err *e);

enum replication { REPLICATION_NONE, REPLICATION_PHYSICAL, REPLICATION_LOGICAL };

struct parameter {
    struct str name;
    struct str value;
};

/** What the client says of itself, for people; see base/clean.h. */
struct startup_shown {
    struct str user, database;
    struct str application_name; /* as PostgreSQL shows it, cut to PG_NAME_MAX */
};

struct startup {
    uint32_t requested;          /* protocol version the client asked for */
    uint32_t version;            /* the one that will be spoken: at most 3.2 */
    struct str user;             /* cut to PG_NAME_MAX; empty: missing, see startup_check_user() */
    struct str database;         /* cut; the user's name where missing; empty for physical replication */
    struct str application_name; /* empty: not given */
    struct startup_shown shown;
    enum replication replication;
    struct parameter *parameters; /* all but user, database, replication and _pq_.*, in the order given */
    size_t parameter_count;
    struct str *pq_options; /* names with the prefix "_pq_." */
    size_t pq_option_count;
};

/**
 * Read a StartupMessage's body.
 *
 * arena   receives copies of all texts.
 * e       PostgreSQL's message and SQLSTATE. `e->detail` is empty.
 *
 * E_UNSUPPORTED: protocol version; startup_error_is_v2() says in which format to answer. E_PROTOCOL: layout.
 * E_PARAM: bad `replication`. E_NOMEM. [src: PostgreSQL 18, "StartupMessage"; ProcessStartupPacket]
 */
MUST_CHECK enum code startup_parse(uint32_t version, struct bytes body, struct arena *arena,
                                   struct startup *out, struct err *e);
/** E_AUTH when the user is missing; checked after NegotiateProtocolVersion has been queued. */
MUST_CHECK enum code startup_check_user(const struct startup *startup, struct err *e);
/** True when the client needs a NegotiateProtocolVersion message. */
bool startup_must_negotiate(const struct startup *startup);
/** Clients that ask for a major version below 3 (save 0.0) understand only the old error format. */
bool startup_error_is_v2(uint32_t version);

#endif
