// Breakers, rests, rate limits and retry budgets, as told to people.
#pragma once

#include "front/runtime.h"

#include <cstdint>
#include <string>
#include <string_view>

/// {"breakers":[{target, account, state, …}]}, one for each target and account. Times in milliseconds from now.
[[nodiscard]] std::string breakers_json(const front::Runtime& runtime, std::int64_t steady_us);

/// {"retry":{…}, "providers":[{provider, in_flight, retrying, retry_tokens, breaker:{…}, accounts:[…]}]}
[[nodiscard]] std::string resilience_json(const front::Runtime& runtime, std::int64_t steady_us);

/// Closes breakers and ends rests of the targets that `pattern` ("provider/model", globs) means; how many lanes these were.
std::size_t reset_lanes(const front::Runtime& runtime, std::string_view pattern);
