/* A program that was built without libyaml (-Dyaml=disabled): a file that it cannot read is never "clean". */
#include "audit/client_items.h"
#include "audit/client_yaml.h"

const char *client_yaml_values(struct str text, const char *prefix, bool numbered, struct client_items *items)
{
    (void)text;
    (void)prefix;
    (void)numbered;
    (void)items;
    return "YAML is not supported by this build";
}

enum code client_yaml_patroni(struct str text, struct client_items *items)
{
    struct client_item *item = client_items_add(items, PURPOSE_CLUSTER, STR("the file"), 0);
    if (!item)
        return E_NOMEM;
    item->error = str_c(client_yaml_values(text, "patroni", false, items));
    return OK;
}
