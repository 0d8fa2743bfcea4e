// SPDX-License-Identifier: Apache-2.0
#include "path/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace braidway::path {
namespace {

/// Zeroes for file systems that cannot make them; one iovec array of them covers 1 MiB.
constexpr size_t zero_page_bytes = 64u << 10;
constexpr size_t zero_pieces = 16;

const std::array<iovec, zero_pieces>& zero_data() {
    alignas(4096) static std::array<std::byte, zero_page_bytes> page{};
    static const std::array<iovec, zero_pieces> pieces = [] {
        std::array<iovec, zero_pieces> all;
        all.fill({page.data(), page.size()});
        return all;
    }();
    return pieces;
}

// The words of this device's frame.
enum : size_t {
    done_bytes,      // Of a transfer, or of zeroes written by hand.
    changes_seen,    // FileStore::changes_begun after this change began.
    fallocate_mode,  // The mode that is being tried.
    this_device,
};

}  // namespace

/// A question to the file system about holes, on its way to the helper thread and back.
struct FileDevice::StatusQuery : loop::BlockingCall {
    FileDevice* device = nullptr;
    block::Request* request = nullptr;
    int fd = -1;
    uint64_t changes_at_start = 0;
    bool quiet_at_start = false;
    int code = 0;
    uint64_t offset_bytes = 0;
    uint64_t length_bytes = 0;
    /// Memory of its own: the request may have been given up when the answer comes.
    std::array<block::Extent, limits::extents_per_reply_max> extents;
    uint32_t filled = 0;

    void ask_file_system();
};

void FileDevice::StatusQuery::ask_file_system() {
    const uint64_t end = offset_bytes + length_bytes;
    uint64_t at = offset_bytes;
    while (at < end && filled < extents.size()) {
        const off_t data = lseek(fd, static_cast<off_t>(at), SEEK_DATA);
        if (data < 0 && errno != ENXIO) {
            code = errno;
            return;
        }
        uint64_t edge = data < 0 ? end : std::min(end, static_cast<uint64_t>(data));
        const bool hole = edge > at;
        if (!hole) {
            const off_t hole_at = lseek(fd, static_cast<off_t>(at), SEEK_HOLE);
            edge = hole_at < 0 ? end : std::min(end, static_cast<uint64_t>(hole_at));
            if (edge <= at) edge = end;
        }
        extents[filled++] = {edge - at, hole, hole};
        at = edge;
    }
}

FileDevice* FileDevice::device_of(block::Request& request) {
    return reinterpret_cast<FileDevice*>(request.top().words[this_device]);
}

FileDevice::FileDevice(loop::Loop& loop) : loop_(loop), query_(std::make_unique<StatusQuery>()) {
    query_->device = this;
}

FileDevice::~FileDevice() {
    CHECK(query_->request == nullptr && status_waiting_.empty(),
          "a device goes only when no request is on it");
    if (handle_.valid()) loop_.remove_file(handle_);
}

void FileDevice::adopt(OpenFile file) {
    CHECK(!is_open(), "a file device has one file");
    file_ = std::move(file);
    geometry_ = file_.geometry;
    handle_ = loop_.add_file(file_.fd);
}

void FileDevice::begin(block::Request& request) {
    if (!is_open()) {
        request.error_text = "no such device at present";
        block::finish_soon(loop_, request, IoStatus::offline);
        return;
    }
    if (request.op == IoOp::read && !request.must_reach_storage &&
        file_.store->holes.covers(request.offset_bytes, request.length_bytes)) {
        request.hole = true;
        block::finish_soon(loop_, request, IoStatus::ok);
        return;
    }
    request.push(*this).words = {0, 0, 0, reinterpret_cast<uint64_t>(this)};
    request.operation.owner = &request;
    if (changes_data(request.op)) begin_change(request);
    switch (request.op) {
        case IoOp::read:
        case IoOp::write:
            request.operation.done = [](loop::Operation& operation, int32_t result) {
                block::Request& ended = *static_cast<block::Request*>(operation.owner);
                device_of(ended)->transfer_done(ended, result);
            };
            transfer(request);
            return;
        case IoOp::flush:
            sync_then_finish(request);
            return;
        case IoOp::discard:
        case IoOp::write_zeroes:
            zero_or_discard(request);
            return;
        case IoOp::block_status:
            ask_status(request);
            return;
        case IoOp::cache:
            // Direct I/O has no cache to fill; the kernel's own read-ahead serves the buffered
            // case.
            request.pop();
            block::finish_soon(loop_, request, IoStatus::ok);
            return;
    }
}

