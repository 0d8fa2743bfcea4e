// SPDX-License-Identifier: Apache-2.0
#include "path/sg_header.h"

#include <algorithm>
#include <cerrno>

#include "base/check.h"

namespace braidway::path {
namespace {

using wire::ScsiTransport;

/// What the host adapter's driver says (DID_...).
enum Host : uint16_t {
    host_ok = 0x00,
    host_no_connect = 0x01,
    host_bus_busy = 0x02,
    host_time_out = 0x03,
    host_bad_target = 0x04,
    host_immediate_retry = 0x0c,
    host_requeue = 0x0d,
};

/// What the kernel's SCSI layer says (DRIVER_...), in the lower four bits.
enum Driver : uint16_t {
    driver_mask = 0x0f,
    driver_ok = 0x00,
    driver_timeout = 0x06,
    driver_sense = 0x08,
};

constexpr auto timeout_max = std::chrono::hours(24);

ScsiTransport transport_of_errno(int error) {
    switch (error) {
        case ENODEV:
        case ENXIO:
            return ScsiTransport::no_connection;
        case ETIMEDOUT:
            return ScsiTransport::timed_out;
        case EIO:
        case EFAULT:  // The data could not be copied back: it has run.
            return ScsiTransport::connection_lost;
        default:
            // Not accepted: no memory, no permission, no such call, too large.
            return ScsiTransport::no_resources;
    }
}

ScsiTransport transport_of(const sg_io_hdr& header) {
    if (header.host_status == host_time_out) return ScsiTransport::timed_out;
    // The device has answered, whatever the layers above made of that.
    if (header.status != wire::scsi::status_good) return ScsiTransport::answered;
    switch (header.host_status) {
        case host_ok:
            break;
        case host_no_connect:
        case host_bad_target:
            return ScsiTransport::no_connection;
        case host_bus_busy:
        case host_immediate_retry:
        case host_requeue:
            return ScsiTransport::no_resources;
        default:
            return ScsiTransport::connection_lost;
    }
    switch (header.driver_status & driver_mask) {
        case driver_ok:
        case driver_sense:
            return ScsiTransport::answered;
        case driver_timeout:
            return ScsiTransport::timed_out;
        default:
            return ScsiTransport::connection_lost;
    }
}

}  // namespace

void prepare_sg(SgCommand& command, Duration timeout) {
    CHECK(command.data_out.empty() || command.data_in.empty(), "SG_IO moves data one way");
    using Milliseconds = std::chrono::milliseconds;
    const auto limited = std::clamp<Duration>(timeout, Milliseconds(1), timeout_max);
    sg_io_hdr& header = command.header;
    header = {};
    header.interface_id = 'S';
    header.dxfer_direction = SG_DXFER_NONE;
    header.cmd_len = command.cdb.size;
    header.cmdp = reinterpret_cast<unsigned char*>(command.cdb.bytes.data());
    header.mx_sb_len = static_cast<unsigned char>(command.sense.size());
    header.sbp = reinterpret_cast<unsigned char*>(command.sense.data());
    header.timeout = static_cast<unsigned>(std::chrono::ceil<Milliseconds>(limited).count());
    std::vector<std::byte>& data = command.data_out.empty() ? command.data_in : command.data_out;
    if (data.empty()) return;
    header.dxfer_direction = command.data_out.empty() ? SG_DXFER_FROM_DEV : SG_DXFER_TO_DEV;
    header.dxferp = data.data();
    header.dxfer_len = static_cast<unsigned>(data.size());
}

wire::ScsiAnswer read_sg(const SgCommand& command, int error) {
    if (error != 0) return {.transport = transport_of_errno(error)};
    const sg_io_hdr& header = command.header;
    wire::ScsiAnswer answer{.transport = transport_of(header), .status = header.status};
    if (answer.transport != ScsiTransport::answered) return answer;
    answer.sense =
        std::span(command.sense).first(std::min<size_t>(header.sb_len_wr, command.sense.size()));
    // A driver that counts wrongly must not lead us outside.
    const auto missing = static_cast<size_t>(std::max(header.resid, 0));
    answer.data_in = std::span(command.data_in)
                         .first(command.data_in.size() - std::min(missing, command.data_in.size()));
    return answer;
}

}  // namespace braidway::path
