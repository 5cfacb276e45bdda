#include "gate/stats/visits.h"

#include "base/lru.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 256, ROWS_MAX = 1024, ADDRESS_SIZE = 48, USER_SIZE = 64 };

/* Compared as bytes: no padding, filled up with zeros. */
struct visitor {
    char address[ADDRESS_SIZE];
    char user[USER_SIZE];
};

struct visit {
    struct visitor visitor;
    uint32_t n;
};

struct visits {
    pthread_mutex_t lock;
    struct lru *users;     /* struct visit by address and user */
    struct lru *addresses; /* struct visit by address alone: those that are checks */
    _Atomic bool any;      /* a visit has looked like a check */
};

struct visits *visits_new(void)
{
    struct visits *visits = calloc(1, sizeof *visits);

    if (!visits)
        return NULL;
    visits->users = lru_new(SLOTS, sizeof(struct visit), sizeof(struct visitor), ROWS_MAX);
    visits->addresses = lru_new(SLOTS, sizeof(struct visit), sizeof(struct visitor), ROWS_MAX);
    if (visits->users && visits->addresses && pthread_mutex_init(&visits->lock, NULL) == 0)
        return visits;
    lru_free(visits->users);
    lru_free(visits->addresses);
    free(visits);
    return NULL;
}

void visits_free(struct visits *visits)
{
    if (!visits)
        return;
    lru_free(visits->users);
    lru_free(visits->addresses);
    (void)pthread_mutex_destroy(&visits->lock);
    free(visits);
}

static struct visitor visitor_of(const char *address, struct str user)
{
    struct visitor visitor = { 0 };

    memcpy(visitor.address, address, strnlen(address, ADDRESS_SIZE - 1));
    if (user.n > 0)
        memcpy(visitor.user, user.p, user.n < USER_SIZE ? user.n : USER_SIZE);
    return visitor;
}

unsigned visits_note(struct visits *visits, const char *address, struct str user)
{
    const struct visitor who = visitor_of(address, user), from = visitor_of(address, STR(""));
    unsigned n = 0;

    (void)pthread_mutex_lock(&visits->lock);
    struct visit *visit = lru_note(visits->users, &who, false);
    if (visit) {
        visit->n += visit->n < UINT32_MAX;
        n = visit->n;
        atomic_store_explicit(&visits->any, true, memory_order_relaxed);
    }
    if (n >= VISITS_OF_A_CHECK)
        (void)lru_note(visits->addresses, &from, false);
    (void)pthread_mutex_unlock(&visits->lock);
    return n;
}

void visits_forget(struct visits *visits, const char *address, struct str user)
{
    const struct visitor who = visitor_of(address, user);

    if (!atomic_load_explicit(&visits->any, memory_order_relaxed))
        return;
    (void)pthread_mutex_lock(&visits->lock);
    struct visit *visit = lru_find(visits->users, &who);
    if (visit)
        visit->n = 0;
    (void)pthread_mutex_unlock(&visits->lock);
}

bool visits_known(struct visits *visits, const char *address)
{
    const struct visitor from = visitor_of(address, STR(""));

    if (!atomic_load_explicit(&visits->any, memory_order_relaxed))
        return false;
    (void)pthread_mutex_lock(&visits->lock);
    bool known = lru_find(visits->addresses, &from) != NULL;
    (void)pthread_mutex_unlock(&visits->lock);
    return known;
}
