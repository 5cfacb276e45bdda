/**
 * Files and directories of certificates and revocation lists, as rows of a target.
 *
 * What cannot be read is a row too. All: E_NOMEM, E_LIMIT.
 */
#ifndef PGSEAL_MONITOR_FILES_H
#define PGSEAL_MONITOR_FILES_H

#include "monitor/target.h"

enum monitor_role { ROLE_SERVER, ROLE_CLIENT };

/** A file that a setting names. An empty or NULL path is no file. */
struct monitor_file {
    const char *kind;
    const char *setting; /* borrowed as long as the target */
    const char *path;
};

/**
 * A certificate of one's own and the chain that is sent with it.
 *
 * out_leaf  the first row; NULL where there is none.
 */
MUST_CHECK enum code monitor_add_chain(struct monitor_target *target, const struct monitor_file *file,
                                       enum monitor_role role, struct monitor_row **out_leaf, struct err *e);
/** CAs and revocation lists, whichever of the two the setting is named after: OpenSSL takes both from both. */
MUST_CHECK enum code monitor_add_trust(struct monitor_target *target, const struct monitor_file *file,
                                       struct err *e);
/** The revocation lists of a directory (ssl_crl_dir). */
MUST_CHECK enum code monitor_add_crl_dir(struct monitor_target *target, const struct monitor_file *dir,
                                         struct err *e);
/** A file given as a target: PEM with certificates and lists, or DER with one of either. */
MUST_CHECK enum code monitor_add_file(struct monitor_target *target, const char *path, struct err *e);
/** A directory given as a target: its files called *.crt, *.cer, *.crl and those *.pem that hold any. */
MUST_CHECK enum code monitor_add_dir(struct monitor_target *target, const char *dir, struct err *e);

#endif
