// portolan/check.h over the room that does it.
#include <portolan/check.h>

#include "check/check.h"

int portolan_check(const char* plugin, const char* cases, double time_factor, void (*report)(void* user, const char* json, std::size_t size), void* user)
{
    const auto found = check::check_plugin(plugin, {cases ? cases : "", time_factor});
    if (report) {
        const auto text = check::as_json(found);
        report(user, text.data(), text.size());
    }
    return found.good() ? 0 : 1;
}
