// What is in the messages of a chat: texts, images and the rest, without unpacking them.
#pragma once

#include "core/features.h"
#include "dialect/chat_request.h"
#include "dialect/field_reader.h"

namespace dialect {

/// Fast and good enough to tell conversations apart; not for tables that strangers fill.
std::uint64_t hash_text(std::string_view text, std::uint64_t seed) noexcept;

class MessageReader {
public:
    explicit MessageReader(FieldReader& fields) noexcept : fields_(fields) {}

    /// The value of `messages`: fills counts, features, prefix_hash.
    bool read(ChatRequest& request);
    /// Sum of the lengths of all texts and tool calls, in bytes.
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    /// Texts of the messages, of a body that read() liked.
    static std::vector<ChatRequest::Turn> turns(std::string_view body);

private:
    enum class Role { None, System, User, Assistant, Other };
    struct Seen { ///< of one message
        Role role = Role::None;
        std::vector<core::JsonString> texts;
    };
    static Role role_of(const core::JsonString& role);
    bool message(ChatRequest& request, std::size_t at, Seen& seen);
    bool content(ChatRequest& request, Seen& seen);
    bool parts(ChatRequest& request, Seen& seen);
    bool part(ChatRequest& request, Seen& seen);

    FieldReader& fields_;
    std::size_t bytes_ = 0;
};

} // namespace dialect
