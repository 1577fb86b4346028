// The body of a request to an upstream, put together from what the plugin said.
#pragma once

#include "core/json_edit.h"
#include "core/result.h"
#include "dispatch/provider.h"
#include "wire/task.h"

#include <string>

namespace upstream {

struct RequestBytes {
    core::Splice body;        ///< pieces borrow the plan and the request
    std::string content_type; ///< of a multipart body; empty: the plugin's, else JSON
};

/// Of a plan without pieces: its own body, or the request's JSON with the plan's edits; nothing for GET and HEAD. PluginFailed for an edit of
/// what is not there.
[[nodiscard]] core::Result<RequestBytes> plain_bytes(const dispatch::HttpPlan& plan, const dispatch::ProviderRequest& request);
/// Of a plan with pieces. Files are not copied; those that are wanted in base64 are encoded off the loop if they are large.
[[nodiscard]] wire::Task<core::Result<RequestBytes>> pieced_bytes(const dispatch::HttpPlan& plan, const dispatch::ProviderRequest& request);

/// SHA-256 of a body in hexadecimal, off the loop if it is large.
[[nodiscard]] wire::Task<core::Result<std::string>> body_hash(const core::Splice& body);

} // namespace upstream
