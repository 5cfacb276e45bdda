/**
 * Time and entropy as parameters, passed down, never global: tests run at any date, deterministically.
 */
#ifndef PGSEAL_BASE_ENV_H
#define PGSEAL_BASE_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log;

struct env {
    int64_t (*now_unix_us)(void *ctx);              /* wall clock, microseconds since 1970 UTC */
    int64_t (*mono_us)(void *ctx);                  /* never steps back */
    bool (*random)(void *ctx, void *out, size_t n); /* cryptographic; false when the source failed */
    void *ctx;
    struct log *log; /* borrowed; may be NULL: nothing is logged */
};

/** The real clock and OpenSSL's generator. `log` stays NULL. */
struct env env_system(void);

static inline int64_t env_now_s(const struct env *env)
{
    return env->now_unix_us(env->ctx) / 1000000;
}

static inline int64_t env_mono_us(const struct env *env)
{
    return env->mono_us(env->ctx);
}

static inline bool env_random(const struct env *env, void *out, size_t n)
{
    return env->random(env->ctx, out, n);
}

#endif
