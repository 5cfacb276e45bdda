/* Rows of tables/settings.def that name a file. */
#include "conf/files.h"

#include "base/check.h"
#include "conf/http_place.h"
#include "conf/settings.h"

#include <stddef.h>

struct use_row {
    struct settings_file_use use;
    size_t offset;  /* in struct settings; every row has one */
    unsigned place; /* among those that are shown; 0: it is not */
    bool used;
};

#define READER_none .used = false
#define READER_READ_BY(who, at, what, called, checked)                                                       \
    .used = true, .place = (at), .use.reader = FILE_READER_##who, .use.kind = (what), .use.named = (called), \
    .use.audit = FILE_##checked

#define ROW_OF_BOOL(member, name, values)
#define ROW_OF_INT(member, name, values)
#define ROW_OF_SHARE(member, name, values)
#define ROW_OF_STRING(member, name, values)
#define ROW_OF_ENUM(member, name, values)
#define ROW_OF_NAMES(member, name, values)
#define ROW_OF_DIRS(member, name, values)
#define ROW_OF_FLAGS(member, name, values)
#define ROW_OF_LOGINS(member, name, values)
#define ROW_OF_NETS(member, name, values)
#define ROW_OF_FILE(member, name, values)                                                                    \
    { READER_##values, .use.setting = (name), .offset = offsetof(struct settings, member) },

static const struct use_row rows[] = {
#define X(member, name, type, values, unit, min, max, boot, context, category, flags, short_desc, extra)     \
    ROW_OF_##type(member, name, values)
#include "settings.def"
#undef X
};

bool settings_reads(const struct settings *settings, enum file_reader reader)
{
    struct http_place place;

    /* The value was understood when the settings were read. */
    if (!http_place_parse(settings->http_listen, &place))
        place = (struct http_place){ .kind = HTTP_OFF };
    bool exposed = place.kind == HTTP_TCP && !place.loopback;
    switch (reader) {
    case FILE_READER_TLS:
        return settings->ssl;
    case FILE_READER_HTTP:
        return exposed || (place.kind == HTTP_TCP && settings->http_cert_file.path);
    case FILE_READER_HTTP_TOKEN:
        return exposed || (place.kind != HTTP_OFF && settings->http_token_file.path);
    case FILE_READER_CHECK:
        return settings->upstream_check_url.n > 0;
    }
    UNREACHABLE();
}

static void files_take(const struct settings *settings, const struct use_row *row,
                       struct settings_file_use *out, const char **out_path)
{
    const struct settings_file *file = (const void *)((const char *)settings + row->offset);

    *out = row->use;
    *out_path = file->path;
}

bool settings_file_use(const struct settings *settings, size_t i, struct settings_file_use *out,
                       const char **out_path)
{
    for (size_t at = 0; at < COUNT_OF(rows); at++) {
        if (!rows[at].used || i-- > 0)
            continue;
        files_take(settings, &rows[at], out, out_path);
        return true;
    }
    return false;
}

bool settings_file_listed(const struct settings *settings, size_t i, struct settings_file_use *out,
                          const char **out_path)
{
    for (size_t at = 0; at < COUNT_OF(rows); at++) {
        if (rows[at].place != i + 1)
            continue;
        files_take(settings, &rows[at], out, out_path);
        return true;
    }
    return false;
}
