// SPDX-License-Identifier: Apache-2.0
#include "daemon/metrics.h"

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
    EXPECT_NE(text.find("io_backend=\"a \\\"quoted\\\\\\n\\\" one\"} 1\n"), std::string::npos);
}

}  // namespace
}  // namespace braidway::daemon
