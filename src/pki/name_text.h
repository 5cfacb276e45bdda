/**
 * Names of certificates from text, in each spelling that people have at hand.
 */
#ifndef PGSEAL_PKI_NAME_TEXT_H
#define PGSEAL_PKI_NAME_TEXT_H

#include "base/err.h"

#include <openssl/types.h>

/** Attributes of one name [choice: far above any real certificate]. */
enum { NAME_TEXT_MAX = 64 };

/** Which end of the certificate's name the text begins with. */
enum name_spelling {
    NAME_RFC2253, /* CN=alice,O=Acme: the last attribute first */
    NAME_SLASH,   /* /O=Acme/CN=alice: as pg_stat_ssl.client_dn has it */
    NAME_OPENSSL, /* O = Acme, CN = alice, perhaps after "subject=": as openssl x509 -subject prints it */
};

/**
 * Read a name. The commas of NAME_OPENSSL have a blank after them, those of NAME_RFC2253 have none: this
 * tells the two apart. In all of them a backslash precedes a delimiter, or two hex digits.
 *
 * out           returned to caller: X509_NAME_free().
 * out_spelling  as what the text was read.
 *
 * E_PARAM: the text is no name; the message says what is wrong, without the text. E_NOMEM.
 */
MUST_CHECK enum code name_from_text(struct str text, X509_NAME **out, enum name_spelling *out_spelling,
                                    struct err *e);

void x509_name_auto(X509_NAME **name);

#endif
