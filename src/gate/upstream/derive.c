/* Keys from passwords, off the loop. */
#include "gate/upstream/derive.h"

#include "base/secret.h"
#include "net/loop.h"

#include <stdlib.h>

struct derive {
    struct derive_owner owner;
    struct password password;
    struct verifier verifier; /* checked against, or made */
    uint8_t salt[SCRAM_SALT_BYTES];
    uint32_t iterations; /* 0: check */
    enum code code;
    bool working;
    bool abandoned;
    size_t user_n;
    char user[]; /* of the startup packet */
};

static void destroy(struct derive *d)
{
    password_wipe(&d->password);
    verifier_wipe(&d->verifier);
    free(d);
}

static void derive_work(void *arg)
{
    struct derive *d = arg;
    struct bytes password = password_bytes(&d->password);

    if (d->iterations > 0)
        d->code = scram_verifier_make(password, bytes_of(d->salt, sizeof d->salt), d->iterations,
                                      &d->verifier.scram);
    else
        d->code = verifier_check_password(&d->verifier, str_of(d->user, d->user_n), password);
}

static void worked(void *arg)
{
    struct derive *d = arg;

    d->working = false;
    if (d->abandoned)
        destroy(d);
    else
        d->owner.done(d->owner.arg);
}

static struct derive *derive_new(struct bytes password, struct str user, const struct derive_owner *owner)
{
    struct derive *d = calloc(1, sizeof *d + user.n);

    if (!d)
        return NULL;
    d->owner = *owner;
    d->user_n = user.n;
    if (user.n > 0)
        memcpy(d->user, user.p, user.n);
    if (password_set(&d->password, password) == OK)
        return d;
    destroy(d);
    return NULL;
}

static struct derive *derive_begin(struct derive *d)
{
    d->working = loop_job(d->owner.loop, derive_work, worked, d);
    if (d->working)
        return d;
    destroy(d);
    return NULL;
}

struct derive *derive_check(const struct verifier *verifier, struct str user, struct bytes password,
                            const struct derive_owner *owner)
{
    struct derive *d = derive_new(password, user, owner);

    if (!d)
        return NULL;
    d->verifier = *verifier;
    return derive_begin(d);
}

struct derive *derive_verifier(struct bytes password, const uint8_t salt[SCRAM_SALT_BYTES],
                               uint32_t iterations, const struct derive_owner *owner)
{
    struct derive *d = derive_new(password, STR(""), owner);

    if (!d)
        return NULL;
    memcpy(d->salt, salt, sizeof d->salt);
    d->iterations = iterations;
    return derive_begin(d);
}

enum code derive_code(const struct derive *d)
{
    return d->code;
}

const struct scram_verifier *derive_made(const struct derive *d)
{
    return &d->verifier.scram;
}

void derive_free(struct derive *d)
{
    if (!d)
        return;
    if (d->working)
        d->abandoned = true;
    else
        destroy(d);
}
