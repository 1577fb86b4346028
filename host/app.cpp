#include "app.h"

#include "config/catalog.h"
#include "config/environment.h"
#include "config/problem.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/text.h"
#include "discover.h"
#include "explain.h"
#include "front/error_reply.h"
#include "front/routes.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>

#include <malloc.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace fs = std::filesystem;

namespace {

constexpr unsigned blocking_threads = 8;
constexpr std::int64_t second = 1'000'000;

/// What only the start needed: several times the catalogue's memory, and code pages that come back when they are called again.
void give_back_memory()
{
    ::malloc_trim(0);
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        std::uintptr_t from = 0, to = 0;
        char how[8] = "";
        // code that nobody may write to has no page of its own to lose
        if (std::sscanf(line.c_str(), "%zx-%zx %7s", &from, &to, how) == 3 && std::string_view(how) == "r-xp" && line.find('/') != line.npos)
            ::madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);
    }
}

wire::ServerLimits limits_of(const config::Server& s)
{
    const auto& l = s.limits;
    const auto size = [](std::int64_t v) { return static_cast<std::size_t>(v); };
    wire::ServerLimits out;
    out.request_line = size(l.request_line_bytes), out.header_total = size(l.header_total_bytes), out.header_field = size(l.header_field_bytes);
    out.header_count = size(l.header_count), out.body = size(s.max_body_bytes), out.chunk_extensions = size(l.chunk_extension_bytes);
    out.header_timeout_us = l.header_timeout_ms * 1000, out.body_grace_us = l.body_grace_ms * 1000, out.body_total_us = l.body_total_ms * 1000;
    out.body_min_rate = size(l.body_min_bytes_per_second), out.idle_us = l.idle_ms * 1000, out.write_stall_us = l.write_stall_ms * 1000;
    out.held_bytes = size(l.buffered_bytes ? l.buffered_bytes : core::memory_limit_bytes() / 4);
    out.requests_per_connection = static_cast<std::uint32_t>(l.requests_per_connection);
    out.connections = static_cast<std::uint32_t>(l.connections), out.connections_per_ip = static_cast<std::uint32_t>(l.connections_per_ip);
    return out;
}

std::shared_ptr<wire::TlsServerContext> tls_of(const config::Server& s)
{
    return s.tls_cert_file.empty() ? nullptr : wire::TlsServerContext::load(s.tls_cert_file, s.tls_key_file);
}

core::log::Level level_of(const std::string& name)
{
    using core::log::Level;
    return name == "debug" ? Level::Debug : name == "warn" ? Level::Warn : name == "error" ? Level::Error : name == "off" ? Level::Off : Level::Info;
}

std::string plugin_store(const config::Config& c) { return (fs::path(c.server.data_dir) / "plugins").string(); }

std::string joined(const std::vector<std::string>& lines)
{
    std::string out;
    for (const auto& l : lines) (out += out.empty() ? "" : "\n") += l;
    return out;
}

} // namespace

App::App(Places places, std::string version) : places_(std::move(places))
{
    services_.clock = &clock_, services_.metrics = &metrics_, services_.recent = &recent_;
    services_.version = std::move(version);
}

App::~App() = default;

std::shared_ptr<const front::Runtime> App::current() const
{
    const std::lock_guard lock(mutex_);
    return current_;
}

int App::serve()
{
    if (!load_first()) return 78;
    try {
        start();
    } catch (const std::exception& e) {
        core::log::stop();
        std::cerr << "portolan: " << e.what() << '\n';
        return 1;
    }
    announce();
    discover();
    refresh_catalog();
    wait_for_signals();
    drain();
    return 0;
}

