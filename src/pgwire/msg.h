/**
 * Message framing: a type byte, a length word that counts itself, a body.
 *
 * [src: PostgreSQL 18, "Message Formats"]
 */
#ifndef PGSEAL_PGWIRE_MSG_H
#define PGSEAL_PGWIRE_MSG_H

#include "base/err.h"

enum {
    MSG_HEADER = 5,             /* type byte and length word */
    MSG_PASSWORD_MAX = 65535,   /* length word of a PasswordMessage [src: PG_MAX_AUTH_TOKEN_LENGTH] */
    MSG_SCRAM_MAX = 1024,       /* length word of a SASL message [src: PG_MAX_SASL_MESSAGE_LENGTH] */
    MSG_LOGIN_AUTH_MAX = 2000,  /* length word of R and v before login [src: libpq, PQconnectPoll] */
    MSG_LOGIN_ERROR_MAX = 30000 /* length word of E before login [src: libpq, MAX_ERRLEN] */
};

struct msg {
    char type;
    struct bytes body; /* borrowed from the input */
};

/**
 * Take one message off the front of `in`.
 *
 * length_max  largest length word accepted.
 * used        bytes taken: header and body.
 *
 * E_MORE: not complete yet. E_PROTOCOL: length word below 4 or above length_max; told as soon as the
 * header is there, so a lying length never makes anybody wait.
 */
MUST_CHECK enum code msg_next(struct bytes in, size_t length_max, struct msg *out, size_t *used);

/**
 * Follows a stream of messages by their headers only.
 *
 * Feed every byte that a server sends; `state` is the transaction state of the last ReadyForQuery
 * ('I', 'T', 'E') or 0 before the first, and `between` is true when the stream is between two messages.
 */
struct msg_follow {
    uint32_t skip;    /* body bytes still to pass over */
    uint32_t length;  /* length word under construction */
    uint32_t n_ready; /* how many ReadyForQuery there were; it wraps */
    uint8_t have;     /* header bytes seen, 0…5 */
    char type;
    char state;
    bool
        ready; /* the last complete message was a ReadyForQuery, or one that may come at any time behind it */
    bool bad;  /* a length word below 4: not a message stream any more */
    bool copied; /* a CopyInResponse came; for its reader to take back */
};

void msg_follow(struct msg_follow *f, struct bytes data);
static inline bool msg_between(const struct msg_follow *f)
{
    return f->have == 0 && f->skip == 0;
}

/**
 * Follows what a client sends after its login, by headers only: how many ReadyForQuery it will get.
 *
 * Query, Sync and FunctionCall are answered with one each. What the server skips is counted too: a Sync during COPY
 * FROM STDIN until msg_asked_copied(), and a Query between an error of the extended protocol and its Sync.
 * [src: PostgreSQL 18, "Message Flow", "COPY Operations"]
 */
struct msg_asked {
    uint32_t skip;
    uint32_t length;
    uint32_t n;       /* how many were asked for; it wraps */
    uint32_t syncs;   /* Syncs since the last Query, Execute or message of a COPY */
    uint32_t skipped; /* those in front of a message of a COPY: the server skips them, if there is a COPY */
    uint8_t have;
    char type; /* of the last message */
    bool bad;
};

void msg_ask(struct msg_asked *a, struct bytes data);
/** True when the stream is between two messages. */
static inline bool msg_asked_whole(const struct msg_asked *a)
{
    return a->have == 0 && a->skip == 0;
}
/**
 * The server has sent the ReadyForQuery behind a COPY FROM STDIN: the Syncs that came with its Execute are not waited for. What
 * the client sent behind the COPY is.
 */
void msg_asked_copied(struct msg_asked *a);
/** True when nothing has come in part: no message, and no messages of the extended protocol whose Sync is missing. */
bool msg_asked_closed(const struct msg_asked *a);

#endif
