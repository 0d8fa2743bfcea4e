// SPDX-License-Identifier: Apache-2.0
#include "daemon/address.h"

#include <gtest/gtest.h>

namespace braidway::daemon {
namespace {

TEST(Address, EveryFormIsReadAndPrintedInOneForm) {
    const std::pair<const char*, const char*> forms[] = {
        {"unix:/run/db.sock", "unix:/run/db.sock"},
        {"/run/db.sock", "unix:/run/db.sock"},
        {"unix:db.sock", "unix:db.sock"},
        {"tcp:127.0.0.1:10809", "tcp:127.0.0.1:10809"},
        {"127.0.0.1:7", "tcp:127.0.0.1:7"},
        {"tcp:storage.example", "tcp:storage.example:10809"},
        {"tcp:[::1]", "tcp:[::1]:10809"},
        {"tcp:[::1]:0", "tcp:[::1]:0"},
        {"[fe80::1]:65535", "tcp:[fe80::1]:65535"},
        {"tcp::10810", "tcp::10810"},
        {"tcp:*:10810", "tcp::10810"},
    };
    for (const auto& [given, printed] : forms) {
        const Result<Address> address = parse_address(given);
        ASSERT_TRUE(address) << given << ": " << address.error().message;
        EXPECT_EQ(address->text(), printed) << given;
        EXPECT_EQ(parse_address(address->text()).value(), *address) << given;
    }
}

TEST(Address, WhatIsNoAddressIsRefusedWithTheForms) {
    for (const char* given : {"", "unix:", "db.sock", "tcp:", "tcp:[::1", "tcp:[]:1", "tcp:[::1]x",
                              "nbd://localhost:1", "tcp:a b:1"}) {
        const Result<Address> address = parse_address(given);
        ASSERT_FALSE(address) << given;
        EXPECT_EQ(address.error().message,
                  "'" + std::string(given) +
                      "' is not an address; expected unix:/PATH, tcp:HOST:PORT or tcp:[IPV6]:PORT");
    }
}

TEST(Address, PortsOutOfRangeAndBareIpv6AreNamed) {
    EXPECT_EQ(parse_address("tcp:h:65536").error().message,
              "'tcp:h:65536': '65536' is not a port; expected 0 to 65535");
    EXPECT_EQ(parse_address("tcp:h:1x").error().message,
              "'tcp:h:1x': '1x' is not a port; expected 0 to 65535");
    EXPECT_EQ(parse_address("tcp:::1:10809").error().message,
              "'tcp:::1:10809': write an IPv6 address in brackets, as in tcp:[::1]:10809");
}

TEST(Address, UnixPathsHaveALimit) {
    EXPECT_TRUE(parse_address("unix:/" + std::string(106, 'x')));
    EXPECT_FALSE(parse_address("unix:/" + std::string(107, 'x')));
}

TEST(Address, EveryAddressCollidesWithEachOnThatPort) {
    const auto collide = [](const char* one, const char* other) {
        return addresses_collide(parse_address(one).value(), parse_address(other).value());
    };
    EXPECT_TRUE(collide("tcp:0.0.0.0:1", "tcp:127.0.0.1:1"));
    EXPECT_TRUE(collide("tcp:[::1]:1", "tcp::1"));
    EXPECT_TRUE(collide("/a", "unix:/a"));
    EXPECT_FALSE(collide("tcp:127.0.0.1:1", "tcp:127.0.0.2:1"));
    EXPECT_FALSE(collide("tcp::1", "tcp::2"));
    EXPECT_FALSE(collide("tcp::0", "tcp::0"));
    EXPECT_FALSE(collide("/a", "/b"));
}

}  // namespace
}  // namespace braidway::daemon
