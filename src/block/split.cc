// SPDX-License-Identifier: Apache-2.0
#include "block/split.h"

#include <algorithm>
#include <bit>

namespace braidway::block {
namespace {

// The words of a split request's frame.
enum : size_t {
    sent_bytes,      // Parts have been sent for so much of it.
    parts_out,       // Parts not yet answered.
    first_error_at,  // Offset of the first part that failed, UINT64_MAX for none.
    first_error,     // Its status.
};

}  // namespace

SplitLayer::SplitLayer(std::unique_ptr<BlockDevice> below, uint32_t length_bytes_max,
                       uint32_t parts)
    : Layer(std::move(below)), length_bytes_max_(length_bytes_max), parts_(parts) {
    CHECK(std::has_single_bit(length_bytes_max), "the split length is a power of two");
}

SplitLayer::~SplitLayer() {
    CHECK(waiting_.empty(), "a device goes only when no request is on it");
}

void SplitLayer::begin(Request& request) {
    const uint64_t first = request.offset_bytes / length_bytes_max_;
    const uint64_t last = (request.offset_bytes + request.length_bytes - 1) / length_bytes_max_;
    if (!request.has_data() || first == last) {
        below().submit(request);
        return;
    }
    CHECK(request.data.size() == 1, "split requests have their data in one piece");
    request.push(*this).words = {0, 0, UINT64_MAX, static_cast<uint64_t>(IoStatus::ok)};
    waiting_.push_back(request);
    feed();
}

void SplitLayer::feed() {
    while (Request* request = waiting_.front()) {
        auto& words = request->top().words;
        Part* part = parts_.take();
        if (part == nullptr) return;
        const uint64_t at = request->offset_bytes + words[sent_bytes];
        const uint64_t to_boundary = length_bytes_max_ - at % length_bytes_max_;
        const uint64_t length = std::min(to_boundary, request->length_bytes - words[sent_bytes]);
        part->layer = this;
        part->parent = request;
        part->memory = {static_cast<char*>(request->data[0].iov_base) + words[sent_bytes], length};
        Request& child = part->request;
        child.reset();
        child.op = request->op;
        child.fua = request->fua;
        child.must_reach_storage = request->must_reach_storage;
        child.offset_bytes = at;
        child.length_bytes = length;
        child.data = {&part->memory, 1};
        child.buffer = request->buffer;
        words[sent_bytes] += length;
        ++words[parts_out];
        if (words[sent_bytes] == request->length_bytes) waiting_.remove(*request);
        child.push(*part);
        below().submit(child);
    }
}

void SplitLayer::part_done(Part& part) {
    Request& parent = *part.parent;
    Request& child = part.request;
    child.pop();
    CHECK(child.buffer == parent.buffer, "what is below a split layer does not move memory");
    auto& words = parent.top().words;
    // A hole below is data here: the parts may differ.
    if (child.status() == IoStatus::ok && child.hole)
        std::fill_n(static_cast<char*>(part.memory.iov_base), part.memory.iov_len, '\0');
    if (child.status() != IoStatus::ok && child.offset_bytes < words[first_error_at]) {
        words[first_error_at] = child.offset_bytes;
        words[first_error] = static_cast<uint64_t>(child.status());
        parent.error_text = child.error_text;
    }
    parent.outcome_unknown |= child.outcome_unknown;
    parts_.give_back(&part);
    --words[parts_out];
    if (words[parts_out] == 0 && words[sent_bytes] == parent.length_bytes) {
        const IoStatus status = static_cast<IoStatus>(words[first_error]);
        parent.pop();
        parent.finish(status);
    }
    feed();
}

}  // namespace braidway::block
