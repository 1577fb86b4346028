// What the wall costs: a guarded decide() over 20 candidates beside the bare one, a frame of 4 KB to a plugin in another process, reading a
// manifest, loading a hundred plugins. Arguments: folder of the shipped plugins. Prints a Markdown table.
#include "plugin/elf.h"
#include "plugin/registry.h"

#include <portolan/abi.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <unistd.h>

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t candidates = 20;

[[noreturn]] void stop(const std::string& why)
{
    std::fprintf(stderr, "wall_bench: %s\n", why.c_str());
    std::exit(1);
}

double since(Clock::time_point begin, double unit_ns) { return static_cast<double>((Clock::now() - begin).count()) / unit_ns; }

double at(std::vector<double> v, double share)
{
    std::sort(v.begin(), v.end());
    return v[static_cast<std::size_t>(share * static_cast<double>(v.size() - 1))];
}

std::string slurp(const fs::path& file)
{
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

struct Rows {
    std::vector<std::string> ids;
    std::vector<routing::CandidateView> views{candidates};
    Rows()
    {
        for (std::size_t i = 0; i < candidates; ++i) ids.push_back("provider/model-" + std::to_string(i));
        for (std::size_t i = 0; i < candidates; ++i) views[i].id = views[i].model = ids[i], views[i].est_cost_nusd = static_cast<std::int64_t>((i * 7919) % 1000);
    }
};

/// Median over batches of the time of one call, ns.
template <class Once>
double median_ns(Once&& once)
{
    std::vector<double> took;
    for (int batch = 0; batch < 15; ++batch) {
        const auto begin = Clock::now();
        for (int i = 0; i < 20'000; ++i) once();
        took.push_back(since(begin, 20'000));
    }
    return at(took, 0.5);
}

std::size_t picked; // by the bare call

/// The policy's own decide() with tables that only count and a snapshot that is ready.
double bare_decide_ns(const fs::path& file, const Rows& rows)
{
    void* code = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!code) stop(::dlerror());
    const auto entry = reinterpret_cast<portolan_plugin_fn>(::dlsym(code, "portolan_plugin_v1"));
    const auto* plugin = entry();
    static const portolan_host host{sizeof host, PORTOLAN_DRAFT, {"bench", 5}, {"0", 1}, [](portolan_handle, std::int32_t, portolan_str) noexcept {},
                                    [](portolan_handle, portolan_str) noexcept {}, [](portolan_handle) noexcept { return std::uint32_t{0}; },
                                    [](portolan_str) noexcept -> const void* { return nullptr; }};
    static const portolan_ranking ranking{sizeof ranking, 0, [](portolan_handle, const portolan_pick*) noexcept { ++picked; },
                                          [](portolan_handle, std::size_t, portolan_str) noexcept {}, [](portolan_handle, const portolan_ask*) noexcept {},
                                          [](portolan_handle, std::size_t, portolan_str) noexcept {}};
    const portolan_call call{sizeof call, 0, 1, &host, 0, 1'000'000, 1, {nullptr, 0}};
    const portolan_str component{"cheapest", 8}, config{"{}", 2}, face{PORTOLAN_POLICY, sizeof PORTOLAN_POLICY - 1};
    void* self = nullptr;
    if (plugin->create(&call, component, config, &self) < 0) stop("create() failed");
    const auto* policy = static_cast<const portolan_policy*>(plugin->find(component, face));
    std::vector<portolan_candidate> list(candidates);
    std::vector<const portolan_candidate*> pointers;
    for (std::size_t i = 0; i < candidates; ++i) {
        std::memset(&list[i], 0, sizeof list[i]);
        list[i].struct_size = sizeof list[i], list[i].id = {rows.ids[i].data(), rows.ids[i].size()}, list[i].est_cost_nusd = rows.views[i].est_cost_nusd;
        pointers.push_back(&list[i]);
    }
    portolan_request request{};
    request.struct_size = sizeof request;
    portolan_snapshot snapshot{};
    snapshot.struct_size = sizeof snapshot, snapshot.stage = PORTOLAN_STAGE_ROUTE, snapshot.request = &request;
    snapshot.candidates = pointers.data(), snapshot.candidate_count = candidates;
    const auto ns = median_ns([&] {
        picked = 0;
        policy->decide(self, &call, &snapshot, &ranking);
        if (picked != candidates) stop("the bare call picked too few");
    });
    plugin->destroy(component, self);
    return ns;
}

struct Counter : dispatch::EventSink {
    std::size_t events = 0;
    bool event(const dispatch::Event&) override { return ++events, true; }
};

/// One frame of 4 KB into the OpenAI-compatible provider.
std::vector<double> frame_us(const plugin::Registry& registry, int times)
{
    const auto provider = registry.make_provider("openai-compatible", R"({"base_url":"http://127.0.0.1:1/v1"})");
    if (!provider) stop(provider.fault().message);
    dispatch::ProviderRequest rq;
    rq.model = "m", rq.json = R"({"model":"m","stream":true,"messages":[]})", rq.stream = rq.native = true;
    auto exchange = (*provider)->open({}, rq);
    if (!exchange) stop(exchange.fault().message);
    if (const auto plan = (*exchange)->request({}, rq); !plan) stop(plan.fault().message);
    const std::string raw = R"(data: {"id":"1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":")" + std::string(4000, 'x') + "\"}}]}\n\n";
    const auto data = std::string_view(raw).substr(6, raw.size() - 8);
    Counter sink;
    std::vector<double> took;
    for (int i = 0; i < times; ++i) {
        const auto begin = Clock::now();
        if (!(*exchange)->frame({}, {.status = 200, .headers = {}, .body = {}}, {.kind = 2, .event = {}, .data = data, .raw = raw}, sink).ok()) stop("a frame failed");
        took.push_back(since(begin, 1000));
    }
    if (sink.events < static_cast<std::size_t>(times)) stop("too few events arrived");
    return took;
}

} // namespace

int main(int argc, char** argv)
{
    const fs::path shipped = fs::absolute(argc > 1 ? argv[1] : "build/release/plugins");
    std::string store = (fs::temp_directory_path() / "portolan-bench-XXXXXX").string();
    if (!::mkdtemp(store.data())) return 1;
    config::Plugins settings;
    settings.decide_us = settings.frame_us = settings.request_us = 1'000'000; // a busy machine must not cut the measurement short
    plugin::Registry inside(settings, store, shipped.string());
    inside.load();
    settings.isolation["openai_compatible.so"] = "process";
    plugin::Registry isolated(settings, store, shipped.string());
    isolated.load();

    const Rows rows;
    routing::RequestView request;
    routing::Snapshot snapshot;
    snapshot.request = &request, snapshot.candidates = rows.views;
    const auto policy = inside.make_policy("cheapest", "{}");
    if (!policy) stop(policy.fault().message);
    routing::Ranking ranking;
    const auto guarded = median_ns([&] {
        (*policy)->decide(snapshot, ranking);
        if (ranking.picks.size() != candidates) stop("the guarded call picked too few");
    });
    const auto bare = bare_decide_ns(shipped / "cheapest.so", rows);

    const auto here = frame_us(inside, 20'000);
    (void)frame_us(isolated, 1'000); // warm
    const auto there = frame_us(isolated, 20'000);

    const auto bytes = slurp(shipped / "openai_compatible.so");
    const auto scanned = median_ns([&] {
        if (!plugin::manifest_of(bytes)) stop("no manifest");
    });

    const fs::path many = fs::path(store) / "many";
    fs::create_directory(many);
    const auto one = slurp(shipped / "cheapest.so");
    for (int i = 0; i < 100; ++i) std::ofstream(many / ("p" + std::to_string(i) + ".so"), std::ios::binary) << one << i;
    plugin::Registry hundred({}, store + "/hundred", many.string());
    const auto begin = Clock::now();
    hundred.load();
    const auto loaded = since(begin, 1e6);
    for (const auto& row : hundred.list())
        if (row.state != "serving") stop(row.file + ": " + row.error);

    std::printf("| wall | |\n|---|--:|\n");
    std::printf("| decide over 20 candidates, bare call, ns | %.0f |\n| the same through the wall, with its snapshot and reasons, ns | %.0f |\n", bare, guarded);
    std::printf("| frame of 4 KB, in process, us p50 / p99 | %.2f / %.2f |\n", at(here, 0.5), at(here, 0.99));
    std::printf("| frame of 4 KB, isolated, us p50 / p99 | %.1f / %.1f |\n", at(there, 0.5), at(there, 0.99));
    std::printf("| manifest of a file in memory, us | %.1f |\n| 100 plugins, read, hashed, copied, mapped, ms | %.0f |\n", scanned / 1000, loaded);
    fs::remove_all(store);
}
