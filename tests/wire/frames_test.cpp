// The cutter: SSE by its standard, lines, AWS frames; the same pieces however the network cut the bytes.
#include "wire/frames.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

using namespace std::string_literals;
using wire::Cutter;
using wire::Framing;

namespace {

struct Cut {
    std::vector<std::array<std::string, 3>> pieces; // event, data, raw
    std::string raw, tail, fault;

    bool operator==(const Cut&) const = default;
};

// Feeds body in parts that end at the given places. Every part is a heap block of its own, so that a view which
// outlives it shows.
Cut cut(Framing kind, std::string_view body, const std::vector<std::size_t>& ends, std::size_t limit = 1 << 24)
{
    Cut result;
    Cutter cutter(kind, limit);
    const auto drain = [&] {
        for (;;) {
            wire::Piece piece;
            const auto more = cutter.next(piece);
            if (!more) {
                result.fault = more.fault().message;
                return false;
            }
            if (!*more) return true;
            result.pieces.push_back({std::string(piece.event), std::string(piece.data), std::string(piece.raw)});
            result.raw += piece.raw;
        }
    };
    std::size_t at = 0;
    for (std::size_t i = 0; i <= ends.size(); ++i) {
        const auto end = i < ends.size() ? ends[i] : body.size();
        const std::vector<char> part(body.begin() + static_cast<std::ptrdiff_t>(at),
                                     body.begin() + static_cast<std::ptrdiff_t>(end));
        at = end;
        cutter.feed({part.data(), part.size()});
        if (!drain()) return result;
    }
    cutter.close();
    if (drain()) result.tail = cutter.tail();
    return result;
}

std::vector<std::size_t> every_byte(std::size_t size)
{
    std::vector<std::size_t> ends;
    for (std::size_t i = 1; i < size; ++i) ends.push_back(i);
    return ends;
}

std::vector<std::size_t> random_ends(std::size_t size, std::mt19937& random)
{
    std::vector<std::size_t> ends;
    for (std::size_t at = 0;;) {
        at += 1 + random() % (1 + size / (1 + random() % 40));
        if (at >= size) return ends;
        ends.push_back(at);
    }
}

// Whole, cut once at every place, one byte at a time: all the same. Returns the pieces as "event|data".
std::vector<std::string> pieces_of(std::string_view body, Framing kind = Framing::Sse)
{
    const auto whole = cut(kind, body, {});
    INFO("body " << Catch::Detail::stringify(std::string(body)));
    CHECK(whole.fault == "");
    CHECK(whole.raw + whole.tail == body);
    for (std::size_t at = 1; at < body.size(); ++at)
        if (!(cut(kind, body, {at}) == whole)) FAIL_CHECK("differs when cut at " << at);
    CHECK(cut(kind, body, every_byte(body.size())) == whole);
    std::vector<std::string> out;
    for (const auto& piece : whole.pieces) out.push_back(piece[0] + "|" + piece[1]);
    return out;
}

using List = std::vector<std::string>;

std::string crc(std::string_view bytes)
{
    std::uint32_t c = 0xFFFFFFFFU;
    for (const char b : bytes) {
        c ^= static_cast<std::uint8_t>(b);
        for (int i = 0; i < 8; ++i) c = (c & 1) != 0 ? (c >> 1) ^ 0xEDB88320U : c >> 1;
    }
    c = ~c;
    return {static_cast<char>(c >> 24), static_cast<char>(c >> 16), static_cast<char>(c >> 8), static_cast<char>(c)};
}

std::string big(std::size_t n, int bytes)
{
    std::string out;
    for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(n >> (8 * i));
    return out;
}

std::string aws_header(const std::string& name, const std::string& value)
{
    return big(name.size(), 1) + name + '\7' + big(value.size(), 2) + value;
}

std::string aws_frame(const std::string& headers, const std::string& payload)
{
    auto frame = big(16 + headers.size() + payload.size(), 4) + big(headers.size(), 4);
    frame += crc(frame);
    frame += headers + payload;
    return frame + crc(frame);
}

std::string base64(std::string_view text)
{
    std::string out;
    unsigned value = 0;
    int bits = 0;
    for (const char c : text) {
        const auto at = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"s.find(c);
        if (at == std::string::npos) continue;
        value = value << 6 | static_cast<unsigned>(at);
        if ((bits += 6) >= 8) out += static_cast<char>(value >> (bits -= 8));
    }
    return out;
}

std::filesystem::path recordings()
{
    const auto* shared = std::getenv("PORTOLAN_SHARED");
    return std::filesystem::path(shared ? shared : "../shared") / "data/recordings";
}

// Calls with every recorded response; false if the recordings are not here.
template <class Use>
bool each_recording(Use use)
{
    if (!std::filesystem::exists(recordings())) {
        WARN("skipped: no recordings, set PORTOLAN_SHARED");
        return false;
    }
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(recordings()))
        if (entry.path().extension() == ".json") files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (const auto& file : files) {
        std::ifstream in(file);
        const auto json = nlohmann::json::parse(in, nullptr, false);
        if (!json.is_discarded() && json.contains("response")) use(file.filename().string(), json);
    }
    return true;
}

} // namespace

