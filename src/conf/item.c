#include "conf/item.h"

#include "base/unseen.h"
#include "conf/load.h"
#include "conf/render.h"
#include "conf/value.h"

#include <limits.h>
#include <unistd.h>

/* How an item's name is written in messages. */
static enum code load_item_name(struct load *load, const struct load_item *item, const char **out)
{
    struct str name = str_c(item->def->name);

    if (item->is_family)
        TRY(family_name(&load->core->arena, item->def->name, item->entry->sub, &name));
    *out = arena_c(&load->core->arena, name);
    return *out ? OK : E_NOMEM;
}

enum code load_parse(struct load *load, struct load_item *item, void *member, struct setting_state *state)
{
    struct value_params params = { .arena = &load->core->arena, .dir = load->core->settings.dir };
    const struct conf_entry *entry = item->entry;
    struct err e = { 0 };

    TRY(load_item_name(load, item, &params.shown_name));
    enum code code = value_parse(item->def, &params, entry->value, member, &e);
    if (code == E_NOMEM)
        return code;
    if (code != OK) {
        char unseen[UNSEEN_TEXT_MAX];
        item->problem = "setting could not be applied";
        if (unseen_describe(entry->value, UNSEEN_VALUE, unseen))
            err_hint(&e, "%s", unseen);
        err_where(&e, entry->file, entry->line);
        diags_add_err(load->diags, &e);
        return OK;
    }
    *state = (struct setting_state){ .raw = entry->value, .source = SETTING_FROM_COMMAND_LINE };
    if (!item->from_command_line) {
        state->source = SETTING_FROM_FILE;
        state->sourcefile = entry->file;
        state->sourceline = entry->line;
    }
    return OK;
}
