#include "audit/client_items.h"

#include "base/arena.h"

enum { SETTINGS_MAX = 10000 }; /* of one file: more are no configuration */

struct client_item *client_items_add(struct client_items *items, enum subject_purpose purpose,
                                     struct str name, unsigned line)
{
    struct client_item *list = arena_grow(items->arena, items->items, items->n, &items->room, sizeof *list);

    if (!list)
        return NULL;
    items->items = list;
    list[items->n] = (struct client_item){ .purpose = purpose, .name = name, .line = line };
    return &list[items->n++];
}

/* Once, in the place of all that follow. */
static bool tell_too_many(struct client_items *items, unsigned line)
{
    struct client_item *item;

    if (items->too_many)
        return true;
    items->too_many = true;
    item = client_items_add(items, PURPOSE_APPLICATION, STR("the file"), line);
    if (item)
        item->error = STR("it has too many settings: the rest was not read");
    return item != NULL;
}

bool client_items_set(struct client_items *items, const char *prefix, struct str name, struct str value,
                      unsigned line)
{
    struct subject_setting *list = arena_grow(items->arena, items->settings, items->n_settings,
                                              &items->settings_room, sizeof *list);
    struct subject_setting setting = { .value = value, .line = line, .in_force = true };

    if (items->n_settings == SETTINGS_MAX)
        return tell_too_many(items, line);
    if (!list)
        return false;
    items->settings = list;
    if (!arena_printf(items->arena, &setting.name, "%s.%.*s", prefix, STR_ARG(name)))
        return false;
    for (size_t i = 0; i < items->n_settings; i++)
        if (str_equal_nocase(list[i].name, setting.name))
            list[i].in_force = false; /* the last one counts */
    list[items->n_settings++] = setting;
    return true;
}
