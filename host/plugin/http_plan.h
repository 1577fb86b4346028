// What a plugin wants to have sent, held to the rules that it is not trusted with.
#pragma once

#include "core/result.h"
#include "dispatch/provider.h"
#include "plugin/calls.h"
#include "plugin/manifest.h"

#include <map>
#include <string>
#include <vector>

namespace plugin {

/// The roots that a component's requests may go to: "" is the endpoint's own, the others are named in its manifest.
using Bases = std::map<std::string, std::string, std::less<>>;

/// `text` with each {config.x} replaced by that member of `config` (JSON). BadRequest if it has none.
core::Result<std::string> expanded(const std::string& text, const std::string& config);

/// Resolves them: `base_url` is the operator's, "" for the manifest's; {config.x} is taken from `config` (JSON). Fails as BadRequest if a
/// value is missing or something else than http(s)://host comes of it. A component without any endpoint URL gets no "" entry.
core::Result<Bases> resolve_bases(const Component&, const std::string& base_url, const std::string& config);

/// Collects what request() says. The first broken rule makes the whole plan fail.
class Outgoing final : public HttpReceiver {
public:
    /// `parts`: how many the request has.
    Outgoing(const Component& about, const Bases& bases, std::size_t parts = 0) : about_(about), bases_(bases), parts_(parts) {}

    void line(std::string_view method, std::string_view base, std::string_view path) noexcept override;
    void header(std::string_view name, std::string_view value) noexcept override;
    void auth(std::string_view name) noexcept override;
    void body(std::string_view bytes) noexcept override;
    void part(std::size_t index, std::int32_t encoding) noexcept override;
    void form(std::string_view field, std::string_view filename, std::string_view type) noexcept override;
    void edit(std::string_view pointer, std::string_view json) noexcept override;
    void framing(std::int32_t kind) noexcept override;
    void delay(std::int64_t us) noexcept override;
    void lost(std::string_view field) noexcept override;

    [[nodiscard]] bool broke_a_rule() const noexcept { return !wrong_.empty(); }
    /// The plan, or PluginFailed with the rule that was broken.
    core::Result<dispatch::HttpPlan> done() &&;

private:
    void wrong(std::string_view why) noexcept
    {
        if (wrong_.empty()) wrong_ = why;
    }
    const Component& about_;
    const Bases& bases_;
    const std::size_t parts_;
    dispatch::HttpPlan plan_;
    std::string wrong_;
    bool has_line_ = false;
};

} // namespace plugin
