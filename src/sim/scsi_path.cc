// SPDX-License-Identifier: Apache-2.0
#include "sim/scsi_path.h"

#include <algorithm>
#include <cstring>

#include "loop/loop.h"
#include "multipath/handler_table.h"

namespace braidway::sim {

ScsiPath::ScsiPath(loop::Loop& loop, ScsiResponder& array, uint8_t port, uint8_t lun)
    : loop_(loop), array_(array), port_(port), lun_(lun) {
    geometry_.block_bytes = array.shape().block_bytes;
    geometry_.size_bytes = array.shape().blocks * array.shape().block_bytes;
}

multipath::DeviceIdentity ScsiPath::identity() {
    constexpr uint16_t room = wire::scsi::inquiry_bytes_max;
    const Instant now = loop_.now();
    const ScsiReply inquiry =
        array_.respond(port_, lun_, wire::inquiry_cdb(room).view(), {}, room, now);
    const ScsiReply page =
        array_.respond(port_, lun_, wire::vpd_cdb(0x83, room).view(), {}, room, now);
    return multipath::identify_device(inquiry.data_in, page.data_in)
        .value_or(multipath::DeviceIdentity{});
}

void ScsiPath::begin(block::Request& request) {
    ++ios_;
    if (!request.has_data()) {
        const bool nothing_to_do = request.op == IoOp::flush;
        block::finish_soon(loop_, request, nothing_to_do ? IoStatus::ok : IoStatus::not_supported);
        return;
    }
    Outcome outcome;
    for (unsigned tries = 0; tries < tries_max; ++tries) {
        const ScsiReply reply = send(request);
        outcome = judge(reply);
        if (!outcome.again) break;
    }
    request.outcome_unknown = outcome.unknown && changes_data(request.op);
    block::finish_soon(loop_, request, outcome.status);
}

ScsiReply ScsiPath::send(const block::Request& request) {
    const uint64_t lba = request.offset_bytes / geometry_.block_bytes;
    const auto blocks = static_cast<uint32_t>(request.length_bytes / geometry_.block_bytes);
    if (request.op == IoOp::read) {
        ScsiReply reply = array_.respond(port_, lun_, wire::read_16_cdb(lba, blocks).view(), {},
                                         static_cast<uint32_t>(request.length_bytes), loop_.now());
        size_t at = 0;
        for (const iovec& piece : request.data) {
            const size_t bytes = std::min(piece.iov_len, reply.data_in.size() - at);
            if (bytes > 0) std::memcpy(piece.iov_base, reply.data_in.data() + at, bytes);
            at += bytes;
        }
        return reply;
    }
    data_.clear();
    for (const iovec& piece : request.data) {
        const auto* const bytes = static_cast<const std::byte*>(piece.iov_base);
        data_.insert(data_.end(), bytes, bytes + piece.iov_len);
    }
    return array_.respond(port_, lun_, wire::write_16_cdb(lba, blocks, request.fua).view(), data_,
                          0, loop_.now());
}

ScsiPath::Outcome ScsiPath::judge(const ScsiReply& reply) {
    using Kind = multipath::SenseVerdict::Kind;
    const wire::ScsiOutcome general = wire::classify(reply.answer());
    Outcome outcome{.status = general.status,
                    .again = general.retry != wire::ScsiRetry::no,
                    .unknown = general.fate == wire::ScsiFate::unknown};
    if (!general.sense || !read_sense_) return outcome;
    const multipath::SenseVerdict verdict = read_sense_(*general.sense);
    switch (verdict.kind) {
        case Kind::not_handled:
            return outcome;
        case Kind::retry_now:
        case Kind::requeue:
            outcome.again = true;
            return outcome;
        case Kind::fail_path:
        case Kind::fail_io:
            return {.status = verdict.status};
    }
    return outcome;
}

void ScsiPath::execute(path::ScsiTask& task) {
    ScsiReply reply = array_.respond(port_, lun_, task.cdb.view(), task.data_out,
                                     task.data_in_bytes, loop_.now());
    task.transport = reply.transport;
    task.status = reply.status;
    task.sense = std::move(reply.sense);
    task.data_in = std::move(reply.data_in);
    auto free = std::ranges::find(answers_, nullptr, [](const auto& each) { return each->task; });
    if (free == answers_.end()) free = answers_.insert(free, std::make_unique<Answer>());
    Answer& answer = **free;
    answer.task = &task;
    answer.operation.owner = &answer;
    answer.operation.done = [](loop::Operation& operation, int32_t) {
        auto* const ended = static_cast<Answer*>(operation.owner);
        path::ScsiTask& done = *std::exchange(ended->task, nullptr);
        done.done(done);
    };
    loop_.complete_soon(answer.operation, 0);
}

}  // namespace braidway::sim
