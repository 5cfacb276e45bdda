/* A reload, and what came of it. */
#include "client/reload_gate.h"

#include "base/check.h"
#include "client/gate_talk.h"

static enum code ask(struct gate_talk *talk, const struct settings *settings, struct arena *arena,
                     struct err *e)
{
    TRY(gate_talk_open(settings, "pgseal reload", arena, talk, e));
    if (talk->failed)
        return OK;
    TRY(gate_talk_query(talk, STR("SELECT pg_reload_conf()"), NULL, e));
    if (talk->told.message.n == 0)
        return err_set(e, E_PROTOCOL, "the gate did not report a result");
    return OK;
}

enum code reload_gate(const struct settings *settings, struct arena *arena, struct reload_answer *out,
                      struct err *e)
{
    AUTO(gate_talk) struct gate_talk talk = GATE_TALK_INIT;

    TRY(ask(&talk, settings, arena, e));
    *out = (struct reload_answer){
        .told = talk.told,
        .loaded = !talk.failed && str_is(talk.told.sqlstate, code_sqlstate(OK)),
        .refused = !talk.failed && str_is(talk.told.sqlstate, code_sqlstate(E_CONFIG)),
    };
    return OK;
}