bool App::load_first()
{
    auto loaded = config::load(places_.sources);
    if (!loaded.config) {
        std::cerr << config::check_config(loaded.problems);
        return false;
    }
    const auto& c = *loaded.config;
    core::log::start(level_of(c.logging.level), c.logging.format == "json");
    for (const auto& w : c.warnings) core::log::warn(w);
    try {
        fs::create_directories(c.server.data_dir);
        fs::permissions(c.server.data_dir, fs::perms::owner_all);
        const auto store = plugin_store(c);
        fs::create_directories(store);
        fs::permissions(store, fs::perms::owner_all);
        registry_ = std::make_unique<plugin::Registry>(c.plugins, store, places_.shipped_plugins);
        plugin::name_crashes(plugin::crash_file(store));
        learned_ = std::make_unique<LearnedBook>(fs::path(c.server.data_dir) / "learned");
    } catch (const std::exception& e) {
        core::log::stop();
        std::cerr << "portolan: " << e.what() << '\n';
        return false;
    }
    watch_ = std::make_unique<config::FileWatch>(c.files);
    std::string why;
    if (rebuild(loaded.config, why)) {
        give_back_memory();
        return true;
    }
    core::log::stop();
    std::cerr << "portolan: the configuration cannot be served:\n" << why << '\n';
    return false;
}

void App::start()
{
    const auto runtime = current();
    const auto& s = runtime->config->server;
    services_.control_socket = (fs::absolute(s.data_dir) / "control.sock").string();
    describe_metrics();
    loops_ = std::make_unique<wire::Loops>(static_cast<unsigned>(s.loops), blocking_threads);
    for (std::size_t i = 0; i < loops_->size(); ++i) {
        auto context = std::make_unique<front::LoopContext>();
        context->services = &services_, context->runtime = runtime;
        context->pool = wire::ClientPool::create(loops_->at(i), {}, client_counters_);
        context->control_origin = {"unix", services_.control_socket, 0, "control", {}, false, {}};
        contexts_.push_back(std::move(context));
    }
    server_counters_.on_parse_rejection = [this](const char* reason) { metrics_.counter("portolan_parse_rejections_total", {{"reason", reason}}).add(); };
    control_ = std::make_unique<control::Server>(services_.control_socket, control_services());
    const wire::ListenOptions options{s.host, static_cast<std::uint16_t>(s.port), limits_of(s), tls_of(s)};
    server_ = wire::Server::listen(
        *loops_, options, [this](wire::Exchange& e) { return front::serve(e, *contexts_[wire::Loop::current()->index()]); }, front::error_body, server_counters_);
    loops_->start();
}

void App::announce() const
{
    const auto runtime = current();
    const auto& s = runtime->config->server;
    const bool any = s.host == "0.0.0.0" || s.host == "::";
    const std::string host = any ? "127.0.0.1" : s.host.find(':') != s.host.npos ? '[' + s.host + ']' : s.host;
    const std::string url = std::string(s.tls_cert_file.empty() ? "http" : "https") + "://" + host + ':' + std::to_string(server_->port());
    std::size_t models = 0;
    for (const auto& t : runtime->table.targets) models += !t->open;
    std::cout << "portolan " << services_.version << " listening on " << url << "  (" << runtime->endpoints.size() << " providers, " << models
              << " models, auth " << (runtime->config->auth.mode == config::AuthMode::Off ? "off" : "on") << ")\n";
    for (const auto& line : runtime->config->unusable) core::log::info("not in use: " + line);
    const std::string key = runtime->config->auth.mode == config::AuthMode::Required ? " -H 'authorization: Bearer YOUR_KEY'" : "";
    std::cout << "Try it:\n  curl -N " << url << "/v1/chat/completions" << key << " -H 'content-type: application/json' \\\n"
              << R"(    -d '{"model":"auto","stream":true,"messages":[{"role":"user","content":"Say hello to the harbour"}]}')" << std::endl;
    core::log::event(core::log::Level::Info, "started", "\"url\":" + core::quoted(url) + ",\"version\":" + core::quoted(services_.version) + ",\"loops\":" + std::to_string(loops_->size()));
}

