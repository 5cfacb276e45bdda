/** What login.c and login_session.c share. */
#ifndef PGSEAL_CLIENT_LOGIN_IMPL_H
#define PGSEAL_CLIENT_LOGIN_IMPL_H

#include "base/buf.h"
#include "client/login.h"

struct login {
    struct login_params params; /* texts in `arena` */
    struct str user;
    struct arena *arena;
    struct scram_client scram;
    struct login_facts facts;
    struct server_error server_error;
    enum attempt_event event;
    bool in_scram;   /* an AuthenticationSASL was answered */
    bool answered;   /* an exchange came to its end on our side: libpq's client_finished_auth */
    bool negotiated; /* a NegotiateProtocolVersion came */
    bool ended;      /* refused or failed: nothing more is taken */
    enum { WORK_NONE, WORK_WANTED, WORK_DONE } work_state;
    enum code work_code;
    struct err work_err;
    struct buf work; /* body of the SASLResponse, a secret */
};

#endif
