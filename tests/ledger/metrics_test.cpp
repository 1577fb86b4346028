#include "ledger/exposition.h"
#include "ledger/families.h"
#include "ledger/metrics.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <regex>
#include <sstream>
#include <thread>

using ledger::Metrics;

namespace {

double value_of(const Metrics& metrics, const std::string& name, const std::map<std::string, std::string>& labels = {})
{
    const auto families = exposition::parse(metrics.render());
    for (const auto& [family, content] : families)
        for (const auto& sample : content.samples)
            if (sample.name == name && sample.labels == labels) return sample.value;
    FAIL("no sample " << name);
    return std::nan("");
}

} // namespace

TEST_CASE("a counter is the sum of what many threads added")
{
    Metrics metrics;
    auto& counter = metrics.counter("a_total");
    std::vector<std::thread> threads;
    for (int i = 0; i < 12; ++i)
        threads.emplace_back([&counter] {
            for (int n = 0; n < 10'000; ++n) counter.add();
        });
    for (auto& thread : threads) thread.join();
    counter.add(5);
    CHECK(counter.value() == 120'005);
    CHECK(value_of(metrics, "a_total") == 120'005);
}

TEST_CASE("a series is found again whatever the order of its labels")
{
    Metrics metrics;
    auto& one = metrics.counter("a_total", {{"x", "1"}, {"y", "2"}});
    auto& same = metrics.counter("a_total", {{"y", "2"}, {"x", "1"}});
    auto& other = metrics.counter("a_total", {{"x", "2"}, {"y", "1"}});
    CHECK(&one == &same);
    CHECK(&one != &other);
}

TEST_CASE("label values and help texts are escaped so that they read back as they were")
{
    Metrics metrics;
    const std::string nasty = "a\"b\\c\nd{},e=\xc3\xa4";
    metrics.describe("a_total", "line\nbreak and \\");
    metrics.counter("a_total", {{"x", nasty}}).add(3);
    CHECK(value_of(metrics, "a_total", {{"x", nasty}}) == 3);
    CHECK(exposition::parse(metrics.render())["a_total"].help == "line\\nbreak and \\\\");
}

TEST_CASE("a label value that is no UTF-8 does not spoil the page")
{
    Metrics metrics;
    metrics.counter("a_total", {{"x", "\xff\xfe!"}}).add();
    CHECK(value_of(metrics, "a_total", {{"x", "?" "?!"}}) == 1);
}

TEST_CASE("a histogram puts a time on a bucket's bound into that bucket and shows seconds")
{
    Metrics metrics;
    metrics.describe("t_seconds", "Times.", {500, 1'000'000});
    auto& histogram = metrics.histogram("t_seconds", {{"x", "1"}});
    for (const std::int64_t us : {-7, 0, 500, 501, 1'000'000, 1'000'001}) histogram.observe_us(us);
    CHECK(value_of(metrics, "t_seconds_bucket", {{"x", "1"}, {"le", "0.0005"}}) == 3);
    CHECK(value_of(metrics, "t_seconds_bucket", {{"x", "1"}, {"le", "1"}}) == 5);
    CHECK(value_of(metrics, "t_seconds_bucket", {{"x", "1"}, {"le", "+Inf"}}) == 6);
    CHECK(value_of(metrics, "t_seconds_count", {{"x", "1"}}) == 6);
    CHECK(value_of(metrics, "t_seconds_sum", {{"x", "1"}}) == Approx(2.001002).epsilon(1e-12));
}

TEST_CASE("a histogram that nobody described has the latency buckets, the host's small ones their own")
{
    Metrics metrics;
    metrics.histogram("unknown_seconds").observe_us(1);
    metrics.histogram("portolan_overhead_seconds").observe_us(1);
    CHECK(value_of(metrics, "unknown_seconds_bucket", {{"le", "0.0005"}}) == 1);
    CHECK(value_of(metrics, "unknown_seconds_bucket", {{"le", "60"}}) == 1);
    CHECK(value_of(metrics, "portolan_overhead_seconds_bucket", {{"le", "0.000005"}}) == 1);
}

TEST_CASE("a gauge is read when the page is made, can be replaced, and is gone once removed")
{
    Metrics metrics;
    double now = 1.5;
    metrics.gauge("g", {{"x", "1"}}, [&now] { return now; });
    CHECK(value_of(metrics, "g", {{"x", "1"}}) == 1.5);
    now = -2;
    CHECK(value_of(metrics, "g", {{"x", "1"}}) == -2);
    metrics.gauge("g", {{"x", "1"}}, [] { return std::numeric_limits<double>::infinity(); });
    CHECK(std::isinf(value_of(metrics, "g", {{"x", "1"}})));
    metrics.gauge("g", {{"x", "1"}}, [] { return std::nan(""); });
    CHECK(std::isnan(value_of(metrics, "g", {{"x", "1"}})));
    metrics.remove_gauges("g");
    CHECK_FALSE(exposition::parse(metrics.render()).contains("g"));
}

TEST_CASE("a total that is read through a function is shown as a counter")
{
    Metrics metrics;
    metrics.gauge("portolan_log_dropped_total", {}, [] { return 12345678.0; });
    CHECK(exposition::parse(metrics.render())["portolan_log_dropped_total"].type == "counter");
    CHECK(value_of(metrics, "portolan_log_dropped_total") == 12345678);
}

TEST_CASE("series over the family's limit are counted under other, and known ones keep their place")
{
    Metrics metrics;
    for (int i = 0; i < 2000; ++i) metrics.counter("a_total", {{"x", std::to_string(i)}, {"y", "1"}}).add();
    auto& late = metrics.counter("a_total", {{"x", "late"}, {"y", "1"}});
    auto& later = metrics.counter("a_total", {{"x", "later"}, {"y", "2"}});
    CHECK(&late == &later);
    late.add(7);
    metrics.counter("a_total", {{"x", "1999"}, {"y", "1"}}).add();
    CHECK(value_of(metrics, "a_total", {{"x", "other"}, {"y", "other"}}) == 7);
    CHECK(value_of(metrics, "a_total", {{"x", "1999"}, {"y", "1"}}) == 2);
    CHECK(exposition::parse(metrics.render())["a_total"].samples.size() == 2001);
}

TEST_CASE("names that Prometheus would refuse, and one name with two types, are our own mistakes")
{
    Metrics metrics;
    CHECK_THROWS_AS(metrics.counter("1a_total"), std::invalid_argument);
    CHECK_THROWS_AS(metrics.counter(""), std::invalid_argument);
    CHECK_THROWS_AS(metrics.counter("a_total", {{"b-c", "1"}}), std::invalid_argument);
    CHECK_THROWS_AS(metrics.counter("a_total", {{"le", "1"}}), std::invalid_argument);
    CHECK_THROWS_AS(metrics.counter("a_total", {{"b", "1"}, {"b", "2"}}), std::invalid_argument);
    CHECK_THROWS_AS(metrics.describe("t_seconds", "Times.", {2, 1}), std::invalid_argument);
    metrics.counter("a_total");
    CHECK_THROWS_AS(metrics.histogram("a_total"), std::logic_error);
    CHECK_THROWS_AS(metrics.gauge("a_total", {}, [] { return 1.0; }), std::logic_error);
}

TEST_CASE("the process says what it uses")
{
    const Metrics metrics;
    CHECK(value_of(metrics, "process_resident_memory_bytes") > 1e6);
    CHECK(value_of(metrics, "process_open_fds") >= 3);
    CHECK(value_of(metrics, "process_max_fds") >= value_of(metrics, "process_open_fds"));
    CHECK(value_of(metrics, "process_threads") >= 1);
    CHECK(value_of(metrics, "process_start_time_seconds") > 1.6e9);
    CHECK(value_of(metrics, "process_cpu_seconds_total") >= 0);
}

TEST_CASE("the count of open files follows what is opened")
{
    const Metrics metrics;
    const double before = value_of(metrics, "process_open_fds");
    const std::ifstream a("/dev/null"), b("/dev/null");
    CHECK(value_of(metrics, "process_open_fds") == before + 2);
}

TEST_CASE("a page can be made while others count and add series")
{
    Metrics metrics;
    std::thread writer([&metrics] {
        for (int i = 0; i < 1000; ++i) {
            metrics.counter("a_total", {{"x", std::to_string(i)}}).add();
            metrics.histogram("t_seconds").observe_us(i);
            metrics.gauge("g", {{"x", std::to_string(i % 7)}}, [i] { return i; });
        }
    });
    for (int i = 0; i < 20; ++i) exposition::parse(metrics.render());
    writer.join();
    CHECK(exposition::parse(metrics.render())["a_total"].samples.size() == 1000);
}

TEST_CASE("every family of the host is described, sorted, and used as what it is")
{
    Metrics metrics;
    std::string_view before;
    for (const auto& row : ledger::families()) {
        CHECK(before < row.name);
        before = row.name;
        CHECK_FALSE(row.help.empty());
        switch (row.type) {
        case ledger::FamilyType::Counter: metrics.gauge(row.name, {}, [] { return 1.0; }); CHECK(row.name.ends_with("_total")); break;
        case ledger::FamilyType::Gauge: metrics.gauge(row.name, {}, [] { return 1.0; }); CHECK_FALSE(row.name.ends_with("_total")); break;
        case ledger::FamilyType::Histogram: metrics.histogram(row.name); CHECK(row.name.ends_with("_seconds")); break;
        }
    }
    const auto shown = exposition::parse(metrics.render());
    for (const auto& row : ledger::families()) CHECK(shown.at(std::string(row.name)).help == row.help);
}

TEST_CASE("every metric that the host's code names is in the table of families")
{
    const std::regex use(R"re((?:counter|histogram|gauge|head)\("(portolan_[a-z_]+)")re");
    std::size_t uses = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator("host")) {
        if (entry.path().extension() != ".cpp") continue;
        std::ifstream file(entry.path());
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        for (auto at = std::sregex_iterator(text.begin(), text.end(), use); at != std::sregex_iterator(); ++at, ++uses) {
            const auto name = (*at)[1].str();
            CAPTURE(entry.path(), name);
            CHECK(std::any_of(ledger::families().begin(), ledger::families().end(), [&](const auto& row) { return row.name == name; }));
        }
    }
    CHECK(uses > 0);
}

TEST_CASE("docs/operate/metrics.md lists the families as the code has them")
{
    std::ifstream file("docs/operate/metrics.md");
    REQUIRE(file);
    std::vector<std::string> rows, expected;
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("| `portolan_")) rows.push_back(line);
    for (const auto& row : ledger::families()) {
        const char* type = row.type == ledger::FamilyType::Counter ? "counter" : row.type == ledger::FamilyType::Gauge ? "gauge" : row.small ? "histogram, small" : "histogram";
        std::ostringstream text;
        text << "| `" << row.name << "` | " << type << " | " << (row.labels.empty() ? "" : "`") << row.labels << (row.labels.empty() ? "" : "` ") << "| " << row.help << " |";
        expected.push_back(text.str());
    }
    CHECK(rows == expected);
}
