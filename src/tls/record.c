/*
 * Records of TLS 1.3, and the few messages that may come after Finished.
 *
 * A record is opened where it is in the worker's input, straight into the worker's plaintext. Only one that has
 * not come whole is copied, into memory that lives until the rest is there; so an idle session has none. The header
 * goes into the AEAD as it came: a version that was tampered with is a bad MAC like any other byte.
 */
#include "tls/record.h"

#include "base/check.h"
#include "base/secret.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

enum { TYPE_ALERT = 21, TYPE_HANDSHAKE, TYPE_DATA };
enum { MESSAGE_TICKET = 4, MESSAGE_KEY_UPDATE = 24 };
enum { UPDATE_NOT_REQUESTED, UPDATE_REQUESTED };
enum { LEVEL_WARNING = 1, LEVEL_FATAL };
enum {
    OVERHEAD = RECORD_HEADER + 1 + RECORD_TAG,
    MESSAGE_HEADER = 4,
    KEY_UPDATE_SIZE = MESSAGE_HEADER + 1,
    /* lifetime and age, nonce<0..255>, ticket<1..2^16-1>, extensions<0..2^16-2> [src: RFC 8446 §4.6.1] */
    TICKET_MIN = 4 + 4 + 1 + 2 + 1 + 2,
    TICKET_MAX = 4 + 4 + 1 + 255 + 2 + 65535 + 2 + 65534
};

/* What a step works with. */
struct step {
    struct record *r;
    struct record_tools *tools;
    struct tls_io *io;
};

bool record_init(struct record *record, struct record_tools *tools, const struct record_params *params)
{
    CHECK(params->send_max > 0 && params->send_max <= RECORD_PLAIN_MAX && params->receive_max > 0 &&
          params->receive_max <= RECORD_PLAIN_MAX);
    *record = (struct record){ .cipher = (uint8_t)params->cipher,
                               .server = params->server,
                               .send_max = (uint16_t)params->send_max,
                               .receive_max = (uint16_t)params->receive_max };
    if (record_keys_begin(tools, params->cipher, params->open_secret, &record->open) &&
        record_keys_begin(tools, params->cipher, params->seal_secret, &record->seal))
        return true;
    record_fini(record, tools);
    return false;
}

void record_fini(struct record *record, struct record_tools *tools)
{
    free(record->body);
    record_tools_forget(tools, record->cipher);
    wipe(record, sizeof *record);
}

/* ---- output ---- */

static bool has_room(const struct tls_io *io, size_t content)
{
    return io->out_size - io->out_n >= content + OVERHEAD;
}

static bool seal_with(const struct step *s)
{
    return record_keys_seal_with(s->tools, s->r->cipher, &s->r->seal);
}

static bool open_with(const struct step *s)
{
    return record_keys_open_with(s->tools, s->r->cipher, &s->r->open);
}

/* After has_room() and seal_with(). */
static bool put(const struct step *s, struct bytes content, uint8_t type)
{
    if (!record_seal(s->tools, &s->r->seal, content, type, s->io->out + s->io->out_n))
        return false;
    s->io->out_n += content.n + OVERHEAD;
    return true;
}

static void put_alert(const struct step *s, uint8_t level, uint8_t alert)
{
    const uint8_t text[] = { level, alert };

    if (!s->r->said_close && has_room(s->io, sizeof text) && seal_with(s))
        (void)put(s, bytes_of(text, sizeof text), TYPE_ALERT);
}

/* The session ends by our judgement. */
static bool fail(const struct step *s, uint8_t alert, uint32_t reason)
{
    s->r->failed = true;
    s->r->alert = alert;
    s->r->reason = reason;
    put_alert(s, LEVEL_FATAL, alert);
    return false;
}

static bool unexpected(const struct step *s, uint32_t reason)
{
    return fail(s, SSL_AD_UNEXPECTED_MESSAGE, reason);
}

static bool fail_inside(const struct step *s)
{
    return fail(s, SSL_AD_INTERNAL_ERROR, ERR_R_INTERNAL_ERROR);
}

/* The peer's update is asked for once, when it has used its keys for as long as we would use ours. */
static bool must_ask(const struct record *r)
{
    return !r->asked && r->open.sequence >= record_limit(r->cipher);
}

static bool update_due(const struct record *r)
{
    return r->answer_due || r->seal.sequence >= record_limit(r->cipher) || must_ask(r);
}

/*
 * Say KeyUpdate, and go over to the next keys; the worker's context then has those. The keys in use stay as they are
 * until the next ones are whole: the alert of a failure goes out under them, and no number of theirs is used again.
 */
