// The strict look at the raw bytes of a request's head, before any parser. Its verdict does not depend on how the
// network cut them.
#pragma once

#include "wire/server.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace wire {

/// Why the front says no. `reason` is the label in metrics.
struct Refusal {
    int status = 0;
    const char* reason = "";
    const char* message = "";
    explicit operator bool() const noexcept { return status != 0; }
};

/// What the head says about framing and connection.
struct HeadFacts {
    Method method = Method::Get;
    int version_minor = 1;
    bool keep_alive = true;
    bool chunked = false, has_length = false;
    bool expects_continue = false, upgrade = false;
    std::uint64_t content_length = 0;
};

class Prescan {
public:
    enum class State : std::uint8_t { More, Done, Refused };

    explicit Prescan(const ServerLimits& limits) noexcept : limits_(limits) {}

    /// `data`: all bytes since the end of the last request, those of earlier calls included (they may have moved).
    /// Writes header names in lower case. Refuses at the first byte that is wrong, in the order in which they were
    /// sent.
    State scan(char* data, std::size_t size);

    /// After Done.
    [[nodiscard]] const HeadFacts& facts() const noexcept { return facts_; }
    [[nodiscard]] std::size_t begin() const noexcept { return begin_; } ///< behind a tolerated empty line
    [[nodiscard]] std::size_t end() const noexcept { return at_; }      ///< behind the empty line
    /// After Refused.
    [[nodiscard]] const Refusal& refusal() const noexcept { return refusal_; }

private:
    State refuse(int status, const char* reason, const char* message) noexcept;
    State skip_empty_line(std::string_view data) noexcept;
    std::size_t furthest(bool& field) const noexcept;
    State over_limit(bool field) noexcept;
    State bad_byte(unsigned char c) noexcept;
    bool request_line(std::string_view line, std::size_t offset) noexcept;
    bool target(std::string_view target, std::size_t offset) noexcept;
    bool header(char* line, std::size_t size, std::size_t offset) noexcept;
    bool known_header(std::string_view name, std::string_view value, std::size_t value_offset) noexcept;
    bool content_length(std::string_view value) noexcept;
    bool transfer_encoding(std::string_view value) noexcept;
    bool expect(std::string_view value) noexcept;
    void connection(std::string_view value) noexcept;
    bool head_complete(std::string_view data) noexcept;

    struct Place {
        std::size_t offset = 0, size = 0;
        std::string_view in(std::string_view data) const noexcept { return data.substr(offset, size); }
    };

    const ServerLimits& limits_;
    HeadFacts facts_;
    Refusal refusal_;
    std::size_t begin_ = 0;
    std::size_t line_ = 0;    ///< where the present line begins
    std::size_t headers_ = 0; ///< where the first header line begins; 0: still in the request line
    std::size_t at_ = 0;      ///< everything before it has been looked at
    std::size_t count_ = 0;
    Place host_, target_authority_;
    unsigned hosts_ = 0;
    bool started_ = false, has_encoding_ = false, has_expect_ = false;
    bool close_ = false, keep_ = false;
};

/// RFC 9110 5.6.2
[[nodiscard]] bool is_token(std::string_view s) noexcept;
/// host[:port] of RFC 9110 7.2, with a registered name, an IPv4 or a bracketed IPv6 address; neither user nor empty
/// parts.
[[nodiscard]] bool is_host(std::string_view s) noexcept;
/// Names that say how a message is framed, routed or authorised: not allowed in a trailer.
[[nodiscard]] bool forbidden_in_trailer(std::string_view lower_case_name) noexcept;

} // namespace wire
