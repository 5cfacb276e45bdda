/*
 * What a process before an upgrade answers the one after it: copies of sessions, what became of a signal, and packets over the
 * link. Cards and answers that are taken are sent on, and taken again.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/clean.h"
#include "base/count.h"
#include "base/form.h"
#include "fuzz.h"
#include "gate/session/signalling_form.h"
#include "gate/steward/elders.h"
#include "gate/steward/steward.h"
#include "gate/views/cards.h"
#include "gate/views/gather.h"
#include "gate/work/link.h"
#include "net/loop.h"

#include <sys/socket.h>
#include <unistd.h>

enum { ARENA_MAX = 4 << 20, CELLS_MAX = 256, PACKETS_MAX = 64, QUESTIONS = 3, MICRO = 1000000 };

static void check_text(struct str text)
{
    AUTO(arena) struct arena arena;
    struct str clean;

    arena_init(&arena, ARENA_MAX, 1024);
    CHECK(clean_text(CLEAN_NAME, text, &arena, &clean) && clean.n == text.n);
}

static void check_card(const struct session_card *c)
{
    const struct str texts[] = { c->user,        c->database,   c->application_name,
                                 c->client_addr, c->proxy_addr, c->tls_version,
                                 c->sni,         c->client_dn,  c->identity,
                                 c->rule_file,   c->upstream,   c->query };

    for (size_t i = 0; i < COUNT_OF(texts); i++)
        check_text(texts[i]);
    CHECK(c->state < STATE_COUNT && c->upstream_sslmode <= SSLMODE_VERIFY_FULL && c->pid >= 0);
    CHECK(c->started_us >= 0 && c->bytes_in >= 0 && c->cert_not_after_s < INT64_MAX / MICRO);
}

/* Those in front that are sound; each goes over once more. */
static bool take_cards(void *arg, struct bytes in)
{
    struct arena arena;
    struct session_card card, again;
    bool sound = true;

    (void)arg;
    arena_init(&arena, ARENA_MAX, 1024);
    while (in.n > 0 && sound) {
        AUTO(buf) struct buf out = BUF_INIT(CARD_MAX);
        sound = cards_take(&in, &arena, &card) == OK;
        if (!sound)
            break;
        check_card(&card);
        CHECK(cards_put(&out, &card));
        struct bytes sent = buf_bytes(&out);
        CHECK(cards_take(&sent, &arena, &again) == OK && sent.n == 0);
        CHECK(again.id == card.id && again.pid == card.pid && again.started_us == card.started_us);
    }
    arena_fini(&arena);
    return sound;
}

static void question(struct bytes in)
{
    struct signalling asked = { .shared = NULL }, again = { .shared = NULL };
    AUTO(buf) struct buf out = BUF_INIT(1024);
    struct form f = form_from(in, NULL), to = form_to(&out);

    signalling_form_question(&f, &asked);
    if (form_end(&f) != OK)
        return;
    CHECK(strlen(asked.user) < sizeof asked.user);
    signalling_form_question(&to, &asked);
    CHECK(form_end(&to) == OK && out.n == in.n);
    f = form_from(buf_bytes(&out), NULL);
    signalling_form_question(&f, &again);
    CHECK(form_end(&f) == OK && again.pid == asked.pid && strcmp(again.user, asked.user) == 0);
}

static void answer(struct bytes in)
{
    struct signalling asked = { .shared = NULL };
    AUTO(buf) struct buf out = BUF_INIT(OS_PACKET_MAX);
    AUTO(arena) struct arena arena;

    arena_init(&arena, SIGNALLING_ARENA_MAX, 1024);
    struct form f = form_from(in, &arena), to = form_to(&out);
    signalling_form_answer(&f, &asked);
    if (form_end(&f) != OK)
        return;
    for (size_t i = 0; i < SIGNALLING_SHOWN; i++)
        CHECK(strlen(asked.who[i]) < sizeof asked.who[i]);
    signalling_form_answer(&to, &asked);
    CHECK(form_end(&to) == OK);
}

/* ---- the link ---- */

struct asking {
    struct loop *loop;
    unsigned left;
};

static void on_done(void *arg)
{
    struct asking *asking = arg;

    if (--asking->left == 0)
        loop_stop(asking->loop);
}

/* Type, length, bytes; then the link ends, and with it every question. */
static void packets(struct bytes rest)
{
    const struct env env = env_system();
    struct gate g = { .env = &env, .counters = counters_new(CELLS_MAX), .loop = loop_new() };
    struct asking asking = { .loop = g.loop, .left = QUESTIONS };
    const struct elder_listener listener = { .take = take_cards, .done = on_done, .arg = &asking };
    int pair[2];

    CHECK(g.counters && g.loop && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    g.shared.steward = g.loop;
    g.shared.env = (struct env *)(uintptr_t)&env;
    LIST_INIT(&g.elders);
    CHECK(elders_add(&g, pair[1], NULL, NULL));
    CHECK(elders_query(&g, ELDER_SESSIONS, bytes_of(NULL, 0), &listener));
    CHECK(elders_query(&g, ELDER_SIGNAL, bytes_of("?", 1), &listener));
    CHECK(elders_count(&g, on_done, &asking));
    for (int i = 0; i < PACKETS_MAX && rest.n > 0; i++) {
        char type = (char)fuzz_byte(&rest);
        if (type != LINK_CANCEL && type != LINK_COUNTERS) /* they have targets of their own */
            (void)os_packet_send(pair[0], type, fuzz_chunk(&rest), NULL, false);
    }
    (void)close(pair[0]);
    loop_run(g.loop);
    CHECK(asking.left == 0);
    elders_close(&g);
    loop_free(g.loop);
    counters_free(g.counters);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = bytes_of(data, size);

    switch (fuzz_byte(&rest)) {
    case 'c':
        (void)take_cards(NULL, rest);
        break;
    case 'q':
        question(rest);
        break;
    case 'a':
        answer(rest);
        break;
    default:
        packets(rest);
        break;
    }
    return 0;
}
