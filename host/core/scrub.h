// Takes what looks like a secret out of a text before it is written anywhere.
#pragma once

#include <string>
#include <string_view>

namespace core {

/// True if scrub() would change the text. Cheap: most lines have nothing in them.
[[nodiscard]] bool has_secret(std::string_view text) noexcept;

/// The text with keys (sk-…, gsk_…, xai-…, ptl_…, AIza…, AKIA…), "Bearer …", JSON web tokens and PEM blocks shown as "sk-***" and the
/// like. A second line only: who writes a log line leaves secrets out of it. JSON stays valid JSON, as nothing outside of a string
/// literal looks like a secret and quotes are never taken out.
[[nodiscard]] std::string scrub(std::string_view text);

} // namespace core
