/*
 * Where a setting is written that clears a finding.
 *
 * The line that counts is edited, wherever it is: what postgresql.auto.conf says overrides postgresql.conf, and a
 * command line overrides both. [src: PostgreSQL 18, "Setting Parameters"]
 */
#include "harden/fix_settings.h"

#include "audit/check_tls.h"
#include "base/arena.h"
#include "base/check.h"
#include "conf/settings.h"
#include "harden/setting_line.h"
#include "os/files.h"

enum { PG_WITH_GROUPS = 18, PG_WITH_LOG_WORDS = 18 };

struct remedy {
    enum check check;
    const char *name, *value; /* without quotes */
    unsigned since, until;    /* of a server: for versions from and before; 0: any */
};

static const struct remedy remedies[] = {
    { CHECK_TLS_VERSION_OLD, "ssl_min_protocol_version", "TLSv1.2", 0, 0 },
    { CHECK_TLS_VERSION_12, "ssl_min_protocol_version", "TLSv1.3", 0, 0 },
    { CHECK_TLS_VERSION_MAXIMUM, "ssl_max_protocol_version", "", 0, 0 },
    { CHECK_CIPHERS_WEAK, "ssl_ciphers", STRONG_CIPHERS, 0, 0 },
    { CHECK_CIPHERS_LEGACY, "ssl_ciphers", STRONG_CIPHERS, 0, 0 },
    { CHECK_CIPHERS_DHE, "ssl_ciphers", STRONG_CIPHERS, 0, 0 },
    { CHECK_CIPHER_ORDER, "ssl_prefer_server_ciphers", "on", 0, 0 },
    { CHECK_DH_PARAMS_WEAK, "ssl_dh_params_file", "", 0, 0 },
    { CHECK_GROUPS_FAIL_IN_FIPS, "ssl_ecdh_curve", "prime256v1", 0, PG_WITH_GROUPS },
    { CHECK_GROUPS_FAIL_IN_FIPS, "ssl_groups", "prime256v1:secp384r1", PG_WITH_GROUPS, 0 },
    { CHECK_PASSPHRASE_BLOCKS_RELOAD, "ssl_passphrase_command_supports_reload", "on", 0, 0 },
    { CHECK_PASSWORD_ENCRYPTION, "password_encryption", "scram-sha-256", 0, 0 },
    { CHECK_SCRAM_ITERATIONS, "scram_iterations", "4096", 0, 0 },
    { CHECK_LOG_CONNECTIONS_OFF, "log_connections", "on", 0, PG_WITH_LOG_WORDS },
    { CHECK_LOG_CONNECTIONS_OFF, "log_connections", "authorization", PG_WITH_LOG_WORDS, 0 },
    { CHECK_LOG_DISCONNECTIONS_OFF, "log_disconnections", "on", 0, 0 },
    { CHECK_AUTH_TIMEOUT_LONG, "authentication_timeout", "1min", 0, 0 },
    { CHECK_RELOAD_OFF, "reload_on_change", "certificates", 0, 0 },
};

/* ---- where a setting is ---- */

static struct str main_file(const struct audit_subject *subject)
{
    if (subject->kind == SUBJECT_GATE)
        return subject->settings->files.n > 0 ? subject->settings->files.at[0] : STR("");
    return subject->n_files > 0 ? subject->files[0] : STR("");
}

static bool is_auto(const struct planning *p, struct str file)
{
    return p->plan->auto_file && str_is(file, p->plan->auto_file);
}

/* The last line of a text that sets this; 0: none does. */
static unsigned line_of(const struct harden_text *text, const char *name)
{
    struct setting_line parts;
    unsigned found = 0, number = 0;

    for (size_t i = 0; i < text->n; i++) {
        struct str line = text->lines[i].after;
        if (!line.p)
            continue;
        number++;
        if (setting_line_parse(line, &parts) && str_equal_nocase(parts.name, str_c(name)))
            found = number;
    }
    return found;
}

/* After the default that is commented out, where the file has one; else at the end. */
static unsigned place_for(const struct harden_text *text, const char *name)
{
    struct setting_line parts;
    unsigned number = 0;

    for (size_t i = 0; i < text->n; i++) {
        struct str line = text->lines[i].after;
        if (!line.p)
            continue;
        number++;
        if (setting_line_commented(line, &parts) && str_equal_nocase(parts.name, str_c(name)))
            return number + 1;
    }
    return number + 1;
}

/* ---- the edits ---- */

