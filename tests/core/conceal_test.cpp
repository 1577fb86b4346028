// What clients may read of what providers say.
#include "core/conceal.h"

#include <catch2/catch.hpp>

using core::FaultKind;

TEST_CASE("a message from outside keeps no key, and nothing of what was said of a refused one")
{
    core::Fault busy{.kind = FaultKind::Overloaded, .message = "busy with sk-0123456789abcdef0123456789abcdef"};
    core::conceal(busy);
    CHECK(busy.message == "busy with sk-***");
    core::Fault refused{.kind = FaultKind::UpstreamAuth, .message = "no such key: abc"};
    core::conceal(refused);
    CHECK(refused.message.find("abc") == std::string::npos);
}