void App::wait_for_signals()
{
    sigset_t wanted;
    sigemptyset(&wanted);
    for (const int s : {SIGHUP, SIGTERM, SIGINT, SIGQUIT}) sigaddset(&wanted, s);
    const int signals = ::signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signals < 0) throw std::runtime_error("signalfd does not work here");
    for (bool on = true; on;) {
        pollfd wait[] = {{signals, POLLIN, 0}, {plugin_watch_ ? plugin_watch_->descriptor() : -1, POLLIN, 0}};
        ::poll(wait, 2, static_cast<int>((plugin_watch_ ? plugin_watch_->patience_us() : second / 2) / 1000));
        signalfd_siginfo got{};
        while (on && ::read(signals, &got, sizeof got) == sizeof got) {
            if (got.ssi_signo == SIGHUP)
                answer_reload();
            else
                on = false;
        }
        if (on) tick();
    }
    ::close(signals);
}

void App::answer_reload()
{
    std::vector<std::promise<control::Reloaded>> waiting;
    {
        const std::lock_guard lock(mutex_);
        waiting.swap(reloads_wanted_);
    }
    std::string why;
    const bool ok = reload(why);
    for (auto& w : waiting) w.set_value({ok, ok ? "generation " + std::to_string(generation_) : why});
}

void App::watch_plugins(const config::Plugins& plugins)
{
    const auto folders = registry_->folders(plugins);
    if (!plugins.watch)
        plugin_watch_.reset();
    else if (!plugin_watch_ || plugin_watch_->dirs() != folders)
        plugin_watch_.emplace(folders, clock_.steady_us());
}

void App::plugins_changed()
{
    std::string why;
    if (refused_)
        reload(why); // it may have waited for this plugin
    else if (rebuild(current()->config, why))
        core::log::event(core::log::Level::Info, "plugins_changed", "\"generation\":" + std::to_string(generation_));
    else
        core::log::event(core::log::Level::Error, "plugins_refused", "\"why\":" + core::quoted(why));
}

void App::tick()
{
    std::erase_if(retired_, [](const auto& r) { return r.use_count() == 1; });
    registry_->retire();
    learned_->tick(clock_.steady_us());
    if (plugin_watch_ && plugin_watch_->changed(clock_.steady_us())) plugins_changed();
    bool models = false;
    {
        const std::lock_guard lock(mutex_);
        std::swap(models, discovered_changed_);
    }
    std::string why;
    if (watch_->changed())
        reload(why);
    else if (models) {
        if (const auto catalog = shipped_catalog()) {
            const std::lock_guard lock(mutex_);
            for (auto& [provider, found] : discovered_) complete_from(*catalog, found);
        }
        if (!rebuild(current()->config, why)) core::log::warn("models that were discovered cannot be used: " + why);
    }
}

void App::refresh_catalog()
{
    const auto& c = *current()->config;
    refresh_.reset();
    if (!c.catalog.refresh_url.empty())
        refresh_ = std::make_unique<CatalogRefresh>(c.catalog, config::fetched_catalog(c.server.data_dir, places_.sources.cwd));
}

std::shared_ptr<const config::ModelCatalog> App::shipped_catalog() const
{
    const auto& file = current()->config->catalog.file;
    const auto text = config::read_file(file.empty() ? (fs::path(places_.sources.shipped_config_dir) / "catalog.json").string() : file);
    return text ? config::parse_and_check(*text).catalog : nullptr;
}

void App::drain()
{
    services_.draining = true; // readyz says so from now on
    refresh_.reset();
    const auto config = current()->config;
    core::log::event(core::log::Level::Info, "draining", "\"streams\":" + std::to_string(services_.streams_active.load()));
    const auto nap = [] { // a second signal ends the wait
        sigset_t wanted;
        sigemptyset(&wanted);
        for (const int s : {SIGTERM, SIGINT, SIGQUIT}) sigaddset(&wanted, s);
        const timespec time{0, 10'000'000};
        return ::sigtimedwait(&wanted, nullptr, &time) < 0;
    };
    const auto accept_until = clock_.steady_us() + config->server.shutdown_delay_ms * 1000;
    bool patient = true;
    while (patient && clock_.steady_us() < accept_until) patient = nap();
    server_->drain();
    const auto until = clock_.steady_us() + config->server.shutdown_grace_ms * 1000;
    while (patient && server_counters_.busy > 0 && clock_.steady_us() < until) patient = nap();
    const auto left = server_counters_.busy.load();
    server_->cut();
    control_->stop(std::chrono::seconds(2));
    loops_->stop();
    server_.reset(), contexts_.clear(), loops_.reset();
    learned_->tick(clock_.steady_us());
    learned_->save();
    plugin::forgive_crashes(plugin::crash_file(plugin_store(*config)));
    core::log::event(core::log::Level::Info, "stopped", "\"cut\":" + std::to_string(left));
    core::log::stop();
}

