// How long a decision takes through the wall: each shipped policy over 20 candidates, real files, real loader. Prints a Markdown table.
#include "plugin/registry.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <unistd.h>

namespace {

constexpr int batches = 15, calls = 20'000, candidates = 20;

double batch_ns(const routing::Policy& policy, routing::Snapshot& snapshot, routing::Ranking& out)
{
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; ++i) {
        snapshot.sequence = snapshot.seed = static_cast<std::uint64_t>(i);
        policy.decide(snapshot, out);
        if (out.picks.size() != candidates) {
            std::fprintf(stderr, "decide_bench: %s picked %zu of %d: %s\n", policy.component().c_str(), out.picks.size(), candidates, out.failure.c_str());
            std::exit(1);
        }
    }
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count() / calls;
}

} // namespace

int main(int argc, char** argv)
{
    const std::string folder = argc > 1 ? argv[1] : "build/release/plugins";
    std::string store = (std::filesystem::temp_directory_path() / "portolan-bench-XXXXXX").string();
    if (!::mkdtemp(store.data())) return 1;
    config::Plugins settings;
    settings.decide_us = 1'000'000; // a busy machine must not cut the measurement short
    plugin::Registry registry(settings, store, folder);
    registry.load();

    std::vector<std::string> ids;
    for (int i = 0; i < candidates; ++i) ids.push_back("provider-" + std::to_string(i) + "/some-model-name-" + std::to_string(i));
    std::vector<routing::CandidateView> views(candidates);
    for (std::size_t i = 0; i < views.size(); ++i) {
        auto& v = views[i];
        v.id = v.model = ids[i], v.endpoint = std::string_view(ids[i]).substr(0, 10);
        v.est_cost_nusd = static_cast<std::int64_t>((i * 7919) % 1000), v.weight = static_cast<std::uint32_t>(i + 1), v.ttft_p50_us = 300'000;
    }
    routing::RequestView request;
    request.model = "auto", request.est_input_tokens = 1000, request.est_output_tokens = 500;
    routing::Snapshot snapshot;
    snapshot.route = "auto", snapshot.request = &request, snapshot.candidates = views;

    std::printf("| policy | decide over %d candidates, ns (median of %d) |\n|---|--:|\n", candidates, batches);
    int shown = 0;
    for (const auto& file : registry.list())
        for (const auto& c : file.components) {
            if (!c.kind.starts_with("portolan.policy/")) continue;
            auto policy = registry.make_policy(c.name, "{}");
            if (!policy) continue;
            routing::Ranking out;
            std::vector<double> took;
            for (int b = 0; b < batches; ++b) took.push_back(batch_ns(**policy, snapshot, out));
            std::nth_element(took.begin(), took.begin() + batches / 2, took.end());
            std::printf("| %s | %.0f |\n", c.name.c_str(), took[batches / 2]);
            ++shown;
        }
    std::filesystem::remove_all(store);
    return shown ? 0 : 1;
}
