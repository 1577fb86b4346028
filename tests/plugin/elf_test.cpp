#include "plugin/elf.h"
#include "plugin/manifest.h"
#include "plugin/schema.h"
#include "sandbox.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <elf.h>
#include <memory>
#include <random>

using plugin::manifest_of;

TEST_CASE("a plugin's manifest is read out of its file")
{
    const auto text = manifest_of(slurp(fixture("good")));
    REQUIRE(text.ok());
    CHECK(text->starts_with(R"({"id":"test.good",)"));
    CHECK(text->ends_with("}}}"));
}

TEST_CASE("a file that is no plugin is named for what it is")
{
    CHECK(manifest_of(std::string()).fault().message == "not an ELF file");
    CHECK(manifest_of(std::string(5000, 'x')).fault().message == "not an ELF file");
    CHECK(manifest_of(slurp(fixture("no_manifest"))).fault().message == "no .portolan.manifest section: not a Portolan plugin");
    auto other = slurp(fixture("good"));
    other[EI_CLASS] = ELFCLASS32;
    CHECK(manifest_of(other).fault().message == "not a 64-bit little-endian shared object");
    other = slurp(fixture("good"));
    const Elf64_Half machine = EM_S390;
    std::memcpy(other.data() + offsetof(Elf64_Ehdr, e_machine), &machine, sizeof machine);
    CHECK(manifest_of(other).fault().message == "built for another kind of machine");
}

TEST_CASE("a manifest section over 1 MiB or outside of the file is refused")
{
    const auto file = slurp(fixture("good"));
    Elf64_Ehdr head;
    std::memcpy(&head, file.data(), sizeof head);
    const auto with = [&](auto change) { // applied to every section: the manifest's is among them, the names stay readable
        auto copy = file;
        for (unsigned i = 0; i < head.e_shnum; ++i) {
            if (i == head.e_shstrndx) continue;
            Elf64_Shdr section;
            const auto at = head.e_shoff + i * sizeof section;
            std::memcpy(&section, copy.data() + at, sizeof section);
            change(section);
            std::memcpy(copy.data() + at, &section, sizeof section);
        }
        return copy;
    };
    CHECK(manifest_of(with([](Elf64_Shdr& s) { s.sh_size = ~std::uint64_t{0}; })).fault().message == "damaged ELF file: the manifest lies outside of it");
    CHECK(manifest_of(with([](Elf64_Shdr& s) { s.sh_offset = ~std::uint64_t{0} - 4; })).fault().message ==
          "damaged ELF file: the manifest lies outside of it");
    auto large = with([&](Elf64_Shdr& s) { s.sh_offset = 0, s.sh_size = plugin::max_manifest_bytes + 1; });
    large.resize(plugin::max_manifest_bytes + 2);
    CHECK(manifest_of(large).fault().message == "the manifest is larger than 1 MiB");
}

TEST_CASE("symbols are listed by what they are to others")
{
    const auto symbols = plugin::symbols_of(slurp(fixture("misbehaves")));
    REQUIRE(symbols.ok());
    const auto has = [](const std::vector<std::string>& list, const char* name) { return std::find(list.begin(), list.end(), name) != list.end(); };
    CHECK(has(symbols->exported, "portolan_plugin_v1"));
    CHECK(has(symbols->imported, "pthread_create"));
    CHECK_FALSE(has(symbols->exported, "pthread_create"));
    CHECK_FALSE(has(symbols->exported, "kept"));
}

TEST_CASE("20,000 damaged files are read without leaving the file")
{
    const auto file = slurp(fixture("good"));
    std::mt19937_64 random(4711);
    Elf64_Ehdr head;
    std::memcpy(&head, file.data(), sizeof head);
    std::size_t refused = 0, read = 0;
    for (int i = 0; i < 20'000; ++i) {
        std::string copy = file;
        const auto at_random = [&](std::size_t from, std::size_t to) { return from + random() % (to - from); };
        if (i % 4 == 0) copy.resize(random() % copy.size());
        for (std::uint64_t k = random() % 8; k-- && !copy.empty();) {
            const std::size_t from = i % 2 || head.e_shoff >= copy.size() ? 0 : head.e_shoff; // headers hurt most
            const std::size_t to = from ? copy.size() : std::min<std::size_t>(copy.size(), i % 3 ? sizeof head : copy.size());
            copy[at_random(from, to)] = static_cast<char>(random());
        }
        // exactly as large as the file, so that a sanitizer sees one byte too far
        const auto exact = std::make_unique<char[]>(copy.size());
        std::copy(copy.begin(), copy.end(), exact.get());
        const std::span<const char> bytes(exact.get(), copy.size());
        const auto text = manifest_of(bytes);
        (void)plugin::symbols_of(bytes);
        if (!text) {
            ++refused;
            continue;
        }
        ++read;
        CHECK(text->size() <= plugin::max_manifest_bytes);
        if (const auto manifest = plugin::parse_manifest(*text))
            for (const auto& [name, component] : manifest->components) (void)plugin::complete(component.config_schema, "{}");
    }
    CHECK(refused > 2000);
    CHECK(read > 2000);
}