bool App::reload(std::string& why)
{
    auto loaded = config::load(places_.sources);
    if (!loaded.config)
        why = config::check_config(loaded.problems);
    else if (rebuild(loaded.config, why)) {
        const auto& c = *loaded.config;
        try {
            if (server_) {
                server_->set_limits(limits_of(c.server));
                if (auto tls = tls_of(c.server)) server_->replace_tls(std::move(tls));
            }
        } catch (const std::exception& e) {
            core::log::error(std::string("reload: the old certificate stays: ") + e.what());
        }
        core::log::set_level(level_of(c.logging.level));
        for (const auto& w : c.warnings) core::log::warn(w);
        watch_ = std::make_unique<config::FileWatch>(c.files);
        refused_ = false;
        core::log::event(core::log::Level::Info, "reloaded", "\"generation\":" + std::to_string(generation_));
        discover();
        refresh_catalog();
        return true;
    }
    refused_ = true;
    core::log::event(core::log::Level::Error, "reload_refused", "\"why\":" + core::quoted(why));
    return false;
}

bool App::rebuild(std::shared_ptr<const config::Config> config, std::string& why)
{
    if (!places_.safe_start) watch_plugins(config->plugins); // first: what changes while it is loaded is a change
    auto plugins = config->plugins;
    plugins.only_shipped = places_.safe_start;
    registry_->load(std::move(plugins));
    Discovered discovered;
    {
        const std::lock_guard lock(mutex_);
        discovered = discovered_;
    }
    BuiltRuntime built;
    do // a changed plugin that cannot be made into what is configured is not taken up
        built = build_runtime(config, *registry_, health_, discovered, generation_ + 1, clock_.unix_us());
    while (!built.runtime && registry_->bring_back());
    if (!built.runtime) {
        if (current()) registry_->undo();
        return why = joined(built.problems), false;
    }
    ++generation_;
    learned_->take_over(*built.runtime);
    install(std::move(built.runtime));
    return true;
}

void App::install(std::shared_ptr<const front::Runtime> runtime)
{
    {
        const std::lock_guard lock(mutex_);
        if (current_) retired_.push_back(current_);
        current_ = runtime;
    }
    if (loops_) loops_->each([this, runtime](wire::Loop& loop) { contexts_[loop.index()]->runtime = runtime; });
}

void App::discover()
{
    const auto runtime = current();
    for (const auto& p : runtime->config->providers) {
        const auto i = runtime->endpoint_of(p.name);
        if (!p.models_open || i == runtime->endpoints.size()) continue;
        loops_->at(0).post([this, runtime, i, name = p.name] {
            struct Job { // a coroutine's parameters live as long as it does
                static wire::Task<void> run(App* app, std::shared_ptr<const front::Runtime> runtime, std::size_t endpoint, std::string name)
                {
                    auto found = co_await discover_models(runtime, runtime->endpoints[endpoint], *app->contexts_[0]->pool, app->clock_);
                    if (!found) {
                        core::log::warn("models of " + name + " cannot be listed: " + found.fault().message);
                        co_return;
                    }
                    const std::lock_guard lock(app->mutex_);
                    auto& slot = app->discovered_[name];
                    const auto same = [](const auto& a, const auto& b) { return a.id == b.id; };
                    if (std::equal(slot.begin(), slot.end(), found->begin(), found->end(), same)) co_return;
                    slot = std::move(found).value();
                    app->discovered_changed_ = true;
                }
            };
            wire::Loop::current()->spawn(Job::run(this, runtime, i, name));
        });
    }
}
