#include "check/check.h"

#include "check/subject.h"
#include "check/symbols.h"
#include "plugin/elf.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include <stdlib.h>

namespace check {

namespace fs = std::filesystem;

namespace {

constexpr int test_ms = 20'000;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double own_factor = 8; // of a check that a sanitizer slows down itself
#else
constexpr double own_factor = 1;
#endif

struct Step {
    Test test;
    Rule crash_is;
};
constexpr Step steps[] = {
    {test_budget, Rule::Crash},     {test_config, Rule::Crash},    {test_cases, Rule::Crash},   {test_cuts, Rule::Crash},     {test_truncated, Rule::Crash},
    {test_refusal, Rule::Refusal},  {test_hostile, Rule::Crash},   {test_borrowed, Rule::Borrowed}, {test_tables, Rule::Tables}, {test_decisions, Rule::Crash},
    {test_leaks, Rule::Leaks},      {test_unchanged, Rule::Shared}, {test_threads, Rule::Shared}, {test_versions, Rule::Versions},
};

/// A folder of its own that is gone afterwards.
class Scratch {
public:
    Scratch()
    {
        std::string pattern = (fs::temp_directory_path() / "portolan-check-XXXXXX").string();
        if (!::mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder can be made");
        at_ = pattern;
    }
    ~Scratch()
    {
        std::error_code none;
        fs::remove_all(at_, none);
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    fs::path put(const char* folder, const fs::path& name, const std::string& bytes) const
    {
        fs::create_directory(at_ / folder);
        std::ofstream out(at_ / folder / name, std::ios::binary);
        out << bytes;
        out.close();
        if (!out) throw std::runtime_error("no private copy of the file can be made");
        return at_ / folder / name;
    }

private:
    fs::path at_;
};

std::string bytes_of(const fs::path& file)
{
    std::ifstream in(file, std::ios::binary);
    if (!in || fs::is_directory(file)) throw std::runtime_error("cannot read " + file.string());
    return std::string(std::istreambuf_iterator<char>(in), {});
}

void read_cases(const fs::path& path, std::vector<json>& cases)
{
    if (fs::is_directory(path)) {
        std::vector<fs::path> files;
        for (const auto& entry : fs::directory_iterator(path))
            if (entry.path().extension() == ".json") files.push_back(entry.path());
        std::sort(files.begin(), files.end());
        for (const auto& f : files) read_cases(f, cases);
        return;
    }
    const auto all = json::parse(bytes_of(path), nullptr, false);
    if (!all.is_array()) throw std::runtime_error(path.string() + " is no list of cases");
    for (const auto& c : all)
        if (c.is_object()) cases.push_back(c);
}

/// What can be known without running any of it. False: nothing more can be tried.
bool read_file(const std::string& bytes, Subject& subject, Report& report)
{
    const auto text = plugin::manifest_of(bytes);
    if (!text) return add(report.findings, Rule::Manifest, text.fault().message), false;
    auto manifest = plugin::parse_manifest(*text);
    if (!manifest) {
        add(report.findings, Rule::Manifest, manifest.fault().message);
        check_symbols(bytes, true, report.findings);
        return false;
    }
    subject.manifest_text = *text, subject.manifest = std::move(*manifest);
    report.id = subject.manifest.id, report.version = subject.manifest.version;
    if (subject.manifest.components.empty()) add(report.findings, Rule::Manifest, "manifest: /components: names no component");
    check_symbols(bytes, subject.pure(), report.findings);
    return true;
}

void run_tests(const Subject& subject, Report& report)
{
    const auto timeout = static_cast<int>(test_ms * subject.time_factor);
    const auto run = [&](Test test, Rule crash_is) {
        const auto found = in_child([&](Findings& out) { test(subject, out); }, crash_is, timeout);
        for (const auto& f : found) add(report.findings, f.rule, f.what, f.warning);
        return std::none_of(found.begin(), found.end(), [](const Finding& f) { return !f.warning; });
    };
    if (!run(test_load, Rule::Entry)) {
        report.notes.emplace_back("what it does was not tried, because it could not be loaded as it should");
        return;
    }
    int late = 0;
    for (const auto& step : steps) {
        const bool kept = run(step.test, step.crash_is);
        late += !kept && report.findings.back().what.starts_with("it did not return");
        if (late < 2) continue;
        report.notes.emplace_back("the rest was not tried, because it does not return");
        return;
    }
}

void check_into(const fs::path& file, const Options& options, Report& report)
{
    const auto bytes = bytes_of(file);
    Subject subject;
    subject.time_factor = options.time_factor * own_factor;
    if (!read_file(bytes, subject, report)) return;
    if (!options.cases.empty()) read_cases(options.cases, subject.cases);
    const Scratch scratch;
    subject.first = scratch.put("1", file.filename(), bytes), subject.second = scratch.put("2", file.filename(), bytes);
    run_tests(subject, report);
}

std::string title(const RuleText& rule)
{
    return std::string(rule.id) + (rule.abi.empty() ? "" : " (" + std::string(rule.abi) + ")") + ": " + std::string(rule.what);
}

} // namespace

bool Report::good() const
{
    return std::all_of(findings.begin(), findings.end(), [](const Finding& f) { return f.warning; });
}

bool Report::broke(Rule rule) const
{
    return std::any_of(findings.begin(), findings.end(), [&](const Finding& f) { return f.rule == rule && !f.warning; });
}

Report check_plugin(const fs::path& file, const Options& options)
{
    Report report;
    report.file = file.string();
    try {
        check_into(file, options, report);
    } catch (const std::exception& e) {
        report.notes.emplace_back(e.what());
        add(report.findings, Rule::Entry, std::string("it could not be checked: ") + e.what());
    }
    return report;
}

std::string as_text(const Report& report)
{
    std::string out = report.file + (report.id.empty() ? "" : ": " + report.id + " " + report.version) + "\n";
    int broken = 0;
    for (const auto& rule : all_rules()) {
        std::string found;
        for (const auto& f : report.findings)
            if (f.rule == rule.rule) found += "    " + std::string(f.warning ? "warning: " : "") + f.what + "\n";
        if (found.empty()) continue;
        const bool bad = report.broke(rule.rule);
        broken += bad;
        out += std::string(bad ? "  BROKEN " : "  note   ") + title(rule) + "\n" + found;
        if (bad) out += "    why:  " + std::string(rule.why) + "\n    mend: " + std::string(rule.mend) + "\n";
    }
    for (const auto& n : report.notes) out += "  " + n + "\n";
    return out + (broken ? std::to_string(broken) + " rules broken\n" : "all " + std::to_string(all_rules().size()) + " rules kept\n");
}

std::string as_json(const Report& report)
{
    json out{{"file", report.file}, {"id", report.id}, {"version", report.version}, {"good", report.good()}, {"rules", json::array()}, {"notes", report.notes}};
    for (const auto& rule : all_rules()) {
        json entry{{"rule", rule.id}, {"abi", rule.abi}, {"kept", !report.broke(rule.rule)}, {"findings", json::array()}, {"why", rule.why}, {"mend", rule.mend}};
        for (const auto& f : report.findings)
            if (f.rule == rule.rule) entry["findings"].push_back({{"what", f.what}, {"warning", f.warning}});
        out["rules"].push_back(std::move(entry));
    }
    return out.dump(2, ' ', false, json::error_handler_t::replace);
}

} // namespace check