static bool update_seal(const struct step *s)
{
    struct record *r = s->r;
    struct record_keys next = r->seal;
    const bool ask = must_ask(r);
    const uint8_t message[KEY_UPDATE_SIZE] = { MESSAGE_KEY_UPDATE, 0, 0, 1,
                                               ask ? UPDATE_REQUESTED : UPDATE_NOT_REQUESTED };

    bool ok = record_keys_update(s->tools, r->cipher, &next) && seal_with(s) &&
              put(s, bytes_of(message, sizeof message), TYPE_HANDSHAKE);
    if (ok)
        r->seal = next;
    wipe(&next, sizeof next);
    if (!ok || !seal_with(s))
        return fail_inside(s);
    r->asked |= ask;
    r->answer_due = false;
    return true;
}

static enum tls_status write_records(const struct step *s, struct bytes src, size_t *total)
{
    if (src.n > 0 && !seal_with(s))
        return fail_inside(s), TLS_FAILED;
    while (*total < src.n) {
        if (update_due(s->r)) {
            if (!has_room(s->io, KEY_UPDATE_SIZE))
                return TLS_WANT_ROOM;
            if (!update_seal(s))
                return TLS_FAILED;
        }
        struct bytes piece = bytes_from(src, *total);
        if (piece.n > s->r->send_max)
            piece.n = s->r->send_max;
        if (!has_room(s->io, piece.n))
            return TLS_WANT_ROOM;
        if (!put(s, piece, TYPE_DATA))
            return fail_inside(s), TLS_FAILED;
        s->r->fruitless = 0;
        *total += piece.n;
    }
    return TLS_DONE;
}

enum tls_status record_write(struct record *record, struct record_tools *tools, struct tls_io *io,
                             struct bytes src, size_t *out_n)
{
    const struct step s = { record, tools, io };

    *out_n = 0;
    if (record->failed)
        return TLS_FAILED;
    return record->said_close ? TLS_CLOSED : write_records(&s, src, out_n);
}

void record_close(struct record *record, struct record_tools *tools, struct tls_io *io)
{
    const struct step s = { record, tools, io };

    if (record->failed)
        return;
    put_alert(&s, LEVEL_WARNING, SSL_AD_CLOSE_NOTIFY);
    record->said_close = true;
}

/* ---- what may come after Finished ---- */

/* One more that brings no data. */
static bool bear(const struct step *s, uint32_t reason)
{
    return ++s->r->fruitless <= RECORD_FRUITLESS_MAX || unexpected(s, reason);
}

static bool message_begins(const struct step *s)
{
    const uint8_t *header = s->r->message;
    size_t n = (size_t)header[1] << 16 | (size_t)header[2] << 8 | header[3];

    switch (header[0]) {
    case MESSAGE_KEY_UPDATE:
        if (n != 1)
            return fail(s, SSL_AD_DECODE_ERROR, SSL_R_BAD_KEY_UPDATE);
        break;
    case MESSAGE_TICKET:
        if (s->r->server)
            return unexpected(s, SSL_R_UNEXPECTED_MESSAGE);
        if (n < TICKET_MIN || n > TICKET_MAX)
            return fail(s, SSL_AD_DECODE_ERROR, SSL_R_LENGTH_MISMATCH);
        break;
    default: /* CertificateRequest among them: we never offer authentication after the handshake */
        return unexpected(s, SSL_R_UNEXPECTED_MESSAGE);
    }
    s->r->message_left = (uint32_t)n;
    return true;
}

/* Keys change at the end of a record only [src: RFC 8446 §5.1]. `rest`: what follows the message in its record. */
static bool hear_key_update(const struct step *s, uint8_t what, size_t rest)
{
    struct record *r = s->r;

    if (rest > 0)
        return unexpected(s, SSL_R_NOT_ON_RECORD_BOUNDARY);
    if (what != UPDATE_NOT_REQUESTED && what != UPDATE_REQUESTED)
        return fail(s, SSL_AD_ILLEGAL_PARAMETER, SSL_R_BAD_KEY_UPDATE);
    if (!bear(s, SSL_R_UNEXPECTED_MESSAGE))
        return false;
    if (!record_keys_update(s->tools, r->cipher, &r->open) || !open_with(s))
        return fail_inside(s);
    r->asked = false;
    r->answer_due |= what == UPDATE_REQUESTED; /* with our next data; several are answered once */
    return true;
}

