#include "audit/check_clients.h"

#include "audit/finding.h"

static struct str others(struct audit *a, size_t n)
{
    return n > 1 ? audit_text(a, ", and %zu more", n - 1) : STR("");
}

void check_clients(struct audit *a)
{
    const struct subject_verifying *v = a->subject->verifying;

    if (!v)
        return;
    if (v->nothing > 0)
        audit_add(a, CHECK_CLIENT_VERIFIES_NOTHING, STR("pgseal_clients"),
                  "behind a canary with an unknown CA: %.*s%.*s", STR_ARG(v->first_nothing),
                  STR_ARG(others(a, v->nothing)));
    if (v->any_name > 0)
        audit_add(a, CHECK_CLIENT_VERIFIES_NO_NAME, STR("pgseal_clients"),
                  "behind a canary with a wrong name: %.*s%.*s", STR_ARG(v->first_any_name),
                  STR_ARG(others(a, v->any_name)));
}
