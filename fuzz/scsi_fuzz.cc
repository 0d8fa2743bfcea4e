// SPDX-License-Identifier: Apache-2.0
// Any bytes as what a SCSI device or host may send: each parser stays within them, and what it
// understood, written and read again, is the same.
#include <algorithm>
#include <vector>

#include "base/check.h"
#include "wire/scsi_answer.h"
#include "wire/scsi_block_commands.h"
#include "wire/scsi_cdb.h"
#include "wire/scsi_identity.h"
#include "wire/scsi_inquiry.h"
#include "wire/scsi_limits.h"
#include "wire/scsi_port_groups.h"
#include "wire/scsi_vendor_pages.h"

namespace braidway::wire {
namespace {

using Bytes = std::span<const std::byte>;

void check_command(Bytes bytes) {
    const auto request = parse_cdb(bytes);
    if (request && request->op == ScsiOp::read)
        CHECK(
            request->blocks == parse_cdb(read_16_cdb(request->lba, request->blocks).view())->blocks,
            "a read keeps its size");
    Cdb cdb;
    cdb.size = static_cast<uint8_t>(std::min(bytes.size(), cdb.bytes.size()));
    std::copy_n(bytes.begin(), cdb.size, cdb.bytes.begin());
    CHECK(!cdb_text(cdb).empty(), "every command has a text");
    (void)parse_capacity_10(bytes);
    (void)parse_capacity_16(bytes);
}

void check_answer(Bytes bytes, uint8_t status) {
    const ScsiAnswer answer{.status = status, .sense = bytes};
    const ScsiOutcome outcome = classify(answer);
    CHECK(outcome.fate != ScsiFate::unknown, "a device that answered has ended the command");
    CHECK(!scsi_answer_text(answer).empty(), "every answer has a text");
    const auto sense = parse_sense(bytes);
    if (sense) CHECK(parse_sense(descriptor_sense(*sense)) == sense, "sense data keep their codes");
}

void check_inquiry(Bytes bytes) {
    (void)parse_inquiry(bytes);
    (void)parse_serial_number(bytes);
    if (const auto luns = parse_luns(bytes))
        CHECK(luns->size() * 8 <= bytes.size(), "no more units than there are bytes for");
    const auto designators = parse_designators(bytes);
    if (!designators) return;
    CHECK(parse_identity(designator_data(*designators)) == parse_identity(bytes),
          "an identity survives being written");
}

bool is_one_word(const std::string& text) {
    return !text.empty() &&
           std::ranges::all_of(text, [](char letter) { return letter > ' ' && letter <= '~'; });
}

void check_unit(Bytes bytes) {
    CHECK(vpd_bytes_wanted(bytes) <= 65539, "a page's length has 16 bits");
    (void)parse_unit({.inquiry = bytes, .identification = bytes, .serial_number = bytes});
    if (const auto wwid = wwid_of_serial_number(bytes, bytes))
        CHECK(is_one_word(wwid->text), "a name is one word");
    const auto wwid = wwid_of_identification(bytes);
    if (!wwid) {
        CHECK(wwid.error().message.find('\n') == std::string::npos, "an error is one line");
        return;
    }
    CHECK(is_one_word(wwid->text), "a name is one word");
    if (wwid->source == WwidSource::before_spc3) return;
    const auto again = wwid_of_identification(designator_data(*parse_designators(bytes)));
    CHECK(again && again->text == wwid->text, "a name survives its page being written");
}

void check_limits(Bytes bytes) {
    const auto limits = parse_limits({.capacity_16 = bytes,
                                      .capacity_10 = bytes,
                                      .block_limits = bytes,
                                      .characteristics = bytes,
                                      .provisioning = bytes});
    if (!limits) return;
    CHECK(limits->size_bytes() / limits->block_bytes == limits->blocks, "a size is no overflow");
    CHECK(limits->physical_block_bytes % limits->block_bytes == 0, "physical blocks are whole");
    CHECK(limits->preferred_blocks <= limits->transfer_blocks_max, "what is preferred can be done");
    CHECK(limits->unmap_granule_blocks > limits->unmap_alignment_block, "a granule is not empty");
}

void check_port_groups(Bytes bytes) {
    (void)parse_set_port_groups(bytes);
    auto report = parse_port_groups(bytes);
    if (!report) return;
    // A plain report whose first group has reserved bits set would be read as extended.
    const auto again = parse_port_groups(port_groups_data(*report));
    report->bytes_wanted = again->bytes_wanted;
    CHECK(*report == *again, "a report survives being written");
}

void check_vendor_pages(Bytes bytes) {
    (void)parse_clariion_model(bytes);
    if (const auto unit = parse_clariion_unit(bytes))
        CHECK(parse_clariion_unit(clariion_unit_data(*unit))->unit_state == unit->unit_state,
              "a CLARiiON unit survives being written");
    if (const auto access = parse_rdac_access(bytes))
        CHECK(parse_rdac_access(rdac_access_data(*access))->owned == access->owned,
              "an RDAC access page survives being written");
    if (const auto volume = parse_rdac_volume(bytes))
        CHECK(parse_rdac_volume(rdac_volume_data(*volume))->lun == volume->lun,
              "an RDAC volume page survives being written");
    if (const auto subsystem = parse_rdac_subsystem(bytes)) (void)subsystem->controller();
    (void)parse_rdac_software(bytes);
    for (const bool ten : {false, true}) {
        if (const auto trespass = parse_trespass(bytes, ten))
            CHECK(parse_trespass(trespass_data(*trespass), !trespass->short_page) == trespass,
                  "a trespass survives being written");
        if (const auto transfer = parse_rdac_transfer(bytes, ten))
            CHECK(parse_rdac_transfer(rdac_transfer_data(*transfer), transfer->expanded)->luns ==
                      transfer->luns,
                  "a transfer survives being written");
    }
}

}  // namespace
}  // namespace braidway::wire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace braidway::wire;
    if (size == 0) return 0;
    // In memory of exactly this size: the fuzzer's own buffer may be larger.
    const auto input = std::as_bytes(std::span(data, size)).subspan(1);
    const std::vector<std::byte> bytes(input.begin(), input.end());
    check_command(bytes);
    check_answer(bytes, data[0]);
    check_inquiry(bytes);
    check_unit(bytes);
    check_limits(bytes);
    check_port_groups(bytes);
    check_vendor_pages(bytes);
    return 0;
}
