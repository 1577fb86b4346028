#include "upstream/request_bytes.h"

#include "core/base64.h"
#include "core/ids.h"
#include "upstream/sigv4.h"
#include "wire/loop.h"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace upstream {

namespace {

using core::Fault;
using core::FaultKind;
using Kind = dispatch::HttpPlan::Piece::Kind;
using Pieces = std::vector<std::string_view>;

constexpr std::size_t worked_on_the_loop = 256 * 1024; // about a millisecond

std::string base64_of(std::span<const std::string_view> pieces) { return core::base64(pieces.front()); }

/// `work` over the pieces, on another thread if they are large.
wire::Task<core::Result<std::string>> worked(Pieces pieces, std::string (*work)(std::span<const std::string_view>))
{
    std::size_t size = 0;
    for (const auto piece : pieces) size += piece.size();
    if (size <= worked_on_the_loop) co_return work(pieces);
    std::string result;
    std::function<void()> run = [&] { result = work(pieces); };
    const auto off = co_await wire::off_loop(std::move(run));
    if (off.rejected) co_return Fault{.kind = FaultKind::Overloaded, .message = "Too much is waiting for a thread."};
    co_return result;
}

/// In a quoted parameter a quote is written %22 (RFC 7578 section 2).
std::string form_quoted(std::string_view name)
{
    std::string out = "\"";
    for (const char c : name) c == '"' ? out += "%22" : out += c;
    return out + '"';
}

std::string field_head(const dispatch::HttpPlan::Piece& field, const std::string& boundary, bool first)
{
    std::string out = (first ? "--" : "\r\n--") + boundary + "\r\ncontent-disposition: form-data; name=" + form_quoted(field.text);
    if (!field.filename.empty()) out += "; filename=" + form_quoted(field.filename);
    if (!field.type.empty()) out += "\r\ncontent-type: " + field.type;
    return out + "\r\n\r\n";
}

} // namespace

wire::Task<core::Result<RequestBytes>> pieced_bytes(const dispatch::HttpPlan& plan, const dispatch::ProviderRequest& request)
{
    RequestBytes out;
    auto& [pieces, storage, size] = out.body;
    storage.reserve(plan.pieces.size() + 1); // the pieces are views of it
    std::string boundary;
    if (!plan.body.empty()) pieces.push_back(plan.body);
    for (const auto& piece : plan.pieces) {
        switch (piece.kind) {
        case Kind::Text: pieces.push_back(piece.text); break;
        case Kind::Part: pieces.push_back(request.parts[piece.part].bytes); break;
        case Kind::PartInBase64: {
            const Pieces bytes{request.parts[piece.part].bytes};
            auto encoded = co_await worked(bytes, base64_of);
            if (!encoded) co_return std::move(encoded).fault();
            pieces.push_back(storage.emplace_back(std::move(encoded).value()));
            break;
        }
        case Kind::Field: {
            const bool first = boundary.empty();
            if (first) boundary = "portolan-" + std::to_string(core::random_bits()) + std::to_string(core::random_bits());
            pieces.push_back(storage.emplace_back(field_head(piece, boundary, first)));
            break;
        }
        }
    }
    if (!boundary.empty()) {
        pieces.push_back(storage.emplace_back("\r\n--" + boundary + "--\r\n"));
        out.content_type = "multipart/form-data; boundary=" + boundary;
    }
    std::erase_if(pieces, [](std::string_view piece) { return piece.empty(); });
    for (const auto piece : pieces) size += piece.size();
    co_return out;
}

core::Result<RequestBytes> plain_bytes(const dispatch::HttpPlan& plan, const dispatch::ProviderRequest& request)
{
    RequestBytes out;
    if (plan.own_body) {
        out.body.pieces.push_back(plan.body);
    } else if (plan.method != "GET" && plan.method != "HEAD") {
        std::vector<core::JsonEdit> edits;
        edits.reserve(plan.edits.size());
        for (const auto& e : plan.edits) edits.push_back({e.pointer, e.json});
        try {
            out.body = core::splice(request.json, edits);
        } catch (const std::invalid_argument&) {
            return Fault{.kind = FaultKind::PluginFailed, .message = "The plugin edited something that the request does not have."};
        }
    }
    return out;
}

wire::Task<core::Result<std::string>> body_hash(const core::Splice& body) { return worked(body.pieces, sha256_hex); }

} // namespace upstream
