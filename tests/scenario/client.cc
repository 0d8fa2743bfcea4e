// SPDX-License-Identifier: Apache-2.0
#include "client.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "store.h"

namespace braidway::scenario {

Client::Client(block::BlockDevice& device, const Work& work)
    : device_(device), work_(work), left_(work.times) {
}

/// What the block layer answers by itself is counted without asking the device.
void Client::next() {
    while (left_ > 0) {
        const uint64_t size = device_.geometry().size_bytes / sector_bytes;
        const uint64_t room = work_.offset < size ? size - work_.offset : 0;
        const uint64_t count = std::min(work_.count, room);
        if (count > 0) {
            const uint8_t before = work_.kind == 'w' ? work_.pattern : 0;
            memory_.assign(count * sector_bytes, std::byte{before});
            sent_ = 0;
            status_ = IoStatus::ok;
            return send_request();
        }
        const bool past_end = work_.count > 0;
        ++results_[!past_end ? "ok" : work_.kind == 'w' ? "ENOSPC" : "short"];
        --left_;
    }
}

void Client::send_request() {
    const uint64_t sectors = std::min(memory_.size() / sector_bytes - sent_, work_.request_max);
    data_ = {memory_.data() + sent_ * sector_bytes, sectors * sector_bytes};
    request_.reset();
    request_.op = work_.kind == 'w' ? IoOp::write : IoOp::read;
    request_.offset_bytes = (work_.offset + sent_) * sector_bytes;
    request_.length_bytes = data_.iov_len;
    request_.data = {&data_, 1};
    request_.push(*this);
    sent_ += sectors;
    device_.submit(request_);
}

void Client::completed(block::Request& request) {
    request.pop();
    if (status_ == IoStatus::ok) status_ = request.status();
    if (sent_ * sector_bytes < memory_.size()) return send_request();
    ++results_[result(status_)];
    --left_;
    next();
}

std::string Client::result(IoStatus status) const {
    if (status != IoStatus::ok) return ::strerrorname_np(io_status_to_errno(status));
    if (memory_.size() < work_.count * sector_bytes) return "short";
    const bool as_written = std::ranges::all_of(
        memory_, [&](std::byte byte) { return byte == std::byte{work_.pattern}; });
    return work_.kind == 'v' && !as_written ? "wrong-data" : "ok";
}

std::string Client::tally() const {
    std::string text;
    for (const auto& [result, count] : results_)
        text += fmt::format("{}{}:{}", text.empty() ? "" : " ", result, count);
    return text;
}

}  // namespace braidway::scenario