TEST_CASE("SSE: the three line ends mean the same, even mixed")
{
    CHECK(pieces_of("data: a\n\ndata: b\n\n") == List{"|a", "|b"});
    CHECK(pieces_of("data: a\r\n\r\ndata: b\r\n\r\n") == List{"|a", "|b"});
    CHECK(pieces_of("data: a\r\rdata: b\r\r") == List{"|a", "|b"});
    CHECK(pieces_of("data: a\r\n\ndata: b\n\r\ndata: c\r\r\ndata: d\n\rdata: e\r\n\r") ==
          List{"|a", "|b", "|c", "|d", "|e"});
    CHECK(pieces_of("event: x\rdata: a\r\ndata: b\ndata: c\r\n\r\n") == List{"x|a\nb\nc"});
}

TEST_CASE("SSE: a field may lack the space, the value or the colon")
{
    CHECK(pieces_of("data:a\n\ndata:  b\n\ndata\n\ndata:\n\n") == List{"|a", "| b", "|", "|"});
    CHECK(pieces_of("data\ndata\n\n") == List{"|\n"});
    CHECK(pieces_of("datax: a\n\nDATA: b\n\n data: c\n\n").empty());
}

TEST_CASE("SSE: the last event name counts, id and retry are ignored")
{
    CHECK(pieces_of("id: 1\nretry: 10\nevent: a\nevent: b\ndata: x\n\ndata: y\n\n") == List{"b|x", "|y"});
    CHECK(pieces_of("event: lost\n\ndata: x\n\n") == List{"|x"});
}

TEST_CASE("SSE: a byte order mark is skipped at the start only")
{
    CHECK(pieces_of("\xEF\xBB\xBF"
                    "data: a\ndata: b\n\n") == List{"|a\nb"});
    CHECK(pieces_of("\xEF\xBB\xBF\n\ndata: a\n\n") == List{"|a"});
    CHECK(pieces_of("data: a\n\n\xEF\xBB\xBF"
                    "data: b\n\ndata: c\n\n") == List{"|a", "|c"});
    CHECK(pieces_of("\xEF\xBB\xBF"
                    "data: a") == List{"|a"});
    CHECK(pieces_of("\xEF\xBB\xBF").empty());
}

TEST_CASE("SSE: blocks without data give their raw bytes to the frame after them, the last ones to the tail")
{
    const auto body = ": hello\n\n\n\n: more\nevent: e\ndata: a\n\n: bye\n\n"s;
    CHECK(pieces_of(body) == List{"e|a"});
    const auto whole = cut(Framing::Sse, body, {});
    CHECK(whole.pieces[0][2] == ": hello\n\n\n\n: more\nevent: e\ndata: a\n\n");
    CHECK(whole.tail == ": bye\n\n");
}

TEST_CASE("SSE: data without a blank line at the end is given out, anything else that is unfinished is a cut")
{
    CHECK(pieces_of("data: a\n\ndata: b\n") == List{"|a", "|b"});
    CHECK(pieces_of("data: a\n\ndata: b") == List{"|a", "|b"});
    CHECK(pieces_of("data: a\r\n\r\ndata: b\r") == List{"|a", "|b"});
    CHECK(pieces_of("data: a\n\n: comment") == List{"|a"});
    for (const auto* end : {"dat", "event: x", "event: x\n", "event: x\nid: 4"}) {
        const auto body = "data: a\n\n"s + end;
        for (std::size_t at = 1; at < body.size(); ++at) {
            const auto result = cut(Framing::Sse, body, {at});
            CHECK(result.pieces.size() == 1);
            CHECK(result.fault == "the reply ends inside an event");
        }
    }
}

TEST_CASE("SSE: an event of CR ends alone is given out with its last byte")
{
    Cutter cutter(Framing::Sse);
    wire::Piece piece;
    cutter.feed("data: a\r\r");
    REQUIRE(*cutter.next(piece));
    CHECK(piece.data == "a");
}

