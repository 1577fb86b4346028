// A large request body on its way, so that a reply which comes before its end (413) is seen. Only client*.cpp include
// this.
#pragma once

#include "wire/client.h"

namespace wire {

struct Upload {
    Upload(std::vector<std::string_view> p, Transport* t, const ClientTimeouts& limits)
        : pieces(std::move(p)), transport(t), timeouts(limits)
    {
    }

    std::vector<std::string_view> pieces;
    Transport* transport; ///< null once the call let go of it
    const ClientTimeouts timeouts;
    IoResult result;
    bool done = false, stop = false;
    Signal changed; ///< set with done
};

/// Writes it all in steps, each of which must get through in the idle time. Then gives the reader the time for a first
/// byte.
Task<void> run_upload(std::shared_ptr<Upload> upload);

} // namespace wire
