#include "sandbox.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <malloc.h>

namespace {

const plugin::Loaded& row_of(const std::vector<plugin::Loaded>& rows, const std::string& name)
{
    const auto it = std::find_if(rows.begin(), rows.end(), [&](const auto& r) { return fs::path(r.file).filename() == name + ".so"; });
    if (it == rows.end()) throw std::runtime_error("no row of " + name);
    return *it;
}

std::string policy_first_reason(const plugin::Registry& registry, const std::string& component)
{
    const auto policy = registry.make_policy(component, "{}");
    if (!policy) return policy.fault().message;
    const routing::CandidateView one;
    routing::Snapshot s;
    s.candidates = {&one, 1};
    routing::Ranking r;
    (*policy)->decide(s, r);
    return r.picks.empty() ? r.failure : r.picks[0].reason;
}

} // namespace

TEST_CASE("a folder is loaded although some of its files are broken, each with its reason")
{
    const Sandbox box;
    for (const char* name : {"good", "refuses", "wrong_draft", "short_table", "differs", "bad_manifest", "no_manifest"}) box.put(name);
    spit(box.plugins() / "text.so", "hello");
    spit(box.plugins() / "ignored.txt", "hello");
    auto registry = box.registry(box.settings());
    registry.load();
    const auto rows = registry.list();
    CHECK(rows.size() == 8);
    CHECK(row_of(rows, "good").state == "serving");
    CHECK((row_of(rows, "good").id == "test.good" && row_of(rows, "good").version == "1.2.3"));
    CHECK(row_of(rows, "good").components.size() == 5);
    CHECK(row_of(rows, "refuses").error == "the plugin refuses to run here");
    CHECK(row_of(rows, "wrong_draft").error.starts_with("built for draft "));
    CHECK(row_of(rows, "wrong_draft").error.ends_with(": rebuild it with this release's headers"));
    CHECK(row_of(rows, "short_table").error == "its table is too short");
    CHECK(row_of(rows, "differs").error == "the manifests in its section and in its table differ");
    CHECK(row_of(rows, "bad_manifest").error.starts_with("manifest: /components/a~1b: "));
    CHECK(row_of(rows, "no_manifest").error == "no .portolan.manifest section: not a Portolan plugin");
    CHECK(row_of(rows, "text").error == "not an ELF file");
    for (const auto& row : rows)
        if (row.id.empty()) CHECK(row.state == "refused");
}

TEST_CASE("a folder that is not there is a warning")
{
    const Sandbox box;
    auto settings = box.settings();
    settings.dirs.push_back((box.path / "absent").string());
    box.put("good");
    auto registry = box.registry(settings);
    registry.load();
    REQUIRE(registry.list().size() == 2);
    CHECK(registry.list()[1].state == "refused");
    CHECK(registry.warnings().size() == 1);
    CHECK(policy_first_reason(registry, "in_order") == "in order");
}

TEST_CASE("an unknown trust word is taken as the strictest")
{
    const Sandbox box;
    box.put("good");
    auto registry = box.registry(box.settings("everything"));
    registry.load();
    CHECK(registry.list().at(0).state == "refused");
}

TEST_CASE("dashes and underscores in component names are equal")
{
    const Sandbox box;
    box.put("good");
    auto registry = box.registry(box.settings());
    registry.load();
    CHECK(registry.make_policy("in-order", "{}").ok());
    CHECK(registry.make_provider("plain_wire", "{}").ok());
    CHECK(registry.make_provider("plain-wire", "{}").ok());
}

