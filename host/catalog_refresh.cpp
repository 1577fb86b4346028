#include "catalog_refresh.h"

#include "commands.h"
#include "config/catalog.h"
#include "config/catalog_build.h"
#include "core/log.h"

#include <Poco/Net/Context.h>
#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/HTTPSClientSession.h>
#include <Poco/URI.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>

namespace fs = std::filesystem;

namespace {

using core::Fault;
using core::FaultKind;

constexpr std::size_t largest = 64 << 20;

Fault failed(const std::string& why) { return {.kind = FaultKind::Unreachable, .message = "The catalogue cannot be refreshed: " + why}; }

core::Result<std::string> download(const std::string& url)
{
    namespace net = Poco::Net;
    try {
        const Poco::URI uri(url);
        std::unique_ptr<net::HTTPClientSession> session;
        if (uri.getScheme() == "https") {
            net::Context::Ptr tls = new net::Context(net::Context::TLS_CLIENT_USE, "", "", "", net::Context::VERIFY_STRICT, 9, true);
            tls->requireMinimumProtocol(net::Context::PROTO_TLSV1_2);
            session = std::make_unique<net::HTTPSClientSession>(uri.getHost(), uri.getPort(), tls);
        } else if (uri.getScheme() == "http") {
            session = std::make_unique<net::HTTPClientSession>(uri.getHost(), uri.getPort());
        } else
            return failed("the URL must begin with https:// or http://");
        session->setTimeout(Poco::Timespan(30, 0));
        net::HTTPRequest request("GET", uri.getPathAndQuery().empty() ? "/" : uri.getPathAndQuery(), "HTTP/1.1");
        request.set("user-agent", "portolan");
        request.set("accept", "application/json");
        session->sendRequest(request);
        net::HTTPResponse response;
        auto& in = session->receiveResponse(response);
        if (response.getStatus() != net::HTTPResponse::HTTP_OK) return failed("status " + std::to_string(response.getStatus()));
        std::string text;
        char buffer[64 * 1024];
        while (in.read(buffer, sizeof buffer) || in.gcount() > 0) {
            text.append(buffer, static_cast<std::size_t>(in.gcount()));
            if (text.size() > largest) return failed("it is larger than 64 MiB");
        }
        if (response.hasContentLength() && text.size() != static_cast<std::size_t>(response.getContentLength64())) return failed("it was cut short");
        return text;
    } catch (const Poco::Exception& e) {
        return failed(e.displayText());
    }
}

} // namespace

core::Status fetch_catalog(const std::string& url, const std::string& file)
{
    auto text = download(url);
    if (!text) return std::move(text).fault();
    if (!config::parse_and_check(*text).catalog) { // not ours: a price list, then
        auto built = config::build_catalog(*text, today());
        if (!built) return failed(built.fault().message);
        *text = std::move(built->text);
        if (const auto checked = config::parse_and_check(*text); !checked.catalog) return failed(checked.message);
    }
    const std::string fresh = file + ".new"; // whoever reads it meanwhile sees the old one or the new one
    std::ofstream out(fresh, std::ios::binary);
    out << *text;
    out.close();
    std::error_code broken;
    if (out) fs::rename(fresh, file, broken);
    if (!out || broken) return failed("cannot write " + file);
    return core::Done{};
}

CatalogRefresh::CatalogRefresh(config::Catalog settings, std::string file)
    : settings_(std::move(settings)), file_(std::move(file)), thread_([this] { run(); })
{
}

CatalogRefresh::~CatalogRefresh()
{
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    stop_.notify_all();
    thread_.join();
}

void CatalogRefresh::run()
{
    const auto interval = std::chrono::hours(std::max<std::int64_t>(1, settings_.refresh_hours));
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        std::error_code none;
        const auto written = fs::last_write_time(file_, none);
        const auto age = none ? interval : std::chrono::duration_cast<std::chrono::hours>(fs::file_time_type::clock::now() - written);
        auto wait = std::chrono::duration_cast<std::chrono::minutes>(interval - age);
        if (age >= interval) {
            lock.unlock();
            const auto done = fetch_catalog(settings_.refresh_url, file_);
            if (done)
                core::log::info("the catalogue was refreshed");
            else
                core::log::warn(done.fault().message);
            lock.lock();
            wait = done ? std::chrono::duration_cast<std::chrono::minutes>(interval) : std::chrono::minutes(10);
        }
        stop_.wait_for(lock, std::max(wait, std::chrono::minutes(1)), [this] { return stopping_; });
    }
}
