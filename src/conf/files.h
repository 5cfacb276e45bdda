/**
 * The files that settings name: who reads them, and what they hold (tables/settings.def).
 */
#ifndef PGSEAL_CONF_FILES_H
#define PGSEAL_CONF_FILES_H

#include "base/slice.h"

struct settings;

/**
 * Who reads the file: TLS with clients, HTTP over TLS, who asks HTTP clients for a token, or who asks the hosts of
 * upstream_check_url.
 */
enum file_reader { FILE_READER_TLS, FILE_READER_HTTP, FILE_READER_HTTP_TOKEN, FILE_READER_CHECK };

/** What an audit looks at: nothing, who may write it, or who may read the key, by the server's or libpq's rule. */
enum file_audit { FILE_NOT_AUDITED, FILE_AUDITED, FILE_SERVER_KEY, FILE_CLIENT_KEY };

struct settings_file_use {
    const char *setting;
    enum file_reader reader;
    const char *kind;  /* of its certificates, as in pgseal_certificates; NULL: it has none */
    const char *named; /* what to call it where it cannot be read, if it holds CAs or revocation lists; NULL:
                          it is the certificate of an own key */
    enum file_audit audit;
};

/** Is that reader on? Else the file does not matter. */
bool settings_reads(const struct settings *settings, enum file_reader reader);
/** The uses in the order of the settings' names; false after the last. out_path: NULL where it is not set. */
bool settings_file_use(const struct settings *settings, size_t i, struct settings_file_use *out,
                       const char **out_path);
/** Those that have a kind, in the order in which they are shown, from 0; false after the last. */
bool settings_file_listed(const struct settings *settings, size_t i, struct settings_file_use *out,
                          const char **out_path);

#endif
