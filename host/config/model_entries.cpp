#include "config/model_entries.h"

#include "config/reader.h"
#include "config/schema.h"
#include "core/text.h"

#include <algorithm>
#include <cmath>

namespace config {

namespace {
/// A price as people write it, US dollars for a million tokens, as pico-USD for one.
void price(Visitor& v, std::string_view name, std::int64_t& value, std::string_view doc)
{
    double usd = value < 0 ? -1 : static_cast<double>(value) / 1e6;
    v.number(name, usd, 0, 1000, doc);
    value = usd < 0 ? -1 : std::llround(usd * 1e6);
}

struct ModelEntry {
    ModelFacts facts;
    std::vector<std::string> offers, lacks, operations;
};

/// The keys of one model. v.given() says which of them stand over the catalogue's.
void describe_model(Visitor& v, ModelEntry& m)
{
    ModelFacts& f = m.facts;
    v.text("id", f.id, "what clients say");
    v.text("upstream", f.upstream, "what the provider calls it; default: `id`");
    v.integer("context", f.context_tokens, {1, 1'000'000'000}, "tokens that fit in");
    v.integer("max_output", f.max_output_tokens, {1, 1'000'000'000}, "tokens of one answer");
    v.begin("price", "US dollars for a million tokens");
    price(v, "input", f.price_input, "");
    price(v, "output", f.price_output, "");
    price(v, "cache_read", f.price_cache_read, "input that the provider had cached");
    price(v, "cache_write", f.price_cache_write, "input that it caches now");
    v.end();
    v.texts("offers", m.offers, "features it has, besides those of the catalogue");
    v.texts("lacks", m.lacks, "features it does not have");
    v.texts("operations", m.operations, "what it is for: `chat`, `completions`, `embeddings`, `moderations`, `rerank`, `image_generate`, `image_edit`, `speech`, `transcribe`; default: what the catalogue knows, else all that the provider can do");
    v.number("quality", f.quality, 0, 1, "0 to 1, for policies that rank by it");
    v.flag("free", f.free, "costs nothing, and may be chosen for that");
}

class Models {
public:
    Models(ProviderEntry& entry, const ProviderSources& sources) : e_(entry), p_(entry.provider), s_(sources) {}

    void word(const std::string& word, const Where& at)
    {
        if (word == "catalog") {
            if (!s_.catalog) return;
            for (const auto* model : s_.catalog->models(e_.catalog_provider, s_.today)) add(model->facts);
        } else if (word == "discover") {
            p_.discover = p_.models_open = true;
        } else if (word == "any") {
            p_.models_open = true;
        } else {
            wrong(at, "must be catalog, discover, any or a list of models");
        }
    }

    void item(const Node& node, std::size_t index)
    {
        const Where at{e_.where_models.file, node.line, node.column};
        if (node.kind == Node::Kind::Scalar) {
            if (node.text == "catalog" || node.text == "discover" || node.text == "any") return word(node.text, at);
            if (node.text.empty()) return wrong(at, "a model needs a name");
            return single(node.text, node.text);
        }
        if (node.kind != Node::Kind::Map) return wrong(at, "a model is a name or a section with an id");
        const Node* id = node.find("id");
        const Node* upstream = node.find("upstream");
        if (!id || id->kind != Node::Kind::Scalar || id->text.empty()) return wrong(at, "a model needs an id");
        ModelEntry entry;
        entry.facts = known(id->text, upstream && upstream->kind == Node::Kind::Scalar ? upstream->text : id->text);
        const std::size_t first = s_.keys.problems.size();
        Reader reader(node, e_.where_models.file, {}, s_.keys.problems, nullptr);
        describe_model(reader, entry);
        reader.finish();
        for (std::size_t i = first; i < s_.keys.problems.size(); ++i) { // the reader knows its own part of the path only
            auto& path = s_.keys.problems[i].path;
            path = e_.path + ".models[" + std::to_string(index) + ']' + (path.empty() ? "" : ".") + path;
        }
        const auto bits = [&](const std::vector<std::string>& names) {
            core::Features out = 0;
            for (const auto& name : names) {
                const auto bit = feature_named(name);
                if (!bit) wrong(at, "unknown feature" + near(name));
                out |= bit;
            }
            return out;
        };
        const auto offers = bits(entry.offers), lacks = bits(entry.lacks);
        if (offers & lacks) wrong(at, "a feature is both in offers and in lacks");
        core::Operations operations = 0;
        for (const auto& name : entry.operations) {
            const auto bit = core::op_bit_named(name);
            if (!bit) wrong(at, "unknown operation " + name);
            operations |= bit;
        }
        if (operations) entry.facts.operations = operations;
        // A price above the tiers of the catalogue would be a mixture of two price lists.
        if (node.find("price")) entry.facts.tiers.clear();
        entry.facts.features = (entry.facts.features | offers) & ~lacks;
        entry.facts.features_known |= offers | lacks;
        e_.written_models.push_back(entry.facts.id);
        add(std::move(entry.facts));
    }

    void single(const std::string& id, const std::string& upstream)
    {
        e_.written_models.push_back(id);
        add(known(id, upstream));
    }

    void only_free(const Where& at)
    {
        const auto paid = [](const ModelFacts& m) {
            const std::string_view name = m.upstream.empty() ? m.id : m.upstream;
            return !m.free && !name.ends_with(":free") && (m.price_input > 0 || m.price_output > 0);
        };
        const std::size_t before = p_.models.size();
        std::erase_if(p_.models, paid);
        if (before > 0 && p_.models.empty() && !p_.models_open)
            s_.keys.problems.push_back({at.file, at.line, at.column, e_.path + ".allow_paid", "all of its models cost something", true});
    }

private:
    void wrong(const Where& at, std::string message)
    {
        s_.keys.problems.push_back({at.file, at.line, at.column, e_.path + ".models", std::move(message)});
    }

    static std::string near(const std::string& name)
    {
        const auto names = feature_names();
        const auto found = core::nearest(name, names);
        return found.empty() ? "" : "; did you mean " + std::string(found) + '?';
    }

    ModelFacts known(const std::string& id, const std::string& upstream) const
    {
        ModelFacts facts;
        if (s_.catalog)
            if (const auto* found = s_.catalog->find(e_.catalog_provider, upstream)) facts = found->facts;
        facts.id = id;
        facts.upstream = upstream == id ? "" : upstream;
        return facts;
    }

    /// What is said later stands over what was said before.
    void add(ModelFacts facts)
    {
        if (const auto at = index_.find(facts.id); at != index_.end()) {
            p_.models[at->second] = std::move(facts);
            return;
        }
        index_.emplace(facts.id, p_.models.size());
        p_.models.push_back(std::move(facts));
    }

    ProviderEntry& e_;
    Provider& p_;
    const ProviderSources& s_;
    std::map<std::string, std::size_t> index_;
};
} // namespace

void read_models(ProviderEntry& entry, const ProviderSources& sources, const Preset* preset)
{
    Models models(entry, sources);
    if (!entry.model.empty()) {
        models.single(entry.canonical_model.empty() ? entry.model : entry.canonical_model, entry.model);
        if (entry.models.node)
            sources.keys.problems.push_back({entry.where_models.file, entry.where_models.line, entry.where_models.column, entry.path + ".models",
                                             "a provider has model or models, not both"});
    } else if (const Node* node = entry.models.node) {
        if (node->kind == Node::Kind::List)
            for (std::size_t i = 0; i < node->items.size(); ++i) models.item(node->items[i], i);
        else
            models.word(node->kind == Node::Kind::Scalar ? node->text : "", entry.where_models);
    } else if (preset) {
        models.word(preset->models, entry.where);
    } else if (entry.provider.component != "echo") {
        models.word(entry.catalog_provider.empty() ? "discover" : "catalog", entry.where);
    }
    if (!entry.allow_paid) models.only_free(entry.where);
    // Echo costs nothing, under whatever names it was given.
    if (entry.provider.component == "echo") {
        if (entry.provider.models.empty()) models.single("echo", "echo");
        for (auto& model : entry.provider.models) {
            model.free = true;
            if (model.price_input < 0) model.price_input = model.price_output = model.price_cache_read = model.price_cache_write = 0;
        }
    }
}

std::string model_schema()
{
    ModelEntry entry;
    return section_schema([&](Visitor& v) { describe_model(v, entry); }, {"id"});
}

std::string model_table_markdown()
{
    ModelEntry entry;
    return section_table([&](Visitor& v) { describe_model(v, entry); });
}

} // namespace config
