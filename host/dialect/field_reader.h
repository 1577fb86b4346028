// Reads single members of a request and says in OpenAI's words what is wrong with them.
#pragma once

#include "core/json_scan.h"
#include "core/result.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dialect {

/// The first thing that is wrong with a request; what comes later is read all the same, as bad JSON goes before bad
/// values.
class Complaint {
public:
    void add(std::string_view param, std::string message, std::string_view code);
    [[nodiscard]] bool any() const noexcept { return fault_.has_value(); }
    core::Fault take() { return std::move(*fault_); }

private:
    std::optional<core::Fault> fault_;
};

/// Typed reading of the value that is next in the scanner. Each function consumes exactly one value; false: bad JSON.
/// null is as good as absent and leaves `out` alone; another type is a complaint about `param`.
class FieldReader {
public:
    FieldReader(core::JsonScanner& scan, Complaint& complaint) noexcept : scan_(scan), complaint_(complaint) {}

    bool text(std::string_view param, std::string& out);
    bool flag(std::string_view param, bool& out);
    bool integer(std::string_view param, std::int64_t least, std::int64_t most, std::int64_t& out);
    bool number(std::string_view param, double& out);                  ///< not negative
    bool texts(std::string_view param, std::vector<std::string>& out); ///< an array of strings that are not empty
    bool one_of(std::string_view param, std::span<const std::string_view> known, std::string& out);
    /// For a value of another type than `expected` ("a string"): complains and passes it.
    bool wrong(std::string_view param, std::string_view expected);
    bool null(); ///< true and passed if null is next

    core::JsonScanner& scan() noexcept { return scan_; }
    Complaint& complaint() noexcept { return complaint_; }

private:
    core::JsonScanner& scan_;
    Complaint& complaint_;
};

/// "Unknown parameter: 'portolan.polcy'. Did you mean 'policy'?"
void unknown_member(Complaint& complaint, std::string_view parent, std::string_view name,
                    std::span<const std::string_view> known);

/// At most `most` bytes of a text that comes from outside, cut between characters, without control characters.
std::string shown(std::string_view text, std::size_t most);

} // namespace dialect
