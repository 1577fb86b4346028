// libFuzzer: what the process of an isolated plugin answers, and what such a process is asked.
#include "plugin/isolation_wire.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

using namespace plugin;

struct Listener : EventReceiver, HttpReceiver, RankingReceiver, WriteReceiver, LogReceiver {
    std::size_t bytes = 0;
    void heard(std::string_view s) noexcept { bytes += s.size() + (s.empty() ? 0 : static_cast<unsigned char>(s.back()) % 2u); } // reads both ends
    portolan_status event(const portolan_event& e) noexcept override
    {
        heard(view(e.data)), heard(view(e.id)), heard(view(e.name));
        return bytes % 7 ? PORTOLAN_OK : PORTOLAN_E_CANCELLED;
    }
    void later(std::int64_t) noexcept override {}
    void line(std::string_view m, std::string_view b, std::string_view p) noexcept override { heard(m), heard(b), heard(p); }
    void header(std::string_view n, std::string_view v) noexcept override { heard(n), heard(v); }
    void auth(std::string_view n) noexcept override { heard(n); }
    void body(std::string_view b) noexcept override { heard(b); }
    void part(std::size_t, std::int32_t) noexcept override {}
    void form(std::string_view field, std::string_view filename, std::string_view type) noexcept override { heard(field), heard(filename), heard(type); }
    void edit(std::string_view p, std::string_view j) noexcept override { heard(p), heard(j); }
    void framing(std::int32_t) noexcept override {}
    void delay(std::int64_t) noexcept override {}
    void lost(std::string_view f) noexcept override { heard(f); }
    void pick(const portolan_pick& p) noexcept override { heard(view(p.reason)), heard(view(p.note)); }
    void skip(std::size_t, std::string_view reason) noexcept override { heard(reason); }
    void ask(const portolan_ask& a) noexcept override { heard(view(a.route)), heard(view(a.json)); }
    void keep(std::size_t, std::string_view reason) noexcept override { heard(reason); }
    void write(std::string_view b) noexcept override { heard(b); }
    void log(std::int32_t, std::string_view line) noexcept override { heard(line); }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    static Callee callee{"fuzz", "hash"};
    Listener heard;
    Call call(callee, Function::Step, {}, {.events = &heard, .http = &heard, .ranking = &heard, .write = &heard, .log = &heard});
    call.run([&](const portolan_call* c) {
        const auto out = isolation::replay(bytes, c->id);
        if (!out.understood && out.status != PORTOLAN_E_INTERNAL) std::abort();
        return portolan_status{PORTOLAN_OK};
    });
    if (heard.bytes > 2 * size + 64) std::abort(); // nothing is said twice

    const auto read = [&](auto use) {
        isolation::Reader in(bytes);
        (void)isolation::read_call(in);
        use(in);
    };
    read([](isolation::Reader& in) { const isolation::RequestIn r(in); });
    read([](isolation::Reader& in) { const isolation::FrameIn f(in); });
    read([](isolation::Reader& in) { const isolation::SnapshotIn s(in); });
    read([](isolation::Reader& in) { const isolation::OutcomesIn o(in); });
    return 0;
}
