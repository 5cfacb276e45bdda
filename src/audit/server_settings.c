#include "audit/server_settings.h"

#include "audit/collect_rules.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "conf/settings.h"
#include "lex/conf_lex.h"

#include <stdlib.h>

enum { TEXT_MAX = 1 << 20, VALUE_MAX = 1 << 12, VERSION_NEWEST = 18 };

/* What a server has where nothing is written, by version: the last row whose version is not newer counts. */
static const struct {
    const char *name;
    unsigned since;
    const char *value;
} defaults[] = {
    { "authentication_timeout", 0, "1min" },
    { "hba_file", 0, "" },
    { "ident_file", 0, "" },
    { "listen_addresses", 0, "localhost" },
    { "log_connections", 0, "" },
    { "log_disconnections", 0, "off" },
    { "password_encryption", 0, "md5" },
    { "password_encryption", 14, "scram-sha-256" },
    { "port", 0, "5432" },
    { "scram_iterations", 0, "4096" },
    { "ssl", 0, "off" },
    { "ssl_ca_file", 0, "" },
    { "ssl_cert_file", 0, "server.crt" },
    { "ssl_ciphers", 0, "HIGH:MEDIUM:+3DES:!aNULL" },
    { "ssl_crl_dir", 0, "" },
    { "ssl_crl_file", 0, "" },
    { "ssl_dh_params_file", 0, "" },
    { "ssl_groups", 0, "prime256v1" },
    { "ssl_groups", 18, "X25519:prime256v1" },
    { "ssl_key_file", 0, "server.key" },
    { "ssl_max_protocol_version", 0, "" },
    { "ssl_min_protocol_version", 0, "TLSv1" },
    { "ssl_min_protocol_version", 13, "TLSv1.2" },
    { "ssl_passphrase_command", 0, "" },
    { "ssl_passphrase_command_supports_reload", 0, "off" },
    { "ssl_prefer_server_ciphers", 0, "on" },
    { "ssl_tls13_ciphers", 0, "" },
    { "unix_socket_permissions", 0, "0777" },
};

/* ---- which line counts ---- */

struct ranked {
    const struct subject_setting *setting;
    size_t index;
};

static int by_name(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    struct str p = x->setting->name, q = y->setting->name;

    for (size_t i = 0; i < p.n && i < q.n; i++) {
        int difference = (p.p[i] | 0x20) - (q.p[i] | 0x20);
        if (difference != 0)
            return difference;
    }
    if (p.n != q.n)
        return p.n < q.n ? -1 : 1;
    if (x->setting->source != y->setting->source)
        return x->setting->source < y->setting->source ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

enum code server_settings_rank(struct subject_setting *raw, size_t n, struct arena *arena)
{
    struct ranked *order = arena_array(arena, n, sizeof *order);

    if (!order)
        return E_NOMEM;
    for (size_t i = 0; i < n; i++)
        order[i] = (struct ranked){ &raw[i], i };
    qsort(order, n, sizeof *order, by_name);
    for (size_t i = 0; i < n; i++)
        raw[order[i].index].in_force = i + 1 == n ||
                                       !str_equal_nocase(order[i].setting->name, order[i + 1].setting->name);
    return OK;
}

/* ---- values ---- */

static const char *default_of(const char *name, unsigned version)
{
    const char *value = "";

    for (size_t i = 0; i < COUNT_OF(defaults); i++)
        if (strcmp(defaults[i].name, name) == 0 && defaults[i].since <= version)
            value = defaults[i].value;
    return value;
}

/* A name of ours; old names included. NULL: no business of an audit, or not of that form. */
static const char *shared_name(struct str name)
{
    if (str_equal_nocase(name, STR("ssl_ecdh_curve")))
        return "ssl_groups";
    for (size_t i = 0; i < COUNT_OF(defaults); i++)
        if (str_equal_nocase(name, str_c(defaults[i].name)))
            return defaults[i].name;
    return NULL;
}

/* Words of older versions. */
static struct str modern(const char *name, struct str value)
{
    bool on = false;

    if (strcmp(name, "password_encryption") == 0 && str_to_bool(value, &on))
        return STR("md5");
    return value;
}

static void put_line(struct buf *out, const char *name, struct str value)
{
    buf_printf(out, "%s = '", name);
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\'' || value.p[i] == '\\')
            buf_append_byte(out, (uint8_t)value.p[i]);
        if (value.p[i] == '\n') /* one setting, one line: an error's line tells whose it is */
            buf_append_c(out, "\\n");
        else
            buf_append_byte(out, (uint8_t)value.p[i]);
    }
    buf_append_c(out, "'\n");
}

