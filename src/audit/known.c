#include "audit/known.h"

#include "audit/subject.h"
#include "audit/subject_live.h"
#include "base/arena.h"
#include "conf/settings.h"

enum { KNOWN_MAX = 50 * 1000, INDEX_SIZE = 128 * 1024 };

void known_init(struct known_clients *known, struct arena *arena)
{
    *known = (struct known_clients){ .arena = arena };
    known->index = arena_array(arena, INDEX_SIZE, sizeof *known->index);
    known->nomem = !known->index;
}

/* ---- one client once ---- */

static uint32_t hash(uint32_t h, struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        h = (h ^ (uint8_t)text.p[i]) * 16777619u; /* FNV-1a */
    return h * 31 + (uint32_t)text.n;
}

static bool is_same(const struct known_client *a, const struct known_client *b)
{
    return str_equal(a->user, b->user) && str_equal(a->application, b->application) &&
           !a->database.p == !b->database.p && str_equal(a->database, b->database) &&
           str_equal(a->address, b->address) && a->tls == b->tls && a->replication == b->replication &&
           str_equal(a->source, b->source);
}

static void merge(struct known_client *to, const struct known_client *from)
{
    to->times += from->times;
    if (from->tls_version.n > 0 &&
        (to->tls_version.n == 0 || str_compare(from->tls_version, to->tls_version) < 0))
        to->tls_version = from->tls_version;
    if (from->cert == KNOWN_CERT_NONE || to->cert == KNOWN_CERT_UNKNOWN)
        to->cert = from->cert;
    to->upgrades = to->upgrades && from->upgrades;
    if (to->method.n == 0)
        to->method = from->method;
}

static bool known_copy(struct arena *arena, const struct known_client *from, struct known_client *to)
{
    *to = *from;
    return arena_str(arena, from->user, &to->user) && arena_str(arena, from->application, &to->application) &&
           (!from->database.p || arena_str(arena, from->database, &to->database)) &&
           arena_str(arena, from->address, &to->address) &&
           arena_str(arena, from->tls_version, &to->tls_version) &&
           arena_str(arena, from->method, &to->method);
}

void known_add(struct known_clients *known, const struct known_client *client)
{
    if (known->nomem)
        return;
    uint32_t h = hash(hash(hash(hash(2166136261u, client->user), client->application), client->database),
                      client->address);
    uint32_t *slot = &known->index[h % INDEX_SIZE];
    for (; *slot; slot = &known->index[++h % INDEX_SIZE]) {
        if (is_same(&known->items[*slot - 1], client)) {
            merge(&known->items[*slot - 1], client);
            return;
        }
    }
    if (known->n == KNOWN_MAX) {
        known->beyond++;
        return;
    }
    struct known_client *items = arena_grow(known->arena, known->items, known->n, &known->size,
                                            sizeof *items);
    if (items)
        known->items = items;
    if (!items || !known_copy(known->arena, client, &items[known->n])) {
        known->nomem = true;
        return;
    }
    *slot = (uint32_t)++known->n;
}

/* ---- a running server ---- */

void known_add_sessions(struct known_clients *known, const struct audit_subject *subject)
{
    const struct subject_live *live = subject->live;
    /* Clients show a certificate when they are asked for one. */
    bool asked = subject->settings_seen && subject_client_ca(subject, 0);

    for (size_t i = 0; live && i < live->n_sessions; i++) {
        const struct live_session *s = &live->sessions[i];
        struct known_client client = { .user = s->user,
                                       .application = s->application,
                                       .database = s->database,
                                       .address = s->address,
                                       .tls_version = s->tls_version,
                                       .source = STR("pg_stat_ssl"),
                                       .cert = s->shows_certificate ? KNOWN_CERT_PRESENTED
                                               : asked              ? KNOWN_CERT_NONE
                                                                    : KNOWN_CERT_UNKNOWN,
                                       .tls = s->tls_version.n > 0,
                                       .replication = s->standby && s->database.n == 0,
                                       .times = 1 };
        if (s->sealed && !client.tls)
            continue; /* GSS: its rules are others */
        known_add(known, &client);
    }
}

/* ---- a log ---- */

enum { PENDING = 64 * 1024 };

/* What a process has logged before it let its client in. */
struct pending {
    uint32_t pid; /* 0: nothing */
    struct str address, method;
    bool local;
};

struct log {
    struct known_clients *known;
    struct str name;
    struct pending *pending; /* by the last 16 bits of the pid */
};

/* Where `word` begins; text.n: nowhere. */
static size_t known_find(struct str text, struct str word)
{
    for (size_t i = 0; i + word.n <= text.n; i++) {
        const char *next = memchr(text.p + i, word.p[0], text.n - i);
        if (!next)
            break;
        i = (size_t)(next - text.p);
        if (i + word.n <= text.n && memcmp(next, word.p, word.n) == 0)
            return i;
    }
    return text.n;
}

/* The text after `word`, up to the first of `ends`; false: it is not there. */
static bool known_value_of(struct str text, struct str word, const char *ends, struct str *out)
{
    size_t at = known_find(text, word), n = 0;

    if (at == text.n)
        return false;
    struct str rest = str_from(text, at + word.n);
    while (n < rest.n && !strchr(ends, rest.p[n]))
        n++;
    *out = str_first(rest, n);
    return true;
}

