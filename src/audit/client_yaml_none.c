/* A program that was built without libyaml (-Dyaml=disabled): a file that it cannot read is never "clean". */
#include "audit/client_items.h"
#include "audit/client_yaml.h"

enum code client_yaml_patroni(struct str text, struct client_items *items)
{
    (void)text;
    struct client_item *item = client_items_add(items, PURPOSE_CLUSTER, STR("the file"), 0);
    if (!item)
        return E_NOMEM;
    item->error = STR("YAML is not supported by this build");
    return OK;
}