struct setting_wish {
    const char *name;
    struct str value; /* in quotes, where it needs them */
    struct str why;
};

static struct fix change_line(struct planning *p, const struct setting_wish *w, struct harden_text *text,
                              unsigned line)
{
    struct str old = harden_text_line(text, line), new;
    struct setting_line parts;

    if (!old.p || !setting_line_parse(old, &parts) || !str_equal_nocase(parts.name, str_c(w->name)))
        return FIX_LEFT("the line that sets it could not be found in its file");
    if (!setting_line_set(old, &parts, w->value, p->wish->arena, &new)) {
        p->nomem = true;
        return (struct fix){ false, STR("") };
    }
    planning_edit(p, (struct edit){ EDIT_REPLACE, text, line, new, w->why });
    return (struct fix){ true, STR("") };
}

static struct fix add_line(struct planning *p, const struct setting_wish *w, struct harden_text *text)
{
    unsigned line = is_auto(p, text->path) ? harden_text_count(text) + 1 : place_for(text, w->name);
    struct str content = planning_print(p, "%s = %.*s", w->name, STR_ARG(w->value));

    planning_edit(p, (struct edit){ EDIT_INSERT, text, line, content, w->why });
    return (struct fix){ true, STR("") };
}

/* In this file: the line that is there, or a new one. */
static struct fix put_in(struct planning *p, const struct setting_wish *w, struct str file)
{
    struct harden_text *text = planning_text(p, file);

    if (!text)
        return (struct fix){ false, planning_print(p, "\"%.*s\" could not be read", STR_ARG(file)) };
    unsigned line = line_of(text, w->name);
    return line > 0 ? change_line(p, w, text, line) : add_line(p, w, text);
}

/* A file of its own, unless a line elsewhere counts more. */
static struct fix put_in_own(struct planning *p, const struct setting_wish *w, const char *own)
{
    struct harden_text *text = planning_text(p, str_c(own));
    struct setting_line parts;

    unsigned line = text ? line_of(text, w->name) : 0;
    if (line > 0 && setting_line_parse(harden_text_line(text, line), &parts) &&
        str_equal(parts.value, w->value))
        return (struct fix){ false, STR("") };
    return put_in(p, w, str_c(own));
}

static struct fix put_setting(struct planning *p, const struct setting_wish *w)
{
    const struct subject_setting *raw = subject_raw(p->subject, w->name);
    struct str file;
    unsigned line;

    if (raw && raw->source == SUBJECT_FROM_COMMAND_LINE)
        return (struct fix){ false,
                             planning_print(p,
                                            "the command line of the running server sets %s: change it "
                                            "where the server is started",
                                            w->name) };
    if (p->wish->way == HARDEN_ALTER_SYSTEM && p->plan->auto_file)
        return put_in(p, w, str_c(p->plan->auto_file));
    if (raw && raw->source == SUBJECT_FROM_AUTO_FILE)
        return put_in(p, w, raw->file);
    if (p->wish->way == HARDEN_CONF_D && p->plan->conf_d_file) {
        struct fix fix = put_in_own(p, w, p->plan->conf_d_file);
        if (fix.edited || fix.why.n > 0)
            return fix;
    }
    subject_place(p->subject, w->name, &file, &line);
    if (file.n == 0 || line == 0)
        return put_in(p, w, main_file(p->subject));
    struct harden_text *text = planning_text(p, file);
    return text ? change_line(p, w, text, line)
                : (struct fix){ false, planning_print(p, "\"%.*s\" could not be read", STR_ARG(file)) };
}

static struct fix put_value(struct planning *p, const char *name, const char *value, struct str why)
{
    struct setting_wish w = { .name = name, .why = why };
    bool word = value[0] != '\0';

    for (const char *c = value; *c && word; c++)
        word = (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9');
    if (word && !(p->wish->way == HARDEN_ALTER_SYSTEM))
        w.value = str_c(value);
    else if (!setting_value_quoted(str_c(value), p->wish->arena, &w.value))
        p->nomem = true;
    return put_setting(p, &w);
}

/* ---- certificate and key ---- */

static struct str reason(struct planning *p, const struct finding *f)
{
    return planning_print(p, "%s: %s", check_id(f->check), check_title(f->check));
}

static struct fix put_pair(struct planning *p, struct str why)
{
    const struct settings *settings = p->subject->settings;
    bool named = settings->ssl_cert_file.path && settings->ssl_key_file.path &&
                 strcmp(settings->ssl_cert_file.path, p->wish->cert_file) == 0 &&
                 strcmp(settings->ssl_key_file.path, p->wish->key_file) == 0;

