/* A program that was built without libcurl (-Dcurl=disabled). */
#include "client/https.h"

enum code https_ready(struct err *e)
{
    return err_set(e, E_UNSUPPORTED, "HTTPS is not supported by this build");
}

enum code https_ask(const struct https_question *q, long *out_status, struct err *e)
{
    (void)out_status;
    return err_set(e, E_UNSUPPORTED, "could not get \"%s\": HTTPS is not supported by this build", q->url);
}
