#include "core/scrub.h"

#include <catch2/catch.hpp>

using core::scrub;

TEST_CASE("what looks like a key is masked and the text around it stays")
{
    CHECK(scrub("key sk-abcdefgh1234 is bad") == "key sk-*** is bad");
    CHECK(scrub("sk-ant-api03-A_b-c_d") == "sk-***");
    CHECK(scrub("\"gsk_0123456789abcdefXY\"") == "\"gsk_***\"");
    CHECK(scrub("AKIAIOSFODNN7EXAMPLE, ASIAIOSFODNN7EXAMPLE") == "AKIA***, ASIA***");
    CHECK(scrub("?key=AIzaSyA0123456789012345678901234567890&x") == "?key=AIza***&x");
    CHECK(scrub("ptl_0123456789abcdef0123") == "ptl_***");
    CHECK(scrub("a sk-aaaaaaaaaa b sk-bbbbbbbbbb c") == "a sk-*** b sk-*** c");
}

TEST_CASE("a bearer token is masked whatever its form")
{
    CHECK(scrub("Authorization: Bearer abc.def+123/4== end") == "Authorization: Bearer *** end");
    CHECK(scrub("bearer  0123456789") == "bearer ***");
    CHECK(scrub("Bearer short") == "Bearer short");
}

TEST_CASE("a JSON web token is masked, two parts are none")
{
    CHECK(scrub("t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-DEF_ghi;") == "t=eyJ***;");
    CHECK(scrub("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0") == "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0");
}

TEST_CASE("a PEM block is masked to its end, within one JSON string")
{
    CHECK(scrub("a -----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- b") == "a -----BEGIN *** b");
    CHECK(scrub(R"({"k":"-----BEGIN KEY-----\nMIIE\n-----END KEY-----\n","x":1})") == R"({"k":"-----BEGIN ***\n","x":1})");
    CHECK(scrub(R"({"k":"-----BEGIN KEY-----\nMIIE","x":"-----END KEY-----"})") == R"({"k":"-----BEGIN ***","x":"-----END KEY-----"})");
    CHECK(scrub("-----BEGIN KEY-----\nMIIE cut off") == "-----BEGIN ***");
}

TEST_CASE("a secret behind an escaped line break is seen")
{
    CHECK(scrub(R"("a\nsk-abcdefgh1234")") == R"("a\nsk-***")");
}

TEST_CASE("ordinary text is left alone")
{
    for (const auto* text : {"", "risk-management-of-things", "task-0123456789", "sk-short", "eyJ", "the bearer of this", "-----", "basket sk-",
                             R"({"request_id":"018f3b1e-7a30-7c00-8000-000000000000","model":"gpt-4o-mini"})"}) {
        CHECK_FALSE(core::has_secret(text));
        CHECK(scrub(text) == text);
    }
}