static bool message_ends(const struct step *s, uint8_t last, size_t rest)
{
    s->r->message_n = 0;
    return s->r->message[0] == MESSAGE_KEY_UPDATE ? hear_key_update(s, last, rest)
                                                  : bear(s, SSL_R_UNEXPECTED_MESSAGE);
}

static bool hear_handshake(const struct step *s, struct bytes content)
{
    struct record *r = s->r;

    if (content.n == 0)
        return unexpected(s, SSL_R_BAD_LENGTH);
    while (content.n > 0) {
        if (r->message_n < MESSAGE_HEADER) {
            r->message[r->message_n++] = content.p[0];
            content = bytes_from(content, 1);
            if (r->message_n == MESSAGE_HEADER && !message_begins(s))
                return false;
            continue;
        }
        size_t n = content.n < r->message_left ? content.n : r->message_left;
        uint8_t last = content.p[n - 1];
        content = bytes_from(content, n);
        r->message_left -= (uint32_t)n;
        if (r->message_left == 0 && !message_ends(s, last, content.n))
            return false;
    }
    return true;
}

/* The level says nothing in TLS 1.3 [src: RFC 8446 §6] */
static bool hear_alert(const struct step *s, struct bytes content)
{
    struct record *r = s->r;

    if (content.n == 0)
        return unexpected(s, SSL_R_BAD_LENGTH);
    if (content.n != 2)
        return fail(s, SSL_AD_DECODE_ERROR, SSL_R_INVALID_ALERT);
    switch (content.p[1]) {
    case SSL_AD_CLOSE_NOTIFY:
        r->closed = true;
        return true;
    case SSL_AD_USER_CANCELLED: /* close_notify follows */
        return bear(s, SSL_R_TOO_MANY_WARN_ALERTS);
    default:
        r->failed = r->alert_heard = true;
        r->alert = content.p[1];
        r->reason = SSL_AD_REASON_OFFSET + content.p[1];
        return false;
    }
}

/* ---- input ---- */

enum piece { PIECE_WHOLE, PIECE_PART, PIECE_BAD };

static size_t body_size(const struct record *r)
{
    return (size_t)r->header[3] << 8 | r->header[4];
}

/* Before the body is waited for. */
static bool check_header(const struct step *s)
{
    if (s->r->header[0] != TYPE_DATA) /* everything is sealed by now, and change_cipher_spec has no place */
        return unexpected(s, SSL_R_BAD_RECORD_TYPE);
    if (body_size(s->r) > RECORD_BODY_MAX)
        return fail(s, SSL_AD_RECORD_OVERFLOW, SSL_R_ENCRYPTED_LENGTH_TOO_LONG);
    if (body_size(s->r) < RECORD_TAG)
        return fail(s, SSL_AD_BAD_RECORD_MAC, SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC);
    return true;
}

static enum piece take_header(const struct step *s)
{
    struct record *r = s->r;

    if (r->header_n == RECORD_HEADER)
        return PIECE_WHOLE;
    while (r->header_n < RECORD_HEADER && s->io->in.n > 0) {
        r->header[r->header_n++] = s->io->in.p[0];
        s->io->in = bytes_from(s->io->in, 1);
    }
    if (r->header_n < RECORD_HEADER)
        return PIECE_PART;
    return check_header(s) ? PIECE_WHOLE : PIECE_BAD;
}

/* In a transfer one piece follows the other, and memory is made once. */
static bool make_body(const struct step *s, size_t size)
{
    struct record *r = s->r;

    if (r->body_room >= size)
        return true;
    free(r->body);
    r->body = malloc(size);
    r->body_room = (uint16_t)(r->body ? size : 0);
    return r->body || fail(s, SSL_AD_INTERNAL_ERROR, ERR_R_MALLOC_FAILURE);
}

static void drop_body(struct record *r)
{
    free(r->body);
    r->body = NULL;
    r->body_room = 0;
}

/* *out is borrowed: of the input, or r->body. */
static enum piece take_body(const struct step *s, struct bytes *out)
{
    struct record *r = s->r;
    struct bytes in = s->io->in;
    size_t size = body_size(r);

    if (r->body_n == 0 && in.n >= size) {
        *out = bytes_of(in.p, size);
        s->io->in = bytes_from(in, size);
        return PIECE_WHOLE;
    }
    if (!make_body(s, size))
        return PIECE_BAD;
    size_t n = size - r->body_n < in.n ? size - r->body_n : in.n;
    if (n > 0)
        memcpy(r->body + r->body_n, in.p, n);
    s->io->in = bytes_from(in, n);
    r->body_n = (uint16_t)(r->body_n + n);
    *out = bytes_of(r->body, size);
    return r->body_n == size ? PIECE_WHOLE : PIECE_PART;
}

