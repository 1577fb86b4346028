// Answers that are kept for requests that come again with the same Idempotency-Key.
#pragma once

#include "front/client_stream.h"

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

namespace front {

using BodyDigest = std::array<unsigned char, 32>;

/// Of the process. [shared] A lock is held for a look-up, and only by requests that have a key. Only answers are kept, never errors: a
/// request that failed may be sent again.
class Idempotency {
public:
    static constexpr std::size_t longest_key = 255;
    enum class Found : std::uint8_t { New, Running, OtherBody, Kept };

    /// The key is held until this goes; keep() makes its answer the one that comes again.
    class Claim {
    public:
        Claim(Idempotency& store, std::string id) : store_(&store), id_(std::move(id)) {}
        ~Claim()
        {
            if (store_) store_->forget(id_);
        }
        Claim(const Claim&) = delete;
        Claim& operator=(const Claim&) = delete;
        void keep(std::shared_ptr<const KeptAnswer> answer, std::int64_t until_us, std::int64_t max_bytes)
        {
            std::exchange(store_, nullptr)->finish(id_, std::move(answer), until_us, max_bytes);
        }

    private:
        Idempotency* store_;
        std::string id_;
    };

    /// `id`: caller, path and key in one. New: make a Claim of it. Kept: `answer` is it.
    Found look(const std::string& id, const BodyDigest& body, std::int64_t now_us, std::shared_ptr<const KeptAnswer>& answer);
    [[nodiscard]] std::size_t bytes() const;

private:
    struct Entry {
        BodyDigest body{};
        std::shared_ptr<const KeptAnswer> answer; ///< null: running
        std::int64_t until_us = 0;
        std::size_t bytes = 0;
        std::list<std::string>::iterator age;
    };
    void forget(const std::string& id);
    void finish(const std::string& id, std::shared_ptr<const KeptAnswer> answer, std::int64_t until_us, std::int64_t max_bytes);
    void drop(std::unordered_map<std::string, Entry>::iterator entry);

    mutable std::mutex mutex_;
    std::unordered_map<std::string, Entry> entries_;
    std::list<std::string> by_age_;         ///< kept ones, the oldest first
    std::size_t bytes_ = 0;
};

} // namespace front
