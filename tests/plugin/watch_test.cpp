#include "plugin/watch.h"
#include "sandbox.h"

#include <catch2/catch.hpp>

namespace {

/// A watch with a clock of its own.
struct Watched {
    Sandbox box;
    std::int64_t now = 1'000'000;
    plugin::FolderWatch watch{{box.plugins().string()}, now};

    /// How long it took to be told, in steps of 10 ms; -1: not within three seconds.
    std::int64_t told_after()
    {
        const auto began = now;
        for (; now - began <= 3'000'000; now += 10'000)
            if (watch.changed(now)) return now - began;
        return -1;
    }
};

} // namespace

TEST_CASE("what is there when the watch begins is no change")
{
    Watched w;
    CHECK(w.told_after() == -1);
}

TEST_CASE("a new, a changed and a removed file are each told once, after a quiet moment")
{
    Watched w;
    spit(w.box.plugins() / "a.so", "one");
    CHECK(w.told_after() == 150'000);
    CHECK(w.told_after() == -1);
    spit(w.box.plugins() / "a.so", "two"); // in place
    CHECK(w.told_after() == 150'000);
    spit(w.box.path / "fresh", "three");
    fs::rename(w.box.path / "fresh", w.box.plugins() / "a.so");
    CHECK(w.told_after() == 150'000);
    fs::remove(w.box.plugins() / "a.so");
    CHECK(w.told_after() == 150'000);
    CHECK(w.told_after() == -1);
}

TEST_CASE("a signature is a change, other files and hidden ones are none")
{
    Watched w;
    spit(w.box.plugins() / "notes.txt", "x");
    spit(w.box.plugins() / ".a.so", "x");
    CHECK(w.told_after() == -1);
    spit(w.box.plugins() / "a.so.sig", "x");
    CHECK(w.told_after() == 150'000);
}

TEST_CASE("a file that is written for long is told when its writer is done, and once a second meanwhile at most")
{
    Watched w;
    std::ofstream out(w.box.plugins() / "a.so", std::ios::binary);
    int told = 0;
    for (int i = 0; i < 200; ++i, w.now += 10'000) {
        out << "more" << std::flush;
        told += w.watch.changed(w.now);
    }
    CHECK(told <= 2);
    w.told_after();
    out.close();
    CHECK(w.told_after() == 150'000); // closed without another byte
}

TEST_CASE("a folder that comes later or is swapped is watched from then on")
{
    Watched w;
    fs::rename(w.box.plugins(), w.box.path / "moved");
    CHECK(w.told_after() >= 0);
    fs::create_directory(w.box.plugins());
    CHECK(w.told_after() >= 0);
    spit(w.box.plugins() / "a.so", "one");
    CHECK(w.told_after() == 150'000);
}
