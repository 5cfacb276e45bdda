/* Framing of messages, whole or by headers only. */
#include "pgwire/msg.h"

#include "base/rd.h"

#include <endian.h>
#include <string.h>

enum { LENGTH_WORD = 4 };

enum code msg_next(struct bytes in, size_t length_max, struct msg *out, size_t *used)
{
    struct rd r = rd_over(in);

    if (in.n < MSG_HEADER)
        return E_MORE;
    char type = (char)rd_u8(&r);
    uint32_t length = rd_u32(&r);
    if (length < LENGTH_WORD || length > length_max)
        return E_PROTOCOL;
    size_t body = length - LENGTH_WORD;
    if (r.left.n < body)
        return E_MORE;
    *out = (struct msg){ type, rd_bytes(&r, body) };
    *used = MSG_HEADER + body;
    return OK;
}

/* May come at any time, from an idle server too. [src: PostgreSQL 18, "Asynchronous Operations"] */
static bool is_asynchronous(char type)
{
    return type == 'A' || type == 'N' || type == 'S';
}

/* The header is complete: how much body follows? */
static void header_done(struct msg_follow *f)
{
    f->have = 0;
    f->copied = f->copied || f->type == 'G';
    f->ready = f->ready && is_asynchronous(f->type);
    if (f->length < LENGTH_WORD) {
        f->bad = true;
        return;
    }
    f->skip = f->length - LENGTH_WORD;
}

/* Messages that are here whole, up to the first that is not: what every row of a COPY passes through. */
static const uint8_t *follow_whole(struct msg_follow *f, const uint8_t *p, const uint8_t *end)
{
    const uint8_t *last = NULL;
    uint32_t word, length = 0;
    bool ready = f->ready;

    while (end - p >= MSG_HEADER) {
        memcpy(&word, p + 1, sizeof word);
        word = be32toh(word);
        if (word < LENGTH_WORD || (size_t)(end - p) <= word)
            break;
        length = word;
        last = p;
        if (*p == 'Z' && length > LENGTH_WORD) {
            f->state = (char)p[length];
            f->n_ready++;
            ready = true;
        } else {
            ready = ready && is_asynchronous((char)*p);
            f->copied = f->copied || *p == 'G';
        }
        p += 1 + (size_t)length;
    }
    if (last) {
        f->type = (char)*last;
        f->length = length;
        f->ready = ready;
    }
    return p;
}

void msg_follow(struct msg_follow *f, struct bytes data)
{
    const uint8_t *p = data.p, *end = data.p + data.n;

    while (p < end && !f->bad) {
        if (msg_between(f) && (p = follow_whole(f, p, end)) == end)
            return;
        if (f->skip > 0) {
            size_t n = (size_t)(end - p) < f->skip ? (size_t)(end - p) : f->skip;
            if (f->type == 'Z') {
                f->state = (char)p[n - 1];
                f->ready = n == f->skip;
                f->n_ready += f->ready;
            }
            f->skip -= (uint32_t)n;
            p += n;
            continue;
        }
        if (f->have == 0) {
            f->type = (char)*p;
            f->length = 0;
        } else {
            f->length = f->length << 8 | *p;
        }
        p++;
        if (++f->have == MSG_HEADER)
            header_done(f);
    }
}

/* ---- the client's side ---- */

static void count(struct msg_asked *a)
{
    switch (a->type) {
    case 'Q':
        a->n++;
        a->syncs = 0;
        return;
    case 'S':
        a->n++;
        a->syncs++;
        return;
    case 'F':
        a->n++;
        return;
    case 'E':
        a->syncs = 0;
        return;
    case 'd':
    case 'c':
    case 'f':
        a->skipped += a->syncs;
        a->syncs = 0;
        return;
    default:
        return;
    }
}

/* Messages that are here whole, up to the first that is not. */
static const uint8_t *ask_whole(struct msg_asked *a, const uint8_t *p, const uint8_t *end)
{
    uint32_t word;

    while (end - p >= MSG_HEADER) {
        memcpy(&word, p + 1, sizeof word);
        word = be32toh(word);
        if (word < LENGTH_WORD || (size_t)(end - p) <= word)
            break;
        a->type = (char)*p;
        count(a);
        p += 1 + (size_t)word;
    }
    return p;
}

static void ask_header_byte(struct msg_asked *a, uint8_t byte)
{
    if (a->have == 0) {
        a->type = (char)byte;
        a->length = 0;
    } else {
        a->length = a->length << 8 | byte;
    }
    if (++a->have < MSG_HEADER)
        return;
    a->have = 0;
    a->bad = a->length < LENGTH_WORD;
    a->skip = a->bad ? 0 : a->length - LENGTH_WORD;
    if (!a->bad)
        count(a);
}

void msg_ask(struct msg_asked *a, struct bytes data)
{
    const uint8_t *p = data.p, *end = data.p + data.n;

    while (p < end && !a->bad) {
        if (msg_asked_whole(a) && (p = ask_whole(a, p, end)) == end)
            return;
        if (a->skip == 0) {
            ask_header_byte(a, *p++);
            continue;
        }
        size_t n = (size_t)(end - p) < a->skip ? (size_t)(end - p) : a->skip;
        a->skip -= (uint32_t)n;
        p += n;
    }
}

void msg_asked_copied(struct msg_asked *a)
{
    a->n -= a->skipped;
    a->skipped = 0;
}

bool msg_asked_closed(const struct msg_asked *a)
{
    return msg_asked_whole(a) && !(a->type && strchr("PBDECH", a->type));
}
