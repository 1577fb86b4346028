#include "front/idempotency.h"

namespace front {

Idempotency::Found Idempotency::look(const std::string& id, const BodyDigest& body, std::int64_t now_us, std::shared_ptr<const KeptAnswer>& answer)
{
    const std::lock_guard lock(mutex_);
    auto at = entries_.find(id);
    if (at != entries_.end() && at->second.answer && at->second.until_us <= now_us) drop(at), at = entries_.end();
    if (at == entries_.end()) {
        entries_[id].body = body;
        return Found::New;
    }
    if (at->second.body != body) return Found::OtherBody;
    answer = at->second.answer;
    return answer ? Found::Kept : Found::Running;
}

void Idempotency::drop(std::unordered_map<std::string, Entry>::iterator entry)
{
    bytes_ -= entry->second.bytes;
    by_age_.erase(entry->second.age);
    entries_.erase(entry);
}

void Idempotency::forget(const std::string& id)
{
    const std::lock_guard lock(mutex_);
    entries_.erase(id); // it was running: of no age yet
}

void Idempotency::finish(const std::string& id, std::shared_ptr<const KeptAnswer> answer, std::int64_t until_us, std::int64_t max_bytes)
{
    const std::lock_guard lock(mutex_);
    auto& entry = entries_[id];
    entry.bytes = id.size() + answer->body.size() + answer->headers.text().size();
    entry.answer = std::move(answer), entry.until_us = until_us;
    entry.age = by_age_.insert(by_age_.end(), id);
    bytes_ += entry.bytes;
    while (bytes_ > static_cast<std::size_t>(max_bytes) && !by_age_.empty()) drop(entries_.find(by_age_.front()));
}

std::size_t Idempotency::bytes() const
{
    const std::lock_guard lock(mutex_);
    return bytes_;
}

} // namespace front
