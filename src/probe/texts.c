#include "probe/texts.h"

#include "base/arena.h"
#include "probe/probe_run.h"

#include <netdb.h>

enum code probe_texts_add(struct probe_run *run, struct str_list_of *list, struct str text, struct err *e)
{
    struct str *grown = arena_array(run->arena, list->n + 1, sizeof *grown);

    if (!grown || !arena_str(run->arena, text, &grown[list->n]))
        return err_set(e, E_NOMEM, "out of memory");
    if (list->n > 0)
        memcpy(grown, list->items, list->n * sizeof *grown);
    list->items = grown;
    list->n++;
    return OK;
}
