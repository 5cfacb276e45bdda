#include "audit/check_links.h"

#include "audit/edit_link.h"
#include "audit/link.h"

/* FILE:LINE, else the row. */
static struct str place(struct audit *a, const struct subject_connection *c)
{
    return c->file.n > 0 ? audit_place(a, c->file, c->line) : c->where;
}

static struct finding *check_links_add(struct audit *a, enum check check, const struct subject_connection *c,
                                       struct str what)
{
    struct finding *f = audit_add(a, check, place(a, c), "%.*s", STR_ARG(what));

    if (f)
        f->about = audit_text(a, "%.*s %.*s %.*s",
                              STR_ARG(c->file.n > 0      ? c->file
                                      : c->program.n > 0 ? c->program
                                                         : c->where),
                              STR_ARG(c->name), STR_ARG(c->link->endpoint));
    bool proof = check == CHECK_CONNECTION_PLAINTEXT || check == CHECK_CONNECTION_UNVERIFIED ||
                 check == CHECK_CONNECTION_NAME_UNVERIFIED;
    if (f && proof && c->fix.n > 0)
        f->fix = c->fix;
    if (proof)
        edit_sslmode(a, f, c);
    return f;
}

/* What is sure of the connection, whatever the server says. */
static void check_proof(struct audit *a, const struct subject_connection *c)
{
    const struct subject_link *l = c->link;

    if (!l->meaning.encrypts)
        check_links_add(
            a, CHECK_CONNECTION_PLAINTEXT, c,
            audit_text(a, "%.*s: with %.*s %s", STR_ARG(l->endpoint), STR_ARG(l->mode),
                       l->meaning.tries
                           ? "a server without TLS, or anyone on the path who claims that it has none, gets "
                             "everything in cleartext"
                           : "everything crosses the network in cleartext"));
    else if (!l->meaning.chain)
        check_links_add(a, CHECK_CONNECTION_UNVERIFIED, c,
                        audit_text(a, "%.*s: with %.*s %s accepts any server%s", STR_ARG(l->endpoint),
                                   STR_ARG(l->mode), pasted_driver_name(l->driver),
                                   l->root_unseen ? ", unless there is a ~/.postgresql/root.crt" : ""));
    else if (!l->meaning.name)
        check_links_add(a, CHECK_CONNECTION_NAME_UNVERIFIED, c,
                        audit_text(a, "%.*s: with %.*s any certificate of the CA is accepted",
                                   STR_ARG(l->endpoint), STR_ARG(l->mode)));
}

static void check_link(struct audit *a, const struct subject_connection *c)
{
    const struct subject_link *l = c->link;

    if (c->purpose == PURPOSE_DBLINK) {
        check_links_add(
            a, CHECK_CONNECTION_IN_TEXT, c,
            STR("it may contain a connection string; it is not read, because that would require running it"));
        return;
    }
    if (!l->local)
        check_proof(a, c);
    if (!l->local && l->changes.n > 0)
        check_links_add(a, CHECK_CONNECTION_CHANGES, c,
                        audit_text(a, "%.*s: with %.*s, %.*s", STR_ARG(l->endpoint), STR_ARG(l->mode),
                                   STR_ARG(l->changes)));
    if (l->has_password && l->in_arguments)
        check_links_add(a, CHECK_PASSWORD_IN_ARGV, c,
                        audit_text(a, "%.*s: the arguments of \"%.*s\" contain the password",
                                   STR_ARG(l->endpoint), STR_ARG(c->program)));
    if (l->has_password && str_is(c->name, "PG* variables"))
        check_links_add(a, CHECK_PASSWORD_IN_ENV, c,
                        audit_text(a, "%.*s: the file sets PGPASSWORD", STR_ARG(l->endpoint)));
    if (l->has_password && l->readable)
        check_links_add(
            a, CHECK_PASSWORD_READABLE, c,
            audit_text(a, "%.*s: the file contains its password, and other users than the owner can read it",
                       STR_ARG(l->endpoint)));
    else if (l->has_password && c->purpose == PURPOSE_SERVICE)
        check_links_add(
            a, CHECK_PASSWORD_IN_SERVICE_FILE, c,
            audit_text(a, "the file contains the password of service \"%.*s\"", STR_ARG(c->name)));
}

void check_links(struct audit *a)
{
    for (size_t i = 0; i < a->subject->n_connections; i++)
        if (a->subject->connections[i].link)
            check_link(a, &a->subject->connections[i]);
}
