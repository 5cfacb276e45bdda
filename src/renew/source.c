/* What a new certificate is to say. */
#include "renew/source.h"

enum code renew_request(const struct renew_order *order, struct ca_request *out, struct err *e)
{
    struct ca_request request;

    TRY(ca_request_of(order->old->items[0], order->arena, &request, e));
    if (order->rule->n_names > 0) {
        request.sans = order->rule->names;
        request.n_sans = order->rule->n_names;
    }
    if (order->rule->days > 0)
        request.days = order->rule->days;
    *out = request;
    return OK;
}
