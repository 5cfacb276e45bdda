/**
 * The views, as the status database's sessions ask for them.
 */
#ifndef PGSEAL_GATE_VIEWS_SERVICES_H
#define PGSEAL_GATE_VIEWS_SERVICES_H

#include "gate/session/console.h"

extern const struct view_services view_services;

#endif
