/**
 * A search for the session that has a PID, as one process of a gate tells it another.
 */
#ifndef PGSEAL_GATE_SESSION_SIGNALLING_FORM_H
#define PGSEAL_GATE_SESSION_SIGNALLING_FORM_H

#include "base/slice.h"
#include "pgwire/hello.h"
#include "status/session.h"

#include <stdatomic.h>

struct form;
struct gate_shared;

enum {
    SIGNALLING_SHOWN = 4, /* sessions that are described */
    SIGNALLING_WHO_MAX = 256,
    SIGNALLING_ARENA_MAX = 16 * 1024 /* what reading an answer takes */
};

enum signalling_step { SIGNALLING_FIND, SIGNALLING_SEND, SIGNALLING_STEPS };

struct signalling {
    struct gate_shared *shared;
    enum signal_kind kind;
    enum signalling_step step;
    int32_t pid;
    char user[PG_NAME_MAX + 1];
    bool is_admin;
    _Atomic unsigned others;                        /* sessions that the user may not signal */
    _Atomic unsigned found;                         /* sessions that he may */
    _Atomic uint64_t id;                            /* of the last one found */
    char who[SIGNALLING_SHOWN][SIGNALLING_WHO_MAX]; /* each is written once, by the worker that found it */
    _Atomic bool sent;
};

/** What is asked. */
void signalling_form_question(struct form *f, struct signalling *asked);
/** What was found, or done; reading needs the form's arena. */
void signalling_form_answer(struct form *f, struct signalling *asked);

#endif
