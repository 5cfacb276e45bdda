#include "gate/steward/ready.h"

#include "gate/steward/in_force.h"
#include "gate/steward/role_check.h"
#include "gate/steward/steward.h"
#include "gate/steward/steward_log.h"
#include "os/notify.h"

const char *ready_not(const struct gate *gate)
{
    if (gate->draining || gate->leaving)
        return "draining: the gate was told to stop";
    if (!gate->ready)
        return "starting: the listeners are not open yet";
    return NULL;
}

void ready_now(struct gate *g)
{
    in_force_leave_rules(g);
    role_check_follow(g);
    g->ready = true;
    gate_log(g->env, SEV_LOG, "ready", "pgseal is ready to accept connections");
    os_notify("READY=1");
}
