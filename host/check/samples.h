// What a plugin is called with when its author gave nothing: configurations from its schema, requests, replies, snapshots.
#pragma once

#include "check/fake_host.h"

#include "plugin/manifest.h"

#include <cstddef>
#include <string>
#include <vector>

namespace check {

/// The smallest configuration that the schema allows: what is required, with its default, first enum value or a plausible one.
json smallest_config(const json& schema);
/// A value that fits the property's schema.
json value_for(const json& property);

/// Requests in the form of case files, one for each operation of the component that there is an example for.
std::vector<json> sample_requests(const plugin::Component& about);
/// Replies in the form of case files: each of the usual dialects, whole and streamed. A plugin understands some of them.
const std::vector<json>& sample_replies();
/// Replies and bodies that no upstream should send.
const std::vector<json>& hostile_replies();
const std::vector<std::string>& hostile_bodies();
/// Snapshots in the form of case files, with 0 to 300 candidates.
std::vector<json> sample_snapshots();
json snapshot_of(std::size_t candidates);

} // namespace check
