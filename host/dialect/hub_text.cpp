#include "dialect/hub_text.h"

#include "core/base64.h"
#include "dialect/chat_reader.h"

#include <algorithm>
#include <array>

namespace dialect {

namespace {

constexpr std::array<std::string_view, 4> ours{"portolan", "models", "route", "provider"};
constexpr std::string_view packed = "portolan1.";

} // namespace

void HubText::lose(std::string_view field)
{
    if (std::find(form_.lost.begin(), form_.lost.end(), field) == form_.lost.end()) form_.lost.emplace_back(field);
}

void HubText::refuse(std::string why)
{
    if (form_.refused.empty()) form_.refused = std::move(why);
}

core::JsonText& HubText::member(std::string_view name)
{
    form_.present.push_back(name);
    return text_.key(name);
}

void HubText::copy(std::string_view name, core::JsonValue value)
{
    if (value.said()) member(name).raw(value.raw());
}

bool HubText::extension(core::JsonValue value)
{
    const auto found = std::find(ours.begin(), ours.end(), value.key());
    if (found == ours.end()) return false;
    member(*found).raw(value.raw());
    return true;
}

void HubText::cache_mark(core::JsonValue of)
{
    const auto mark = of["cache_control"];
    if (!mark.said()) return;
    if (plain_) return lose("cache_control");
    text_.copy("cache_control", mark);
}

std::string data_url(std::string_view media_type, std::string_view data)
{
    std::string out = "data:";
    out.reserve(media_type.size() + data.size() + 16);
    ((out += media_type) += ";base64,") += data;
    return out;
}

std::optional<DataUrl> read_data_url(std::string_view url)
{
    if (!url.starts_with("data:")) return {};
    const auto comma = url.find(',');
    if (comma == url.npos) return {};
    auto type = url.substr(5, comma - 5);
    if (!type.ends_with(";base64")) return {};
    type.remove_suffix(7);
    return DataUrl{type.substr(0, type.find(';')), url.substr(comma + 1)};
}

std::string pack_details(std::string_view entry_json) { return std::string(packed) + core::base64(entry_json); }

std::optional<std::string> unpack_details(std::string_view text)
{
    if (!text.starts_with(packed)) return {};
    auto json = core::from_base64(text.substr(packed.size()));
    if (!json) return {};
    return core::JsonTree(*json).root().object() ? json : std::nullopt;
}

core::Status needs_array(core::JsonValue root, std::string_view name)
{
    const auto value = root[name];
    if (value.array()) return core::Done{};
    return core::Fault{.kind = core::FaultKind::BadRequest,
                       .message = value ? "Invalid type for '" + std::string(name) + "': expected an array."
                                        : "Missing required parameter: '" + std::string(name) + "'.",
                       .code = value ? "invalid_type" : "missing_required_parameter",
                       .param = std::string(name)};
}

core::Result<ChatRequest> read_hub(std::string_view body, core::JsonValue root, HubForm form, std::size_t max_depth)
{
    auto read = read_chat(form.json, max_depth + 8); // what we write may be a little deeper than what we read
    if (!read) return read;
    auto& request = *read;
    request.hub_present = std::move(form.present);
    request.lost = std::move(form.lost), request.refused = std::move(form.refused);
    request.hub = std::move(form.json);
    request.bytes = body;
    request.present.clear();
    for (const auto member : root) request.present.push_back(member.key());
    return read;
}

} // namespace dialect
