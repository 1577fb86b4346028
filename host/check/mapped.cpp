#include "check/mapped.h"

#include "check/child.h"
#include "plugin/abi_value.h"

#include <stdexcept>

#include <dlfcn.h>

namespace check {

using plugin::to_abi;

Mapped::Mapped(const std::filesystem::path& file) : handle_(::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL))
{
    if (!handle_) throw std::runtime_error(std::string("it cannot be mapped: ") + ::dlerror());
    entry_ = reinterpret_cast<portolan_plugin_fn>(::dlsym(handle_, "portolan_plugin_v1"));
    table_ = entry_ ? entry_() : nullptr;
    const char* wrong = !entry_ ? "it does not export portolan_plugin_v1"
                        : !table_ ? "its entry returned no table"
                        : table_->draft != PORTOLAN_DRAFT ? "it is built for another draft of the interface: build it with this release's SDK"
                        : !PORTOLAN_HAS(table_, destroy) ? "its table is too short: struct_size must be sizeof(portolan_plugin)"
                        : !table_->find || !table_->create || !table_->destroy ? "its table has empty places"
                                                                               : nullptr;
    if (wrong) throw std::runtime_error(wrong);
}

Mapped::~Mapped() { ::dlclose(handle_); }

const void* Mapped::find(std::string_view component, std::string_view face) const { return table_->find(to_abi(component), to_abi(face)); }

Instance::Instance(const Mapped& file, std::string component, std::string_view config, Lending how) : file_(file), component_(std::move(component))
{
    Said said;
    Lent lent(how);
    const Calling call(said, lent, {.limit_us = 5'000'000}, "create()");
    status_ = file_.table().create(call.raw(), lent.text(component_), lent.text(config), &self_);
    reason_ = said.failure;
}

Instance::~Instance()
{
    if (!made()) return;
    now_doing("destroy()");
    file_.table().destroy(to_abi(component_), self_);
    now_doing({});
}

const void* Instance::find(std::string_view face) const
{
    const auto* table = file_.find(component_, face);
    if (!table) throw std::runtime_error(component_ + " has no table for " + std::string(face));
    return table;
}

} // namespace check
