// llhttp in its strict mode, fed with a complete head at once, so that every piece comes whole.
#include "wire/request_head.h"

#include <llhttp.h>

namespace wire {

namespace {

RequestHead& head_of(llhttp_t* parser) noexcept { return *static_cast<RequestHead*>(parser->data); }

int on_url(llhttp_t* parser, const char* at, std::size_t size)
{
    head_of(parser).target = {at, size};
    return 0;
}

int on_field(llhttp_t* parser, const char* at, std::size_t size)
{
    if (size) head_of(parser).headers.push_back({{at, size}, {}});
    return 0;
}

int on_value(llhttp_t* parser, const char* at, std::size_t size)
{
    auto& headers = head_of(parser).headers;
    if (headers.empty()) return -1;
    while (size && (at[size - 1] == ' ' || at[size - 1] == '\t')) --size;
    if (size) headers.back().value = {at, size};
    return 0;
}

int on_complete(llhttp_t*) { return HPE_PAUSED; } // bodies are not llhttp's

const llhttp_settings_t& settings()
{
    static const auto all = [] {
        llhttp_settings_t s;
        llhttp_settings_init(&s);
        s.on_url = on_url;
        s.on_header_field = on_field;
        s.on_header_value = on_value;
        s.on_headers_complete = on_complete;
        return s;
    }();
    return all;
}

llhttp_method_t method_of(Method method) noexcept
{
    switch (method) {
    case Method::Get:
        return HTTP_GET;
    case Method::Head:
        return HTTP_HEAD;
    case Method::Post:
        return HTTP_POST;
    case Method::Put:
        return HTTP_PUT;
    case Method::Patch:
        return HTTP_PATCH;
    case Method::Delete:
        return HTTP_DELETE;
    case Method::Options:
        return HTTP_OPTIONS;
    }
    return HTTP_GET;
}

} // namespace

bool parse_request_head(std::string_view head, const HeadFacts& facts, RequestHead& out)
{
    out.headers.clear();
    out.target = {};
    llhttp_t parser;
    llhttp_init(&parser, HTTP_REQUEST, &settings());
    parser.data = &out;
    if (llhttp_execute(&parser, head.data(), head.size()) != HPE_PAUSED) return false;
    const bool chunked = (parser.flags & F_CHUNKED) != 0, has_length = (parser.flags & F_CONTENT_LENGTH) != 0;
    if (parser.http_major != 1 || parser.http_minor != facts.version_minor ||
        parser.method != method_of(facts.method) || chunked != facts.chunked || has_length != facts.has_length ||
        (has_length && parser.content_length != facts.content_length))
        return false;

    out.method = facts.method;
    out.version_minor = facts.version_minor;
    out.has_body = facts.chunked || facts.content_length > 0;
    if (!out.target.starts_with('/')) { // http://host/path, whose host the pre-scan has compared
        const auto authority = out.target.find("//");
        const auto slash = authority == out.target.npos ? authority : out.target.find('/', authority + 2);
        if (slash == out.target.npos) return false;
        out.target.remove_prefix(slash);
    }
    const auto question = out.target.find('?');
    out.path = out.target.substr(0, question);
    out.query = question == out.target.npos ? std::string_view() : out.target.substr(question + 1);
    return true;
}

} // namespace wire
