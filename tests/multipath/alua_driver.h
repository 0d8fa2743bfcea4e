// SPDX-License-Identifier: Apache-2.0
// An ALUA array with one LUN, an optimized and a standby port group, two ports each.
#pragma once

#include <gtest/gtest.h>

#include "handler_driver.h"

namespace braidway::multipath {

/// Devices 0 and 1 are in group 1, which is optimized; 2 and 3 in group 2, which is standby.
struct AluaTest : testing::Test {
    explicit AluaTest(sim::ArrayKind kind = sim::ArrayKind::alua_explicit)
        : array({.kind = kind, .ports = {{0, 1}, {0, 1}, {1, 2}, {1, 2}}}), handler("alua", array) {
        for (uint8_t port = 0; port < 4; ++port) handler.attach(port);
    }

    uint32_t reports() const { return array.count(wire::scsi::op_maintenance_in); }
    uint32_t settings() const { return array.count(wire::scsi::op_maintenance_out); }
    uint32_t tests() const { return array.count(wire::scsi::op_test_unit_ready); }
    uint8_t state(uint16_t group) const { return array.group_state(0, group, handler.now); }

    sim::ScsiResponder array;
    HandlerDriver handler;
};

}  // namespace braidway::multipath
