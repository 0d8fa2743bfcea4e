// SPDX-License-Identifier: Apache-2.0
// Any bytes as a client's requests: the same requests however they are cut, and nothing passes
// that is outside the export or was not negotiated.
#include <array>
#include <vector>

#include "base/check.h"
#include "fuzz_pieces.h"
#include "wire/nbd_reply.h"
#include "wire/nbd_request.h"

namespace braidway {
namespace {

using wire::NbdReplyWriter;
using wire::NbdRequest;
using wire::NbdRequestReader;
using wire::NbdSession;

NbdSession session_from(unsigned shape) {
    NbdSession session;
    session.size_bytes = 1 << 20;
    session.minimum_block = 1u << (shape % 13);
    session.maximum_payload = 65536;
    session.extended = (shape & 16) != 0;
    session.structured = session.extended || (shape & 32) != 0;
    session.base_allocation = session.structured && (shape & 64) != 0;
    session.flags = static_cast<uint16_t>(shape >> 3 | wire::nbd::has_flags);
    return session;
}

struct Run {
    std::vector<NbdRequest> requests;
    uint64_t payload = 0;
    bool broken = false;
};

/// What a server answers to `request`; checks that it fits where it is written.
void answer(const NbdRequest& request, const NbdSession& session) {
    std::array<std::byte, NbdReplyWriter::head_bytes_max> head;
    const NbdReplyWriter writer(session);
    const size_t bytes = request.error != wire::nbd::error_none
                             ? writer.error(head.data(), request.cookie, request.offset,
                                            request.error, request.error_text)
                             : writer.done(head.data(), request.cookie, request.offset);
    CHECK(bytes <= head.size(), "a reply's header fits");
}

void check(const NbdRequest& request, const NbdSession& session) {
    answer(request, session);
    if (request.command == wire::nbd::cmd_write)
        CHECK(request.payload_bytes == request.length, "a write's payload is always taken");
    if (request.error != wire::nbd::error_none || request.command == wire::nbd::cmd_disc ||
        request.command == wire::nbd::cmd_flush || request.has(wire::nbd::cmd_flag_payload_len))
        return;
    CHECK(request.offset <= session.size_bytes &&
              request.length <= session.size_bytes - request.offset,
          "nothing outside the export passes");
    CHECK((request.offset | request.length) % session.minimum_block == 0, "nothing misaligned");
    CHECK(request.command <= wire::nbd::cmd_block_status, "nothing unknown");
}

Run run(std::span<const std::byte> bytes, const NbdSession& session, uint64_t seed) {
    NbdRequestReader reader(session);
    Run run;
    fuzz::Pieces pieces(bytes, seed);
    while (!pieces.empty() && !run.broken) {
        auto piece = pieces.next();
        bool more = false;
        while (!piece.empty() && !more && !run.broken) {
            NbdRequest request;
            size_t taken = 0;
            const NbdRequestReader::Step step = reader.next(piece, request, taken);
            CHECK(taken <= piece.size(), "no more is taken than there is");
            switch (step) {
                case NbdRequestReader::Step::more:
                    more = true;
                    break;
                case NbdRequestReader::Step::request:
                    check(request, session);
                    run.requests.push_back(request);
                    break;
                case NbdRequestReader::Step::payload:
                    run.payload += taken;
                    break;
                case NbdRequestReader::Step::broken:
                    run.broken = true;
                    break;
            }
            pieces.take(taken);
            piece = piece.subspan(taken);
        }
        if (more && pieces.all_arrived()) break;
    }
    return run;
}

}  // namespace
}  // namespace braidway

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace braidway;
    if (size < 3) return 0;
    const NbdSession session = session_from(data[0] | unsigned{data[1]} << 8);
    const auto bytes = std::as_bytes(std::span(data, size)).subspan(3);
    const Run one = run(bytes, session, data[2]);
    const Run other = run(bytes, session, data[2] + 1000u);
    CHECK(one.requests.size() == other.requests.size() && one.payload == other.payload &&
              one.broken == other.broken,
          "requests do not depend on how bytes arrive");
    for (size_t at = 0; at < one.requests.size(); ++at)
        CHECK(one.requests[at].cookie == other.requests[at].cookie &&
                  one.requests[at].error == other.requests[at].error,
              "nor do the judgements");
    if (bytes.size() >= 12 && session.has(wire::nbd::block_status_payload)) {
        NbdRequest request;
        wire::read_block_status_payload(bytes.first(12), request, session);
    }
    return 0;
}
