/* postmaster.opts from a data directory that somebody else wrote. */
#include "base/arena.h"
#include "lex/postmaster_opts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct postmaster_opts opts;
    struct arena arena;
    struct err e;

    arena_init(&arena, 16 << 20, 4096);
    (void)!postmaster_opts_parse(str_from_bytes(bytes_of(data, size)), &arena, &opts, &e);
    arena_fini(&arena);
    return 0;
}
