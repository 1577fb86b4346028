#include "config/secrets.h"

#include "core/text.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <filesystem>

namespace config {

namespace {
void warn_if_open(const std::string& file, const Where& where, const std::string& path, const KeySources& sources)
{
    std::error_code error;
    const auto mode = std::filesystem::status(file, error).permissions();
    using std::filesystem::perms;
    if (!error && (mode & (perms::group_read | perms::group_write | perms::others_read | perms::others_write)) != perms::none)
        sources.problems.push_back({where.file, where.line, where.column, path, "others than its owner can read " + file + "; chmod 600 mends it", true});
}

/// A service account's file is an object; on one line it is a key like any other.
std::string on_one_line(std::string text)
{
    if (!text.starts_with('{')) return text;
    const auto object = nlohmann::ordered_json::parse(text, nullptr, false);
    return object.is_object() ? object.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace) : text;
}

constexpr const char* unusable = "the key is empty, or has spaces or control characters in it";
} // namespace

bool is_usable_key(std::string_view key) noexcept
{
    if (key.starts_with('{') && nlohmann::json::accept(key)) return key.find('\n') == key.npos; // its strings may hold blanks
    return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c != 0x7f; });
}

Secret read_key(const std::string& key, const std::string& key_env, const std::string& key_file, const Where& where, const std::string& path,
                const KeySources& sources, std::string* missing)
{
    const auto wrong = [&](std::string message) { sources.problems.push_back({where.file, where.line, where.column, path, std::move(message)}); };
    if (!key.empty() + !key_env.empty() + !key_file.empty() > 1) wrong("a key is given in more than one way");
    Secret out;
    if (!key.empty()) {
        out = {key, "file"};
    } else if (!key_env.empty()) {
        const auto value = set_variable(sources.environment, key_env);
        if (!value) {
            if (missing) *missing = key_env;
            return {};
        }
        out = {std::string(core::trim(*value)), "env " + key_env};
    } else if (!key_file.empty()) {
        const std::string file = in_folder(sources.folder, key_file);
        const auto text = read_file(file);
        sources.files.push_back(file);
        if (!text) {
            wrong("the key file " + key_file + " cannot be read");
            return {};
        }
        warn_if_open(file, where, path, sources);
        out = {std::string(core::trim(*text)), "file " + key_file};
    } else {
        return {};
    }
    out.value = on_one_line(std::move(out.value));
    if (!is_usable_key(out.value)) {
        wrong(std::string(unusable) + (key_env.empty() ? "" : " (" + key_env + ")"));
        return {};
    }
    return out;
}

bool is_loopback(std::string_view host) noexcept
{
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (core::equal_nocase(host, "localhost") || host == "::1") return true;
    // Names that merely begin with "127." are no addresses.
    return host.starts_with("127.") && std::all_of(host.begin(), host.end(), [](char c) { return c == '.' || (c >= '0' && c <= '9'); });
}

