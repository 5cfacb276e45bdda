/* A balancer's header, or what claims to be one: however it ends, a prefix of it never says otherwise. */
#include "fuzz.h"
#include "pgwire/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy proxy, again;
    size_t used, used_again;
    struct err e;

    enum code code = proxy_parse(bytes_of(data, size), &proxy, &used, &e);
    for (size_t n = 0; n < size && n <= PROXY_HEADER + PROXY_LENGTH_MAX; n++) {
        enum code shorter = proxy_parse(bytes_of(data, n), &again, &used_again, &e);
        CHECK(shorter == E_MORE || shorter == code);
    }
    if (code != OK)
        return 0;
    if (size > used) /* what comes behind the header changes nothing */
        CHECK(proxy_parse(bytes_of(data, used), &again, &used_again, &e) == OK && used_again == used);
    CHECK(used >= PROXY_HEADER && used <= PROXY_HEADER + PROXY_LENGTH_MAX && used <= size);
    CHECK(proxy.unique_id.n <= PROXY_UNIQUE_ID_MAX);
    CHECK(proxy.unique_id.n == 0 ||
          (proxy.unique_id.p > data && proxy.unique_id.p + proxy.unique_id.n <= data + used));
    CHECK(proxy.local || proxy.peer.ss_family == AF_INET || proxy.peer.ss_family == AF_INET6);
    return 0;
}
