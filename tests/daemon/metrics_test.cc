// SPDX-License-Identifier: Apache-2.0
#include "daemon/metrics.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "fake_control_target.h"

namespace braidway::daemon {
namespace {

TEST(Metrics, AreInTheFormOfPrometheus) {
    Snapshot snapshot = sample_snapshot();
    snapshot.io_backend = "a \"quoted\\\n\" one";
    const std::string text = metrics_text(snapshot);
    EXPECT_NE(text.find("# TYPE braidway_map_valid_paths gauge\n"
                        "braidway_map_valid_paths{map=\"db\"} 2\n"
                        "braidway_map_valid_paths{map=\"spare\"} 0\n"),
              std::string::npos);
    EXPECT_NE(text.find("braidway_path_up{path=\"a22\",map=\"db\"} 0\n"), std::string::npos);
    EXPECT_NE(text.find("braidway_path_io_errors_total{path=\"a22\",class=\"transport\"} 2\n"),
              std::string::npos);
    EXPECT_EQ(text.find("braidway_path_connects_total{"), std::string::npos) << "files have none";
    EXPECT_NE(text.find("io_backend=\"a \\\"quoted\\\\\\n\\\" one\"} 1\n"), std::string::npos);
}

TEST(Metrics, PathsOverANetworkTellOfTheirConnectionsAndDoubts) {
    Snapshot snapshot = sample_snapshot();
    PathSnapshot& path = snapshot.paths[0];
    path.fabric = true;
    path.connects = 3;
    path.unsettled_writes = 2;
    path.doubt_time = std::chrono::milliseconds(1500);
    const std::string text = metrics_text(snapshot);
    const auto tells = [&](const std::string& metric, int value) {
        return text.find(fmt::format("braidway_path_{}{{path=\"{}\"}} {}\n", metric, path.name,
                                     value)) != std::string::npos;
    };
    EXPECT_TRUE(tells("connects_total", 3)) << text;
    EXPECT_TRUE(tells("unsettled_writes", 2));
    EXPECT_TRUE(tells("doubt_milliseconds_total", 1500));
}

}  // namespace
}  // namespace braidway::daemon
