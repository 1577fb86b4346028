#include "plugin/isolation_wire.h"

#include <limits>

namespace plugin::isolation {

std::string framed(std::string_view message)
{
    const auto size = static_cast<std::uint32_t>(message.size());
    std::string out(reinterpret_cast<const char*>(&size), sizeof size);
    return out.append(message);
}

Writer& Writer::pairs(const portolan_pair* list, std::size_t n)
{
    raw(static_cast<std::uint32_t>(n));
    for (std::size_t i = 0; i < n; ++i) text(list[i].name).text(list[i].value);
    return *this;
}

std::size_t Reader::count(std::size_t least) noexcept
{
    const auto n = raw<std::uint32_t>();
    if (n > rest_.size() / least) return fail(), 0;
    return n;
}

std::vector<portolan_pair> Reader::pairs()
{
    std::vector<portolan_pair> out(count(2 * sizeof(std::uint32_t)));
    for (auto& p : out) p.name = text(), p.value = text();
    return out;
}

void write_call(Writer& w, const portolan_call& c)
{
    w.raw(c.attempt).raw(c.now_us).raw(c.deadline_us - c.now_us).raw(c.seed).text(c.trace_id);
}

Facts read_call(Reader& r)
{
    Facts f;
    f.attempt = r.raw<std::uint32_t>(), f.now_us = r.raw<std::int64_t>(), f.limit_us = r.raw<std::int64_t>(), f.seed = r.raw<std::uint64_t>();
    f.trace_id = view(r.text());
    return f;
}

namespace {

/// A struct whose pointers are set anew by whoever reads it.
template <class Struct>
Struct blank(Reader& r)
{
    auto s = r.raw<Struct>();
    s.struct_size = sizeof s;
    return s;
}

} // namespace

void write_request(Writer& w, const portolan_request& q)
{
    auto plain = q;
    plain.model = plain.json = {nullptr, 0};
    plain.headers = nullptr, plain.parts = nullptr, plain.part_count = 0;
    w.raw(plain).text(q.model).text(q.json).pairs(q.headers, q.header_count);
    w.raw(static_cast<std::uint32_t>(q.part_count)); // a file's bytes stay with the host
    for (std::size_t i = 0; i < q.part_count; ++i) {
        const auto& p = *q.parts[i];
        w.text(p.field).text(p.filename).text(p.content_type).raw(p.size).text(p.text);
    }
}

RequestIn::RequestIn(Reader& r) : request(blank<portolan_request>(r))
{
    request.model = r.text(), request.json = r.text();
    headers_ = r.pairs();
    request.headers = headers_.data(), request.header_count = headers_.size();
    parts_.resize(r.count(4 * sizeof(std::uint32_t) + sizeof(std::int64_t)));
    for (auto& p : parts_) {
        p.struct_size = sizeof p, p.field = r.text(), p.filename = r.text(), p.content_type = r.text();
        p.size = r.raw<std::int64_t>(), p.text = r.text();
    }
    for (const auto& p : parts_) part_list_.push_back(&p);
    request.parts = part_list_.data(), request.part_count = part_list_.size();
}

void write_reply(Writer& w, const portolan_reply& p) { w.raw(p.http_status).pairs(p.headers, p.header_count).text(p.body); }

ReplyIn::ReplyIn(Reader& r)
{
    reply.struct_size = sizeof reply, reply.http_status = r.raw<std::int32_t>();
    headers_ = r.pairs();
    reply.headers = headers_.data(), reply.header_count = headers_.size();
    reply.body = r.text();
}

/// Of a frame's text and raw bytes the one mostly lies within the other: those go once.
void write_frame(Writer& w, const portolan_frame& f)
{
    const auto data = view(f.data), raw = view(f.raw);
    const bool within = !raw.empty() && data.data() >= raw.data() && data.data() + data.size() <= raw.data() + raw.size();
    w.raw(f.kind).text(f.event).text(raw).raw(static_cast<std::uint8_t>(within));
    if (within)
        w.raw(static_cast<std::uint32_t>(data.data() - raw.data())).raw(static_cast<std::uint32_t>(data.size()));
    else
        w.text(data);
    write_reply(w, *f.reply);
}

namespace {

portolan_frame frame_head(Reader& r)
{
    portolan_frame f{};
    f.struct_size = sizeof f, f.kind = r.raw<std::int32_t>(), f.event = r.text(), f.raw = r.text();
    if (!r.flag()) return f.data = r.text(), f;
    const auto at = r.raw<std::uint32_t>(), size = r.raw<std::uint32_t>();
    if (at > f.raw.size || size > f.raw.size - at) return r.fail(), f;
    f.data = {f.raw.data + at, size};
    return f;
}

} // namespace

FrameIn::FrameIn(Reader& r) : frame(frame_head(r)), reply_(r) { frame.reply = &reply_.reply; }

void write_snapshot(Writer& w, const portolan_snapshot& s)
{
    w.raw(s.stage).raw(s.round).raw(s.asks_left).raw(s.sequence).text(s.route).text(s.tenant).text(s.affinity).raw(s.affinity_candidate).raw(s.spend_left_nusd);
    write_request(w, *s.request);
    w.raw(static_cast<std::uint32_t>(s.candidate_count));
    for (std::size_t i = 0; i < s.candidate_count; ++i) {
        const auto& c = *s.candidates[i];
        auto plain = c;
        plain.id = plain.endpoint = plain.model = {nullptr, 0}, plain.labels = nullptr;
        w.raw(plain).text(c.id).text(c.endpoint).text(c.model).pairs(c.labels, c.label_count);
    }
    w.raw(static_cast<std::uint32_t>(s.turn_count));
    for (std::size_t i = 0; i < s.turn_count; ++i) w.raw(s.turns[i]->role).text(s.turns[i]->text);
    w.text(s.state);
}

namespace {

portolan_snapshot snapshot_head(Reader& r)
{
    portolan_snapshot s{};
    s.struct_size = sizeof s;
    s.stage = r.raw<std::int32_t>(), s.round = r.raw<std::uint32_t>(), s.asks_left = r.raw<std::uint32_t>(), s.sequence = r.raw<std::uint64_t>();
    s.route = r.text(), s.tenant = r.text(), s.affinity = r.text();
    s.affinity_candidate = r.raw<std::int64_t>(), s.spend_left_nusd = r.raw<std::int64_t>();
    return s;
}

} // namespace

SnapshotIn::SnapshotIn(Reader& r) : snapshot(snapshot_head(r)), request_(r)
{
    snapshot.request = &request_.request;
    candidates_.resize(r.count(sizeof(portolan_candidate)));
    labels_.reserve(candidates_.size());
    for (auto& c : candidates_) {
        c = blank<portolan_candidate>(r);
        c.id = r.text(), c.endpoint = r.text(), c.model = r.text();
        labels_.push_back(r.pairs());
        c.labels = labels_.back().data(), c.label_count = labels_.back().size();
    }
    turns_.resize(r.count(2 * sizeof(std::uint32_t)));
    for (auto& t : turns_) t.struct_size = sizeof t, t.role = r.raw<std::int32_t>(), t.text = r.text();
    for (const auto& c : candidates_) candidate_list_.push_back(&c);
    for (const auto& t : turns_) turn_list_.push_back(&t);
    snapshot.candidates = candidate_list_.data(), snapshot.candidate_count = candidate_list_.size();
    snapshot.turns = turn_list_.data(), snapshot.turn_count = turn_list_.size();
    const auto state = view(r.text());
    state_.assign(state.begin(), state.end());
    snapshot.state = {state_.data(), state_.size()};
}

void write_outcomes(Writer& w, const portolan_outcome* const* outcomes, std::size_t count)
{
    w.raw(static_cast<std::uint32_t>(count));
    for (std::size_t i = 0; i < count; ++i) {
        const auto& o = *outcomes[i];
        w.raw(o.fault).text(o.decision_id).text(o.candidate_id).text(o.route).text(o.note).raw(o.ttft_us).raw(o.total_us).raw(o.cost_nusd).raw(o.score);
        w.raw(static_cast<std::uint8_t>(o.usage != nullptr));
        if (o.usage) w.raw(*o.usage);
    }
}

OutcomesIn::OutcomesIn(Reader& r)
{
    constexpr std::size_t least = sizeof(std::int32_t) + 4 * sizeof(std::uint32_t) + 3 * sizeof(std::int64_t) + sizeof(double) + 1;
    rows_.resize(r.count(least));
    usage_.resize(rows_.size());
    for (std::size_t i = 0; i < rows_.size(); ++i) {
        auto& o = rows_[i];
        o.struct_size = sizeof o, o.fault = r.raw<std::int32_t>();
        o.decision_id = r.text(), o.candidate_id = r.text(), o.route = r.text(), o.note = r.text();
        o.ttft_us = r.raw<std::int64_t>(), o.total_us = r.raw<std::int64_t>(), o.cost_nusd = r.raw<std::int64_t>(), o.score = r.raw<double>();
        if (r.flag()) usage_[i] = blank<portolan_usage>(r), o.usage = &usage_[i];
        list.push_back(&o);
    }
}

// ---------------------------------------------------------------- what a plugin says

portolan_status Recorder::event(const portolan_event& e) noexcept
{
    to(Op::Emit).raw(e.kind).raw(e.choice).raw(e.index).text(e.data).text(e.id).text(e.name);
    to_.raw(static_cast<std::uint8_t>(e.usage != nullptr));
    if (e.usage) to_.raw(take(e.usage, portolan_usage{0, 0, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1}));
    to_.raw(static_cast<std::uint8_t>(e.fault != nullptr));
    if (e.fault) to_.raw(take(e.fault, portolan_fault{0, PORTOLAN_FAULT_UNKNOWN, 0, 0, -1}));
    return PORTOLAN_OK;
}
void Recorder::later(std::int64_t us) noexcept { to(Op::Later).raw(us); }
void Recorder::line(std::string_view m, std::string_view b, std::string_view p) noexcept { to(Op::Line).text(m).text(b).text(p); }
void Recorder::header(std::string_view n, std::string_view v) noexcept { to(Op::Header).text(n).text(v); }
void Recorder::auth(std::string_view n) noexcept { to(Op::Auth).text(n); }
void Recorder::body(std::string_view b) noexcept { to(Op::Body).text(b); }
void Recorder::part(std::size_t index, std::int32_t encoding) noexcept { to(Op::Part).raw(static_cast<std::uint32_t>(index)).raw(encoding); }
void Recorder::form(std::string_view field, std::string_view filename, std::string_view type) noexcept { to(Op::Form).text(field).text(filename).text(type); }
void Recorder::edit(std::string_view p, std::string_view j) noexcept { to(Op::Edit).text(p).text(j); }
void Recorder::framing(std::int32_t kind) noexcept { to(Op::Framing).raw(kind); }
void Recorder::delay(std::int64_t us) noexcept { to(Op::Delay).raw(us); }
void Recorder::lost(std::string_view field) noexcept { to(Op::Lost).text(field); }
void Recorder::pick(const portolan_pick& p) noexcept { to(Op::Pick).raw(p.index).raw(p.score).raw(p.propensity).text(p.reason).text(p.note); }
void Recorder::skip(std::size_t i, std::string_view reason) noexcept { to(Op::Skip).raw(i).text(reason); }
void Recorder::ask(const portolan_ask& a) noexcept
{
    to(Op::AskOut).raw(a.question).raw(a.op).raw(a.candidate).raw(a.timeout_us).text(a.route).text(a.json);
}
void Recorder::keep(std::size_t answer, std::string_view reason) noexcept { to(Op::Keep).raw(answer).text(reason); }
void Recorder::write(std::string_view bytes) noexcept { to(Op::Write).text(bytes); }
void Recorder::log(std::int32_t level, std::string_view line) noexcept { to(Op::Log).raw(level).text(line); }

namespace {

/// `wanted`: false reads past it.
portolan_status replay_event(Reader& r, portolan_handle id, bool wanted)
{
    portolan_event e{};
    e.struct_size = sizeof e;
    e.kind = r.raw<std::int32_t>(), e.choice = r.raw<std::uint32_t>(), e.index = r.raw<std::uint32_t>();
    e.data = r.text(), e.id = r.text(), e.name = r.text();
    portolan_usage usage{};
    portolan_fault fault{};
    if (r.flag()) usage = r.raw<portolan_usage>(), usage.struct_size = sizeof usage, e.usage = &usage;
    if (r.flag()) fault = r.raw<portolan_fault>(), fault.struct_size = sizeof fault, e.fault = &fault;
    return r.failed() || !wanted ? portolan_status{PORTOLAN_OK} : events_table.emit(id, &e);
}

/// One thing other than an event. False: there is no such thing.
bool replay_other(Op op, Reader& r, portolan_handle id)
{
    // arguments are evaluated in any order, so each is read by a statement of its own
    const auto one = [&r] { return r.text(); };
    if (op == Op::Log) {
        const auto level = r.raw<std::int32_t>();
        return host_table.log(id, level, one()), true;
    }
    if (op == Op::Fail) return host_table.fail(id, one()), true;
    if (op == Op::Later) return events_table.later(id, r.raw<std::int64_t>()), true;
    if (op == Op::Line) {
        const auto method = one(), base = one(), path = one();
        return http_table.line(id, method, base, path), true;
    }
    if (op == Op::Header) {
        const auto name = one(), value = one();
        return http_table.header(id, name, value), true;
    }
    if (op == Op::Auth) return http_table.auth(id, one()), true;
    if (op == Op::Body) return http_table.body(id, one()), true;
    if (op == Op::Part) {
        const auto index = r.raw<std::uint32_t>();
        const auto encoding = r.raw<std::int32_t>();
        return http_table.part(id, index, encoding), true;
    }
    if (op == Op::Form) {
        const auto field = one(), filename = one(), type = one();
        return http_table.form(id, field, filename, type), true;
    }
    if (op == Op::Edit) {
        const auto pointer = one(), json = one();
        return http_table.edit(id, pointer, json), true;
    }
    if (op == Op::Framing) return http_table.framing(id, r.raw<std::int32_t>()), true;
    if (op == Op::Delay) return http_table.delay(id, r.raw<std::int64_t>()), true;
    if (op == Op::Write) return writer_table.write(id, one()), true;
    if (op == Op::Lost) return http_table.lost(id, one()), true;
    if (op == Op::Pick) {
        portolan_pick p{};
        p.struct_size = sizeof p, p.index = r.raw<std::size_t>(), p.score = r.raw<double>(), p.propensity = r.raw<double>();
        p.reason = one(), p.note = one();
        return ranking_table.pick(id, &p), true;
    }
    if (op == Op::Skip || op == Op::Keep) {
        const auto index = r.raw<std::size_t>();
        const auto reason = one();
        return (op == Op::Skip ? ranking_table.skip : ranking_table.keep)(id, index, reason), true;
    }
    if (op != Op::AskOut) return false;
    portolan_ask a{};
    a.struct_size = sizeof a, a.question = r.raw<std::uint32_t>(), a.op = r.raw<std::int32_t>();
    a.candidate = r.raw<std::int64_t>(), a.timeout_us = r.raw<std::int64_t>(), a.route = one(), a.json = one();
    return ranking_table.ask(id, &a), true;
}

} // namespace

Replayed replay(std::string_view message, portolan_handle id)
{
    Replayed out;
    Reader r(message);
    portolan_status refused = PORTOLAN_OK;
    while (!r.failed() && !r.at_end()) {
        const auto op = r.raw<Op>();
        if (op == Op::Done) {
            out.status = r.raw<portolan_status>(), out.object = r.raw<std::uint64_t>();
            out.understood = !r.failed() && r.at_end();
            break;
        }
        if (op == Op::Emit) {
            const auto status = replay_event(r, id, refused >= 0);
            if (status < 0) refused = status;
        } else if (!replay_other(op, r, id))
            r.fail();
    }
    if (!out.understood) out.status = PORTOLAN_E_INTERNAL;
    if (out.understood && out.status >= 0 && refused < 0) out.status = refused; // as a plugin that returns at once would
    return out;
}

} // namespace plugin::isolation
