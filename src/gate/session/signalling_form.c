/* What one process of a gate asks another about a PID, and the answer: members of the same struct, both ways. */
#include "gate/session/signalling_form.h"

#include "base/clean.h"
#include "base/form.h"

#include <stdio.h>

enum { COUNTED_MAX = 1 << 20 /* more sessions of one PID are none that a gate can have */ };

void signalling_form_question(struct form *f, struct signalling *asked)
{
    uint64_t id = asked->id;

    asked->kind = (enum signal_kind)form_below(f, asked->kind, SIGNAL_CANCEL + 1);
    asked->step = (enum signalling_step)form_below(f, asked->step, SIGNALLING_STEPS);
    form_i32(f, &asked->pid);
    struct str user = str_from_bytes(form_bytes(f, str_bytes(str_c(asked->user))));
    form_bool(f, &asked->is_admin);
    form_u64(f, &id);
    if (!form_reads(f))
        return;
    form_require(f, str_to_c(user, asked->user, sizeof asked->user));
    asked->id = id;
}

void signalling_form_answer(struct form *f, struct signalling *asked)
{
    uint32_t others = asked->others, found = asked->found;
    uint64_t id = asked->id;
    bool sent = asked->sent;
    struct str who;

    form_u32(f, &others);
    form_u32(f, &found);
    form_u64(f, &id);
    form_bool(f, &sent);
    form_require(f, others <= COUNTED_MAX && found <= COUNTED_MAX);
    for (unsigned i = 0; i < SIGNALLING_SHOWN && i < found && form_ok(f); i++) {
        who = str_from_bytes(form_bytes(f, str_bytes(str_c(asked->who[i]))));
        if (!form_reads(f))
            continue;
        form_require(f, who.n < SIGNALLING_WHO_MAX);
        if (!form_ok(f) || !clean_text(CLEAN_NAME, who, f->arena, &who))
            break;
        (void)snprintf(asked->who[i], SIGNALLING_WHO_MAX, "%.*s", STR_ARG(who));
    }
    if (!form_reads(f))
        return;
    asked->others = others;
    asked->found = found;
    asked->id = id;
    asked->sent = sent;
}
