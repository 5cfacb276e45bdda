#include "audit/client_yaml.h"

#include "audit/client_items.h"
#include "base/arena.h"
#include "base/check.h"

#include <yaml.h>

enum { DEPTH_MAX = 32, PATH_MAX_BYTES = 512 };

/* Where the parser is: "postgresql.authentication" has two levels. */
struct place {
    struct str path[DEPTH_MAX]; /* of the map or list at that depth */
    struct str key;             /* of the value that comes next; p is NULL: a key comes next */
    bool map[DEPTH_MAX];
    unsigned count[DEPTH_MAX]; /* of what is in that list so far */
    size_t depth;
    const char *prefix; /* of all names */
    bool numbered;      /* documents and the maps of lists have numbers in the names */
    unsigned document;
    struct str document_prefix;
};

static bool join(struct arena *arena, struct str path, struct str key, struct str *out)
{
    if (path.n + key.n > PATH_MAX_BYTES)
        return arena_str(arena, path, out);
    return arena_printf(arena, out, "%.*s%s%.*s", STR_ARG(path), path.n > 0 && key.n > 0 ? "." : "",
                        STR_ARG(key));
}

static bool open_level(struct place *at, bool map, struct arena *arena)
{
    struct str parent = at->depth > 0 ? at->path[at->depth - 1] : STR("");

    if (at->numbered && map && at->depth > 0 && !at->map[at->depth - 1] &&
        !arena_printf(arena, &parent, "%.*s[%u]", STR_ARG(parent), at->count[at->depth - 1]++))
        return false;
    if (at->depth < DEPTH_MAX)
        at->count[at->depth] = 0;
    if (at->depth == DEPTH_MAX || !join(arena, parent, at->key.p ? at->key : STR(""), &at->path[at->depth]))
        return false;
    at->map[at->depth++] = map;
    at->key = str_of(NULL, 0);
    return true;
}

static bool take_scalar(struct place *at, const yaml_event_t *event, struct client_items *items)
{
    struct str text = str_of((const char *)event->data.scalar.value, event->data.scalar.length), value, path;

    if (at->depth == 0)
        return true;
    if (!arena_str(items->arena, text, &value))
        return false;
    if (at->map[at->depth - 1] && !at->key.p) {
        at->key = value;
        return true;
    }
    bool ok = join(items->arena, at->path[at->depth - 1], at->key.p ? at->key : STR(""), &path) &&
              client_items_set(items, at->document_prefix.p, path, value,
                               (unsigned)event->start_mark.line + 1);
    at->key = str_of(NULL, 0);
    return ok;
}

/* False: no more is read. */
static bool take_event(struct place *at, const yaml_event_t *event, struct client_items *items)
{
    switch (event->type) {
    case YAML_MAPPING_START_EVENT:
    case YAML_SEQUENCE_START_EVENT:
        return open_level(at, event->type == YAML_MAPPING_START_EVENT, items->arena);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        at->depth -= at->depth > 0;
        at->key = str_of(NULL, 0);
        return true;
    case YAML_SCALAR_EVENT:
        return take_scalar(at, event, items);
    case YAML_ALIAS_EVENT:
        at->key = str_of(NULL, 0);
        return true;
    case YAML_DOCUMENT_START_EVENT:
        return !at->numbered ||
               arena_printf(items->arena, &at->document_prefix, "%s%u", at->prefix, at->document++);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return true;
    }
    return true;
}

const char *client_yaml_values(struct str text, const char *prefix, bool numbered, struct client_items *items)
{
    struct place at = { .prefix = prefix, .numbered = numbered, .document_prefix = str_c(prefix) };
    yaml_parser_t parser;
    bool more = true, whole = true;

    if (!yaml_parser_initialize(&parser))
        return "out of memory";
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.p, text.n);
    while (more && whole) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            whole = false;
            break;
        }
        more = event.type != YAML_STREAM_END_EVENT;
        whole = take_event(&at, &event, items);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return whole ? NULL : "it is not YAML, or is nested too deeply: the rest was not read";
}

/* ---- Patroni's connections ---- */

static const struct subject_setting *client_yaml_value_of(const struct client_items *items, const char *name)
{
    for (size_t i = items->n_settings; i > 0; i--)
        if (str_is(items->settings[i - 1].name, name))
            return &items->settings[i - 1];
    return NULL;
}

static bool add_role(struct client_items *items, const char *role, struct str host)
{
    static const struct {
        const char *name;
        enum conn_option option;
    } map[] = { { "username", CONN_USER },
                { "password", CONN_PASSWORD },
                { "sslmode", CONN_SSLMODE },
                { "sslrootcert", CONN_SSLROOTCERT },
                { "sslcert", CONN_SSLCERT },
                { "sslkey", CONN_SSLKEY },
                { "channel_binding", CONN_CHANNEL_BINDING } };
    struct conn_options options = { 0 };
    unsigned line = 0;

    for (size_t i = 0; i < COUNT_OF(map); i++) {
        struct str name;
        if (!arena_printf(items->arena, &name, "patroni.postgresql.authentication.%s.%s", role, map[i].name))
            return false;
        const struct subject_setting *value = client_yaml_value_of(items, name.p);
        if (!value)
            continue;
        options.v[map[i].option] = value->value;
        if (line == 0 || map[i].option == CONN_SSLMODE)
            line = value->line;
    }
    if (line == 0)
        return true;
    struct client_item *item = client_items_add(items, PURPOSE_CLUSTER, str_c(role), line);
    if (!item)
        return false;
    item->options = options;
    item->mode_line = options.v[CONN_SSLMODE].p ? line : 0;
    item->options.v[CONN_HOST] = host;
    return true;
}

enum code client_yaml_patroni(struct str text, struct client_items *items)
{
    static const char *const roles[] = { "superuser", "replication", "rewind" };
    const char *error = client_yaml_values(text, "patroni", false, items);

    if (error) {
        struct client_item *item = client_items_add(items, PURPOSE_CLUSTER, STR("the file"), 0);
        if (!item)
            return E_NOMEM;
        item->error = str_c(error);
    }
    const struct subject_setting *address = client_yaml_value_of(items, "patroni.postgresql.connect_address");
    struct str host = address ? str_first(address->value, str_find(address->value, ':')) : STR("leader");
    for (size_t i = 0; i < COUNT_OF(roles); i++)
        if (!add_role(items, roles[i], host))
            return E_NOMEM;
    return OK;
}
