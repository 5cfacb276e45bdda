/* Facts of a gate's directory. */
#include "cmd/gate_dir.h"

#include "base/arena.h"
#include "base/check.h"
#include "conf/settings.h"
#include "os/files.h"
#include "pki/cert.h"

enum { FACTS_ARENA_LIMIT = 1 << 22, FACTS_ARENA_FIRST = 4096 };

static const char *first_name(const char *path, struct arena *arena)
{
    AUTO(cert_list) struct cert_list list = { .n = 0 };
    struct cert_names names;
    struct str text;

    if (!os_exists(path) || cert_chain_load(path, &list, NULL) != OK ||
        cert_names_of(list.items[0], arena, &names, NULL) != OK || names.n_sans == 0 ||
        san_text(&names.sans[0], arena, &text, NULL) != OK)
        return NULL;
    return arena_c(arena, str_from(text, str_find(text, ':') + 1));
}

struct gate_facts gate_facts_read(const char *dir, struct arena *arena)
{
    AUTO(arena) struct arena scratch = { .blocks = NULL };
    struct settings_params params = { .dir = str_c(dir) };
    struct gate_facts facts = { .port = 0 };
    struct settings *settings = NULL;
    struct diags diags;

    arena_init(&scratch, FACTS_ARENA_LIMIT, FACTS_ARENA_FIRST);
    diags_init(&diags, &scratch);
    if (settings_load(&params, &settings, &diags) != OK)
        return facts;
    const struct setting_row *listen = settings_find(settings, STR("listen_addresses"));
    facts.known = true;
    facts.port = (unsigned)settings->port;
    if (settings->ssl_crl_file.path)
        facts.crl_file = arena_c(arena, str_c(settings->ssl_crl_file.path));
    facts.listen = listen ? arena_c(arena, listen->show) : NULL;
    if (settings->ssl_cert_file.path)
        facts.host = first_name(settings->ssl_cert_file.path, arena);
    settings_unref(settings);
    return facts;
}

enum code gate_state_path(const char *dir, const char *name, char out[OS_PATH_MAX], struct err *e)
{
    AUTO(arena) struct arena scratch = { .blocks = NULL };
    struct settings_params params = { .dir = str_c(dir) };
    struct settings *settings = NULL;
    struct diags diags;

    arena_init(&scratch, FACTS_ARENA_LIMIT, FACTS_ARENA_FIRST);
    diags_init(&diags, &scratch);
    bool loaded = settings_load(&params, &settings, &diags) == OK;
    enum code code = os_path(loaded ? settings_state_dir(settings) : dir, name, out, e);
    settings_unref(settings);
    return code;
}
