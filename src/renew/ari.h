/**
 * When would the CA like a certificate to be renewed? ACME Renewal Information.
 * [src: RFC 9773]
 */
#ifndef PGSEAL_RENEW_ARI_H
#define PGSEAL_RENEW_ARI_H

#include "renew/source.h"

struct ari_window {
    int64_t start_unix_s, end_unix_s; /* 0, 0: the CA has no wish, or none is known */
};

/** The answer of a renewalInfo resource. E_CONFIG for what is none. */
MUST_CHECK enum code ari_parse(struct bytes json, struct ari_window *out, struct err *e);
/** Where in the window this certificate is renewed, 0 … 1: the same at each run, another for each certificate. */
double ari_point(X509 *cert);

/**
 * The window for the certificate in use. Asked at most every six hours, for the answer is kept in the working
 * directory; a CA that does not answer has no wish, and the renewal goes by the certificate's life.
 *
 * look  only what is kept counts; nobody is asked.
 */
struct ari_window ari_window_of(const struct renew_order *order, bool look);

#endif
