// What a request needs and a candidate offers. The bits are those of portolan/abi.h; host/plugin asserts it.
#pragma once

#include <cstdint>

namespace core {

enum Feature : std::uint64_t {
    Tools = 1, ParallelTools = 2, ServerTools = 4, Images = 8, Files = 16, AudioIn = 32, AudioOut = 64, JsonObject = 128,
    JsonSchema = 256, Reasoning = 512, Logprobs = 1024, Choices = 2048, Prefill = 4096, CacheMarks = 8192, Stream = 16384
};
using Features = std::uint64_t;

} // namespace core
