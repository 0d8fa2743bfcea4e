// SPDX-License-Identifier: Apache-2.0
#include "export/nbd_address.h"

#include <gtest/gtest.h>

namespace braidway::exports {
namespace {

TEST(NbdAddress, EveryFormIsReadAndPrintedInOneForm) {
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
        const Result<NbdAddress> address = NbdAddress::parse(given);
        ASSERT_TRUE(address) << given << ": " << address.error().message;
        EXPECT_EQ(address->text(), printed) << given;
        EXPECT_EQ(NbdAddress::parse(address->text()).value(), *address) << given;
    }
}

TEST(NbdAddress, WhatIsNoAddressIsRefusedWithTheForms) {
    for (const char* given : {"", "unix:", "db.sock", "tcp:", "tcp:[::1", "tcp:[]:1", "tcp:[::1]x",
                              "nbd://localhost:1", "tcp:a b:1"}) {
        const Result<NbdAddress> address = NbdAddress::parse(given);
        ASSERT_FALSE(address) << given;
        EXPECT_EQ(address.error().message,
                  "'" + std::string(given) +
                      "' is not an address; expected unix:/PATH, tcp:HOST:PORT or tcp:[IPV6]:PORT");
    }
}

TEST(NbdAddress, PortsOutOfRangeAndBareIpv6AreNamed) {
    EXPECT_EQ(NbdAddress::parse("tcp:h:65536").error().message,
              "'tcp:h:65536': '65536' is not a port; expected 0 to 65535");
    EXPECT_EQ(NbdAddress::parse("tcp:h:1x").error().message,
              "'tcp:h:1x': '1x' is not a port; expected 0 to 65535");
    EXPECT_EQ(NbdAddress::parse("tcp:::1:10809").error().message,
              "'tcp:::1:10809': write an IPv6 address in brackets, as in tcp:[::1]:10809");
}

TEST(NbdAddress, UnixPathsHaveALimit) {
    EXPECT_TRUE(NbdAddress::parse("unix:/" + std::string(106, 'x')));
    EXPECT_FALSE(NbdAddress::parse("unix:/" + std::string(107, 'x')));
}

TEST(NbdAddress, EveryAddressCollidesWithEachOnThatPort) {
    const auto collide = [](const char* one, const char* other) {
        return addresses_collide(NbdAddress::parse(one).value(), NbdAddress::parse(other).value());
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
}  // namespace braidway::exports
