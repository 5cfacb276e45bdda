/* Session settings. [src: PostgreSQL 18, "Server Configuration", "SET"] */
#include "status/vars.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/clean.h"
#include "pgwire/backend.h"
#include "pgwire/hello.h"

#include <stdlib.h>

enum { VALUE_MAX = 256 };
_Static_assert(CLEAN_GROWTH *PG_NAME_MAX < VALUE_MAX, "a cleaned name fits");

enum var_kind {
    KIND_FIXED,
    KIND_TEXT,
    KIND_NAME, /* cut and cleaned, as application_name is */
    KIND_BOOL,
    KIND_NUMBER,
    KIND_MS,
    KIND_ENCODING,
    KIND_DATESTYLE,
    KIND_ZONE,
    KIND_ONLY
};

struct var_def {
    const char *name;
    const char *initial;
    enum var_kind kind;
    bool report;
    const char *help;
};

static const struct var_def defs[] = {
#define X(name, initial, kind, report, help) { name, initial, KIND_##kind, report, help },
#include "vars.def"
#undef X
};

struct values {
    char text[COUNT_OF(defs)][VALUE_MAX];
};

struct vars {
    struct values now;
    struct values start;    /* for RESET */
    struct values before;   /* for ROLLBACK */
    struct values kept;     /* for COMMIT: without what SET LOCAL did */
    struct values reported; /* last ParameterStatus */
};

struct vars *vars_new(void)
{
    struct vars *vars = calloc(1, sizeof *vars);

    if (vars == NULL)
        return NULL;
    for (size_t i = 0; i < COUNT_OF(defs); i++)
        CHECK(str_to_c(str_c(defs[i].initial), vars->now.text[i], VALUE_MAX));
    vars_mark(vars);
    return vars;
}

void vars_free(struct vars *vars)
{
    free(vars);
}

void vars_auto(struct vars **vars)
{
    vars_free(*vars);
}

static bool vars_find(struct str name, size_t *out)
{
    for (size_t i = 0; i < COUNT_OF(defs); i++) {
        if (str_equal_nocase(name, str_c(defs[i].name))) {
            *out = i;
            return true;
        }
    }
    return false;
}

/* Old names of settings go on working [src: PostgreSQL 18, map_old_guc_names]. */
struct str vars_proper_name(struct str name)
{
    size_t i;

    if (str_equal_nocase(name, STR("ssl_ecdh_curve")))
        return STR("ssl_groups");
    return vars_find(name, &i) ? str_c(defs[i].name) : name;
}

size_t vars_count(const struct vars *vars)
{
    (void)vars;
    return COUNT_OF(defs);
}

bool vars_at(const struct vars *vars, size_t i, struct str *out_name, struct str *out_value,
             struct str *out_help)
{
    if (i >= COUNT_OF(defs))
        return false;
    *out_name = str_c(defs[i].name);
    *out_value = str_c(vars->now.text[i]);
    *out_help = str_c(defs[i].help);
    return true;
}

bool vars_get(const struct vars *vars, struct str name, struct str *out_name, struct str *out_value)
{
    size_t i;

    if (!vars_find(name, &i))
        return false;
    *out_name = str_c(defs[i].name);
    *out_value = str_c(vars->now.text[i]);
    return true;
}

static enum code vars_invalid(size_t i, struct str value, struct err *e)
{
    return err_set(e, E_PARAM, "invalid value for parameter \"%s\": \"%.*s\"", defs[i].name, STR_ARG(value));
}

static bool is_word_of(struct str value, const char *list)
{
    struct str rest = str_c(list), word;

    while (str_split(&rest, ' ', &word))
        if (str_equal_nocase(word, value))
            return true;
    return false;
}

/* 100, 100ms, 5s, 2min, 1h, 1d → milliseconds */
static bool read_ms(struct str value, int64_t *out)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = { { "", 1 },        { "ms", 1 },          { "s", 1000 },
                  { "min", 60000 }, { "h", 3600 * 1000 }, { "d", INT64_C(86400) * 1000 } };
    size_t digits = 0;
    int64_t v;

    value = str_trim(value);
    while (digits < value.n && value.p[digits] >= '0' && value.p[digits] <= '9')
        digits++;
    if (!str_to_i64(str_first(value, digits), 0, INT32_MAX, &v))
        return false;
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (str_is(str_trim(str_from(value, digits)), units[i].unit)) {
            *out = v * units[i].ms;
            return *out <= INT32_MAX;
        }
    }
    return false;
}

/* Any list with ISO in it; the order of day and month is kept but never needed. */
static bool read_datestyle(struct str value, struct str *out)
{
    struct str rest = value, word;
    const char *style = "ISO, MDY";

    while (str_split(&rest, ',', &word)) {
        word = str_trim(word);
        if (is_word_of(word, "dmy euro european"))
            style = "ISO, DMY";
        else if (is_word_of(word, "ymd"))
            style = "ISO, YMD";
        else if (!is_word_of(word, "iso mdy us noneuro noneuropean"))
            return false;
    }
    *out = str_c(style);
    return true;
}

/* Check a value and bring it into the form that is shown, perhaps in `room`. */
static enum code canonical(size_t i, struct str value, char room[VALUE_MAX], struct str *out, struct err *e)
{
    static const char zones[] =
        "utc gmt etc/utc etc/gmt uct etc/uct zulu universal greenwich z 0 +0 -0 +00 +00:00";
    bool truth, ok = true;
    int64_t number;

