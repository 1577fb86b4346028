// AWS Signature Version 4 (docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
#pragma once

#include "core/result.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace upstream {

/// Of one account: "ID:SECRET" or "ID:SECRET:SESSION-TOKEN".
struct AwsKey {
    std::string_view id, secret, session;
};
/// Views into `key`. UpstreamAuth if it has another form; the message names no part of it.
[[nodiscard]] core::Result<AwsKey> aws_key(std::string_view key);

/// SHA-256 of the pieces as one text, in hexadecimal. [shared]
[[nodiscard]] std::string sha256_hex(std::span<const std::string_view> pieces);

struct ToSign {
    std::string_view method, host, target; ///< host: as in the Host header; target: path and query as they are sent
    std::string_view body_hash;            ///< sha256_hex of the body
    std::int64_t unix_us = 0;
};

/// The region that an AWS host name tells, as in bedrock-runtime.eu-west-1.amazonaws.com; "" for another name.
[[nodiscard]] std::string_view region_of(std::string_view host) noexcept;

/// [shared] Adds x-amz-date, x-amz-security-token for a session, and authorization to `headers`, of which content-type and x-amz-* are
/// signed too. The path is encoded once more for the signature, as every service but S3 wants it.
void sign_v4(const AwsKey& key, std::string_view service, std::string_view region, const ToSign& request,
             std::vector<std::pair<std::string, std::string>>& headers);

} // namespace upstream
