// Fetches newer catalogues from catalog.refresh_url, on a thread of its own.
#pragma once

#include "config/config.h"
#include "core/result.h"

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

/// One download over http or https (system CAs, host name verified; no redirects, 64 MiB, 30 s): our own form or a LiteLLM price list,
/// checked as a whole, then put in the place of `file`. Blocks.
[[nodiscard]] core::Status fetch_catalog(const std::string& url, const std::string& file);

/// Fetches at once if `file` is older than the interval, then each interval. Whoever watches `file` sees it change.
class CatalogRefresh {
public:
    CatalogRefresh(config::Catalog settings, std::string file);
    ~CatalogRefresh(); ///< waits for a download under way
    CatalogRefresh(const CatalogRefresh&) = delete;
    CatalogRefresh& operator=(const CatalogRefresh&) = delete;

private:
    void run();

    const config::Catalog settings_;
    const std::string file_;
    std::mutex mutex_;
    std::condition_variable stop_;
    bool stopping_ = false;
    std::thread thread_;
};
