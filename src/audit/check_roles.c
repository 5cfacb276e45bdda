#include "audit/check_roles.h"

#include "conf/settings.h"

enum { ITERATIONS_MIN = 4096 }; /* [src: RFC 7677, section 4] */

/* ---- settings ---- */

static void check_settings(struct audit *a)
{
    const struct subject_setting *encryption = subject_raw(a->subject, "password_encryption");
    const struct subject_setting *iterations = subject_raw(a->subject, "scram_iterations");
    bool old = a->subject->version > 0 && a->subject->version < 14 && a->subject->settings_seen;
    uint32_t n;

    if (encryption ? !str_is(encryption->value, "scram-sha-256") : old)
        audit_add_setting(a, CHECK_PASSWORD_ENCRYPTION, "password_encryption",
                          "a new password is stored as %.*s",
                          STR_ARG(encryption ? encryption->value : STR("md5, the default of this version")));
    if (iterations && str_to_u32(iterations->value, 1, UINT32_MAX, &n) && n < ITERATIONS_MIN)
        audit_add_setting(a, CHECK_SCRAM_ITERATIONS, "scram_iterations", "new secrets get %u iterations", n);
}

/* ---- roles ---- */

static void check_secret(struct audit *a, const struct subject_role *r, struct str where)
{
    switch (r->secret) {
    case SECRET_MD5:
        audit_add(a, CHECK_MD5_SECRET, where, "the password of \"%.*s\" is stored as md5%s", STR_ARG(r->name),
                  r->superuser ? ", and it is a superuser" : "");
        return;
    case SECRET_UNRECOGNIZED:
        audit_add(a, CHECK_UNRECOGNIZED_SECRET, where,
                  "what is stored for \"%.*s\" is neither SCRAM-SHA-256 nor md5", STR_ARG(r->name));
        return;
    case SECRET_SCRAM:
        if (r->iterations < ITERATIONS_MIN)
            audit_add(a, CHECK_SCRAM_ITERATIONS, where, "the secret of \"%.*s\" has %u iterations",
                      STR_ARG(r->name), r->iterations);
        return;
    case SECRET_NONE:
    case SECRET_UNSEEN:
        return;
    }
}

static void check_role(struct audit *a, const struct subject_role *r)
{
    struct str where = audit_text(a, "role \"%.*s\"", STR_ARG(r->name));

    check_secret(a, r, where);
    if (r->can_login && r->has_valid_until && r->valid_until_unix_s < a->subject->now_unix_s)
        audit_add(a, CHECK_VALID_UNTIL_PASSED, where,
                  "its password is no longer accepted; certificates and peer still are");
}

/* ---- what all roles have in common ---- */

static bool has_no_date(const struct subject_role *r)
{
    return r->can_login && !r->has_valid_until && r->secret != SECRET_NONE && r->secret != SECRET_UNSEEN;
}

static bool has_no_limit(const struct subject_role *r)
{
    return r->can_login && !r->superuser && r->connection_limit < 0;
}

/* One finding for all of them: nobody reads a hundred. */
static void check_all(struct audit *a, enum check check, bool (*holds)(const struct subject_role *r),
                      const char *what)
{
    const struct subject_role *first = NULL;
    size_t n = 0;

    for (size_t i = 0; i < a->subject->n_roles; i++) {
        if (!holds(&a->subject->roles[i]))
            continue;
        first = first ? first : &a->subject->roles[i];
        n++;
    }
    if (first)
        audit_add(a, check, STR("pg_roles"), "%zu role%s %s, \"%.*s\" among them", n, n == 1 ? "" : "s", what,
                  STR_ARG(first->name));
}

void check_roles(struct audit *a)
{
    if (a->subject->kind != SUBJECT_SERVER)
        return;
    check_settings(a);
    for (size_t i = 0; i < a->subject->n_roles; i++)
        check_role(a, &a->subject->roles[i]);
    check_all(a, CHECK_VALID_UNTIL_UNSET, has_no_date, "with a password and without VALID UNTIL");
    check_all(a, CHECK_CONNECTION_LIMIT, has_no_limit, "without CONNECTION LIMIT");
}
