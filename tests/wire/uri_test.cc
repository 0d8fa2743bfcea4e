// SPDX-License-Identifier: Apache-2.0
#include "wire/uri.h"

#include <gtest/gtest.h>

namespace braidway::wire {
namespace {

using namespace std::string_literals;

std::string problem_of(std::string_view written) {
    const auto decoded = uri_decoded(written);
    return decoded ? "none" : decoded.error().message;
}

TEST(Uri, EveryByteComesBackAsItWent) {
    std::string all;
    for (int byte = 1; byte < 256; ++byte) all += static_cast<char>(byte);
    for (const std::string_view plain : {"", "/:@"}) {
        const std::string written = uri_encoded(all, plain);
        for (const char letter : written)
            EXPECT_TRUE(is_unreserved(letter) || letter == '%' || is_one_of(letter, plain));
        EXPECT_EQ(uri_decoded(written).value(), all);
    }
    EXPECT_EQ(uri_encoded("a b:c"), "a%20b%3Ac");
    EXPECT_EQ(uri_encoded("a b:c", ":"), "a%20b:c");
}

TEST(Uri, DigitsMayBeSmallOrLarge) {
    EXPECT_EQ(uri_decoded("%2f%2F").value(), "//");
    EXPECT_EQ(uri_decoded("%25zz").value(), "%zz") << "what came out is not decoded again";
}

TEST(Uri, SaysWhatIsWrong) {
    for (const char* written : {"%", "a%", "%4", "%4g", "%g4", "%%41"})
        EXPECT_EQ(problem_of(written), "holds a '%' without two hexadecimal digits") << written;
    EXPECT_EQ(problem_of("a%00"), "holds a NUL (%00)");
    EXPECT_EQ(problem_of("a\0b"s), "holds a NUL (%00)");
    EXPECT_EQ(uri_decoded("%00a", true).value(), "\0a"s);
    EXPECT_FALSE(uri_decoded("a%00", true)) << "only in front";
}

TEST(Uri, ShownTextIsOneShortLine) {
    EXPECT_EQ(printable_uri("a\nb\x7f\xc3"), "a?b??");
    EXPECT_LE(printable_uri(std::string(1000, 'a')).size(), 200u);
}

}  // namespace
}  // namespace braidway::wire
