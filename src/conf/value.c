/*
 * One value: text to member.
 *
 * Messages are PostgreSQL's, which knows what each type accepts; the caller adds the place. [src: guc.c]
 */
#include "conf/value.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/ip.h"
#include "conf/http_place.h"
#include "conf/list.h"
#include "conf/route.h"
#include "conf/settings_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>

enum { NUMBER_TEXT_MAX = 256, HINT_MAX = 320 };

static enum code value_invalid(const struct value_params *params, struct str text, struct err *e)
{
    return err_set(e, E_PARAM, "invalid value for parameter \"%s\": \"%.*s\"", params->shown_name,
                   STR_ARG(text));
}

static enum code invalid_list(const struct value_params *params, struct str text, struct err *e)
{
    enum code code = value_invalid(params, text, e);

    if (str_is(str_c(params->shown_name), "log_destination"))
        err_detail(e, "List syntax is invalid.");
    else
        err_detail(e, "Invalid list syntax in parameter \"%s\".", params->shown_name);
    return code;
}

static enum code parse_bool(const struct value_params *params, struct str text, bool *member, struct err *e)
{
    if (!str_to_bool(text, member))
        return err_set(e, E_PARAM, "parameter \"%s\" requires a Boolean value", params->shown_name);
    return OK;
}

/* ---- numbers [src: guc.c, parse_int, convert_to_base_unit] ---- */

/* Largest first, so that a fraction is rounded to the next smaller one. */
static const struct {
    const char *name;
    double seconds;
} time_units[] = {
    { "d", 86400 }, { "h", 3600 }, { "min", 60 }, { "s", 1 }, { "ms", 1.0 / 1000 }, { "us", 1.0 / 1000000 },
};

static bool convert_time(struct str unit, double *value)
{
    for (size_t i = 0; i < COUNT_OF(time_units); i++) {
        if (!str_is(unit, time_units[i].name))
            continue;
        *value *= time_units[i].seconds;
        if (i + 1 < COUNT_OF(time_units)) {
            double smaller = time_units[i + 1].seconds;
            *value = rint(*value / smaller) * smaller;
        }
        return true;
    }
    return false;
}

/* A number as C's strtol and strtod read it. Returns what is after it, or NULL. */
static const char *scan_number(const char *text, double *out)
{
    char *end;

    errno = 0;
    *out = (double)strtol(text, &end, c_number_base(text));
    if (*end == '.' || *end == 'e' || *end == 'E' || errno == ERANGE) {
        errno = 0;
        *out = strtod(text, &end);
    }
    return end == text || errno == ERANGE || isnan(*out) ? NULL : end;
}

static const char *unit_text(const struct setting_def *def)
{
    return def->unit == UNIT_S ? " s" : "";
}

