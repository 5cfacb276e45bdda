/**
 * A TLS 1.3 session after its handshake, as bytes in, bytes out: what OpenSSL's `SSL` does then, in 300 bytes.
 *
 * Opens what the peer sends, seals what we send, and takes part in all that RFC 8446 lets happen after Finished:
 * KeyUpdate both ways, alerts, tickets (which are ignored), padding, empty records. Whatever else comes ends the
 * session with the alert that the RFC names for it. Knows no sockets and no `SSL`.
 * [src: RFC 8446 §4.6, §5, §6]
 */
#ifndef PGSEAL_TLS_RECORD_H
#define PGSEAL_TLS_RECORD_H

#include "tls/io.h"
#include "tls/record_keys.h"

enum {
    RECORD_PLAIN_MAX = 1 << 14,                     /* content of one record */
    RECORD_BODY_MAX = RECORD_PLAIN_MAX + 256,       /* the same sealed, without its header */
    RECORD_READ_MIN = RECORD_BODY_MAX - RECORD_TAG, /* room that record_read() wants */
    RECORD_FRUITLESS_MAX = 32 /* records and messages in a row, either way, that carry no data */
};

/** One session. Callers embed it; between steps nothing else belongs to it but `body`. */
struct record {
    struct record_keys open, seal;
    uint8_t *body;   /* of a record that has only begun to come; NULL: none has */
    uint16_t body_n; /* what of it is there */
    uint16_t body_room;
    uint16_t send_max; /* content of a record that we send */
    uint16_t receive_max;
    uint32_t reason;               /* OpenSSL's number (SSL_R_…) for how it failed */
    uint32_t message_left;         /* of a handshake message that goes on */
    uint8_t message[4];            /* its header */
    uint8_t message_n;             /* what of that is there */
    uint8_t header[RECORD_HEADER]; /* of the record that has begun to come */
    uint8_t header_n;
    uint8_t cipher;    /* enum record_cipher */
    uint8_t fruitless; /* see RECORD_FRUITLESS_MAX */
    uint8_t alert;     /* of a failure: sent, or received */
    bool alert_heard;  /* it was received */
    bool server;       /* ours is the server's side */
    bool failed;
    bool closed;     /* the peer said close_notify */
    bool said_close; /* and we did */
    bool answer_due; /* the peer wants our keys updated too */
    bool asked;      /* we have asked for the peer's update */
};

struct record_params {
    enum record_cipher cipher;
    bool server;
    size_t send_max, receive_max;          /* content of records: at most RECORD_PLAIN_MAX */
    struct bytes open_secret, seal_secret; /* traffic secrets: the peer's, and ours */
};

/** False: OpenSSL refused, or memory ran out; nothing secret is left in `record` then. */
MUST_CHECK bool record_init(struct record *record, struct record_tools *tools,
                            const struct record_params *params);
/** Wipes. Harmless on a record that is zeroed. */
void record_fini(struct record *record, struct record_tools *tools);

/**
 * Open what is in io->in into `dst`, which has room for RECORD_READ_MIN bytes at least. All of the input is
 * consumed, unless `dst` is full (TLS_DONE) or the session is over. *out_n counts the bytes whatever the status.
 * TLS_FAILED: record->reason and record->alert say why; the alert is in io->out as far as there was room.
 */
enum tls_status record_read(struct record *record, struct record_tools *tools, struct tls_io *io,
                            struct bytes dst, size_t *out_n);
/** Seal `src` as whole records; *out_n of its bytes were taken, also with TLS_WANT_ROOM. */
enum tls_status record_write(struct record *record, struct record_tools *tools, struct tls_io *io,
                             struct bytes src, size_t *out_n);
/** Say close_notify: once, and not after a failure. */
void record_close(struct record *record, struct record_tools *tools, struct tls_io *io);

#endif