TEST_CASE(
    "Pieces of a fed buffer that holds whole frames point into it, even with several lines of data in many frames")
{
    const auto body = "event: x\ndata: a\n\ndata: bc\n\ndata: lef"s;
    Cutter cutter(Framing::Sse);
    cutter.feed(body);
    wire::Piece one, two, none;
    REQUIRE(*cutter.next(one));
    REQUIRE(*cutter.next(two));
    CHECK_FALSE(*cutter.next(none));
    CHECK(one.data.data() == body.data() + 15);
    CHECK(two.raw.data() == body.data() + 18);
    CHECK(cutter.borrows());
    CHECK(cutter.owns(one.raw));
    const std::string elsewhere(one.raw);
    CHECK_FALSE(cutter.owns(elsewhere));
    cutter.feed("t\n\n");
    CHECK_FALSE(cutter.borrows());
    CHECK_FALSE(cutter.owns(body));
    REQUIRE(*cutter.next(one));
    CHECK(one.data == "left");
    CHECK(cutter.owns(one.data));
    CHECK(cutter.owns(one.raw));

    std::string many;
    for (int i = 0; i < 200; ++i) many += "data: " + std::to_string(i) + "\ndata: x\n\n";
    cutter.feed(many);
    std::vector<std::string_view> held;
    while (*cutter.next(one)) {
        CHECK(cutter.owns(one.data));
        held.push_back(one.data);
    }
    REQUIRE(held.size() == 200);
    for (std::size_t i = 0; i < held.size(); ++i) CHECK(held[i] == std::to_string(i) + "\nx");
}

TEST_CASE("A frame over the limit is refused, wherever it is cut")
{
    const auto fits = "data: " + std::string(92, 'a') + "\n\n";
    const auto over = "data: " + std::string(93, 'a') + "\n\n";
    for (const auto& ends : {std::vector<std::size_t>{}, std::vector<std::size_t>{50}, every_byte(over.size())}) {
        CHECK(cut(Framing::Sse, over, ends, 100).fault != "");
        CHECK(cut(Framing::Line, "x" + over, ends, 100).fault != "");
        CHECK(cut(Framing::Whole, over, ends, 100).fault != "");
    }
    for (const auto& ends : {std::vector<std::size_t>{}, std::vector<std::size_t>{50}, every_byte(fits.size())}) {
        CHECK(cut(Framing::Sse, fits, ends, 100).pieces.size() == 1);
        CHECK(cut(Framing::Line, fits, ends, 100).pieces.size() == 1);
        CHECK(cut(Framing::Whole, fits, ends, 100).pieces.size() == 1);
    }
    CHECK(cut(Framing::Sse, fits + fits + fits, {}, 100).pieces.size() == 3);
}

TEST_CASE("A long line in small parts is scanned once")
{
    const std::string part(1024, 'x');
    Cutter cutter(Framing::Sse, 64 << 20);
    wire::Piece piece;
    cutter.feed("data: ");
    REQUIRE_FALSE(*cutter.next(piece));
    for (int i = 0; i < 16 * 1024; ++i) { // 16 MiB: scanning from the start each time would be 128 GiB
        cutter.feed(part);
        if (*cutter.next(piece)) FAIL("a piece without an end");
    }
    cutter.feed("\n\n");
    REQUIRE(*cutter.next(piece));
    CHECK(piece.data.size() == 16U << 20);
}

TEST_CASE("Lines: blank ones are skipped, the last needs no end")
{
    CHECK(pieces_of("{\"a\":1}\r\n\n  \n{\"b\":2}\n{\"c\":3}", Framing::Line) ==
          List{"|{\"a\":1}", "|{\"b\":2}", "|{\"c\":3}"});
    CHECK(pieces_of("a\n\n  ", Framing::Line) == List{"|a"});
}

TEST_CASE("Whole: one piece at the end, also of nothing")
{
    CHECK(pieces_of("{}\n\ndata: x\n", Framing::Whole) == List{"|{}\n\ndata: x\n"});
    CHECK(pieces_of("", Framing::Whole) == List{"|"});
}

TEST_CASE("Raw: every fed piece is a piece")
{
    CHECK(cut(Framing::Raw, "abcdef", {2, 3}).pieces.size() == 3);
    CHECK(cut(Framing::Raw, "abcdef", {2, 3}).raw == "abcdef");
}