void FileDevice::transfer(block::Request& request) {
    if (request.op == IoOp::read)
        loop_.read(request.operation, handle_, request.data.data(),
                   static_cast<uint32_t>(request.data.size()), request.offset_bytes);
    else
        loop_.write(request.operation, handle_, request.data.data(),
                    static_cast<uint32_t>(request.data.size()), request.offset_bytes, request.fua);
}

void FileDevice::transfer_done(block::Request& request, int32_t result) {
    if (result < 0 && result != -EINTR) {
        end(request, io_status_from_errno(-result));
        return;
    }
    uint64_t& done = request.top().words[done_bytes];
    const uint64_t before = done;
    if (result > 0) done += static_cast<uint64_t>(result);
    if (done == request.length_bytes) {
        end(request, IoStatus::ok);
        return;
    }
    // Direct I/O can only go on at a block.
    if (file_.mode == FileMode::direct) done -= done % geometry_.block_bytes;
    if (done == before && result != -EINTR) {
        request.error_text = "the file is shorter than it was";
        end(request, IoStatus::io);
        return;
    }
    // Short: go on piece by piece from where it stopped.
    uint64_t skip = done;
    for (const iovec& piece : request.data) {
        if (skip >= piece.iov_len) {
            skip -= piece.iov_len;
            continue;
        }
        request.rest = {static_cast<char*>(piece.iov_base) + skip, piece.iov_len - skip};
        break;
    }
    if (request.op == IoOp::read)
        loop_.read(request.operation, handle_, &request.rest, 1, request.offset_bytes + done);
    else
        loop_.write(request.operation, handle_, &request.rest, 1, request.offset_bytes + done,
                    request.fua);
}

void FileDevice::zero_or_discard(block::Request& request) {
    const bool punch = request.op == IoOp::discard || request.may_unmap;
    const int mode = (punch ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE) | FALLOC_FL_KEEP_SIZE;
    request.top().words[fallocate_mode] = static_cast<uint64_t>(mode);
    request.operation.done = [](loop::Operation& operation, int32_t result) {
        block::Request& ended = *static_cast<block::Request*>(operation.owner);
        device_of(ended)->fallocate_done(ended, result);
    };
    loop_.allocate(request.operation, handle_, mode, request.offset_bytes, request.length_bytes);
}

void FileDevice::fallocate_done(block::Request& request, int32_t result) {
    if (result == -EINTR) {
        zero_or_discard(request);
        return;
    }
    if (result == -EOPNOTSUPP || result == -ENOSYS) {
        // A discard is advice. Zeroes are not: they can always be written, unless only fast ones
        // were wanted.
        request.top().words[fallocate_mode] = 0;  // Nothing was punched.
        if (request.op == IoOp::discard)
            end(request, IoStatus::ok);
        else if (request.fast_zero)
            end(request, IoStatus::not_supported);
        else
            write_zero_pages(request);
        return;
    }
    if (result < 0)
        end(request, io_status_from_errno(-result));
    else if (request.fua)
        sync_then_finish(request);
    else
        end(request, IoStatus::ok);
}

void FileDevice::write_zero_pages(block::Request& request) {
    request.top().words[fallocate_mode] = 0;
    request.operation.done = [](loop::Operation& operation, int32_t result) {
        block::Request& ended = *static_cast<block::Request*>(operation.owner);
        FileDevice& device = *device_of(ended);
        if (result == -EINTR) {
            device.write_zero_pages(ended);
            return;
        }
        if (result < 0) {
            device.end(ended, io_status_from_errno(-result));
            return;
        }
        ended.top().words[done_bytes] += static_cast<uint64_t>(result);
        if (result == 0)
            device.end(ended, IoStatus::no_space);
        else if (ended.top().words[done_bytes] < ended.length_bytes)
            device.write_zero_pages(ended);
        else if (ended.fua)
            device.sync_then_finish(ended);
        else
            device.end(ended, IoStatus::ok);
    };
    const uint64_t done = request.top().words[done_bytes];
    const uint64_t left = request.length_bytes - done;
    if (left >= zero_page_bytes) {
        const uint64_t pieces = std::min<uint64_t>(left / zero_page_bytes, zero_pieces);
        loop_.write(request.operation, handle_, zero_data().data(), static_cast<uint32_t>(pieces),
                    request.offset_bytes + done, false);
    } else {
        request.rest = {zero_data()[0].iov_base, left};
        loop_.write(request.operation, handle_, &request.rest, 1, request.offset_bytes + done,
                    false);
    }
}

