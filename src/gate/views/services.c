/* The views, as the status database's sessions ask for them. */
#include "gate/views/services.h"

#include "gate/views/gather.h"
#include "gate/views/rows.h"

static bool begin_gathering(struct worker *worker, uint64_t views, void (*done)(void *arg), void *arg,
                            struct gather **out)
{
    unsigned wanted = (views & ROWS_SESSIONS ? GATHER_SESSIONS : 0) |
                      (views & ROWS_TALLIES ? GATHER_TALLY : 0) | (views & ROWS_CLIENTS ? GATHER_CLIENTS : 0);

    *out = wanted ? gather_new(worker, wanted, done, arg) : NULL;
    return !wanted || *out;
}

const struct view_services view_services = {
    .gather = begin_gathering, .forget = gather_forget, .free = gather_free, .rows = rows_new
};
