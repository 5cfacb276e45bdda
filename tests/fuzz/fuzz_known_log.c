/* A server's log, in which clients write their own names. */
#include "audit/known.h"
#include "base/arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct known_clients known;
    struct arena arena;

    arena_init(&arena, 64 << 20, 4096);
    known_init(&known, &arena);
    known_add_log(&known, str_from_bytes(bytes_of(data, size)), STR("log"));
    arena_fini(&arena);
    return 0;
}
