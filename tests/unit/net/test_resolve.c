/* Lookups on behalf of clients: whose turn it is. The name service is this file's own. */
#include "../unit.h"

#include "net/resolve.h"
#include "turn.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open; /* answers come at once */
    unsigned asked;
} names = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0 };

/* In the place of libc's: every address is called by its own text. */
int getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t size, char *service,
                socklen_t service_size, int flags)
{
    struct sockaddr_in6 ipv6;

    (void)length;
    (void)service;
    (void)service_size;
    assert_int_equal(flags, NI_NAMEREQD);
    memcpy(&ipv6, address, sizeof ipv6);
    (void)pthread_mutex_lock(&names.lock);
    names.asked++;
    (void)pthread_cond_broadcast(&names.changed);
    while (!names.open)
        (void)pthread_cond_wait(&names.changed, &names.lock);
    (void)pthread_mutex_unlock(&names.lock);
    return inet_ntop(AF_INET6, &ipv6.sin6_addr, host, size) ? 0 : EAI_OVERFLOW;
}

static void wait_asked(unsigned n)
{
    (void)pthread_mutex_lock(&names.lock);
    while (names.asked < n)
        (void)pthread_cond_wait(&names.changed, &names.lock);
    assert_int_equal(names.asked, n);
    (void)pthread_mutex_unlock(&names.lock);
}

static void set_open(bool open)
{
    (void)pthread_mutex_lock(&names.lock);
    names.open = open;
    (void)pthread_cond_broadcast(&names.changed);
    (void)pthread_mutex_unlock(&names.lock);
}

struct client {
    struct loop *loop;
    struct resolve *resolve;
    char address[INET6_ADDRSTRLEN];
    unsigned answers;
    unsigned *left; /* the last answer stops the loop */
};

static void on_name(void *arg, int gai_error, const struct addrinfo *found, const char *name)
{
    struct client *client = arg;

    assert_int_equal(gai_error, 0);
    assert_null(found);
    assert_string_equal(name, client->address);
    client->resolve = NULL;
    client->answers++;
    if (--*client->left == 0)
        loop_stop(client->loop);
}

static void ask(struct client *client)
{
    struct sockaddr_storage address = { 0 };
    struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6, .sin6_port = 1 };

    assert_int_equal(inet_pton(AF_INET6, client->address, &ipv6.sin6_addr), 1);
    memcpy(&address, &ipv6, sizeof ipv6);
    client->resolve = resolve_reverse(client->loop, &address, on_name, client);
    assert_non_null(client->resolve);
}

/* A client that has a whole network has as many addresses as it likes. */
static void a_site_has_its_share(void **state)
{
    struct client crowd[12], twice, other;
    struct loop *loop = loop_new();
    unsigned left = 0;

    (void)state;
    assert_non_null(loop);
    names.asked = 0;
    set_open(false);
    for (unsigned i = 0; i < 12; i++) {
        crowd[i] = (struct client){ .loop = loop, .left = &left };
        (void)snprintf(crowd[i].address, sizeof crowd[i].address, "2001:db8:1:%x::1", i + 1);
        ask(&crowd[i]);
    }
    twice = (struct client){ .loop = loop, .address = "2001:db8:1:1::1", .left = &left };
    ask(&twice);
    turn_once(loop); /* who may go goes to the pool */
    wait_asked(2);   /* a quarter of eight */
    other = (struct client){ .loop = loop, .address = "2001:db8:2::1", .left = &left };
    ask(&other);
    turn_once(loop); /* who may go goes to the pool */
    wait_asked(3);
    resolve_cancel(crowd[11].resolve); /* stands in line */
    resolve_cancel(crowd[0].resolve);  /* is under way, for `twice` too */
    left = 12;
    set_open(true);
    loop_run(loop);
    assert_int_equal(crowd[0].answers + crowd[11].answers, 0);
    assert_int_equal(twice.answers + other.answers, 2);
    for (unsigned i = 1; i < 11; i++)
        assert_int_equal(crowd[i].answers, 1);
    wait_asked(12);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_site_has_its_share) };

    loop_pool_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
