/* Which unit carries out which method. */
#include "gate/session/method.h"

#include "gate/session/admission.h"

const struct method method_proved = { admission_proved, NULL };

#define UNIT_GATE(unit) &method_##unit
#define UNIT_SECRET(unit) &method_##unit
#define UNIT_RELAYED(unit) NULL
#define UNIT_NEVER(unit) NULL
#define UNIT_ABSENT(unit) NULL

const struct method *method_of(enum hba_method method)
{
    static const struct method *const units[] = {
#define X(symbol, name, word, since, until, records, options, check, how, unit, needs, leaves, refusal,      \
          asks, asks_over_tls, audit, help)                                                                  \
    [HBA_METHOD_##symbol] = UNIT_##how(unit),
#include "hba_methods.def"
#undef X
    };

    return units[method];
}
