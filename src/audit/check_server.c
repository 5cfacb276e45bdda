#include "audit/check_server.h"

#include "audit/edit.h"
#include "base/check.h"
#include "conf/settings.h"
#include "policy/policy.h"

#include <sys/stat.h>
#include <time.h>

enum { AUTH_TIMEOUT_MAX_S = 60 };

/* ---- versions ---- */

struct release {
    unsigned major, until, minor;
};

static const struct release releases[] = {
#define X(major, until, minor) { major, until, minor },
#include "pg_releases.def"
#undef X
};

/* 20261112 */
static unsigned day_of(int64_t unix_s)
{
    time_t t = (time_t)unix_s;
    struct tm tm;

    if (!gmtime_r(&t, &tm))
        return 0;
    return (unsigned)((tm.tm_year + 1900) * 10000 + (tm.tm_mon + 1) * 100 + tm.tm_mday);
}

static void check_version(struct audit *a)
{
    const struct audit_subject *s = a->subject;

    if (s->version == 0)
        return;
    if (s->version < releases[0].major) {
        audit_add(a, CHECK_VERSION_UNSUPPORTED, STR("version"), "it is PostgreSQL %u", s->version);
        return;
    }
    for (size_t i = 0; i < COUNT_OF(releases); i++) {
        const struct release *r = &releases[i];
        if (r->major != s->version)
            continue;
        if (day_of(s->now_unix_s) > r->until)
            audit_add(a, CHECK_VERSION_UNSUPPORTED, STR("version"),
                      "PostgreSQL %u got its last fixes on %04u-%02u-%02u", s->version, r->until / 10000,
                      r->until / 100 % 100, r->until % 100);
        else if (s->minor_seen && s->minor < r->minor)
            audit_add(a, CHECK_VERSION_OUTDATED, s->version_of.n > 0 ? s->version_of : STR("version"),
                      "it is PostgreSQL %u.%u; the newest version known here is %u.%u", s->version, s->minor,
                      s->version, r->minor);
    }
}

/* ---- OpenSSL ---- */

static const struct {
    const char *series;
    unsigned until;
} openssls[] = {
#define X(series, until) { series, until },
#include "openssl_releases.def"
#undef X
};

static void check_openssl(struct audit *a)
{
    const struct audit_subject *s = a->subject;

    for (size_t i = 0; i < COUNT_OF(openssls); i++) {
        unsigned until = openssls[i].until;
        if (!str_is(s->openssl, openssls[i].series) || day_of(s->now_unix_s) <= until)
            continue;
        audit_add(a, CHECK_OPENSSL_UNSUPPORTED, STR("OpenSSL"),
                  "%.*s: OpenSSL %s got its last public fixes by %04u-%02u-%02u", STR_ARG(s->openssl_of),
                  openssls[i].series, until / 10000, until / 100 % 100, until % 100);
    }
}

/* ---- modes ---- */

static void check_modes(struct audit *a)
{
    const struct audit_subject *s = a->subject;
    const struct policy_path *paths;
    struct stat st;
    size_t n;

    if (s->owner_seen && s->dir_mode & 027)
        audit_add(a, CHECK_PGDATA_MODE, s->dir, "its mode is %04o", s->dir_mode);
    if (!s->policy || s->manifest)
        return;
    paths = policy_paths(s->policy, &n);
    for (size_t i = 0; i < n; i++)
        if (!paths[i].is_dir && stat(paths[i].path.p, &st) == 0 && st.st_mode & S_IROTH)
            audit_add(a, CHECK_HBA_MODE, paths[i].path, "its mode is %04o", (unsigned)(st.st_mode & 07777));
}

/* ---- settings ---- */

static bool listens_everywhere(const struct settings *settings)
{
    for (size_t i = 0; i < settings->listen_addresses.n; i++) {
        struct str address = settings->listen_addresses.at[i];
        if (str_is(address, "*") || str_is(address, "0.0.0.0") || str_is(address, "::"))
            return true;
    }
    return false;
}

static void check_settings(struct audit *a)
{
    const struct settings *settings = a->subject->settings;

    if (!settings->log_disconnections)
        edit_setting(a,
                     audit_add_setting(a, CHECK_LOG_DISCONNECTIONS_OFF, "log_disconnections",
                                       "the end of sessions is not logged"),
                     "log_disconnections", "on");
    if (listens_everywhere(settings))
        audit_add_setting(a, CHECK_LISTEN_ALL, "listen_addresses", "it listens on all addresses");
    if (settings->authentication_timeout_s > AUTH_TIMEOUT_MAX_S)
        audit_add_setting(a, CHECK_AUTH_TIMEOUT_LONG, "authentication_timeout", "a client has %d s to log in",
                          settings->authentication_timeout_s);
    if (settings->unix_socket_permissions & S_IWOTH)
        audit_add_setting(a, CHECK_SOCKET_MODE, "unix_socket_permissions", "its mode is %04o",
                          (unsigned)settings->unix_socket_permissions);
}

void check_server(struct audit *a)
{
    check_openssl(a);
    if (a->subject->kind != SUBJECT_SERVER)
        return;
    check_version(a);
    check_modes(a);
    if (a->subject->settings_seen)
        check_settings(a);
}
