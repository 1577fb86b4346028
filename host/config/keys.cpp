#include "config/keys.h"

#include <array>

namespace config {

namespace {
constexpr Range from_one{1, std::numeric_limits<std::int64_t>::max()};
constexpr Range milliseconds{0, 86'400'000};
constexpr Range some_ms{1, 86'400'000};

void describe_server(Visitor& v, Draft& d)
{
    Server& s = d.config.server;
    v.begin("server", "the public listener");
    d.where_server = v.where();
    v.text("listen", d.listen, "`host:port` in one; instead of `host` and `port`");
    d.where_listen = v.where_of("listen");
    v.text("host", s.host, "address to listen on; one that is not loopback needs keys");
    v.integer("port", s.port, {0, 65535}, "0: any free one, named in the log");
    d.host_given = v.given("host"), d.port_given = v.given("port");
    v.flag("allow_unauthenticated", s.allow_unauthenticated, "serve other machines without keys; without it such a configuration is refused");
    v.integer("loops", s.loops, {0, 1024}, "event loops; 0: one for each core");
    v.integer("max_body_bytes", s.max_body_bytes, {1, std::int64_t{1} << 40}, "largest request body");
    v.integer("shutdown_grace_ms", s.shutdown_grace_ms, milliseconds, "time that running requests get at shutdown");
    v.integer("shutdown_delay_ms", s.shutdown_delay_ms, milliseconds, "time that connections are still accepted after `/readyz` says 503");
    v.integer("request_timeout_ms", s.request_timeout_ms, some_ms, "the most that a client's own deadline may ask for, and the default");
    v.integer("heartbeat_after_ms", s.heartbeat_after_ms, milliseconds, "silence on a stream after which a comment is sent; 0: never");
    v.flag("half_close_cancels", s.half_close_cancels, "a client that closes its sending side cancels a request that is not streamed, too");
    v.text("data_dir", s.data_dir, "folder for what is kept: sockets, keys, the database");
    v.begin("tls", "both files or neither");
    v.text("cert_file", s.tls_cert_file, "certificate chain, PEM");
    v.text("key_file", s.tls_key_file, "its private key, PEM");
    v.end();
    Limits& l = s.limits;
    v.begin("limits", "what one client may send or hold");
    v.integer("request_line_bytes", l.request_line_bytes, {64, 1 << 20}, "longest request line");
    v.integer("header_total_bytes", l.header_total_bytes, {256, 1 << 24}, "all headers together");
    v.integer("header_field_bytes", l.header_field_bytes, {64, 1 << 24}, "one header");
    v.integer("header_count", l.header_count, {1, 10'000}, "headers of one request");
    v.integer("chunk_extension_bytes", l.chunk_extension_bytes, {0, 1 << 20}, "chunk extensions of one request, together");
    v.integer("json_depth", l.json_depth, {1, 1024}, "nesting of a JSON body");
    v.integer("header_timeout_ms", l.header_timeout_ms, some_ms, "time for a request's head");
    v.integer("body_grace_ms", l.body_grace_ms, milliseconds, "time before the least rate counts");
    v.integer("body_total_ms", l.body_total_ms, some_ms, "time for a whole body");
    v.integer("body_min_bytes_per_second", l.body_min_bytes_per_second, {}, "least rate of a body; 0: none");
    v.integer("idle_ms", l.idle_ms, some_ms, "time between two requests of a connection");
    v.integer("write_stall_ms", l.write_stall_ms, some_ms, "time in which a client reads nothing, after which it is cut");
    v.integer("buffered_bytes", l.buffered_bytes, {}, "kept in memory for all clients together: bodies, whole answers, what waits to be read; 0: a quarter of the memory");
    v.integer("requests_per_connection", l.requests_per_connection, from_one, "then it is closed");
    v.integer("connections", l.connections, from_one, "open at a time");
    v.integer("connections_per_ip", l.connections_per_ip, {}, "open at a time from one address; 0: no limit");
    v.end();
    v.end();
}

void describe_auth(Visitor& v, Draft& d)
{
    static constexpr std::array<std::string_view, 3> modes{"required", "optional", "off"};
    v.begin("auth", "who may use the router");
    d.where_auth = v.where();
    v.choice("mode", d.auth_mode, modes, "optional: no key is accepted, a wrong one is not. Without a file and without a key the default is `off`, on loopback only");
    d.mode_given = v.given("mode");
    v.text("static_key_env", d.static_key_env, "variable that holds one key or several, separated by commas; they may do everything");
    v.items("keys", "static keys", [&] {
        KeyEntry k;
        k.where = v.where(), k.path = v.path();
        v.text("name", k.name, "shown in logs");
        v.secret("key", k.key, "the key itself; better `key_env` or `key_file`");
        v.text("key_env", k.key_env, "variable that holds it");
        v.text("key_file", k.key_file, "file that holds it");
        v.texts("scopes", k.scopes, "of `chat`, `read`, `admin`");
        d.keys.push_back(std::move(k));
    });
    v.text("keys_file", d.keys_file, "file with one key a line, `#` comments; nobody but the owner should be able to read it");
    v.reserved("key_prefix", "prefix of keys made by the router");
    v.reserved("pepper_env", "variable with the secret that stored keys are hashed with");
    v.end();
}

void describe_plugins(Visitor& v, Plugins& p)
{
    static constexpr std::array<std::string_view, 4> trust{"pinned", "signed", "directory-owner", "any"};
    static constexpr std::array<std::string_view, 2> unload{"never", "try"};
    v.begin("plugins", "where plugins come from and what they may do");
    v.texts("dirs", p.dirs, "folders, searched in order; default: the shipped one");
    v.flag("watch", p.watch, "files that come, change or go in these folders are taken up at once; false: on SIGHUP and `POST /api/plugins/reload`");
    v.choice("unload", p.unload, unload, "try: a plugin that was replaced is unmapped when its last request is over; /api/plugins says whether it went");
    v.choice("trust", p.trust, trust, "directory-owner: files and folders that only root or the service may write; the first two ask for that and more. pinned: only files in `allow`; signed: only with a signature by one of `signers`");
    v.texts("signers", p.signers, "for `signed`: Ed25519 public keys, 64 hexadecimal digits each; FILE.so.sig holds the 64 bytes of the signature over FILE.so");
    v.text_map("allow", p.allow, false, "file name → SHA-256 of the file, for `pinned`");
    v.text_lists("grants", p.grants, "plugin id → what the operator allows it: `content`, `subcall`, `drafts`; shipped plugins get what they ask for");
    v.begin("limits", "time for one call of a plugin");
    v.integer("decide_us", p.decide_us, {1, 60'000'000}, "a policy's decision");
    v.integer("frame_us", p.frame_us, {1, 60'000'000}, "one frame of a stream");
    v.integer("request_us", p.request_us, {1, 60'000'000}, "the making of a request, the reading of a whole reply");
    v.integer("create_us", p.create_us, {1, 600'000'000}, "a new instance");
    v.end();
    v.text_map("isolation", p.isolation, false, "file name, or `*` for all but the shipped ones → `process` or `none`: the plugin runs in a process of its own without network and files");
    v.begin("isolated", "limits of such a process");
    v.integer("memory_mb", p.isolated_memory_mb, {64, 1'048'576}, "address space");
    v.integer("threads", p.isolated_threads, {1, 32}, "calls at a time");
    v.integer("call_ms", p.isolated_call_ms, {10, 600'000}, "the longest call; then the process is killed and started anew");
    v.end();
    v.end();
}

void describe_route(Visitor& v, RouteEntry& r)
{
    static constexpr std::array<std::string_view, 4> recovery{"default", "none", "restart", "continue"};
    r.where = v.where(), r.path = v.path();
    v.text("name", r.route.name, "what clients send as `model`");
    v.text("policy", r.route.policy, "a policy: `cheapest`, `balanced`, `priority`, `weighted`, …");
    v.object("settings", r.route.settings_json, "the policy's own configuration");
    v.raw("targets", r.targets, "list",
          R"({"type":"array","items":{"anyOf":[{"type":"string"},{"type":"object","required":["target"],"additionalProperties":false,"properties":{"target":{"type":"string"},"weight":{"type":"integer","minimum":1}}}]}})",
          "`provider/model`, `*` allowed, or `{target, weight}`; default: all");
    v.begin("stream", "");
    v.choice("recovery", r.route.recovery, recovery, "an answer that broke after content: restart = asked anew elsewhere, and gone on with as long as the new answer repeats what was sent; continue = another target goes on from what was sent, if it can; default = only answers that are not streamed are asked anew; none = not even they");
    v.end();
    v.flag("strict", r.route.strict, "what the provider's language has no word for is a 400, not left out and reported in x-portolan-dropped-params");
    v.integer("deadline_ms", r.route.deadline_ms, milliseconds, "for requests to this route; 0: the server's");
}

void describe_routing(Visitor& v, Draft& d)
{
    static constexpr std::array<std::string_view, 2> unknown{"reject", "default_chain"};
    Routing& r = d.config.routing;
    v.begin("routing", "");
    d.where_routing = v.where_of("model_aliases");
    v.choice("unknown_model", d.unknown_model, unknown, "default_chain: a model nobody knows is answered by route `auto`");
    v.texts("preferred_models", r.preferred_models, "if one of them can serve, only they are considered by routes");
    v.text_map("model_aliases", r.model_aliases, false, "another name → model id");
    v.begin("retry", "");
    v.integer("max_attempts", r.max_attempts, {1, 5}, "attempts of one request, all targets together");
    v.integer("same_target", r.same_target_retries, {-1, 100}, "tries again on the same target; -1: pinned models 2, routes 0");
    v.integer("total_deadline_ms", r.total_deadline_ms, some_ms, "for all attempts together");
    v.integer("longest_wait_ms", r.longest_wait_ms, milliseconds, "longest pause before the same target is tried again, such as an upstream's `Retry-After`; what is longer is left to the client");
    v.end();
    v.begin("hedging", "a second attempt at another provider or account beside a stream that is silent for unusually long; both are paid for");
    v.flag("enabled", r.hedging, "");
    v.number("percent", r.hedging_percent, 0, 100, "of the streams that may be hedged, at most");
    v.integer("after_ms", r.hedging_after_ms, milliseconds, "silence before it is made; 0: as long as 95 % of the route's last streams took to their first content");
    v.end();
    describe_drops(v, "drop_params", "parameters taken out for models that refuse them; added to the shipped list", d.drops);
    v.end();
}

constexpr std::string_view account_schema =
    R"({"type":"object","additionalProperties":false,"properties":{"name":{"type":"string"},"api_key":{"type":"string"},"api_key_env":{"type":"string"},"api_key_file":{"type":"string"},"rpm":{"type":"integer","minimum":1},"tpm":{"type":"integer","minimum":1},"concurrent":{"type":"integer","minimum":1}}})";

constexpr std::string_view models_schema =
    R"({"anyOf":[{"enum":["catalog","discover","any"]},{"type":"array","items":{"anyOf":[{"type":"string"},{"$ref":"#/$defs/model"}]}}]})";
} // namespace

void describe_drops(Visitor& v, std::string_view name, std::string_view doc, std::vector<DropEntry>& drops)
{
    v.items(name, doc, [&] {
        DropEntry e;
        e.where = v.where(), e.path = v.path();
        v.text("model", e.rule.model_pattern, "regular expression (ECMAScript, case ignored), searched for in the upstream's name of the model");
        v.texts("params", e.rule.params, "top-level members of the request");
        v.flag("unless_value_is_one", e.rule.unless_value_is_one, "keep it when its value is 1, what such models do anyway");
        drops.push_back(std::move(e));
    });
}

void describe_provider(Visitor& v, ProviderEntry& e)
{
    static constexpr std::array<std::string_view, 4> tiers{"subscription", "api_key", "cheap", "free"};
    static constexpr std::array<std::string_view, 2> disconnect{"cancel", "drain"};
    Provider& p = e.provider;
    e.where = v.where(), e.path = v.path();
    v.text("name", p.name, "unique; clients write `name/model`");
    v.text("type", p.type, "a preset (`groq`, `ollama`, …) or a plugin's component (`openai-compatible`, `echo`)");
    v.flag("enabled", p.enabled, "false: as if it were not there");
    v.text("base_url", p.base_url, "where its API is");
    e.where_base_url = v.where_of("base_url");
    v.secret("api_key", e.api_key, "the key itself; better `api_key_env` or `api_key_file`");
    v.text("api_key_env", e.api_key_env, "variable that holds it; default: the preset's");
    v.text("api_key_file", e.api_key_file, "file that holds it");
    static const std::string accounts = R"({"anyOf":[{"type":"array","items":)" + std::string(account_schema) +
        R"(},{"type":"object","additionalProperties":false,"properties":{"policy":{"type":"string"},"list":{"type":"array","items":)" +
        std::string(account_schema) + "}}}]}";
    v.raw("accounts", e.accounts, "`{policy, list}` or list", accounts, "several keys: `{policy: fill-first, list: [{name, api_key_env, rpm, tpm, concurrent}, …]}`");
    v.raw("models", e.models, "word or list", models_schema, "`catalog` (what the catalogue has), `discover` (ask it), `any` (pass every name on), or a list of ids and `{id, …}`; see below");
    e.where_models = e.models.where;
    v.text("model", e.model, "its only model, as it calls it");
    v.text("canonical_model", e.canonical_model, "what clients call `model`");
    v.texts("aliases", p.aliases, "with `model`: more names for it; without: more names for the provider in front of `/`");
    e.where_aliases = v.where_of("aliases"), e.aliases_given = v.given("aliases");
    v.texts("catalog_provider", e.catalog_provider, "whose models in the catalogue these are; default: the preset's");
    v.flag("allow_paid", e.allow_paid, "false: only models that cost nothing");
    v.integer("priority", p.priority, {0, 1'000'000}, "lower first; ties keep the order of the file");
    v.integer("weight", p.weight, {0, 1'000'000}, "share under weighted policies");
    v.choice("tier", p.tier, tiers, "for the policy `tiered`");
    v.flag("local", p.local, "runs on machines of yours: labelled for policies; needs no key");
    v.text_map("extra_headers", p.extra_headers, true, "sent with every request");
    v.text_map("tags", p.tags, false, "labels for policies");
    v.text("ca_file", p.ca_file, "certificates to trust besides the system's");
    v.text("proxy", p.proxy, "instead of the environment's; `none`: no proxy");
    v.flag("tls_insecure", p.tls_insecure, "accept any certificate");
    v.choice("on_disconnect", p.on_disconnect, disconnect, "when the client leaves: cancel upstream, or drain to learn the usage");
    v.begin("limits", "limits of ours on this provider");
    v.optional_integer("rpm", p.limits.rpm, from_one, "requests a minute");
    v.optional_integer("tpm", p.limits.tpm, from_one, "tokens a minute");
    v.optional_integer("concurrent", p.limits.concurrent, from_one, "requests at a time");
    v.optional_integer("daily_requests", p.limits.daily_requests, from_one, "requests in 24 hours, of this process");
    v.usd("daily_usd", p.limits.daily_nusd, "US dollars in 24 hours, as far as prices are known; what runs when they are spent goes on");
    v.integer("queue_ms", p.limits.queue_ms, milliseconds, "the longest that a request waits for its turn when `rpm`, `tpm` or `concurrent` is reached and nobody else can answer");
    v.end();
    v.begin("circuit_breaker", "when to leave it alone for a while", "breaker");
    v.integer("failure_threshold", p.breaker.failure_threshold, {1, 1'000'000}, "failures in a row");
    v.integer("recovery_time_seconds", p.breaker.recovery_time_seconds, {1, 86'400}, "least rest before it is tried again; a quarter of the time since it opened, if that is more");
    v.integer("window_seconds", p.breaker.window_seconds, {1, 86'400}, "window of the failure rate");
    v.number("failure_rate", p.breaker.failure_rate, 0, 1, "share of failures in the window that opens it");
    v.integer("min_requests", p.breaker.min_requests, {1, 1'000'000}, "requests in the window before the rate counts");
    v.integer("half_open_probes", p.breaker.half_open_probes, {1, 1000}, "requests that test it after the rest");
    v.end();
    v.begin("timeouts", "");
    v.integer("connect_ms", p.timeouts.connect_ms, some_ms, "name, connection, TLS");
    v.integer("first_byte_ms", p.timeouts.first_byte_ms, some_ms, "until a stream's headers");
    v.integer("first_token_ms", p.timeouts.first_token_ms, some_ms, "until a stream's first content");
    v.integer("idle_ms", p.timeouts.idle_ms, some_ms, "between two pieces of content");
    v.integer("total_ms", p.timeouts.total_ms, some_ms, "one attempt");
    v.end();
    v.number("mock_failure_rate", e.mock_failure_rate, 0, 1, "for `echo` and tests: share of requests that fail");
    e.mock_failure_rate_given = v.given("mock_failure_rate");
    v.object("settings", e.settings, "the plugin's own configuration");
}

void describe(Visitor& v, Draft& d, const Prefill& prefill)
{
    static constexpr std::array<std::string_view, 3> env_providers{"auto", "always", "never"};
    static constexpr std::array<std::string_view, 5> levels{"debug", "info", "warn", "error", "off"};
    static constexpr std::array<std::string_view, 2> formats{"json", "text"};
    Config& c = d.config;
    describe_server(v, d);
    describe_auth(v, d);
    describe_plugins(v, c.plugins);
    v.items("providers", "who answers", [&] {
        ProviderEntry entry;
        if (prefill) prefill(entry, v);
        describe_provider(v, entry);
        d.providers.push_back(std::move(entry));
    });
    v.choice("env_providers", d.env_providers, env_providers, "providers made out of key variables such as `GROQ_API_KEY`: auto = only if `providers` is empty");
    v.items("routes", "virtual models: a policy over candidates; `auto` is there without being written", [&] {
        RouteEntry entry;
        describe_route(v, entry);
        d.routes.push_back(std::move(entry));
    });
    describe_routing(v, d);
    v.begin("catalog", "prices and abilities of models");
    v.text("file", c.catalog.file, "default: the shipped one");
    v.text("refresh_url", c.catalog.refresh_url, "where newer ones come from");
    v.integer("refresh_hours", c.catalog.refresh_hours, {1, 8760}, "how often");
    v.reserved("require", "whether a model must be in all catalogues");
    v.end();
    v.begin("logging", "");
    v.choice("level", c.logging.level, levels, "least level that is written");
    v.choice("format", c.logging.format, formats, "");
    v.reserved("bodies", "log prompts and answers");
    v.end();
    v.begin("compat", "what is done for clients of other routers");
    d.where_compat = v.where_of("headers");
    v.texts("headers", c.compat.headers, "families of extra response headers: `orca`, `llm-router`");
    v.flag("done_after_error", c.compat.done_after_error, "send `[DONE]` after an error in a stream");
    v.flag("orca_status", c.compat.orca_status, "422 for a model that is not known and for a context that is too long");
    v.flag("expose_provider", c.compat.expose_provider, "send `x-portolan-provider`");
    v.end();
    v.reserved("secrets", "key that stored credentials are encrypted with");
    v.reserved("storage", "database");
    v.reserved("hosted", "hosted fall-back");
    v.reserved("cache", "answer cache");
    v.begin("idempotency", "replay of answers to requests that come again with the same `Idempotency-Key`; streams are not kept");
    v.integer("ttl_seconds", c.idempotency.ttl_seconds, {0, 604'800}, "how long answers are kept; 0: the header is ignored");
    v.integer("max_bytes", c.idempotency.max_bytes, {0, std::int64_t{1} << 40}, "of all answers that are kept");
    v.end();
    v.reserved("telemetry", "metrics and traces");
}

void describe(Visitor& v, Preset& p)
{
    v.text("name", p.name, "");
    v.text("title", p.title, "");
    v.text("component", p.component, "");
    v.text("base_url", p.base_url, "");
    v.texts("key_env", p.key_env, "");
    v.texts("url_env", p.url_env, "");
    v.text("auth", p.auth, "");
    v.texts("aliases", p.aliases, "");
    v.text("tier", p.tier, "");
    v.flag("local", p.local, "");
    v.object("settings", p.settings, "");
    v.text_map("settings_env", p.settings_env, false, "");
    v.text_map("settings_key", p.settings_key, false, "");
    v.flag("needs_url", p.needs_url, "");
    v.text_map("extra_headers", p.extra_headers, false, "");
    v.text("models", p.models, "");
    v.texts("catalog_provider", p.catalog_provider, "");
    v.text("docs", p.docs, "");
}

} // namespace config
