// Reads a tree into the table of keys: types, ranges, unknown keys, and where each effective value came from.
#pragma once

#include "config/visitor.h"

#include <set>

namespace config {

/// Reads one tree. Every mistake is noted and reading goes on; a key that is wrong keeps its default.
class Reader final : public Visitor {
public:
    /// root, lookup, problems and effective are borrowed. lookup: for the variables that override keys; empty: none do.
    /// effective: gets every key that is walked; nullptr: nobody asks.
    Reader(const Node& root, std::string file, Lookup lookup, std::vector<Problem>& problems, std::vector<Effective>* effective);
    ~Reader() override;
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    /// Notes keys at the top that were not asked for. Called once, after the walk.
    void finish();
    /// In an item: the keys that got their start values elsewhere, and from where ("preset groq").
    void prefilled(std::set<std::string> keys, std::string source);
    /// A further item for the next items() of the top level: made by us, "env GROQ_API_KEY" for example.
    void add_item(std::string list, Node item, std::string source);
    /// Text of a member of the section that is open, before it is walked; empty: none.
    [[nodiscard]] std::string peek(std::string_view name) const;

    void integer(std::string_view, std::int64_t&, Range, std::string_view) override;
    void optional_integer(std::string_view, std::optional<std::int64_t>&, Range, std::string_view) override;
    void number(std::string_view, double&, double, double, std::string_view) override;
    void usd(std::string_view, std::optional<std::int64_t>&, std::string_view) override;
    void flag(std::string_view, bool&, std::string_view) override;
    void text(std::string_view, std::string&, std::string_view) override;
    void secret(std::string_view, std::string&, std::string_view) override;
    void choice(std::string_view, std::string&, std::span<const std::string_view>, std::string_view) override;
    void texts(std::string_view, std::vector<std::string>&, std::string_view) override;
    void text_map(std::string_view, std::map<std::string, std::string>&, bool, std::string_view) override;
    void text_lists(std::string_view, std::map<std::string, std::vector<std::string>>&, std::string_view) override;
    void object(std::string_view, std::string&, std::string_view) override;
    void raw(std::string_view, Raw&, std::string_view, std::string_view, std::string_view) override;
    void reserved(std::string_view, std::string_view) override;
    void begin(std::string_view, std::string_view, std::string_view) override;
    void end() override;
    void items(std::string_view, std::string_view, const std::function<void()>&) override;

    [[nodiscard]] Where where() const override;
    [[nodiscard]] Where where_of(std::string_view name) const override;
    [[nodiscard]] bool given(std::string_view name) const override;
    [[nodiscard]] std::string path() const override { return frames_.back().path; }

private:
    struct Frame {
        const Node* node;             ///< a map, or nullptr: the section was not written
        std::string path;
        std::vector<std::string> names; ///< known so far
        bool in_item;                 ///< no environment variables here
        int line, column;
    };
    /// Where a value is to be read from; node is nullptr if nothing was given. The variable wins.
    struct Found {
        const Node* node = nullptr;
        std::string path, source;
        int line = 0, column = 0;
        bool from_environment = false;
    };

    Found find(std::string_view name, bool scalar);
    void note(const Found& found, std::string message, bool warning = false);
    void effective(const Found& found, std::string json);
    [[nodiscard]] std::string source_of(const std::string& path) const;
    [[nodiscard]] std::optional<std::pair<std::string, std::string>> variable(const std::string& path) const;
    void unknown_keys(const Frame& frame);
    bool plain_text(const Found& found, const Node& node, std::string& value);
    std::optional<std::int64_t> whole(const Found& found, Range range);
    std::optional<double> real(const Found& found, double least, double most);
    bool scalar_kind(const Found& found, const char* wanted);

    std::string file_;
    Lookup lookup_;
    std::vector<Problem>& problems_;
    std::vector<Effective>* effective_;
    std::vector<Frame> frames_;
    std::map<std::string, std::vector<std::pair<Node, std::string>>> added_;
    std::set<std::string> prefilled_;
    std::string prefilled_source_, item_source_;
    std::vector<std::unique_ptr<Node>> made_; ///< out of variables
};

/// "server.port" → "PORTOLAN_SERVER__PORT".
[[nodiscard]] std::string variable_for(std::string_view path);

} // namespace config
