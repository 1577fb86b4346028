// A plugin's file, mapped without a host around it, and instances of its components.
#pragma once

#include "check/fake_host.h"

#include <filesystem>
#include <string>
#include <string_view>

namespace check {

/// [load] Maps the file and asks for its table. Throws std::runtime_error with what is wrong.
class Mapped {
public:
    explicit Mapped(const std::filesystem::path& file);
    ~Mapped();
    Mapped(const Mapped&) = delete;
    Mapped& operator=(const Mapped&) = delete;
    [[nodiscard]] const portolan_plugin& table() const { return *table_; }
    [[nodiscard]] portolan_plugin_fn entry() const { return entry_; }
    [[nodiscard]] const void* find(std::string_view component, std::string_view face) const;

private:
    void* handle_;
    portolan_plugin_fn entry_ = nullptr;
    const portolan_plugin* table_ = nullptr;
};

/// One configured component. A refusal is no exception: ask made().
class Instance {
public:
    Instance(const Mapped& file, std::string component, std::string_view config, Lending how = Lending::Kept);
    ~Instance();
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;
    [[nodiscard]] bool made() const { return status_ >= 0; }
    [[nodiscard]] portolan_status status() const { return status_; }
    [[nodiscard]] const std::string& reason() const { return reason_; }
    [[nodiscard]] void* self() const { return self_; }
    [[nodiscard]] const std::string& component() const { return component_; }
    /// The component's table; throws if it has none of that name.
    template <class Table>
    [[nodiscard]] const Table& face(std::string_view name) const
    {
        return *static_cast<const Table*>(find(name));
    }

private:
    [[nodiscard]] const void* find(std::string_view face) const;
    const Mapped& file_;
    std::string component_, reason_;
    void* self_ = nullptr;
    portolan_status status_;
};

} // namespace check
