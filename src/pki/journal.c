/* The CA's journal: lines to rows and back. */

#include "pki/journal.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"

#include <inttypes.h>

enum {
    SERIAL_HEX_MAX = 2 * 21, /* 20 bytes and a sign byte [src: RFC 5280, section 4.1.2.2] */
    SHA256_HEX = 2 * CERT_SHA256_SIZE,
    FIELDS_MAX = 7
};

static const struct {
    enum ca_reason reason;
    const char *name;
} reasons[] = {
    { CA_REASON_UNSPECIFIED, "unspecified" },
    { CA_REASON_KEY_COMPROMISE, "keyCompromise" },
    { CA_REASON_AFFILIATION_CHANGED, "affiliationChanged" },
    { CA_REASON_SUPERSEDED, "superseded" },
    { CA_REASON_CESSATION, "cessationOfOperation" },
};

const char *ca_reason_name(enum ca_reason reason)
{
    for (size_t i = 0; i < COUNT_OF(reasons); i++)
        if (reasons[i].reason == reason)
            return reasons[i].name;
    UNREACHABLE();
}

bool ca_reason_from_name(struct str name, enum ca_reason *out)
{
    for (size_t i = 0; i < COUNT_OF(reasons); i++)
        if (str_equal_nocase(name, str_c(reasons[i].name))) {
            *out = reasons[i].reason;
            return true;
        }
    return false;
}

static const char *const use_names[] = {
    [CA_USE_SERVER] = "server", [CA_USE_CLIENT] = "client", [CA_USE_BOTH] = "both"
};

const char *ca_use_name(enum ca_use use)
{
    return use_names[use];
}

bool ca_use_from_name(struct str name, enum ca_use *out)
{
    size_t i = str_index_of(name, use_names, COUNT_OF(use_names));

    if (i == COUNT_OF(use_names))
        return false;
    *out = (enum ca_use)i;
    return true;
}

static bool is_hex(struct str s, size_t max)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
            return false;
    return s.n > 0 && s.n <= max;
}

struct ca_entry *journal_find(const struct journal *journal, struct str serial_hex)
{
    for (size_t i = 0; i < journal->n; i++)
        if (str_equal(journal->entries[i].serial_hex, serial_hex))
            return &journal->entries[i];
    return NULL;
}

/* Cut a line at its tabs; the last field takes the rest. Unused fields are empty. */
static size_t cut_fields(struct str line, struct str fields[FIELDS_MAX])
{
    size_t n = 0;

    for (; n < FIELDS_MAX - 1; n++) {
        size_t at = str_find(line, '\t');
        fields[n] = str_first(line, at);
        if (at == line.n)
            return n + 1;
        line = str_from(line, at + 1);
    }
    fields[n] = line;
    return n + 1;
}

static bool journal_read_time(struct str s, int64_t *out)
{
    return str_to_i64(s, 0, INT64_C(1) << 48, out);
}

static bool read_issued(const struct str *f, struct arena *arena, struct journal *journal)
{
    struct ca_entry entry = { .reason = CA_REASON_UNSPECIFIED };
    bool ok = journal_read_time(f[1], &entry.issued_unix_s) && is_hex(f[2], SERIAL_HEX_MAX) &&
              ca_use_from_name(f[3], &entry.use) && journal_read_time(f[4], &entry.not_after_unix_s) &&
              is_hex(f[5], SHA256_HEX);

    if (!ok || !arena_str(arena, f[2], &entry.serial_hex) || !arena_str(arena, f[5], &entry.sha256) ||
        !arena_str(arena, f[6], &entry.subject))
        return false;
    journal->entries[journal->n++] = entry;
    return true;
}

static bool read_revoked(const struct str *f, struct journal *journal)
{
    struct ca_entry *entry = journal_find(journal, f[2]);

    return entry && entry->revoked_unix_s == 0 && journal_read_time(f[1], &entry->revoked_unix_s) &&
           entry->revoked_unix_s > 0 && ca_reason_from_name(f[3], &entry->reason);
}

static bool read_crl(const struct str *f, struct journal *journal)
{
    int64_t time_s, number;

    if (!journal_read_time(f[1], &time_s) || !str_to_i64(f[2], 1, INT64_MAX, &number))
        return false;
    journal->crl_number = (uint64_t)number;
    return true;
}

static bool read_line(struct str line, struct arena *arena, struct journal *journal)
{
    struct str f[FIELDS_MAX];

    if (line.n == 0 || line.p[0] == '#')
        return true;
    size_t n = cut_fields(line, f);
    if (str_is(f[0], "issued"))
        return n == 7 && read_issued(f, arena, journal);
    if (str_is(f[0], "revoked"))
        return n == 4 && read_revoked(f, journal);
    return str_is(f[0], "crl") && n == 3 && read_crl(f, journal);
}

static size_t count_lines(struct str text)
{
    size_t n = 1;

    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '\n';
    return n;
}

enum code journal_parse(struct str text, const char *file, struct arena *arena, struct journal *out,
                        struct err *e)
{
    struct journal journal = { .n = 0 };
    struct str line;

    journal.entries = arena_array(arena, count_lines(text), sizeof *journal.entries);
    if (!journal.entries)
        return err_set(e, E_NOMEM, "out of memory");
    for (unsigned number = 1; str_split(&text, '\n', &line); number++) {
        if (read_line(line, arena, &journal))
            continue;
        (void)err_set(e, E_CONFIG, "journal \"%s\" has an unreadable line %u", file, number);
        err_where(e, str_c(file), number);
        return E_CONFIG;
    }
    *out = journal;
    return OK;
}

void journal_add_issued(struct buf *text, const struct ca_entry *entry)
{
    (void)buf_printf(text, "issued\t%" PRId64 "\t%.*s\t%s\t%" PRId64 "\t%.*s\t%.*s\n", entry->issued_unix_s,
                     STR_ARG(entry->serial_hex), ca_use_name(entry->use), entry->not_after_unix_s,
                     STR_ARG(entry->sha256), STR_ARG(entry->subject));
}

void journal_add_revoked(struct buf *text, int64_t now_s, struct str serial_hex, enum ca_reason reason)
{
    (void)buf_printf(text, "revoked\t%" PRId64 "\t%.*s\t%s\n", now_s, STR_ARG(serial_hex),
                     ca_reason_name(reason));
}

void journal_add_crl(struct buf *text, int64_t now_s, uint64_t number)
{
    (void)buf_printf(text, "crl\t%" PRId64 "\t%" PRIu64 "\n", now_s, number);
}
