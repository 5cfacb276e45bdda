#include "audit/server_program.h"

#include "audit/regular_file.h"
#include "audit/subject.h"
#include "base/arena.h"
#include "base/check.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <unistd.h>

#define VERSION_MARK "postgres (PostgreSQL) " /* [src: PostgreSQL 18, PG_BACKEND_VERSIONSTR] */
#define LIBRARY_MARK "libssl.so."

enum {
    CHUNK = 1 << 16,
    OVERLAP = 64, /* what is looked for is shorter */
    PROGRAM_MAX = 256 << 20
};

struct program {
    bool version_seen, library_seen;
    uint32_t major, minor;
    char library[16]; /* what is after libssl.so.: "3", "1.1", "10" */
};

/* ---- what is in the file ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static struct str digits(struct str s)
{
    size_t n = 0;

    while (n < s.n && is_digit(s.p[n]))
        n++;
    return str_first(s, n);
}

/* "15.18 (Debian …)"; a beta has no minor version. A number that ends with the chunk may go on in the next. */
static void take_version(struct str s, struct program *out)
{
    struct str major = digits(s), rest = str_from(s, major.n);
    struct str minor = digits(str_from(rest, 1));

    out->version_seen = str_starts(rest, STR(".")) && rest.n > 1 + minor.n &&
                        str_to_u32(major, 1, 999, &out->major) && str_to_u32(minor, 0, 999, &out->minor);
}

static void take_library(struct str s, struct program *out)
{
    size_t n = 0;

    while (n < s.n && (is_digit(s.p[n]) || s.p[n] == '.' || (s.p[n] >= 'a' && s.p[n] <= 'z')))
        n++;
    out->library_seen = n > 0 && n < s.n && s.p[n] == '\0' && n < sizeof out->library;
    if (!out->library_seen)
        return;
    memcpy(out->library, s.p, n);
    out->library[n] = '\0';
}

static struct str behind(struct str chunk, const char *mark)
{
    const char *at = memmem(chunk.p, chunk.n, mark, strlen(mark));

    return at ? str_from(chunk, (size_t)(at - chunk.p) + strlen(mark)) : str_of(NULL, 0);
}

static void search(struct str chunk, struct program *out)
{
    struct str found;

    if (!out->version_seen && (found = behind(chunk, VERSION_MARK)).p)
        take_version(found, out);
    if (!out->library_seen && (found = behind(chunk, LIBRARY_MARK)).p)
        take_library(found, out);
}

/* The end of each chunk is looked at once more with the next one. */
static void read_program(const char *path, struct program *out)
{
    char chunk[CHUNK];
    int fd = regular_file_is_special(path) ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    size_t kept = 0, total = 0;
    ssize_t n;

    *out = (struct program){ .version_seen = false };
    while (fd >= 0 && total < PROGRAM_MAX && !(out->version_seen && out->library_seen) &&
           (n = read(fd, chunk + kept, sizeof chunk - kept)) > 0) {
        size_t size = kept + (size_t)n;
        total += (size_t)n;
        search(str_of(chunk, size), out);
        kept = size < OVERLAP ? size : OVERLAP;
        memmove(chunk, chunk + size - kept, kept);
    }
    if (fd >= 0)
        (void)close(fd);
}

/* ---- OpenSSL ---- */

static enum code own_series(struct arena *arena, struct str *out)
{
    return arena_printf(arena, out, "%u.%u", OPENSSL_version_major(), OPENSSL_version_minor()) ? OK : E_NOMEM;
}

enum code server_program_own_openssl(struct arena *arena, struct audit_subject *subject)
{
    subject->openssl_of = str_c(OpenSSL_version(OPENSSL_VERSION));
    return own_series(arena, &subject->openssl);
}

/* A library of the system is the one that this process uses, too, where it has the same name. */
static enum code take_openssl(const struct program *p, const char *path, struct arena *arena,
                              struct audit_subject *subject)
{
    struct str name = str_c(p->library), series = STR("");
    bool of_system = str_starts(str_c(path), STR("/usr/"));
    uint32_t major;

    if (str_starts(name, STR("1.1")))
        series = STR("1.1");
    else if (str_starts(name, STR("1.0")) || str_is(name, "10")) /* "10": Red Hat's name of 1.0 */
        series = STR("1.0");
    else if (!of_system || !str_to_u32(name, 0, 999, &major) || major != OPENSSL_version_major())
        return OK;
    else if (own_series(arena, &series) != OK)
        return E_NOMEM;
    if (!arena_printf(arena, &subject->openssl_of, "\"%s\" is linked with libssl.so.%s", path, p->library))
        return E_NOMEM;
    subject->openssl = series;
    return OK;
}

/* ---- which file ---- */

static enum code take(const char *path, struct arena *arena, struct audit_subject *subject, bool *out)
{
    struct program p;

    read_program(path, &p);
    *out = p.version_seen && p.major == subject->version;
    if (!*out)
        return OK;
    subject->minor = p.minor;
    subject->minor_seen = true;
    if (!arena_str(arena, str_c(path), &subject->version_of))
        return E_NOMEM;
    return p.library_seen ? take_openssl(&p, path, arena, subject) : OK;
}

enum code server_program_look(struct str program, struct arena *arena, struct audit_subject *subject)
{
    bool taken = false;
    struct str path;

    if (subject->version == 0)
        return OK;
    if (str_starts(program, STR("/")) && !str_has_nul(program)) {
        const char *started = arena_c(arena, program);
        if (!started)
            return E_NOMEM;
        TRY(take(started, arena, subject, &taken));
    }
    for (unsigned place = 0; place < 3 && !taken; place++) {
        if (!(place == 0 ? arena_printf(arena, &path, "/usr/lib/postgresql/%u/bin/postgres", subject->version)
              : place == 1 ? arena_printf(arena, &path, "/usr/pgsql-%u/bin/postgres", subject->version)
                           : arena_str(arena, STR("/usr/bin/postgres"), &path)))
            return E_NOMEM;
        TRY(take(path.p, arena, subject, &taken));
    }
    return OK;
}