static enum code parse_int(const struct setting_def *def, const struct value_params *params, struct str text,
                           int *member, struct err *e)
{
    char c_text[NUMBER_TEXT_MAX];
    double value;

    const char *end = str_to_c(text, c_text, sizeof c_text) ? scan_number(c_text, &value) : NULL;
    if (!end)
        return value_invalid(params, text, e);
    struct str unit = str_trim(str_c(end));
    if (unit.n > 0 && def->unit == UNIT_NONE)
        return value_invalid(params, text, e);
    if (unit.n > 0 && !convert_time(unit, &value)) {
        enum code code = value_invalid(params, text, e);
        err_hint(e, "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".");
        return code;
    }
    value = rint(value);
    if (value > INT_MAX || value < INT_MIN) {
        enum code code = value_invalid(params, text, e);
        err_hint(e, "Value exceeds integer range.");
        return code;
    }
    if (value < def->min || value > def->max)
        return err_set(e, E_PARAM, "%d%s is outside the valid range for parameter \"%s\" (%d%s .. %d%s)",
                       (int)value, unit_text(def), params->shown_name, def->min, unit_text(def), def->max,
                       unit_text(def));
    *member = (int)value;
    return OK;
}

/* 0, or a percentage: "1%", "0.1 %". */
static enum code parse_share(const struct value_params *params, struct str text, int *member, struct err *e)
{
    char c_text[NUMBER_TEXT_MAX];
    double value;

    const char *end = str_to_c(text, c_text, sizeof c_text) ? scan_number(c_text, &value) : NULL;
    struct str unit = str_trim(str_c(end ? end : ""));
    if (!end || !(str_is(unit, "%") || (unit.n == 0 && value == 0))) {
        enum code code = value_invalid(params, text, e);
        err_hint(e, "Write a percentage in quotes, such as '1%%' or '0.1%%'; 0 turns it off.");
        return code;
    }
    if (!(value >= 0 && value <= 100))
        return err_set(e, E_PARAM, "%.*s is outside the valid range for parameter \"%s\" (0%% .. 100%%)",
                       STR_ARG(text), params->shown_name);
    *member = (int)rint(value * SHARE_PERCENT);
    return OK;
}

/* ---- words ---- */

static const struct setting_word *find_word(const struct setting_def *def, struct str text)
{
    for (size_t i = 0; i < def->words.n; i++)
        if (str_equal_nocase(text, str_c(def->words.at[i].word)))
            return &def->words.at[i];
    return NULL;
}

void setting_words_list(const struct setting_def *def, struct buf *out)
{
    bool first = true;

    for (size_t i = 0; i < def->words.n; i++) {
        const struct setting_word *known = &def->words.at[i];
        bool in_range = def->type != SETTING_ENUM || (known->value >= def->min && known->value <= def->max);
        if (known->value != known->shown || !in_range)
            continue;
        buf_printf(out, "%s%s", first ? "" : ", ", known->word);
        first = false;
    }
    if (str_is(str_c(def->name), "log_connections"))
        buf_append_c(out, ", all, on, off");
}

/* The list is whole, whichever word of it is wrong. */
static enum code invalid_word(const struct setting_def *def, const struct value_params *params,
                              struct str text, struct err *e)
{
    AUTO(buf) struct buf words = BUF_INIT(HINT_MAX);

    setting_words_list(def, &words);
    enum code code = value_invalid(params, text, e);
    err_hint(e, "Available values: %s.", buf_c(&words));
    return code;
}

/* The enumerator as an int: every such enumeration is one wide, see defs.c. */
static enum code parse_enum(const struct setting_def *def, const struct value_params *params, struct str text,
                            void *member, struct err *e)
{
    const struct setting_word *word = find_word(def, text);

    if (word && word->value >= def->min && word->value <= def->max) {
        memcpy(member, &word->shown, sizeof word->shown);
        return OK;
    }
    return invalid_word(def, params, text, e);
}

/*
 * log_connections: aspects, or one old word for three of them or none.
 * [src: PostgreSQL 18, backend_startup.c, validate_log_connections_options]
 */
static bool old_connections_word(struct str word, unsigned *out)
{
    static const char *const on[] = { "on", "true", "yes", "1" };
    static const char *const off[] = { "off", "false", "no", "0" };
    const unsigned three = 1u << CONF_LOG_RECEIPT | 1u << CONF_LOG_AUTHENTICATION |
                           1u << CONF_LOG_AUTHORIZATION;

    for (size_t i = 0; i < COUNT_OF(on); i++) {
        if (str_equal_nocase(word, str_c(on[i]))) {
            *out = three;
            return true;
        }
    }
    for (size_t i = 0; i < COUNT_OF(off); i++) {
        if (str_equal_nocase(word, str_c(off[i]))) {
            *out = 0;
            return true;
        }
    }
    return false;
}

/* A list of key words. */
static enum code split_words(const struct value_params *params, struct str text, struct settings_names *out,
                             struct err *e)
{
    enum code code = value_split(params->arena, text, LIST_IDENTIFIER, out);

    return code == OK || code == E_NOMEM ? code : invalid_list(params, text, e);
}

static enum code parse_flags(const struct setting_def *def, const struct value_params *params,
                             struct str text, unsigned *member, struct err *e)
{
    bool connections = str_is(str_c(def->name), "log_connections");
    struct settings_names words;
    unsigned flags = 0;

    TRY(split_words(params, text, &words, e));
    for (size_t i = 0; i < words.n; i++) {
        const struct setting_word *word = find_word(def, words.at[i]);
        if (word) {
            flags |= 1u << word->value;
        } else if (connections && i == 0 && old_connections_word(words.at[0], &flags)) {
            if (words.n == 1)
                break;
            enum code code = invalid_word(def, params, text, e);
            err_detail(e, "Cannot specify log_connections option \"%.*s\" in a list with other options.",
                       STR_ARG(words.at[0]));
            return code;
        } else if (connections && str_equal_nocase(words.at[i], STR("all"))) {
            flags |= (1u << def->words.n) - 1;
        } else {
            enum code code = invalid_word(def, params, text, e);
            err_detail(e, connections ? "Invalid option \"%.*s\"." : "Unrecognized key word: \"%.*s\".",
                       STR_ARG(words.at[i]));
            return code;
        }
    }
    *member = flags;
    return OK;
}

static enum code parse_logins(const struct setting_def *def, const struct value_params *params,
                              struct str text, struct settings_logins *member, struct err *e)
{
    struct settings_logins logins = { .n = 0 };
    struct settings_names words;

    TRY(split_words(params, text, &words, e));
    for (size_t i = 0; i < words.n; i++) {
        const struct setting_word *word = find_word(def, words.at[i]);
        if (!word || settings_logs_in_by(&logins, (enum conf_upstream_login)word->value)) {
            enum code code = invalid_word(def, params, text, e);
            err_detail(e, word ? "Key word \"%.*s\" is given twice." : "Unrecognized key word: \"%.*s\".",
                       STR_ARG(words.at[i]));
            return code;
        }
        CHECK(logins.n < SETTINGS_LOGINS_MAX);
        logins.at[logins.n++] = (enum conf_upstream_login)word->value;
    }
    if (logins.n == 0)
        return invalid_word(def, params, text, e);
    *member = logins;
    return OK;
}

/* ---- texts, paths, networks ---- */

static enum code resolve(const struct value_params *params, struct str path, struct str *out)
{
    bool as_is = path.n == 0 || path.p[0] == '/' || params->dir.n == 0;

    if (as_is)
        return arena_str(params->arena, path, out) ? OK : E_NOMEM;
    return arena_printf(params->arena, out, "%.*s%s%.*s", STR_ARG(params->dir),
                        str_ends(params->dir, STR("/")) ? "" : "/", STR_ARG(path))
               ? OK
               : E_NOMEM;
}

static enum code parse_file(const struct value_params *params, struct str text, struct settings_file *member,
                            struct err *e)
{
    struct settings_file file = { text, NULL };
    struct str path;

    if (text.n > 0) {
        TRY(resolve(params, text, &path));
        file.path = arena_c(params->arena, path);
        if (!file.path)
            return str_has_nul(text) ? value_invalid(params, text, e) : E_NOMEM;
    }
    *member = file;
    return OK;
}

/* Bytes outside printable ASCII as \xNN [src: PostgreSQL 18, pg_clean_ascii]. */
static enum code clean_ascii(struct arena *arena, struct str text, struct str *out)
{
    char *to = arena_alloc(arena, text.n * 4 + 1);
    size_t n = 0;

    if (!to)
        return E_NOMEM;
    for (size_t i = 0; i < text.n; i++) {
        static const char digits[] = "0123456789abcdef";
        unsigned char c = (unsigned char)text.p[i];
        if (c >= 32 && c < 127) {
            to[n++] = (char)c;
            continue;
        }
        to[n++] = '\\';
        to[n++] = 'x';
        to[n++] = digits[c >> 4];
        to[n++] = digits[c & 15];
    }
    *out = str_of(to, n);
    return OK;
}

static bool is_host_port(struct str text)
{
    struct str host = text;
    uint32_t port;

    while (host.n > 0 && host.p[host.n - 1] != ':')
        host.n--;
    return host.n > 1 && str_to_u32(str_from(text, host.n), 1, 65535, &port);
}

/* What single settings demand beyond their type. */
static enum code check_string(const struct setting_def *def, const struct value_params *params,
                              struct str text, struct err *e)
{
    struct http_place place;
    enum code code = OK;

    if (str_is(str_c(def->name), "http_listen") && !http_place_parse(text, &place)) {
        code = value_invalid(params, text, e);
        err_hint(e, "Write host:port, the path of a Unix-domain socket, or off.");
    } else if (str_is(str_c(def->name), "status_database") && text.n == 0) {
        code = value_invalid(params, text, e);
        err_hint(e, "The status database needs a name.");
    } else if (str_is(str_c(def->name), "auth_query") && !strstr(text.p, "$1")) {
        code = value_invalid(params, text, e);
        err_hint(e, "The query must use $1, the user's name.");
    }
    return code;
}

static enum code parse_string(const struct setting_def *def, const struct value_params *params,
                              struct str text, struct str *member, struct err *e)
{
    struct str value = text;

    TRY(check_string(def, params, text, e));
    if (def->flags & SETTING_ASCII)
        TRY(clean_ascii(params->arena, value, &value));
    if (def->flags & SETTING_NAME)
        value = str_first(value, SETTING_NAME_MAX);
    *member = value;
    return OK;
}

/* A list in the syntax of GUC_LIST_QUOTE, or of unix_socket_directories. */
static enum code split_names(const struct value_params *params, struct str text, enum list_style style,
                             struct settings_names *out, struct err *e)
{
    enum code code = value_split(params->arena, text, style, out);

    if (code == OK || code == E_NOMEM)
        return code;
    return err_set(e, E_PARAM, "invalid list syntax in parameter \"%s\"", params->shown_name);
}

static enum code parse_names(const struct setting_def *def, const struct value_params *params,
                             struct str text, struct settings_names *member, struct err *e)
{
    bool directories = def->type == SETTING_DIRS;
    struct settings_names names;

    TRY(split_names(params, text, directories ? LIST_DIRECTORY : LIST_GUC, &names, e));
    struct str *at = arena_array(params->arena, names.n, sizeof *at);
    if (!at)
        return E_NOMEM;
    for (size_t i = 0; i < names.n; i++) {
        at[i] = names.at[i];
        if (directories && !str_starts(at[i], STR("@")))
            TRY(resolve(params, at[i], &at[i]));
        if (str_is(str_c(def->name), "cancel_peers") && !is_host_port(at[i])) {
            enum code code = value_invalid(params, text, e);
            err_detail(e, "\"%.*s\" is not host:port.", STR_ARG(at[i]));
            return code;
        }
    }
    *member = (struct settings_names){ at, names.n };
    return OK;
}

/* ADDRESS or ADDRESS/BITS. Bits after the prefix are cleared. */
static bool parse_net(struct str text, struct settings_net *out)
{
    struct settings_net net = { .prefix_bits = 0 };
    char address[INET6_ADDRSTRLEN + 1];
    size_t slash = str_find(text, '/');
    uint32_t bits;

    if (!str_to_c(str_first(text, slash), address, sizeof address))
        return false;
    net.is_ipv6 = inet_pton(AF_INET, address, net.address) != 1;
    if (net.is_ipv6 && inet_pton(AF_INET6, address, net.address) != 1)
        return false;
    uint32_t most = net.is_ipv6 ? 128 : 32;
    bits = most;
    if (slash < text.n && !str_to_u32(str_from(text, slash + 1), 0, most, &bits))
        return false;
    if (net.is_ipv6 && bits >= IP_MAPPED_BITS && ip_is_mapped(net.address)) {
        net.is_ipv6 = false;
        memmove(net.address, net.address + IP_MAPPED_BITS / 8, 4);
        bits -= IP_MAPPED_BITS;
        most = 32;
    }
    net.prefix_bits = bits;
    for (unsigned i = bits; i < most; i++)
        net.address[i / 8] &= (uint8_t) ~(0x80u >> i % 8);
    *out = net;
    return true;
}

static enum code parse_nets(const struct value_params *params, struct str text, struct settings_nets *member,
                            struct err *e)
{
    struct settings_names names;

    TRY(split_names(params, text, LIST_GUC, &names, e));
    struct settings_net *at = arena_array(params->arena, names.n, sizeof *at);
    if (!at)
        return E_NOMEM;
    for (size_t i = 0; i < names.n; i++) {
        if (!parse_net(names.at[i], &at[i])) {
            enum code code = value_invalid(params, text, e);
            err_detail(e, "\"%.*s\" is not a network such as 10.0.0.0/8 or fd00::/8.", STR_ARG(names.at[i]));
            return code;
        }
    }
    *member = (struct settings_nets){ at, names.n };
    return OK;
}

enum code value_parse(const struct setting_def *def, const struct value_params *params, struct str text,
                      void *member, struct err *e)
{
    switch (def->type) {
    case SETTING_BOOL:
        return parse_bool(params, text, member, e);
    case SETTING_INT:
        return parse_int(def, params, text, member, e);
    case SETTING_SHARE:
        return parse_share(params, text, member, e);
    case SETTING_STRING:
        return parse_string(def, params, text, member, e);
    case SETTING_FILE:
        return parse_file(params, text, member, e);
    case SETTING_ENUM:
        return parse_enum(def, params, text, member, e);
    case SETTING_NAMES:
    case SETTING_DIRS:
        return parse_names(def, params, text, member, e);
    case SETTING_FLAGS:
        return parse_flags(def, params, text, member, e);
    case SETTING_LOGINS:
        return parse_logins(def, params, text, member, e);
    case SETTING_NETS:
        return parse_nets(params, text, member, e);
    }
    UNREACHABLE();
}
