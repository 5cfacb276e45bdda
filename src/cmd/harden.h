/**
 * One run of `pgseal harden`: what was found out and done, for the report.
 */
#ifndef PGSEAL_CMD_HARDEN_H
#define PGSEAL_CMD_HARDEN_H

#include "cmd/cmd.h"
#include "harden/apply.h"
#include "harden/clients.h"
#include "harden/pair.h"
#include "harden/plan.h"
#include "harden/server.h"

struct harden_run {
    const struct cmd *cmd;
    struct arena *arena;
    const char *shown; /* the target as the user wrote it */
    struct harden_target target;
    struct harden_wish wish;
    struct harden_plan plan;
    struct harden_names names;
    bool asked;         /* a running server was */
    struct err unasked; /* why it was not, although it runs */
    struct harden_server server;
    struct harden_seen seen;
    struct harden_accepted accepted;
    bool rehearsed; /* with those that are known */
    struct harden_clients clients;
    struct harden_job job;
};

#endif
