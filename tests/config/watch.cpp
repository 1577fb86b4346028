// Changes of files are noticed once.
#include "config/watch.h"

#include "files.h"

#include <catch2/catch.hpp>

using config_test::Folder;

TEST_CASE("a file that stays as it is has not changed")
{
    const Folder folder;
    folder.write("a", "1");
    config::FileWatch watch({folder.path + "/a"});
    CHECK(!watch.changed());
    CHECK(!watch.changed());
}

TEST_CASE("a file that grows, goes, comes or is replaced has changed, once")
{
    const Folder folder;
    const std::string file = folder.path + "/a";
    folder.write("a", "1");
    config::FileWatch watch({file, folder.path + "/b"});
    folder.write("a", "12");
    CHECK(watch.changed());
    CHECK(!watch.changed());
    folder.write("c", "34");
    std::filesystem::rename(folder.path + "/c", file);
    CHECK(watch.changed());
    CHECK(!watch.changed());
    std::filesystem::remove(file);
    CHECK(watch.changed());
    folder.write("b", "");
    CHECK(watch.changed());
    CHECK(!watch.changed());
}
