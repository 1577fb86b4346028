// One configured component of a library.
#pragma once

#include "plugin/library.h"

#include <cstdint>
#include <memory>
#include <string>

namespace plugin {

struct CallLimits { ///< config::Plugins
    std::int64_t decide_us = 5'000, frame_us = 5'000, request_us = 50'000, create_us = 5'000'000;
};

/// [shared] Never changes (R9). Holds its library; destroys what create() made.
class Instance {
public:
    /// [load] `config`: JSON, already held to the manifest's schema. `component` must be one of the library's.
    static core::Result<std::shared_ptr<const Instance>> create(std::shared_ptr<const Library>, const std::string& component, std::string config,
                                                                const CallLimits&);
    ~Instance();
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;

    /// A copy of the component's table for `name`, what it lacks being null; struct_size 0 if it has none.
    template <class Face>
    [[nodiscard]] Face face(std::string_view name) const
    {
        const auto* table = static_cast<const Face*>(library_->find(component_, name));
        return table ? take(table) : Face{};
    }
    [[nodiscard]] void* self() const noexcept { return self_; }
    [[nodiscard]] const std::string& component() const noexcept { return component_; }
    [[nodiscard]] const std::string& config() const noexcept { return config_; }
    [[nodiscard]] const Component& about() const { return library_->manifest().components.at(component_); }
    [[nodiscard]] Callee& callee() const noexcept { return library_->callee(); }
    [[nodiscard]] const CallLimits& limits() const noexcept { return limits_; }
    [[nodiscard]] std::mutex& load_lock() const noexcept { return library_->load_lock(); }
    /// True: every call waits for another process.
    [[nodiscard]] bool isolated() const noexcept { return library_->isolated(); }

private:
    Instance(std::shared_ptr<const Library> library, std::string component, std::string config, const CallLimits& limits)
        : library_(std::move(library)), component_(std::move(component)), config_(std::move(config)), limits_(limits)
    {
        library_->instances().fetch_add(1, std::memory_order_relaxed);
    }
    std::shared_ptr<const Library> library_;
    std::string component_, config_;
    CallLimits limits_;
    void* self_ = nullptr;
    bool made_ = false;
};

} // namespace plugin