TEST_CASE("what cannot be made says why")
{
    const Sandbox box;
    box.put("good");
    box.put("old_tables");
    auto registry = box.registry(box.settings());
    registry.load();
    CHECK(registry.make_policy("in_ordre", "{}").fault().message == R"(no plugin has a component "in_ordre", did you mean "in_order"?)");
    CHECK(registry.make_policy("plain-wire", "{}").fault().message == "plain-wire is no policy but portolan.provider/1");
    CHECK(registry.make_provider("in_order", "{}").fault().message == "in_order is no provider but portolan.policy/1");
    CHECK(registry.make_provider("plain-wire", R"({"regoin":"eu","x":1})").fault().message ==
          "/regoin: unknown key, did you mean \"region\"?\n/x: unknown key, known are: region");
    CHECK(registry.make_provider("plain-wire", R"({"region":"moon"})").fault().message == "plain-wire: nobody serves the moon");
    CHECK(registry.make_provider("plain-wire", R"({"base_url":"ftp://x"})").fault().message == R"("ftp://x" is no URL of the form http(s)://host[:port][/path])");
    CHECK(registry.make_policy("nothing", "{}").fault().message == "nothing: its library has no table portolan.policy/1 for it");
    CHECK(registry.make_provider("older", "{}").fault().message == "older: its provider table has empty places");
    CHECK(registry.make_policy("in_order", "nonsense").fault().message == "/: not valid JSON near byte 2");
}

TEST_CASE("equal bytes are one library and changed bytes are another beside it")
{
    const Sandbox box;
    box.put("good", "one");
    auto registry = box.registry(box.settings());
    registry.load();
    const auto before = registry.list().at(0).hash;
    const auto old_provider = registry.make_provider("plain-wire", "{}");
    const auto old_counters = registry.stats().at(0).stats;
    registry.load();
    CHECK(registry.stats().at(0).stats == old_counters);
    box.put("good", "two");
    registry.load();
    CHECK(registry.list().at(0).hash != before);
    CHECK(registry.stats().at(0).stats != old_counters);
    REQUIRE(old_provider.ok()); // what was made goes on
    dispatch::ProviderRequest rq;
    CHECK((*old_provider)->open(facts(), rq).ok());
}

TEST_CASE("a changed file that is broken leaves the version before it serving and says so")
{
    const Sandbox box;
    const auto file = box.put("good", "reload");
    auto registry = box.registry(box.settings());
    registry.load();
    const auto hash = registry.list().at(0).hash;
    spit(file, "rubbish");
    for (int scans = 0; scans < 2; ++scans) { // also in the second scan after it broke
        registry.load();
        const auto row = registry.list().at(0);
        CHECK(row.state == "serving");
        CHECK(row.hash == hash);
        CHECK(row.error == "the changed file was refused, the version before it goes on: not an ELF file");
        CHECK(policy_first_reason(registry, "in_order") == "in order");
    }
    fs::remove(file);
    registry.load();
    CHECK(registry.list().empty());
    CHECK_FALSE(registry.make_policy("in_order", "{}").ok());
}

TEST_CASE("of two components of one name the later folder's serves")
{
    const Sandbox box;
    box.put("good", "", "a");
    fs::create_directory(box.path / "later");
    spit(box.path / "later" / "b.so", slurp(fixture("good")) + "other bytes");
    auto settings = box.settings();
    settings.dirs.push_back((box.path / "later").string());
    settings.grants["test.good"] = {"content"};
    auto registry = box.registry(settings);
    registry.load();
    CHECK(registry.warnings().size() == 5);
    CHECK(registry.warnings().at(0).ends_with("is replaced by the one of " + (box.path / "later" / "b.so").string()));
}

TEST_CASE("grants are what the manifest asks for and the operator gives, and the shipped folder gets what it asks for")
{
    const Sandbox box;
    box.put("good");
    box.put("misbehaves");
    auto settings = box.settings();
    SECTION("nothing named, nothing given")
    {
        auto registry = box.registry(settings);
        registry.load();
        CHECK(registry.list().at(0).grants.empty());
        CHECK_FALSE((*registry.make_policy("reads", "{}"))->reads_content());
    }
    SECTION("named and asked for")
    {
        settings.grants["test.good"] = {"content", "drafts"};
        settings.grants["test.misbehaves"] = {"subcall"}; // does not ask for that one
        auto registry = box.registry(settings);
        registry.load();
        CHECK(registry.list().at(0).grants == std::vector<std::string>{"content"});
        CHECK(registry.list().at(1).grants.empty());
        CHECK((*registry.make_policy("reads", "{}"))->reads_content());
    }
    SECTION("shipped")
    {
        plugin::Registry registry(settings, box.store().string(), box.plugins().string());
        registry.load();
        CHECK(registry.list().at(0).grants == std::vector<std::string>{"content", "subcall"});
    }
    SECTION("without dirs the shipped folder alone is scanned")
    {
        settings.dirs.clear();
        plugin::Registry registry(settings, box.store().string(), box.plugins().string());
        registry.load();
        CHECK(registry.list().size() == 2);
        CHECK(registry.list().at(1).grants == std::vector<std::string>{"content"});
    }
}

TEST_CASE("pinned hashes are held to by the registry")
{
    const Sandbox box;
    const auto file = box.put("good");
    auto settings = box.settings("pinned");
    settings.allow["good.so"] = std::string(64, '0');
    auto registry = box.registry(settings);
    registry.load();
    CHECK(registry.list().at(0).state == "refused");
}

TEST_CASE("a changed plugin that cannot be made into what is configured leaves the version before it serving")
{
    const Sandbox box;
    box.put("good", distinct(), "a");
    auto registry = box.registry(box.settings());
    registry.load();
    const auto hash = registry.list().at(0).hash;
    CHECK_FALSE(registry.bring_back());
    box.put("differs", "", "b");
    fs::remove(box.plugins() / "a.so");
    box.put("misbehaves", distinct(), "a"); // another plugin under the name: it has no plain-wire
    registry.load();
    CHECK(registry.make_provider("plain-wire", "{}").fault().kind == core::FaultKind::NoProvider);
    box.put("good", distinct(), "a");
    registry.load();
    CHECK(registry.make_provider("plain-wire", R"({"region":"moon"})").fault().message == "plain-wire: nobody serves the moon");
    CHECK(registry.bring_back());
    const auto rows = registry.list();
    CHECK(row_of(rows, "a").id == "test.misbehaves");
    CHECK(row_of(rows, "a").error == "the changed file was refused, the version before it goes on: plain-wire: nobody serves the moon");
    CHECK_FALSE(registry.bring_back());
    CHECK(hash != row_of(rows, "a").hash);
}

TEST_CASE("a policy that is only tried does not speak against its file")
{
    const Sandbox box;
    box.put("faulty", distinct());
    auto registry = box.registry(box.settings());
    registry.load();
    box.put("faulty", distinct());
    registry.load();
    CHECK_FALSE(registry.make_policy("faulty_policy", R"({"mode":"no-create"})", plugin::Registry::Wanted::IfPossible).ok());
    CHECK_FALSE(registry.bring_back());
    CHECK_FALSE(registry.make_policy("faulty_policy", R"({"mode":"no-create"})").ok());
    CHECK(registry.bring_back());
}

TEST_CASE("what a load found can be undone")
{
    const Sandbox box;
    box.put("good", distinct());
    auto registry = box.registry(box.settings());
    registry.load();
    const auto hash = registry.list().at(0).hash;
    box.put("good", distinct());
    registry.load();
    registry.undo();
    CHECK(registry.list().at(0).hash == hash);
}

TEST_CASE("a replaced plugin drains as long as something was made from it, then it is retired and its copy is gone")
{
    const Sandbox box;
    box.put("good", distinct());
    auto settings = box.settings();
    SECTION("and stays mapped") { settings.unload = "never"; }
    SECTION("and is unmapped if asked for") { settings.unload = "try"; }
    auto registry = box.registry(settings);
    registry.load();
    const auto old_hash = registry.list().at(0).hash;
    auto held = registry.make_policy("in_order", "{}");
    REQUIRE(held.ok());
    CHECK(registry.list().at(0).instances == 1);
    box.put("good", distinct());
    registry.load();
    registry.retire();
    REQUIRE(registry.list().size() == 2);
    CHECK((registry.list().at(1).state == "draining" && registry.list().at(1).hash == old_hash && registry.list().at(1).instances == 1));
    CHECK(registry.stats().size() == 2);
    CHECK(registry.retirements().retired == 0);
    held->reset();
    registry.retire();
    CHECK(registry.list().size() == 1);
    CHECK(registry.retirements().retired == 1);
    CHECK(registry.retirements().unloaded + registry.retirements().stayed_mapped == (settings.unload == "try"));
    std::ifstream maps("/proc/self/maps");
    const std::string mapped{std::istreambuf_iterator<char>(maps), {}};
    CHECK((mapped.find(old_hash) != mapped.npos) == (registry.retirements().unloaded == 0));
    registry.load();
    CHECK_FALSE(fs::exists(box.store() / old_hash));
    CHECK(fs::exists(box.store() / registry.list().at(0).hash));
}

TEST_CASE("a safe start loads the shipped folder alone, and what is missing then counts as removed")
{
    const Sandbox box;
    box.put("good", distinct());
    auto settings = box.settings();
    settings.only_shipped = true;
    fs::create_directory(box.path / "shipped");
    plugin::Registry registry(settings, box.store().string(), (box.path / "shipped").string());
    registry.load();
    CHECK(registry.list().empty());
    CHECK(registry.make_policy("in_order", "{}").fault().kind == core::FaultKind::NoProvider);
}

TEST_CASE("a thousand replacements leave nothing but mapped code")
{
    const Sandbox box;
    auto registry = box.registry(box.settings());
    const auto descriptors = [] { return std::distance(fs::directory_iterator("/proc/self/fd"), {}); };
    const auto before = descriptors();
    std::size_t memory = 0;
    for (int i = 0; i < 1000; ++i) {
        if (i == 100) memory = ::mallinfo2().uordblks; // by then all is there that is made once
        box.put("good", distinct());
        registry.load();
        const auto policy = registry.make_policy("in_order", "{}");
        if (!policy) FAIL(policy.fault().message);
        registry.retire();
    }
    CHECK(descriptors() == before);
    constexpr std::size_t of_the_loader = 4096; // what it keeps for each library that is mapped
    CHECK(::mallinfo2().uordblks < memory + 900 * of_the_loader);
    CHECK(std::distance(fs::directory_iterator(box.store()), {}) <= 2);
}
