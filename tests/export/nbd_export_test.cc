// SPDX-License-Identifier: Apache-2.0
// What may be exported, and what clients are told of it.
#include "export/nbd_export.h"

#include "nbd_harness.h"

namespace braidway::exports {
namespace {

class NbdExports : public OnBackend {};

TEST_P(NbdExports, ImpossibleExportsAreRefusedInTheUsersWords) {
    World world(GetParam());
    world.serve();
    const auto message = [&](auto change) {
        NbdExportOptions options = world.disk("other");
        change(options);
        const Result<void> added = world.add(options);
        return added ? std::string("added") : added.error().message;
    };
    EXPECT_NE(message([](auto& options) { options.minimum_block = 256; }).find("minimum_block"),
              std::string::npos);
    EXPECT_NE(message([](auto& options) { options.minimum_block = 1000; }).find("minimum_block"),
              std::string::npos);
    EXPECT_NE(message([](auto& options) { options.maximum_payload = 1; }).find("maximum_payload"),
              std::string::npos);
    EXPECT_NE(
        message([](auto& options) { options.maximum_payload = 64 << 20; }).find("maximum_payload"),
        std::string::npos);
    EXPECT_NE(message([](auto& options) { options.name = "disk"; }).find("exists"),
              std::string::npos);
    EXPECT_EQ(world.server->find_export("other"), nullptr);
}

TEST_P(NbdExports, TellWhatTheDeviceCanAndWhatTheUserWants) {
    World world(GetParam());
    block::Geometry& geometry = world.device.change_geometry();
    geometry.can_fua = false;
    geometry.rotational = true;
    geometry.preferred_bytes = 1000;
    NbdExportOptions options = world.disk();
    options.multi_conn = true;
    options.minimum_block = 2048;
    options.maximum_payload = 65536 + 100;
    ASSERT_TRUE(NbdExport::complete(options, world.pool->bytes()));
    const NbdExport served(3, options);
    wire::NbdExportInfo info = served.info();
    EXPECT_EQ(info.id, 3u);
    EXPECT_EQ(info.minimum_block, 2048u);
    EXPECT_EQ(info.preferred_block, 2048u);
    EXPECT_EQ(info.maximum_payload, 65536u);
    EXPECT_TRUE(info.can_flush && info.rotational && info.can_multi_conn);
    EXPECT_FALSE(info.can_fua || info.read_only);
    geometry.size_bytes *= 2;  // Growth is told to new clients.
    geometry.read_only = true;
    info = served.info();
    EXPECT_EQ(info.size_bytes, geometry.size_bytes);
    EXPECT_TRUE(info.read_only);
}

ON_BOTH_BACKENDS(NbdExports);

}  // namespace
}  // namespace braidway::exports
