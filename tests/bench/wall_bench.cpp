// What the wall costs: a guarded decide() over 20 candidates beside the bare one, a frame of 4 KB to a plugin in another process, reading a
// manifest, loading a hundred plugins. Arguments: folder of the shipped plugins. Prints a Markdown table.
#include "plugin/elf.h"
#include "plugin/library.h"
#include "plugin/registry.h"

#include <portolan/abi.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
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

/// A policy's instance with a snapshot that is ready, called with nothing between and as the host calls it.
class Ready {
public:
    Ready(const fs::path& file, const Rows& rows)
    {
        auto library = plugin::Library::open(file.string());
        if (!library) stop(library.fault().message);
        library_ = std::move(*library);
        if (library_->create(&call_, "cheapest", "{}", &self_) < 0) stop("create() failed");
        policy_ = static_cast<const portolan_policy*>(library_->find("cheapest", PORTOLAN_POLICY));
        for (std::size_t i = 0; i < candidates; ++i) {
            auto& row = list_[i];
            row.struct_size = sizeof row, row.id = {rows.ids[i].data(), rows.ids[i].size()}, row.est_cost_nusd = rows.views[i].est_cost_nusd;
            pointers_.push_back(&row);
        }
        request_.struct_size = sizeof request_;
        snapshot_.struct_size = sizeof snapshot_, snapshot_.stage = PORTOLAN_STAGE_ROUTE, snapshot_.request = &request_;
        snapshot_.candidates = pointers_.data(), snapshot_.candidate_count = candidates;
    }
    ~Ready() { library_->destroy("cheapest", self_); }
    Ready(const Ready&) = delete;
    Ready& operator=(const Ready&) = delete;

    /// Sinks that only count.
    double bare_ns() const
    {
        static const portolan_ranking ranking{sizeof ranking, 0, [](portolan_handle, const portolan_pick*) noexcept { ++picked; },
                                              [](portolan_handle, std::size_t, portolan_str) noexcept {}, [](portolan_handle, const portolan_ask*) noexcept {},
                                              [](portolan_handle, std::size_t, portolan_str) noexcept {}};
        return median_ns([&] {
            picked = 0;
            policy_->decide(self_, &call_, &snapshot_, &ranking);
            if (picked != candidates) stop("the bare call picked too few");
        });
    }
    /// Handle, clocks, counters, and each pick through the host's table to something that only counts.
    double guarded_ns() const
    {
        struct : plugin::RankingReceiver {
            std::size_t n = 0;
            void pick(const portolan_pick&) noexcept override { ++n; }
            void skip(std::size_t, std::string_view) noexcept override {}
            void ask(const portolan_ask&) noexcept override {}
            void keep(std::size_t, std::string_view) noexcept override {}
        } count;
        return median_ns([&] {
            count.n = 0;
            plugin::Call call(library_->callee(), plugin::Function::Decide, {.now_us = 1'000'000, .limit_us = 1'000'000, .seed = 1}, {.ranking = &count});
            call.run([&](const portolan_call* c) { return policy_->decide(self_, c, &snapshot_, &plugin::ranking_table); });
            if (count.n != candidates) stop("the guarded call picked too few");
        });
    }

private:
    std::shared_ptr<const plugin::Library> library_;
    const portolan_policy* policy_ = nullptr;
    void* self_ = nullptr;
    portolan_call call_{sizeof call_, 0, 1, &plugin::host_table, 0, 1'000'000, 1, {nullptr, 0}};
    std::vector<portolan_candidate> list_{candidates};
    std::vector<const portolan_candidate*> pointers_;
    portolan_request request_{};
    portolan_snapshot snapshot_{};
};

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
    const auto whole = median_ns([&] {
        (*policy)->decide(snapshot, ranking);
        if (ranking.picks.size() != candidates) stop("the whole decision picked too few");
    });
    const Ready ready(shipped / "cheapest.so", rows);
    const auto bare = ready.bare_ns(), guarded = ready.guarded_ns();

    const auto here = frame_us(inside, 20'000);
    (void)frame_us(isolated, 1'000); // warm
    const auto there = frame_us(isolated, 20'000);

    const auto folder = plugin::Folder::open(shipped.string(), plugin::Trust::Any);
    if (!folder) stop(folder.fault().message);
    std::vector<double> scans;
    for (int i = 0; i < 200; ++i) {
        const auto begin = Clock::now();
        const auto file = folder->read("openai_compatible.so", {});
        if (!file || !plugin::parse_manifest(*plugin::manifest_of(file->bytes))) stop("no manifest");
        scans.push_back(since(begin, 1000));
    }

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
    std::printf("| decide over 20 candidates, bare call, ns | %.0f |\n| guarded: handle, clocks, counters, checked sinks, ns | %.0f |\n", bare, guarded);
    std::printf("| as a route decides: with the snapshot made and the reasons kept, ns | %.0f |\n", whole);
    std::printf("| frame of 4 KB, in process, us p50 / p99 | %.2f / %.2f |\n", at(here, 0.5), at(here, 0.99));
    std::printf("| frame of 4 KB, isolated, us p50 / p99 | %.1f / %.1f |\n", at(there, 0.5), at(there, 0.99));
    std::printf("| manifest scan: file checked, read, hashed, parsed, us p50 | %.0f |\n| 100 plugins, read, hashed, copied, mapped, ms | %.0f |\n", at(scans, 0.5), loaded);
    fs::remove_all(store);
}
