/**
 * pg_hosts.conf: which certificate, key and client CA clients of which host name get.
 *
 * Nothing stops at the first error: a bad line stays in its place with `error` set, and the rest is read too.
 * [src: PostgreSQL 19, "SNI Configuration"; be-secure-common.c parse_hosts_line, be-secure-openssl.c be_tls_init]
 */
#ifndef PGSEAL_CONF_HOSTS_FILE_H
#define PGSEAL_CONF_HOSTS_FILE_H

#include "base/err.h"

struct arena;
struct hba_lex_params;
struct hba_lines;

/** What stands for all other names, and for clients that name none. */
#define HOSTS_ANY "*"
#define HOSTS_NO_SNI "/no_sni/"

enum {
    HOSTS_NAME_MAX = 255
}; /* of a name that a client can ask for [src: OpenSSL, TLSEXT_MAXLEN_host_name] */

/** A line. Of one with an error only `file`, `line` and `error` count. */
struct host_line {
    struct str file;
    unsigned line;
    const struct str *names; /* at least one; HOSTS_ANY and HOSTS_NO_SNI stand alone */
    size_t n_names;
    struct str cert, key; /* as written */
    struct str ca;        /* p == NULL: not given */
    struct str command;   /* for the passphrase of the key; p == NULL: not given */
    bool command_reloads; /* it is run at reloads too */
    struct str error;     /* PostgreSQL's words; p == NULL: none */
};

struct host_lines {
    struct host_line *at; /* in the order of the files */
    size_t n;
    size_t n_bad;
};

/** The lines that hba_lex gives, read. `lines` must outlive the result; both live in `arena`. E_NOMEM. */
MUST_CHECK enum code hosts_file_parse(const struct hba_lines *lines, struct arena *arena,
                                      struct host_lines *out);
/**
 * Read the file and all that it includes.
 *
 * lex    borrowed; its diags, where there are some, receive every error with file and line.
 * arena  borrowed; owns the lines.
 *
 * OK also where lines are bad. E_NO_FILE: it is not there, which counts as empty; else it could not be opened,
 * and `e` has PostgreSQL's words. E_NOMEM.
 */
MUST_CHECK enum code hosts_file_read(const struct hba_lex_params *lex, struct str path, struct arena *arena,
                                     struct hba_lines *out_lines, struct host_lines *out, struct err *e);
/** A copy that lives in `arena`. E_NOMEM. */
MUST_CHECK enum code hosts_file_copy(const struct host_lines *from, struct arena *arena,
                                     struct host_lines *out);
/** True for the line that is for HOSTS_ANY, or HOSTS_NO_SNI. */
bool host_line_is(const struct host_line *line, const char *special);
/** The first of its names that a client can ask for; p == NULL: none, as in the lines of HOSTS_ANY and HOSTS_NO_SNI. */
struct str host_line_name(const struct host_line *line);

#endif