/* A number in brackets, as log_line_prefix has it by default. */
static uint32_t pid_of(struct str prefix)
{
    uint32_t pid = 0;

    for (size_t i = 0; i < prefix.n; i++) {
        size_t n = 0;
        while (prefix.p[i] == '[' && i + 1 + n < prefix.n && prefix.p[i + 1 + n] >= '0' &&
               prefix.p[i + 1 + n] <= '9')
            n++;
        if (n > 0 && i + 1 + n < prefix.n && strchr("]-", prefix.p[i + 1 + n]) &&
            str_to_u32(str_first(str_from(prefix, i + 1), n), 1, INT32_MAX, &pid))
            return pid;
    }
    return 0;
}

/* csvlog and jsonlog say the address in each line. */
static struct str address_in(struct str line)
{
    struct str address;

    if (known_value_of(line, STR("\"remote_host\":\""), "\"", &address))
        return address;
    while (known_value_of(line, STR(",\""), "\"", &address)) {
        size_t at = address.n;
        uint32_t port;
        while (at > 0 && address.p[at - 1] != ':')
            at--;
        if (at > 1 && str_to_u32(str_from(address, at), 1, 65535, &port))
            return str_first(address, at - 1);
        line = str_from(line, (size_t)(address.p - line.p));
    }
    return STR("");
}

static bool is_numeric(struct str address)
{
    bool any = false;

    for (size_t i = 0; i < address.n; i++) {
        if (!strchr("0123456789abcdefABCDEF.:%", address.p[i]))
            return false;
        any = any || strchr(".:", address.p[i]);
    }
    return any;
}

/* Names may hold blanks: each ends where the next word begins. */
static struct str name_before(struct str *rest, const struct str *words, size_t n)
{
    size_t end = rest->n;

    for (size_t i = 0; i < n; i++) {
        size_t at = known_find(*rest, words[i]);
        end = at < end ? at : end;
    }
    struct str name = str_first(*rest, end);
    *rest = str_from(*rest, end);
    return name;
}

static void authorized(struct log *log, struct str line, struct str text, bool replication)
{
    const struct str ends[] = { STR(" database="), STR(" application_name="), STR(" SSL enabled ("),
                                STR(" GSS ("), STR("\"") };
    struct pending *p = &log->pending[pid_of(line) % PENDING];
    struct known_client client = { .source = log->name, .replication = replication, .times = 1 };
    struct str rest = text;

    client.user = name_before(&rest, ends, 5);
    if (str_starts(rest, STR(" database="))) {
        rest = str_from(rest, sizeof " database=" - 1);
        client.database = name_before(&rest, ends + 1, 4);
    }
    if (str_starts(rest, STR(" application_name="))) {
        rest = str_from(rest, sizeof " application_name=" - 1);
        client.application = name_before(&rest, ends + 2, 3);
    }
    if (str_starts(rest, STR(" GSS (")))
        return;
    client.tls = str_starts(rest, STR(" SSL enabled ("));
    if (client.tls)
        (void)known_value_of(rest, STR("protocol="), ",) ", &client.tls_version);
    client.address = address_in(line);
    if (p->pid != 0 && p->pid == pid_of(line)) {
        client.method = p->method;
        if (client.address.n == 0)
            client.address = p->address;
        p->pid = 0;
        if (p->local)
            client.address = STR("");
        else if (!is_numeric(client.address))
            log->known->unplaced++;
        if (p->local || is_numeric(client.address))
            known_add(log->known, &client);
        return;
    }
    if (is_numeric(client.address))
        known_add(log->known, &client);
    else
        log->known->unplaced++;
}

static void read_line(struct log *log, struct str line)
{
    size_t at = known_find(line, STR("connection "));

    if (at == line.n)
        return;
    struct str text = str_from(line, at), value;
    uint32_t pid = pid_of(line);
    struct pending *p = &log->pending[pid % PENDING];

    if (str_starts(text, STR("connection received: host="))) {
        value = str_from(text, sizeof "connection received: host=" - 1);
        size_t n = 0;
        while (n < value.n && !strchr(" \"", value.p[n]))
            n++;
        struct str address = str_first(value, n);
        *p = (struct pending){ .pid = pid, .address = address, .local = str_is(address, "[local]") };
    } else if (str_starts(text, STR("connection authenticated: ")) && p->pid == pid) {
        (void)known_value_of(text, STR(" method="), " \"", &p->method);
    } else if (str_starts(text, STR("connection authorized: user="))) {
        bool replication = at >= sizeof "replication " - 1 &&
                           memcmp(text.p - (sizeof "replication " - 1), "replication ",
                                  sizeof "replication " - 1) == 0;
        authorized(log, line, str_from(text, sizeof "connection authorized: user=" - 1), replication);
    }
}

void known_add_log(struct known_clients *known, struct str text, struct str name)
{
    struct log log = { .known = known, .name = name };
    struct str line;

    log.pending = arena_array(known->arena, PENDING, sizeof *log.pending);
    if (!log.pending) {
        known->nomem = true;
        return;
    }
    while (!known->nomem && str_split(&text, '\n', &line))
        read_line(&log, line.n > 0 && line.p[line.n - 1] == '\r' ? str_first(line, line.n - 1) : line);
}
