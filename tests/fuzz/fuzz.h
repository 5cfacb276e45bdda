/**
 * What fuzz targets share: cutting one input into several, an env without surprises, no name service.
 */
#ifndef PGSEAL_TESTS_FUZZ_H
#define PGSEAL_TESTS_FUZZ_H

#include "base/check.h"
#include "base/env.h"
#include "base/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** The first byte, or 0. */
uint8_t fuzz_byte(struct bytes *rest);
/** Up to the next NUL, which is swallowed; good for texts, whose seeds then stay readable. */
struct str fuzz_text(struct bytes *rest);
/** A length in two bytes, and as many bytes as there are. */
struct bytes fuzz_chunk(struct bytes *rest);
/** A fixed date; random bytes are zero. */
extern const struct env fuzz_env;

#endif
