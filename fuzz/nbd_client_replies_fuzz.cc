// SPDX-License-Identifier: Apache-2.0
// Any bytes as a server's replies: the same story however they are cut, nothing outside of a
// request, no request answered twice, no read answered before all of it was told.
#include <cstring>
#include <vector>

#include "base/check.h"
#include "fuzz_pieces.h"
#include "wire/nbd_client_replies.h"

namespace braidway {
namespace {

using wire::NbdAwaited;
using wire::NbdReplyReader;
using Step = NbdReplyReader::Step;

struct Asked : NbdAwaited {
    std::vector<uint8_t> told;  ///< By byte of the data: how often.
    bool answered = false;
};

/// A handful of requests with the cookies 0 to 15, in all kinds.
class Requests final : public wire::NbdAwaitedRequests {
  public:
    Requests() : asked_(16) {
        static constexpr uint16_t kinds[] = {wire::nbd::cmd_read, wire::nbd::cmd_write,
                                             wire::nbd::cmd_block_status, wire::nbd::cmd_flush};
        for (size_t at = 0; at < asked_.size(); ++at) {
            Asked& request = asked_[at];
            request.command = kinds[at % 4];
            request.cookie = at;
            request.offset = at * 64;
            request.length = request.command == wire::nbd::cmd_flush ? 0 : 64;
            std::byte head[wire::nbd::request_bytes];
            request.write(head, 0);
            request.told.resize(64);
        }
    }
    NbdAwaited* find(uint64_t cookie) override {
        if (cookie >= asked_.size() || asked_[cookie].answered) return nullptr;
        return &asked_[cookie];
    }

  private:
    std::vector<Asked> asked_;
};

/// What happened, with neighbouring pieces of data taken together; true while it goes on.
bool note(Step step, const wire::NbdReplyEvent& event, std::vector<std::byte>& story) {
    if (step == Step::more || step == Step::broken) return false;
    Asked& request = static_cast<Asked&>(*event.request);
    CHECK(!request.answered, "nothing follows the end of a reply");
    const auto write = [&](uint64_t number) {
        const auto* bytes = reinterpret_cast<const std::byte*>(&number);
        story.insert(story.end(), bytes, bytes + sizeof number);
    };
    if (step == Step::data || step == Step::hole) {
        const size_t length = step == Step::data ? event.data.size() : event.length;
        CHECK(request.command == wire::nbd::cmd_read, "only reads get data");
        CHECK(length > 0 && event.at + length <= request.told.size(), "and inside of them");
        for (size_t at = 0; at < length; ++at) {
            CHECK(request.told[event.at + at]++ == 0, "and only once");
            write(request.cookie << 32 | (event.at + at));
            if (step == Step::data) story.push_back(event.data[at]);
        }
    } else if (step == Step::extent) {
        CHECK(request.command == wire::nbd::cmd_block_status, "only a status gets extents");
        CHECK(event.extent.length_bytes > 0, "each of some length");
        write(event.extent.length_bytes << 32 | event.extent.state);
    } else {
        request.answered = true;
        if (request.command == wire::nbd::cmd_read && request.error == wire::nbd::error_none)
            for (const uint8_t times : request.told) CHECK(times == 1, "all was told");
        write(request.cookie);
        write(request.error);
        const auto text = std::as_bytes(std::span(event.text));
        story.insert(story.end(), text.begin(), text.end());
    }
    return true;
}

std::vector<std::byte> run(std::span<const std::byte> bytes, unsigned shape, uint64_t seed) {
    wire::NbdSession session;
    session.structured = (shape & 1) != 0;
    session.base_allocation = (shape & 2) != 0;
    Requests requests;
    NbdReplyReader reader(session, 7, requests);
    std::vector<std::byte> story;
    fuzz::Pieces pieces(bytes, seed);
    for (bool last = false; !last;) {
        last = pieces.all_arrived();
        std::span<const std::byte> piece = pieces.next();
        for (;;) {
            wire::NbdReplyEvent event;
            size_t taken = 0;
            const Step step = reader.next(piece, event, taken);
            pieces.take(taken);
            piece = piece.subspan(taken);
            if (step == Step::broken) {
                CHECK(!reader.problem().empty(), "a broken stream has a reason");
                return story;
            }
            if (!note(step, event, story)) break;
        }
        CHECK(piece.size() < NbdReplyReader::head_bytes_max, "only a part of a head is left");
    }
    return story;
}

}  // namespace
}  // namespace braidway

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace braidway;
    if (size < 2) return 0;
    const auto bytes = std::as_bytes(std::span(data, size)).subspan(2);
    const auto one = run(bytes, data[0], data[1]);
    const auto other = run(bytes, data[0], data[1] + 1000u);
    CHECK(one == other, "the story does not depend on how bytes arrive");
    return 0;
}
