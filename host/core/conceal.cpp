#include "core/conceal.h"

#include "core/scrub.h"

namespace core {

void conceal(Fault& fault)
{
    if (fault.kind == FaultKind::UpstreamAuth)
        fault.message = "The provider refused the credentials that are configured for it."; // its words may hold pieces of the key
    else if (has_secret(fault.message))
        fault.message = scrub(fault.message);
}

} // namespace core
