#include "dialect/json_body.h"

#include "dialect/field_reader.h"

#include <simdjson.h>

#include <limits>

namespace dialect {

namespace {

core::Fault bad(std::string message, std::string_view code = "invalid_json", std::string param = {})
{
    return {.kind = core::FaultKind::BadRequest,
            .message = std::move(message),
            .code = std::string(code),
            .param = std::move(param)};
}

std::string unparsable(const core::JsonScanner& scan)
{
    return "We could not parse the JSON body of your request: unexpected text at byte " +
           std::to_string(scan.position()) + '.';
}

} // namespace

std::optional<core::Fault> unfit(std::string_view body, core::JsonScanner& scan)
{
    if (!simdjson::validate_utf8(body.data(), body.size())) return bad("The request body is not valid UTF-8.");
    if (body.size() > std::numeric_limits<std::uint32_t>::max()) return bad("The request body is too large.");
    if (scan.peek() == '{') return {};
    return bad(scan.skip() && scan.end() ? "The request body must be a JSON object." : unparsable(scan));
}

core::Fault json_fault(core::JsonScanner& scan)
{
    switch (scan.fault()) {
    case core::JsonFault::DuplicateKey: {
        const auto name = shown(scan.duplicate(), 64);
        return bad("Duplicate key '" + name + "' in the request body.", "duplicate_key", name);
    }
    case core::JsonFault::Depth:
        return bad("The request body is nested too deeply.");
    case core::JsonFault::Range:
        return bad("The request body has a number that is too large at byte " + std::to_string(scan.position()) + '.');
    default:
        return bad(unparsable(scan));
    }
}

core::Status check_object(std::string_view body, std::size_t max_depth)
{
    core::JsonScanner scan(body, max_depth, true);
    if (auto fault = unfit(body, scan)) return *std::move(fault);
    if (!scan.skip() || !scan.end()) return json_fault(scan);
    return core::Done{};
}

} // namespace dialect
