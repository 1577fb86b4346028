#include "plugin/isolated_tables.h"

#include <memory>

namespace plugin::isolation {

namespace {

/// A configured component; what it is called in the process changes with each life of that.
struct Instance {
    Instance(Process& in, std::string_view name, std::string_view settings) : process(in), component(name), config(settings) {}
    Process& process;
    std::string component, config;
    std::mutex lock;
    std::uint64_t life = 0, object = 0;
};

/// An exchange or a run: it ends with the process that it was opened in.
struct Opened {
    Process& process;
    std::uint64_t life, object;
};

void fail(const portolan_call* c, const std::string& why) noexcept { host_table.fail(c->id, to_abi(why)); }

/// Sends a message, does what the answer says, and takes care of a process that answers nonsense.
portolan_status ask(Process& process, std::uint64_t life, const portolan_call* c, Writer& message, std::uint64_t* made = nullptr)
{
    const auto answer = process.call(message.bytes(), life, c->deadline_us - c->now_us);
    if (!answer.failure.empty()) return fail(c, answer.failure), answer.called ? portolan_status{PORTOLAN_E_INTERNAL} : not_called;
    const auto replayed = replay(answer.bytes, c->id);
    if (!replayed.understood) {
        process.blame(life, "its answer made no sense");
        fail(c, "its process answered nonsense and was killed");
        return PORTOLAN_E_INTERNAL;
    }
    if (made) *made = replayed.object;
    return replayed.status;
}

/// The instance in the process that runs now, made there if it is not yet.
portolan_status present(Instance& i, const portolan_call* c, std::uint64_t& life, std::uint64_t& object)
{
    std::string failure;
    life = i.process.life_for_call(failure);
    if (!life) return fail(c, failure), not_called;
    const std::lock_guard guard(i.lock);
    if (i.life != life) {
        Writer w;
        w.raw(Ask::Create);
        write_call(w, *c);
        w.text(i.component).text(i.config);
        if (const auto status = ask(i.process, life, c, w, &i.object); status < 0) return status;
        i.life = life;
    }
    object = i.object;
    return PORTOLAN_OK;
}

/// The beginning of a message about an object.
Writer about(Ask kind, std::uint64_t object, const portolan_call* c)
{
    Writer w;
    w.raw(kind).raw(object);
    write_call(w, *c);
    return w;
}

template <Face face>
portolan_status open(void* self, const portolan_call* c, const portolan_request* request, void** out) noexcept
{
    auto& instance = *static_cast<Instance*>(self);
    std::uint64_t life = 0, object = 0, made = 0;
    if (const auto status = present(instance, c, life, object); status < 0) return status;
    auto w = about(Ask::Open, object, c);
    w.raw(face);
    write_request(w, *request);
    const auto status = ask(instance.process, life, c, w, &made);
    if (status >= 0) *out = new Opened{instance.process, life, made};
    return status;
}

void close(void* object) noexcept
{
    const std::unique_ptr<Opened> o(static_cast<Opened*>(object));
    o->process.forget(Ask::Close, o->object, o->life);
}

portolan_status tell(void* object, Ask kind, const portolan_call* c, const auto& write) noexcept
{
    auto& o = *static_cast<Opened*>(object);
    auto w = about(kind, o.object, c);
    write(w);
    return ask(o.process, o.life, c, w);
}

const portolan_provider provider{
    sizeof(portolan_provider),
    0,
    open<Face::Provider>,
    [](void* x, const portolan_call* c, const portolan_request* r, const portolan_http*) noexcept {
        return tell(x, Ask::Request, c, [r](Writer& w) { write_request(w, *r); });
    },
    [](void* x, const portolan_call* c, const portolan_frame* f, const portolan_events*) noexcept {
        return tell(x, Ask::Frame, c, [f](Writer& w) { write_frame(w, *f); });
    },
    [](void* x, const portolan_call* c, const portolan_events*) noexcept { return tell(x, Ask::End, c, [](Writer&) {}); },
    close,
    [](void* x, const portolan_call* c, const portolan_reply* r, const portolan_events*) noexcept {
        return tell(x, Ask::Classify, c, [r](Writer& w) { write_reply(w, *r); });
    },
};

const portolan_generator generator{
    sizeof(portolan_generator),
    0,
    open<Face::Generator>,
    [](void* x, const portolan_call* c, const portolan_events*) noexcept { return tell(x, Ask::Step, c, [](Writer&) {}); },
    close,
};

/// A call into an instance of a policy.
portolan_status tell_instance(void* self, Ask kind, const portolan_call* c, const auto& write) noexcept
{
    auto& instance = *static_cast<Instance*>(self);
    std::uint64_t life = 0, object = 0;
    if (const auto status = present(instance, c, life, object); status < 0) return status;
    auto w = about(kind, object, c);
    write(w);
    return ask(instance.process, life, c, w);
}

portolan_status decide(void* self, const portolan_call* c, const portolan_snapshot* s, const portolan_ranking*) noexcept
{
    return tell_instance(self, Ask::Decide, c, [s](Writer& w) { write_snapshot(w, *s); });
}

const portolan_policy policy{sizeof(portolan_policy), 0, decide, nullptr, nullptr};

const portolan_policy learning_policy{
    sizeof(portolan_policy),
    0,
    decide,
    [](void* self, const portolan_call* c, portolan_str state, const portolan_outcome* const* outcomes, std::size_t count, const portolan_writer*) noexcept {
        return tell_instance(self, Ask::Learn, c, [&](Writer& w) {
            w.text(state);
            write_outcomes(w, outcomes, count);
        });
    },
    [](void* self, const portolan_call* c, portolan_str state, const portolan_writer*) noexcept {
        return tell_instance(self, Ask::Restore, c, [state](Writer& w) { w.text(state); });
    },
};

} // namespace

const void* table_of(std::string_view face, bool learns) noexcept
{
    if (face == PORTOLAN_PROVIDER) return &provider;
    if (face == PORTOLAN_GENERATOR) return &generator;
    if (face != PORTOLAN_POLICY) return nullptr;
    return learns ? &learning_policy : &policy;
}

portolan_status create_remote(Process& process, const portolan_call* call, std::string_view component, std::string_view config, void** self) noexcept
{
    auto instance = std::make_unique<Instance>(process, component, config);
    std::uint64_t life = 0, object = 0;
    const auto status = present(*instance, call, life, object);
    if (status >= 0) *self = instance.release();
    return status;
}

void destroy_remote(void* self) noexcept
{
    const std::unique_ptr<Instance> i(static_cast<Instance*>(self));
    i->process.forget(Ask::Destroy, i->object, i->life);
}

} // namespace plugin::isolation
