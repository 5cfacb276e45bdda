/* Connection strings, one form for each family of drivers. */
#include "cmd/drivers.h"

#include "base/buf.h"
#include "base/check.h"

enum form {
    FORM_CONNINFO,
    FORM_JDBC_URL,
    FORM_SEMICOLONS,
    FORM_NODE_OBJECT,
    FORM_URL,
    FORM_SQLALCHEMY_URL,
    FORM_DJANGO_DICT,
    FORM_POSTGRES_JS_OBJECT,
    FORM_ODBC_STRING,
    FORM_PGLOADER_URL
};

static const struct {
    const char *name;
    const char *title;
    enum form form;
    enum driver_key key;
} rows[] = {
#define X(id, word, title, form, key) [DRIVER_##id] = { word, title, FORM_##form, DRIVER_KEY_##key },
#include "connect.def"
#undef X
};

const char *driver_name(enum driver driver)
{
    return rows[driver].name;
}

const char *driver_title(enum driver driver)
{
    return rows[driver].title;
}

enum driver_key driver_key(enum driver driver)
{
    return rows[driver].key;
}

bool driver_from_name(struct str name, enum driver *out)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (str_is(name, rows[i].name)) {
            *out = (enum driver)i;
            return true;
        }
    return false;
}

/* ---- quoting ---- */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '/';
}

static bool is_plain(struct str value)
{
    for (size_t i = 0; i < value.n; i++)
        if (!is_word(value.p[i]) && value.p[i] != ':' && value.p[i] != ',' && value.p[i] != '@')
            return false;
    return value.n > 0;
}

/* Each of `special` gets the byte `before` in front. */
static void append_escaped(struct buf *out, struct str value, const char *special, char before)
{
    for (size_t i = 0; i < value.n; i++) {
        if (strchr(special, value.p[i]))
            (void)buf_append_byte(out, (uint8_t)before);
        (void)buf_append_byte(out, (uint8_t)value.p[i]);
    }
}

void conninfo_quote(struct buf *out, struct str value)
{
    if (is_plain(value)) {
        (void)buf_append_str(out, value);
        return;
    }
    (void)buf_append_byte(out, '\'');
    append_escaped(out, value, "'\\", '\\');
    (void)buf_append_byte(out, '\'');
}

static void append_url(struct buf *out, const char *value)
{
    for (const char *c = value; *c; c++)
        if (is_word(*c))
            (void)buf_append_byte(out, (uint8_t)*c);
        else
            (void)buf_printf(out, "%%%02X", (unsigned)(unsigned char)*c);
}

/* An IPv6 address is in brackets in a URL. */
static void append_url_host(struct buf *out, const char *host)
{
    bool v6 = strchr(host, ':') != NULL;

    (void)buf_printf(out, v6 ? "[%s]" : "%s", host);
}

/* ---- one function per form ---- */

static void word(struct buf *out, const char *keyword, const char *value)
{
    (void)buf_printf(out, "%s%s=", out->n ? " " : "", keyword);
    conninfo_quote(out, str_c(value));
}

static void connect_libpq(struct buf *all, const struct driver_facts *f)
{
    AUTO(buf) struct buf out = BUF_INIT(all->limit);

    word(&out, "host", f->host);
    (void)buf_printf(&out, " port=%u", f->port);
    word(&out, "dbname", f->dbname);
    word(&out, "user", f->user);
    (void)buf_append_c(&out, " sslmode=verify-full");
    word(&out, "sslrootcert", f->root);
    if (f->cert)
        word(&out, "sslcert", f->cert);
    if (f->key)
        word(&out, "sslkey", f->key);
    (void)buf_append_str(all, buf_str(&out));
}

static void parameter(struct buf *out, const char *name, const char *value)
{
    if (!value)
        return;
    (void)buf_printf(out, "&%s=", name);
    append_url(out, value);
}

static void connect_jdbc(struct buf *out, const struct driver_facts *f)
{
    (void)buf_append_c(out, "jdbc:postgresql://");
    append_url_host(out, f->host);
    (void)buf_printf(out, ":%u/", f->port);
    append_url(out, f->dbname);
    (void)buf_append_c(out, "?user=");
    append_url(out, f->user);
    (void)buf_append_c(out, "&sslmode=verify-full");
    parameter(out, "sslrootcert", f->root);
    /* A PKCS#12 file is named by sslkey alone. */
    parameter(out, "sslcert", f->key ? f->cert : NULL);
    parameter(out, "sslkey", f->key ? f->key : f->cert);
    if (f->key_has_passphrase)
        (void)buf_append_c(out, "&sslpassword=PASSPHRASE");
}

static void connect_url(struct buf *out, const char *scheme, const struct driver_facts *f)
{
    (void)buf_printf(out, "%s://", scheme);
    append_url(out, f->user);
    (void)buf_append_c(out, "@");
    append_url_host(out, f->host);
    (void)buf_printf(out, ":%u/", f->port);
    append_url(out, f->dbname);
    (void)buf_append_c(out, "?sslmode=verify-full");
    parameter(out, "sslrootcert", f->root);
    parameter(out, "sslcert", f->cert);
    parameter(out, "sslkey", f->key);
    if (f->key_has_passphrase)
        (void)buf_append_c(out, "&sslpassword=PASSPHRASE");
}

