// Everything that a request is served with. Immutable; a request holds it from door to end, a reload puts another one beside it.
#pragma once

#include "config/config.h"
#include "dispatch/request_body.h"
#include "routing/candidate_table.h"
#include "upstream/endpoint.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace front {

/// A static key as the door keeps it: only its digest.
struct KeyDigest {
    std::array<unsigned char, 32> sha256{};
    std::string name;
    bool chat = false, read = false, admin = false;
};

/// One line of GET /v1/models.
struct ListedModel {
    std::string id, owned_by;
};

struct Runtime {
    std::uint64_t generation = 0;
    std::shared_ptr<const config::Config> config;
    std::vector<upstream::Endpoint> endpoints;  ///< index: routing::Target::endpoint
    routing::CandidateTable table;
    dispatch::ParamRules params{{}};
    std::vector<KeyDigest> keys;
    std::vector<ListedModel> models;            ///< virtual ones first
    std::int64_t created_unix = 0;

    /// The place of a provider in `endpoints`; endpoints.size() if its plugin was removed.
    [[nodiscard]] std::size_t endpoint_of(std::string_view provider) const
    {
        std::size_t at = 0;
        while (at < endpoints.size() && endpoints[at].name != provider) ++at;
        return at;
    }
};

/// SHA-256 of a key. [shared]
[[nodiscard]] std::array<unsigned char, 32> digest_of(std::string_view key) noexcept;

} // namespace front
