// SPDX-License-Identifier: Apache-2.0
#include "multipath/handler_table.h"

#include <fmt/format.h>

#include "multipath/alua_handler.h"
#include "multipath/emc_handler.h"
#include "multipath/hp_sw_handler.h"
#include "multipath/rdac_handler.h"
#include "wire/scsi_inquiry.h"
#include "wire/scsi_vendor_pages.h"

namespace braidway::multipath {
namespace {

/// One kind of array. Its handler is used when the device's names begin with these.
struct Entry {
    std::string_view vendor;
    std::string_view product;
    std::string_view handler;
};

constexpr Entry entries[] = {
    {"DGC", "RAID", "emc"},
    {"DGC", "DISK", "emc"},
    {"DGC", "VRAID", "emc"},
    {"COMPAQ", "MSA1000 VOLUME", "hp_sw"},
    {"COMPAQ", "HSV110", "hp_sw"},
    {"HP", "HSV100", "hp_sw"},
    {"DEC", "HSG80", "hp_sw"},
    {"IBM", "1722", "rdac"},
    {"IBM", "1724", "rdac"},
    {"IBM", "1726", "rdac"},
    {"IBM", "1742", "rdac"},
    {"IBM", "1745", "rdac"},
    {"IBM", "1746", "rdac"},
    {"IBM", "1813", "rdac"},
    {"IBM", "1814", "rdac"},
    {"IBM", "1815", "rdac"},
    {"IBM", "1818", "rdac"},
    {"IBM", "3526", "rdac"},
    {"IBM", "3542", "rdac"},
    {"IBM", "3552", "rdac"},
    {"SGI", "TP9300", "rdac"},
    {"SGI", "TP9400", "rdac"},
    {"SGI", "TP9500", "rdac"},
    {"SGI", "TP9700", "rdac"},
    {"SGI", "IS", "rdac"},
    {"STK", "OPENstorage", "rdac"},
    {"STK", "FLEXLINE 380", "rdac"},
    {"STK", "BladeCtlr", "rdac"},
    {"SUN", "CSM", "rdac"},
    {"SUN", "LCSM100", "rdac"},
    {"SUN", "STK6580_6780", "rdac"},
    {"SUN", "SUN_6180", "rdac"},
    {"SUN", "ArrayStorage", "rdac"},
    {"DELL", "MD3", "rdac"},
    {"NETAPP", "INF-01-00", "rdac"},
    {"LSI", "INF-01-00", "rdac"},
    {"ENGENIO", "INF-01-00", "rdac"},
    {"LENOVO", "DE_Series", "rdac"},
    {"FUJITSU", "ETERNUS_AHB", "rdac"},
};

}  // namespace

Result<DeviceIdentity> identify_device(std::span<const std::byte> inquiry,
                                       std::span<const std::byte> identification) {
    const auto standard = wire::parse_inquiry(inquiry);
    if (!standard)
        return fail(fmt::format("the device answered INQUIRY with {} bytes; every device has {}",
                                inquiry.size(), wire::scsi::standard_inquiry_bytes));
    DeviceIdentity identity;
    identity.vendor = standard->vendor;
    identity.product = standard->product;
    identity.tpgs = standard->tpgs;
    if (const auto names = wire::parse_identity(identification)) {
        identity.unit_id = names->unit_id;
        identity.port_group = names->port_group;
        identity.relative_port = names->relative_port;
    }
    if (standard->vendor.starts_with("DGC"))
        identity.clariion_model = wire::parse_clariion_model(inquiry);
    return identity;
}

std::string_view handler_for(const DeviceIdentity& identity) {
    if (identity.tpgs != 0) return "alua";
    for (const Entry& entry : entries)
        if (identity.vendor.starts_with(entry.vendor) &&
            identity.product.starts_with(entry.product))
            return entry.handler;
    return {};
}

bool waits_for_activation(std::string_view name, const wire::ScsiSense& sense) {
    const auto is = [&](uint8_t key, uint8_t asc, uint8_t ascq) {
        return sense.key == key && sense.asc == asc && sense.ascq == ascq;
    };
    using namespace wire::scsi;
    if (name == "alua") return is(key_not_ready, 0x04, 0x0b);
    if (name == "emc") return is(key_not_ready, 0x04, 0x03);
    if (name == "rdac") return is(key_illegal_request, 0x94, 0x01);
    return name == "hp_sw" && is(key_not_ready, 0x04, 0x02);
}

Result<std::unique_ptr<HardwareHandler>> make_handler(std::string_view name) {
    if (name == "alua") return std::make_unique<AluaHandler>();
    if (name == "emc") return std::make_unique<EmcHandler>();
    if (name == "rdac") return std::make_unique<RdacHandler>();
    if (name == "hp_sw") return std::make_unique<HpSwHandler>();
    return fail(
        fmt::format("unknown hardware handler '{}'; there are alua, emc, rdac and hp_sw", name));
}

}  // namespace braidway::multipath
