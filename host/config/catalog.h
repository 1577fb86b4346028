// The catalogue: what is known of models by provider. Made from public lists by catalog_build.h; docs/operate/catalog.md.
#pragma once

#include "config/config.h"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace config {

struct CatalogModel {
    ModelFacts facts;
    bool responses_only = false; ///< a chat model that only the Responses API serves
    std::string retires;         ///< "2026-10-15"; empty: not known
};

/// [shared] Immutable once parsed.
class ModelCatalog {
public:
    /// The model as one of the catalogue's providers has it, the first one that does; nullptr: none has.
    [[nodiscard]] const CatalogModel* find(const std::vector<std::string>& providers, std::string_view id) const;
    /// All models of these providers but those of the Responses API alone and those that are retired on `today` ("YYYY-MM-DD", empty: nobody asks), by id.
    [[nodiscard]] std::vector<const CatalogModel*> models(const std::vector<std::string>& providers, std::string_view today) const;
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] const std::string& dated() const noexcept { return dated_; } ///< the day of the list that it was made from

private:
    friend struct CatalogReader;
    std::map<std::string, std::map<std::string, CatalogModel, std::less<>>, std::less<>> models_;
    std::size_t size_ = 0;
    std::string dated_;
};

struct CatalogResult {
    std::shared_ptr<const ModelCatalog> catalog; ///< nullptr: `message` says why
    std::string message;
};

/// Reads a catalogue and checks all of it: form, known features, prices in reason. For the shipped file and for a fetched one.
[[nodiscard]] CatalogResult parse_and_check(std::string_view text);

/// Names of features in files: "tools", "images", "json_schema", …
[[nodiscard]] core::Features feature_named(std::string_view name) noexcept; ///< 0: none
[[nodiscard]] std::vector<std::string_view> feature_names();
[[nodiscard]] std::vector<std::string_view> feature_names(core::Features features);

} // namespace config
