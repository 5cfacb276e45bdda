/**
 * The CA of a server that has none, and the certificate that it gives the server.
 */
#ifndef PGSEAL_HARDEN_PAIR_H
#define PGSEAL_HARDEN_PAIR_H

#include "harden/target.h"
#include "pki/name.h"

struct env;

struct harden_names {
    struct san *sans; /* there is room for more */
    size_t n;
    const char *host; /* the first of them, for examples */
    bool given;       /* by the user */
};

/** E_PARAM: a given name that no certificate can carry; E_NOMEM. */
MUST_CHECK enum code harden_names_make(const char *const *given, size_t n, struct arena *arena,
                                       struct harden_names *out, struct err *e);

/**
 * Which pair is it? The last one, while it is good: it fits its key, a third of its life is left, and it has the names
 * that were given. Otherwise one of a new name, target->cert and target->key: a pair that the server may be using is
 * never overwritten, so that whoever goes back to the old settings has the old certificate, too.
 *
 * names  of the last pair are added to those given: clients use them.
 */
MUST_CHECK enum code harden_pair_choose(struct harden_target *target, struct harden_names *names,
                                        const struct env *env, struct arena *arena, struct err *e);

/** Has a certificate all names that were given? True also where it cannot be read. */
bool harden_names_in(const char *cert_file, const struct harden_names *names, struct arena *arena);
/** Where no names were given and a good certificate is there, take its names. E_NOMEM. */
MUST_CHECK enum code harden_names_keep(const struct harden_target *target, const struct env *env,
                                       struct arena *arena, struct harden_names *names, struct err *e);

/**
 * Make what is not there yet: the state directory, the CA, the certificate that was chosen.
 *
 * out_made  a certificate was issued.
 */
MUST_CHECK enum code harden_pair_make(const struct harden_target *target, const struct harden_names *names,
                                      const struct env *env, bool *out_made, struct err *e);
/** Remove a certificate that was made for a change that has failed. */
void harden_pair_forget(const struct harden_target *target);

#endif
