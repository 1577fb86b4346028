// How calls into a plugin travel to its process and back: one message there, one message here. Both ends are of one build.
#pragma once

#include "plugin/calls.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace plugin::isolation {

constexpr std::uint32_t max_message = 160u << 20; ///< the largest legal frame (64 MiB) and what a plugin makes of it
constexpr int first_lane = 3;                     ///< descriptors of the process from here on are its sockets: after stdin, stdout, stderr

/// A message as it is sent: its size in four bytes, of this machine's order, before it.
std::string framed(std::string_view message);

enum class Ask : std::uint8_t { Create = 1, Destroy, Open, Request, Frame, End, Classify, Close, Step, Decide, Learn, Restore };
enum class Face : std::uint8_t { Provider = 1, Generator, Policy };
/// What a plugin's call into its host becomes; Done is the last one, with the status.
enum class Op : std::uint8_t { Done = 1, Log, Fail, Emit, Later, Line, Header, Auth, Body, Part, Form, Edit, Framing, Delay, Lost, Pick, Skip, AskOut, Keep, Write };

class Writer {
public:
    template <class Value>
    Writer& raw(const Value& v) ///< plain values without pointers
    {
        static_assert(std::is_trivially_copyable_v<Value>);
        bytes_.append(reinterpret_cast<const char*>(&v), sizeof v);
        return *this;
    }
    Writer& text(std::string_view s)
    {
        raw(static_cast<std::uint32_t>(s.size()));
        bytes_.append(s);
        return *this;
    }
    Writer& text(portolan_str s) { return text(view(s)); }
    Writer& pairs(const portolan_pair* list, std::size_t n);
    [[nodiscard]] std::string& bytes() noexcept { return bytes_; }

private:
    std::string bytes_;
};

/// Reads what a process wrote that may have gone mad: never past the end, and everything after a mistake is empty.
class Reader {
public:
    explicit Reader(std::string_view bytes) noexcept : rest_(bytes) {}
    template <class Value>
    Value raw() noexcept
    {
        static_assert(std::is_trivially_copyable_v<Value>);
        Value v{};
        if (rest_.size() < sizeof v) return fail(), v;
        std::memcpy(&v, rest_.data(), sizeof v);
        rest_.remove_prefix(sizeof v);
        return v;
    }
    bool flag() noexcept { return raw<std::uint8_t>() != 0; }
    portolan_str text() noexcept
    {
        const auto n = raw<std::uint32_t>();
        if (n > rest_.size()) return fail(), portolan_str{nullptr, 0};
        const auto out = rest_.substr(0, n);
        rest_.remove_prefix(n);
        return to_abi(out);
    }
    std::vector<portolan_pair> pairs();
    /// A count of things that take `least` bytes each; 0 and failed if there cannot be so many.
    std::size_t count(std::size_t least) noexcept;
    void fail() noexcept { failed_ = true, rest_ = {}; }
    [[nodiscard]] bool failed() const noexcept { return failed_; }
    [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }

private:
    std::string_view rest_;
    bool failed_ = false;
};

/// The facts of a call; `limit_us` is what is left of its time.
void write_call(Writer&, const portolan_call&);
Facts read_call(Reader&);

// Structs of the ABI with all that they point to. What was read borrows from the message and from the object that read it.
void write_request(Writer&, const portolan_request&);
struct RequestIn {
    explicit RequestIn(Reader&);
    portolan_request request{};

private:
    std::vector<portolan_pair> headers_;
    std::vector<portolan_part> parts_;
    std::vector<const portolan_part*> part_list_;
};

void write_reply(Writer&, const portolan_reply&);
struct ReplyIn {
    explicit ReplyIn(Reader&);
    portolan_reply reply{};

private:
    std::vector<portolan_pair> headers_;
};

void write_frame(Writer&, const portolan_frame&);
struct FrameIn {
    explicit FrameIn(Reader&);
    portolan_frame frame{};

private:
    ReplyIn reply_;
};

void write_snapshot(Writer&, const portolan_snapshot&);
struct SnapshotIn {
    explicit SnapshotIn(Reader&);
    portolan_snapshot snapshot{};

private:
    RequestIn request_;
    std::vector<portolan_candidate> candidates_;
    std::vector<std::vector<portolan_pair>> labels_;
    std::vector<const portolan_candidate*> candidate_list_;
    std::vector<portolan_turn> turns_;
    std::vector<const portolan_turn*> turn_list_;
    std::vector<char> state_; ///< as the heap aligns it: to 16
};

void write_outcomes(Writer&, const portolan_outcome* const* outcomes, std::size_t count);
struct OutcomesIn {
    explicit OutcomesIn(Reader&);
    std::vector<const portolan_outcome*> list;

private:
    std::vector<portolan_outcome> rows_;
    std::vector<portolan_usage> usage_;
};

/// Writes down what a plugin says during a call, in its own process.
class Recorder final : public EventReceiver, public HttpReceiver, public RankingReceiver, public WriteReceiver, public LogReceiver {
public:
    explicit Recorder(Writer& to) : to_(to) {}
    portolan_status event(const portolan_event&) noexcept override;
    void later(std::int64_t us) noexcept override;
    void line(std::string_view method, std::string_view base, std::string_view path) noexcept override;
    void header(std::string_view name, std::string_view value) noexcept override;
    void auth(std::string_view name) noexcept override;
    void body(std::string_view bytes) noexcept override;
    void part(std::size_t index, std::int32_t encoding) noexcept override;
    void form(std::string_view field, std::string_view filename, std::string_view type) noexcept override;
    void edit(std::string_view pointer, std::string_view json) noexcept override;
    void framing(std::int32_t kind) noexcept override;
    void delay(std::int64_t us) noexcept override;
    void lost(std::string_view field) noexcept override;
    void pick(const portolan_pick&) noexcept override;
    void skip(std::size_t index, std::string_view reason) noexcept override;
    void ask(const portolan_ask&) noexcept override;
    void keep(std::size_t answer, std::string_view reason) noexcept override;
    void write(std::string_view bytes) noexcept override;
    void log(std::int32_t level, std::string_view line) noexcept override;

private:
    Writer& to(Op op) { return to_.raw(op); }
    Writer& to_;
};

struct Replayed {
    portolan_status status = PORTOLAN_E_INTERNAL;
    std::uint64_t object = 0; ///< what open() or create() made
    bool understood = false;  ///< false: the message was nonsense; what came before the nonsense was done
};
/// Says it all again to the host's tables, in the name of the call `id`, on its thread. If the host refuses an event, so does the status.
Replayed replay(std::string_view message, portolan_handle id);

} // namespace plugin::isolation
