#include "plugin/status.h"

namespace plugin {

using core::FaultKind;

core::Fault fault_of_status(portolan_status status, const std::string& why)
{
    const auto fault = [&](FaultKind kind, const char* otherwise) { return core::Fault{.kind = kind, .message = why.empty() ? otherwise : why}; };
    switch (status) {
    case PORTOLAN_E_INVALID: return fault(FaultKind::BadRequest, "the provider cannot make sense of the request");
    case PORTOLAN_E_UNSUPPORTED: return fault(FaultKind::NoCapableModel, "the provider cannot serve this request");
    case PORTOLAN_E_UPSTREAM: return fault(FaultKind::BadReply, "the upstream's reply makes no sense");
    case PORTOLAN_E_CANCELLED: return fault(FaultKind::Cancelled, "stopped");
    default: return fault(FaultKind::PluginFailed, "the provider plugin failed");
    }
}

static FaultKind kind_of(std::int32_t kind)
{
    switch (kind) {
    case PORTOLAN_FAULT_NONE: return FaultKind::None;
    case PORTOLAN_FAULT_AUTH: return FaultKind::UpstreamAuth;
    case PORTOLAN_FAULT_QUOTA: return FaultKind::Quota;
    case PORTOLAN_FAULT_RATE_LIMIT: return FaultKind::RateLimited;
    case PORTOLAN_FAULT_BAD_REQUEST: return FaultKind::Refused;
    case PORTOLAN_FAULT_TOO_LONG: return FaultKind::TooLong;
    case PORTOLAN_FAULT_CONTENT: return FaultKind::ContentPolicy;
    case PORTOLAN_FAULT_NO_MODEL: return FaultKind::NoModel;
    case PORTOLAN_FAULT_OVERLOADED:
    case PORTOLAN_FAULT_SERVER: return FaultKind::Overloaded;
    case PORTOLAN_FAULT_TIMEOUT: return FaultKind::Slow;
    case PORTOLAN_FAULT_NETWORK: return FaultKind::Unreachable;
    default: return FaultKind::BadReply; // UNKNOWN, BAD_REPLY, and what a later header names
    }
}

core::Fault fault_of_event(const portolan_fault& f, std::string_view message)
{
    core::Fault fault{.kind = kind_of(f.kind), .message = std::string(message.substr(0, 4096))};
    if (f.http_status >= 400 && f.http_status <= 599) fault.status = f.http_status;
    fault.retry_after_us = f.retry_after_us < 0 ? -1 : f.retry_after_us;
    fault.rebuild = f.flags & PORTOLAN_FAULT_REBUILD;
    return fault;
}

std::int32_t fault_to_abi(FaultKind kind) noexcept
{
    switch (kind) {
    case FaultKind::None: return PORTOLAN_FAULT_NONE;
    case FaultKind::UpstreamAuth: return PORTOLAN_FAULT_AUTH;
    case FaultKind::Quota: return PORTOLAN_FAULT_QUOTA;
    case FaultKind::RateLimited:
    case FaultKind::Throttled: return PORTOLAN_FAULT_RATE_LIMIT;
    case FaultKind::BadRequest:
    case FaultKind::Refused:
    case FaultKind::Lossy:
    case FaultKind::NoCapableModel: return PORTOLAN_FAULT_BAD_REQUEST;
    case FaultKind::TooLong: return PORTOLAN_FAULT_TOO_LONG;
    case FaultKind::ContentPolicy: return PORTOLAN_FAULT_CONTENT;
    case FaultKind::NoModel: return PORTOLAN_FAULT_NO_MODEL;
    case FaultKind::Overloaded: return PORTOLAN_FAULT_OVERLOADED;
    case FaultKind::Transient: return PORTOLAN_FAULT_SERVER;
    case FaultKind::Slow:
    case FaultKind::Deadline: return PORTOLAN_FAULT_TIMEOUT;
    case FaultKind::Unreachable:
    case FaultKind::Stale:
    case FaultKind::Broken: return PORTOLAN_FAULT_NETWORK;
    case FaultKind::BadReply:
    case FaultKind::Truncated: return PORTOLAN_FAULT_BAD_REPLY;
    default: return PORTOLAN_FAULT_UNKNOWN;
    }
}

} // namespace plugin