static void pair(struct buf *out, const char *name, const char *value)
{
    struct str text = str_c(value);

    (void)buf_printf(out, ";%s=", name);
    if (is_plain(text)) {
        (void)buf_append_str(out, text);
        return;
    }
    (void)buf_append_byte(out, '"');
    append_escaped(out, text, "\"", '"');
    (void)buf_append_byte(out, '"');
}

static void connect_npgsql(struct buf *out, const struct driver_facts *f)
{
    (void)buf_printf(out, "Host=%s;Port=%u", f->host, f->port);
    pair(out, "Database", f->dbname);
    pair(out, "Username", f->user);
    (void)buf_append_c(out, ";SSL Mode=VerifyFull");
    pair(out, "Root Certificate", f->root);
    if (f->cert)
        pair(out, "SSL Certificate", f->cert);
    if (f->key)
        pair(out, "SSL Key", f->key);
    if (f->key_has_passphrase)
        (void)buf_append_c(out, ";SSL Password=PASSPHRASE");
}

static void literal(struct buf *out, const char *value)
{
    (void)buf_append_byte(out, '\'');
    append_escaped(out, str_c(value), "'\\", '\\');
    (void)buf_append_byte(out, '\'');
}

static void member(struct buf *out, const char *name, const char *value)
{
    if (!value)
        return;
    (void)buf_printf(out, ", %s: fs.readFileSync(", name);
    literal(out, value);
    (void)buf_append_c(out, ")");
}

static void connect_node(struct buf *out, const char *user_name, const struct driver_facts *f)
{
    (void)buf_append_c(out, "{ host: ");
    literal(out, f->host);
    (void)buf_printf(out, ", port: %u, database: ", f->port);
    literal(out, f->dbname);
    (void)buf_printf(out, ", %s: ", user_name);
    literal(out, f->user);
    (void)buf_append_c(out, ", ssl: { rejectUnauthorized: true");
    member(out, "ca", f->root);
    member(out, "cert", f->cert);
    member(out, "key", f->key);
    if (f->key_has_passphrase)
        (void)buf_append_c(out, ", passphrase: PASSPHRASE");
    (void)buf_append_c(out, " } }");
}

static void entry(struct buf *out, const char *name, const char *value)
{
    if (!value)
        return;
    (void)buf_printf(out, ", '%s': ", name);
    literal(out, value);
}

static void connect_django(struct buf *out, const struct driver_facts *f)
{
    (void)buf_append_c(out, "{ 'ENGINE': 'django.db.backends.postgresql'");
    entry(out, "HOST", f->host);
    (void)buf_printf(out, ", 'PORT': %u", f->port);
    entry(out, "NAME", f->dbname);
    entry(out, "USER", f->user);
    (void)buf_append_c(out, ", 'OPTIONS': { 'sslmode': 'verify-full'");
    entry(out, "sslrootcert", f->root);
    entry(out, "sslcert", f->cert);
    entry(out, "sslkey", f->key);
    (void)buf_append_c(out, " } }");
}

/* What psqlODBC has no word of its own for goes to libpq in pqopt. */
static void connect_odbc(struct buf *out, const struct driver_facts *f)
{
    AUTO(buf) struct buf more = BUF_INIT(out->limit);

    (void)buf_printf(out, "Driver={PostgreSQL Unicode};Servername=%s;Port=%u;Database=%s;Username=%s",
                     f->host, f->port, f->dbname, f->user);
    word(&more, "sslrootcert", f->root);
    if (f->cert)
        word(&more, "sslcert", f->cert);
    if (f->key)
        word(&more, "sslkey", f->key);
    (void)buf_printf(out, ";SSLmode=verify-full;pqopt={%s}", buf_c(&more));
}

/* The chain is verified with SSL_CERT_FILE; there are no words for that, nor for the client's pair. */
static void connect_pgloader(struct buf *out, const struct driver_facts *f)
{
    (void)buf_append_c(out, "postgresql://");
    append_url(out, f->user);
    (void)buf_append_c(out, "@");
    append_url_host(out, f->host);
    (void)buf_printf(out, ":%u/", f->port);
    append_url(out, f->dbname);
    (void)buf_append_c(out, "?sslmode=require");
}

void driver_connect(struct buf *out, enum driver driver, const struct driver_facts *facts)
{
    switch (rows[driver].form) {
    case FORM_CONNINFO:
        connect_libpq(out, facts);
        return;
    case FORM_JDBC_URL:
        connect_jdbc(out, facts);
        return;
    case FORM_SEMICOLONS:
        connect_npgsql(out, facts);
        return;
    case FORM_NODE_OBJECT:
        connect_node(out, "user", facts);
        return;
    case FORM_URL:
        connect_url(out, "postgres", facts);
        return;
    case FORM_SQLALCHEMY_URL: /* no short scheme since 1.4 */
        connect_url(out, "postgresql", facts);
        return;
    case FORM_DJANGO_DICT:
        connect_django(out, facts);
        return;
    case FORM_POSTGRES_JS_OBJECT:
        connect_node(out, "username", facts);
        return;
    case FORM_ODBC_STRING:
        connect_odbc(out, facts);
        return;
    case FORM_PGLOADER_URL:
        connect_pgloader(out, facts);
        return;
    }
}
