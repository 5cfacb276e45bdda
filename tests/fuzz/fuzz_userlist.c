/* PgBouncer's userlist.txt. */
#include "auth/userlist.h"
#include "base/arena.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena arena;
    AUTO(userlist) struct userlist *list = NULL;
    struct diags diags;

    arena_init(&arena, 16 << 20, 4096);
    diags_init(&diags, &arena);
    enum code code = userlist_parse(STR("userlist.txt"), bytes_of(data, size), &diags, &list);
    CHECK((code == OK) == diags_ok(&diags));
    if (code == OK && userlist_count(list) > 0)
        CHECK(userlist_find(list, str_of((const char *)data, 0)) == NULL);
    return 0;
}
