/* A login, its answers, and its slow step. */
#include "client/login_drive.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "net/loop.h"
#include "pgwire/hello.h"
#include "pki/cert.h"
#include "tls/engine_facts.h"

#include <stdlib.h>

enum { LOGIN_ARENA_MAX = 1024 * 1024 };

struct login_drive {
    struct login_line line;
    struct login *login;
    struct arena arena;
    struct password password;
    struct scram_keys keys;
    uint8_t end_point[CERT_HASH_MAX];
    bool working;   /* the pool holds it */
    bool abandoned; /* nobody waits for the pool any more */
};

static void destroy(struct login_drive *drive)
{
    login_free(drive->login);
    password_wipe(&drive->password);
    wipe(&drive->keys, sizeof drive->keys);
    arena_fini(&drive->arena);
    free(drive);
}

enum login_cert login_cert_over(const struct tls_engine *tls)
{
    if (!tls || !tls_engine_cert_requested(tls))
        return LOGIN_CERT_NOT_REQUESTED;
    return tls_engine_cert_sent(tls) ? LOGIN_CERT_SENT : LOGIN_CERT_NONE;
}

static struct bytes end_point_of(struct login_drive *drive, const struct tls_engine *tls)
{
    AUTO(cert) struct x509_st *cert = tls ? tls_engine_peer(tls) : NULL;
    struct err ignored;
    size_t n = 0;

    if (!cert || cert_end_point_hash(cert, drive->end_point, &n, &ignored) != OK)
        n = 0;
    return bytes_of(drive->end_point, n);
}

struct login_drive *login_drive_new(const struct conninfo *info, const struct login_params *params,
                                    const struct login_line *line)
{
    struct login_drive *drive = calloc(1, sizeof *drive);
    struct login_params own = *params;

    if (!drive)
        return NULL;
    drive->line = *line;
    drive->line.tls = NULL;
    arena_init(&drive->arena, LOGIN_ARENA_MAX, 2048);
    own.protocol = info->protocol_max;
    own.protocol_min = info->protocol_min;
    own.require_auth = info->require_auth;
    own.binding = info->channel_binding;
    own.sslcertmode = info->sslcertmode;
    own.tls = line->tls != NULL;
    own.cert = login_cert_over(line->tls);
    own.end_point = end_point_of(drive, line->tls);
    if (params->creds.keys) {
        drive->keys = *params->creds.keys;
        own.creds.keys = &drive->keys;
    }
    if (password_set(&drive->password, params->creds.password) == OK) {
        own.creds.password = password_bytes(&drive->password);
        drive->login = login_new(&own, &drive->arena);
    }
    if (drive->login)
        return drive;
    destroy(drive);
    return NULL;
}

const struct login *login_drive_login(const struct login_drive *drive)
{
    return drive->login;
}

static enum code send_out(struct login_drive *drive, const struct buf *out, struct err *e)
{
    if (!buf_ok(out))
        return err_set(e, E_NOMEM, "out of memory");
    return out->n == 0 ? OK : drive->line.send(drive->line.to, buf_bytes(out), e);
}

enum code login_drive_begin(struct login_drive *drive, struct err *e)
{
    AUTO(buf) struct buf out = BUF_INIT(HELLO_LENGTH_MAX * 2);

    login_begin(drive->login, &out);
    return send_out(drive, &out, e);
}

static void work(void *arg)
{
    struct login_drive *drive = arg;

    login_work(drive->login);
}

static void worked(void *arg)
{
    struct login_drive *drive = arg;

    drive->working = false;
    if (drive->abandoned)
        destroy(drive);
    else
        drive->line.worked(drive->line.arg);
}

/* Answers to who has ended the login are not sent any more. */
static bool is_over(enum login_step step)
{
    return step == LOGIN_REFUSED || step == LOGIN_FAIL;
}

enum login_step login_drive_feed(struct login_drive *drive, struct buf *in, struct err *e)
{
    for (;;) {
        struct buf out = BUF_INIT(LOGIN_OUT_MAX);
        size_t used = 0;
        if (drive->working)
            return LOGIN_WORK;
        enum login_step step = login_feed(drive->login, buf_bytes(in), &used, &out, e);
        buf_consume(in, used);
        bool lost = !is_over(step) && send_out(drive, &out, e) != OK;
        buf_fini_secret(&out);
        if (lost)
            return LOGIN_LOST;
        if (step != LOGIN_WORK)
            return step;
        if (drive->line.loop) {
            drive->working = loop_job(drive->line.loop, work, worked, drive);
            if (drive->working)
                return LOGIN_WORK;
            (void)err_set(e, E_NOMEM, "out of memory");
            return LOGIN_LOST;
        }
        login_work(drive->login);
    }
}

void login_drive_free(struct login_drive *drive)
{
    if (!drive)
        return;
    if (drive->working)
        drive->abandoned = true;
    else
        destroy(drive);
}

void login_drive_auto(struct login_drive **drive)
{
    login_drive_free(*drive);
}