void FileDevice::sync_then_finish(block::Request& request) {
    request.operation.done = [](loop::Operation& operation, int32_t result) {
        block::Request& ended = *static_cast<block::Request*>(operation.owner);
        device_of(ended)->end(ended, result < 0 ? io_status_from_errno(-result) : IoStatus::ok);
    };
    loop_.sync_data(request.operation, handle_);
}

void FileDevice::end(block::Request& request, IoStatus status) {
    if (changes_data(request.op)) end_change(request, status);
    request.pop();
    request.finish(status);
}

void FileDevice::begin_change(block::Request& request) {
    FileStore& store = *file_.store;
    store.holes.remove(request.offset_bytes, request.length_bytes);
    ++store.changes_in_flight;
    request.top().words[changes_seen] = ++store.changes_begun;
}

void FileDevice::end_change(block::Request& request, IoStatus status) {
    FileStore& store = *file_.store;
    --store.changes_in_flight;
    // Only a change that was alone from its start to its end says what the file is like now.
    const bool alone =
        store.changes_in_flight == 0 && store.changes_begun == request.top().words[changes_seen];
    const auto mode = static_cast<int>(request.top().words[fallocate_mode]);
    if (status == IoStatus::ok && alone && request.op != IoOp::write && !file_.block_device &&
        (mode & FALLOC_FL_PUNCH_HOLE) != 0)
        store.holes.add(request.offset_bytes, request.length_bytes);
}

void FileDevice::ask_status(block::Request& request) {
    if (file_.block_device || request.extents.empty()) {
        if (!request.extents.empty()) {
            request.extents[0] = {request.length_bytes, false, false};
            request.extents_count = 1;
        }
        request.pop();
        block::finish_soon(loop_, request, IoStatus::ok);
        return;
    }
    if (query_->request != nullptr) {
        status_waiting_.push_back(request);
        return;
    }
    StatusQuery& query = *query_;
    query.request = &request;
    query.fd = file_.fd;
    query.changes_at_start = file_.store->changes_begun;
    query.quiet_at_start = file_.store->changes_in_flight == 0;
    query.code = 0;
    query.filled = 0;
    query.offset_bytes = query.request->offset_bytes;
    query.length_bytes = query.request->length_bytes;
    query.work = [](loop::BlockingCall& call) {
        static_cast<StatusQuery&>(call).ask_file_system();
    };
    query.done = [](loop::BlockingCall& call) {
        auto& asked = static_cast<StatusQuery&>(call);
        asked.device->status_known(asked);
    };
    loop_.run_blocking(query);
}

void FileDevice::status_known(StatusQuery& query) {
    block::Request& request = *query.request;
    query.request = nullptr;
    FileStore& store = *file_.store;
    if (query.code == 0 && query.quiet_at_start && store.changes_in_flight == 0 &&
        store.changes_begun == query.changes_at_start) {
        uint64_t at = query.offset_bytes;
        for (uint32_t index = 0; index < query.filled; ++index) {
            if (query.extents[index].hole) store.holes.add(at, query.extents[index].length_bytes);
            at += query.extents[index].length_bytes;
        }
    }
    if (query.code != 0) {
        // The file system cannot tell: all of it may be data.
        query.extents[0] = {query.length_bytes, false, false};
        query.filled = 1;
    }
    request.extents_count = std::min(query.filled, static_cast<uint32_t>(request.extents.size()));
    std::copy_n(query.extents.begin(), request.extents_count, request.extents.begin());
    if (block::Request* next = status_waiting_.pop_front()) ask_status(*next);
    request.pop();
    request.finish(IoStatus::ok);
}

}  // namespace braidway::path
