/**
 * A certificate as text and as JSON, the same wherever one is shown.
 */
#ifndef PGSEAL_CMD_CERTTEXT_H
#define PGSEAL_CMD_CERTTEXT_H

#include "pki/cert.h"
#include "pki/crl.h"

#include <jansson.h>
#include <stdio.h>

enum { TIME_TEXT_MAX = 32 };

/** "2026-11-21T03:10:12Z" [src: RFC 3339]; "" for INT64_MAX. */
const char *time_text(int64_t unix_s, char out[TIME_TEXT_MAX]);

/** A JSON string; bytes that are not UTF-8 as \xNN. */
json_t *json_of(struct str text);
/** Members of a certificate: subject, issuer, serial, sans, key, signature, times, usage, fingerprint. */
json_t *cert_json(const struct cert_info *info, int64_t now_s);
json_t *crl_json(const struct crl_info *info, int64_t now_s);
/** Print and free; E_NOMEM when `value` is NULL. */
MUST_CHECK enum code json_print(FILE *out, json_t *value, struct err *e);

/** Several lines, each beginning with two spaces. */
void cert_print(FILE *out, const struct cert_info *info, int64_t now_s);
void crl_print(FILE *out, const struct crl_info *info, int64_t now_s);

/** What is wrong with a server certificate although it verifies; one sentence each into `diags`. */
void cert_warn(X509 *cert, const struct cert_info *info, struct diags *diags);

#endif
