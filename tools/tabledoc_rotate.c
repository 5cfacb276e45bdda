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
        "NAME is the pair's name: `server` is `ssl_cert_file` with `ssl_key_file`, `http` a gate's "
        "`http_cert_file` with "
        "`http_key_file`, `canary`, `cancel_peer` and `upstream_check` what the settings of these names with "
        "`_cert_file` and `_key_file` say; any other pair names its files itself. How to use it: [rotate.md](rotate.md).\n\n"
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
