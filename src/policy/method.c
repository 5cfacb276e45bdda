/* The rows of tables/hba_methods.def. */
#include "policy/method.h"

#include "base/buf.h"
#include "base/check.h"

/* Which records may have a method. */
enum records { RECORDS_ANYWHERE, RECORDS_ON_LOCAL, RECORDS_ON_HOST, RECORDS_ON_HOSTSSL };

#define OPTION(symbol) (1u << HBA_OPTION_##symbol)
_Static_assert(HBA_OPTION_COUNT <= 32, "a bit for each option");

static const struct {
    const char *name;
    const char *word;
    unsigned since;
    unsigned until;
    enum records records;
    unsigned options;
    enum hba_how how;
    enum hba_needs needs;
    enum hba_leaves leaves;
    const char *refusal;
    const char *asks;
    const char *asks_over_tls;
} methods[] = {
#define X(symbol, name, word, since, until, records, options, check, how, unit, needs, leaves, refusal,      \
          asks, asks_over_tls, audit, help)                                                                  \
    [HBA_METHOD_##symbol] = { name,                                                                          \
                              word,                                                                          \
                              since,                                                                         \
                              until,                                                                         \
                              RECORDS_##records,                                                             \
                              options,                                                                       \
                              HBA_HOW_##how,                                                                 \
                              HBA_NEEDS_##needs,                                                             \
                              HBA_LEAVES_##leaves,                                                           \
                              refusal,                                                                       \
                              asks,                                                                          \
                              asks_over_tls },
#include "hba_methods.def"
#undef X
};

static const bool taken_by_all[] = {
#define ITS_METHODS false
#define EVERY_METHOD true
#define X(symbol, name, type, taken_by, since, help) [HBA_OPTION_##symbol] = taken_by,
#include "hba_options.def"
#undef X
};

const char *hba_method_name(enum hba_method method)
{
    return methods[method].name;
}

const char *hba_method_word(enum hba_method method)
{
    return methods[method].word;
}

bool hba_method_find(struct str name, unsigned version, enum hba_method *out)
{
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        if (!str_is(name, methods[i].name))
            continue;
        if (version < methods[i].since || (methods[i].until && version >= methods[i].until))
            return false;
        *out = (enum hba_method)i;
        return true;
    }
    return false;
}

enum hba_how hba_method_how(enum hba_method method)
{
    return methods[method].how;
}

enum hba_needs hba_method_needs(enum hba_method method)
{
    return methods[method].needs;
}

enum hba_leaves hba_method_leaves(enum hba_method method)
{
    return methods[method].leaves;
}

const char *hba_method_misplaced(enum hba_method method, enum hba_type type)
{
    switch (methods[method].records) {
    case RECORDS_ANYWHERE:
        return NULL;
    case RECORDS_ON_LOCAL:
        return type == HBA_LOCAL ? NULL : "only supported on local sockets";
    case RECORDS_ON_HOST:
        return type != HBA_LOCAL ? NULL : "not supported on local sockets";
    case RECORDS_ON_HOSTSSL:
        return type == HBA_HOSTSSL ? NULL : "only supported on hostssl connections";
    }
    UNREACHABLE();
}

bool hba_method_takes(enum hba_method method, enum hba_option option)
{
    return taken_by_all[option] || (methods[method].options & 1u << option);
}

void hba_option_methods(enum hba_option option, unsigned version, struct buf *out)
{
    size_t n = 0, at = 0;

    for (size_t i = 0; i < COUNT_OF(methods); i++)
        n += hba_method_takes((enum hba_method)i, option) && version >= methods[i].since;
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        if (!hba_method_takes((enum hba_method)i, option) || version < methods[i].since)
            continue;
        at++;
        buf_append_c(out, at == 1 ? "" : at < n ? ", " : n == 2 ? " and " : ", and ");
        buf_append_c(out, methods[i].word);
    }
}

const char *hba_method_refusal(enum hba_method method)
{
    return methods[method].refusal;
}

const char *hba_method_asks(enum hba_method method)
{
    return methods[method].asks;
}

const char *hba_method_asks_over_tls(enum hba_method method)
{
    return methods[method].asks_over_tls;
}