    p->plan->needs_pair = true;
    if (named)
        return (struct fix){ false, STR("") };
    struct fix cert = put_value(p, "ssl_cert_file", p->wish->cert_file, why);
    struct fix key = put_value(p, "ssl_key_file", p->wish->key_file, why);
    return cert.why.n > 0 ? cert : key;
}

/* On with TLS, and with a certificate where there is none. */
static struct fix turn_on(struct planning *p, struct str why)
{
    const char *path = p->subject->settings->ssl_cert_file.path;
    bool there = path && os_exists(path);

    if (!there && !p->wish->cert_file)
        return FIX_LEFT("there is no certificate: pgseal init makes one");
    if (!there) {
        struct fix fix = put_pair(p, why);
        if (fix.why.n > 0)
            return fix;
    }
    return put_value(p, "ssl", "on", why);
}

/* Its files are made by harden itself. */
static bool is_about_pair(const struct planning *p, const struct finding *f)
{
    const char *cert = p->wish->cert_file;

    return cert && (str_starts(f->where, str_c(cert)) || str_starts(f->where, str_c(p->wish->key_file)));
}

static struct fix new_certificate(struct planning *p, const struct finding *f)
{
    const char *own = p->subject->settings->ssl_cert_file.path;

    if (!own || !str_starts(f->where, str_c(own)))
        return (struct fix){ false, f->fix }; /* a CA's, or a list's */
    if (!p->wish->cert_file)
        return FIX_LEFT("renew it: pgseal cert renew, or pgseal rotate");
    return put_pair(p, reason(p, f));
}

/* A certificate that some CA issued is that CA's business. */
static bool is_of_certificate(enum check check)
{
    return check == CHECK_CERTIFICATE_WEAK_KEY || check == CHECK_CERTIFICATE_WEAK_SIGNATURE ||
           check == CHECK_CERTIFICATE_WITHOUT_NAMES || check == CHECK_CERTIFICATE_CN_ONLY ||
           check == CHECK_CERTIFICATE_EKU || check == CHECK_CERTIFICATE_EXPIRED ||
           check == CHECK_CERTIFICATE_EXPIRING || check == CHECK_CERTIFICATE_NOT_YET ||
           check == CHECK_CERTIFICATE_LONG_LIFE || check == CHECK_CERTIFICATE_PLUS_UNFIT ||
           check == CHECK_CERTIFICATE_CA_ENDS_FIRST;
}

bool fix_settings(struct planning *p, const struct finding *f, struct fix *out)
{
    unsigned version = p->subject->kind == SUBJECT_SERVER ? p->subject->version : 0;

    if (is_about_pair(p, f)) {
        p->plan->needs_pair = true;
        *out = (struct fix){ false, STR("") };
        return true;
    }
    if (f->check == CHECK_TLS_OFF) {
        *out = turn_on(p, reason(p, f));
        return true;
    }
    if (f->check == CHECK_CERTIFICATE_SELF_SIGNED || f->check == CHECK_CERTIFICATE_UNREADABLE) {
        *out = new_certificate(p, f);
        return true;
    }
    if (is_of_certificate(f->check)) {
        *out = FIX_LEFT("ask the CA that issued the certificate for a new one; pgseal "
                        "rotate can do that by itself");
        return true;
    }
    if (f->check == CHECK_SCRAM_ITERATIONS && str_starts(f->where, STR("role ")))
        return false;
    for (size_t i = 0; i < COUNT_OF(remedies); i++) {
        const struct remedy *r = &remedies[i];
        if (r->check != f->check || (version > 0 && version < r->since) ||
            (r->until > 0 && (version == 0 || version >= r->until)))
            continue;
        *out = put_value(p, r->name, r->value, reason(p, f));
        return true;
    }
    return false;
}

void fix_names(struct planning *p)
{
    const struct settings *settings = p->subject->settings;
    const char *path = settings->ssl ? settings->ssl_cert_file.path : NULL;

    if (!p->wish->names_given || !p->wish->cert_file || !path || strcmp(path, p->wish->cert_file) == 0 ||
        !str_starts(str_c(path), str_c(p->wish->own_dir)))
        return;
    p->finding = NULL;
    (void)put_pair(p, STR("--host: the certificate lacks a name that was given"));
}
