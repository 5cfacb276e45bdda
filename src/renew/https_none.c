/* A program that was built without libcurl (-Dcurl=disabled). */
#include "renew/https.h"

enum code https_get(const char *url, unsigned timeout_s, struct buf *out, struct err *e)
{
    (void)timeout_s;
    (void)out;
    return err_set(e, E_UNSUPPORTED, "could not get \"%s\": HTTPS is not supported by this build", url);
}
