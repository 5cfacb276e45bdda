/**
 * A second look at certificates and revocation lists that OpenSSL would serve without a word.
 *
 * OpenSSL loads an expired certificate, half a chain and a stale CRL; clients then find out. What is found
 * here is told at each load, and under `reload_policy = strict` it refuses a reload.
 */
#ifndef PGSEAL_GATE_LOAD_CERT_CHECK_H
#define PGSEAL_GATE_LOAD_CERT_CHECK_H

#include "base/err.h"

struct cert_list;
struct crl_list;
struct settings;

struct inspection {
    const struct settings *settings; /* borrowed; ssl is on and its files have been loaded */
    const char *cert_file;           /* NULL: that of ssl_cert_file */
    const char *const *ca_files;     /* of client certificates; NULL: that of ssl_ca_file */
    size_t n_ca_files;
    const struct cert_list *served;      /* what clients get, the leaf first; NULL: what is in the file */
    const struct cert_list *running;     /* what they got until now; NULL at start, else not empty */
    const struct cert_list *running_cas; /* of ssl_ca_file until now; NULL: do not compare */
    int64_t now_unix_s;
};

/**
 * The chain that clients get: whether the path they find in it ends in a root that they have, its dates, and
 * names that the running certificate has and the new one lacks. What is not on that path is only told of.
 *
 * Clients have the system's trust store, the roots of ssl_ca_file, the gate's own CA, and what
 * ssl_chain_root_file names. Faults are warnings; in a reload under `strict` they are errors, unless what
 * runs has the same one: a root that the gate does not know is missing from each renewal alike, and a
 * certificate that is served already would only keep rules from being reloaded.
 *
 * An ssl_chain_root_file that does not load is an error.
 */
void cert_check_server(const struct inspection *what, struct diags *diags);

/**
 * The CAs of ssl_ca_file: expired, soon to expire, or gone since the running load. All are warnings: OpenSSL
 * loads an expired CA, and then refuses whatever it issued, however long that is valid itself. Sessions that
 * run are not touched, and the words say so.
 *
 * out  the certificates of the file. Owned; empty when none is set.
 */
void cert_check_authorities(const struct inspection *what, struct cert_list *out, struct diags *diags);

/**
 * The revocation lists, against the CAs of ssl_ca_file: missing, stale, soon stale, or not the CA's. All are
 * warnings: PostgreSQL starts with them, and refuses every client of that CA.
 *
 * out  lists that are in force and signed by their CA: only these may end sessions. Owned; empty when none
 *      are configured.
 */
void cert_check_revocation(const struct inspection *what, struct crl_list *out, struct diags *diags);

/** Files of certificates that were mounted by themselves: a renewal never reaches them. All are warnings. */
void cert_check_mounts(const struct settings *settings, struct diags *diags);
/** The same of one file; "" is none. */
void cert_check_mount(const char *path, struct diags *diags);

#endif
