#include "status/console_finish.h"

#include "base/check.h"
#include "base/wr.h"
#include "status/console_extended.h"
#include "status/console_impl.h"
#include "status/console_portal.h"
#include "status/console_query.h"
#include "status/console_reply.h"

static void rows_finish(struct console *c, struct buf *out)
{
    struct console_job *job = &c->job;
    struct wr w;

    buf_append(out, buf_bytes(&job->out));
    if (job->err.code != OK) {
        portal_done(c, job->portal);
        buf_fini(&job->out);
        console_error_plain(c, &job->err, out);
        return;
    }
    buf_reset(&job->out);
    if (job->end)
        portal_done(c, job->portal);
    job->more = !job->end && job->rows < job->limit;
    if (job->more)
        return;
    if (!job->end && job->suspends) {
        w = wr_begin(out, 's');
        wr_end(&w);
    } else {
        console_job_complete(c, out);
    }
    buf_fini(&job->out);
}

void console_job_finish(struct console *c, struct buf *out)
{
    switch (c->job.kind) {
    case JOB_SCRIPT:
        console_script_planned(c, out);
        return;
    case JOB_PARSE:
        console_parsed(c, out);
        return;
    case JOB_ROWS:
        rows_finish(c, out);
        return;
    }
    UNREACHABLE();
}
