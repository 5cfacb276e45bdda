/* The page of the audit's checks. */
#include "tabledoc_checks.h"

#include "base/buf.h"
#include "base/check.h"

static const struct {
    const char *id, *severity, *title, *fix;
    unsigned item;
} checks[] = {
#define X(name, id, severity, item, title, fix) { id, #severity, title, fix, item },
#include "checks.def"
#undef X
};

/* The checklist that the product exists to turn green. */
static const char *const checklist[] = {
    "",
    "TLS is on, with strong ciphers and TLS 1.2 or newer",
    "the server certificate is signed by a CA that the clients trust, with the right names",
    "TLS is required of every connection from another machine",
    "the server is verified in full (`sslmode=verify-full`)",
    "certificates are rotated without a restart",
    "expiry is seen in good time",
};

static void lower(struct buf *out, const char *word)
{
    for (const char *c = word; *c; c++)
        buf_append_byte(out, (uint8_t)(*c | 0x20));
}

void checks_page(struct buf *out)
{
    buf_append_c(out, "<!-- Made by tools/tabledoc from tables/checks.def; edit that. -->\n"
                      "# What an audit looks for\n\n"
                      "`SELECT * FROM pgseal_findings` in the status database shows what it finds in the "
                      "configuration in force.\n\n## The checklist\n\n");
    for (size_t i = 1; i < COUNT_OF(checklist); i++)
        buf_printf(out, "%zu. %s\n", i, checklist[i]);
    buf_append_c(
        out, "\n## The checks\n\n| id | severity | item | finding | what to do |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < COUNT_OF(checks); i++) {
        buf_printf(out, "| `%s` | ", checks[i].id);
        lower(out, checks[i].severity);
        buf_append_c(out, " | ");
        if (checks[i].item > 0)
            buf_printf(out, "%u", checks[i].item);
        buf_printf(out, " | %s | %s |\n", checks[i].title, checks[i].fix);
    }
}
