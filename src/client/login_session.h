/**
 * What a server tells about the session, target_session_attrs, and the parameters that libpq sends.
 */
#ifndef PGSEAL_CLIENT_LOGIN_SESSION_H
#define PGSEAL_CLIENT_LOGIN_SESSION_H

#include "client/login.h"
#include "client/login_impl.h"

struct parameter;
struct conn_world;

/**
 * Which mechanisms an AuthenticationSASL lists; unknown ones and bad lists are the SCRAM client's to judge.
 */
void login_note_mechanisms(struct login_facts *facts, struct bytes mechanisms);
/** A ParameterStatus message, where it is one of those that `facts` has; its text goes to `arena`. E_PROTOCOL. */
MUST_CHECK enum code login_note_parameter(struct login_facts *facts, struct arena *arena, struct bytes body,
                                          struct err *e);

/** Take an 'E' or 'N' message's body apart; all borrowed from it. E_PROTOCOL: not well formed. */
MUST_CHECK enum code server_error_parse(struct bytes body, struct server_error *out);
/**
 * Has the server no room for anybody, or for superusers only? That passes, unlike the limit of a role or a database.
 * admitted  it came behind AuthenticationOk. [src: PostgreSQL 18, InitProcess, InitPostgres]
 */
bool server_error_is_full(const struct server_error *error, bool admitted);
/** A BackendKeyData message into facts->pid and ->key, by the rules of facts->protocol. E_PROTOCOL. */
MUST_CHECK enum code login_note_key(struct login_facts *facts, struct bytes body, struct err *e);
/** What the server has told of its role; unknown before PostgreSQL 14. */
enum host_role login_role(const struct login_facts *facts);
/** Judge the role by what the server has told at login; on refusal, `e` has libpq's text. */
enum attrs_verdict login_attrs(const struct login_facts *facts, enum session_attrs wanted, struct err *e);
/** The statement that libpq asks servers before 14: `SHOW transaction_read_only` or the recovery function. */
struct str login_attrs_query(enum session_attrs wanted);
/** Judge its one value: `on`/`off` or `t`/`f`. */
enum attrs_verdict login_attrs_answer(enum session_attrs wanted, struct str value, struct err *e);
/**
 * The parameters of the StartupMessage that libpq would send, in its order.
 *
 * world  the environment, of which PGDATESTYLE and its like are parameters.
 * out    LOGIN_PARAMETERS_MAX of them at most; texts are borrowed from `info` and `world`.
 *
 * Returns how many there are. [src: PostgreSQL 18, build_startup_packet]
 */
size_t login_parameters(const struct conninfo *info, const struct conn_world *world, struct parameter *out);

#endif
