// What the policies of all routes have learned, over generations and restarts.
#pragma once

#include "front/runtime.h"
#include "routing/learned.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

/// For the main thread. One file for each route and policy in `folder`, written by rename; a route that changes its policy and changes it
/// back finds its state again.
class LearnedBook {
public:
    explicit LearnedBook(std::filesystem::path folder) : folder_(std::move(folder)) {}

    /// Before `next` serves: its policies go on where those of the same names are now, or were when they were saved.
    void take_over(const front::Runtime& next);
    /// Lets all policies learn from what has come in; saves what changed, at most every ten seconds.
    void tick(std::int64_t steady_us);
    void save();

private:
    struct Page {
        std::shared_ptr<routing::Learned> learned;
        std::shared_ptr<const routing::Policy> policy;
        std::uint64_t saved = 0; ///< number of the state in the file
        bool failing = false;    ///< was said in the log
    };
    void save(const std::string& name, Page& page) const;
    [[nodiscard]] routing::Learned::State read(const std::string& name) const;

    const std::filesystem::path folder_;
    std::map<std::string, Page> pages_; ///< by file name
    std::int64_t next_save_us_ = 0;
};
