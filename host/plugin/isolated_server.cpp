#include "plugin/isolated_server.h"

#include "plugin/elf.h"
#include "plugin/isolation_wire.h"
#include "plugin/jail.h"
#include "plugin/library.h"

#include <cerrno>
#include <cstdlib>
#include <latch>
#include <map>
#include <memory>
#include <mutex>
#include <poll.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace plugin::isolation {

namespace {

bool read_all(int fd, char* to, std::size_t size)
{
    while (size > 0) {
        const ssize_t n = ::recv(fd, to, size, 0);
        if (n <= 0) return false;
        to += n, size -= static_cast<std::size_t>(n);
    }
    return true;
}

bool read_message(int fd, std::string& out)
{
    std::uint32_t size = 0;
    if (!read_all(fd, reinterpret_cast<char*>(&size), sizeof size) || size > max_message) return false;
    out.resize(size);
    return read_all(fd, out.data(), size);
}

bool write_message(int fd, std::string_view message)
{
    const auto all = framed(message);
    for (std::string_view rest = all; !rest.empty();) {
        const ssize_t n = ::send(fd, rest.data(), rest.size(), MSG_NOSIGNAL);
        if (n <= 0) return false;
        rest.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

struct Object {
    std::string component;
    void* self = nullptr;
    Face face = Face::Provider; ///< of an exchange or a run
};

/// Everything that was made of the plugin, by number.
class Objects {
public:
    std::uint64_t add(Object o)
    {
        const std::lock_guard guard(lock_);
        all_[++last_] = std::move(o);
        return last_;
    }
    Object get(std::uint64_t id)
    {
        const std::lock_guard guard(lock_);
        return all_.at(id); // the host numbers what it got from us: anything else is its end
    }
    Object take(std::uint64_t id)
    {
        const std::lock_guard guard(lock_);
        auto node = all_.extract(id);
        return node.empty() ? Object{} : std::move(node.mapped());
    }

private:
    std::mutex lock_;
    std::map<std::uint64_t, Object> all_;
    std::uint64_t last_ = 0;
};

/// What the component's table for its kind lacks, looked at here because a table of another process cannot be; empty: nothing.
std::string missing_in(const Library& library, const std::string& name)
{
    const auto known = library.manifest().components.find(name);
    if (known == library.manifest().components.end()) return "its manifest does not name it";
    const auto& kind = known->second.kind;
    const auto* table = library.table().find(to_abi(name), to_abi(kind));
    if (!table) return "its library has no table " + kind + " for it";
    const auto whole = [](const auto& t, auto... functions) { return ((t.*functions != nullptr) && ...); };
    bool ok = true;
    if (kind == PORTOLAN_PROVIDER)
        ok = whole(take(static_cast<const portolan_provider*>(table)), &portolan_provider::open, &portolan_provider::request, &portolan_provider::frame,
                   &portolan_provider::end, &portolan_provider::close);
    else if (kind == PORTOLAN_GENERATOR)
        ok = whole(take(static_cast<const portolan_generator*>(table)), &portolan_generator::open, &portolan_generator::step, &portolan_generator::close);
    else if (kind == PORTOLAN_POLICY)
        ok = take(static_cast<const portolan_policy*>(table)).decide != nullptr;
    return ok ? "" : "its table has empty places";
}

/// The plugin and the calls into it.
class Server {
public:
    explicit Server(std::shared_ptr<const Library> library) : library_(std::move(library)) {}

    /// Serves one socket until the host closes it.
    void serve(int fd)
    {
        std::string message;
        while (read_message(fd, message)) {
            Writer out;
            if (answer(message, out) && !write_message(fd, out.bytes())) return;
        }
    }

private:
    /// False: there is nothing to answer.
    bool answer(std::string_view message, Writer& out)
    {
        Reader in(message);
        const auto kind = in.raw<Ask>();
        if (kind == Ask::Close) return close(in.raw<std::uint64_t>()), false;
        if (kind == Ask::Destroy) return destroy(in.raw<std::uint64_t>()), false;
        std::uint64_t object = kind == Ask::Create ? 0 : in.raw<std::uint64_t>(), made = 0;
        const auto facts = read_call(in);
        Recorder said(out);
        Call call(library_->callee(), function_of(kind), facts, {.events = &said, .http = &said, .ranking = &said, .write = &said, .log = &said});
        const auto status = call.run([&](const portolan_call* c) { return into(kind, object, in, c, made); });
        if (status < 0 && !call.why().empty()) out.raw(Op::Fail).text(std::string_view(call.why()));
        out.raw(Op::Done).raw(status).raw(made);
        return true;
    }

    static Function function_of(Ask kind)
    {
        switch (kind) {
        case Ask::Create: return Function::Create;
        case Ask::Open: return Function::Open;
        case Ask::Request: return Function::Request;
        case Ask::Frame: return Function::Frame;
        case Ask::End: return Function::End;
        case Ask::Classify: return Function::Classify;
        case Ask::Step: return Function::Step;
        case Ask::Learn: return Function::Learn;
        case Ask::Restore: return Function::Restore;
        default: return Function::Decide;
        }
    }

    portolan_status into(Ask kind, std::uint64_t id, Reader& in, const portolan_call* c, std::uint64_t& made)
    {
        if (kind == Ask::Create) return create(in, c, made);
        const auto object = objects_.get(id);
        if (kind == Ask::Open) return open(object, in, c, made);
        const auto* provider = face<portolan_provider>(object, PORTOLAN_PROVIDER);
        switch (kind) {
        case Ask::Request: {
            const RequestIn request(in);
            return provider->request(object.self, c, &request.request, &http_table);
        }
        case Ask::Frame: {
            const FrameIn frame(in);
            return provider->frame(object.self, c, &frame.frame, &events_table);
        }
        case Ask::End: return provider->end(object.self, c, &events_table);
        case Ask::Classify: {
            const ReplyIn reply(in);
            if (!PORTOLAN_HAS(provider, classify) || !provider->classify) return PORTOLAN_OK;
            return provider->classify(object.self, c, &reply.reply, &events_table);
        }
        case Ask::Step: return face<portolan_generator>(object, PORTOLAN_GENERATOR)->step(object.self, c, &events_table);
        case Ask::Decide: {
            const SnapshotIn snapshot(in);
            return face<portolan_policy>(object, PORTOLAN_POLICY)->decide(object.self, c, &snapshot.snapshot, &ranking_table);
        }
        case Ask::Learn:
        case Ask::Restore: return state_after(kind, object, in, c);
        default: return PORTOLAN_E_INTERNAL;
        }
    }

    portolan_status state_after(Ask kind, const Object& object, Reader& in, const portolan_call* c)
    {
        const auto policy = take(face<portolan_policy>(object, PORTOLAN_POLICY));
        const auto before = view(in.text());
        const std::vector<char> aligned(before.begin(), before.end());
        const portolan_str state{aligned.data(), aligned.size()};
        if (kind == Ask::Learn) {
            const OutcomesIn outcomes(in);
            return policy.learn ? policy.learn(object.self, c, state, outcomes.list.data(), outcomes.list.size(), &writer_table) : portolan_status{PORTOLAN_E_UNSUPPORTED};
        }
        const std::lock_guard guard(library_->load_lock());
        if (policy.restore) return policy.restore(object.self, c, state, &writer_table);
        writer_table.write(c->id, state); // who has no restore() reads its state as it is
        return PORTOLAN_OK;
    }

    portolan_status create(Reader& in, const portolan_call* c, std::uint64_t& made)
    {
        Object o;
        o.component = view(in.text());
        const std::string config(view(in.text()));
        if (const auto missing = missing_in(*library_, o.component); !missing.empty()) {
            host_table.fail(c->id, to_abi(missing));
            return PORTOLAN_E_INTERNAL;
        }
        const std::lock_guard guard(library_->load_lock());
        const auto status = library_->table().create(c, to_abi(o.component), to_abi(config), &o.self);
        if (status >= 0) made = objects_.add(std::move(o));
        return status;
    }

    portolan_status open(const Object& instance, Reader& in, const portolan_call* c, std::uint64_t& made)
    {
        Object o{instance.component, nullptr, in.raw<Face>()};
        const RequestIn request(in);
        const auto status = o.face == Face::Provider ? face<portolan_provider>(o, PORTOLAN_PROVIDER)->open(instance.self, c, &request.request, &o.self)
                                                     : face<portolan_generator>(o, PORTOLAN_GENERATOR)->open(instance.self, c, &request.request, &o.self);
        if (status >= 0) made = objects_.add(std::move(o));
        return status;
    }

    void close(std::uint64_t id)
    {
        const auto o = objects_.take(id);
        if (o.component.empty()) return;
        if (o.face == Face::Provider)
            face<portolan_provider>(o, PORTOLAN_PROVIDER)->close(o.self);
        else
            face<portolan_generator>(o, PORTOLAN_GENERATOR)->close(o.self);
    }

    void destroy(std::uint64_t id)
    {
        const auto o = objects_.take(id);
        const std::lock_guard guard(library_->load_lock());
        if (!o.component.empty()) library_->table().destroy(to_abi(o.component), o.self);
    }

    template <class Table>
    const Table* face(const Object& o, std::string_view name) const
    {
        return static_cast<const Table*>(library_->table().find(to_abi(o.component), to_abi(name)));
    }

    std::shared_ptr<const Library> library_;
    Objects objects_;
};

/// The policies that learn; a table cannot be looked into from another process.
std::vector<std::string> learning(const Library& library)
{
    std::vector<std::string> names;
    for (const auto& [name, component] : library.manifest().components) {
        const auto* table = component.kind == PORTOLAN_POLICY ? library.table().find(to_abi(name), to_abi(component.kind)) : nullptr;
        if (table && take(static_cast<const portolan_policy*>(table)).learn) names.push_back(name);
    }
    return names;
}

bool hello(std::string_view manifest, std::string_view problem, const Jail& jail, const std::vector<std::string>& learners = {})
{
    Writer w;
    w.text(manifest).text(problem).raw(jail.landlock()).raw(static_cast<std::uint8_t>(jail.seccomp())).raw(static_cast<std::uint32_t>(learners.size()));
    for (const auto& name : learners) w.text(std::string_view(name));
    return write_message(first_lane, w.bytes());
}

/// Until the host closes its end, or is no more. (A signal at the parent's death would come when the thread that started this process ends.)
void wait_for_hang_up()
{
    pollfd host{first_lane, 0, 0};
    while (::poll(&host, 1, -1) < 0 && errno == EINTR) {}
}

} // namespace

int serve(int argc, char** argv)
{
    if (argc != 4) return 64;
    const std::string file = argv[1];
    const auto threads = std::atoi(argv[3]);
    Jail jail({file, std::atoll(argv[2])});
    if (const auto why = jail.enter(); !why.empty()) return hello({}, why, jail), 1;
    auto library = Library::open(file);
    if (!library) return hello({}, library.fault().message, jail), 1;
    Server server(*library);
    std::string problem;
    jail.close_files();
    std::latch all_there(threads + 1), shut(1);
    std::vector<std::thread> lanes;
    for (int i = 0; i < threads; ++i)
        lanes.emplace_back([&, fd = first_lane + i] {
            all_there.count_down();
            shut.wait();
            server.serve(fd);
        });
    all_there.arrive_and_wait();
    if (const auto why = jail.shut(); !why.empty()) problem = why;
    const bool said = hello(view((*library)->table().manifest), problem, jail, learning(**library));
    shut.count_down();
    if (said && problem.empty()) wait_for_hang_up();
    ::_exit(said && problem.empty() ? 0 : 1); // no lane is waited for: the plugin may be at anything there
}

} // namespace plugin::isolation
