#include "server/settings.h"

#include "base/err.h"
#include "policy/load/load.h"
#include "server/certificates.h"
#include "sink/kafka/options.h"

bool settings_try(const struct policy *p, struct policy_report *report)
{
    const struct plan *plan = policy_plan(p);
    struct certificates certificates;
    struct err e;

    for (uint32_t i = 0; i < plan->n_sinks; i++) {
        if (plan->sinks[i].kind == SINK_KIND_KAFKA &&
            !options_try(&plan->sinks[i], &e)) {
            policy_report_problem(report, policy_file(p, 0), e.text);
            return false;
        }
    }
    if (!certificates_read(&certificates, p, NULL, &e)) {
        policy_report_problem(report, policy_file(p, 0), e.text);
        return false;
    }
    certificates_note(&certificates, p, report);
    certificates_free(&certificates);
    return true;
}
