/**
 * The `p` messages of the methods `password` and `md5`, and the texts of a failed password.
 */
#ifndef PGSEAL_AUTH_PASSWORD_H
#define PGSEAL_AUTH_PASSWORD_H

#include "auth/verifier.h"
#include "base/secret.h"

/** E_PASSWORD, `password authentication failed for user "U"`. */
enum code password_failed(struct str user, struct err *e);
/** E_PROTOCOL, `expected password response, got message type N`. */
enum code password_wrong_type(uint8_t type, struct err *e);
/** E_PROTOCOL, `expected SASL response, got message type N`. */
enum code sasl_wrong_type(uint8_t type, struct err *e);
/** E_PROTOCOL, `expected GSS response, got message type N`. */
enum code gss_wrong_type(uint8_t type, struct err *e);

/**
 * The body of a password message.
 *
 * out  wiped by the caller.
 *
 * E_PROTOCOL: no NUL at the end, or one inside. E_PASSWORD: empty. E_NOMEM, E_LIMIT.
 */
MUST_CHECK enum code password_parse(struct bytes body, struct password *out, struct err *e);

/**
 * Judge the answer to AuthenticationMD5Password.
 *
 * verifier  NULL or not MD5: a user without a usable secret; the same steps are taken, then E_PASSWORD.
 * salt      the four bytes that were sent.
 * body      of the password message.
 */
MUST_CHECK enum code password_check_md5(const struct verifier *verifier, const uint8_t salt[MD5_SALT_BYTES],
                                        struct bytes body, struct str user, struct err *e);

#endif
