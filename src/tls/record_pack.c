/*
 * The state of a session's records, both ways.
 *
 * Keys and nonces follow from the secrets and are derived again. What is read is believed no more than what a peer
 * says: every number is one that record.c could have left there.
 */
#include "tls/record_pack.h"

#include "base/secret.h"

#include <stdlib.h>

enum {
    TYPE_DATA = 23,
    MESSAGE_TICKET = 4,
    MESSAGE_KEY_UPDATE = 24,
    MESSAGE_HEADER = 4,
    MESSAGE_MAX = 1 << 18
};

static void form_keys(struct form *f, struct record_tools *tools, enum record_cipher cipher,
                      struct record_keys *keys)
{
    uint8_t secret[RECORD_SECRET_MAX] = { 0 };
    uint64_t sequence = keys->sequence;
    size_t n = record_secret_size(cipher);

    form_u64(f, &sequence);
    if (!form_reads(f)) {
        form_raw(f, keys->secret, n);
        return;
    }
    form_raw(f, secret, n);
    if (form_ok(f) && !record_keys_begin(tools, cipher, bytes_of(secret, n), keys))
        f->nomem = true;
    keys->sequence = sequence;
    wipe(secret, sizeof secret);
}

/* The beginning of a record that has not come whole. */
static void form_piece(struct form *f, struct record *r)
{
    struct bytes body = bytes_of(r->body, r->body_n);

    form_raw(f, r->header, sizeof r->header);
    r->header_n = (uint8_t)form_below(f, r->header_n, RECORD_HEADER + 1);
    body = form_bytes(f, body);
    if (!form_reads(f))
        return;
    size_t size = (size_t)r->header[3] << 8 | r->header[4];
    form_require(f, r->header_n < RECORD_HEADER ? body.n == 0
                                                : r->header[0] == TYPE_DATA && size <= RECORD_BODY_MAX &&
                                                      size >= RECORD_TAG && body.n < size);
    if (!form_ok(f) || body.n == 0)
        return;
    r->body = malloc(size);
    if (!r->body) {
        f->nomem = true;
        return;
    }
    memcpy(r->body, body.p, body.n);
    r->body_n = (uint16_t)body.n;
    r->body_room = (uint16_t)size;
}

static bool message_is_possible(const struct record *r)
{
    if (r->message_n < MESSAGE_HEADER)
        return r->message_left == 0;
    if (r->message[0] == MESSAGE_KEY_UPDATE)
        return r->message_left == 1;
    return r->message[0] == MESSAGE_TICKET && !r->server && r->message_left > 0 &&
           r->message_left < MESSAGE_MAX;
}

/* A handshake message that goes on in the next record. */
static void form_message(struct form *f, struct record *r)
{
    form_raw(f, r->message, sizeof r->message);
    r->message_n = (uint8_t)form_below(f, r->message_n, MESSAGE_HEADER + 1);
    form_u32(f, &r->message_left);
    form_require(f, message_is_possible(r));
}

static void form_limits(struct form *f, struct record *r)
{
    form_u16(f, &r->send_max);
    form_u16(f, &r->receive_max);
    form_require(f, r->send_max > 0 && r->send_max <= RECORD_PLAIN_MAX && r->receive_max > 0 &&
                        r->receive_max <= RECORD_PLAIN_MAX);
    r->fruitless = (uint8_t)form_below(f, r->fruitless, RECORD_FRUITLESS_MAX + 1);
}

void record_form(struct record *record, struct record_tools *tools, struct form *f)
{
    record->cipher = (uint8_t)form_below(f, record->cipher, RECORD_CIPHERS);
    form_bool(f, &record->server);
    form_limits(f, record);
    form_message(f, record);
    form_piece(f, record);
    form_bool(f, &record->closed);
    form_bool(f, &record->said_close);
    form_bool(f, &record->answer_due);
    form_bool(f, &record->asked);
    form_keys(f, tools, (enum record_cipher)record->cipher, &record->open);
    form_keys(f, tools, (enum record_cipher)record->cipher, &record->seal);
}
