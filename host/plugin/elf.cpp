// Bounded ELF64 reader: every offset is checked against the file before it is followed.
#include "plugin/elf.h"

#include <cstdint>
#include <cstring>
#include <elf.h>
#include <optional>
#include <string_view>

namespace plugin {

namespace {

#if defined(__x86_64__)
constexpr unsigned this_machine = EM_X86_64;
#elif defined(__aarch64__)
constexpr unsigned this_machine = EM_AARCH64;
#else
#error "plugins: add this machine's ELF number"
#endif

constexpr std::string_view manifest_section = ".portolan.manifest";
constexpr std::uint64_t max_symbols = 65'536;

core::Fault broken(const char* why) { return {.kind = core::FaultKind::PluginFailed, .message = why}; }

/// The file, and the only way into it.
class Image {
public:
    explicit Image(std::span<const char> file) : bytes_(file.data(), file.size()) {}

    std::optional<std::string_view> range(std::uint64_t offset, std::uint64_t size) const
    {
        if (offset > bytes_.size() || size > bytes_.size() - offset) return std::nullopt;
        return bytes_.substr(offset, size);
    }

    template <class T>
    std::optional<T> at(std::uint64_t offset) const
    {
        const auto bytes = range(offset, sizeof(T));
        if (!bytes) return std::nullopt;
        T value;
        std::memcpy(&value, bytes->data(), sizeof value); // the file promises no alignment
        return value;
    }

private:
    std::string_view bytes_;
};

/// The text at `at` of a string table, up to its NUL; nothing if there is no NUL before the table's end.
std::optional<std::string_view> text_at(std::string_view table, std::uint64_t at)
{
    if (at >= table.size()) return std::nullopt;
    const auto end = table.find('\0', at);
    if (end == table.npos) return std::nullopt;
    return table.substr(at, end - at);
}

/// Section headers of a file that looks like a plugin at all.
class Sections {
public:
    static core::Result<Sections> of(std::span<const char> file)
    {
        Sections s(file);
        const auto head = s.image_.at<Elf64_Ehdr>(0);
        if (!head || std::memcmp(head->e_ident, ELFMAG, SELFMAG) != 0) return broken("not an ELF file");
        if (head->e_ident[EI_CLASS] != ELFCLASS64 || head->e_ident[EI_DATA] != ELFDATA2LSB || head->e_type != ET_DYN)
            return broken("not a 64-bit little-endian shared object");
        if (head->e_machine != this_machine) return broken("built for another kind of machine");
        if (head->e_shentsize != sizeof(Elf64_Shdr)) return broken("damaged ELF file: odd section headers");
        if (!s.image_.range(head->e_shoff, std::uint64_t{head->e_shnum} * sizeof(Elf64_Shdr)))
            return broken("damaged ELF file: section headers outside of the file");
        s.first_ = head->e_shoff, s.count_ = head->e_shnum;
        const auto names = s.header(head->e_shstrndx);
        const auto text = names ? s.image_.range(names->sh_offset, names->sh_size) : std::nullopt;
        if (!text) return broken("damaged ELF file: no section names");
        s.names_ = *text;
        return s;
    }

    std::uint32_t count() const { return count_; }
    std::optional<Elf64_Shdr> header(std::uint32_t index) const
    {
        if (index >= count_) return std::nullopt;
        return image_.at<Elf64_Shdr>(first_ + std::uint64_t{index} * sizeof(Elf64_Shdr));
    }
    std::optional<std::string_view> name(const Elf64_Shdr& header) const { return text_at(names_, header.sh_name); }
    std::optional<std::string_view> content(const Elf64_Shdr& header) const
    {
        if (header.sh_type == SHT_NOBITS) return std::nullopt;
        return image_.range(header.sh_offset, header.sh_size);
    }

private:
    explicit Sections(std::span<const char> file) : image_(file) {}

    Image image_;
    std::uint64_t first_ = 0;
    std::uint32_t count_ = 0;
    std::string_view names_;
};

} // namespace

core::Result<std::string> manifest_of(std::span<const char> file)
{
    const auto sections = Sections::of(file);
    if (!sections) return sections.fault();
    for (std::uint32_t i = 0; i < sections->count(); ++i) {
        const auto header = sections->header(i);
        if (!header || sections->name(*header) != manifest_section) continue;
        const auto content = sections->content(*header);
        if (!content) return broken("damaged ELF file: the manifest lies outside of it");
        if (content->size() > max_manifest_bytes) return broken("the manifest is larger than 1 MiB");
        return std::string(content->substr(0, content->find('\0')));
    }
    return broken("no .portolan.manifest section: not a Portolan plugin");
}

core::Result<Symbols> symbols_of(std::span<const char> file)
{
    const auto sections = Sections::of(file);
    if (!sections) return sections.fault();
    Symbols found;
    for (std::uint32_t i = 0; i < sections->count(); ++i) {
        const auto header = sections->header(i);
        if (!header || header->sh_type != SHT_DYNSYM) continue;
        const auto table = sections->content(*header);
        const auto names_header = sections->header(header->sh_link);
        const auto names = names_header ? sections->content(*names_header) : std::nullopt;
        if (!table || !names) return broken("damaged ELF file: symbols outside of it");
        const std::uint64_t count = table->size() / sizeof(Elf64_Sym);
        if (count > max_symbols) return broken("more than 65536 dynamic symbols");
        for (std::uint64_t k = 1; k < count; ++k) { // 0 is no symbol
            Elf64_Sym symbol;
            std::memcpy(&symbol, table->data() + k * sizeof symbol, sizeof symbol);
            if (ELF64_ST_BIND(symbol.st_info) == STB_LOCAL) continue;
            const auto name = text_at(*names, symbol.st_name);
            if (!name) return broken("damaged ELF file: a symbol without a name");
            if (name->size() > 4096) return broken("a symbol name over 4 KiB");
            const bool imported = symbol.st_shndx == SHN_UNDEF;
            (imported ? found.imported : found.exported).emplace_back(*name);
            if (!imported && ELF64_ST_BIND(symbol.st_info) == STB_GNU_UNIQUE) found.unique.emplace_back(*name);
        }
    }
    return found;
}

} // namespace plugin
