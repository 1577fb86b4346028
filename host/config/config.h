// The effective configuration: immutable once read, replaced as a whole. docs/operate/configuration.md explains each key.
#pragma once

#include "core/features.h"
#include "core/operation.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace config {

/// A secret: never printed. source says where it came from ("env GROQ_API_KEY", "file"), for /api/config.
struct Secret {
    std::string value, source;
};

struct Limits { ///< server.limits; the names of wire::ServerLimits
    std::int64_t request_line_bytes = 8192, header_total_bytes = 32768, header_field_bytes = 8192, header_count = 100;
    std::int64_t chunk_extension_bytes = 16384, json_depth = 64;
    std::int64_t header_timeout_ms = 10'000, body_grace_ms = 5'000, body_total_ms = 120'000, body_min_bytes_per_second = 1024;
    std::int64_t idle_ms = 60'000, write_stall_ms = 60'000, buffered_bytes = 0;
    std::int64_t requests_per_connection = 1000, connections = 10'000, connections_per_ip = 256;
};

struct Server {
    std::string host = "127.0.0.1";
    std::int64_t port = 8000;
    std::int64_t loops = 0;                 ///< 0: one per core
    std::int64_t max_body_bytes = 33554432;
    std::int64_t shutdown_grace_ms = 120'000, shutdown_delay_ms = 0; ///< delay: keeps accepting that long after readyz says 503
    std::int64_t request_timeout_ms = 900'000; ///< the most that a client's own deadline may ask for, and the default
    std::int64_t heartbeat_after_ms = 10'000;
    bool allow_unauthenticated = false;     ///< other machines may be served without keys
    bool half_close_cancels = false;        ///< true: FIN on a non-streaming request cancels it too
    std::string tls_cert_file, tls_key_file; ///< both or neither
    std::string data_dir = "data";
    Limits limits;
};

enum class AuthMode : std::uint8_t { Required, Optional, Off };
struct StaticKey {
    std::string name;
    Secret key;
    std::vector<std::string> scopes;        ///< of chat, read, admin
};
struct Auth {
    AuthMode mode = AuthMode::Required;
    std::vector<StaticKey> keys;            ///< from static_key_env, keys, keys_file
};

struct Plugins {
    bool only_shipped = false;              ///< --safe-start, no key: no folder but the shipped one
    std::vector<std::string> dirs;          ///< in order; the shipped folder comes first unless dirs is set
    bool watch = true;                      ///< files that come, change or go are loaded at once
    std::string unload = "never";           ///< never | try: what was replaced is unmapped when it has drained
    std::string trust = "directory-owner";  ///< pinned | signed | directory-owner | any
    std::vector<std::string> signers;       ///< Ed25519 public keys for signed: 64 hexadecimal digits each
    std::map<std::string, std::string> allow;                 ///< file name -> sha256, for pinned
    std::map<std::string, std::vector<std::string>> grants;   ///< plugin id -> grants the operator gives; shipped ones get what they ask
    std::map<std::string, std::string> isolation;             ///< file name, or * for all but the shipped ones -> process | none
    std::int64_t isolated_memory_mb = 512, isolated_threads = 4, isolated_call_ms = 10'000; ///< limits of one such process
    std::int64_t decide_us = 5'000, frame_us = 5'000, request_us = 50'000, create_us = 5'000'000; ///< time limits per call
};

struct Timeouts {
    std::int64_t connect_ms = 5'000, first_byte_ms = 30'000, first_token_ms = 60'000, idle_ms = 60'000, total_ms = 600'000;
};
struct ProviderLimits {
    std::optional<std::int64_t> rpm, tpm, concurrent, daily_requests, daily_nusd; ///< accounts have the first three
    std::int64_t queue_ms = 10'000;         ///< the longest that a request waits for its turn
};
struct CircuitBreaker {
    std::int64_t failure_threshold = 5, recovery_time_seconds = 5, window_seconds = 30, min_requests = 10, half_open_probes = 1;
    double failure_rate = 0.5;
};

/// What is known of one model: by the catalogue, the preset or the provider's own entry. -1 and no value: not known.
struct ModelFacts {
    std::string id;                         ///< what clients say
    std::string upstream;                   ///< what the upstream calls it; empty: id
    core::Features features = 0;            ///< known to be offered
    core::Features features_known = 0;      ///< known at all: a needed feature that is neither offered nor known is allowed
    core::Operations operations = 0;        ///< what it is for; 0: not known, so whatever its provider can do
    std::int64_t context_tokens = -1, max_output_tokens = -1;
    std::int64_t price_input = -1, price_output = -1, price_cache_read = -1, price_cache_write = -1; ///< pico-USD per token
    struct Tier { std::int64_t above_tokens, price_input, price_output, price_cache_read, price_cache_write; };
    std::vector<Tier> tiers;                ///< ascending; the last one crossed by the input reprices the whole request
    double quality = -1;                    ///< 0..1
    bool free = false;
};