namespace {
void add(Auth& auth, StaticKey key, const Where& where, const std::string& path, std::vector<Problem>& problems)
{
    for (const auto& other : auth.keys)
        if (other.key.value == key.key.value) {
            if (other.scopes != key.scopes) problems.push_back({where.file, where.line, where.column, path, "the same key as " + other.name + ", with other scopes"});
            return;
        }
    auth.keys.push_back(std::move(key));
}

void collect_keys(Draft& draft, const KeySources& sources)
{
    const std::vector<std::string> all{"chat", "read", "admin"};
    static constexpr std::array<std::string_view, 3> scopes{"chat", "read", "admin"};
    Auth& auth = draft.config.auth;
    if (!draft.static_key_env.empty())
        if (const auto value = set_variable(sources.environment, draft.static_key_env)) {
            int number = 0;
            for (const auto& piece : core::split(*value, ',')) {
                std::string name = draft.static_key_env;
                if (++number > 1) name += '-' + std::to_string(number);
                if (is_usable_key(piece))
                    add(auth, {name, {piece, "env " + draft.static_key_env}, all}, {"environment"}, "auth.static_key_env", sources.problems);
                else
                    sources.problems.push_back({"environment", 0, 0, "auth.static_key_env", draft.static_key_env + ": " + unusable});
            }
        }
    int number = 0;
    for (auto& entry : draft.keys) {
        const auto wrong = [&](std::string message) {
            sources.problems.push_back({entry.where.file, entry.where.line, entry.where.column, entry.path, std::move(message)});
        };
        for (const auto& scope : entry.scopes)
            if (std::find(scopes.begin(), scopes.end(), scope) == scopes.end()) wrong("scopes must be of chat, read, admin");
        const std::size_t before = error_count(sources.problems);
        std::string missing;
        Secret key = read_key(entry.key, entry.key_env, entry.key_file, entry.where, entry.path, sources, &missing);
        ++number;
        if (!missing.empty())
            wrong("the environment variable " + missing + " is not set");
        else if (key.value.empty() && error_count(sources.problems) == before)
            wrong("needs key_env, key_file or key");
        if (key.value.empty()) continue;
        add(auth, {entry.name.empty() ? "key-" + std::to_string(number) : entry.name, std::move(key), entry.scopes}, entry.where, entry.path, sources.problems);
    }
    if (draft.keys_file.empty()) return;
    const std::string file = in_folder(sources.folder, draft.keys_file);
    const auto text = read_file(file);
    sources.files.push_back(file);
    if (!text) {
        sources.problems.push_back({draft.where_auth.file, draft.where_auth.line, draft.where_auth.column, "auth.keys_file", draft.keys_file + " cannot be read"});
        return;
    }
    warn_if_open(file, draft.where_auth, "auth.keys_file", sources);
    std::string_view rest = *text;
    for (int line = 1; !rest.empty(); ++line) {
        const auto end = rest.find('\n');
        const auto key = core::trim(rest.substr(0, end));
        rest = end == rest.npos ? std::string_view() : rest.substr(end + 1);
        if (key.empty() || key[0] == '#') continue;
        if (is_usable_key(key))
            add(auth, {"keys_file:" + std::to_string(line), {std::string(key), "file " + draft.keys_file}, {"chat"}}, {draft.keys_file, line}, {}, sources.problems);
        else
            sources.problems.push_back({draft.keys_file, line, 1, {}, unusable});
    }
}
} // namespace

void settle_auth(Draft& draft, bool has_file, const KeySources& sources)
{
    Config& c = draft.config;
    const std::size_t before = error_count(sources.problems);
    collect_keys(draft, sources);
    const bool broken_key = error_count(sources.problems) != before;
    if (!draft.mode_given && !has_file && c.auth.keys.empty() && !broken_key) draft.auth_mode = "off";
    c.auth.mode = draft.auth_mode == "off" ? AuthMode::Off : draft.auth_mode == "optional" ? AuthMode::Optional : AuthMode::Required;

    if (c.auth.mode == AuthMode::Required && c.auth.keys.empty() && !broken_key) {
        const Where& at = draft.where_auth;
        sources.problems.push_back({at.file, at.line, at.column, "auth.mode",
                                    "keys are required but there is none: set " + (draft.static_key_env.empty() ? "auth.static_key_env" : draft.static_key_env) +
                                        ", add auth.keys or auth.keys_file, or switch keys off with auth.mode: off (on a loopback address)"});
    }
    if (c.auth.mode != AuthMode::Required && !is_loopback(c.server.host)) {
        const Where& at = draft.where_server;
        const std::string what = c.server.host + " is reached from other machines, and auth.mode " + draft.auth_mode + " serves them without a key";
        if (c.server.allow_unauthenticated)
            sources.problems.push_back({at.file, at.line, at.column, "server.host", what, true});
        else
            sources.problems.push_back({at.file, at.line, at.column, "server.host",
                                        what + ": set " + (draft.static_key_env.empty() ? "auth.keys" : draft.static_key_env) +
                                            ", listen on 127.0.0.1, or say server.allow_unauthenticated: true"});
    }
}

} // namespace config
