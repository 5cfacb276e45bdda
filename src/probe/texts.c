#include "probe/texts.h"

#include "base/arena.h"
#include "client/negotiate.h"
#include "probe/look.h"

#include <netdb.h>

enum code look_add(struct look *look, struct str_list_of *list, struct str text, struct err *e)
{
    struct str *grown = arena_array(look->arena, list->n + 1, sizeof *grown);

    if (!grown || !arena_str(look->arena, text, &grown[list->n]))
        return err_set(e, E_NOMEM, "out of memory");
    if (list->n > 0)
        memcpy(grown, list->items, list->n * sizeof *grown);
    list->items = grown;
    list->n++;
    return OK;
}
