/* Why a statement was stopped, in words. */
#include "sql/stop.h"

#include "base/check.h"

enum code statement_stopped(enum statement_stop why, struct err *e)
{
    switch (why) {
    case STOP_USER:
        return err_set(e, E_CANCELED, "canceling statement due to user request");
    case STOP_TIMEOUT:
        return err_set(e, E_CANCELED, "canceling statement due to statement timeout");
    case STOP_LIMIT:
        (void)err_set(e, E_CANCELED, "canceling statement due to the status database's time limit");
        err_hint(e, "Narrow the query down, or join fewer relations.");
        return E_CANCELED;
    }
    UNREACHABLE();
}
