/**
 * FNV-1a, 64 bits: for tables that are bounded, so that chains are short even if a client chooses the keys.
 */
#ifndef PGSEAL_BASE_HASH_H
#define PGSEAL_BASE_HASH_H

#include "base/slice.h"

#define HASH_BEGIN UINT64_C(0xcbf29ce484222325)

static inline uint64_t hash_byte(uint64_t hash, uint8_t byte)
{
    return (hash ^ byte) * UINT64_C(0x100000001b3);
}

static inline uint64_t hash_bytes(uint64_t hash, struct bytes bytes)
{
    for (size_t i = 0; i < bytes.n; i++)
        hash = hash_byte(hash, bytes.p[i]);
    return hash;
}

static inline uint64_t hash_str(uint64_t hash, struct str s)
{
    return hash_bytes(hash, str_bytes(s));
}

#endif
