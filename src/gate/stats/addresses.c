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
    enum trial canary; /* the last one */
    bool spared;       /* a replica, or it connects without TLS */
};

struct addresses {
    pthread_mutex_t lock;
    struct lru *rows; /* of struct address_row; high: it had a TLS session, or is spared */
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

void addresses_note(struct addresses *addresses, const struct client_row *seen)
{
    bool session = seen->sessions > 0 && seen->seen & CLIENT_TLS;
    bool spared = seen->plaintext > 0 || seen->seen & CLIENT_REPLICATES;
    struct address_key key;

    if (!seen->key.address[0])
        return;
    memcpy(key.text, seen->key.address, sizeof key.text);
    (void)pthread_mutex_lock(&addresses->lock);
    struct address_row *row = lru_note(addresses->rows, &key, session || spared);
    if (row) {
        row->spared |= spared;
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
static bool is_due(const struct address_row *row, int64_t now_us)
{
    return !row->spared && within(row->session_us, now_us, DAY_S) && !within(row->failed_us, now_us, DAY_S) &&
           !within(row->tried_us, now_us, HOUR_S);
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

enum trial addresses_try(struct addresses *addresses, const char *address, unsigned kinds, int64_t now_us)
{
    struct address_key key = { "" };
    enum trial trial = TRIAL_NONE;

    memcpy(key.text, address, strnlen(address, sizeof key.text - 1));
    (void)pthread_mutex_lock(&addresses->lock);
    struct address_row *row = lru_find(addresses->rows, &key);
    if (row && kinds && is_due(row, now_us)) {
        row->tried_us = now_us;
        trial = pick(row, kinds);
    }
    (void)pthread_mutex_unlock(&addresses->lock);
    return trial;
}