/* Line I + 1 is that of raw[lines[I]]; what has its default follows them. */
static enum code write_text(const struct audit_subject *subject, struct buf *out, size_t *lines)
{
    unsigned version = subject->version ? subject->version : VERSION_NEWEST;
    bool written[COUNT_OF(defaults)] = { false };
    size_t n = 0;

    for (size_t i = 0; i < subject->n_raw; i++) {
        const struct subject_setting *raw = &subject->raw[i];
        const char *name = shared_name(raw->name);
        if (!name || !raw->in_force || raw->error.p || n == COUNT_OF(defaults))
            continue;
        put_line(out, name, modern(name, raw->value));
        lines[n++] = i;
        for (size_t d = 0; d < COUNT_OF(defaults); d++)
            written[d] = written[d] || strcmp(defaults[d].name, name) == 0;
    }
    for (size_t d = 0; d < COUNT_OF(defaults); d++)
        if (!written[d] && defaults[d].since <= version)
            put_line(out, defaults[d].name, str_c(default_of(defaults[d].name, version)));
    return out->failed ? E_NOMEM : OK;
}

/* ---- through the parser of settings ---- */

static enum code read_text(void *ctx, const char *path, struct buf *out, struct err *e)
{
    const struct buf *text = ctx;

    (void)path;
    return buf_append(out, buf_bytes(text)) ? OK : err_set(e, E_NOMEM, "out of memory");
}

static enum code list_nothing(void *ctx, const char *path, bool (*add)(void *add_ctx, struct str name),
                              void *add_ctx, struct err *e)
{
    (void)ctx;
    (void)path;
    (void)add;
    (void)add_ctx;
    return err_set(e, E_NO_FILE, "No such file or directory");
}

static enum code load_text(struct str dir, struct buf *text, struct settings **out, struct diags *diags)
{
    const struct conf_fs fs = { read_text, list_nothing, text };
    const struct settings_params params = { .dir = dir, .fs = &fs };

    return settings_load(&params, out, diags);
}

/* Values that are refused do not count. False: none of the complaints is about one. */
static bool strike_out(const struct diags *diags, const size_t *lines, struct subject_setting *raw,
                       struct audit_subject *subject, struct arena *arena)
{
    const struct diag *d;
    bool found = false;

    STAILQ_FOREACH (d, &diags->list, next) {
        if (d->severity != SEV_ERROR || d->line == 0 || d->line > COUNT_OF(defaults) ||
            lines[d->line - 1] == SIZE_MAX)
            continue;
        struct subject_setting *setting = &raw[lines[d->line - 1]];
        setting->error = d->message;
        found = collect_broken(&subject->broken_settings, &subject->n_broken_settings, arena,
                               (struct subject_broken){ setting->file, setting->line, d->message });
    }
    return found;
}

enum code server_settings_make(struct subject_setting *raw, size_t n, struct audit_subject *subject,
                               struct arena *arena, struct settings **out)
{
    subject->raw = raw;
    subject->n_raw = n;
    for (size_t i = 0; i < n; i++)
        if (raw[i].in_force && !raw[i].error.p && raw[i].value.n > VALUE_MAX && shared_name(raw[i].name)) {
            raw[i].error = STR("the value is too long");
            if (!collect_broken(&subject->broken_settings, &subject->n_broken_settings, arena,
                                (struct subject_broken){ raw[i].file, raw[i].line, raw[i].error }))
                return E_NOMEM;
        }
    for (;;) {
        AUTO(buf) struct buf text = BUF_INIT(TEXT_MAX);
        size_t lines[COUNT_OF(defaults)];
        struct diags diags;
        for (size_t i = 0; i < COUNT_OF(lines); i++)
            lines[i] = SIZE_MAX;
        diags_init(&diags, arena);
        TRY(write_text(subject, &text, lines));
        if (load_text(subject->dir, &text, out, &diags) == OK)
            break;
        if (diags.nomem)
            return E_NOMEM;
        if (!strike_out(&diags, lines, raw, subject, arena))
            return E_CONFIG;
    }
    subject->settings = *out;
    subject->settings_seen = true;
    return OK;
}

enum code server_settings_none(struct str dir, struct arena *arena, struct settings **out)
{
    AUTO(buf) struct buf text = BUF_INIT(TEXT_MAX);
    struct diags diags;

    diags_init(&diags, arena);
    return load_text(dir, &text, out, &diags) == OK ? OK : E_NOMEM;
}