    *out = value;
    switch (defs[i].kind) {
    case KIND_FIXED:
        return err_set(e, E_CANT_CHANGE, "parameter \"%s\" cannot be changed", defs[i].name);
    case KIND_TEXT:
        break;
    case KIND_NAME:
        *out = clean_into(CLEAN_ASCII, clean_cut(value, PG_NAME_MAX), room);
        break;
    case KIND_BOOL:
        ok = str_to_bool(value, &truth);
        *out = ok && truth ? STR("on") : STR("off");
        break;
    case KIND_NUMBER:
        ok = str_to_i64(str_trim(value), -15, 15, &number);
        break;
    case KIND_MS:
        ok = read_ms(value, &number);
        break;
    case KIND_ENCODING:
        ok = is_word_of(value, "utf8 utf-8 unicode sql_ascii");
        *out = ok && str_equal_nocase(value, STR("sql_ascii")) ? STR("SQL_ASCII") : STR("UTF8");
        break;
    case KIND_DATESTYLE:
        ok = read_datestyle(value, out);
        break;
    case KIND_ZONE:
        if (!is_word_of(value, zones))
            return err_set(e, E_UNSUPPORTED, "the status database shows times in UTC only");
        *out = is_word_of(value, "gmt etc/gmt greenwich") ? STR("GMT") : STR("UTC");
        break;
    case KIND_ONLY:
        if (strcmp(defs[i].initial, "on") == 0)
            ok = str_to_bool(value, &truth) && truth;
        else
            ok = str_equal_nocase(value, str_c(defs[i].initial));
        if (!ok)
            return err_set(e, E_UNSUPPORTED,
                           "parameter \"%s\" cannot be other than \"%s\" in the status database",
                           defs[i].name, defs[i].initial);
        *out = str_c(defs[i].initial);
        break;
    }
    return ok ? OK : vars_invalid(i, value, e);
}

static bool store(struct vars *vars, size_t i, struct str value)
{
    char text[VALUE_MAX];

    if (!str_to_c(str_first(value, VALUE_MAX - 1), text, sizeof text))
        return false;
    memcpy(vars->now.text[i], text, sizeof text);
    return true;
}

static bool unreported(const struct vars *vars, size_t i)
{
    return defs[i].report && strcmp(vars->now.text[i], vars->reported.text[i]) != 0;
}

enum code vars_set(struct vars *vars, struct str name, struct str value, bool *out_changed, struct err *e)
{
    char room[VALUE_MAX];
    struct str shown;
    size_t i;

    if (!vars_find(name, &i))
        return err_set(e, E_UNDEFINED, "unrecognized configuration parameter \"%.*s\"", STR_ARG(name));
    TRY(canonical(i, value, room, &shown, e));
    if (!store(vars, i, shown))
        return vars_invalid(i, value, e);
    *out_changed = unreported(vars, i);
    return OK;
}

enum code vars_reset(struct vars *vars, struct str name, bool *out_changed, struct err *e)
{
    size_t i;

    *out_changed = false;
    if (name.n > 0) {
        if (!vars_find(name, &i))
            return err_set(e, E_UNDEFINED, "unrecognized configuration parameter \"%.*s\"", STR_ARG(name));
        if (defs[i].kind == KIND_FIXED)
            return err_set(e, E_CANT_CHANGE, "parameter \"%s\" cannot be changed", defs[i].name);
        memcpy(vars->now.text[i], vars->start.text[i], VALUE_MAX);
        *out_changed = unreported(vars, i);
        return OK;
    }
    vars->now = vars->start;
    for (i = 0; i < COUNT_OF(defs); i++)
        *out_changed = *out_changed || unreported(vars, i);
    return OK;
}

void vars_preset(struct vars *vars, const char *name, struct str value)
{
    size_t i;

    if (vars_find(str_c(name), &i))
        (void)store(vars, i, value);
}

void vars_mark(struct vars *vars)
{
    vars->start = vars->now;
}

void vars_begin(struct vars *vars)
{
    vars->before = vars->kept = vars->now;
}

void vars_keep(struct vars *vars, struct str name)
{
    size_t i;

    if (name.n == 0)
        vars->kept = vars->now;
    else if (vars_find(name, &i))
        memcpy(vars->kept.text[i], vars->now.text[i], VALUE_MAX);
}

void vars_commit(struct vars *vars)
{
    vars->now = vars->kept;
}

void vars_rollback(struct vars *vars)
{
    vars->now = vars->before;
}

void vars_report(struct vars *vars, bool only_changed, struct buf *out)
{
    CHECK(vars != NULL);
    for (size_t i = 0; i < COUNT_OF(defs); i++) {
        if (!defs[i].report || (only_changed && !unreported(vars, i)))
            continue;
        backend_parameter_status(out, str_c(defs[i].name), str_c(vars->now.text[i]));
        memcpy(vars->reported.text[i], vars->now.text[i], VALUE_MAX);
    }
}

int64_t vars_ms(const struct vars *vars, const char *name)
{
    size_t i;
    int64_t ms = 0;

    if (vars_find(str_c(name), &i))
        (void)read_ms(str_c(vars->now.text[i]), &ms);
    return ms;
}