TEST_CASE("The content type names the framing")
{
    CHECK(wire::framing_of("Text/Event-Stream; charset=utf-8") == Framing::Sse);
    CHECK(wire::framing_of("application/x-ndjson") == Framing::Line);
    CHECK(wire::framing_of("application/jsonl ;x") == Framing::Line);
    CHECK(wire::framing_of("application/vnd.amazon.eventstream") == Framing::Aws);
    CHECK(wire::framing_of("application/json") == Framing::Whole);
    CHECK(wire::framing_of("") == Framing::Whole);
}

TEST_CASE("AWS: event and exception names come from the headers, of whatever types those are")
{
    const auto odd = "\3ten\4"s + big(1, 4) + "\3yes\0"s + "\3utc\10"s + big(1, 8) + "\2id\11"s + std::string(16, 'u');
    const auto body =
        aws_frame(odd + aws_header(":event-type", "chunk") + aws_header(":message-type", "event"), "{}") +
        aws_frame(aws_header(":message-type", "exception") + aws_header(":exception-type", "throttled"), "no");
    CHECK(pieces_of(body, Framing::Aws) == List{"chunk|{}", "throttled|no"});
    CHECK(pieces_of(aws_frame("", ""), Framing::Aws) == List{"|"});
}

TEST_CASE("AWS: any changed byte is found")
{
    const auto good = aws_frame(aws_header(":event-type", "chunk"), "{\"a\":1}");
    for (std::size_t i = 0; i < good.size(); ++i) {
        auto bad = good;
        bad[i] = static_cast<char>(bad[i] ^ 0x20);
        CHECK(cut(Framing::Aws, bad, {}).fault != "");
        CHECK(cut(Framing::Aws, bad, {}).pieces.empty());
    }
    for (std::size_t size = 1; size < good.size(); ++size)
        CHECK(cut(Framing::Aws, good.substr(0, size), {}).fault == "event stream: the reply ends inside a frame");
}

TEST_CASE("AWS: lengths that make no sense and malformed headers are refused")
{
    const auto prelude = [](std::size_t total, std::size_t headers) {
        const auto start = big(total, 4) + big(headers, 4);
        return start + crc(start);
    };
    CHECK(cut(Framing::Aws, prelude(15, 0), {}).fault == "event stream: a prelude makes no sense");
    CHECK(cut(Framing::Aws, prelude(100, 85), {}).fault == "event stream: a prelude makes no sense");
    CHECK(cut(Framing::Aws, prelude(0xFFFFFFFF, 0), {}).fault == "event stream: a frame is longer than the limit");
    for (const auto& headers : {"\0x"s, "\1a\12"s, "\1a\7\0\5abc"s, "\5a"s, "\1a\7\0"s})
        CHECK(cut(Framing::Aws, aws_frame(headers, ""), {}).fault ==
              "event stream: the headers of a frame are malformed");
}

TEST_CASE("Every recorded stream gives the same pieces however it is cut")
{
    std::size_t streams = 0, frames = 0;
    std::mt19937 random(1);
    const bool here = each_recording([&](const std::string& name, const nlohmann::json& json) {
        const auto& response = json["response"];
        const auto type = response.value("headers", nlohmann::json::object()).value("content-type", std::string());
        std::string body;
        Framing kind = wire::framing_of(type);
        if (response.contains("body_text")) {
            body = response["body_text"].get<std::string>();
            if (type.empty() && (body.starts_with("data:") || body.starts_with("event:"))) kind = Framing::Sse;
        } else if (response.contains("body_base64")) {
            body = base64(response["body_base64"].get<std::string>());
            kind = Framing::Aws;
        }
        if (body.empty() || kind == Framing::Whole) return;
        ++streams;
        const auto whole = cut(kind, body, {});
        frames += whole.pieces.size();
        INFO(name << " " << type);
        CHECK(whole.fault == "");
        CHECK(whole.raw + whole.tail == body);
        if (body.size() <= 2 * 1024)
            for (std::size_t at = 1; at < body.size(); ++at)
                if (!(cut(kind, body, {at}) == whole)) FAIL_CHECK("differs when cut at " << at);
        if (body.size() <= 8 * 1024) {
            if (!(cut(kind, body, every_byte(body.size())) == whole)) FAIL_CHECK("differs when cut at every byte");
        } else {
            for (int i = 0; i < 20; ++i)
                if (!(cut(kind, body, random_ends(body.size(), random)) == whole))
                    FAIL_CHECK("differs in random cut " << i);
        }
        if (response.contains("events_decoded")) CHECK(whole.pieces.size() == response["events_decoded"].size());
    });
    if (!here) return;
    WARN(streams << " streams, " << frames << " frames");
    CHECK(streams > 400);
}
