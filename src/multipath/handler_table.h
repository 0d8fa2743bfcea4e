// SPDX-License-Identifier: Apache-2.0
// Which hardware handler a device needs, and the making of handlers by their names.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "multipath/hardware_handler.h"

namespace braidway::multipath {

/// Reads what a handler needs to know of a device from its standard inquiry data (ask for
/// wire::scsi::inquiry_bytes_max bytes) and its inquiry page 0x83 (may be empty).
/// Errors: the inquiry data are too short.
Result<DeviceIdentity> identify_device(std::span<const std::byte> inquiry,
                                       std::span<const std::byte> identification);

/// The handler that suits a device: "alua" for one with target port groups, else by its vendor and
/// the beginning of its product name; empty for one that needs none.
/// Source: the automatic choice of the Linux SCSI layer.
std::string_view handler_for(const DeviceIdentity& identity);

/// Whether a device answers TEST UNIT READY with these sense data because it waits for the handler
/// called `name` to activate it: alua 02/04/0b, emc 02/04/03, rdac 05/94/01, hp_sw 02/04/02.
bool waits_for_activation(std::string_view name, const wire::ScsiSense& sense);

/// Makes the handler called `name` ("alua", "emc", "rdac", "hp_sw") without devices.
/// Errors: there is none of this name.
Result<std::unique_ptr<HardwareHandler>> make_handler(std::string_view name);

}  // namespace braidway::multipath
