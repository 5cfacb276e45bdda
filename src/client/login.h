/**
 * Logging in as a client: StartupMessage, what the server asks, what may be answered.
 *
 *     login_new → login_begin writes the StartupMessage → login_feed(bytes from the server) → …
 *
 * Bytes in, bytes out; login_drive.h is what everybody drives it with. A request that the policy does not allow is never answered: the refusal is decided
 * before any secret is touched. Two phases: up to AuthenticationOk (LOGIN_AUTHENTICATED), then, if the caller
 * goes on feeding, up to ReadyForQuery (LOGIN_READY).
 * [src: PostgreSQL 18, "Message Flow, Start-up"; fe-auth.c check_expected_areq, pg_SASL_init]
 */
#ifndef PGSEAL_CLIENT_LOGIN_H
#define PGSEAL_CLIENT_LOGIN_H

#include "client/conninfo.h"
#include "client/hosts.h"
#include "pgwire/msg.h"

struct arena;
struct buf;
struct env;
struct parameter;
struct scram_keys;

/** What this side may answer with. All borrowed until login_free(); NULL: not there. */
struct login_creds {
    struct bytes password;         /* empty: none */
    const struct scram_keys *keys; /* instead of a password, preferred to it */
};

/** What became of a client certificate in the handshake. */
enum login_cert { LOGIN_CERT_NOT_REQUESTED, LOGIN_CERT_NONE, LOGIN_CERT_SENT };

struct login_params {
    uint32_t protocol;     /* to ask for: PROTOCOL_3_0 or PROTOCOL_3_2 */
    uint32_t protocol_min; /* a server that speaks less is refused */
    const struct parameter *parameters;
    size_t parameter_count;
    struct str user; /* for MD5, which hashes it */
    struct login_creds creds;
    unsigned auth_allowed;   /* enum auth_method_bit */
    struct str require_auth; /* for messages: the list that `auth_allowed` came from */
    enum channel_binding binding;
    bool tls;               /* the connection is encrypted */
    struct bytes end_point; /* tls-server-end-point of the server's certificate; empty: not computable */
    enum sslcertmode sslcertmode;
    enum login_cert cert;
    uint32_t iterations_max; /* most SCRAM iterations to run for a server; 0: scram_client.h's limit */
    const struct env *env;
};

/** Longest message taken before ReadyForQuery [choice: PostgreSQL's own are far shorter]. */
enum {
    LOGIN_MESSAGE_MAX = MSG_LOGIN_ERROR_MAX,
    LOGIN_OUT_MAX = 80 * 1024 /* limit of `out`: the longest password that a server takes fits */
};

enum login_step {
    LOGIN_MORE,          /* send what is in `out`, feed more */
    LOGIN_WORK,          /* a password must be hashed often: login_work(), then feed again (maybe nothing) */
    LOGIN_AUTHENTICATED, /* AuthenticationOk was read; stop, or go on feeding */
    LOGIN_READY,         /* ReadyForQuery was read */
    LOGIN_REFUSED,       /* the server's ErrorResponse: login_server_error() */
    LOGIN_FAIL,          /* refused here: `e`; EVENT_LOCAL_ERROR */
    LOGIN_LOST           /* of login_drive_feed() only: an answer could not be sent */
};

/** A server's ErrorResponse or NoticeResponse. Fields that are missing are empty. */
struct server_error {
    struct bytes body; /* as received, to be passed on */
    struct str severity;
    struct str sqlstate;
    struct str message;
    struct str detail;
    struct str hint;
    struct str routine; /* of the server's source: never translated */
};

/** What was learned. Texts live in the login's arena. */
struct login_facts {
    uint32_t protocol;             /* the version that is spoken */
    enum auth_method_bit asked;    /* what the server asked for; AUTH_BIT_NONE: nothing */
    bool requested_authentication; /* an authentication request other than Ok came */
    bool lacks_password; /* … and could be answered, had we a password: LOGIN_FAIL for that alone */
    bool offered_scram;
    bool offered_plus;
    bool used_plus;  /* channel binding was completed */
    bool verified;   /* the server proved that it knows the secret */
    bool in_auth_ok; /* AuthenticationOk came */
    uint32_t pid;    /* BackendKeyData; 0: none came */
    uint8_t key[256];
    size_t key_n;
    char transaction_state;       /* of ReadyForQuery; 0 before */
    struct str server_version;    /* ParameterStatus values; p == NULL: not reported */
    struct str default_read_only; /* default_transaction_read_only */
    struct str in_hot_standby;
};

struct login;

/** Parameters are copied into `arena`, the credentials are not. NULL when memory ran out. */
struct login *login_new(const struct login_params *params, struct arena *arena);
/** Wipes what the exchange left behind; memory stays with the arena. NULL is fine. */
void login_free(struct login *login);
/** Write the StartupMessage. */
void login_begin(struct login *login, struct buf *out);
/**
 * Consume whole messages from `in`.
 *
 * used  bytes consumed, also on LOGIN_AUTHENTICATED: what follows is the session's.
 * out   answers to send, LOGIN_OUT_MAX; may hold secrets: wipe it (buf_fini_secret).
 * e     on LOGIN_FAIL libpq's text; on LOGIN_REFUSED code E_AUTH and the server's message.
 */
enum login_step login_feed(struct login *login, struct bytes in, size_t *used, struct buf *out,
                           struct err *e);
/** The slow step, after LOGIN_WORK. Touches nothing but `login`: may run on another thread. */
void login_work(struct login *login);
/** After LOGIN_REFUSED: the server's words; valid until the login's arena is reset. */
const struct server_error *login_server_error(const struct login *login);
/** The event for the attempt sequence after LOGIN_REFUSED or LOGIN_FAIL. */
enum attempt_event login_event(const struct login *login);
const struct login_facts *login_facts(const struct login *login);

/** sslcertmode=require, asked at AuthenticationOk. E_AUTH with libpq's text. */
MUST_CHECK enum code login_check_certificate(enum sslcertmode mode, enum login_cert cert, struct err *e);
/**
 * A NegotiateProtocolVersion message, after `asked` was asked for without any `_pq_.` option.
 * E_PROTOCOL with libpq's text: it is malformed, or less than `least`. [src: PostgreSQL 18, pqGetNegotiateProtocolVersion3]
 */
MUST_CHECK enum code login_negotiation(struct bytes body, uint32_t asked, uint32_t least, uint32_t *out,
                                       struct err *e);

/** Does the server suit target_session_attrs? */
enum attrs_verdict {
    ATTRS_SUITS,
    ATTRS_MISMATCH, /* `e` says libpq's sentence */
    ATTRS_UNKNOWN   /* the server did not report it: ask with login_attrs_query() */
};
/** libpq's StartupMessage parameters for a conninfo, in its order. Up to LOGIN_PARAMETERS_MAX of them. */
enum { LOGIN_PARAMETERS_MAX = 16 }; /* room needed at `out` */

#endif