static void record_over(struct record *r)
{
    r->body_n = 0;
    r->header_n = 0;
}

static bool hear_content(const struct step *s, uint8_t type, struct bytes content)
{
    if (s->r->message_n > 0 && type != TYPE_HANDSHAKE) /* nothing comes between a message's fragments */
        return unexpected(s, SSL_R_UNEXPECTED_RECORD);
    switch (type) {
    case TYPE_DATA:
        if (content.n == 0)
            return bear(s, SSL_R_RECORD_TOO_SMALL);
        s->r->fruitless = 0;
        return true;
    case TYPE_HANDSHAKE:
        return hear_handshake(s, content);
    case TYPE_ALERT:
        return hear_alert(s, content);
    default:
        return unexpected(s, SSL_R_BAD_RECORD_TYPE);
    }
}

/* What was sealed is content, type and zeros. *out_n: how much of it is data. [src: RFC 8446 §5.2, §5.4] */
static bool hear(const struct step *s, struct bytes sealed, size_t *out_n)
{
    size_t n = sealed.n;

    if (n > (size_t)RECORD_PLAIN_MAX + 1)
        return fail(s, SSL_AD_RECORD_OVERFLOW, SSL_R_DATA_LENGTH_TOO_LONG);
    while (n > 0 && sealed.p[n - 1] == 0)
        n--;
    if (n == 0)
        return unexpected(s, SSL_R_BAD_RECORD_TYPE);
    n--;
    if (n > s->r->receive_max)
        return fail(s, SSL_AD_RECORD_OVERFLOW, SSL_R_DATA_LENGTH_TOO_LONG);
    if (!hear_content(s, sealed.p[n], bytes_of(sealed.p, n)))
        return false;
    *out_n = sealed.p[n] == TYPE_DATA ? n : 0;
    return true;
}

static bool open_record(const struct step *s, struct bytes body, uint8_t *dst, size_t *out_n)
{
    if (s->r->open.sequence == UINT64_MAX)
        return fail_inside(s);
    if (!record_open(s->tools, &s->r->open, s->r->header, body, dst))
        return fail(s, SSL_AD_BAD_RECORD_MAC, SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC);
    return hear(s, bytes_of(dst, body.n - RECORD_TAG), out_n);
}

static enum tls_status read_records(const struct step *s, struct bytes dst, size_t *total)
{
    bool keyed = false;
    struct bytes body = bytes_of(NULL, 0);

    for (;;) {
        size_t n = 0;
        enum piece piece = take_header(s);
        if (piece == PIECE_WHOLE && dst.n - *total < body_size(s->r) - RECORD_TAG)
            return TLS_DONE;
        if (piece == PIECE_WHOLE)
            piece = take_body(s, &body);
        if (piece != PIECE_WHOLE)
            return piece == PIECE_BAD ? TLS_FAILED : TLS_WANT_INPUT;
        keyed = keyed || open_with(s);
        bool ok = keyed ? open_record(s, body, (uint8_t *)(uintptr_t)dst.p + *total, &n) : fail_inside(s);
        record_over(s->r);
        if (!ok)
            return TLS_FAILED;
        *total += n;
        if (s->r->closed)
            return TLS_CLOSED;
    }
}

enum tls_status record_read(struct record *record, struct record_tools *tools, struct tls_io *io,
                            struct bytes dst, size_t *out_n)
{
    const struct step s = { record, tools, io };

    CHECK(dst.n >= RECORD_READ_MIN);
    *out_n = 0;
    if (record->failed || record->closed)
        return record->failed ? TLS_FAILED : TLS_CLOSED;
    enum tls_status status = read_records(&s, dst, out_n);
    if (record->body_n == 0)
        drop_body(record);
    if (status == TLS_WANT_INPUT && io->eof) /* who ends without close_notify may have been cut off */
        return fail(&s, SSL_AD_DECODE_ERROR, SSL_R_UNEXPECTED_EOF_WHILE_READING), TLS_FAILED;
    if (status != TLS_FAILED && must_ask(record) && !record->said_close && has_room(io, KEY_UPDATE_SIZE) &&
        !update_seal(&s))
        return TLS_FAILED;
    if (status == TLS_CLOSED)
        io->in = bytes_from(io->in, io->in.n); /* what comes after a closure is ignored */
    return status;
}
