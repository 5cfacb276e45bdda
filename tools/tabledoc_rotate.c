/* The page of rotate.conf's settings. */
#include "tabledoc_rotate.h"

#include "base/buf.h"
#include "base/check.h"

#include <string.h>

static const struct {
    const char *name, *sources, *boot, *help;
} settings[] = {
#define X(id, name, sources, boot, help) { name, sources, boot, help },
#include "rotate.def"
#undef X
};

static const struct {
    char letter;
    const char *name;
} sources[] = { { 'c', "ca" }, { 'a', "acme" }, { 'm', "command" }, { 'b', "bundle" } };

void rotate_page(struct buf *out)
{
    buf_append_c(
        out,
        "<!-- Made by tools/tabledoc from tables/rotate.def; edit that. -->\n"
        "# Settings of rotate.conf\n\n"
        "`rotate.conf` has the syntax of postgresql.conf. Each setting is written `NAME.setting`, where "
        "NAME is the name of a pair of certificate and key:\n\n"
        "- `server` is `ssl_cert_file` with `ssl_key_file`;\n"
        "- `http` is a gate's `http_cert_file` with `http_key_file`;\n"
        "- `canary`, `cancel_peer` and `upstream_check` are the files of the settings `canary_cert_file` and "
        "`canary_key_file`, and so on;\n"
        "- a pair of `hosts_file` has the name of its certificate's file;\n"
        "- for any other name, set `cert_file` and `key_file`.\n\n"
        "[rotate.md](rotate.md) shows how to use it.\n\n"
        "| setting | source | default | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        const char *before = "";
        buf_printf(out, "| `%s` | ", settings[i].name);
        for (size_t s = 0; s < COUNT_OF(sources); s++) {
            if (!strchr(settings[i].sources, sources[s].letter))
                continue;
            buf_printf(out, "%s%s", before, sources[s].name);
            before = ", ";
        }
        buf_printf(out, " | %s%s%s | %s |\n", settings[i].boot[0] ? "`" : "", settings[i].boot,
                   settings[i].boot[0] ? "`" : "", settings[i].help);
    }
}
