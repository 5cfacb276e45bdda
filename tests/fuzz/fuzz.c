/* Shared by all fuzz targets. */
#include "fuzz.h"

#include <netdb.h>

uint8_t fuzz_byte(struct bytes *rest)
{
    uint8_t byte = rest->n > 0 ? rest->p[0] : 0;

    *rest = bytes_from(*rest, 1);
    return byte;
}

struct str fuzz_text(struct bytes *rest)
{
    struct str all = str_from_bytes(*rest);
    size_t n = str_find(all, '\0');

    *rest = bytes_from(*rest, n + 1);
    return str_first(all, n);
}

struct bytes fuzz_chunk(struct bytes *rest)
{
    size_t high = fuzz_byte(rest);
    size_t n = high << 8 | fuzz_byte(rest);

    if (n > rest->n)
        n = rest->n;
    struct bytes chunk = bytes_of(rest->p, n);
    *rest = bytes_from(*rest, n);
    return chunk;
}

static int64_t fixed_time(void *ctx)
{
    (void)ctx;
    return 1795230000000000;
}

static bool zero_random(void *ctx, void *out, size_t n)
{
    (void)ctx;
    memset(out, 0, n);
    return true;
}

const struct env fuzz_env = { .now_unix_us = fixed_time, .mono_us = fixed_time, .random = zero_random };

int __real_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **out);
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **out);

/* Numeric addresses are read as ever; names are unknown, and nobody is asked. */
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **out)
{
    struct addrinfo numeric = hints ? *hints : (struct addrinfo){ .ai_family = AF_UNSPEC };

    numeric.ai_flags |= AI_NUMERICHOST;
    return __real_getaddrinfo(node, service, &numeric, out);
}
