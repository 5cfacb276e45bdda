#include "gate/steward/ready.h"

#include "gate/steward/steward.h"

const char *ready_not(const struct gate *gate)
{
    if (gate->draining || gate->leaving)
        return "draining: the gate was told to stop";
    if (!gate->ready)
        return "starting: the listeners are not open yet";
    return NULL;
}
