/*
 * An address is tried out that has TLS sessions and nothing else: a handshake that fails there has failed over
 * the certificate that was shown.
 */
#include "gate/stats/addresses.h"

#include "base/lru.h"
#include "status/clients.h"

#include <pthread.h>
#include <stdlib.h>

enum { SLOTS = 16384, ADDRESSES_MAX = 16384, HOUR_S = 3600, DAY_S = 24 * HOUR_S };
#define S_US INT64_C(1000000)

struct address_key {
    char text[CLIENT_ADDRESS_SIZE];
};

struct address_row {
    struct address_key key; /* first, as lru.h wants it */
    int64_t session_us;     /* last TLS session */
    int64_t failed_us;      /* last handshake that failed, or came to nothing, without a trial */
    int64_t tried_us;
    int64_t plain_us;  /* last connection without TLS */
    enum trial canary; /* the last one */
    bool replicates;   /* once seen: its sessions last for weeks, and say no more of it */
    bool plain_rule;   /* a rule would have let it in without TLS, when it was drawn last */
};

struct addresses {
    pthread_mutex_t lock;
    struct lru
        *rows; /* of struct address_row; high: it had a TLS session, or replicates, or connects without TLS */
};

struct addresses *addresses_new(void)
{
    struct addresses *a = calloc(1, sizeof *a);

    if (!a)
        return NULL;
    (void)pthread_mutex_init(&a->lock, NULL);
    a->rows = lru_new(SLOTS, sizeof(struct address_row), sizeof(struct address_key), ADDRESSES_MAX);
    if (!a->rows) {
        addresses_free(a);
        return NULL;
    }
    return a;
}

void addresses_free(struct addresses *addresses)
{
    if (!addresses)
        return;
    lru_free(addresses->rows);
    (void)pthread_mutex_destroy(&addresses->lock);
    free(addresses);
}

static void keep_latest(int64_t *us, int64_t seen_us)
{
    if (seen_us > *us)
        *us = seen_us;
}

/* Of a row that counts many connections it may be any of them, where it is not known. */
static int64_t plain_of(const struct client_row *seen)
{
    if (seen->plaintext == 0)
        return 0;
    return seen->plain_us > 0 && !(seen->seen & CLIENT_PLAIN_AFTER_N) ? seen->plain_us : seen->last_us;
}

void addresses_note(struct addresses *addresses, const struct client_row *seen)
{
    bool session = seen->sessions > 0 && seen->seen & CLIENT_TLS;
    bool replicates = seen->seen & CLIENT_REPLICATES;
    struct address_key key;

    if (!seen->key.address[0])
        return;
    memcpy(key.text, seen->key.address, sizeof key.text);
    (void)pthread_mutex_lock(&addresses->lock);
    struct address_row *row = lru_note(addresses->rows, &key, session || replicates || seen->plaintext > 0);
    if (row) {
        row->replicates |= replicates;
        keep_latest(&row->plain_us, plain_of(seen));
        if (session)
            keep_latest(&row->session_us, seen->tls_us);
        if (seen->tls_failures > 0)
            keep_latest(&row->failed_us, seen->last_us);
    }
    (void)pthread_mutex_unlock(&addresses->lock);
}

static bool within(int64_t us, int64_t now_us, int64_t seconds)
{
    return us > 0 && now_us - us < seconds * S_US;
}

/* A clock that was set back has every hour still to come. */
static enum untested why_not(const struct address_row *row, int64_t now_us)
{
    if (row->replicates)
        return UNTESTED_REPLICATION;
    if (within(row->plain_us, now_us, DAY_S))
        return UNTESTED_PLAINTEXT;
    if (within(row->failed_us, now_us, DAY_S))
        return UNTESTED_FAILURES;
    if (!within(row->session_us, now_us, DAY_S))
        return UNTESTED_NO_SESSION;
    return within(row->tried_us, now_us, HOUR_S) ? UNTESTED_HOUR : UNTESTED_NOT;
}

static enum trial pick(struct address_row *row, unsigned kinds)
{
    if (kinds & 1u << TRIAL_NEXT_CA)
        return TRIAL_NEXT_CA;
    if ((kinds & TRIALS_CANARY) == TRIALS_CANARY)
        row->canary = row->canary == TRIAL_STRANGER ? TRIAL_MISNAMED : TRIAL_STRANGER;
    else
        row->canary = kinds & 1u << TRIAL_MISNAMED ? TRIAL_MISNAMED : TRIAL_STRANGER;
    return row->canary;
}

static struct address_key key_of(const char *address)
{
    struct address_key key = { "" };

    memcpy(key.text, address, strnlen(address, sizeof key.text - 1));
    return key;
}

enum trial addresses_try(struct addresses *addresses, const char *address, unsigned kinds, int64_t now_us)
{
    const struct address_key key = key_of(address);
    enum trial trial = TRIAL_NONE;

    (void)pthread_mutex_lock(&addresses->lock);
    struct address_row *row = lru_find(addresses->rows, &key);
    if (row && kinds && why_not(row, now_us) == UNTESTED_NOT) {
        row->tried_us = now_us;
        trial = pick(row, kinds);
    }
    (void)pthread_mutex_unlock(&addresses->lock);
    return trial;
}

void addresses_set_plain_rule(struct addresses *addresses, const char *address, bool admits)
{
    const struct address_key key = key_of(address);

    (void)pthread_mutex_lock(&addresses->lock);
    struct address_row *row = lru_find(addresses->rows, &key);
    if (row)
        row->plain_rule = admits;
    (void)pthread_mutex_unlock(&addresses->lock);
}

enum untested addresses_untested(struct addresses *addresses, const char *address, int64_t now_us)
{
    const struct address_key key = key_of(address);

    (void)pthread_mutex_lock(&addresses->lock);
    const struct address_row *row = lru_find(addresses->rows, &key);
    enum untested why = row ? why_not(row, now_us) : UNTESTED_NO_SESSION;
    if (row && row->plain_rule && (why == UNTESTED_NOT || why == UNTESTED_HOUR))
        why = UNTESTED_RULE;
    (void)pthread_mutex_unlock(&addresses->lock);
    return why;
}

const char *untested_text(enum untested why)
{
    static const char *const texts[] = {
#define X(name, text) text,
        UNTESTED(X)
#undef X
    };

    return texts[why];
}
