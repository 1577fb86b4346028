// What the kernel says about this process, as Prometheus text.
#pragma once

#include <string>

namespace ledger {

/// [blocking] Appends the process_* families in the exposition format. Reads /proc; what cannot be read is left out.
void append_process_metrics(std::string& out);

} // namespace ledger
