// What every translation into the hub form needs (docs/plugins/hub.md).
#pragma once

#include "core/json_tree.h"
#include "dialect/dialect.h"

#include <optional>
#include <string>
#include <string_view>

namespace dialect {

/// A request in the making. `plain`: for an upstream that itself speaks OpenAI.
class HubText {
public:
    HubText(std::size_t size, bool plain) : plain_(plain)
    {
        form_.json.reserve(size + 256);
        text_.open('{');
    }
    HubText(const HubText&) = delete;
    HubText& operator=(const HubText&) = delete;

    [[nodiscard]] bool plain() const noexcept { return plain_; }
    core::JsonText& json() noexcept { return text_; }
    /// A member of the client's request that has no place in the form. Once per name.
    void lose(std::string_view field);
    /// A member at the top of the form, the value follows. `name` is a constant.
    core::JsonText& member(std::string_view name);
    /// Content that the form cannot hold, and without which the question would be another one: why, for the client.
    void refuse(std::string why);
    [[nodiscard]] bool refused() const noexcept { return !form_.refused.empty(); }
    void copy(std::string_view name, core::JsonValue value); ///< likewise, with its value, if there is one
    /// Portolan's own members and OpenRouter's, for whoever reads the form. True: it was one.
    bool extension(core::JsonValue member);
    /// The mark if it is there: said in the full form, lost in the plain one.
    void cache_mark(core::JsonValue of);
    HubForm take()
    {
        text_.close('}');
        return std::move(form_);
    }

private:
    HubForm form_;
    core::JsonText text_{form_.json};
    bool plain_;
};

/// "data:<media type>;base64,<data>", as the inside of a JSON string; both are insides of JSON strings.
std::string data_url(std::string_view media_type, std::string_view data);
/// The parts of a data URL; nothing for anything else. Views into `url`.
struct DataUrl {
    std::string_view media_type, data;
};
std::optional<DataUrl> read_data_url(std::string_view url);

/// An entry of reasoning_details, packed so that a client whose dialect has no such list hands it back unchanged where it keeps a
/// provider's opaque text; and unpacked again. What we did not pack is nothing.
std::string pack_details(std::string_view entry_json);
std::optional<std::string> unpack_details(std::string_view text);

/// Reads a request that is now in the hub form: needs, limits, extensions. Keeps the form in the result. `body`, `root`: the client's.
core::Result<ChatRequest> read_hub(std::string_view body, core::JsonValue root, HubForm form, std::size_t max_depth);

/// BadRequest unless `root` has an array with that name.
core::Status needs_array(core::JsonValue root, std::string_view name);

} // namespace dialect
