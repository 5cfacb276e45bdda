/**
 * Passphrases of keys: from a file, from a command, or from the terminal.
 */
#ifndef PGSEAL_PKI_PASSPHRASE_H
#define PGSEAL_PKI_PASSPHRASE_H

#include "pki/key.h"

/** At most one of the three; none: see below. */
struct passphrase_source {
    const char *file;    /* first line of it, or NULL */
    const char *command; /* first line of its output (os_command_line), or NULL */
    bool ask;            /* on the terminal */
    const char *what;    /* for the prompt: "the CA's key" */
};

/** True when a source was named. */
bool passphrase_requested(const struct passphrase_source *source);
/** E_USAGE when more than one was named. */
MUST_CHECK enum code passphrase_check(const struct passphrase_source *source, struct err *e);
/** For a key that is about to be written; the terminal asks twice. Empty ones are refused. */
MUST_CHECK enum code passphrase_new(const struct passphrase_source *source, struct secret *out,
                                    struct err *e);
/**
 * For a key that is read: asked when the key turns out to be encrypted; without a source, on the terminal if
 * there is one. `source` is borrowed for as long as the result is used.
 */
struct key_passphrase passphrase_for(struct passphrase_source *source);

#endif
