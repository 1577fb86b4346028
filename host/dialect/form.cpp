#include "dialect/form.h"

#include "core/text.h"

#include <string>

namespace dialect {

namespace {

constexpr std::size_t most_fields = 256, longest_boundary = 70, longest_head = 8192; // RFC 2046 section 5.1.1 for the boundary

core::Fault wrong(std::string why)
{
    return {.kind = core::FaultKind::BadRequest, .message = "The multipart body cannot be read: " + std::move(why) + ".", .code = "invalid_multipart"};
}

/// The parameter `name` of a header's value, without quotes; `there` says whether it is there at all.
std::string_view parameter(std::string_view value, std::string_view name, bool& there)
{
    there = false;
    for (auto at = value.find(';'); at != value.npos;) {
        auto rest = value.substr(at + 1);
        rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
        const auto equals = rest.find('=');
        if (equals == rest.npos) return {};
        const bool wanted = core::equal_nocase(core::trim(rest.substr(0, equals)), name);
        auto text = rest.substr(equals + 1);
        std::size_t end = 0;
        const bool quoted = text.starts_with('"');
        if (quoted)
            for (end = 1; end < text.size() && text[end] != '"'; ++end) end += text[end] == '\\';
        else
            end = std::min(text.find(';'), text.size());
        end = std::min(end, text.size());
        if (wanted) {
            there = true;
            return quoted ? text.substr(1, end - 1) : core::trim(text.substr(0, end));
        }
        const auto after = text.substr(end).find(';');
        at = after == text.npos ? value.npos : static_cast<std::size_t>(text.data() - value.data()) + end + after;
    }
    return {};
}

/// A part's head; false if it names no field.
bool read_head(std::string_view head, FormField& field)
{
    bool named = false;
    while (!head.empty()) {
        const auto end = std::min(head.find("\r\n"), head.size());
        const auto line = head.substr(0, end);
        head.remove_prefix(std::min(end + 2, head.size()));
        const auto colon = line.find(':');
        if (colon == line.npos) return false;
        const auto name = line.substr(0, colon), value = core::trim(line.substr(colon + 1));
        if (core::equal_nocase(name, "content-type")) field.content_type = value;
        if (!core::equal_nocase(name, "content-disposition")) continue;
        field.name = parameter(value, "name", named);
        field.filename = parameter(value, "filename", field.file);
    }
    return named && !field.name.empty();
}

} // namespace

core::Result<std::vector<FormField>> parse_form(std::string_view content_type, std::string_view body)
{
    const auto type = core::trim(content_type.substr(0, content_type.find(';')));
    if (!core::equal_nocase(type, "multipart/form-data"))
        return core::Fault{.kind = core::FaultKind::UnsupportedMedia, .message = "This path takes multipart/form-data."};
    bool there = false;
    const auto boundary = parameter(content_type, "boundary", there);
    if (boundary.empty() || boundary.size() > longest_boundary) return wrong("its Content-Type has no usable boundary");
    const std::string opening = "--" + std::string(boundary), mark = "\r\n" + opening;
    std::vector<FormField> fields;
    std::size_t at = 0;
    if (!body.starts_with(opening)) {
        at = body.find(mark); // text before the first part says nothing
        if (at == body.npos) return wrong("its boundary does not occur");
        at += 2;
    }
    at += opening.size();
    while (!body.substr(at).starts_with("--")) {
        while (at < body.size() && (body[at] == ' ' || body[at] == '\t')) ++at;
        if (!body.substr(at).starts_with("\r\n")) return wrong("a boundary has something behind it");
        at += 2;
        const bool no_head = body.substr(at).starts_with("\r\n");
        const auto head_end = no_head ? at : body.find("\r\n\r\n", at);
        if (head_end == body.npos || head_end - at > longest_head) return wrong("a part has no end of its head");
        FormField field;
        if (!read_head(body.substr(at, head_end - at), field)) return wrong("a part has no name");
        const auto from = head_end + (no_head ? 2 : 4);
        const auto end = body.find(mark, from);
        if (end == body.npos) return wrong("its last boundary is missing");
        field.bytes = body.substr(from, end - from);
        if (fields.size() == most_fields) return wrong("it has over 256 fields");
        fields.push_back(field);
        at = end + mark.size();
    }
    return fields;
}

} // namespace dialect
