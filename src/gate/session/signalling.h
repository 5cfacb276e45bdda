/**
 * pg_terminate_backend() and pg_cancel_backend(): the session that has a PID, wherever in the gate it is.
 */
#ifndef PGSEAL_GATE_SESSION_SIGNALLING_H
#define PGSEAL_GATE_SESSION_SIGNALLING_H

#include "base/buf.h"
#include "status/session.h"

struct gate_shared;

/** For console_actions: on the SQL thread; ctx is the gate_shared. Processes before this one are asked, too. */
enum signal_result signalling_run(void *ctx, const struct signal_request *request, struct err *e);
/**
 * On the SQL thread: the process after this one asks (ELDER_SIGNAL). The answer is appended to `out`. False: the question makes
 * no sense, or memory ran out.
 */
MUST_CHECK bool signalling_answer(struct gate_shared *shared, struct bytes question, struct buf *out);

#endif
