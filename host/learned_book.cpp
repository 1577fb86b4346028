#include "learned_book.h"

#include "core/log.h"
#include "core/text.h"

#include <cctype>
#include <fstream>
#include <iterator>

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t between_saves_us = 10'000'000;
constexpr std::string_view head = "portolan-learned 1 "; // then the number and a line feed, then the bytes

/// A name that is a file's whatever the operator called the route.
std::string escaped(const std::string& name)
{
    std::string out;
    for (const char c : name) {
        if (std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_')
            out += c;
        else
            (out += '%') += core::hex({&c, 1});
    }
    return out;
}

std::string name_of(const routing::Route& route) { return escaped(route.name) + '.' + escaped(route.policy->component()); }

} // namespace

void LearnedBook::take_over(const front::Runtime& next)
{
    std::map<std::string, Page> pages;
    for (const auto& route : next.table.routes) {
        if (!route->learned) continue;
        const auto name = name_of(*route);
        const auto before = pages_.find(name);
        Page page{route->learned, route->policy};
        if (before != pages_.end()) page.saved = before->second.saved;
        core::Status status = core::Done{};
        if (before != pages_.end())
            status = route->learned->take_over(*before->second.learned, *route->policy);
        else {
            const auto file = read(name);
            page.saved = file.number;
            status = route->learned->begin(file, *route->policy);
        }
        if (!status) core::log::warn("policy " + route->policy->component() + " of route " + route->name + " begins anew: " + status.fault().message);
        pages.emplace(name, std::move(page));
    }
    for (auto& [name, page] : pages_)
        if (!pages.contains(name)) save(name, page); // its route is gone, or has another policy
    pages_ = std::move(pages);
}

void LearnedBook::tick(std::int64_t steady_us)
{
    for (auto& [name, page] : pages_) {
        const auto status = page.learned->fold(*page.policy);
        if (!status && !page.failing) core::log::warn("policy " + page.policy->component() + " does not learn: " + status.fault().message);
        page.failing = !status;
    }
    if (steady_us < next_save_us_) return;
    next_save_us_ = steady_us + between_saves_us;
    save();
}

void LearnedBook::save()
{
    for (auto& [name, page] : pages_) save(name, page);
}

void LearnedBook::save(const std::string& name, Page& page) const
{
    const auto state = page.learned->state();
    if (state->number == page.saved) return;
    std::error_code ec;
    fs::create_directories(folder_, ec);
    const auto fresh = folder_ / (name + ".new");
    std::ofstream out(fresh, std::ios::binary | std::ios::trunc);
    out << head << state->number << '\n' << state->view();
    out.close();
    if (out) fs::rename(fresh, folder_ / name, ec);
    if (!out || ec)
        core::log::warn("what policy " + page.policy->component() + " learned cannot be kept in " + (folder_ / name).string());
    else
        page.saved = state->number;
}

routing::Learned::State LearnedBook::read(const std::string& name) const
{
    std::ifstream in(folder_ / name, std::ios::binary);
    std::string start(head.size(), '\0');
    std::uint64_t number = 0;
    if (!in.read(start.data(), static_cast<std::streamsize>(start.size())) || start != head || !(in >> number) || in.get() != '\n') return {};
    return {{std::istreambuf_iterator<char>(in), {}}, number};
}
