// SPDX-License-Identifier: Apache-2.0
#include "multipath/handler_table.h"

#include <gtest/gtest.h>

#include "sim/scsi_responder.h"
#include "wire/scsi_inquiry.h"

namespace braidway::multipath {
namespace {

using sim::ArrayKind;
using sim::ScsiResponder;
namespace scsi = wire::scsi;

DeviceIdentity identity_of(ArrayKind kind) {
    ScsiResponder array{{.kind = kind}};
    const auto inquiry = array.respond(1, 0, wire::inquiry_cdb(252).view(), {}, 252, {});
    const auto page = array.respond(1, 0, wire::vpd_cdb(0x83, 252).view(), {}, 252, {});
    return *identify_device(inquiry.data_in, page.data_in);
}

TEST(HandlerTable, ScriptedArraysGetTheirHandler) {
    EXPECT_EQ(handler_for(identity_of(ArrayKind::plain)), "");
    EXPECT_EQ(handler_for(identity_of(ArrayKind::alua_implicit)), "alua");
    EXPECT_EQ(handler_for(identity_of(ArrayKind::alua_explicit)), "alua");
    EXPECT_EQ(handler_for(identity_of(ArrayKind::alua_both)), "alua");
    EXPECT_EQ(handler_for(identity_of(ArrayKind::clariion)), "emc");
    EXPECT_EQ(handler_for(identity_of(ArrayKind::rdac)), "rdac");
    EXPECT_EQ(handler_for(identity_of(ArrayKind::hp_sw)), "hp_sw");
}

struct Row {
    const char* vendor;
    const char* product;
    std::string_view handler;
};

TEST(HandlerTable, NamesAreComparedByTheirBeginning) {
    const Row rows[] = {
        {"DGC", "RAID 10", "emc"},
        {"DGC", "VRAID", "emc"},
        {"DGC", "DISK", "emc"},
        {"DGC", "LUNZ", ""},
        {"COMPAQ", "MSA1000 VOLUME", "hp_sw"},
        {"COMPAQ", "HSV110 (C)COMPAQ", "hp_sw"},
        {"HP", "HSV100", "hp_sw"},
        {"HP", "HSV200", ""},
        {"DEC", "HSG80", "hp_sw"},
        {"IBM", "1814      FAStT", "rdac"},
        {"IBM", "2145", ""},
        {"SGI", "IS500", "rdac"},
        {"STK", "FLEXLINE 380", "rdac"},
        {"SUN", "CSM200_R", "rdac"},
        {"DELL", "MD36xxi", "rdac"},
        {"NETAPP", "INF-01-00", "rdac"},
        {"NETAPP", "LUN", ""},
        {"LENOVO", "DE_Series", "rdac"},
        {"FUJITSU", "ETERNUS_AHB", "rdac"},
        {"dgc", "RAID 5", ""},
        {"", "", ""},
    };
    for (const Row& row : rows) {
        DeviceIdentity identity;
        identity.vendor = row.vendor;
        identity.product = row.product;
        EXPECT_EQ(handler_for(identity), row.handler) << row.vendor << ' ' << row.product;
    }
}

TEST(HandlerTable, EachHandlerHasItsOwnSenseOfAPortThatWaits) {
    const wire::ScsiSense senses[] = {{.key = 2, .asc = 0x04, .ascq = 0x0b},
                                      {.key = 2, .asc = 0x04, .ascq = 0x03},
                                      {.key = 5, .asc = 0x94, .ascq = 0x01},
                                      {.key = 2, .asc = 0x04, .ascq = 0x02}};
    const std::string_view names[] = {"alua", "emc", "rdac", "hp_sw"};
    for (size_t sense = 0; sense < std::size(senses); ++sense)
        for (size_t name = 0; name < std::size(names); ++name)
            EXPECT_EQ(waits_for_activation(names[name], senses[sense]), name == sense)
                << names[name] << ' ' << sense;
    EXPECT_FALSE(waits_for_activation("", senses[0])) << "without a handler nobody activates it";
}

TEST(HandlerTable, PortGroupsComeBeforeNames) {
    DeviceIdentity identity;
    identity.vendor = "DGC";
    identity.product = "VRAID";
    identity.tpgs = scsi::tpgs_explicit;
    EXPECT_EQ(handler_for(identity), "alua");
}

TEST(HandlerTable, IdentityIsReadFromInquiryPages) {
    const DeviceIdentity alua = identity_of(ArrayKind::alua_both);
    EXPECT_EQ(alua.tpgs, scsi::tpgs_implicit | scsi::tpgs_explicit);
    EXPECT_EQ(alua.port_group, 2);
    EXPECT_EQ(alua.relative_port, 2);
    EXPECT_EQ(alua.unit_id.size(), 17u);
    EXPECT_FALSE(alua.clariion_model);
    EXPECT_EQ(identity_of(ArrayKind::clariion).clariion_model, "CX3-40");
    const auto bare = wire::inquiry_data({.vendor = "DGC"});
    EXPECT_EQ(identify_device(bare, {})->clariion_model, "") << "an old FC array";
    EXPECT_TRUE(identify_device(bare, {})->unit_id.empty());
    EXPECT_FALSE(identify_device(std::span(bare).first(35), {}));
}

TEST(HandlerTable, HandlersAreMadeByName) {
    for (const std::string_view name : {"alua", "emc", "rdac", "hp_sw"})
        EXPECT_EQ((*make_handler(name))->name(), name);
    const auto unknown = make_handler("ana");
    ASSERT_FALSE(unknown);
    EXPECT_NE(unknown.error().message.find("'ana'"), std::string::npos);
}

}  // namespace
}  // namespace braidway::multipath