struct Account {
    std::string name;
    Secret key;
    ProviderLimits limits = {};
};

struct Provider {
    std::string name;                       ///< unique; what model ids are prefixed with
    std::string type;                       ///< as written: a plugin component or a preset
    std::string component;                  ///< the plugin component that serves it
    std::string preset;                     ///< empty: none
    bool enabled = true;
    std::string base_url;
    std::vector<Account> accounts;          ///< at least one; a provider without a key has one with an empty key
    std::string account_policy = "fill-first"; ///< which account is asked first
    std::string settings_json = "{}";       ///< the plugin's own configuration, validated against its manifest's schema
    std::vector<ModelFacts> models;         ///< the models served, catalogue facts merged in
    bool models_open = false;               ///< unknown model names are passed on to it too (UPSTREAM_BASE_URL, models: any)
    bool discover = false;                  ///< its own list (GET …/models) says what it serves; models_open until it was asked
    std::vector<std::string> aliases;       ///< other names for the provider in front of a '/'
    std::int64_t priority = 100;
    std::int64_t weight = 1;
    std::string tier = "api_key";
    bool local = false;                     ///< runs here: labelled for policies
    std::map<std::string, std::string> extra_headers, tags;
    std::string ca_file, proxy;             ///< proxy: overrides the environment; "none" switches it off
    bool tls_insecure = false;
    std::string on_disconnect = "cancel";   ///< cancel | drain
    ProviderLimits limits;
    CircuitBreaker breaker;
    Timeouts timeouts;
};

struct RouteTarget {
    std::string pattern;                    ///< "provider/model", globs allowed
    std::int64_t weight = 1;
};
struct Route {
    std::string name;
    std::string policy = "cheapest";
    std::string settings_json = "{}";
    std::vector<RouteTarget> targets;       ///< empty: all
    std::string recovery = "default";       ///< stream.recovery: default | none | restart | continue
    bool strict = false;
    std::int64_t deadline_ms = 0;           ///< 0: the server's
};

struct Routing {
    bool unknown_to_default = false;        ///< routing.unknown_model: default_chain
    std::vector<std::string> preferred_models;
    std::map<std::string, std::string> model_aliases; ///< model alias -> id
    std::int64_t max_attempts = 3, same_target_retries = -1, total_deadline_ms = 600'000; ///< -1: pinned 2, routes 0
    std::int64_t longest_wait_ms = 20'000;
    bool hedging = false;
    double hedging_percent = 2;
    std::int64_t hedging_after_ms = 0;      ///< 0: what 95 % of the route's streams take to their first content
};

/// Answers that are not streamed, kept for requests that come again with the same Idempotency-Key.
struct Idempotency {
    std::int64_t ttl_seconds = 86'400;      ///< 0: the header is ignored
    std::int64_t max_bytes = 64 << 20;      ///< of all that is kept; the oldest go first
};

/// A request parameter that some models refuse; taken out per attempt. routing.drop_params adds to the shipped list.
struct DropRule {
    std::string model_pattern;              ///< a regular expression over the upstream model name
    std::vector<std::string> params;        ///< top-level members
    bool unless_value_is_one = false;       ///< temperature 1 is what the model does anyway: it may stay
};
/// A parameter that one model refuses.
struct DropParam {
    std::string name;
    bool unless_value_is_one = false;
};

struct Catalog {
    std::string file;                       ///< empty: the shipped one
    std::string refresh_url;
    std::int64_t refresh_hours = 24;
};
struct Logging {
    std::string level = "info", format = "json"; ///< json | text
};
struct Compat {
    std::vector<std::string> headers{"orca", "llm-router"};
    bool done_after_error = false, orca_status = false, expose_provider = true;
};

/// Where an effective value came from; path is dotted ("server.port"), value is JSON with secrets masked.
struct Effective {
    std::string path, value, source;        ///< source: "default", "portolan.yaml:12", "env PORT", "preset groq"
};

struct Config {
    Server server;
    Auth auth;
    Plugins plugins;
    std::vector<Provider> providers;        ///< file order; enabled and usable ones only
    std::vector<std::string> unusable;      ///< "groq: no key (set GROQ_API_KEY)" for those that were left out
    std::vector<Route> routes;
    Routing routing;
    Idempotency idempotency;
    std::vector<DropRule> drop_rules;
    Catalog catalog;
    Logging logging;
    Compat compat;
    std::string proxy_http, proxy_https, proxy_all, proxy_no; ///< from the environment
    std::vector<Effective> effective;       ///< every key once, sorted by path
    std::vector<std::string> files;         ///< what was read: watched for changes
    std::vector<std::string> warnings;
};

} // namespace config
