/* Cleartext and MD5 password messages. */
#include "auth/password.h"

#include "base/check.h"

enum code password_failed(struct str user, struct err *e)
{
    return err_set(e, E_PASSWORD, "password authentication failed for user \"%.*s\"", STR_ARG(user));
}

enum code password_wrong_type(uint8_t type, struct err *e)
{
    return err_set(e, E_PROTOCOL, "expected password response, got message type %u", type);
}

enum code sasl_wrong_type(uint8_t type, struct err *e)
{
    return err_set(e, E_PROTOCOL, "expected SASL response, got message type %u", type);
}

enum code gss_wrong_type(uint8_t type, struct err *e)
{
    return err_set(e, E_PROTOCOL, "expected GSS response, got message type %u", type);
}

enum code password_parse(struct bytes body, struct password *out, struct err *e)
{
    struct str text = str_from_bytes(body);

    if (text.n == 0 || str_find(text, '\0') != text.n - 1)
        return err_set(e, E_PROTOCOL, "invalid password packet size");
    if (text.n == 1)
        return err_set(e, E_PASSWORD, "empty password returned by client");
    enum code code = password_set(out, bytes_of(body.p, body.n - 1));
    return code == OK ? OK : err_set(e, code, "could not store the password");
}

enum code password_check_md5(const struct verifier *verifier, const uint8_t salt[MD5_SALT_BYTES],
                             struct bytes body, struct str user, struct err *e)
{
    static const struct verifier nobody = { .type = VERIFIER_UNRECOGNIZED };
    AUTO(password) struct password given = { 0 };
    char expected[MD5_TEXT_CHARS] = { 'm', 'd', '5' };

    TRY(password_parse(body, &given, e));
    if (!verifier)
        verifier = &nobody;
    enum code code = md5_response_hex(verifier->md5_hex, salt, expected + 3);
    if (code != OK)
        return err_set(e, code, "could not compute the MD5 hash of a password");
    bool fits = secret_equal(password_bytes(&given), bytes_of(expected, sizeof expected));
    wipe(expected, sizeof expected);
    return fits && verifier->type == VERIFIER_MD5 ? OK : password_failed(user, e);
}
