/* A binary heap of timers. */
#include "net/timers.h"

#include "base/check.h"

#include <limits.h>
#include <stdlib.h>

enum { FIRST_ROOM = 16 };

void timers_fini(struct timers *timers)
{
    free(timers->heap);
    *timers = (struct timers){ 0 };
}

static bool before(const struct timer *a, const struct timer *b)
{
    return a->due_ms < b->due_ms || (a->due_ms == b->due_ms && a->order < b->order);
}

static void put(struct timers *timers, size_t place, struct timer *timer)
{
    timers->heap[place] = timer;
    timer->place = place;
}

/* Find the place of a timer where `place` is free. */
static void sift(struct timers *timers, size_t place, struct timer *timer)
{
    size_t child;

    for (; place > 1 && before(timer, timers->heap[place / 2]); place /= 2)
        put(timers, place, timers->heap[place / 2]);
    for (; (child = 2 * place) <= timers->n; place = child) {
        if (child < timers->n && before(timers->heap[child + 1], timers->heap[child]))
            child++;
        if (!before(timers->heap[child], timer))
            break;
        put(timers, place, timers->heap[child]);
    }
    put(timers, place, timer);
}

struct timer *timers_add(struct timers *timers, struct loop *loop, timer_fn *fn, void *arg)
{
    struct timer *timer = malloc(sizeof *timer);

    if (timer && timers->known == timers->room) {
        size_t room = timers->room ? 2 * timers->room : FIRST_ROOM;
        struct timer **heap = reallocarray(timers->heap, room + 1, sizeof(struct timer *));
        if (!heap) {
            free(timer);
            return NULL;
        }
        timers->heap = heap;
        timers->room = room;
    }
    if (!timer)
        return NULL;
    *timer = (struct timer){ .loop = loop, .fn = fn, .arg = arg };
    timers->known++;
    return timer;
}

void timers_remove(struct timers *timers, struct timer *timer)
{
    timers_stop(timers, timer);
    timers->known--;
    free(timer);
}

void timers_start(struct timers *timers, struct timer *timer, int64_t due_ms)
{
    timers_stop(timers, timer);
    timer->due_ms = due_ms;
    timer->order = timers->order++;
    timers->n++;
    sift(timers, timers->n, timer);
}

void timers_stop(struct timers *timers, struct timer *timer)
{
    size_t place = timer->place;

    if (!place)
        return;
    struct timer *last = timers->heap[timers->n--];
    timer->place = 0;
    if (last != timer)
        sift(timers, place, last);
}

int timers_wait_ms(const struct timers *timers, int64_t now_ms)
{
    if (timers->n == 0)
        return -1;
    int64_t left = timers->heap[1]->due_ms - now_ms;
    if (left <= 0)
        return 0;
    return left < INT_MAX ? (int)left : INT_MAX;
}

void timers_run(struct timers *timers, int64_t now_ms)
{
    uint64_t order = timers->order;

    while (timers->n > 0 && timers->heap[1]->due_ms <= now_ms && timers->heap[1]->order < order) {
        struct timer *timer = timers->heap[1];
        timers_stop(timers, timer);
        timer->fn(timer->arg);
    }
}
